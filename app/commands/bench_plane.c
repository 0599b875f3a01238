/* app/commands/bench_plane.c - a control plane for the length of a benchmark.
 *
 * The child is this program again; the kernel ends it when we end, however that is.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/commands/bench.h"
#include "app/commands/commands.h"
#include "app/commands/free_ports.h"

/* The samples lie beside the program where it was built, and below lib where it was installed. */
static bool find_samples(char out[PATH_MAX], const char *program)
{
    static const char *const places[] = {"modules", "../lib/fastworker/modules",
                                         "../lib/fastworker"};
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", program);
    const char *folder = dirname(copy);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int n = snprintf(out, PATH_MAX, "%s/%s/samples.so", folder, places[i]);
        if (n > 0 && n < PATH_MAX && access(out, R_OK) == 0)
            return true;
    }
    return false;
}

static _Noreturn void become_plane(const char *program, const fw_bench_plane *plane,
                                   const char *discovery, const char *modules, const char *threads,
                                   pid_t parent)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    execl(program, "fastworker", "control-plane", "--no-gui", "--base-address", plane->address,
          "--discovery-address", discovery, "--task-modules", modules, "--log-level", "error",
          threads ? "--threads" : (char *)NULL, threads, (char *)NULL);
    _exit(127);
}

int fw_bench_plane_start(fw_bench_plane *plane, const char *modules, const char *threads)
{
    char program[PATH_MAX], samples[PATH_MAX], discovery[64];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    if (!modules && !find_samples(samples, program)) {
        fprintf(stderr, "fastworker: the sample tasks are not beside the program: name a module "
                        "with --task-modules and its task with --task-name\n");
        return FW_ENDS_USAGE;
    }
    unsigned port = fw_free_ports();
    if (port == 0) {
        fprintf(stderr, "fastworker: there are no ten free ports in a row\n");
        return FW_ENDS_OTHERWISE;
    }
    snprintf(plane->address, sizeof plane->address, "tcp://127.0.0.1:%u", port);
    snprintf(discovery, sizeof discovery, "tcp://127.0.0.1:%u", port + FW_DISCOVERY_OFFSET);
    pid_t parent = getpid();
    plane->pid = fork();
    if (plane->pid == 0)
        become_plane(program, plane, discovery, modules ? modules : samples, threads, parent);
    if (plane->pid > 0)
        return 0;
    fprintf(stderr, "fastworker: fork: %s\n", strerror(errno));
    plane->pid = 0;
    return FW_ENDS_OTHERWISE;
}

void fw_bench_plane_stop(fw_bench_plane *plane)
{
    if (plane->pid <= 0)
        return;
    /* Nobody waits for what it still has. */
    kill(plane->pid, SIGKILL);
    waitpid(plane->pid, NULL, 0);
    plane->pid = 0;
}
