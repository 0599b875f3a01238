/* app/schedules/schedule_manage.c - see app/schedules/schedule_manage.h. Covered by
 * schedule_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/schedules/schedule_manage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands/moment.h"
#include "app/manage/manage_text.h"
#include "base/clock.h"

enum { TEXT_MAX = 1024 };

/* --- showing --- */

typedef struct listing {
    fw_buffer *out;
    bool any, runs;
} listing;

static void add_text(fw_buffer *out, const char *key, const char *text)
{
    fw_buffer_format(out, "\"%s\": ", key);
    if (text && text[0])
        fw_buffer_json_string(out, fw_text_span(text));
    else
        fw_buffer_text(out, "null");
    fw_buffer_text(out, ", ");
}

static void add_time(fw_buffer *out, const char *key, int64_t ns)
{
    if (ns == 0 || ns == FW_SCHEDULE_NEVER)
        fw_buffer_format(out, "\"%s\": null, ", key);
    else
        fw_buffer_format(out, "\"%s\": %.3f, ", key, (double)ns / 1e9);
}

static void add_runs(fw_buffer *out, const fw_schedule_view *view)
{
    char id[FW_UUID_TEXT];
    fw_buffer_text(out, ", \"runs\": [");
    for (size_t i = 0; i < view->run_count; i++) {
        const fw_schedule_run *run = &view->runs[i];
        fw_key_format(id, run->key);
        fw_buffer_format(out, "%s{\"task_id\": \"%.*s\", \"status\": \"%s\", \"reason\": \"%s\", ",
                         i > 0 ? ", " : "", FW_UUID_TEXT, id,
                         run->ended_ns ? fw_state_name(run->status) : "unfinished", run->reason);
        add_time(out, "planned_unix", run->planned_ns);
        add_time(out, "submitted_unix", run->submitted_ns);
        add_time(out, "ended_unix", run->ended_ns);
        fw_buffer_text(out, "\"error\": ");
        if (run->error[0])
            fw_buffer_json_string(out, fw_text_span(run->error));
        else
            fw_buffer_text(out, "null");
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "]");
}

static void show(void *context, const fw_schedule_view *view)
{
    listing *l = context;
    fw_buffer *out = l->out;
    fw_buffer_text(out, l->any ? ", {" : "{");
    l->any = true;
    add_text(out, "name", view->name);
    add_text(out, "task", view->task);
    add_text(out, "when", view->when);
    add_text(out, "tz", view->zone);
    add_text(out, "until", view->until);
    add_time(out, "next_unix", view->next_ns);
    add_time(out, "last_success_unix", view->last_success_ns);
    if (view->count >= 0)
        fw_buffer_format(out, "\"count\": %" PRId64 ", ", view->count);
    fw_buffer_format(out,
                     "\"state\": \"%s\", \"source\": \"%s\", \"priority\": \"%s\", "
                     "\"overlap\": \"%s\", \"catchup\": \"%s\", \"started\": %" PRIu64
                     ", \"skipped\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"caught_up\": %" PRIu64
                     ", \"running\": %zu, \"waiting\": %zu",
                     view->state,
                     view->from_module ? "module"
                     : view->from_file ? "file"
                                       : "api",
                     fw_prio_name((fw_prio)view->level), fw_overlap_name(view->overlap),
                     fw_catchup_name(view->catchup), view->started, view->skipped, view->missed,
                     view->caught_up, view->running, view->waiting);
    if (l->runs)
        add_runs(out, view);
    fw_buffer_text(out, "}");
}

static void list(fw_schedules *schedules, fw_span name, fw_buffer *out)
{
    listing l = {out, false, name.len > 0};
    size_t before = out->len;
    fw_buffer_text(out, "{\"schedules\": [");
    if (fw_schedules_each(schedules, name, show, &l)) {
        fw_buffer_text(out, "]}");
        return;
    }
    out->len = before;
    fw_manage_fail(out, "unknown", "no schedule has that name");
}

/* --- putting --- */

/* Where the text of each member is kept, decoded. */
typedef struct request {
    fw_plan plan;
    char texts[6][TEXT_MAX];
    const char *wrong; /* the member that is, and what is wanted */
} request;

static bool read_text(request *r, int place, fw_span *out, fw_json value)
{
    return fw_json_string(value, r->texts[place], TEXT_MAX, out);
}

static bool read_seconds(fw_json value, double *out)
{
    return fw_json_double(value, out) && *out >= 0 && *out <= 3.2e9;
}

static bool read_word(fw_json value, int (*parse)(fw_span), int *out)
{
    char buffer[32];
    fw_span text;
    if (!fw_json_string(value, buffer, sizeof buffer, &text))
        return false;
    *out = parse(text);
    return *out >= 0;
}

static bool read_raw(fw_json value, fw_json_type type, fw_span *out)
{
    *out = value.text;
    return value.type == type;
}

