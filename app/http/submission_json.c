/* app/http/submission_json.c - see app/http/submission_json.h. SPDX-License-Identifier: Apache-2.0
 */
#include "app/http/submission_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "app/commands/moment.h"
#include "app/commands/suggest.h"
#include "app/life/names.h"
#include "base/clock.h"

static const double seconds_max = 3.2e9; /* a hundred years */

typedef struct reading {
    fw_submission *out;
    fw_submission_error *error;
    char **room;
    int64_t now_ns;
} reading;

static bool wrong(const reading *r, const char *name, const char *what)
{
    snprintf(r->error->field, sizeof r->error->field, "%s", name);
    snprintf(r->error->text, sizeof r->error->text, "%s: %s", name, what);
    return false;
}

/* --- kinds of values --- */

/* Text of `least` to `most` bytes without control characters. */
static bool read_text(const reading *r, fw_json value, size_t least, size_t most, fw_span *out)
{
    if (!fw_json_string(value, *r->room, value.text.len, out) || out->len < least ||
        out->len > most)
        return false;
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->ptr[i] < 0x20 || out->ptr[i] == 0x7f)
            return false;
    if (out->ptr == *r->room)
        *r->room += out->len;
    return true;
}

/* Seconds, or a text such as "5m". */
static bool read_seconds(fw_json value, double *out)
{
    char text[32];
    int64_t ms;
    fw_span span;
    if (value.type == FW_JSON_NUMBER)
        return fw_json_double(value, out) && *out >= 0 && *out <= seconds_max;
    if (!fw_json_string(value, text, sizeof text, &span) || span.len >= sizeof text)
        return false;
    memmove(text, span.ptr, span.len);
    text[span.len] = '\0';
    if (strlen(text) != span.len || !fw_duration_read(&ms, text) || ms < 0)
        return false;
    *out = (double)ms / 1e3;
    return *out <= seconds_max;
}

static bool read_duration(const reading *r, const char *name, fw_json value, int64_t *out_ns)
{
    double seconds;
    if (!read_seconds(value, &seconds))
        return wrong(r, name, "seconds are wanted, or a text such as \"5m\"");
    *out_ns = (int64_t)(seconds * 1e9);
    return true;
}

static bool read_factor(const reading *r, const char *name, fw_json value, double *out)
{
    return read_seconds(value, out) || wrong(r, name, "a number from 0 on is wanted");
}

static bool read_raw(const reading *r, const char *name, fw_json value, fw_json_type type,
                     fw_span *out)
{
    *out = value.text;
    return value.type == type ||
           wrong(r, name, type == FW_JSON_ARRAY ? "an array is wanted" : "a JSON object is wanted");
}

/* --- members --- */

static bool read_task(const reading *r, const char *name, fw_json value)
{
    return read_text(r, value, 1, FW_NAME_MAX, &r->out->name) ||
           wrong(r, name, "a name of 1 to 255 bytes is wanted");
}

/* What the answers call it. */
static bool read_name(const reading *r, const char *name, fw_json value)
{
    fw_span before = r->out->name, now;
    if (!read_task(r, name, value))
        return false;
    now = r->out->name;
    return before.len == 0 ||
           (before.len == now.len && memcmp(before.ptr, now.ptr, now.len) == 0) ||
           wrong(r, name, "task and name are the same, and these two differ");
}

static bool read_args(const reading *r, const char *name, fw_json value)
{
    return read_raw(r, name, value, FW_JSON_ARRAY, &r->out->args);
}

static bool read_kwargs(const reading *r, const char *name, fw_json value)
{
    return read_raw(r, name, value, FW_JSON_OBJECT, &r->out->kwargs);
}

static bool read_options(const reading *r, const char *name, fw_json value)
{
    return read_raw(r, name, value, FW_JSON_OBJECT, &r->out->options);
}

static bool read_id(const reading *r, const char *name, fw_json value)
{
    return read_text(r, value, 1, FW_ID_MAX, &r->out->id) ||
           wrong(r, name, "a text of 1 to 255 bytes is wanted");
}

static bool read_priority(const reading *r, const char *name, fw_json value)
{
    fw_span word;
    int level = read_text(r, value, 1, 16, &word) ? fw_prio_parse(word) : -1;
    if (level < 0)
        return wrong(r, name, "critical, high, normal or low is wanted");
    r->out->level = (uint8_t)level;
    return true;
}

static bool read_countdown(const reading *r, const char *name, fw_json value)
{
    int64_t ns;
    if (!read_duration(r, name, value, &ns))
        return false;
    r->out->eta_wall_ns = ns > 0 ? r->now_ns + ns : 0;
    return true;
}

static bool read_eta(const reading *r, const char *name, fw_json value)
{
    char text[64];
    int64_t ms;
    double seconds;
    fw_span span;
    if (value.type == FW_JSON_NUMBER && read_seconds(value, &seconds)) {
        r->out->eta_wall_ns = (int64_t)(seconds * 1e9);
        return true;
    }
    if (fw_json_string(value, text, sizeof text, &span) && span.len < sizeof text) {
        memmove(text, span.ptr, span.len);
        text[span.len] = '\0';
        if (strlen(text) == span.len && fw_moment_read(&ms, text) && ms >= 0 &&
            ms < (int64_t)(seconds_max * 2e3)) {
            r->out->eta_wall_ns = ms * FW_NS_PER_MS;
            return true;
        }
    }
    return wrong(r, name, "a time is wanted, such as \"2030-01-31T09:00:00Z\" or Unix seconds");
}

