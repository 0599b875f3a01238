/* web/accept.c - see web/accept.h.
 *
 * Listeners are level-triggered: one that is read while nothing can be accepted would be called
 * again at once, for ever. So reading stops
 *
 *   at the most connections   until one closes;
 *   without a descriptor      until one closes or a pause is over, because what holds the
 *                             descriptors may be another part of the program.
 *
 * Who comes meanwhile waits in the system's queue, and is served then.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <h2o.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/log.h"

enum { ACCEPTS_PER_TURN = 16, PAUSE_MS = 100, UNACKED_TIMEOUT_MS = 20000 };

struct fw_web_acceptor {
    /* Written by the web thread. */
    fw_atomic(uint64_t) accepted, starved;
    /* The web thread's own. */
    h2o_accept_ctx_t how;
    h2o_socket_t *listeners[FW_WEB_LISTENERS_MAX];
    unsigned listener_count;
    struct fw_web_connection *connections;
    unsigned connection_count, connections_max;
    bool is_open;    /* the listeners are there, */
    bool is_reading; /* and are read */
    bool is_starving;
    h2o_timeout_t pause;
    h2o_timeout_entry_t again;
};

/* Hangs on a socket until it closes: the one reliable sign that a connection is gone. */
typedef struct fw_web_connection {
    struct fw_web_connection *next, **link;
    fw_web_acceptor *acceptor;
    h2o_socket_t *socket;
} connection;

/* --- listeners --- */

static void on_accept(h2o_socket_t *listener, const char *error);

static void stop_reading(fw_web_acceptor *acceptor)
{
    for (unsigned i = 0; acceptor->is_reading && i < acceptor->listener_count; i++)
        h2o_socket_read_stop(acceptor->listeners[i]);
    acceptor->is_reading = false;
}

static void read_again(fw_web_acceptor *acceptor)
{
    if (acceptor->is_reading || !acceptor->is_open)
        return;
    h2o_timeout_unlink(&acceptor->again);
    for (unsigned i = 0; i < acceptor->listener_count; i++)
        h2o_socket_read_start(acceptor->listeners[i], on_accept);
    acceptor->is_reading = true;
}

static void on_pause_over(h2o_timeout_entry_t *entry)
{
    read_again(FW_CONTAINER_OF(entry, fw_web_acceptor, again));
}

/* --- connections --- */

static void on_connection_close(void *data)
{
    connection *c = data;
    fw_web_acceptor *acceptor = c->acceptor;
    FW_ASSERT(acceptor->connection_count > 0);
    acceptor->connection_count--;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
    /* h2o tells first and closes then, in the same call: the descriptor is free when the listener
     * is called. */
    read_again(acceptor);
}

/* => false: no memory; the socket is closed. */
static bool keep_connection(fw_web_acceptor *acceptor, h2o_socket_t *socket)
{
    connection *c = calloc(1, sizeof *c);
    if (!c) {
        h2o_socket_close(socket);
        return false;
    }
    *c = (connection){acceptor->connections, &acceptor->connections, acceptor, socket};
    if (c->next)
        c->next->link = &c->next;
    acceptor->connections = c;
    acceptor->connection_count++;
    fw_count(&acceptor->accepted, 1);
    socket->on_close.cb = on_connection_close;
    socket->on_close.data = c;
    int limit = UNACKED_TIMEOUT_MS;
    setsockopt(h2o_socket_get_fd(socket), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    h2o_accept(&acceptor->how, socket);
    return true;
}

/* One line for each time that it begins. */
static void starve(fw_web_acceptor *acceptor, int reason)
{
    fw_count(&acceptor->starved, 1);
    if (!acceptor->is_starving)
        fw_log(FW_LOG_WARN, "web.accept",
               "%s: who comes to the dashboard waits (%u connections are open; LimitNOFILE or "
               "ulimit -n is the limit of the program)",
               strerror(reason), acceptor->connection_count);
    acceptor->is_starving = true;
    stop_reading(acceptor);
    if (!h2o_timeout_is_linked(&acceptor->again))
        h2o_timeout_link(acceptor->how.ctx->loop, &acceptor->pause, &acceptor->again);
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    fw_web_acceptor *acceptor = listener->data;
    if (error)
        return;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (acceptor->connection_count == acceptor->connections_max) {
            stop_reading(acceptor);
            return;
        }
        errno = 0;
        h2o_socket_t *socket = h2o_evloop_socket_accept(listener);
        if (socket && keep_connection(acceptor, socket))
            continue;
        int reason = socket ? ENOMEM : errno;
        if (reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == ENOBUFS)
            starve(acceptor, reason);
        else if (reason == EAGAIN)
            acceptor->is_starving = false; /* nobody waits any more */
        return;
    }
}

/* --- life --- */

fw_web_acceptor *fw_web_acceptor_create(unsigned connections_max)
{
    fw_web_acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (acceptor)
        acceptor->connections_max = connections_max;
    return acceptor;
}

void fw_web_acceptor_destroy(fw_web_acceptor *acceptor)
{
    free(acceptor);
}

void fw_web_acceptor_snapshot(const fw_web_acceptor *acceptor, fw_web_stats *out)
{
    *out = (fw_web_stats){.accepted = fw_count_read(&acceptor->accepted),
                          .starved = fw_count_read(&acceptor->starved)};
}

unsigned fw_web_acceptor_connections(const fw_web_acceptor *acceptor)
{
    return acceptor->connection_count;
}

void fw_web_acceptor_open(fw_web_acceptor *acceptor, h2o_context_t *context, h2o_hostconf_t **hosts,
                          SSL_CTX *papers, const fw_web_listeners *listening)
{
    acceptor->how = (h2o_accept_ctx_t){.ctx = context, .hosts = hosts, .ssl_ctx = papers};
    acceptor->listener_count = listening->count;
    h2o_timeout_init(context->loop, &acceptor->pause, PAUSE_MS);
    acceptor->again.cb = on_pause_over;
    for (unsigned i = 0; i < listening->count; i++) {
        acceptor->listeners[i] =
            h2o_evloop_socket_create(context->loop, listening->fds[i], H2O_SOCKET_FLAG_DONT_READ);
        acceptor->listeners[i]->data = acceptor;
    }
    acceptor->is_open = true;
    read_again(acceptor);
}

void fw_web_acceptor_renew(fw_web_acceptor *acceptor, SSL_CTX *papers)
{
    /* Connections that there are have a share in the old one. */
    SSL_CTX_free(acceptor->how.ssl_ctx);
    acceptor->how.ssl_ctx = papers;
}

void fw_web_acceptor_shut(fw_web_acceptor *acceptor)
{
    acceptor->is_open = acceptor->is_reading = false;
    h2o_timeout_unlink(&acceptor->again);
    for (unsigned i = 0; i < acceptor->listener_count; i++)
        h2o_socket_close(acceptor->listeners[i]);
}

void fw_web_acceptor_shut_connections(fw_web_acceptor *acceptor, int how)
{
    for (connection *c = acceptor->connections; c; c = c->next)
        shutdown(h2o_socket_get_fd(c->socket), how);
}

void fw_web_acceptor_leave(fw_web_acceptor *acceptor)
{
    FW_ASSERT(!acceptor->is_open && acceptor->connection_count == 0);
    h2o_timeout_dispose(acceptor->how.ctx->loop, &acceptor->pause);
    SSL_CTX_free(acceptor->how.ssl_ctx);
    acceptor->how.ssl_ctx = NULL;
}
