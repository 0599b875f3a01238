/* app/commands/task_line.c - see app/commands/task_line.h.
 *
 * Strict: a member that nobody knows is an error, because a misspelt one would silently be lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/task_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/moment.h"
#include "app/commands/suggest.h"
#include "base/json.h"

typedef struct reading {
    fw_submit *out;
    fw_line_room *room;
    char *error;
    size_t error_capacity;
} reading;

static bool wrong(const reading *r, const char *name, const char *what)
{
    snprintf(r->error, r->error_capacity, "%s: %s", name, what);
    return false;
}

/* The text of a string, NUL-ended. NULL: it is none, or holds a NUL. */
static const char *keep_text(fw_line_room *room, fw_json value)
{
    fw_span text;
    char *to = room->data + room->len;
    if (room->capacity - room->len < value.text.len + 1 ||
        !fw_json_string(value, to, value.text.len, &text) ||
        (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL))
        return NULL;
    if (text.len > 0)
        memmove(to, text.ptr, text.len);
    to[text.len] = '\0';
    room->len += text.len + 1;
    return to;
}

static bool read_text(const reading *r, const char *name, fw_json value, const char **out)
{
    if (value.type == FW_JSON_NULL || value.type == FW_JSON_INVALID)
        return true;
    *out = keep_text(r->room, value);
    return *out != NULL || wrong(r, name, "it must be a string");
}

static bool read_time(const reading *r, const char *name, fw_json value, int64_t *out_ms)
{
    double seconds;
    const char *text;
    if (value.type == FW_JSON_NULL)
        return true;
    if (value.type == FW_JSON_NUMBER && fw_json_double(value, &seconds) && seconds >= 0 &&
        seconds <= 1e10) {
        *out_ms = (int64_t)(seconds * 1e3);
        return true;
    }
    text = value.type == FW_JSON_STRING ? keep_text(r->room, value) : NULL;
    return (text != NULL && fw_duration_read(out_ms, text)) ||
           wrong(r, name, "it must be seconds, not negative, or a text such as \"5m\"");
}

static bool read_eta(const reading *r, const char *name, fw_json value)
{
    const char *text;
    if (value.type == FW_JSON_NULL)
        return true;
    if (value.type == FW_JSON_NUMBER)
        return read_time(r, name, value, &r->out->eta_unix_ms);
    text = value.type == FW_JSON_STRING ? keep_text(r->room, value) : NULL;
    return (text != NULL && fw_moment_read(&r->out->eta_unix_ms, text)) ||
           wrong(r, name, "it must be a time such as \"2030-01-31T09:00:00\" or Unix seconds");
}

static bool read_priority(const reading *r, const char *name, fw_json value)
{
    fw_span word = {value.text.ptr + 1, value.text.len - 2};
    int prio = value.type == FW_JSON_STRING ? fw_prio_parse(word) : -1;
    if (prio < 0)
        return wrong(r, name, "it must be low, normal, high or critical");
    r->out->prio = (fw_prio)prio;
    r->out->has_prio = 1;
    return true;
}

static bool read_callback(const reading *r, const char *name, fw_json value)
{
    if (value.type != FW_JSON_OBJECT)
        return read_text(r, name, value, &r->out->callback);
    fw_json data = fw_json_get(value, "data");
    if (data.type == FW_JSON_OBJECT)
        r->out->callback_data = data.text;
    else if (data.type != FW_JSON_INVALID && data.type != FW_JSON_NULL)
        return wrong(r, name, "its data must be an object");
    return read_text(r, "callback.address", fw_json_get(value, "address"), &r->out->callback) &&
           (r->out->callback != NULL || wrong(r, name, "it needs an address"));
}

static bool read_value(const reading *r, const char *name, fw_json value, fw_json_type type,
                       fw_span *out)
{
    if (value.type == FW_JSON_NULL)
        return true;
    *out = value.text;
    return value.type == type ||
           wrong(r, name, type == FW_JSON_ARRAY ? "it must be an array" : "it must be an object");
}

