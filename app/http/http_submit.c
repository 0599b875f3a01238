/* app/http/http_submit.c - POST /api/v1/tasks and /api/v1/tasks:batch. Covered by
 * http_submit_test.py.
 *
 * A submission goes in as the wire's do (app/life/intake.c); the answer is found by its id. So
 * sending one again is safe: the id decides, and another task under the same id is a conflict.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/http/http_parts.h"
#include "app/http/long_poll.h"
#include "app/http/submission_json.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/queue_line.h"
#include "app/manage/manage_text.h"
#include "base/clock.h"
#include "base/rcu.h"

enum { BATCH_MAX = 10000, ID_ROOM = 64 };
static const int64_t wait_max_ns = 60 * FW_NS_PER_S;

/* --- headers --- */

/* "wait=30" among the preferences; what is no number is no preference. */
static int64_t preferred_wait(fw_span prefer)
{
    static const char word[] = "wait=";
    const size_t len = sizeof word - 1;
    for (size_t i = 0; i + len < prefer.len; i++) {
        bool begins = i == 0 || strchr(", ;", prefer.ptr[i - 1]) != NULL;
        if (!begins || memcmp(prefer.ptr + i, word, len) != 0)
            continue;
        fw_span value = {prefer.ptr + i + len, 0};
        int64_t wait_ns;
        while (i + len + value.len < prefer.len && !strchr(", ;", value.ptr[value.len]))
            value.len++;
        return fw_web_read_duration(value, wait_max_ns, &wait_ns) ? wait_ns : 0;
    }
    return 0;
}

