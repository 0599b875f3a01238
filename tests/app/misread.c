/* misread.c - a task whose hour is none. SPDX-License-Identifier: Apache-2.0 */
#include "fastworker/module.h"

static int idle(fw_call *c)
{
    return fw_ret_bool(c, 1);
}

static const fw_task_def tasks[] = {FW_TASK("hourless", idle, .cron = "0 25 * * *")};
FW_MODULE("misread", "1.0", tasks);