static bool read_retries(const reading *r, const char *name, fw_json value)
{
    int64_t count = 0;
    if (value.type != FW_JSON_NULL &&
        (!fw_json_int(value, &count) || count < 0 || count > INT32_MAX))
        return wrong(r, name, "it must be a count");
    r->out->max_retries = (int32_t)count;
    return true;
}

static const char *const members[] = {"task",       "args",        "kwargs",   "id",
                                      "priority",   "countdown",   "eta",      "timeout",
                                      "result_ttl", "max_retries", "callback", "options"};
enum {
    TASK,
    ARGS,
    KWARGS,
    ID,
    PRIORITY,
    COUNTDOWN,
    ETA,
    TIMEOUT,
    TTL,
    RETRIES,
    CALLBACK,
    OPTIONS,
    MEMBERS
};

static bool unknown(const reading *r, fw_span key)
{
    char name[48];
    snprintf(name, sizeof(name), "%.*s", (int)(key.len < 40 ? key.len : 40), key.ptr);
    const char *near = fw_suggest(name, members, MEMBERS);
    snprintf(r->error, r->error_capacity, "%s: no such member%s%s%s", name,
             near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
             near == NULL ? "" : "?");
    return false;
}

static bool key_is(fw_span key, const char *name)
{
    return strlen(name) == key.len && memcmp(name, key.ptr, key.len) == 0;
}

static bool read_member(const reading *r, fw_span key, fw_json value)
{
    bool names = key_is(key, "task") || key_is(key, "name") || key_is(key, "task_name");
    int which = names ? TASK : TASK + 1;
    while (which != TASK && which < MEMBERS && !key_is(key, members[which]))
        which++;
    const char *name = which < MEMBERS ? members[which] : NULL;
    switch (which) {
    case TASK:
        return read_text(r, name, value, &r->out->task);
    case ARGS:
        return read_value(r, name, value, FW_JSON_ARRAY, &r->out->args);
    case KWARGS:
        return read_value(r, name, value, FW_JSON_OBJECT, &r->out->kwargs);
    case ID:
        return read_text(r, name, value, &r->out->id);
    case PRIORITY:
        return read_priority(r, name, value);
    case COUNTDOWN:
        return read_time(r, name, value, &r->out->countdown_ms);
    case ETA:
        return read_eta(r, name, value);
    case TIMEOUT:
        return read_time(r, name, value, &r->out->timeout_ms);
    case TTL:
        return read_time(r, name, value, &r->out->result_ttl_ms);
    case RETRIES:
        return read_retries(r, name, value);
    case CALLBACK:
        return read_callback(r, name, value);
    case OPTIONS:
        return read_value(r, name, value, FW_JSON_OBJECT, &r->out->options);
    default:
        return unknown(r, key);
    }
}

bool fw_task_line_read(fw_submit *out, char *error, size_t error_capacity, fw_line_room *room,
                       fw_span line, const fw_submit *base)
{
    const reading r = {out, room, error, error_capacity};
    fw_json object = fw_json_parse(line), value;
    fw_span key;
    *out = *base;
    room->len = 0;
    if (object.type != FW_JSON_OBJECT)
        return wrong(&r, "line",
                     object.type == FW_JSON_INVALID ? "not valid JSON"
                                                    : "it must be a JSON object");
    if (room->capacity < 2 * line.len) {
        free(room->data);
        room->capacity = 2 * line.len + 1024;
        room->data = malloc(room->capacity);
        if (room->data == NULL) {
            room->capacity = 0;
            return wrong(&r, "line", "out of memory");
        }
    }
    for (fw_json_cursor cursor = fw_json_open(object); fw_json_next_member(&cursor, &key, &value);)
        if (!read_member(&r, key, value))
            return false;
    return out->task != NULL || wrong(&r, "task", "it is needed");
}
