/* app/manage/cancel_where.c - see app/manage/cancel_where.h. Covered by
 * tests/app/cancel_where_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/cancel_where.h"

#include <stdio.h>
#include <string.h>

#include "app/commands/suggest.h"
#include "app/life/lifecycle_parts.h"
#include "app/manage/manage_text.h"
#include "app/workers/workers.h"
#include "base/clock.h"

/* --- conditions --- */

static const char *const names[] = {"name", "priority", "group", "older", "status"};
enum { NAME, PRIORITY, GROUP, OLDER, STATUS, NAMES };

static bool read_text(fw_span *to, char **at, char *end, fw_json value)
{
    if (!fw_json_string(value, *at, (size_t)(end - *at), to) || to->len == 0)
        return false;
    *at += to->ptr == *at ? to->len : 0;
    return true;
}

static bool read_state(fw_state *to, fw_json value)
{
    int state = value.type == FW_JSON_STRING
                    ? fw_state_parse((fw_span){value.text.ptr + 1, value.text.len - 2})
                    : -1;
    *to = (fw_state)state;
    return state == FW_QUEUED || state == FW_SCHEDULED || state == FW_RETRYING ||
           state == FW_RUNNING;
}

static bool read_level(int *to, fw_json value)
{
    *to = value.type == FW_JSON_STRING
              ? fw_prio_parse((fw_span){value.text.ptr + 1, value.text.len - 2})
              : -1;
    return *to >= 0;
}

static bool read_age(int64_t *to, fw_json value)
{
    double seconds;
    if (!fw_json_double(value, &seconds) || !(seconds >= 0 && seconds < 3e9))
        return false;
    *to = (int64_t)(seconds * 1e9);
    return true;
}

static const char *wanted(int which)
{
    static const char *const kinds[NAMES] = {"a task's name", "low, normal, high or critical",
                                             "a group's name", "seconds",
                                             "queued, scheduled, retrying or running"};
    return kinds[which];
}

static bool unknown(char *error, fw_span key)
{
    fw_suggest_say(error, 160, "where: ", key, "is no condition", names, NAMES);
    return false;
}

bool fw_where_read(fw_where *out, char error[160], char room[1024], fw_json where)
{
    char *at = room, *end = room + 1024;
    fw_json value;
    fw_span key;
    *out = (fw_where){.level = -1, .state = FW_UNKNOWN};
    if (where.type != FW_JSON_OBJECT || fw_json_count(where) == 0) {
        snprintf(error, 160, "where: an object with at least one condition is wanted");
        return false;
    }
    for (fw_json_cursor c = fw_json_open(where); fw_json_next_member(&c, &key, &value);) {
        int which = 0;
        while (which < NAMES && !fw_json_key_is(key, names[which]))
            which++;
        if (which == NAMES)
            return unknown(error, key);
        bool good = which == NAME       ? read_text(&out->name, &at, end, value)
                    : which == PRIORITY ? read_level(&out->level, value)
                    : which == GROUP    ? read_text(&out->group, &at, end, value)
                    : which == OLDER    ? read_age(&out->older_ns, value)
                                        : read_state(&out->state, value);
        if (good)
            continue;
        snprintf(error, 160, "where: '%s' must be %s", names[which], wanted(which));
        return false;
    }
    return true;
}

/* --- tasks --- */

typedef struct walk {
    fw_lifecycle *life;
    const fw_where *where;
    fw_where_outcome *out;
    int64_t before_wall_ns;
    bool dry;
    bool running; /* this round is for those that run, else for the others */
} walk;

static bool is_of_group(fw_task *task, fw_span group)
{
    fw_task_options options;
    char error[FW_TASK_OPTIONS_ERROR];
    fw_span text = fw_record_options(task);
    return text.len > 0 && fw_task_options_read(&options, text, error) &&
           options.group.len == group.len && memcmp(options.group.ptr, group.ptr, group.len) == 0;
}

static bool fits(const walk *w, fw_task *task, fw_state state)
{
    const fw_where *where = w->where;
    if ((where->level >= 0 && task->level != where->level) ||
        (where->state != FW_UNKNOWN && state != where->state) ||
        (where->older_ns > 0 && task->created_wall_ns > w->before_wall_ns))
        return false;
    fw_span name = fw_name_text(fw_names_at(w->life->names, task->name));
    if (where->name.len > 0 &&
        (name.len != where->name.len || memcmp(name.ptr, where->name.ptr, name.len) != 0))
        return false;
    return where->group.len == 0 || is_of_group(task, where->group);
}

static void count(fw_where_outcome *out, fw_state state)
{
    size_t *to = state == FW_QUEUED      ? &out->queued
                 : state == FW_SCHEDULED ? &out->scheduled
                 : state == FW_RETRYING  ? &out->retrying
                                         : &out->running;
    ++*to;
}

static bool visit(void *context, fw_task *task)
{
    walk *w = context;
    fw_state state = fw_task_state(task);
    if (state == FW_ASSIGNED)
        state = FW_RUNNING;
    if (fw_state_is_over(state) || (state == FW_RUNNING) != w->running || !fits(w, task, state))
        return true;
    w->out->matched++;
    if (w->dry) {
        count(w->out, state);
        return true;
    }
    fw_cancel outcome = fw_engine_cancel(w->life->engine, task);
    if (outcome == FW_CANCEL_LATE || outcome == FW_CANCEL_UNKNOWN) {
        w->out->late++;
    } else if (outcome == FW_CANCEL_RUNNING) {
        count(w->out, FW_RUNNING);
        if (w->life->workers)
            fw_workers_cancel(w->life->workers, task);
    } else {
        /* It may have come out of its wait meanwhile. */
        count(w->out, state == FW_RUNNING ? FW_QUEUED : state);
    }
    return true;
}

void fw_cancel_where(fw_lifecycle *life, fw_where_outcome *out, const fw_where *where, bool dry)
{
    walk w = {.life = life,
              .where = where,
              .out = out,
              .before_wall_ns = fw_wall_ns() - where->older_ns,
              .dry = dry};
    *out = (fw_where_outcome){0};
    /* No read section around it: the engine has one for each piece of the walk, so that what ends
     * meanwhile is given back. Those that wait first: one that runs and is told to end would make
     * way for them. */
    fw_engine_each(life->engine, visit, &w);
    w.running = true;
    fw_engine_each(life->engine, visit, &w);
    if (life->net)
        fw_net_flush(life->net);
}

void fw_cancel_where_write(fw_buffer *out, const fw_where_outcome *outcome, bool dry)
{
    fw_buffer_format(out,
                     "{\"matched\": %zu, \"cancelled\": {\"queued\": %zu, \"scheduled\": %zu, "
                     "\"retrying\": %zu}, \"asked\": %zu, \"late\": %zu, \"dry_run\": %s}",
                     outcome->matched, outcome->queued, outcome->scheduled, outcome->retrying,
                     outcome->running, outcome->late, dry ? "true" : "false");
}

bool fw_cancel_where_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out)
{
    fw_where where;
    fw_where_outcome outcome;
    char error[160], room[1024];
    if (!fw_text_is(action, "cancel_where"))
        return false;
    if (!fw_where_read(&where, error, room, fw_json_get(request, "where"))) {
        fw_manage_fail(out, "invalid", error);
        return true;
    }
    bool dry = fw_json_get(request, "dry_run").type == FW_JSON_TRUE;
    fw_cancel_where(life, &outcome, &where, dry);
    fw_cancel_where_write(out, &outcome, dry);
    return true;
}
