/* net/listener.c - see net/listener.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "fastworker/types.h"
#include "net/address.h"
#include "net/loop.h"

enum {
    PAUSE_MS = 50, /* after a failed accept */
    ACCEPTS = 16   /* in one turn */
};

struct fw_listener {
    /* Immutable after create. */
    const fw_port *port;
    unsigned bound;
    bool runs; /* who created it */
    /* The loop's thread. */
    fw_polled polled;
    bool pausing;
};

static void on_failure(fw_listener *listener)
{
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&listener->port->exchange->traffic.accept_failures, 1);
    fw_log(FW_LOG_WARN, "net.accept", "cannot accept on port %u: %s; trying again", listener->bound,
           strerrordesc_np(errno));
    listener->pausing = true;
    listener->polled.late_ns = fw_now_ns() + PAUSE_MS * FW_NS_PER_MS;
}

/* An answer is small and waited for: it is never delayed. A peer whose machine is gone is noticed
 * some day. */
static void set_up(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* => true: there may be more. */
static bool accept_one(fw_listener *listener)
{
    fw_traffic *traffic = &listener->port->exchange->traffic;
    int fd = accept4(listener->polled.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        set_up(fd);
        /* Relaxed: figures to be shown. */
        if (fw_connection_open_socket(listener->port, fd) == 0)
            fw_add_relaxed(&traffic->accepted, 1);
        else
            fw_add_relaxed(&traffic->refused_connections, 1);
        return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return false;
    /* Whoever is gone before he is accepted is no failure of ours. */
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
        return true;
    on_failure(listener);
    return false;
}

static bool turn(fw_polled *polled, unsigned why)
{
    fw_listener *listener = (fw_listener *)(void *)((char *)polled - offsetof(fw_listener, polled));
    if (why & FW_TURN_LATE)
        listener->pausing = false;
    if (listener->pausing)
        return false;
    for (int i = 0; i < ACCEPTS; i++)
        if (!accept_one(listener))
            return false;
    return true;
}

/* => 0 or errno. */
static int bind_to(fw_listener *listener, const struct addrinfo *to)
{
    int on = 1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (fd < 0)
        return errno;
    listener->polled.fd = fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return errno;
    listener->bound = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                                     : ((struct sockaddr_in *)&at)->sin_port);
    return 0;
}

static int listen_at(fw_listener *listener, const char **reason, const char *address)
{
    fw_tcp_address to;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char port[16];
    *reason = "not an address";
    if (fw_tcp_address_parse(&to, (fw_span){address, strlen(address)}) < 0)
        return -FW_EINVAL;
    snprintf(port, sizeof port, "%u", to.port);
    const char *host = strcmp(to.host, "*") == 0 || to.host[0] == 0 ? "0.0.0.0" : to.host;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        *reason = failure == EAI_MEMORY ? "out of memory" : gai_strerror(failure);
        return failure == EAI_MEMORY ? -FW_ENOMEM : -FW_EINVAL;
    }
    failure = bind_to(listener, found);
    freeaddrinfo(found);
    if (failure != 0)
        *reason = strerrordesc_np(failure);
    return failure == 0 ? 0 : failure == ENOMEM ? -FW_ENOMEM : -FW_EPERM;
}

int fw_listener_create(fw_listener **out, const char **reason, const fw_port *port,
                       const char *address)
{
    fw_listener *listener = calloc(1, sizeof *listener);
    *reason = "out of memory";
    if (!listener)
        return -FW_ENOMEM;
    listener->port = port;
    listener->polled.fd = -1;
    listener->polled.turn = turn;
    listener->polled.loop = fw_exchange_side_loop(port->exchange);
    int err = listen_at(listener, reason, address);
    if (err < 0) {
        fw_listener_destroy(listener);
        return err;
    }
    *out = listener;
    return 0;
}

void fw_listener_run(fw_listener *listener)
{
    FW_ASSERT(!listener->runs);
    listener->runs = true;
    fw_loop_join(&listener->polled);
}

unsigned fw_listener_bound(const fw_listener *listener)
{
    return listener->bound;
}

void fw_listener_destroy(fw_listener *listener)
{
    if (!listener)
        return;
    if (listener->runs) {
        fw_loop_leave(&listener->polled);
        fw_loop_await(&listener->polled);
    }
    if (listener->polled.fd >= 0)
        close(listener->polled.fd);
    free(listener);
}
