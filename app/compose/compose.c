/* app/compose/compose.c - see app/compose/compose.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/compose/then_task.h"
#include "app/life/lifecycle_parts.h"
#include "base/clock.h"
#include "base/rcu.h"

static const char expired_words[] = "expired: it did not start in time";

/* --- the tables --- */

static bool still_waits(void *context, fw_key key)
{
    const fw_lifecycle *life = context;
    fw_task *task = fw_engine_find(life->engine, key);
    return task && fw_task_state(task) != FW_RUNNING && fw_record_extras_of(task);
}

int fw_compose_create(fw_lifecycle *life, size_t tasks_max)
{
    fw_compose *compose = calloc(1, sizeof *compose);
    if (!compose)
        return -FW_ENOMEM;
    compose->unique = fw_unique_create(FW_UNIQUE_KEYS_MAX);
    compose->groups = fw_named_groups_create(FW_GROUPS_MAX, FW_GROUP_IDLE_S * FW_NS_PER_S);
    compose->expiries = fw_expiries_create(still_waits, life, 2 * tasks_max);
    life->compose = compose;
    return compose->unique && compose->groups && compose->expiries ? 0 : -FW_ENOMEM;
}

void fw_compose_destroy(fw_lifecycle *life)
{
    fw_compose *compose = life->compose;
    if (!compose)
        return;
    fw_named_groups_destroy(life, compose->groups);
    fw_unique_destroy(compose->unique);
    fw_expiries_destroy(compose->expiries);
    free(compose);
    life->compose = NULL;
}

/* The id may be another task's by now: that has a time of its own, or none. */
static void expire(fw_lifecycle *life, fw_key key, int64_t now_ns)
{
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(life->engine, key);
    const fw_record_extras *extras = task ? fw_record_extras_of(task) : NULL;
    bool due = extras && extras->begin_by_ns != 0 && extras->begin_by_ns <= now_ns;
    /* Relaxed: one that begins at this moment was in time. */
    if (due && fw_load_relaxed(&task->started_wall_ns) == 0)
        (void)fw_lifecycle_expire(life, task, expired_words);
    fw_rcu_read_unlock();
}

void fw_compose_turn(fw_lifecycle *life, int64_t now_ns)
{
    fw_key key;
    fw_unique_sweep(life->compose->unique, now_ns);
    fw_named_groups_sweep(life, life->compose->groups, now_ns);
    while (fw_expiries_take(life->compose->expiries, &key, now_ns))
        expire(life, key, now_ns);
}

/* --- rules --- */

static bool say(char *error, const char *text)
{
    snprintf(error, FW_TASK_OPTIONS_ERROR, "options: %s", text);
    return false;
}

bool fw_after_next(fw_json_cursor *cursor, char room[6 * FW_ID_MAX + 2], fw_span *id)
{
    fw_json value;
    *id = (fw_span){NULL, 0};
    return fw_json_next(cursor, &value) && value.text.len <= 6 * FW_ID_MAX + 2 &&
           fw_json_string(value, room, 6 * FW_ID_MAX + 2, id) && id->len > 0 &&
           id->len <= FW_ID_MAX;
}

static bool after_agrees(const fw_task_options *options, const fw_submission *s, char *error)
{
    char room[6 * FW_ID_MAX + 2];
    fw_span id;
    size_t count = 0, all = fw_json_count((fw_json){FW_JSON_ARRAY, options->after});
    if (all > FW_AFTER_MAX)
        return say(error, "'after' has more than 10,000 ids");
    for (fw_json_cursor at = fw_after_open(options); fw_after_next(&at, room, &id); count++)
        if (fw_key_equal(fw_key_from_text(id), s->key))
            return say(error, "'after' has the task's own id");
    return count == all || say(error, "'after' must be an array of task ids");
}

