/* app/http/http_manage.c - /api/v1: queues, limits, schedules, workers and the hint for
 * autoscalers: what the management port does (app/manage/manage.h), as resources. Covered by
 * http_manage_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"

#include <stdio.h>
#include <string.h>

#include "app/http/http_parts.h"
#include "app/manage/manage_text.h"
#include "base/clock.h"
#include "engine/limits.h"

static const char limit_members[] =
    "max_running rate burst per_key_running per_key_rate per_key_burst key_max_running key_rate "
    "key_burst";
static const char plan_members[] =
    "name task when tz until args kwargs overlap catchup priority count catchup_window jitter "
    "timeout max_retries retry_delay retry_backoff paused";
static const int64_t pause_max_ns = INT64_C(366) * 86400 * FW_NS_PER_S;

/* Does an action for the part of the path that is called `name`. members: of the body. */
static void act_on(void *context, const char *action, const fw_web_request *request,
                   const char *members, const char *name, fw_web_answer *answer)
{
    const fw_http_member named = {name, fw_web_param(request, name), false};
    fw_json object;
    if (fw_http_object(request, members, &object, answer))
        fw_http_manage(context, action, object.text, &named, 1, answer);
}

/* Leaves of the answer {"list": [...]} the one whose member `key` is text. */
static void pick(fw_web_answer *answer, const char *list, const char *key, fw_span text)
{
    char room[FW_NAME_MAX + 1];
    fw_span word;
    fw_json value;
    if (answer->status != 200 || answer->body.failed)
        return;
    fw_json all = fw_json_parse((fw_span){answer->body.data, answer->body.len});
    fw_json_cursor cursor = fw_json_open(fw_json_get(all, list));
    while (fw_json_next(&cursor, &value)) {
        if (!fw_json_string(fw_json_get(value, key), room, sizeof room, &word) ||
            word.len != text.len || memcmp(word.ptr, text.ptr, text.len) != 0)
            continue;
        memmove(answer->body.data, value.text.ptr, value.text.len);
        answer->body.len = value.text.len;
        return;
    }
    fw_web_problem(answer, 404, NULL, "there is none of that name");
}

/* --- queues --- */

static void add_pause(fw_buffer *out, int64_t until_ns)
{
    int64_t left_ns = until_ns - fw_now_ns();
    fw_buffer_format(out, "\"paused\": %s, \"resumes_in\": ", until_ns != 0 ? "true" : "false");
    if (until_ns == 0 || until_ns == FW_PAUSE_FOREVER)
        fw_buffer_text(out, "null");
    else
        fw_buffer_format(out, "%.3f", left_ns > 0 ? (double)left_ns / 1e9 : 0.0);
}

static void get_queues(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_control_plane *plane = context;
    fw_queue_view queues[FW_LEVELS];
    fw_pause_view pauses;
    fw_buffer *out = &answer->body;
    (void)request;
    fw_control_plane_queues(plane, queues);
    fw_limit_pauses(plane->house.engine, &pauses);
    fw_buffer_text(out, "{\"queues\": [");
    for (int level = 0; level < FW_LEVELS; level++) {
        fw_buffer_format(out,
                         "%s{\"priority\": \"%s\", \"depth\": %zu, \"oldest_seconds\": %.3f, "
                         "\"held\": %zu, ",
                         level ? ", " : "", fw_prio_name((fw_prio)level), queues[level].depth,
                         queues[level].oldest_s, pauses.held[level]);
        add_pause(out, pauses.level_until_ns[level]);
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "], ");
    add_pause(out, pauses.all_until_ns);
    fw_buffer_text(out, "}");
}

/* "?for=5m". False: no time, and answer says so. seconds: JSON, or empty. */
static bool read_for(const fw_web_request *request, char *out, size_t capacity, fw_span *seconds,
                     fw_web_answer *answer)
{
    fw_span text;
    int64_t ns;
    *seconds = (fw_span){NULL, 0};
    if (!fw_web_query(request, "for", &text))
        return true;
    if (!fw_web_read_duration(text, pause_max_ns, &ns) || ns <= 0) {
        fw_web_problem_field(answer, 422, "for", "for: a time is wanted, such as 30s or 5m");
        return false;
    }
    *seconds = (fw_span){out, (size_t)snprintf(out, capacity, "%.3f", (double)ns / 1e9)};
    return true;
}