/* The id that the header names, with or without quotes. */
static fw_span idempotency_key(const fw_web_request *request)
{
    fw_span key = request->idempotency_key;
    if (key.len >= 2 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"')
        key = (fw_span){key.ptr + 1, key.len - 2};
    return key;
}

/* --- rules --- */

static bool takes_tasks(const fw_control_plane *plane, fw_web_answer *answer)
{
    /* Relaxed: whoever comes at this moment was early or late. */
    if (!fw_load_relaxed(&plane->house.draining))
        return true;
    answer->retry_after_s = 5;
    fw_web_problem(answer, 503, "draining", "the control plane is shutting down");
    return false;
}

/* True: the id is, or was, another task. */
static bool is_another(fw_lifecycle *life, const fw_submission *s)
{
    fw_cache_item item;
    bool differs = false;
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(life->engine, s->key);
    fw_span name = {NULL, 0};
    if (task)
        name = fw_name_text(fw_names_at(life->names, task->name));
    else if (fw_cache_get(life->cache, s->key, fw_now_ns(), true, &item) == FW_CACHE_FOUND)
        name = item.name;
    if (name.ptr)
        differs = name.len != s->name.len || memcmp(name.ptr, s->name.ptr, name.len) != 0;
    if (task && !differs) {
        fw_span args = fw_record_args(task);
        fw_span kwargs = fw_record_kwargs(task);
        differs = args.len != s->args.len || memcmp(args.ptr, s->args.ptr, args.len) != 0 ||
                  kwargs.len != s->kwargs.len || memcmp(kwargs.ptr, s->kwargs.ptr, kwargs.len) != 0;
    }
    fw_rcu_read_unlock();
    return differs;
}

static bool same(fw_span a, fw_span b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static int by_key(const void *a, const void *b)
{
    const fw_submission *const *left = a, *const *right = b;
    return memcmp(&(*left)->key, &(*right)->key, sizeof(fw_key));
}

/* One of the items whose id is that of an item beside it, with something else to do; NULL: none.
 * Only the first would run. */
static const fw_submission *find_clash(const fw_submission *items, size_t count)
{
    const fw_submission **sorted = malloc((count + 1) * sizeof *sorted), *clash = NULL;
    for (size_t i = 0; sorted && i < count; i++)
        sorted[i] = &items[i];
    if (sorted)
        qsort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 1; sorted && i < count && !clash; i++) {
        const fw_submission *a = sorted[i - 1], *b = sorted[i];
        if (fw_key_equal(a->key, b->key) &&
            !(same(a->name, b->name) && same(a->args, b->args) && same(a->kwargs, b->kwargs)))
            clash = b;
    }
    free(sorted);
    return clash;
}

static void write_ids(fw_web_answer *answer, const fw_submission *items, size_t count);

static void write_refusal(fw_lifecycle *life, fw_web_answer *answer, int rc, const char *error)
{
    if (rc == -FW_EINVAL) {
        fw_web_problem_field(answer, 422, "options", "%s", error);
    } else if (rc == -FW_EDUP) {
        fw_web_problem(answer, 409, NULL, "%s", error);
    } else {
        answer->retry_after_s = (fw_retry_after_ms(life) + 999) / 1000;
        fw_web_problem(answer, 429, NULL, "%s", error);
    }
}

/* One that waited for room hears what became of it. */
static void tell_later(void *context, const fw_line_ask *ask, int rc, const char *error)
{
    fw_lifecycle *life = context;
    fw_web_answer answer = fw_web_answer_begin();
    if (rc < 0)
        write_refusal(life, &answer, rc, error);
    else if (ask->many)
        write_ids(&answer, ask->items, ask->count);
    else
        fw_long_poll(life, ask->items->id, ask->wait_ns, ask->ticket, FW_POLL_SUBMITTED, &answer);
    if (!answer.is_later)
        fw_web_answer_later(ask->ticket, &answer);
}

/* True: all are in. ask: how to tell later those for whom there is no room now. */
static bool submit(fw_control_plane *plane, const fw_submission *items, size_t count,
                   fw_line_ask *ask, fw_web_answer *answer)
{
    fw_lifecycle *life = &plane->house.life;
    char error[FW_TASK_OPTIONS_ERROR] = "";
    const size_t most = (size_t)plane->house.settings->payload_max;
    for (size_t i = 0; i < count; i++) {
        if (items[i].args.len + items[i].kwargs.len + items[i].options.len > most) {
            fw_web_problem(answer, 413, NULL, "task %zu is larger than payload-max", i);
            return false;
        }
        if (!is_another(&plane->house.life, &items[i]))
            continue;
        fw_web_problem(answer, 409, NULL, "the id %.*s belongs to another task",
                       (int)items[i].id.len, items[i].id.ptr);
        return false;
    }
    const fw_submission *clash = count > 1 ? find_clash(items, count) : NULL;
    if (clash) {
        fw_web_problem(answer, 409, NULL, "the id %.*s is given to two different tasks",
                       (int)clash->id.len, clash->id.ptr);
        return false;
    }
    ask->items = items;
    ask->count = count;
    ask->told = tell_later;
    ask->context = life;
    bool behind = fw_queue_line_goes_behind(life, items, count);
    int rc = behind ? -FW_EFULL : fw_lifecycle_submit_all(life, items, count, error);
    answer->is_later = rc == -FW_EFULL && ask->ticket->later && fw_queue_line_wait(life, ask);
    if (rc < 0 && !answer->is_later) {
        char text[FW_FULL_TEXT];
        write_refusal(life, answer, rc, error[0] ? error : fw_full_text(life, text));
    }
    return rc == 0;
}

/* --- one --- */

static void post_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_json object;
    fw_submission s;
    fw_submission_error error;
    fw_line_ask ask = {.ticket = &request->ticket, .wait_ns = preferred_wait(request->prefer)};
    fw_span key = idempotency_key(request);
    if (!takes_tasks(plane, answer) || !fw_http_object(request, NULL, &object, answer))
        return;
    char *texts = malloc(object.text.len + ID_ROOM), *at = texts;
    if (!texts) {
        fw_web_problem(answer, 500, NULL, "out of memory");
        return;
    }
    bool named = fw_json_get(object, "id").type == FW_JSON_STRING;
    bool good = fw_submission_read(&s, &error, &at, object, fw_wall_ns());
    if (good && key.len > 0) {
        good = !named || (key.len == s.id.len && memcmp(key.ptr, s.id.ptr, key.len) == 0);
        error = (fw_submission_error){"id", "id: it differs from the idempotency-key"};
        if (key.len > FW_ID_MAX) {
            error = (fw_submission_error){"id", "id: idempotency-key has more than 255 bytes"};
            good = false;
        }
        s.id = key;
        s.key = good ? fw_key_from_text(key) : s.key;
    }
    if (!good)
        fw_web_problem_field(answer, 422, error.field, "%s", error.text);
    else if (submit(plane, &s, 1, &ask, answer))
        fw_long_poll(&plane->house.life, s.id, ask.wait_ns, &request->ticket, FW_POLL_SUBMITTED,
                     answer);
    free(texts);
}

