/* app/manage/limits.c - see app/manage/limits.h. Covered by tests/app/limits_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/limits.h"

#include <math.h>
#include <string.h>

#include "app/events/event_posts.h"
#include "app/life/record.h"
#include "app/manage/manage_text.h"
#include "base/clock.h"
#include "engine/dispatch.h"
#include "engine/limits.h"

static const double pause_max_s = 366 * 86400.0;

/* --- keys --- */

/* Under the dispatcher's duty: one thread at a time, not always the same. */
static fw_span key_of(void *context, fw_task *task)
{
    enum { ROOM = 6 * 256 }; /* of 255 bytes, each written as an escape */
    static _Thread_local char room[ROOM];
    fw_span options = fw_record_options(task), key;
    (void)context;
    if (options.len == 0 ||
        !fw_json_string(fw_json_get(fw_json_parse(options), "key"), room, sizeof room, &key))
        return (fw_span){0};
    return key;
}

void fw_limits_begin(fw_engine *engine)
{
    fw_limit_key_by(engine, key_of, NULL);
}

static bool has(fw_json request, const char *key)
{
    return fw_json_is_there(fw_json_get(request, key));
}

/* --- what there is --- */

static void add_pause(fw_buffer *out, int64_t until_ns)
{
    int64_t now_ns = fw_now_ns();
    fw_buffer_format(out, "\"paused\": %s, \"resumes_in\": ", until_ns != 0 ? "true" : "false");
    if (until_ns == 0 || until_ns == FW_PAUSE_FOREVER)
        fw_buffer_text(out, "null");
    else
        fw_buffer_format(out, "%.3f", until_ns > now_ns ? (double)(until_ns - now_ns) / 1e9 : 0.0);
}

typedef struct listing {
    const fw_lifecycle *life;
    fw_buffer *out;
    bool any;
} listing;

static void add_limit(const fw_lifecycle *life, fw_buffer *out, const fw_limit_view *view)
{
    size_t waiting = 0;
    for (int level = 0; level < FW_LEVELS; level++)
        waiting += view->waiting[level];
    fw_buffer_text(out, "{\"task\": ");
    fw_buffer_json_string(out, fw_name_text(fw_names_at(life->names, view->name)));
    fw_buffer_format(out, ", \"max_running\": %u, \"rate\": ", view->max_running);
    fw_buffer_json_double(out, view->rate_per_s);
    fw_buffer_format(out, ", \"burst\": %u, \"key_max_running\": %u, \"key_rate\": ", view->burst,
                     view->key_max_running);
    fw_buffer_json_double(out, view->key_rate_per_s);
    fw_buffer_format(out, ", \"key_burst\": %u, \"keys\": %zu, \"keys_shared\": %llu, ",
                     view->key_burst, view->keys, (unsigned long long)view->keys_shares);
    add_pause(out, view->paused_until_ns);
    fw_buffer_format(out, ", \"waiting\": %zu, \"running\": %u, \"held\": %s}", waiting,
                     view->running, view->held ? "true" : "false");
}

static bool list_limit(void *context, const fw_limit_view *view)
{
    listing *l = context;
    fw_buffer_text(l->out, l->any ? ", " : "");
    l->any = true;
    add_limit(l->life, l->out, view);
    return true;
}

static void write_limits(const fw_lifecycle *life, fw_buffer *out)
{
    listing l = {life, out, false};
    fw_pause_view pauses;
    fw_dispatch_stats stats;
    fw_limit_pauses(life->engine, &pauses);
    fw_dispatch_snapshot(life->engine, &stats);
    fw_buffer_text(out, "{\"limits\": [");
    fw_limit_each(life->engine, list_limit, &l);
    fw_buffer_text(out, "], \"queues\": [");
    for (int level = 0; level < FW_LEVELS; level++) {
        fw_buffer_format(out, "%s{\"priority\": \"%s\", ", level ? ", " : "",
                         fw_prio_name((fw_prio)level));
        add_pause(out, pauses.level_until_ns[level]);
        fw_buffer_format(out, ", \"waiting\": %zu, \"held\": %zu}", stats.waiting[level],
                         pauses.held[level]);
    }
    fw_buffer_text(out, "], ");
    add_pause(out, pauses.all_until_ns);
    fw_buffer_text(out, "}");
}

/* --- what is asked for --- */

