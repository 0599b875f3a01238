/* app/http/http_upstream.c - upstream's routes, as its clients and its dashboard know them, and
 * what monitoring asks. Covered by control_plane_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"
#include "app/http/long_poll.h"
#include "app/http/status.h"

static void get_status(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_show_status(context, &answer->body);
}

static void get_workers(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_show_workers(context, &answer->body);
}

static void get_queues(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_show_queues(context, &answer->body);
}

static void get_cache(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_show_cache(context, &answer->body);
}

static void get_registered(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_show_registered(context, &answer->body);
}

static void get_tasks(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_task_filter filter = {.limit = 50};
    fw_span limit, offset;
    fw_web_query(request, "status", &filter.status);
    fw_web_query(request, "name", &filter.name);
    fw_web_query(request, "priority", &filter.priority);
    if ((fw_web_query(request, "limit", &limit) &&
         !fw_web_read_number(limit, 1000, &filter.limit)) ||
        (fw_web_query(request, "offset", &offset) &&
         !fw_web_read_number(offset, SIZE_MAX, &filter.offset)))
        fw_web_problem(answer, 400, NULL, "limit and offset are whole numbers");
    else
        fw_show_tasks(context, &filter, &answer->body);
}

static void cancel(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_span id = fw_web_param(request, "id");
    if (id.len > FW_ID_MAX || !fw_lifecycle_cancel(&plane->house.life, fw_key_from_text(id))) {
        fw_web_problem(answer, 404, NULL, "Task %.*s not found or already terminal",
                       (int)(id.len > FW_ID_MAX ? FW_ID_MAX : id.len), id.ptr);
        return;
    }
    fw_buffer_text(&answer->body, "{\"task_id\": ");
    fw_buffer_json_string(&answer->body, id);
    fw_buffer_text(&answer->body, ", \"cancelled\": true}");
}

/* C-135: a failure runs again under its id; of one that ran once only, nothing was kept to do so.
 */
static void retry(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_buffer shown = {0};
    fw_span id = fw_web_param(request, "id");
    int len = (int)(id.len > FW_ID_MAX ? FW_ID_MAX : id.len);
    if (id.len > FW_ID_MAX) {
        fw_web_problem(answer, 404, NULL, "Task %.*s not found", len, id.ptr);
    } else if (fw_lifecycle_revive(&plane->house.life, fw_key_from_text(id))) {
        fw_buffer_text(&answer->body, "{\"task_id\": ");
        fw_buffer_json_string(&answer->body, id);
        fw_buffer_text(&answer->body, ", \"retrying\": true}");
    } else if (fw_long_poll_show(&plane->house.life, fw_key_from_text(id), &shown)) {
        fw_web_problem(answer, 400, NULL, "Task is not in a retryable state");
    } else {
        fw_web_problem(answer, 404, NULL, "Task %.*s not found", len, id.ptr);
    }
    fw_buffer_fini(&shown);
}

/* --- monitoring --- */

static void get_metrics(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    fw_metrics_write(context, &answer->body);
}

static void get_alive(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    answer->content_type = "text/plain";
    fw_buffer_text(&answer->body, "ok\n");
}

static void get_ready(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_control_plane *plane = context;
    (void)request;
    /* Relaxed: a flag to be shown. */
    bool draining = fw_load_relaxed(&plane->house.draining) != 0;
    answer->status = draining ? 503 : 200;
    answer->content_type = "text/plain";
    fw_buffer_text(&answer->body, draining ? "draining\n" : "ok\n");
}

static const fw_web_route routes[] = {
    {"GET", "/api/status", FW_WEB_READ, get_status, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/workers", FW_WEB_READ, get_workers, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/queues", FW_WEB_READ, get_queues, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/cache", FW_WEB_READ, get_cache, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/registered-tasks", FW_WEB_READ, get_registered, NULL, FW_WEB_AT_ONCE},
    {"GET", "/api/tasks", FW_WEB_READ, get_tasks, NULL, FW_WEB_ASIDE},
    {"POST", "/api/tasks/{id}/cancel", FW_WEB_ADMIN, cancel, "*", FW_WEB_AT_ONCE},
    {"POST", "/api/tasks/{id}/retry", FW_WEB_ADMIN, retry, "*", FW_WEB_AT_ONCE},
    {"GET", "/metrics", FW_WEB_READ, get_metrics, NULL, FW_WEB_AT_ONCE},
    {"GET", "/livez", FW_WEB_ANYBODY, get_alive, NULL, FW_WEB_AT_ONCE},
    {"GET", "/readyz", FW_WEB_ANYBODY, get_ready, NULL, FW_WEB_AT_ONCE},
};

fw_web_table fw_http_upstream(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
