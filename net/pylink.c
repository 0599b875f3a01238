/* net/pylink.c - four ports, each with at most one open request.
 *
 *   free --assign--> open, waiting for the pipe --ready--> open, sent --answer--> free
 *                                `----------- closed ---------'  `-- failed --> free
 *
 * Key invariants: P1 a port has at most one pipe and one open request; P2 the request is told to
 * the owner exactly once, by an answer or as failed, and the port is free before that; P3 a request
 * leaves once: one that came to a pipe which was just closing waits for another pipe, one that has
 * been sent does not; P4 after fw_pylink_close has returned nothing is told.
 *
 * One lock covers the few fields of the ports; the owner is called without it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/pylink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "net/message_json.h"
#include "net/pipe.h"
#include "net/server.h"
#include "net/sp.h"

static const int64_t connect_limit_ns = FW_NS_PER_S;

typedef struct py_port {
    fw_pylink *link;
    fw_prio level;
    /* Under the lock. */
    fw_pipe *pipe;   /* NULL: none */
    uint64_t number; /* of its connection; 0: not ready, or given up */
    bool open;       /* a request waits for its answer */
    bool sent;
    fw_parcel *parcel; /* the request; NULL: it is sent */
    uint64_t lease;
    uint32_t request;
    size_t id_len;
    char id[FW_ID_MAX];
} py_port;

struct fw_pylink {
    /* Immutable. */
    fw_net *net;
    void *owner;
    fw_tcp_address address;
    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t quiet;
    bool closing;
    unsigned pipes;
    py_port ports[FW_LEVELS];
};

void fw_net_set_pylink_ops(fw_net *net, const fw_pylink_ops *ops)
{
    net->pylink_ops = *ops;
}

/* ---- Under the lock ---- */

/* The request is over. => it is to be told. */
static bool finish(py_port *port)
{
    bool was = port->open;
    port->open = false;
    if (port->parcel)
        fw_parcel_destroy(port->parcel);
    port->parcel = NULL;
    return was && !port->link->closing;
}

/* Sends what waits. In a read section, or a callback of the connection. */
static void post(py_port *port, fw_connection *connection)
{
    fw_connection_post(connection, port->parcel);
    port->parcel = NULL;
    port->sent = true;
}

static bool dial(py_port *port);

/* ---- What the pipe tells ---- */

static void tell_failed(py_port *port, uint64_t lease, bool sent, const char *why)
{
    const fw_pylink_ops *ops = &port->link->net->pylink_ops;
    ops->failed(ops->context, port->link->owner, port->level, lease, sent, why);
}

static void on_ready(void *context, fw_connection *connection)
{
    py_port *port = context;
    pthread_mutex_lock(&port->link->lock);
    port->number = fw_connection_number(connection);
    if (port->parcel)
        post(port, connection);
    pthread_mutex_unlock(&port->link->lock);
}

/* why: as closed of net/pipe.h. */
static const char *reason(const char *why)
{
    if (!why)
        return "connection closed";
    return *why ? why : "it accepts but does not answer";
}

/* On the reaper's thread, last. */
static void on_closed(void *context, const char *why)
{
    py_port *port = context;
    fw_pylink *link = port->link;
    pthread_mutex_lock(&link->lock);
    bool was_ready = why == NULL;
    bool sent = port->sent;
    uint64_t lease = port->lease;
    port->pipe = NULL;
    port->number = 0;
    bool again = port->parcel && was_ready && !link->closing && dial(port);
    bool failed = !again && finish(port);
    pthread_mutex_unlock(&link->lock);
    if (failed)
        tell_failed(port, lease, sent, reason(why));
    pthread_mutex_lock(&link->lock);
    if (--link->pipes == 0)
        pthread_cond_broadcast(&link->quiet);
    pthread_mutex_unlock(&link->lock);
}

static bool is_patient(void *context)
{
    (void)context;
    return true; /* a task may block it for long; who gave the task has the limit */
}

