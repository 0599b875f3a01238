/* web/routes.c - the router: a table of paths, and the rules that hold for all of them.
 *
 * Only known paths exist, so there is no way out of them. Reading is open; changing asks for the
 * key when one is set, and never works from a page of another origin. SPDX-License-Identifier:
 * Apache-2.0 */
#include "web/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static bool is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static void set_status(fw_web_answer *answer, int status, const char *reason)
{
    answer->status = status;
    answer->reason = reason;
}

static void answer_error(fw_web_answer *answer, int status, const char *reason, const char *text)
{
    set_status(answer, status, reason);
    answer->content_type = "application/json";
    answer->buffer.len = 0;
    fw_buffer_text(&answer->buffer, "{\"error\": ");
    fw_buffer_json_string(&answer->buffer, (fw_span){text, strlen(text)});
    fw_buffer_text(&answer->buffer, "}");
}

/* --- query text --- */

/* Value of name in "a=1&b=2"; empty if absent. No decoding: what is looked for needs none. */
static fw_span query_value(fw_span query, const char *name)
{
    size_t name_len = strlen(name);
    const char *at = query.ptr, *end = query.ptr + query.len;
    while (at && at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop ? stop : end;
        if ((size_t)(stop - at) > name_len && memcmp(at, name, name_len) == 0 &&
            at[name_len] == '=')
            return (fw_span){at + name_len + 1, (size_t)(stop - at) - name_len - 1};
        at = stop + 1;
    }
    return (fw_span){NULL, 0};
}

/* False: present and not a number. */
static bool query_number(fw_span query, const char *name, size_t most, size_t *value)
{
    fw_span text = query_value(query, name);
    size_t number = 0;
    if (!text.ptr)
        return true;
    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (size_t)(text.ptr[i] - '0');
    }
    *value = number < most ? number : most;
    return true;
}

/* "30", "2.5", "30s", "250ms"; at most most_ns. False: something else. */
static bool query_wait(fw_span query, int64_t most_ns, int64_t *wait_ns)
{
    fw_span text = query_value(query, "wait");
    double value = 0, part = 1;
    size_t at = 0, digits = 0;
    if (!text.ptr)
        return true;
    for (bool behind_point = false; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '.' && !behind_point) {
            behind_point = true;
        } else if (c >= '0' && c <= '9') {
            digits++;
            part /= behind_point ? 10 : 1;
            value = behind_point ? value + part * (c - '0') : value * 10 + (c - '0');
        } else {
            break;
        }
    }
    fw_span unit = {text.ptr + at, text.len - at};
    if (is(unit, "ms"))
        value /= 1e3;
    else if (unit.len > 0 && !is(unit, "s"))
        return false;
    *wait_ns = value < (double)most_ns / 1e9 ? (int64_t)(value * 1e9) : most_ns;
    return digits > 0;
}

/* --- rules for all --- */

static void allow_origin(const fw_web_config *config, fw_span origin, fw_web_answer *answer)
{
    const char *list = config->cors_origin;
    if (!list || !list[0])
        return;
    if (strcmp(list, "*") == 0) {
        snprintf(answer->allow_origin, sizeof answer->allow_origin, "*");
        return;
    }
    while (*list && origin.len > 0 && origin.len < sizeof answer->allow_origin) {
        size_t len = strcspn(list, ",");
        if (len == origin.len && memcmp(list, origin.ptr, len) == 0)
            snprintf(answer->allow_origin, sizeof answer->allow_origin, "%.*s", (int)len, list);
        list += len;
        list += strspn(list, ", ");
    }
}

/* Compares without telling by its time how much was right. */
static bool key_is_right(const char *key, fw_span authorization)
{
    size_t len = strlen(key);
    if (authorization.len != len + 7 || memcmp(authorization.ptr, "Bearer ", 7) != 0)
        return false;
    unsigned differ = 0;
    for (size_t i = 0; i < len; i++)
        differ |= (unsigned)(unsigned char)(authorization.ptr[7 + i] ^ key[i]);
    return differ == 0;
}

