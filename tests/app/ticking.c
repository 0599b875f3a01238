/* ticking.c - tasks that run by the clock. SPDX-License-Identifier: Apache-2.0 */
#include "fastworker/module.h"

static int tick(fw_call *c)
{
    return fw_ret_bool(c, 1);
}

static const fw_task_def tasks[] = {
    FW_TASK("mark", tick, .every_ms = 50),
    FW_TASK("nightly", tick, .cron = "TZ=Europe/Berlin 0 3 * * *"),
    FW_TASK("thrice", tick, .every_ms = 60, .repeat_count = 3),
    FW_TASK("never", tick, .every_ms = 60, .repeat_until = "2020-01-01T00:00:00"),
};
FW_MODULE("ticking", "1.0", tasks);
