/* app/config_apply.c - see app/config_apply.h. Covered by sections_test.py.
 *
 * A reload changes what differs from what was applied before and nothing else: a limit that an
 * operator has set meanwhile stays. SPDX-License-Identifier: Apache-2.0 */
#include "app/config_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/schedules/schedules.h"
#include "app/settings/section_table.h"
#include "base/assert.h"
#include "base/clock.h"
#include "engine/limits.h"

static fw_span text_of(const char *text)
{
    return text ? (fw_span){text, strlen(text)} : (fw_span){0};
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)FW_NS_PER_S;
}

/* --- tasks --- */

static fw_task_policy policy_of(const fw_task_section *s)
{
    return (fw_task_policy){.timeout_ns = s->timeout_ns,
                            .max_retries = (int32_t)s->max_retries,
                            .retry_delay_s = seconds(s->retry_delay_ns),
                            .retry_backoff = s->retry_backoff,
                            .retry_backoff_max_s = seconds(s->retry_backoff_max_ns),
                            .isolate = s->isolate != 0,
                            .program = s->exec != NULL,
                            .max_running = (uint32_t)s->max_running,
                            .burst = (uint32_t)s->burst,
                            .rate = s->rate,
                            .key_max_running = (uint32_t)s->key_max_running,
                            .key_burst = (uint32_t)s->key_burst,
                            .key_rate = s->key_rate};
}

static bool same_limits(const fw_task_policy *a, const fw_task_policy *b)
{
    return a->max_running == b->max_running && a->burst == b->burst && a->rate == b->rate;
}

static bool same_key_limits(const fw_task_policy *a, const fw_task_policy *b)
{
    return a->key_max_running == b->key_max_running && a->key_burst == b->key_burst &&
           a->key_rate == b->key_rate;
}

static bool same_rest(const fw_task_policy *a, const fw_task_policy *b)
{
    return a->timeout_ns == b->timeout_ns && a->max_retries == b->max_retries &&
           a->retry_delay_s == b->retry_delay_s && a->retry_backoff == b->retry_backoff &&
           a->retry_backoff_max_s == b->retry_backoff_max_s && a->isolate == b->isolate &&
           a->program == b->program;
}

/* One name: from what it had to what it shall have. */
static int apply_one(fw_lifecycle *life, const fw_name *name, const fw_task_policy *now)
{
    static const fw_task_policy none = {.max_running = 0};
    const fw_task_policy *had = fw_name_policy(name);
    const fw_task_policy *before = had ? had : &none;
    if (life->workers && !same_limits(before, now)) {
        int rc = fw_limit_set(life->engine, name->index, now->max_running, now->rate, now->burst);
        if (rc < 0)
            return rc;
    }
    if (life->workers && !same_key_limits(before, now)) {
        int rc = fw_limit_set_keys(life->engine, name->index, now->key_max_running, now->key_rate,
                                   now->key_burst);
        if (rc < 0)
            return rc;
    }
    if (had && same_limits(had, now) && same_key_limits(had, now) && same_rest(had, now))
        return 0;
    fw_task_policy *policy = malloc(sizeof *policy);
    if (!policy)
        return -FW_ENOMEM;
    *policy = *now;
    policy->before = life->policies;
    life->policies = policy;
    fw_name_set_policy(name, policy);
    return 0;
}

static int forget_others(fw_lifecycle *life, const fw_sections *sections)
{
    static const fw_task_policy none = {
        .retry_delay_s = 1, .retry_backoff = 2, .retry_backoff_max_s = 60};
    int rc = 0;
    for (size_t i = 0; i < fw_names_count(life->names) && rc == 0; i++) {
        const fw_name *name = fw_names_at(life->names, i);
        if (fw_name_policy(name) && !fw_sections_task(sections, name->text))
            rc = apply_one(life, name, &none);
    }
    return rc;
}

int fw_config_apply_tasks(fw_lifecycle *life, char *error, size_t error_capacity,
                          const fw_sections *sections)
{
    int rc = forget_others(life, sections);
    for (size_t i = 0; i < sections->task_count && rc == 0; i++) {
        const fw_task_section *section = sections->tasks[i];
        fw_task_policy policy = policy_of(section);
        const fw_name *name = fw_names_add(life->names, text_of(section->head.name));
        rc = name ? apply_one(life, name, &policy) : -FW_EFULL;
        if (rc < 0)
            snprintf(error, error_capacity, "%s:%u: [task \"%s\"]: %s", section->head.path,
                     section->head.line, section->head.name, fw_strerror(rc));
    }
    return rc;
}

