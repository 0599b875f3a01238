/* app/http/http_tasks.c - /api/v1/tasks: the list, one task, its result, cancelling and running it
 * again. Covered by http_tasks_test.py and long_poll_test.py. SPDX-License-Identifier: Apache-2.0
 */
#include "app/http/http.h"
#include "app/manage/cancel_where.h"

#include <stdlib.h>

#include "app/http/http_parts.h"
#include "app/http/long_poll.h"
#include "app/http/task_page.h"
#include "app/life/lifecycle_parts.h"
#include "app/manage/manage_text.h"
#include "base/clock.h"
#include "base/rcu.h"

static const int64_t wait_max_ns = 60 * FW_NS_PER_S;

static bool read_wait(const fw_web_request *request, int64_t *wait_ns, fw_web_answer *answer)
{
    fw_span wait;
    *wait_ns = 0;
    if (!fw_web_query(request, "wait", &wait) || fw_web_read_duration(wait, wait_max_ns, wait_ns))
        return true;
    fw_web_problem_field(answer, 400, "wait", "wait: a time is wanted, such as 30, 2.5s or 250ms");
    return false;
}

static void get_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    int64_t wait_ns;
    fw_span full;
    unsigned flags = 0;
    if (!read_wait(request, &wait_ns, answer))
        return;
    if (fw_web_query(request, "full", &full)) {
        if (!fw_text_is(full, "true") && !fw_text_is(full, "false")) {
            fw_web_problem_field(answer, 400, "full", "full: true or false");
            return;
        }
        flags = fw_text_is(full, "true") ? FW_POLL_FULL : 0;
    }
    fw_long_poll(&plane->house.life, fw_web_param(request, "id"), wait_ns, &request->ticket, flags,
                 answer);
}

/* --- the list --- */

static bool read_page(const fw_web_request *request, fw_task_page *page, fw_web_answer *answer)
{
    fw_span text;
    page->limit = 100;
    page->after = (fw_task_place){0, {0, 0}};
    if (!fw_http_filter_read(request, &page->filter, answer))
        return false;
    if (fw_web_query(request, "limit", &text) &&
        (!fw_web_read_number(text, SIZE_MAX, &page->limit) || page->limit == 0 ||
         page->limit > FW_TASK_PAGE_MAX)) {
        fw_web_problem_field(answer, 422, "limit", "limit: 1 to %d", FW_TASK_PAGE_MAX);
        return false;
    }
    if (fw_web_query(request, "cursor", &text) && text.len > 0 &&
        !fw_task_place_read(&page->after, text)) {
        fw_web_problem_field(answer, 422, "cursor", "cursor: what `next` of a page before says");
        return false;
    }
    return true;
}

static void list_tasks(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    char next[FW_TASK_PLACE_TEXT];
    fw_buffer *out = &answer->body;
    fw_task_page *page = malloc(sizeof *page);
    if (!page) {
        fw_web_problem(answer, 500, NULL, "out of memory");
    } else if (read_page(request, page, answer)) {
        fw_task_page_find(page, &plane->house.life);
        bool any = false;
        fw_buffer_text(out, "{\"tasks\": [");
        for (size_t i = 0; i < page->count; i++) {
            size_t before = out->len;
            fw_buffer_text(out, any ? ", " : "");
            /* One that has gone meanwhile is left out. */
            if (fw_long_poll_show(&plane->house.life, page->places[i].key, out))
                any = true;
            else
                out->len = before;
        }
        fw_buffer_format(out, "], \"total\": %zu, \"next\": ", page->total);
        if (page->more) {
            fw_task_place_write(next, &page->places[page->count - 1]);
            fw_buffer_format(out, "\"%s\"}", next);
        } else {
            fw_buffer_text(out, "null}");
        }
    }
    free(page);
}

/* --- what is known of one --- */

typedef struct found {
    bool is_live;
    fw_state state;
} found;

/* Inside a read section, for item. => false: nothing, and answer says so. */
static bool find(fw_lifecycle *life, fw_key key, found *out, fw_cache_item *item,
                 fw_web_answer *answer)
{
    fw_task *task = fw_engine_find(life->engine, key);
    fw_cache_answer stored = fw_cache_get(life->cache, key, fw_now_ns(), false, item);
    out->is_live = stored != FW_CACHE_FOUND && task != NULL;
    if (stored == FW_CACHE_FOUND) {
        out->state = item->status;
        return true;
    }
    if (task) {
        fw_state state = fw_task_state(task);
        out->state = fw_state_is_over(state) ? FW_RUNNING : state;
        return true;
    }
    if (stored == FW_CACHE_EXPIRED)
        fw_web_problem(answer, 410, "expired-task", "the result of this task is no longer kept");
    else
        fw_web_problem(answer, 404, "unknown-task", "no task of this id has been seen");
    return false;
}

