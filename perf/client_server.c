/* perf/client_server.c - see perf/client_server.h. SPDX-License-Identifier: Apache-2.0 */
#include "client_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/commands/free_ports.h"

int server_start(server *s, const char *program, const char *module)
{
    unsigned port = fw_free_ports();
    char discovery[64];
    if (port == 0) {
        fprintf(stderr, "client_load: no free ports\n");
        return -1;
    }
    snprintf(s->address, sizeof(s->address), "tcp://127.0.0.1:%u", port);
    snprintf(discovery, sizeof(discovery), "tcp://127.0.0.1:%u", port + FW_DISCOVERY_OFFSET);
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