static void set_pause(void *context, const fw_web_request *request, bool pause, fw_http_member what,
                      fw_web_answer *answer)
{
    char text[32];
    fw_json body;
    fw_span seconds = {NULL, 0};
    if (!fw_http_object(request, NULL, &body, answer))
        return;
    if (pause && fw_json_is_there(fw_json_get(body, "for"))) {
        fw_web_problem_field(answer, 422, "for", "for: it belongs in the address: ?for=5m");
        return;
    }
    if (!fw_http_members(body, "", answer))
        return;
    if (pause && !read_for(request, text, sizeof text, &seconds, answer))
        return;
    const fw_http_member more[] = {what, {"for_seconds", seconds, true}};
    fw_http_manage(context, pause ? "pause" : "resume_queue", (fw_span){NULL, 0}, more, 2, answer);
}

static void set_queue_pause(void *context, const fw_web_request *request, bool pause,
                            fw_web_answer *answer)
{
    fw_span priority = fw_web_param(request, "priority");
    fw_http_member what = {"priority", priority, false};
    if (fw_text_is(priority, "all"))
        what = (fw_http_member){"all", {"true", 4}, true};
    else if (fw_prio_parse(priority) < 0) {
        fw_web_problem(answer, 404, NULL, "a queue is critical, high, normal, low, or all");
        return;
    }
    set_pause(context, request, pause, what, answer);
}

static void pause_queue(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    set_queue_pause(context, request, true, answer);
}

static void resume_queue(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    set_queue_pause(context, request, false, answer);
}

/* --- limits --- */

static void get_limits(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_http_manage(context, "limits", (fw_span){NULL, 0}, NULL, 0, answer);
}

static void get_limit(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    get_limits(context, request, answer);
    pick(answer, "limits", "task", fw_web_param(request, "task"));
}

static void put_limit(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "limit_set", request, limit_members, "task", answer);
}

static void delete_limit(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    static const char none[] = "{\"max_running\": 0, \"rate\": 0, \"burst\": 0, "
                               "\"key_max_running\": 0, \"key_rate\": 0, \"key_burst\": 0}";
    const fw_http_member named = {"task", fw_web_param(request, "task"), false};
    fw_http_manage(context, "limit_set", (fw_span){none, sizeof none - 1}, &named, 1, answer);
}

static void pause_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    set_pause(context, request, true,
              (fw_http_member){"task", fw_web_param(request, "task"), false}, answer);
}

static void resume_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    set_pause(context, request, false,
              (fw_http_member){"task", fw_web_param(request, "task"), false}, answer);
}

/* --- schedules --- */

static void get_schedules(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_http_manage(context, "schedules", (fw_span){NULL, 0}, NULL, 0, answer);
}

static void get_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedules", request, "", "name", answer);
    pick(answer, "schedules", "name", fw_web_param(request, "name"));
}

static void put_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    char word[16], room[6 * FW_NAME_MAX + 2];
    fw_span outcome, other, name = fw_web_param(request, "name");
    fw_json said = fw_json_get(fw_json_parse(request->body), "name");
    if (said.type != FW_JSON_INVALID &&
        !(fw_json_string(said, room, sizeof room, &other) && other.len == name.len &&
          memcmp(other.ptr, name.ptr, name.len) == 0)) {
        fw_web_problem_field(answer, 422, "name", "name: it differs from the one in the address");
        return;
    }
    act_on(context, "schedule_put", request, plan_members, "name", answer);
    if (answer->status != 200)
        return;
    fw_json reply = fw_json_parse((fw_span){answer->body.data, answer->body.len});
    if (!fw_json_string(fw_json_get(reply, "outcome"), word, sizeof word, &outcome) ||
        !fw_text_is(outcome, "created"))
        return;
    answer->status = 201;
    fw_web_location(answer, "/api/v1/schedules/", fw_web_param(request, "name"));
}