/* The name of the member `task`; NULL, and it was said why. */
static const fw_name *name_of(fw_lifecycle *life, fw_json request, bool add, fw_buffer *out)
{
    char text[FW_NAME_MAX + 1];
    fw_span span;
    if (!fw_json_string(fw_json_get(request, "task"), text, sizeof text, &span) || span.len == 0) {
        fw_manage_fail(out, "invalid", "task: the name of a task is wanted");
        return NULL;
    }
    const fw_name *name = add ? fw_names_add(life->names, span) : fw_names_find(life->names, span);
    if (!name && add)
        fw_manage_fail(out, "invalid", "task: too long, or there are too many names");
    else if (!name)
        fw_manage_fail(out, "unknown", "no such task");
    return name;
}

static bool find_limit(void *context, const fw_limit_view *view)
{
    fw_limit_view *found = context;
    if (view->name == found->name)
        *found = *view;
    return view->name != found->name;
}

/* Limits per key also go by the name that files and the command line have for them. */
static const char *const others[][2] = {{"key_max_running", "per_key_running"},
                                        {"key_rate", "per_key_rate"},
                                        {"key_burst", "per_key_burst"}};
enum { OTHERS = sizeof others / sizeof others[0] };

static bool says_twice(fw_json request)
{
    for (size_t i = 0; i < OTHERS; i++)
        if (has(request, others[i][0]) && has(request, others[i][1]))
            return true;
    return false;
}

static fw_json limit_of(fw_json request, const char *key)
{
    for (size_t i = 0; i < OTHERS; i++)
        if (strcmp(key, others[i][0]) == 0 && !has(request, key))
            return fw_json_get(request, others[i][1]);
    return fw_json_get(request, key);
}

static bool has_limit(fw_json request, const char *key)
{
    return fw_json_is_there(limit_of(request, key));
}

/* A member that is a whole number, if it is there. False: it is another thing. */
static bool read_count(fw_json request, const char *key, uint32_t *count)
{
    int64_t number;
    if (!has_limit(request, key))
        return true;
    if (!fw_json_int(limit_of(request, key), &number) || number < 0 || number > UINT32_MAX)
        return false;
    *count = (uint32_t)number;
    return true;
}

static bool read_rate(fw_json request, const char *key, double *rate)
{
    if (!has_limit(request, key))
        return true;
    return fw_json_double(limit_of(request, key), rate) && isfinite(*rate);
}

/* 0, or why not. */
static int set_both(fw_engine *engine, fw_json request, const fw_limit_view *view)
{
    static const char *const of_name[] = {"max_running", "rate", "burst"};
    static const char *const of_key[] = {"key_max_running", "key_rate", "key_burst"};
    bool name = false, key = false;
    for (size_t i = 0; i < sizeof of_name / sizeof of_name[0]; i++) {
        name = name || has_limit(request, of_name[i]);
        key = key || has_limit(request, of_key[i]);
    }
    int rc = 0;
    if (key)
        rc = fw_limit_set_keys(engine, view->name, view->key_max_running, view->key_rate_per_s,
                               view->key_burst);
    if (rc == 0 && (name || !key))
        rc = fw_limit_set(engine, view->name, view->max_running, view->rate_per_s, view->burst);
    return rc;
}

static const char *why_not(int rc)
{
    if (rc == -FW_EFULL)
        return "too many tasks have a limit per key";
    return rc == -FW_ENOMEM ? "out of memory" : "rate: 0, or from 0.000001 to 1000000000 a second";
}

