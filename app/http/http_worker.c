/* app/http/http_worker.c - /api/v1/worker: running tasks by asking for them (docs/WORKER_API.md).
 *
 * JSON in, JSON out; what the tasks are given to and taken from is app/workers/poller. Covered by
 * tests/app/worker_api_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"

#include <string.h>

#include "app/http/http_parts.h"
#include "app/workers/poller.h"
#include "base/clock.h"

static const int64_t wait_max_ns = 60 * FW_NS_PER_S;
static const int64_t lease_min_ns = FW_NS_PER_S, lease_max_ns = 3600 * FW_NS_PER_S;
static const int64_t wait_default_ns = 20 * FW_NS_PER_S, lease_default_ns = 30 * FW_NS_PER_S;
enum { WORKER_MAX = 200 };

static bool read_seconds(fw_json body, const char *name, int64_t least_ns, int64_t most_ns,
                         int64_t *out_ns, fw_web_answer *answer)
{
    fw_json value = fw_json_get(body, name);
    double seconds;
    if (!fw_json_is_there(value))
        return true;
    if (!fw_json_double(value, &seconds) || !(seconds >= 0)) {
        fw_web_problem_field(answer, 422, name, "seconds, not negative");
        return false;
    }
    *out_ns = seconds < (double)most_ns / 1e9 ? (int64_t)(seconds * 1e9) : most_ns;
    *out_ns = *out_ns > least_ns ? *out_ns : least_ns;
    return true;
}

static bool are_names(fw_json tasks)
{
    fw_json value;
    for (fw_json_cursor at = fw_json_open(tasks); fw_json_next(&at, &value);) {
        if (value.type != FW_JSON_STRING || value.text.len < 3)
            return false;
    }
    return true;
}

static bool read_poll(fw_json body, fw_poll *poll, char *room, size_t capacity,
                      fw_web_answer *answer)
{
    int64_t most = 1;
    fw_json count = fw_json_get(body, "max");
    if (!fw_json_string(fw_json_get(body, "worker"), room, capacity, &poll->worker) ||
        poll->worker.len == 0 || poll->worker.len > WORKER_MAX ||
        memchr(poll->worker.ptr, ':', poll->worker.len)) {
        fw_web_problem_field(answer, 422, "worker", "1 to %d bytes without ':'", WORKER_MAX);
        return false;
    }
    poll->tasks = fw_json_get(body, "tasks");
    if (fw_json_is_there(poll->tasks) &&
        (poll->tasks.type != FW_JSON_ARRAY || !are_names(poll->tasks))) {
        fw_web_problem_field(answer, 422, "tasks", "an array of names of tasks");
        return false;
    }
    if (count.type != FW_JSON_INVALID &&
        (!fw_json_int(count, &most) || most < 1 || most > FW_POLL_MOST)) {
        fw_web_problem_field(answer, 422, "max", "1 to %d", FW_POLL_MOST);
        return false;
    }
    poll->most = (unsigned)most;
    return read_seconds(body, "wait", 0, wait_max_ns, &poll->wait_ns, answer) &&
           read_seconds(body, "lease", lease_min_ns, lease_max_ns, &poll->lease_ns, answer);
}

static void poll_tasks(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    char room[6 * WORKER_MAX + 2], error[160];
    fw_json body;
    int status = 0;
    fw_poll poll = {
        .wait_ns = wait_default_ns, .lease_ns = lease_default_ns, .peer = request->peer};
    if (!fw_http_object(request, "worker tasks max wait lease", &body, answer) ||
        !read_poll(body, &poll, room, sizeof room, answer))
        return;
    if (fw_poller_poll(plane->workers, &poll, &request->ticket, &status, error, sizeof error))
        answer->is_later = true;
    else
        fw_web_problem(answer, status, NULL, "%s", error);
}

static void no_such_lease(fw_web_answer *answer)
{
    fw_web_problem(answer, 409, "lease-is-over",
                   "this lease is not, or no longer, good: drop the task, another may run it");
}

static void end(fw_control_plane *plane, const fw_web_request *request, fw_web_answer *answer,
                const fw_result_view *view)
{
    if (fw_poller_end(plane->workers, fw_web_param(request, "lease"), view))
        fw_buffer_text(&answer->body, "{\"ok\": true}");
    else
        no_such_lease(answer);
}

static void complete(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_json body;
    fw_result_view view = {.status = FW_SUCCESS, .result = {"null", 4}};
    if (!fw_http_object(request, "result", &body, answer))
        return;
    fw_json result = fw_json_get(body, "result");
    if (result.type != FW_JSON_INVALID)
        view.result = result.text;
    end(context, request, answer, &view);
}

/* "final": no other run; "retry_ms": the next one after so long. */
static bool read_again(fw_json body, int64_t *again_ns, fw_web_answer *answer)
{
    fw_json final = fw_json_get(body, "final"), wait = fw_json_get(body, "retry_ms");
    double ms = 0;
    bool never = false;
    if (final.type != FW_JSON_INVALID && !fw_json_bool(final, &never)) {
        fw_web_problem_field(answer, 422, "final", "true or false");
        return false;
    }
    if (wait.type != FW_JSON_INVALID && (!fw_json_double(wait, &ms) || !(ms >= 0 && ms <= 1e12))) {
        fw_web_problem_field(answer, 422, "retry_ms", "milliseconds, not negative");
        return false;
    }
    if (never)
        *again_ns = -1;
    else if (wait.type != FW_JSON_INVALID)
        *again_ns = 1 + (int64_t)(ms * 1e6);
    return true;
}

