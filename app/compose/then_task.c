/* app/compose/then_task.c - see app/compose/then_task.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/then_task.h"

#include <stdio.h>
#include <string.h>

#include "app/commands/suggest.h"

static bool wrong(char *error, const char *name, const char *wanted)
{
    snprintf(error, FW_TASK_OPTIONS_ERROR, "options: then: '%s' must be %s", name, wanted);
    return false;
}

static bool read_text(fw_span *to, char *room, size_t capacity, fw_json value)
{
    fw_span text;
    if (value.type != FW_JSON_STRING || value.text.len > capacity ||
        !fw_json_string(value, room, capacity, &text) || text.len == 0 ||
        memchr(text.ptr, 0, text.len))
        return false;
    *to = text;
    return true;
}

static bool read_span(fw_span *to, fw_json value, fw_json_type type)
{
    *to = value.text;
    return value.type == type;
}

static bool read_priority(uint8_t *to, fw_json value)
{
    int level = value.type == FW_JSON_STRING
                    ? fw_prio_parse((fw_span){value.text.ptr + 1, value.text.len - 2})
                    : -1;
    *to = (uint8_t)level;
    return level >= 0;
}

static bool read_seconds(int64_t *to, fw_json value)
{
    double seconds;
    if (!fw_json_double(value, &seconds) || !(seconds >= 0))
        return false;
    *to = seconds < 3e9 ? (int64_t)(seconds * 1e9) : (int64_t)3e18;
    return true;
}

static bool read_count(int32_t *to, fw_json value)
{
    int64_t count;
    if (!fw_json_int(value, &count) || count < 0 || count > INT32_MAX)
        return false;
    *to = (int32_t)count;
    return true;
}

/* What follows a group does not itself make another: its id can be named in `after`. */
static bool read_options(fw_span *to, char *error, fw_json value)
{
    fw_task_options options;
    if (!read_span(to, value, FW_JSON_OBJECT))
        return wrong(error, "options", "an object");
    if (!fw_task_options_read(&options, value.text, error))
        return false;
    if (options.after.len > 0 || options.then.len > 0 || options.group.len > 0 ||
        options.unique.len > 0 || options.on_failure != FW_AFTER_UNSAID) {
        snprintf(error, FW_TASK_OPTIONS_ERROR,
                 "options: then: its own options cannot have after, group, then, on_failure or "
                 "unique; give it an id and let others come after that");
        return false;
    }
    return true;
}

static const char *const names[] = {"task",     "id",      "args",       "kwargs",
                                    "priority", "timeout", "result_ttl", "max_retries",
                                    "callback", "options", "name"};
enum { TASK, ID, ARGS, KWARGS, PRIORITY, TIMEOUT, TTL, RETRIES, CALLBACK, OPTIONS, NAME, NAMES };

static bool unknown(char *error, fw_span key)
{
    fw_suggest_say(error, FW_TASK_OPTIONS_ERROR, "options: then: ", key, "is not known", names,
                   NAMES);
    return false;
}

static bool read_member(fw_then_task *out, char *error, int which, fw_json value)
{
    fw_submission *s = &out->submission;
    switch (which) {
    case TASK:
    case NAME:
        return read_text(&s->name, out->name, sizeof out->name, value) ||
               wrong(error, "task", "a task's name");
    case ID:
        return (read_text(&s->id, out->id, sizeof out->id, value) && s->id.len <= FW_ID_MAX) ||
               wrong(error, "id", "1 to 255 characters");
    case ARGS:
        return read_span(&s->args, value, FW_JSON_ARRAY) || wrong(error, "args", "an array");
    case KWARGS:
        return read_span(&s->kwargs, value, FW_JSON_OBJECT) || wrong(error, "kwargs", "an object");
    case PRIORITY:
        return read_priority(&s->level, value) ||
               wrong(error, "priority", "low, normal, high or critical");
    case TIMEOUT:
        return read_seconds(&s->timeout_ns, value) || wrong(error, "timeout", "seconds");
    case TTL:
        return read_seconds(&s->result_ttl_ns, value) || wrong(error, "result_ttl", "seconds");
    case RETRIES:
        return read_count(&s->max_retries, value) || wrong(error, "max_retries", "a count");
    case CALLBACK:
        return (read_span(&s->callback, value, FW_JSON_OBJECT) &&
                fw_json_get(value, "address").type == FW_JSON_STRING) ||
               wrong(error, "callback", "an object with an address");
    default:
        return read_options(&s->options, error, value);
    }
}

static void name_after(fw_then_task *out, const fw_submission *member)
{
    char uuid[FW_UUID_TEXT];
    fw_span id = member->id;
    if (id.len == 0) {
        fw_key_format(uuid, member->key);
        id = (fw_span){uuid, sizeof uuid};
    }
    int kept = id.len < FW_ID_MAX - 5 ? (int)id.len : FW_ID_MAX - 5;
    int len = snprintf(out->id, sizeof out->id, "%.*s.then", kept, id.ptr);
    out->submission.id = (fw_span){out->id, (size_t)len};
}

bool fw_then_task_read(fw_then_task *out, char error[FW_TASK_OPTIONS_ERROR], fw_span object,
                       const fw_submission *member)
{
    fw_submission *s = &out->submission;
    fw_json value, then = fw_json_parse(object);
    fw_span key;
    *s = (fw_submission){.args = {"[]", 2},
                         .kwargs = {"{}", 2},
                         .options = {"{}", 2}, /* makes room for its node */
                         .level = FW_NORMAL,
                         .retry_delay_s = 60,
                         .retry_backoff = 2,
                         .retry_backoff_max_s = 3600,
                         .reply = {.form = FW_REPLY_NONE}};
    for (fw_json_cursor at = fw_json_open(then); fw_json_next_member(&at, &key, &value);) {
        int i = 0;
        while (i < NAMES && !fw_json_key_is(key, names[i]))
            i++;
        if (i == NAMES)
            return unknown(error, key);
        if (value.type != FW_JSON_NULL && !read_member(out, error, i, value))
            return false;
    }
    if (s->name.len == 0)
        return wrong(error, "task", "given");
    if (s->id.len == 0)
        name_after(out, member);
    s->key = fw_key_from_text(s->id);
    return true;
}