static void delete_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedule_delete", request, "", "name", answer);
}

static void pause_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedule_pause", request, "", "name", answer);
}

static void resume_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedule_resume", request, "", "name", answer);
}

static void trigger_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedule_trigger", request, "", "name", answer);
}

static void backfill_schedule(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "schedule_backfill", request, "from to", "name", answer);
}

/* --- workers --- */

static void get_workers(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)request;
    fw_http_manage(context, "workers", (fw_span){NULL, 0}, NULL, 0, answer);
}

static void get_worker(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    get_workers(context, request, answer);
    pick(answer, "workers", "id", fw_web_param(request, "worker"));
}

static void drain_worker(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "drain", request, "", "worker", answer);
}

static void resume_worker(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    act_on(context, "resume", request, "", "worker", answer);
}

/* --- scale --- */

/* wanted_slots: to have everything that waits and is not held back run at once. */
static void get_scale(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_control_plane *plane = context;
    fw_engine_stats engine;
    fw_queue_view queues[FW_LEVELS];
    fw_pause_view pauses;
    fw_workers_stats workers;
    size_t queued = 0, held = 0;
    double oldest_s = 0;
    (void)request;
    fw_engine_snapshot(plane->house.engine, &engine);
    fw_control_plane_queues(plane, queues);
    fw_limit_pauses(plane->house.engine, &pauses);
    fw_workers_snapshot(plane->workers, &workers);
    for (int level = 0; level < FW_LEVELS; level++) {
        queued += queues[level].depth;
        held += pauses.held[level];
        oldest_s = queues[level].oldest_s > oldest_s ? queues[level].oldest_s : oldest_s;
    }
    size_t slots = (size_t)workers.slots + (plane->house.runs ? plane->house.threads : 0);
    fw_buffer_format(&answer->body,
                     "{\"queued\": %zu, \"held\": %zu, \"running\": %zu, \"slots\": %zu, "
                     "\"oldest_seconds\": %.3f, \"wanted_slots\": %zu}",
                     queued, held, engine.running, slots, oldest_s,
                     engine.running + (queued > held ? queued - held : 0));
}

#define GET(path, handler)                                                                         \
    {                                                                                              \
        "GET", "/api/v1/" path, FW_WEB_READ, handler, NULL, FW_WEB_AT_ONCE                         \
    }
#define POST(path, handler)                                                                        \
    {                                                                                              \
        "POST", "/api/v1/" path, FW_WEB_ADMIN, handler, NULL, FW_WEB_AT_ONCE                       \
    }
static const fw_web_route routes[] = {
    GET("queues", get_queues),
    POST("queues/{priority}:pause?for", pause_queue),
    POST("queues/{priority}:resume", resume_queue),
    GET("limits", get_limits),
    GET("limits/{task}", get_limit),
    {"PUT", "/api/v1/limits/{task}", FW_WEB_ADMIN, put_limit, NULL, FW_WEB_AT_ONCE},
    {"DELETE", "/api/v1/limits/{task}", FW_WEB_ADMIN, delete_limit, NULL, FW_WEB_AT_ONCE},
    POST("limits/{task}:pause?for", pause_task),
    POST("limits/{task}:resume", resume_task),
    GET("schedules", get_schedules),
    GET("schedules/{name}", get_schedule),
    {"PUT", "/api/v1/schedules/{name}", FW_WEB_ADMIN, put_schedule, NULL, FW_WEB_AT_ONCE},
    {"DELETE", "/api/v1/schedules/{name}", FW_WEB_ADMIN, delete_schedule, NULL, FW_WEB_AT_ONCE},
    POST("schedules/{name}:pause", pause_schedule),
    POST("schedules/{name}:resume", resume_schedule),
    POST("schedules/{name}:trigger", trigger_schedule),
    POST("schedules/{name}:backfill", backfill_schedule),
    GET("workers", get_workers),
    GET("workers/{worker}", get_worker),
    POST("workers/{worker}:drain", drain_worker),
    POST("workers/{worker}:resume", resume_worker),
    GET("scale", get_scale),
};

fw_web_table fw_http_actions(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