static void get_result(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_cache_item item;
    found f;
    fw_key key;
    if (!fw_http_id(request, &key, answer))
        return;
    fw_rcu_read_lock();
    if (!find(&plane->house.life, key, &f, &item, answer)) {
    } else if (f.is_live) {
        answer->status = 202;
        answer->retry_after_s = 1;
        fw_buffer_format(&answer->body, "{\"status\": \"%s\"}", fw_state_name(f.state));
    } else if (f.state == FW_SUCCESS) {
        if (item.result.len > 0)
            fw_buffer_add(&answer->body, item.result.ptr, item.result.len);
        else
            fw_buffer_text(&answer->body, "null");
    } else {
        fw_web_problem(answer, 409, f.state == FW_FAILURE ? "failed-task" : "cancelled-task",
                       "%.*s", (int)item.error.len, item.error.ptr ? item.error.ptr : "");
    }
    fw_rcu_read_unlock();
}

/* --- cancelling and running again --- */

static void tell_over(fw_web_answer *answer, fw_state state)
{
    fw_web_problem(answer, 409, "task-is-over", "it has ended: %s", fw_state_name(state));
}

static void cancel_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_lifecycle *life = &plane->house.life;
    fw_cache_item item;
    found f;
    fw_key key;
    if (!fw_http_id(request, &key, answer))
        return;
    fw_rcu_read_lock();
    bool known = find(life, key, &f, &item, answer);
    fw_rcu_read_unlock();
    if (!known)
        return;
    fw_cancel outcome = f.is_live ? fw_lifecycle_try_cancel(life, key) : FW_CANCEL_LATE;
    fw_engine_flush(life->engine);
    if (outcome != FW_CANCEL_QUEUED && outcome != FW_CANCEL_RUNNING) {
        tell_over(answer, f.is_live ? FW_SUCCESS : f.state);
        return;
    }
    if (outcome == FW_CANCEL_RUNNING)
        f.state = FW_RUNNING;
    fw_buffer_text(&answer->body, "{\"task_id\": ");
    fw_buffer_json_string(&answer->body, fw_web_param(request, "id"));
    fw_buffer_format(&answer->body, ", \"cancelled\": true, \"was\": \"%s\"}",
                     fw_state_name(f.state));
}

/* {"where": {"name": "resize", "older": 60}, "dry_run": true}: app/manage/cancel_where. */
static void cancel_some(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_where where;
    fw_where_outcome outcome;
    char error[160], room[1024];
    fw_json body;
    bool dry = false;
    if (!fw_http_object(request, "where dry_run", &body, answer))
        return;
    fw_json said = fw_json_get(body, "dry_run");
    if (said.type != FW_JSON_INVALID && !fw_json_bool(said, &dry)) {
        fw_web_problem_field(answer, 422, "dry_run", "true or false");
    } else if (!fw_where_read(&where, error, room, fw_json_get(body, "where"))) {
        fw_web_problem_field(answer, 422, "where", "%s", error);
    } else {
        fw_cancel_where(&plane->house.life, &outcome, &where, dry);
        fw_cancel_where_write(&answer->body, &outcome, dry);
    }
}

static void retry_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_lifecycle *life = &plane->house.life;
    fw_cache_item item;
    found f;
    fw_key key;
    fw_json body;
    if (!fw_http_id(request, &key, answer) || !fw_http_object(request, "", &body, answer))
        return;
    if (!fw_lifecycle_revive(life, key)) {
        fw_rcu_read_lock();
        if (!find(life, key, &f, &item, answer)) {
        } else if (f.is_live) {
            fw_web_problem(answer, 409, NULL, "it has not ended: %s", fw_state_name(f.state));
        } else if (f.state != FW_FAILURE) {
            tell_over(answer, f.state);
        } else {
            fw_web_problem(answer, 409, "not-dead",
                           "only a task that was given up after several runs is kept to be run "
                           "again");
        }
        fw_rcu_read_unlock();
        return;
    }
    answer->status = 202;
    fw_web_location(answer, "/api/v1/tasks/", fw_web_param(request, "id"));
    fw_buffer_text(&answer->body, "{\"task_id\": ");
    fw_buffer_json_string(&answer->body, fw_web_param(request, "id"));
    fw_buffer_text(&answer->body, ", \"retrying\": true}");
}

static const fw_web_route routes[] = {
    {"GET", "/api/v1/tasks?status,name,priority,limit,cursor", FW_WEB_READ, list_tasks, NULL,
     FW_WEB_ASIDE},
    {"POST", "/api/v1/tasks:cancel", FW_WEB_ADMIN, cancel_some, NULL, FW_WEB_ASIDE},
    {"GET", "/api/v1/tasks/{id}?wait,full", FW_WEB_READ, get_task, NULL, FW_WEB_AT_ONCE},
    {"DELETE", "/api/v1/tasks/{id}", FW_WEB_ADMIN, cancel_task, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/v1/tasks/{id}/result", FW_WEB_READ, get_result, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/tasks/{id}:retry", FW_WEB_ADMIN, retry_task, NULL, FW_WEB_AT_ONCE},
};

fw_web_table fw_http_tasks(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
