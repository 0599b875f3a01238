/* app/trial/trial.h - a control plane without network in this process, to try tasks in, and a clock
 * that need not be waited for.
 *
 * Everything between a submission and its stored end is the control plane's own; the trial submits
 * as POST /api/v1/tasks does, watches through the lifecycle's observer, takes the turns that the
 * program's main thread takes otherwise, and when the engine is idle it moves the clock to the next
 * time at which something happens. docs/decisions/0022-clock.md.
 * One thread at a time. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_TRIAL_H
#define FW_APP_TRIAL_H

#include <stdbool.h>

#include "fastworker/test.h"

typedef struct fw_trial fw_trial;

typedef struct fw_trial_config {
    /* Settings as flags, behind the command's name; outlive the trial. Without them there is one
     * thread, and the log tells warnings. */
    int argc;
    char **argv;
    const fw_module *own_module; /* NULL: none. Outlives the trial */
    bool real_time, schedules;
    bool is_library;  /* of a program that is not ours: no processes for isolated tasks */
    int64_t limit_ns; /* real time for one call; INT64_MAX: none */
} fw_trial_config;

enum { FW_TRIAL_ERROR = 320 };

/* 0, or an exit code, after a line on standard error. */
int fw_trial_create(fw_trial **out, const fw_trial_config *config);
/* Waits for tasks that run. NULL is accepted. */
void fw_trial_destroy(fw_trial *trial);

/* The name of a known task that is near to this one; NULL: none is. known: there is such a task. */
const char *fw_trial_suggest(const fw_trial *trial, const char *task, bool *known);
/* See fw_test_call; task: the whole object. */
int fw_trial_call(fw_trial *trial, fw_span task, const fw_test_outcome **out,
                  char error[FW_TRIAL_ERROR]);
/* What is known of the last call so far, also when it is not over. Until the next one. */
const fw_test_outcome *fw_trial_outcome(fw_trial *trial);
/* A run is still going on, and destroying would wait for it. */
bool fw_trial_runs(fw_trial *trial);
/* 0 or -FW_ETIME. */
int fw_trial_advance(fw_trial *trial, int64_t ns);
int64_t fw_trial_now_ns(const fw_trial *trial);
uint64_t fw_trial_count(fw_trial *trial, const char *task);

#endif