static void set_limit(fw_lifecycle *life, fw_json request, fw_buffer *out)
{
    const fw_name *name = name_of(life, request, true, out);
    if (!name)
        return;
    if (says_twice(request)) {
        fw_manage_fail(out, "invalid", "key_... and per_key_... are the same: one of them");
        return;
    }
    fw_limit_view view = {.name = name->index};
    fw_limit_each(life->engine, find_limit, &view);
    if (has(request, "rate"))
        view.burst = 0;
    if (has_limit(request, "key_rate"))
        view.key_burst = 0;
    if (!read_count(request, "max_running", &view.max_running) ||
        !read_count(request, "burst", &view.burst) ||
        !read_rate(request, "rate", &view.rate_per_s) ||
        !read_count(request, "key_max_running", &view.key_max_running) ||
        !read_count(request, "key_burst", &view.key_burst) ||
        !read_rate(request, "key_rate", &view.key_rate_per_s)) {
        fw_manage_fail(out, "invalid",
                       "max_running and burst: counts; rate: a number of starts a second; "
                       "key_max_running, key_burst and key_rate: the same of each key");
        return;
    }
    /* A burst that is told together with the rate 0 goes with it. */
    if ((view.burst > 0 && view.rate_per_s <= 0 && !has(request, "rate")) ||
        (view.key_burst > 0 && view.key_rate_per_s <= 0 && !has_limit(request, "key_rate"))) {
        fw_manage_fail(out, "invalid", "burst: there is no rate that it could be for");
        return;
    }
    int rc = set_both(life->engine, request, &view);
    if (rc < 0) {
        fw_manage_fail(out, "invalid", why_not(rc));
        return;
    }
    fw_limit_view now = {.name = name->index};
    fw_limit_each(life->engine, find_limit, &now);
    add_limit(life, out, &now);
}

/* 0, or an end by fw_now_ns. False: not a time. */
static bool read_end(fw_json request, int64_t *until_ns)
{
    double seconds;
    *until_ns = FW_PAUSE_FOREVER;
    if (!has(request, "for_seconds"))
        return true;
    if (!fw_json_double(fw_json_get(request, "for_seconds"), &seconds) ||
        !(seconds > 0 && seconds <= pause_max_s))
        return false;
    *until_ns = fw_now_ns() + (int64_t)(seconds * 1e9);
    return true;
}

typedef struct choice {
    fw_pause_scope scope;
    uint32_t which;
    const char *key;
    fw_span text; /* the value as JSON */
} choice;

/* False: none of the three or several, and it was said. */
static bool choose(fw_lifecycle *life, fw_json request, bool pause, choice *c, fw_buffer *out)
{
    bool all = false;
    char text[16];
    fw_span word;
    if (has(request, "all") && !fw_json_bool(fw_json_get(request, "all"), &all))
        all = false;
    if (has(request, "task") + has(request, "priority") + all != 1) {
        fw_manage_fail(out, "invalid", "one of task, priority and all is wanted");
        return false;
    }
    c->key = all ? "all" : has(request, "task") ? "task" : "priority";
    c->text = fw_json_get(request, c->key).text;
    if (all) {
        c->scope = FW_PAUSE_ALL;
        return true;
    }
    if (has(request, "task")) {
        const fw_name *name = name_of(life, request, pause, out);
        c->scope = FW_PAUSE_NAME;
        c->which = name ? name->index : 0;
        return name != NULL;
    }
    c->scope = FW_PAUSE_LEVEL;
    bool known = fw_json_string(fw_json_get(request, "priority"), text, sizeof text, &word);
    for (c->which = 0; known && c->which < FW_LEVELS; c->which++)
        if (fw_text_is(word, fw_prio_name((fw_prio)c->which)))
            return true;
    fw_manage_fail(out, "invalid", "priority: critical, high, normal or low");
    return false;
}

static void set_pause(fw_lifecycle *life, fw_json request, bool pause, fw_buffer *out)
{
    choice c = {.which = 0};
    int64_t until_ns = 0;
    if (!choose(life, request, pause, &c, out))
        return;
    if (pause && !read_end(request, &until_ns)) {
        fw_manage_fail(out, "invalid", "for_seconds: more than 0, and at most a year");
        return;
    }
    if (fw_limit_pause(life->engine, c.scope, c.which, until_ns) < 0) {
        fw_manage_fail(out, "invalid", "out of memory");
        return;
    }
    if (fw_is_heard(life))
        fw_post_pause(life, pause, c.key, c.text);
    fw_buffer_format(out, "{\"%s\": ", c.key);
    fw_buffer_add(out, c.text.ptr, c.text.len);
    fw_buffer_text(out, ", ");
    add_pause(out, until_ns);
    fw_buffer_text(out, "}");
}

bool fw_limits_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out)
{
    if (fw_text_is(action, "limits"))
        write_limits(life, out);
    else if (fw_text_is(action, "limit_set"))
        set_limit(life, request, out);
    else if (fw_text_is(action, "pause") || fw_text_is(action, "resume_queue"))
        set_pause(life, request, fw_text_is(action, "pause"), out);
    else
        return false;
    return true;
}
