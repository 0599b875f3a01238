/* net/listener.c - see net/listener.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "fastworker/types.h"

enum { PAUSE_MS = 50 }; /* after a failed accept */

struct fw_listener {
    /* Immutable after create. */
    const fw_port *port;
    nng_stream_listener *stream;
    nng_aio *accept;
    unsigned bound;
    /* The callback's. */
    bool pausing;
};

static void on_failure(fw_listener *listener, int failure)
{
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&listener->port->exchange->traffic.accept_failures, 1);
    fw_log(FW_LOG_WARN, "net.accept", "cannot accept on port %u: %s; trying again", listener->bound,
           nng_strerror(failure));
    listener->pausing = true;
    nng_sleep_aio(PAUSE_MS, listener->accept);
}

static void on_accepted(void *argument)
{
    fw_listener *listener = argument;
    fw_traffic *traffic = &listener->port->exchange->traffic;
    int failure = nng_aio_result(listener->accept);
    if (failure == NNG_ECLOSED || failure == NNG_ECANCELED)
        return;
    if (listener->pausing) {
        listener->pausing = false;
    } else if (failure != 0) {
        on_failure(listener, failure);
        return;
    } else {
        /* Relaxed: figures to be shown. */
        if (fw_connection_open(NULL, listener->port, nng_aio_get_output(listener->accept, 0)) == 0)
            fw_add_relaxed(&traffic->accepted, 1);
        else
            fw_add_relaxed(&traffic->refused_connections, 1);
    }
    nng_stream_listener_accept(listener->stream, listener->accept);
}

static int listen_at(fw_listener *listener, const char *address)
{
    int failure = nng_stream_listener_alloc(&listener->stream, address);
    if (failure != 0)
        return failure;
    /* For every stream it accepts. An answer is small and waited for: it is never delayed. A peer
     * whose machine is gone is noticed some day. */
    nng_stream_listener_set_bool(listener->stream, NNG_OPT_TCP_NODELAY, true);
    nng_stream_listener_set_bool(listener->stream, NNG_OPT_TCP_KEEPALIVE, true);
    failure = nng_stream_listener_listen(listener->stream);
    if (failure != 0)
        return failure;
    int bound = 0;
    failure = nng_stream_listener_get_int(listener->stream, NNG_OPT_TCP_BOUND_PORT, &bound);
    listener->bound = (unsigned)bound;
    return failure;
}

int fw_listener_create(fw_listener **out, const char **reason, const fw_port *port,
                       const char *address)
{
    fw_listener *listener = calloc(1, sizeof *listener);
    *reason = "out of memory";
    if (!listener)
        return -FW_ENOMEM;
    listener->port = port;
    int failure = nng_aio_alloc(&listener->accept, on_accepted, listener);
    if (failure == 0)
        failure = listen_at(listener, address);
    if (failure != 0) {
        *reason = nng_strerror(failure);
        fw_listener_destroy(listener);
        return failure == NNG_ENOMEM                                ? -FW_ENOMEM
               : failure == NNG_EADDRINVAL || failure == NNG_EINVAL ? -FW_EINVAL
                                                                    : -FW_EPERM;
    }
    *out = listener;
    return 0;
}

void fw_listener_run(fw_listener *listener)
{
    nng_stream_listener_accept(listener->stream, listener->accept);
}

unsigned fw_listener_bound(const fw_listener *listener)
{
    return listener->bound;
}

void fw_listener_destroy(fw_listener *listener)
{
    if (!listener)
        return;
    if (listener->stream)
        nng_stream_listener_close(listener->stream);
    if (listener->accept)
        nng_aio_stop(listener->accept);
    nng_aio_free(listener->accept);
    nng_stream_listener_free(listener->stream);
    free(listener);
}
