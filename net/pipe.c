/* net/pipe.c - see net/pipe.h.
 *
 * A pipe ends on the reaper's thread, by one of two ways: its dialing failed or was called off (an
 * errand), or its connection is gone. SPDX-License-Identifier: Apache-2.0 */
#include "net/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "net/address.h"
#include "net/dial.h"
#include "net/reaper.h"
#include "net/sp.h"

struct fw_pipe {
    /* Immutable after dial. */
    fw_exchange *exchange;
    fw_pipe_ops ops;
    fw_port port;
    char host[FW_TCP_HOST_MAX + 1]; /* for TLS */
    /* The reaper's. */
    fw_errand errand;
    /* Who has the outcome of the dialing. */
    bool ready;
    char why[96];
    /* Under lock. */
    pthread_mutex_t lock;
    fw_dial *dial;
    bool closing;
    uint64_t number; /* of the connection; 0: none yet */
};

static void destroy(fw_pipe *pipe)
{
    pthread_mutex_destroy(&pipe->lock);
    free(pipe);
}

/* The reaper's: nothing is called any more after it. */
static void finish(fw_pipe *pipe)
{
    pipe->ops.closed(pipe->ops.context, pipe->ready ? NULL : pipe->why);
    pthread_mutex_lock(&pipe->lock); /* whoever dials or closes is out of it */
    fw_dial_destroy(pipe->dial);
    pthread_mutex_unlock(&pipe->lock);
    destroy(pipe);
}

static void end_failed(fw_errand *errand)
{
    finish((fw_pipe *)((char *)errand - offsetof(fw_pipe, errand)));
}

/* ---- The connection's ---- */

static void on_ready(const fw_port *port, fw_connection *connection)
{
    fw_pipe *pipe = port->context;
    pipe->ready = true;
    pipe->ops.ready(pipe->ops.context, connection);
}

static ssize_t on_bytes(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                        size_t len)
{
    const fw_pipe *pipe = port->context;
    if (pipe->ops.deliver)
        return pipe->ops.deliver(pipe->ops.context, connection, bytes, len);
    return -1; /* a PULL says nothing */
}

static bool on_stalled(const fw_port *port, fw_connection *connection)
{
    fw_pipe *pipe = port->context;
    (void)connection;
    return pipe->ops.patient && pipe->ops.patient(pipe->ops.context);
}

static void on_gone(const fw_port *port, fw_connection *connection)
{
    (void)connection;
    finish(port->context);
}

/* ---- Dialing ---- */

static void fail(fw_pipe *pipe, const char *why)
{
    snprintf(pipe->why, sizeof pipe->why, "%s", why);
    pipe->errand.run = end_failed;
    fw_reaper_send(pipe->exchange, &pipe->errand);
}

/* => NULL: it is a connection now, or why not. Under lock. */
static const char *connect_stream(fw_pipe *pipe, nng_stream *stream)
{
    if (pipe->closing) {
        nng_stream_close(stream);
        nng_stream_free(stream);
        return "closed while dialing";
    }
    nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
    nng_stream_set_bool(stream, NNG_OPT_TCP_KEEPALIVE, true);
    int err = fw_connection_open(&pipe->number, &pipe->port, stream);
    return err < 0 ? fw_strerror(err) : NULL;
}

static void on_dialed(void *context, nng_stream *stream, const char *why)
{
    fw_pipe *pipe = context;
    if (stream) {
        pthread_mutex_lock(&pipe->lock);
        why = connect_stream(pipe, stream);
        pthread_mutex_unlock(&pipe->lock);
    }
    if (why)
        fail(pipe, why);
}

/* => false: not an address, or TLS is not set up. */
static bool take_address(fw_pipe *pipe, const char *address)
{
    fw_tcp_address to;
    if (fw_tcp_address_parse(&to, (fw_span){address, strlen(address)}) < 0)
        return false;
    if (!to.tls)
        return true;
    memcpy(pipe->host, to.host, sizeof pipe->host);
    pipe->port.host = pipe->host;
    pipe->port.tls = pipe->exchange->tls_dials;
    return pipe->port.tls != NULL;
}

fw_pipe *fw_pipe_dial(fw_exchange *exchange, const char *address, int64_t limit_ns,
                      const fw_pipe_ops *ops)
{
    fw_pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->exchange = exchange;
    pipe->ops = *ops;
    pipe->port = (fw_port){.exchange = exchange,
                           .context = pipe,
                           .role = FW_ROLE_PUSH,
                           .protocol = ops->deliver ? FW_SP_REQ0 : FW_SP_PUSH0,
                           .ready = on_ready,
                           .deliver = on_bytes,
                           .patient = on_stalled,
                           .gone = on_gone};
    FW_ASSERT(pthread_mutex_init(&pipe->lock, NULL) == 0);
    if (!take_address(pipe, address)) {
        destroy(pipe);
        return NULL;
    }
    pthread_mutex_lock(&pipe->lock);
    fw_dial *dial = fw_dial_start(address, limit_ns, on_dialed, pipe);
    pipe->dial = dial;
    pthread_mutex_unlock(&pipe->lock);
    if (dial)
        return pipe;
    destroy(pipe);
    return NULL;
}

void fw_pipe_close(fw_pipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    bool first = !pipe->closing;
    pipe->closing = true;
    uint64_t number = pipe->number;
    bool withdrawn = first && number == 0 && fw_dial_cancel(pipe->dial);
    pthread_mutex_unlock(&pipe->lock);
    if (withdrawn)
        fail(pipe, "closed while dialing");
    if (number == 0)
        return;
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(pipe->exchange, number);
    if (connection)
        fw_connection_close(connection, FW_CLOSED_BY_US);
    fw_rcu_read_unlock();
}