static bool read_timeout(const reading *r, const char *name, fw_json value)
{
    return read_duration(r, name, value, &r->out->timeout_ns);
}

static bool read_ttl(const reading *r, const char *name, fw_json value)
{
    return read_duration(r, name, value, &r->out->result_ttl_ns);
}

static bool read_retries(const reading *r, const char *name, fw_json value)
{
    int64_t count;
    if (!fw_json_int(value, &count) || count < 0 || count > 60000)
        return wrong(r, name, "a count from 0 to 60000 is wanted");
    r->out->max_retries = (int32_t)count;
    return true;
}

static bool read_delay(const reading *r, const char *name, fw_json value)
{
    return read_factor(r, name, value, &r->out->retry_delay_s);
}

static bool read_backoff(const reading *r, const char *name, fw_json value)
{
    return read_factor(r, name, value, &r->out->retry_backoff);
}

static bool read_backoff_max(const reading *r, const char *name, fw_json value)
{
    return read_factor(r, name, value, &r->out->retry_backoff_max_s);
}

/* What can be told at all; whether it may be is callback-allow's. */
static bool is_address(fw_span text)
{
    static const char *const schemes[] = {"tcp://", "http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (text.len > len && strncasecmp(text.ptr, schemes[i], len) == 0)
            return text.ptr[len] != '/' && text.ptr[len] != ':' &&
                   (i > 0 || memchr(text.ptr + len, ':', text.len - len));
    }
    return false;
}

static bool read_callback(const reading *r, const char *name, fw_json value)
{
    fw_span address;
    fw_json_type data = fw_json_get(value, "data").type;
    bool good = value.type == FW_JSON_OBJECT &&
                read_text(r, fw_json_get(value, "address"), 1, 1024, &address) &&
                (data == FW_JSON_INVALID || data == FW_JSON_NULL || data == FW_JSON_OBJECT);
    r->out->callback = value.text;
    fw_span key;
    fw_json other;
    for (fw_json_cursor at = fw_json_open(value); good && fw_json_next_member(&at, &key, &other);)
        good = fw_json_key_is(key, "address") || fw_json_key_is(key, "data");
    if (good && !is_address(address))
        return wrong(r, name, "its address is tcp://host:port, http://... or https://...");
    return good || wrong(r, name, "{\"address\": text, \"data\": object} is wanted");
}

static const struct {
    const char *name;
    bool (*read)(const reading *r, const char *name, fw_json value);
} members[] = {
    {"task", read_name},
    {"name", read_name},
    {"args", read_args},
    {"kwargs", read_kwargs},
    {"id", read_id},
    {"priority", read_priority},
    {"countdown", read_countdown},
    {"eta", read_eta},
    {"timeout", read_timeout},
    {"result_ttl", read_ttl},
    {"max_retries", read_retries},
    {"retry_delay", read_delay},
    {"retry_backoff", read_backoff},
    {"retry_backoff_max", read_backoff_max},
    {"callback", read_callback},
    {"options", read_options},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

static bool read_member(const reading *r, fw_span key, fw_json value)
{
    char name[FW_SUBMISSION_FIELD], hint[64];
    const char *names[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++)
        if (fw_json_key_is(key, members[i].name))
            return (value.type == FW_JSON_NULL && members[i].read != read_name) ||
                   members[i].read(r, members[i].name, value);
    snprintf(name, sizeof name, "%.*s", (int)(key.len < 30 ? key.len : 30), key.ptr);
    for (size_t i = 0; i < MEMBERS; i++)
        names[i] = members[i].name;
    const char *near = fw_suggest(name, names, MEMBERS);
    snprintf(hint, sizeof hint, "no such member is known%s%s%s", near ? ", did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    return wrong(r, name, hint);
}

static void make_id(const reading *r)
{
    fw_submission *s = r->out;
    s->key = fw_key_random();
    fw_key_format(*r->room, s->key);
    s->id = (fw_span){*r->room, FW_UUID_TEXT};
    *r->room += FW_UUID_TEXT;
}

bool fw_submission_read(fw_submission *out, fw_submission_error *error, char **room, fw_json object,
                        int64_t now_wall_ns)
{
    const reading r = {out, error, room, now_wall_ns};
    fw_span key;
    fw_json value;
    *out = (fw_submission){
        .args = {"[]", 2},
        .kwargs = {"{}", 2},
        .level = FW_NORMAL,
        .retry_delay_s = 60,
        .retry_backoff = 2,
        .retry_backoff_max_s = 3600,
        .reply = {.form = FW_REPLY_NONE},
    };
    if (object.type != FW_JSON_OBJECT)
        return wrong(&r, "body", "a JSON object is wanted");
    fw_json_cursor cursor = fw_json_open(object);
    while (fw_json_next_member(&cursor, &key, &value))
        if (!read_member(&r, key, value))
            return false;
    if (out->name.len == 0)
        return wrong(&r, "task", "the name of a task is wanted");
    if (out->id.len == 0)
        make_id(&r);
    else
        out->key = fw_key_from_text(out->id);
    return true;
}
