/* perf/bench_module.c - tasks for measurements: busy for a given time, by the clock; and one that
 * writes down when it begins.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fastworker/module.h"

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int spin(fw_call *c)
{
    int64_t us;
    int rc = fw_args(c, "i", "us", &us);
    if (rc < 0)
        return rc;
    int64_t until = now_ns() + us * 1000;
    while (now_ns() < until)
        ;
    return fw_ret_bool(c, 1);
}

/* Adds a line to a file, process and clock, and waits while another file is there. */
static int stamp(fw_call *c)
{
    const char *log, *gate;
    char line[64];
    int rc = fw_args(c, "ss", "log", &log, "gate", &gate);
    if (rc < 0)
        return rc;
    int len = snprintf(line, sizeof line, "%ld %lld\n", (long)getpid(), (long long)now_ns());
    int fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        return fw_fail(c, "cannot write %s", log);
    close(fd);
    const struct timespec pause = {.tv_nsec = 1000000};
    while (access(gate, F_OK) == 0 && !fw_cancelled(c))
        nanosleep(&pause, NULL);
    return fw_ret_bool(c, 1);
}

static const fw_task_def tasks[] = {
    FW_TASK("spin", spin, .doc = "Busy for us microseconds."),
    FW_TASK("stamp", stamp, .doc = "Write down when it began, and wait for the gate to go.",
            .flags = FW_F_BLOCKING),
};
FW_MODULE("bench", "1.0", tasks);