/* --- the routes --- */

typedef void (*writer)(void *context, fw_buffer *out);

static bool route_json(const fw_web_ops *ops, const fw_web_request *request, fw_web_answer *answer)
{
    const struct {
        const char *path;
        writer write;
    } table[] = {
        {"/api/status", ops->status},
        {"/api/workers", ops->workers},
        {"/api/queues", ops->queues},
        {"/api/cache", ops->cache},
        {"/api/registered-tasks", ops->registered_tasks},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (is(request->path, table[i].path)) {
            answer->content_type = "application/json";
            table[i].write(ops->context, &answer->buffer);
            return true;
        }
    }
    return false;
}

static void route_tasks(const fw_web_ops *ops, const fw_web_request *request, fw_web_answer *answer)
{
    fw_web_task_filter filter = {.limit = 50,
                                 .status = query_value(request->query, "status"),
                                 .name = query_value(request->query, "name"),
                                 .priority = query_value(request->query, "priority")};
    if (!query_number(request->query, "limit", 1000, &filter.limit) ||
        !query_number(request->query, "offset", SIZE_MAX, &filter.offset)) {
        answer_error(answer, 400, "Bad Request", "limit and offset are whole numbers");
        return;
    }
    answer->content_type = "application/json";
    ops->tasks(ops->context, &filter, &answer->buffer);
}

/* --- /api/v1 --- */

static const int64_t wait_max_ns = INT64_C(60) * 1000 * 1000 * 1000;

/* RFC 9457; the type names the kind of trouble, for programs. */
static void answer_problem(fw_web_answer *answer, int status)
{
    static const struct {
        int status;
        const char *reason, *type, *title;
    } kinds[] = {
        {400, "Bad Request", "bad-request", "The request is not understood"},
        {404, "Not Found", "unknown-task", "No task of this id has been seen"},
        {410, "Gone", "expired-task", "The result of this task is no longer kept"},
        {503, "Service Unavailable", "unavailable", "Too many wait, or the program ends"},
    };
    size_t i = 0;
    while (kinds[i].status != status && i + 1 < sizeof kinds / sizeof kinds[0])
        i++;
    set_status(answer, kinds[i].status, kinds[i].reason);
    answer->content_type = "application/problem+json";
    answer->buffer.len = 0;
    fw_buffer_format(&answer->buffer,
                     "{\"type\": \"urn:fastworker:%s\", \"title\": \"%s\", \"status\": %d}",
                     kinds[i].type, kinds[i].title, kinds[i].status);
}

static void replace_failed(fw_web_answer *answer)
{
    if (!answer->buffer.failed)
        return;
    fw_buffer_fini(&answer->buffer);
    answer->buffer = (fw_buffer){0};
    set_status(answer, 500, "Internal Server Error");
}

void fw_web_finish(fw_web_answer *answer, int status)
{
    answer->is_later = false;
    answer->content_type = "application/json";
    if (status >= 400)
        answer_problem(answer, status);
    replace_failed(answer);
}

/* /api/v1/tasks/{id}?wait=SECONDS */
static bool route_task(const fw_web_ops *ops, const fw_web_request *request, fw_web_answer *answer)
{
    static const char before[] = "/api/v1/tasks/";
    const size_t head = sizeof before - 1;
    fw_span path = request->path;
    int64_t wait_ns = 0;
    if (path.len <= head || memcmp(path.ptr, before, head) != 0)
        return false;
    fw_span id = {path.ptr + head, path.len - head};
    if (!query_wait(request->query, wait_max_ns, &wait_ns)) {
        answer_problem(answer, 400);
        return true;
    }
    bool can_wait = request->ticket.later != NULL;
    int status =
        ops->task(ops->context, id, can_wait ? wait_ns : 0, &request->ticket, &answer->buffer);
    answer->is_later = status == 0;
    if (status != 0)
        fw_web_finish(answer, status);
    return true;
}

