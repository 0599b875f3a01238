/* app/http/http_dead.c - /api/v1/dead: tasks that were given up; the list, and running again or
 * forgetting some of them, by id or by filter. Covered by http_tasks_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/http/http_parts.h"
#include "app/http/task_page.h"
#include "app/manage/dead_choice.h"

/* --- the list --- */

static void write_dead(fw_buffer *out, const fw_dead_task *d)
{
    fw_buffer_text(out, "{\"task_id\": ");
    fw_buffer_json_string(out, d->id);
    fw_buffer_text(out, ", \"name\": ");
    fw_buffer_json_string(out, d->name);
    fw_buffer_text(out, ", \"args\": ");
    fw_buffer_add(out, d->args.ptr, d->args.len);
    fw_buffer_text(out, ", \"kwargs\": ");
    fw_buffer_add(out, d->kwargs.ptr, d->kwargs.len);
    if (d->options.len > 0) {
        fw_buffer_text(out, ", \"options\": ");
        fw_buffer_add(out, d->options.ptr, d->options.len);
    }
    fw_buffer_format(out, ", \"priority\": \"%s\", \"attempts\": %u, \"losses\": %u, \"error\": ",
                     fw_prio_name((fw_prio)d->level), d->attempts, d->losses);
    fw_buffer_json_string(out, d->error);
    if (d->attempt_errors.len > 0) {
        fw_buffer_text(out, ", \"attempt_errors\": ");
        fw_buffer_add(out, d->attempt_errors.ptr, d->attempt_errors.len);
    }
    fw_buffer_format(out, ", \"created_unix\": %.3f, \"died_unix\": %.3f}",
                     (double)d->created_wall_ns / 1e9, (double)d->died_wall_ns / 1e9);
}

typedef struct listing {
    fw_buffer *out;
    fw_dead_choice choice;
    fw_task_place after, last; /* by the time of death */
    size_t limit, written, total;
    bool more;
} listing;

static bool list_one(void *context, const fw_dead_task *d)
{
    listing *l = context;
    bool is_after = l->after.created_ns == 0 || d->died_wall_ns < l->after.created_ns;
    bool is_last = d->died_wall_ns == l->after.created_ns && fw_key_equal(d->key, l->after.key);
    if (fw_dead_is_chosen(&l->choice, d)) {
        l->total++;
        if (is_after && l->written == l->limit) {
            l->more = true;
        } else if (is_after) {
            fw_buffer_text(l->out, l->written++ ? ", " : "");
            write_dead(l->out, d);
            l->last = (fw_task_place){d->died_wall_ns, d->key};
        }
    }
    if (is_last)
        l->after.created_ns = 0;
    return true;
}

static void list_dead(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_http_filter filter;
    fw_span text;
    char next[FW_TASK_PLACE_TEXT];
    listing l = {.out = &answer->body, .limit = 100};
    if (!fw_http_filter_read(request, &filter, answer))
        return;
    if (fw_web_query(request, "limit", &text) && (!fw_web_read_number(text, SIZE_MAX, &l.limit) ||
                                                  l.limit == 0 || l.limit > FW_TASK_PAGE_MAX)) {
        fw_web_problem_field(answer, 422, "limit", "limit: 1 to %d", FW_TASK_PAGE_MAX);
        return;
    }
    if (fw_web_query(request, "cursor", &text) && text.len > 0 &&
        !fw_task_place_read(&l.after, text)) {
        fw_web_problem_field(answer, 422, "cursor", "cursor: what `next` of a page before says");
        return;
    }
    l.choice.name = filter.name;
    l.choice.level = filter.level;
    fw_web_query(request, "error", &l.choice.error);
    fw_buffer_text(l.out, "{\"tasks\": [");
    fw_dead_each(plane->house.life.dead, list_one, &l);
    fw_buffer_format(l.out, "], \"total\": %zu, \"next\": ", l.total);
    if (l.more) {
        fw_task_place_write(next, &l.last);
        fw_buffer_format(l.out, "\"%s\"}", next);
    } else {
        fw_buffer_text(l.out, "null}");
    }
}

typedef struct search {
    fw_key key;
    fw_buffer *out;
    bool found;
} search;

static bool show_one(void *context, const fw_dead_task *d)
{
    search *s = context;
    s->found = fw_key_equal(d->key, s->key);
    if (s->found)
        write_dead(s->out, d);
    return !s->found;
}

static void get_dead(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    search s = {.out = &answer->body};
    if (!fw_http_id(request, &s.key, answer))
        return;
    fw_dead_each(plane->house.life.dead, show_one, &s);
    if (!s.found)
        fw_web_problem(answer, 404, "unknown-task", "no dead task has this id");
}

/* --- changing --- */

typedef struct change {
    fw_dead_choice choice;
    fw_json ids; /* an array; otherwise the choice says which */
    bool dry_run, all;
    size_t limit, matched, count;
    fw_key keys[FW_DEAD_CHANGES_MAX];
} change;