/* Seconds, or a text such as "5m", as a task has it. */
static bool read_time_span(fw_json value, double *out)
{
    char text[32];
    fw_span span;
    int64_t ms;
    if (value.type != FW_JSON_STRING)
        return read_seconds(value, out);
    if (!fw_json_string(value, text, sizeof text, &span) || span.len >= sizeof text)
        return false;
    memmove(text, span.ptr, span.len);
    text[span.len] = '\0';
    if (strlen(text) != span.len || !fw_duration_read(&ms, text))
        return false;
    *out = (double)ms / 1e3;
    return *out <= 3.2e9;
}

static bool read_duration(fw_json value, int64_t *out_ns)
{
    double seconds;
    if (!read_time_span(value, &seconds))
        return false;
    *out_ns = (int64_t)(seconds * 1e9);
    return true;
}

static bool read_retries(fw_json value, int32_t *out)
{
    int64_t count;
    if (!fw_json_int(value, &count) || count < 0 || count > 60000)
        return false;
    *out = (int32_t)count;
    return true;
}

/* The spans of args and kwargs stay in the request. NULL: good; else what is wanted. */
static const char *read_member(request *r, fw_span key, fw_json value)
{
    fw_plan *plan = &r->plan;
    int level;
    if (value.type == FW_JSON_NULL || fw_json_key_is(key, "action"))
        return NULL;
    if (fw_json_key_is(key, "name"))
        return read_text(r, 0, &plan->name, value) ? NULL : "name: a text is wanted";
    if (fw_json_key_is(key, "task"))
        return read_text(r, 1, &plan->task, value) ? NULL : "task: a text is wanted";
    if (fw_json_key_is(key, "when"))
        return read_text(r, 2, &plan->when, value) ? NULL : "when: an expression is wanted";
    if (fw_json_key_is(key, "tz"))
        return read_text(r, 3, &plan->zone, value) ? NULL : "tz: the name of a zone is wanted";
    if (fw_json_key_is(key, "until"))
        return read_text(r, 4, &plan->until, value) ? NULL : "until: a time is wanted";
    if (fw_json_key_is(key, "args"))
        return read_raw(value, FW_JSON_ARRAY, &plan->args) ? NULL : "args: an array is wanted";
    if (fw_json_key_is(key, "kwargs"))
        return read_raw(value, FW_JSON_OBJECT, &plan->kwargs) ? NULL
                                                              : "kwargs: an object is wanted";
    if (fw_json_key_is(key, "overlap"))
        return read_word(value, fw_overlap_parse, &plan->overlap)
                   ? NULL
                   : "overlap: skip, queue_one, queue_all, cancel_old or allow is wanted";
    if (fw_json_key_is(key, "catchup"))
        return read_word(value, fw_catchup_parse, &plan->catchup)
                   ? NULL
                   : "catchup: none, one or all is wanted";
    if (fw_json_key_is(key, "priority")) {
        bool good = read_word(value, fw_prio_parse, &level);
        plan->level = good ? (uint8_t)level : plan->level;
        return good ? NULL : "priority: critical, high, normal or low is wanted";
    }
    if (fw_json_key_is(key, "count"))
        return fw_json_int(value, &plan->count) && plan->count >= 0 ? NULL
                                                                    : "count: a count is wanted";
    if (fw_json_key_is(key, "catchup_window"))
        return read_duration(value, &plan->window_ns)
                   ? NULL
                   : "catchup_window: a time such as 5m is wanted";
    if (fw_json_key_is(key, "jitter"))
        return read_duration(value, &plan->jitter_ns) ? NULL
                                                      : "jitter: a time such as 5m is wanted";
    if (fw_json_key_is(key, "timeout"))
        return read_duration(value, &plan->timeout_ns) ? NULL
                                                       : "timeout: a time such as 5m is wanted";
    if (fw_json_key_is(key, "max_retries"))
        return read_retries(value, &plan->max_retries) ? NULL : "max_retries: a count is wanted";
    if (fw_json_key_is(key, "retry_delay"))
        return read_time_span(value, &plan->retry_delay_s)
                   ? NULL
                   : "retry_delay: a time such as 5m is wanted";
    if (fw_json_key_is(key, "retry_backoff"))
        return read_seconds(value, &plan->retry_backoff) ? NULL
                                                         : "retry_backoff: a factor is wanted";
    if (fw_json_key_is(key, "paused"))
        return fw_json_bool(value, &plan->paused) ? NULL : "paused: true or false is wanted";
    return "a member is not known; docs/SCHEDULES.md lists them";
}

