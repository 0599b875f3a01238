/* app/commands/free_ports.c - see app/commands/free_ports.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/free_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* Below those that the system gives out by itself. */
enum { PORTS = 10, FIRST = 11000, RANGE = 9000 };

static bool is_free(unsigned port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool bound = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return bound;
}

unsigned fw_free_ports(void)
{
    unsigned start = (unsigned)getpid() * PORTS;
    for (unsigned tries = 0; tries < RANGE / PORTS; tries++) {
        unsigned port = FIRST + (start + tries * PORTS) % RANGE, n = 0;
        while (n < PORTS && is_free(port + n))
            n++;
        if (n == PORTS)
            return port;
    }
    return 0;
}