bool fw_options_agree(const fw_lifecycle *life, const fw_task_options *o, const fw_submission *s,
                      char error[FW_TASK_OPTIONS_ERROR])
{
    fw_then_task then;
    bool follows = o->after.len > 0 || o->then.len > 0;
    if (!life->compose && (follows || o->unique.len > 0 || o->group.len > 0 || o->expires_ns != 0))
        return say(error, "after, expires, group, then and unique are a control plane's");
    if (o->unique_ns != 0 && o->unique.len == 0)
        return say(error, "'unique_for' needs 'unique'");
    if (o->unique_while != FW_UNIQUE_LIVE && o->unique.len == 0)
        return say(error, "'unique_while' needs 'unique'");
    if (o->unique_while == FW_UNIQUE_TIME && o->unique_ns == 0)
        return say(error, "'unique_while' \"time\" needs 'unique_for'");
    if (o->unique_while == FW_UNIQUE_QUEUED && o->unique_ns != 0)
        return say(error, "'unique_while' \"queued\" does not go with 'unique_for'");
    if (o->then.len > 0 && o->group.len == 0)
        return say(error, "'then' needs 'group'");
    if (follows && o->on_failure == FW_AFTER_UNSAID)
        return say(error, "'on_failure' must say what happens if one fails: fail, skip or run");
    if (!follows && o->group.len == 0 && o->on_failure != FW_AFTER_UNSAID)
        return say(error, "'on_failure' needs 'after' or 'group'");
    if (o->after.len > 0 && !after_agrees(o, s, error))
        return false;
    return o->then.len == 0 || fw_then_task_read(&then, error, o->then, s);
}

bool fw_compose_knows(fw_lifecycle *life, fw_key key)
{
    fw_cache_item item;
    return fw_engine_find(life->engine, key) ||
           fw_cache_get(life->cache, key, fw_now_ns(), true, &item) != FW_CACHE_UNKNOWN;
}

const char *fw_compose_refusal(const fw_lifecycle *life, const fw_task_options *o, fw_asked *asked)
{
    fw_key group = o->group.len > 0 ? fw_key_from_text(o->group) : asked->group;
    /* A member of one that is there needs no other. */
    if (!fw_key_equal(group, asked->group) && !fw_named_groups_has(life->compose->groups, group))
        asked->groups++;
    asked->group = group;
    asked->keys += o->unique.len > 0;
    asked->waits += o->group.len > 0;
    if (o->after.len > 0)
        asked->waits += fw_json_count((fw_json){FW_JSON_ARRAY, o->after});
    /* Relaxed: a limit, not a promise. */
    if (fw_load_relaxed(&life->waiters.count) + asked->waits > FW_WAITERS_MAX)
        return "too many wait already";
    if (o->unique.len > 0 && fw_unique_is_full(life->compose->unique, asked->keys))
        return "too many unique keys are taken";
    if (o->group.len > 0 && fw_named_groups_is_full(life->compose->groups, asked->groups))
        return "there are too many groups already";
    return NULL;
}

bool fw_compose_may_revive(fw_lifecycle *life, const fw_submission *s)
{
    fw_task_options options;
    fw_unique_key key;
    char error[FW_TASK_OPTIONS_ERROR];
    if (!life->compose || s->options.len == 0 ||
        !fw_task_options_read(&options, s->options, error) || options.unique.len == 0)
        return true;
    fw_unique_open(life->compose->unique, &key, options.unique, fw_now_ns());
    bool free = !key.holder || fw_key_equal(key.holder->task, s->key);
    fw_unique_close(&key);
    return free;
}

/* --- one task --- */

void fw_wishes_mark(const fw_wishes *wishes, fw_task *task)
{
    fw_record *record = fw_record_of(task);
    fw_record_note(task, wishes->node, wishes->begin_by_ns);
    record->composed = wishes->node || wishes->is_unique;
    if (wishes->node)
        fw_node_hold(wishes->node, task);
}

void fw_compose_begun(fw_lifecycle *life, fw_task *task)
{
    fw_task_options options;
    char error[FW_TASK_OPTIONS_ERROR];
    if (life->compose && fw_task_options_read(&options, fw_record_options(task), error) &&
        options.unique.len > 0 && options.unique_while == FW_UNIQUE_QUEUED)
        fw_unique_release(life->compose->unique, options.unique, task->key, false, fw_now_ns());
}

void fw_compose_ended(fw_lifecycle *life, fw_task *task)
{
    fw_task_options options;
    char error[FW_TASK_OPTIONS_ERROR];
    const fw_record_extras *extras = fw_record_extras_of(task);
    if (extras->node)
        fw_node_left(life, extras->node, task);
    /* It was read before it was admitted. */
    if (!fw_task_options_read(&options, fw_record_options(task), error) || options.unique.len == 0)
        return;
    fw_unique_release(life->compose->unique, options.unique, task->key,
                      fw_task_state(task) == FW_SUCCESS, fw_now_ns());
}
