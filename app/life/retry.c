/* app/life/retry.c - see app/life/retry.h. Covered by sections_test.py and exec_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/retry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/life/record.h"
#include "app/life/task_options.h"
#include "base/clock.h"

static const int program_max = 3;
static const double wait_max_s = 1e9;
static const double module_delay_s = 60, module_delay_max_s = 3600;

typedef struct fw_retry_terms {
    int max_retries;
    double delay_s, backoff, backoff_max_s, jitter;
} fw_retry_terms;
typedef fw_retry_terms terms;

static double or_else(double value, double usual)
{
    return value > 0 ? value : usual;
}

int fw_retry_note(fw_lifecycle *life, uint32_t name, const fw_task_info *task)
{
    if (task->max_retries == 0)
        return 0;
    if (name >= life->terms_count) {
        terms *more = realloc(life->terms, (name + 1) * sizeof *more);
        if (!more)
            return -FW_ENOMEM;
        memset(more + life->terms_count, 0, (name + 1 - life->terms_count) * sizeof *more);
        life->terms = more;
        life->terms_count = name + 1;
    }
    life->terms[name] =
        (terms){task->max_retries, or_else((double)task->retry_delay_ms / 1e3, module_delay_s),
                or_else(task->retry_factor, 2),
                or_else((double)task->retry_max_ms / 1e3, module_delay_max_s), task->retry_jitter};
    return 0;
}

void fw_retry_forget(fw_lifecycle *life)
{
    free(life->terms);
    life->terms = NULL;
    life->terms_count = 0;
}

/* A subworker's tasks are its control plane's to try again. */
static terms terms_of(const fw_lifecycle *life, fw_task *task)
{
    const fw_record_extras *extras = fw_record_extras_of(task);
    const fw_name *name = fw_names_at(life->names, task->name);
    const fw_task_policy *policy = fw_name_policy(name);
    bool said = extras && extras->max_retries > 0;
    if (!said && life->workers && policy && policy->max_retries > 0)
        return (terms){policy->max_retries, policy->retry_delay_s, policy->retry_backoff,
                       policy->retry_backoff_max_s, 0};
    if (!said && task->name < life->terms_count && life->terms[task->name].max_retries > 0)
        return life->terms[task->name];
    if (extras)
        return (terms){extras->max_retries, extras->retry_delay_s, extras->retry_backoff,
                       extras->retry_backoff_max_s, 0};
    return (terms){0, 1, 2, 60, 0};
}

/* The wire's five fields: delay * backoff^n after the n-th failure, at most the maximum. */
static double wait_of(const terms *t, int failures)
{
    double wait_s = t->delay_s * pow(t->backoff, failures - 1);
    if (!(wait_s < t->backoff_max_s))
        wait_s = t->backoff_max_s;
    return !(wait_s >= 0) ? 0 : wait_s;
}

/* What the task itself wishes. Only asked when it failed, so its options are read anew. */
static void wish(terms *t, fw_task *task)
{
    fw_task_options options;
    char error[FW_TASK_OPTIONS_ERROR];
    fw_span text = fw_record_options(task);
    if (text.len == 0 || !fw_task_options_read(&options, text, error))
        return;
    t->delay_s = or_else(options.retry_delay_s, t->delay_s);
    t->backoff = or_else(options.retry_backoff, t->backoff);
    t->backoff_max_s = or_else(options.retry_backoff_max_s, t->backoff_max_s);
    t->jitter = or_else(options.retry_jitter, t->jitter);
}

/* 0 to 1, without the 1. */
static double chance(void)
{
    return (double)(fw_key_random().low >> 11) * 0x1p-53;
}

static bool is_program(const fw_lifecycle *life, fw_task *task)
{
    /* It may run elsewhere. */
    const fw_task_policy *policy = fw_name_policy(fw_names_at(life->names, task->name));
    return policy && policy->program;
}

int64_t fw_retry_due_ns(const fw_lifecycle *life, fw_task *task, const fw_call_output *output)
{
    terms t = terms_of(life, task);
    bool asked = output && output->again == FW_AGAIN_AFTER;
    /* Relaxed: changed between runs only. A lost worker is nobody's failure. */
    int failures = fw_load_relaxed(&task->attempt) - fw_load_relaxed(&fw_record_of(task)->losses);
    if (asked && t.max_retries == 0 && life->workers && is_program(life, task))
        t.max_retries = program_max;
    if (failures > t.max_retries || (output && output->again == FW_AGAIN_NEVER))
        return 0;
    wish(&t, task);
    double wait_s = wait_of(&t, failures) * (1 - t.jitter * chance());
    if (asked && output->again_ms >= 0)
        wait_s = (double)output->again_ms / 1e3;
    if (wait_s > wait_max_s)
        wait_s = wait_max_s;
    return fw_now_ns() + 1 + (int64_t)(wait_s * 1e9);
}
