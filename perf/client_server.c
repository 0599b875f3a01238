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

static void become(const server *s, const char *program, const char *module, unsigned port)
{
    char discovery[64];
    snprintf(discovery, sizeof(discovery), "tcp://127.0.0.1:%u", port + FW_DISCOVERY_OFFSET);
    int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, STDOUT_FILENO);
    /* The words of the second line are for one that keeps. */
    execl(program, program, "control-plane", "--no-gui", "--base-address", s->address,
          "--discovery-address", discovery, "--task-modules", module, "--log-level", "warn",
          s->keeps ? "--no-local" : (char *)NULL, "--queue-max", "8000000", "--queue-max-bytes",
          "70%", (char *)NULL);
    perror(program);
    _exit(127);
}

static int start(server *s, const char *program, const char *module, bool keeps)
{
    unsigned port = fw_free_ports();
    s->pid = 0;
    s->keeps = keeps;
    if (port == 0) {
        fprintf(stderr, "client_load: no free ports\n");
        return -1;
    }
    snprintf(s->address, sizeof(s->address), "tcp://127.0.0.1:%u", port);
    s->pid = fork();
    if (s->pid < 0) {
        perror("client_load: fork");
        return -1;
    }
    if (s->pid == 0)
        become(s, program, module, port);
    return 0;
}

int server_start(server *s, const char *program, const char *module)
{
    return start(s, program, module, false);
}

int server_start_keeping(server *s, const char *program, const char *module)
{
    return start(s, program, module, true);
}

double server_stop(server *s)
{
    struct rusage used = {0};
    if (s->pid <= 0)
        return 0;
    /* Ending millions of tasks in good order is not what was measured. */
    kill(s->pid, s->keeps ? SIGKILL : SIGTERM);
    wait4(s->pid, NULL, 0, &used);
    s->pid = 0;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}
