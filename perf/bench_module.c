/* perf/bench_module.c - a task for measurements: busy for a given time, by the clock.
 * SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

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

static const fw_task_def tasks[] = {FW_TASK("spin", spin, .doc = "Busy for us microseconds.")};
FW_MODULE("bench", "1.0", tasks);