static bool collect(void *context, const fw_dead_task *d)
{
    change *c = context;
    if (fw_dead_is_chosen(&c->choice, d)) {
        c->matched++;
        if (c->count < c->limit)
            c->keys[c->count++] = d->key;
    }
    return true;
}

/* A member that does not say which ones they are, or names some of them. NULL: good. */
static const char *read_change(change *c, fw_span key, fw_json value)
{
    int64_t limit;
    if (value.type == FW_JSON_NULL)
        return NULL;
    if (fw_json_key_is(key, "dry_run"))
        return fw_json_bool(value, &c->dry_run) ? NULL : "dry_run: true or false is wanted";
    if (fw_json_key_is(key, "limit")) {
        bool good = fw_json_int(value, &limit) && limit >= 1;
        c->limit = good && limit < FW_DEAD_CHANGES_MAX ? (size_t)limit : FW_DEAD_CHANGES_MAX;
        return good ? NULL : "limit: a count from 1 on is wanted";
    }
    if (fw_json_key_is(key, "all"))
        return fw_json_bool(value, &c->all) && c->all ? NULL : "all: true is wanted";
    if (fw_json_key_is(key, "task_ids")) {
        c->ids = value;
        return value.type == FW_JSON_ARRAY ? NULL : "task_ids: an array of ids is wanted";
    }
    return NULL;
}

/* The ids that were asked for become keys; what is no id is just not there. */
static void take_ids(change *c)
{
    char text[6 * FW_ID_MAX + 2];
    fw_span id;
    fw_json value;
    fw_json_cursor cursor = fw_json_open(c->ids);
    while (fw_json_next(&cursor, &value) && c->count < FW_DEAD_CHANGES_MAX) {
        c->matched++;
        if (fw_json_string(value, text, sizeof text, &id) && id.len > 0 && id.len <= FW_ID_MAX)
            c->keys[c->count++] = fw_key_from_text(id);
    }
}

static void change_dead(fw_control_plane *plane, const fw_web_request *request, bool again,
                        change *c, fw_web_answer *answer)
{
    static const char members[] = "task_ids all name error priority older_than dry_run limit";
    fw_lifecycle *life = &plane->house.life;
    fw_json object, value;
    fw_span key;
    const char *wrong = NULL;
    size_t done = 0;
    if (!fw_http_object(request, members, &object, answer))
        return;
    fw_json_cursor cursor = fw_json_open(object);
    while (!wrong && fw_json_next_member(&cursor, &key, &value))
        wrong = read_change(c, key, value);
    if (!wrong)
        wrong = fw_dead_choice_read(&c->choice, object);
    if (!wrong && !c->choice.any && !c->all && c->ids.type != FW_JSON_ARRAY)
        wrong = "body: which ones? task_ids, all, name, error, priority or older_than";
    if (wrong) {
        char field[32];
        snprintf(field, sizeof field, "%.*s", (int)strcspn(wrong, ":"), wrong);
        fw_web_problem_field(answer, 422, field, "%s", wrong);
        return;
    }
    if (c->ids.type == FW_JSON_ARRAY)
        take_ids(c);
    else
        fw_dead_each(life->dead, collect, c);
    for (size_t i = 0; i < c->count && !c->dry_run; i++)
        done += fw_dead_change_one(life, c->keys[i], again);
    fw_buffer_format(&answer->body, "{\"matched\": %zu, \"%s\": %zu, \"dry_run\": %s}", c->matched,
                     again ? "retried" : "purged", done, c->dry_run ? "true" : "false");
}

static void change_some(void *context, const fw_web_request *request, bool again,
                        fw_web_answer *answer)
{
    change *c = calloc(1, sizeof *c);
    if (!c) {
        fw_web_problem(answer, 500, NULL, "out of memory");
        return;
    }
    c->limit = FW_DEAD_CHANGES_MAX;
    change_dead(context, request, again, c, answer);
    free(c);
}

static void retry_dead(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    change_some(context, request, true, answer);
}

static void purge_dead(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    change_some(context, request, false, answer);
}

static void edit_dead(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_http_member id = {"task_id", fw_web_param(request, "id"), false};
    static const char members[] =
        "task args kwargs options priority timeout max_retries retry_delay retry";
    fw_json object;
    if (fw_http_object(request, members, &object, answer))
        fw_http_manage(context, "dead_edit", object.text, &id, 1, answer);
}

static const fw_web_route routes[] = {
    {"GET", "/api/v1/dead?name,priority,error,limit,cursor", FW_WEB_READ, list_dead, NULL,
     FW_WEB_ASIDE},
    {"GET", "/api/v1/dead/{id}", FW_WEB_READ, get_dead, NULL, FW_WEB_ASIDE},
    {"POST", "/api/v1/dead/{id}:edit", FW_WEB_ADMIN, edit_dead, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/dead:retry", FW_WEB_ADMIN, retry_dead, NULL, FW_WEB_ASIDE},
    {"POST", "/api/v1/dead:purge", FW_WEB_ADMIN, purge_dead, NULL, FW_WEB_ASIDE},
};

fw_web_table fw_http_dead(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