static void put(fw_schedules *schedules, fw_json object, fw_buffer *out)
{
    static const char *const outcomes[] = {"created", "replaced", "unchanged"};
    char error[512];
    request r = {.plan = fw_plan_default()};
    fw_span key;
    fw_json value;
    fw_json_cursor cursor = fw_json_open(object);
    while (!r.wrong && fw_json_next_member(&cursor, &key, &value))
        r.wrong = read_member(&r, key, value);
    if (r.wrong) {
        fw_manage_fail(out, "invalid", r.wrong);
        return;
    }
    int rc = fw_schedules_put(schedules, error, sizeof error, &r.plan, fw_wall_ns());
    if (rc < 0) {
        fw_manage_fail(out, "invalid", error);
        return;
    }
    fw_buffer_text(out, "{\"name\": ");
    fw_buffer_json_string(out, r.plan.name);
    fw_buffer_format(out, ", \"outcome\": \"%s\"}", outcomes[rc]);
}

/* --- the others --- */

static void trigger(fw_schedules *schedules, fw_span name, fw_buffer *out)
{
    char id[FW_UUID_TEXT];
    fw_key key = {0, 0};
    const char *outcome = fw_schedules_trigger(schedules, &key, name, fw_wall_ns());
    if (!outcome) {
        fw_manage_fail(out, "unknown", "no schedule has that name");
        return;
    }
    fw_buffer_text(out, "{\"name\": ");
    fw_buffer_json_string(out, name);
    fw_buffer_format(out, ", \"outcome\": \"%s\"", outcome);
    if (strcmp(outcome, "started") == 0) {
        fw_key_format(id, key);
        fw_buffer_format(out, ", \"task_id\": \"%.*s\"", FW_UUID_TEXT, id);
    }
    fw_buffer_text(out, "}");
}

static bool read_time(fw_schedules *schedules, fw_span name, fw_json value, int64_t *out_ns)
{
    char buffer[64];
    fw_span text;
    double seconds;
    if (fw_json_string(value, buffer, sizeof buffer, &text))
        return fw_schedules_read_time(schedules, out_ns, name, text);
    if (!fw_json_double(value, &seconds) || !(seconds >= 0 && seconds < 9e9))
        return false;
    *out_ns = (int64_t)(seconds * 1e9);
    return true;
}

static void backfill(fw_schedules *schedules, fw_span name, fw_json object, fw_buffer *out)
{
    char error[96];
    int64_t first_ns, last_ns;
    if (!read_time(schedules, name, fw_json_get(object, "from"), &first_ns) ||
        !read_time(schedules, name, fw_json_get(object, "to"), &last_ns)) {
        fw_manage_fail(out, "invalid", "from, to: times are wanted, as text or Unix seconds");
        return;
    }
    int count = fw_schedules_backfill(schedules, name, first_ns, last_ns);
    if (count < 0) {
        snprintf(error, sizeof error,
                 count == -FW_EFULL ? "more than %d runs would wait"
                                    : "it has no times between these",
                 FW_SCHEDULE_WAITING_MAX);
        fw_manage_fail(out, count == -FW_EUNKNOWN ? "unknown" : "invalid", error);
        return;
    }
    fw_buffer_text(out, "{\"name\": ");
    fw_buffer_json_string(out, name);
    fw_buffer_format(out, ", \"outcome\": \"backfilled\", \"runs\": %d}", count);
}

static void tell_outcome(fw_buffer *out, fw_span name, bool known, const char *outcome)
{
    if (!known) {
        fw_manage_fail(out, "unknown", "no schedule has that name");
        return;
    }
    fw_buffer_text(out, "{\"name\": ");
    fw_buffer_json_string(out, name);
    fw_buffer_format(out, ", \"outcome\": \"%s\"}", outcome);
}

bool fw_schedule_manage(fw_schedules *schedules, fw_span action, fw_json object, fw_buffer *out)
{
    char buffer[TEXT_MAX];
    fw_span name = {0};
    bool named =
        fw_json_string(fw_json_get(object, "name"), buffer, sizeof buffer, &name) && name.len > 0;
    if (fw_text_is(action, "schedules"))
        list(schedules, name, out);
    else if (fw_text_is(action, "schedule_put"))
        put(schedules, object, out);
    else if (action.len < 9 || memcmp(action.ptr, "schedule_", 9) != 0)
        return false;
    else if (!named)
        fw_manage_fail(out, "invalid", "name: the name of a schedule is wanted");
    else if (fw_text_is(action, "schedule_delete"))
        tell_outcome(out, name, fw_schedules_delete(schedules, name), "deleted");
    else if (fw_text_is(action, "schedule_pause"))
        tell_outcome(out, name, fw_schedules_pause(schedules, name, true, fw_wall_ns()), "paused");
    else if (fw_text_is(action, "schedule_resume"))
        tell_outcome(out, name, fw_schedules_pause(schedules, name, false, fw_wall_ns()),
                     "resumed");
    else if (fw_text_is(action, "schedule_trigger"))
        trigger(schedules, name, out);
    else if (fw_text_is(action, "schedule_backfill"))
        backfill(schedules, name, object, out);
    else
        return false;
    return true;
}