static bool route_asset(const fw_web_request *request, fw_web_answer *answer)
{
    fw_span path = is(request->path, "/") ? (fw_span){"/index.html", 11} : request->path;
    for (size_t i = 0; i < fw_web_asset_count; i++) {
        const fw_web_asset *asset = &fw_web_assets[i];
        if (!is(path, asset->path))
            continue;
        answer->content_type = asset->content_type;
        answer->etag = asset->etag;
        if (is(request->if_none_match, asset->etag))
            set_status(answer, 304, "Not Modified");
        else
            answer->body = (fw_span){(const char *)asset->bytes, asset->len};
        return true;
    }
    return false;
}

static void route_get(const fw_web_ops *ops, const fw_web_request *request, fw_web_answer *answer)
{
    if (is(request->path, "/api/tasks")) {
        route_tasks(ops, request, answer);
    } else if (is(request->path, "/metrics")) {
        answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
        ops->metrics(ops->context, &answer->buffer);
    } else if (is(request->path, "/livez")) {
        fw_buffer_text(&answer->buffer, "ok\n");
    } else if (is(request->path, "/readyz")) {
        bool ready = ops->ready(ops->context);
        if (!ready)
            set_status(answer, 503, "Service Unavailable");
        fw_buffer_text(&answer->buffer, ready ? "ok\n" : "draining\n");
    } else if (!route_json(ops, request, answer) && !route_task(ops, request, answer) &&
               !route_asset(request, answer)) {
        answer_error(answer, 404, "Not Found", "no such page");
    }
}

/* /api/tasks/{id}/cancel */
static void route_post(const fw_web_ops *ops, const fw_web_request *request, fw_web_answer *answer)
{
    static const char before[] = "/api/tasks/", after[] = "/cancel";
    const size_t head = sizeof before - 1, tail = sizeof after - 1;
    fw_span path = request->path;
    if (path.len <= head + tail || memcmp(path.ptr, before, head) != 0 ||
        memcmp(path.ptr + path.len - tail, after, tail) != 0) {
        answer_error(answer, 404, "Not Found", "no such action");
        return;
    }
    fw_span id = {path.ptr + head, path.len - head - tail};
    answer->content_type = "application/json";
    if (ops->cancel(ops->context, id) == 0) {
        fw_buffer_text(&answer->buffer, "{\"task_id\": ");
        fw_buffer_json_string(&answer->buffer, id);
        fw_buffer_text(&answer->buffer, ", \"cancelled\": true}");
        return;
    }
    char text[FW_ID_MAX + 64];
    snprintf(text, sizeof text, "Task %.*s not found or already terminal",
             (int)(id.len > FW_ID_MAX ? FW_ID_MAX : id.len), id.ptr);
    answer_error(answer, 404, "Not Found", text);
}

void fw_web_route(const fw_web_config *config, const fw_web_ops *ops, const fw_web_request *request,
                  fw_web_answer *answer)
{
    FW_ASSERT(config && ops && ops->context);
    *answer = (fw_web_answer){.status = 200, .reason = "OK", .content_type = "text/plain"};
    allow_origin(config, request->origin, answer);
    if (is(request->method, "OPTIONS")) {
        set_status(answer, 200, "OK");
    } else if (is(request->method, "GET") || is(request->method, "HEAD")) {
        route_get(ops, request, answer);
    } else if (!is(request->method, "POST")) {
        answer_error(answer, 501, "Not Implemented", "only GET, HEAD, POST and OPTIONS");
    } else if (config->api_key && !key_is_right(config->api_key, request->authorization)) {
        answer_error(answer, 401, "Unauthorized",
                     "Unauthorized \xe2\x80\x94 invalid or missing API key");
    } else {
        route_post(ops, request, answer);
    }
    replace_failed(answer);
}
