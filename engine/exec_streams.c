/* engine/exec_streams.c - a process and the pipes to it. Our ends do not block, its own do.
 * Covered by tests/engine/exec_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/exec_priv.h"

enum { FIRST_FREE = 10 /* above every number that a process gives a meaning to */ };

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Above the numbers that are given away, so that none is in another's way. */
static bool lift(int *fd)
{
    if (*fd >= FIRST_FREE)
        return true;
    int higher = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    close(*fd);
    *fd = higher;
    return higher >= 0;
}

/* ours and its; which of them is written is the caller's choice. */
static bool make_pipe(int *ours, int *its, bool we_write)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *ours = ends[we_write ? 1 : 0];
    *its = ends[we_write ? 0 : 1];
    return lift(ours) && lift(its) && fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

void fw_exec_close(fw_exec_streams *streams)
{
    close_one(&streams->in);
    close_one(&streams->out);
    close_one(&streams->err);
    close_one(&streams->note);
}

int fw_exec_spawn(const fw_exec_task *task, fw_process *process, fw_exec_streams *streams,
                  char *const *argv, char *const *environment)
{
    int its[3] = {-1, -1, -1}, note = -1, rc = -FW_EPERM;
    *streams = (fw_exec_streams){-1, -1, -1, -1};
    bool ready = make_pipe(&streams->in, &its[0], true) &&
                 make_pipe(&streams->out, &its[1], false) &&
                 make_pipe(&streams->err, &its[2], false) &&
                 (task->plan.progress_fd == 0 || make_pipe(&streams->note, &note, false));
    fw_process_plan plan = {.program = argv[0],
                            .argv = argv,
                            .give = note,
                            .give_as = task->plan.progress_fd,
                            .own_group = true,
                            .streams = its,
                            .environment = environment,
                            .directory = task->plan.directory,
                            .limits = task->limits,
                            .limit_count = task->limit_count,
                            .cpus = &task->cpus,
                            .no_new_privileges = true,
                            .leave_nothing = true};
    if (ready)
        rc = fw_process_start(process, &plan);
    int error = errno;
    for (int i = 0; i < 3; i++)
        close_one(&its[i]);
    close_one(&note);
    if (rc < 0)
        fw_exec_close(streams);
    errno = error;
    return rc;
}
