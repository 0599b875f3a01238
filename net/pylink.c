/* net/pylink.c - four ports, each with at most one open request.
 *
 * Key invariants: P1 a port has at most one pipe and one open request; P2 the request is told to
 * the owner exactly once, by an answer or as failed, and the port is free before that; P3 after
 * fw_pylink_close has begun nothing is told.
 *
 * A port's lock covers its few fields; the owner is called without it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/pylink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
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
    uint64_t number; /* of its connection; 0: not ready */
    bool open;       /* a request waits for its answer */
    bool sent;
    uint64_t lease;
    uint32_t request;
    char id[FW_ID_MAX + 1];
    fw_buffer message; /* word and body; kept until it is sent */
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

/* --- under the lock --- */

/* The request is over; => it was open. */
static bool finish(py_port *port)
{
    bool was = port->open;
    port->open = false;
    port->message.len = 0;
    return was && !port->link->closing;
}

static bool post(py_port *port)
{
    fw_span message = {port->message.data, port->message.len};
    port->sent = fw_egress_post(&port->link->net->exchange, port->number, &message, 1);
    return port->sent;
}

/* --- what the pipe tells --- */

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
    bool failed = port->open && !post(port) && finish(port);
    uint64_t lease = port->lease;
    pthread_mutex_unlock(&port->link->lock);
    if (failed)
        tell_failed(port, lease, false, "no memory");
}

/* On the reaper's thread, last. */
static void on_closed(void *context, const char *why)
{
    py_port *port = context;
    fw_pylink *link = port->link;
    pthread_mutex_lock(&link->lock);
    port->pipe = NULL;
    port->number = 0;
    bool sent = port->sent;
    bool failed = finish(port);
    uint64_t lease = port->lease;
    pthread_mutex_unlock(&link->lock);
    if (failed)
        tell_failed(port, lease, sent, why ? why : "connection closed");
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

/* The lease that this answer ends; false: it answers nothing of ours. */
static bool take_answer(py_port *port, uint64_t *lease, const fw_sp_request *answer,
                        const fw_result_view *view)
{
    pthread_mutex_lock(&port->link->lock);
    bool ours = port->open && port->sent && port->request == answer->id &&
                view->id.len == strlen(port->id) &&
                memcmp(view->id.ptr, port->id, view->id.len) == 0;
    *lease = port->lease;
    ours = ours && finish(port);
    pthread_mutex_unlock(&port->link->lock);
    return ours;
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
        take_answer(port, &lease, &answer, &view);
    if (good) {
        const fw_pylink_ops *ops = &port->link->net->pylink_ops;
        fw_lease_result result = {.lease = lease, .view = view, .ran_ns = ran_for(&view)};
        result.accounted = result.ran_ns > 0;
        ops->result(ops->context, port->link->owner, port->level, &result);
    }
    fw_scratch_fini(&scratch);
    return good;
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
        if (outcome != FW_SP_MESSAGE || !take_message(port, message))
            return -1;
        used += size;
    }
    return (ssize_t)used;
}

/* --- the door --- */

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
        fw_buffer_fini(&link->ports[i].message);
    pthread_cond_destroy(&link->quiet);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

/* Under the lock. */
static bool write_request(py_port *port, const fw_assignment *assignment)
{
    unsigned char word[FW_SP_WORD_BYTES];
    char id[FW_UUID_TEXT];
    fw_submission task = assignment->task;
    if (task.id.len == 0) {
        fw_key_format(id, task.key);
        task.id = (fw_span){id, sizeof id};
    }
    port->request = FW_SP_REQUEST_BIT | (port->request + 1);
    fw_sp_word_write(word, port->request);
    port->message.len = 0;
    port->message.failed = false;
    fw_buffer_add(&port->message, word, sizeof word);
    bool written = fw_json_write_task(&port->message, &task) && !port->message.failed;
    snprintf(port->id, sizeof port->id, "%.*s", (int)task.id.len, task.id.ptr);
    return written;
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

bool fw_pylink_assign(fw_pylink *link, fw_prio level, const fw_assignment *assignment)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    py_port *port = &link->ports[level];
    pthread_mutex_lock(&link->lock);
    bool taken = !port->open && !link->closing && write_request(port, assignment);
    if (taken) {
        port->open = true;
        port->sent = false;
        port->lease = assignment->lease;
        if (port->number != 0)
            taken = post(port);
        else if (!port->pipe)
            taken = dial(port);
        if (!taken)
            port->open = false;
    }
    pthread_mutex_unlock(&link->lock);
    return taken;
}