/* The lease that this answer ends; view NULL: whatever it says. False: it answers nothing of ours,
 * or nobody wants to know. */
static bool take_answer(py_port *port, uint64_t *lease, uint32_t request,
                        const fw_result_view *view)
{
    pthread_mutex_lock(&port->link->lock);
    bool ours = port->open && port->sent && (!view || port->request == request);
    if (ours && view)
        ours = view->id.len == port->id_len && memcmp(view->id.ptr, port->id, port->id_len) == 0;
    *lease = port->lease;
    ours = ours && finish(port);
    pthread_mutex_unlock(&port->link->lock);
    return ours;
}

static void tell_result(py_port *port, const fw_lease_result *result)
{
    const fw_pylink_ops *ops = &port->link->net->pylink_ops;
    ops->result(ops->context, port->link->owner, port->level, result);
}

static int64_t ran_for(const fw_result_view *view)
{
    if (view->started_wall_ns == 0 || view->finished_wall_ns <= view->started_wall_ns)
        return 0;
    return view->finished_wall_ns - view->started_wall_ns;
}

/* False: this peer does not do what it should. */
static bool take_message(py_port *port, fw_span message)
{
    fw_sp_request answer;
    fw_result_view view;
    fw_scratch scratch = {NULL};
    uint64_t lease;
    bool good =
        fw_sp_request_read(&answer, message) &&
        fw_json_result_read(&view, NULL, &scratch, answer.body) == 0 &&
        (view.status == FW_SUCCESS || view.status == FW_FAILURE || view.status == FW_CANCELLED) &&
        take_answer(port, &lease, answer.id, &view);
    if (good) {
        fw_lease_result result = {.lease = lease, .view = view, .ran_ns = ran_for(&view)};
        result.accounted = result.ran_ns > 0;
        tell_result(port, &result);
    }
    fw_scratch_fini(&scratch);
    return good;
}

/* Its connection is about to be closed: nothing more goes there. */
static void give_up(py_port *port)
{
    pthread_mutex_lock(&port->link->lock);
    port->number = 0;
    pthread_mutex_unlock(&port->link->lock);
}

/* To run it again would end the same way. */
static void refuse_size(py_port *port, size_t size)
{
    char text[96];
    fw_lease_result result = {.view = {.status = FW_FAILURE}};
    int len = snprintf(text, sizeof text, "the result of %zu bytes is over the limit of %zu", size,
                       port->link->net->exchange.limits.message_max);
    result.view.error = (fw_span){text, (size_t)len};
    result.view.finished_wall_ns = fw_wall_ns();
    if (take_answer(port, &result.lease, 0, NULL))
        tell_result(port, &result);
}

/* What follows a whole message is nothing that we asked for; closing tells the request as failed.
 */
static ssize_t on_bytes(void *context, fw_connection *connection, const unsigned char *bytes,
                        size_t len)
{
    py_port *port = context;
    size_t used = 0;
    (void)connection;
    while (used < len) {
        fw_span message;
        size_t size;
        fw_sp_outcome outcome = fw_sp_next(&message, &size, bytes + used, len - used,
                                           port->link->net->exchange.limits.message_max);
        if (outcome == FW_SP_MORE)
            break;
        if (outcome != FW_SP_MESSAGE || !take_message(port, message)) {
            give_up(port);
            if (outcome == FW_SP_TOO_BIG)
                refuse_size(port, size);
            return -1;
        }
        used += size;
    }
    return (ssize_t)used;
}

/* ---- The door ---- */

fw_pylink *fw_pylink_open(fw_net *net, fw_span address, void *owner)
{
    fw_pylink *link = calloc(1, sizeof *link);
    if (!link || fw_tcp_address_parse(&link->address, address) < 0 || link->address.port == 0 ||
        link->address.port + FW_LEVELS > 65536) {
        free(link);
        return NULL;
    }
    link->net = net;
    link->owner = owner;
    FW_ASSERT(pthread_mutex_init(&link->lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&link->quiet, NULL) == 0);
    for (unsigned i = 0; i < FW_LEVELS; i++) {
        link->ports[i].link = link;
        link->ports[i].level = (fw_prio)i;
        link->ports[i].request = FW_SP_REQUEST_BIT;
    }
    return link;
}