/* --- many --- */

typedef struct batch {
    fw_submission *items;
    size_t count, room;
    char *texts, *at;
    int64_t now_ns;
    fw_web_answer *answer;
} batch;

static bool add(batch *b, fw_json value)
{
    fw_submission_error error;
    char field[FW_SUBMISSION_FIELD + 32];
    if (b->count == BATCH_MAX) {
        fw_web_problem(b->answer, 413, NULL, "a batch has at most %d tasks", BATCH_MAX);
        return false;
    }
    if (b->count == b->room) {
        size_t room = b->room ? 2 * b->room : 64;
        fw_submission *items = realloc(b->items, room * sizeof *items);
        if (!items) {
            fw_web_problem(b->answer, 500, NULL, "out of memory");
            return false;
        }
        b->items = items;
        b->room = room;
    }
    if (fw_submission_read(&b->items[b->count], &error, &b->at, value, b->now_ns)) {
        b->count++;
        return true;
    }
    snprintf(field, sizeof field, "[%zu].%s", b->count, error.field);
    fw_web_problem_field(b->answer, 422, field, "task %zu: %s", b->count, error.text);
    return false;
}

/* One task a line; empty lines are none. */
static bool add_lines(batch *b, fw_span text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        fw_span line = {at, (size_t)(stop - at)};
        at = stop + 1;
        while (line.len > 0 && strchr(" \t\r", line.ptr[line.len - 1]))
            line.len--;
        if (line.len == 0)
            continue;
        fw_json value = fw_json_parse(line);
        if (value.type == FW_JSON_INVALID) {
            fw_web_problem(b->answer, 400, NULL, "task %zu: the line is not valid JSON", b->count);
            return false;
        }
        if (!add(b, value))
            return false;
    }
    return true;
}

static bool add_array(batch *b, fw_span text)
{
    fw_json array = fw_json_parse(text), value;
    if (array.type == FW_JSON_OBJECT) {
        if (!fw_http_members(array, "tasks", b->answer))
            return false;
        array = fw_json_get(array, "tasks");
    }
    if (array.type != FW_JSON_ARRAY) {
        fw_web_problem(b->answer, 400, NULL, "the body is not a JSON array of tasks");
        return false;
    }
    fw_json_cursor cursor = fw_json_open(array);
    while (fw_json_next(&cursor, &value))
        if (!add(b, value))
            return false;
    return true;
}

static void write_ids(fw_web_answer *answer, const fw_submission *items, size_t count)
{
    fw_buffer *out = &answer->body;
    answer->status = 202;
    fw_buffer_text(out, "{\"task_ids\": [");
    for (size_t i = 0; i < count; i++) {
        fw_buffer_text(out, i ? ", " : "");
        fw_buffer_json_string(out, items[i].id);
    }
    fw_buffer_format(out, "], \"count\": %zu}", count);
}

static bool is_lines(fw_span type)
{
    return type.len >= sizeof FW_WEB_NDJSON - 1 &&
           strncasecmp(type.ptr, FW_WEB_NDJSON, sizeof FW_WEB_NDJSON - 1) == 0;
}

static void post_batch(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    batch b = {.now_ns = fw_wall_ns(), .answer = answer};
    fw_line_ask ask = {.ticket = &request->ticket, .many = true};
    if (!takes_tasks(plane, answer))
        return;
    /* The shortest task has eleven bytes, so this is enough for all their ids. */
    b.texts = b.at = malloc(request->body.len * 5 + ID_ROOM);
    if (!b.texts) {
        fw_web_problem(answer, 500, NULL, "out of memory");
        return;
    }
    bool good = is_lines(request->content_type) ? add_lines(&b, request->body)
                                                : add_array(&b, request->body);
    if (good && b.count == 0)
        fw_web_problem(answer, 422, NULL, "there is no task in it");
    else if (good && submit(plane, b.items, b.count, &ask, answer))
        write_ids(answer, b.items, b.count);
    free(b.texts);
    free(b.items);
}

static const fw_web_route routes[] = {
    {"POST", "/api/v1/tasks", FW_WEB_SUBMIT, post_task, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/tasks:batch", FW_WEB_SUBMIT, post_batch, FW_WEB_JSON " " FW_WEB_NDJSON,
     false},
};

fw_web_table fw_http_submit(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}
