/* stubborn.c - a task that does not listen: busy until its time is over, whatever it is told.
 * SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "fastworker/module.h"

static int stubborn(fw_call *c)
{
    double seconds;
    struct timespec now;
    int rc = fw_args(c, "d", "seconds", &seconds);
    if (rc < 0)
        return rc;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double until = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 + seconds;
    while ((double)now.tv_sec + (double)now.tv_nsec * 1e-9 < until)
        clock_gettime(CLOCK_MONOTONIC, &now);
    return fw_ret_bool(c, 1);
}

static const fw_task_def tasks[] = {FW_TASK("stubborn", stubborn, .doc = "Does not listen.")};
FW_MODULE("stubborn", "1.0", tasks);
