/* web/listen.c - see web/listen.h. Covered by server_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "web/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "fastworker/types.h"

static int listen_on(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    FW_ASSERT(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
}

void fw_web_unlisten(fw_web_listeners *listeners)
{
    while (listeners->count > 0)
        close(listeners->fds[--listeners->count]);
}

int fw_web_listen(fw_web_listeners *out, const char *host, unsigned port, char *error,
                  size_t error_capacity)
{
    char service[16];
    struct addrinfo *found,
        hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    *out = (fw_web_listeners){.count = 0};
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_capacity, "dashboard address %s: %s", host, gai_strerror(rc));
        return -FW_EPERM;
    }
    for (struct addrinfo *a = found; a && out->count < FW_WEB_LISTENERS_MAX; a = a->ai_next) {
        int fd = listen_on(a);
        if (fd < 0) {
            snprintf(error, error_capacity,
                     "dashboard address %s:%u: %s. Choose another --gui-port, or --no-gui.", host,
                     port, strerror(errno));
            fw_web_unlisten(out);
            break;
        }
        out->fds[out->count++] = fd;
    }
    freeaddrinfo(found);
    if (out->count == 0)
        return -FW_EPERM;
    out->port = port_of(out->fds[0]);
    return 0;
}
