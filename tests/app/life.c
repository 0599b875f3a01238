/* life.c - tasks whose lives are looked at: they tell progress, poll, retry, listen or do not.
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fastworker/module.h"

enum { SLICE_MS = 2 };

/* Tells how far it is, and goes on until it is cancelled or the file is there. */
static int report(fw_call *c)
{
    const char *until = "";
    int rc = fw_args(c, "|s", "until", &until);
    if (rc < 0)
        return rc;
    for (uint64_t i = 1; i <= 7; i++)
        fw_progress(c, i, 10, i == 7 ? "seven \xc3\xa4pfel" : "");
    while (!fw_cancelled(c)) {
        if (until[0] && access(until, F_OK) == 0)
            return fw_ret_str(c, "seen");
        poll(NULL, 0, SLICE_MS);
    }
    return fw_ret_str(c, "too late");
}

/* Waits in poll for a cancel or the deadline, and returns as if nothing had been. */
static int polls(fw_call *c)
{
    struct pollfd look = {fw_cancel_fd(c), POLLIN, 0};
    if (look.fd < 0)
        return look.fd;
    fw_progress(c, 1, 1, "polls");
    while (poll(&look, 1, -1) < 1)
        continue;
    return fw_fail(c, "woken");
}

/* Hears nothing, until the file is there. */
static int deaf(fw_call *c)
{
    const char *until;
    int rc = fw_args(c, "s", "until", &until);
    if (rc < 0)
        return rc;
    while (access(until, F_OK) != 0)
        poll(NULL, 0, SLICE_MS);
    return fw_ret_str(c, "it does not matter");
}

static int flaky(fw_call *c)
{
    int64_t good = 100;
    int rc = fw_args(c, "|i", "good", &good);
    if (rc < 0)
        return rc;
    if (fw_call_attempt(c) >= good)
        return fw_ret_int(c, fw_call_attempt(c));
    return fw_fail(c, "run %d of %s", fw_call_attempt(c), fw_call_name(c));
}

/* Again at once, whatever the task's own delay is. */
static int soon(fw_call *c)
{
    if (fw_call_attempt(c) == 2)
        return fw_ret_int(c, 2);
    return fw_retry(c, 1, "not yet");
}

/* Again in an hour: it is seen as RETRYING. */
static int later(fw_call *c)
{
    return fw_retry(c, 3600 * 1000, "not today");
}

static int final(fw_call *c)
{
    return fw_fail_final(c, "never");
}

static int header(fw_call *c)
{
    return fw_ret_str(c, fw_call_header(c, "traceparent"));
}

/* Refuses who says so in a header. */
static int before(fw_call *c)
{
    const char *word = fw_call_header(c, "x-refuse");
    return word ? fw_fail_final(c, "refused: %s", word) : 0;
}

static const fw_task_def tasks[] = {
    FW_TASK("report", report, .flags = FW_F_BLOCKING),
    FW_TASK("polls", polls, .flags = FW_F_BLOCKING),
    FW_TASK("deaf_until", deaf, .flags = FW_F_BLOCKING),
    FW_TASK("flaky", flaky, .max_retries = 2, .retry_delay_ms = 1, .retry_factor = 1),
    FW_TASK("flaky_long", flaky, .max_retries = 11, .retry_delay_ms = 1, .retry_factor = 1),
    FW_TASK("soon", soon, .max_retries = 1, .retry_delay_ms = 3600 * 1000, .retry_jitter = 0.5),
    FW_TASK("later", later, .max_retries = 1),
    FW_TASK("final", final, .max_retries = 5, .retry_delay_ms = 1),
    FW_TASK("header", header),
    FW_TASK("narrow", header, .max_running = 1, .rate_per_s = 50),
    FW_TASK("on_time", header, .cron = "0 3 * * *", .tz = "Europe/Berlin",
            .overlap = FW_SCHEDULE_ALLOW, .catchup = FW_MISSED_ONE),
};
FW_MODULE_WITH("life", "1.0", tasks, .before = before);