static void fail(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_json body;
    char room[8192];
    fw_result_view view = {.status = FW_FAILURE};
    if (!fw_http_object(request, "error retry_ms final", &body, answer))
        return;
    if (!fw_json_string(fw_json_get(body, "error"), room, sizeof room, &view.error) ||
        view.error.len == 0)
        fw_web_problem_field(answer, 422, "error", "what went wrong, a text of up to 8,000 bytes");
    else if (read_again(body, &view.again_ns, answer))
        end(context, request, answer, &view);
}

static void release(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_json body;
    if (fw_http_object(request, "", &body, answer))
        end(context, request, answer, NULL);
}

/* {"done": 3, "total": 10, "note": "text"}; a note that is too long is left out. */
static bool read_progress(fw_json value, fw_progress_view *out, bool *told, char *room,
                          size_t capacity, fw_web_answer *answer)
{
    int64_t done = 0, total = 0;
    *told = fw_json_is_there(value);
    *out = (fw_progress_view){0};
    if (!*told)
        return true;
    if (!fw_http_members(value, "done total note", answer))
        return false;
    fw_json whole = fw_json_get(value, "total");
    if (!fw_json_int(fw_json_get(value, "done"), &done) || done < 0 ||
        (whole.type != FW_JSON_INVALID && (!fw_json_int(whole, &total) || total < 0))) {
        fw_web_problem_field(answer, 422, "progress",
                             "an object with done, and perhaps total and note");
        return false;
    }
    out->done = (uint64_t)done;
    out->total = (uint64_t)total;
    if (!fw_json_string(fw_json_get(value, "note"), room, capacity, &out->note) ||
        out->note.len > FW_NOTE_MAX)
        out->note = (fw_span){0};
    return true;
}

static void beat(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    bool cancel = false, told;
    int64_t lease_ns = 0;
    fw_json body;
    fw_progress_view progress;
    char room[FW_NOTE_MAX * 6];
    if (!fw_http_object(request, "progress", &body, answer) ||
        !read_progress(fw_json_get(body, "progress"), &progress, &told, room, sizeof room, answer))
        return;
    if (!fw_poller_beat(plane->workers, fw_web_param(request, "lease"), told ? &progress : NULL,
                        &cancel, &lease_ns)) {
        no_such_lease(answer);
        return;
    }
    fw_buffer_format(&answer->body, "{\"cancel\": %s, \"lease\": ", cancel ? "true" : "false");
    fw_buffer_json_double(&answer->body, (double)lease_ns / 1e9);
    fw_buffer_text(&answer->body, "}");
}

static const fw_web_route routes[] = {
    {"POST", "/api/v1/worker/poll", FW_WEB_WORKER, poll_tasks, NULL, FW_WEB_TICKET},
    {"POST", "/api/v1/worker/{lease}:complete", FW_WEB_WORKER, complete, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/worker/{lease}:fail", FW_WEB_WORKER, fail, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/worker/{lease}:release", FW_WEB_WORKER, release, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/worker/{lease}:beat", FW_WEB_WORKER, beat, NULL, FW_WEB_AT_ONCE},
};

fw_web_table fw_http_worker(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
