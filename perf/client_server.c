/* perf/client_server.c - see perf/client_server.h. SPDX-License-Identifier: Apache-2.0 */
#include "client_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The base address takes six ports, discovery two. */
enum { PORTS = 10, FIRST = 11000, RANGE = 9000 };

static bool is_free(unsigned port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool bound = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return bound;
}

static unsigned free_block(void)
{
    unsigned start = (unsigned)getpid() * 16;
    for (unsigned tries = 0; tries < RANGE / PORTS; tries++) {
        unsigned port = FIRST + (start + tries * PORTS) % RANGE, n = 0;
        while (n < PORTS && is_free(port + n))
            n++;
        if (n == PORTS)
            return port;
    }
    return 0;
}

int server_start(server *s, const char *program, const char *module)
{
    unsigned port = free_block();
    char discovery[64];
    if (port == 0) {
        fprintf(stderr, "client_load: no free ports\n");
        return -1;
    }
    snprintf(s->address, sizeof(s->address), "tcp://127.0.0.1:%u", port);
    snprintf(discovery, sizeof(discovery), "tcp://127.0.0.1:%u", port + 8);
    s->pid = fork();
    if (s->pid < 0) {
        perror("client_load: fork");
        return -1;
    }
    if (s->pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, STDOUT_FILENO);
        execl(program, program, "control-plane", "--no-gui", "--base-address", s->address,
              "--discovery-address", discovery, "--task-modules", module, "--log-level", "warn",
              (char *)NULL);
        perror(program);
        _exit(127);
    }
    return 0;
}

double server_stop(server *s)
{
    struct rusage used = {0};
    if (s->pid <= 0)
        return 0;
    kill(s->pid, SIGTERM);
    wait4(s->pid, NULL, 0, &used);
    s->pid = 0;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}