void fw_pylink_close(fw_pylink *link)
{
    pthread_mutex_lock(&link->lock);
    link->closing = true;
    for (unsigned i = 0; i < FW_LEVELS; i++) {
        if (link->ports[i].pipe)
            fw_pipe_close(link->ports[i].pipe);
    }
    while (link->pipes > 0)
        pthread_cond_wait(&link->quiet, &link->lock);
    pthread_mutex_unlock(&link->lock);
    for (unsigned i = 0; i < FW_LEVELS; i++)
        FW_ASSERT(!link->ports[i].parcel);
    pthread_cond_destroy(&link->quiet);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

/* => NULL: no memory, or not a task. Under the lock. */
static fw_parcel *write_request(py_port *port, const fw_assignment *assignment)
{
    char id[FW_UUID_TEXT];
    fw_buffer text = {NULL, 0, 0, false};
    fw_parcel *parcel = NULL;
    fw_submission task = assignment->task;
    if (task.id.len == 0) {
        fw_key_format(id, task.key);
        task.id = (fw_span){id, sizeof id};
    }
    FW_ASSERT(task.id.len <= FW_ID_MAX);
    size_t body = fw_json_write_task(&text, &task) && !text.failed ? text.len : 0;
    size_t len = FW_SP_WORD_BYTES + body;
    if (body > 0)
        parcel = fw_parcel_create(&port->link->net->exchange.parcels, FW_SP_LENGTH_BYTES + len);
    if (parcel) {
        port->request = FW_SP_REQUEST_BIT | (port->request + 1);
        port->id_len = task.id.len;
        memcpy(port->id, task.id.ptr, task.id.len);
        fw_sp_length_write(parcel->bytes, len);
        fw_sp_word_write(parcel->bytes + FW_SP_LENGTH_BYTES, port->request);
        memcpy(parcel->bytes + FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES, text.data, body);
        parcel->len = FW_SP_LENGTH_BYTES + len;
        parcel->messages = 1;
    }
    fw_buffer_fini(&text);
    return parcel;
}

/* Under the lock. */
static bool dial(py_port *port)
{
    fw_pylink *link = port->link;
    char text[FW_TCP_ADDRESS_MAX];
    fw_tcp_address address = link->address;
    fw_pipe_ops ops = {.ready = on_ready,
                       .closed = on_closed,
                       .patient = is_patient,
                       .deliver = on_bytes,
                       .context = port};
    address.port += port->level;
    fw_tcp_address_format(text, &address);
    port->pipe = fw_pipe_dial(&link->net->exchange, text, connect_limit_ns, &ops);
    link->pipes += port->pipe != NULL;
    return port->pipe != NULL;
}

/* The request leaves now, or as soon as there is a pipe. => false: there will be none. Under the
 * lock. */
static bool start(py_port *port)
{
    if (!port->pipe)
        return dial(port);
    fw_rcu_read_lock();
    fw_connection *connection =
        port->number ? fw_exchange_find(&port->link->net->exchange, port->number) : NULL;
    if (connection)
        post(port, connection);
    fw_rcu_read_unlock();
    /* Otherwise it is dialing, or closing: either goes on by itself. */
    return true;
}

bool fw_pylink_assign(fw_pylink *link, fw_prio level, const fw_assignment *assignment)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    py_port *port = &link->ports[level];
    pthread_mutex_lock(&link->lock);
    bool taken = !port->open && !link->closing;
    if (taken) {
        port->parcel = write_request(port, assignment);
        port->sent = false;
        port->lease = assignment->lease;
        taken = port->open = port->parcel && start(port);
        if (!taken && port->parcel) {
            fw_parcel_destroy(port->parcel);
            port->parcel = NULL;
        }
    }
    pthread_mutex_unlock(&link->lock);
    return taken;
}
