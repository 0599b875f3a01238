/* app/schedules/schedule_start.c - where schedules come from and where their runs go: modules are
 * read, not run, so that it is the same for a control plane that runs no tasks itself. Covered by
 * schedule_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/schedules/schedule_manage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/retry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "engine/limits.h"

static void submit(void *context, const fw_submission *submission)
{
    fw_lifecycle_submit(context, submission, 1);
}

static bool is_alive(void *context, fw_key key)
{
    fw_lifecycle *life = context;
    fw_rcu_read_lock();
    bool alive = fw_engine_find(life->engine, key) != NULL;
    fw_rcu_read_unlock();
    return alive;
}

static void cancel(void *context, fw_key key)
{
    (void)fw_lifecycle_cancel(context, key);
}

static void ran(void *context, fw_span schedule, fw_span task, fw_key key)
{
    if (fw_is_heard(context))
        fw_post_schedule_ran(context, schedule, task, key);
}

static fw_span text_of(const char *text)
{
    return text ? (fw_span){text, strlen(text)} : (fw_span){0};
}

static int take_task(fw_schedules *schedules, char *error, size_t capacity,
                     const fw_task_info *task)
{
    char every[48], why[448];
    fw_plan plan = fw_plan_default();
    bool cron = task->cron && task->cron[0];
    if (!cron && task->every_ms == 0)
        return 0;
    snprintf(every, sizeof every, "@every %" PRId64 "ms", task->every_ms);
    plan.name = plan.task = text_of(task->name);
    plan.when = text_of(cron ? task->cron : every);
    plan.until = text_of(task->repeat_until);
    plan.count = task->repeat_count > 0 ? task->repeat_count : -1;
    plan.zone = text_of(task->tz);
    /* Ours have 0 for the default, and then the same order. */
    plan.overlap = task->overlap - 1;
    plan.catchup = task->catchup - 1;
    plan.from_module = true;
    int rc = -FW_EINVAL;
    if (cron && task->every_ms != 0)
        snprintf(why, sizeof why, "it has both .cron and .every_ms");
    else
        rc = fw_schedules_put(schedules, why, sizeof why, &plan, fw_wall_ns());
    if (rc < 0)
        snprintf(error, capacity, "task %s: %s", task->name, why);
    return rc;
}

_Static_assert(FW_SCHEDULE_SKIP - 1 == FW_OVERLAP_SKIP &&
                   FW_SCHEDULE_ALLOW - 1 == FW_OVERLAP_ALLOW &&
                   FW_MISSED_NONE - 1 == FW_CATCHUP_NONE && FW_MISSED_ALL - 1 == FW_CATCHUP_ALL,
               "one order");

/* What its author says of limits and retries; the configuration file goes before. */
static int take_options(fw_lifecycle *life, char *error, size_t capacity, const fw_task_info *task)
{
    const fw_name *name = fw_names_add(life->names, text_of(task->name));
    const fw_task_policy *policy = name ? fw_name_policy(name) : NULL;
    int rc = name ? fw_retry_note(life, name->index, task) : -FW_EFULL;
    bool limited = task->max_running > 0 || task->rate_per_s > 0;
    if (rc == 0 && limited && !(policy && (policy->max_running > 0 || policy->rate > 0)))
        rc = fw_limit_set(life->engine, name->index, (uint32_t)task->max_running, task->rate_per_s,
                          0);
    if (rc < 0)
        snprintf(error, capacity, "task %s: %s", task->name, fw_strerror(rc));
    return rc;
}

static int take_module(fw_lifecycle *life, char *error, size_t capacity, const char *name,
                       const char *module_path)
{
    char path[4096];
    fw_module_info info;
    int rc = fw_module_locate(path, sizeof path, error, capacity, name, module_path);
    if (rc == 0)
        rc = fw_module_read(&info, error, capacity, path);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < info.count && rc >= 0; i++) {
        rc = take_task(life->schedules, error, capacity, &info.tasks[i]);
        if (rc >= 0)
            rc = take_options(life, error, capacity, &info.tasks[i]);
    }
    fw_module_info_fini(&info);
    return rc < 0 ? rc : 0;
}

/* One that is part of the program; what is asked of a file's is asked of it. */
static int take_own(fw_lifecycle *life, char *error, size_t capacity, const fw_module *module)
{
    int rc = 0;
    for (uint32_t i = 0; rc >= 0 && i < module->task_count; i++) {
        const fw_task_def *def = &module->tasks[i];
        const fw_task_info task = {.name = (char *)(uintptr_t)def->name,
                                   .cron = (char *)(uintptr_t)def->cron,
                                   .repeat_until = (char *)(uintptr_t)def->repeat_until,
                                   .tz = (char *)(uintptr_t)def->tz,
                                   .max_retries = def->max_retries,
                                   .repeat_count = def->repeat_count,
                                   .max_running = def->max_running,
                                   .overlap = def->overlap,
                                   .catchup = def->catchup,
                                   .every_ms = def->every_ms,
                                   .retry_delay_ms = def->retry_delay_ms,
                                   .retry_max_ms = def->retry_max_ms,
                                   .retry_factor = def->retry_factor,
                                   .retry_jitter = def->retry_jitter,
                                   .rate_per_s = def->rate_per_s};
        rc = take_task(life->schedules, error, capacity, &task);
        if (rc >= 0)
            rc = take_options(life, error, capacity, &task);
    }
    return rc < 0 ? rc : 0;
}

int fw_schedules_start(fw_lifecycle *life, char *error, size_t error_capacity,
                       const fw_settings *settings)
{
    char name[1024];
    fw_schedule_config config = {
        .zone = settings->tz,
        .overlap = (fw_overlap)settings->overlap,
        .catchup = (fw_catchup)settings->catchup,
        .style = (fw_cron_style)settings->cron_compat,
        .ops = {.context = life, .submit = submit, .alive = is_alive, .cancel = cancel, .ran = ran},
    };
    int rc = fw_schedules_create(&life->schedules, error, error_capacity, &config);
    const char *at = settings->task_modules;
    if (rc == 0 && settings->own_module)
        rc = take_own(life, error, error_capacity, settings->own_module);
    while (rc == 0 && at && *(at += strspn(at, " ,"))) {
        size_t len = strcspn(at, " ,");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        rc = take_module(life, error, error_capacity, name, settings->module_path);
    }
    return rc;
}