void fw_config_forget(fw_lifecycle *life)
{
    while (life->policies) {
        fw_task_policy *policy = life->policies;
        life->policies = policy->before;
        free(policy);
    }
}

/* --- schedules --- */

static fw_plan plan_of(const fw_schedule_section *s, fw_span when)
{
    fw_plan plan = fw_plan_default();
    plan.name = text_of(s->head.name);
    plan.task = text_of(s->task);
    plan.args = text_of(s->args);
    plan.kwargs = text_of(s->kwargs);
    plan.when = when;
    plan.zone = text_of(s->tz);
    plan.until = text_of(s->until);
    plan.overlap = (int)s->overlap - 1;
    plan.catchup = (int)s->catchup - 1;
    plan.window_ns = s->window_ns;
    plan.jitter_ns = s->jitter_ns;
    plan.count = s->count;
    plan.timeout_ns = s->timeout_ns;
    plan.max_retries = (int32_t)s->max_retries;
    plan.retry_delay_s = seconds(s->retry_delay_ns);
    plan.retry_backoff = s->retry_backoff;
    plan.level = (uint8_t)s->priority;
    plan.paused = s->paused != 0;
    plan.from_file = true;
    return plan;
}

static bool is_in_file(void *context, fw_span name)
{
    const fw_sections *sections = context;
    for (size_t i = 0; i < sections->schedule_count; i++) {
        fw_span own = text_of(sections->schedules[i]->head.name);
        if (own.len == name.len && memcmp(own.ptr, name.ptr, name.len) == 0)
            return true;
    }
    return false;
}

int fw_config_apply_schedules(fw_lifecycle *life, char *error, size_t error_capacity,
                              const fw_sections *sections)
{
    char when[FW_SCHEDULE_TEXT_MAX + 1], why[384];
    fw_schedules_orphan(life->schedules, is_in_file, (void *)(uintptr_t)sections);
    for (size_t i = 0; i < sections->schedule_count; i++) {
        const fw_schedule_section *s = sections->schedules[i];
        int len = snprintf(when, sizeof when, "%s%s", s->cron ? "" : "@every ",
                           s->cron ? s->cron : s->every);
        fw_plan plan = plan_of(s, (fw_span){when, (size_t)len < sizeof when ? (size_t)len : 0});
        int rc = fw_schedules_put(life->schedules, why, sizeof why, &plan, fw_wall_ns());
        if (rc < 0) {
            snprintf(error, error_capacity, "%s:%u: [schedule \"%s\"] %s", s->head.path,
                     s->head.line, s->head.name, why);
            return rc;
        }
    }
    return 0;
}

/* --- what a reload cannot do --- */

static bool differs(const fw_setting *key, const fw_task_section *a, const fw_task_section *b)
{
    char left[4096] = "", right[4096] = "";
    key->kind->print(key, (const char *)a + key->offset, left, sizeof left);
    key->kind->print(key, (const char *)b + key->offset, right, sizeof right);
    return strcmp(left, right) != 0;
}

static bool is_another_program(const fw_task_section *a, const fw_task_section *b)
{
    const fw_section_kind *kind = &fw_section_kinds[FW_SECTION_TASK];
    bool exec = false;
    if ((a && a->exec) != (b && b->exec))
        return true;
    for (size_t i = 0; i < kind->key_count && a && b && a->exec; i++) {
        exec |= strcmp(kind->keys[i].name, "exec") == 0;
        if (exec && differs(&kind->keys[i], a, b))
            return true;
    }
    return false;
}

static size_t add_name(char *out, size_t capacity, size_t used, const char *name)
{
    if (used + strlen(name) + 3 > capacity)
        return used;
    return used + (size_t)snprintf(out + used, capacity - used, "%s%s", used ? ", " : "", name);
}

void fw_config_restart_needed(char *out, size_t capacity, const fw_sections *started,
                              const fw_sections *now)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < now->task_count; i++) {
        const fw_task_section *task = now->tasks[i];
        if (is_another_program(fw_sections_task(started, task->head.name), task))
            used = add_name(out, capacity, used, task->head.name);
    }
    for (size_t i = 0; i < started->task_count; i++) {
        const fw_task_section *task = started->tasks[i];
        if (task->exec && !fw_sections_task(now, task->head.name))
            used = add_name(out, capacity, used, task->head.name);
    }
}
