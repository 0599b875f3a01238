/* app/life/task_options.c - see app/life/task_options.h: a table of members, each with its kind.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/task_options.h"

#include <math.h>
#include <float.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/commands/suggest.h"

typedef enum kind {
    KIND_TEXT,   /* 1 to 255 bytes */
    KIND_URL,    /* 1 to 2,000 bytes */
    KIND_IDS,    /* an array of strings */
    KIND_OBJECT, /* any */
    KIND_TEXTS,  /* an object of strings */
    KIND_SECONDS,
    KIND_SHARE, /* 0 to 1 */
    KIND_FAILURE,
    KIND_WHILE,
    KIND_WAIT,
    KIND_FACTOR
} kind;

static const struct member {
    const char *name;
    kind kind;
    size_t at;
} members[] = {
    {"key", KIND_TEXT, offsetof(fw_task_options, key)},
    {"unique", KIND_TEXT, offsetof(fw_task_options, unique)},
    {"unique_for", KIND_SECONDS, offsetof(fw_task_options, unique_ns)},
    {"unique_while", KIND_WHILE, offsetof(fw_task_options, unique_while)},
    {"group", KIND_TEXT, offsetof(fw_task_options, group)},
    {"after", KIND_IDS, offsetof(fw_task_options, after)},
    {"then", KIND_OBJECT, offsetof(fw_task_options, then)},
    {"on_failure", KIND_FAILURE, offsetof(fw_task_options, on_failure)},
    {"webhook", KIND_URL, offsetof(fw_task_options, webhook)},
    {"headers", KIND_TEXTS, offsetof(fw_task_options, headers)},
    {"retry_jitter", KIND_SHARE, offsetof(fw_task_options, retry_jitter)},
    {"retry_delay", KIND_WAIT, offsetof(fw_task_options, retry_delay_s)},
    {"retry_backoff", KIND_FACTOR, offsetof(fw_task_options, retry_backoff)},
    {"retry_backoff_max", KIND_WAIT, offsetof(fw_task_options, retry_backoff_max_s)},
    {"expires", KIND_SECONDS, offsetof(fw_task_options, expires_ns)},
};
enum { MEMBERS = sizeof members / sizeof members[0], TEXT_MAX = 255, URL_MAX = 2000 };

static bool wrong(char *error, const char *name, const char *wanted)
{
    snprintf(error, FW_TASK_OPTIONS_ERROR, "options: '%s' must be %s", name, wanted);
    return false;
}

static bool unknown(char *error, fw_span key)
{
    const char *names[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++)
        names[i] = members[i].name;
    fw_suggest_say(error, FW_TASK_OPTIONS_ERROR, "options: ", key, "is not known", names, MEMBERS);
    return false;
}

static bool read_text(fw_task_options *out, fw_span *to, fw_json value, size_t most)
{
    fw_span text;
    if (!fw_json_string(value, out->room + out->room_used, sizeof out->room - out->room_used,
                        &text) ||
        text.len == 0 || text.len > most || memchr(text.ptr, 0, text.len))
        return false;
    if (text.ptr == out->room + out->room_used)
        out->room_used += text.len;
    *to = text;
    return true;
}

static bool are_strings(fw_json value)
{
    fw_json_cursor cursor = fw_json_open(value);
    fw_span key;
    fw_json one;
    while (value.type == FW_JSON_OBJECT ? fw_json_next_member(&cursor, &key, &one)
                                        : fw_json_next(&cursor, &one))
        if (one.type != FW_JSON_STRING)
            return false;
    return true;
}

/* Which of the words, from `first` on, the value is. False: none. */
static bool read_word(int *to, fw_json value, const char *const words[], int first, int count)
{
    for (int i = first; i < count; i++) {
        if (value.text.len == strlen(words[i]) &&
            memcmp(value.text.ptr, words[i], value.text.len) == 0) {
            *to = i;
            return true;
        }
    }
    return false;
}

static bool read_failure(fw_after_failure *to, fw_json value)
{
    static const char *const words[] = {
        [FW_AFTER_FAIL] = "\"fail\"", [FW_AFTER_SKIP] = "\"skip\"", [FW_AFTER_RUN] = "\"run\""};
    int word;
    if (!read_word(&word, value, words, FW_AFTER_FAIL, FW_AFTER_RUN + 1))
        return false;
    *to = (fw_after_failure)word;
    return true;
}

static bool read_while(fw_unique_while *to, fw_json value)
{
    static const char *const words[] = {[FW_UNIQUE_LIVE] = "\"live\"",
                                        [FW_UNIQUE_QUEUED] = "\"queued\"",
                                        [FW_UNIQUE_TIME] = "\"time\""};
    int word;
    if (!read_word(&word, value, words, FW_UNIQUE_LIVE, FW_UNIQUE_TIME + 1))
        return false;
    *to = (fw_unique_while)word;
    return true;
}

/* A century is as good as for ever. */
static bool read_wait(double *to, fw_json value)
{
    if (!fw_json_double(value, to) || !(*to >= 0 && *to <= 1e9))
        return false;
    if (*to == 0)
        *to = DBL_MIN; /* said, and as good as 0 */
    return true;
}

static bool read_seconds(int64_t *to, fw_json value)
{
    double seconds;
    if (!fw_json_double(value, &seconds) || !(seconds >= 0))
        return false;
    *to = seconds < 3e9 ? (int64_t)(seconds * 1e9) : (int64_t)3e18;
    return true;
}

static bool read_span(fw_span *to, fw_json value, fw_json_type type)
{
    *to = value.text;
    return value.type == type;
}

static bool read_member(fw_task_options *out, const struct member *m, fw_json value, char *error)
{
    void *to = (char *)out + m->at;
    switch (m->kind) {
    case KIND_TEXT:
        return read_text(out, to, value, TEXT_MAX) || wrong(error, m->name, "1 to 255 characters");
    case KIND_URL:
        return read_text(out, to, value, URL_MAX) || wrong(error, m->name, "an address");
    case KIND_IDS:
        return (read_span(to, value, FW_JSON_ARRAY) && are_strings(value)) ||
               wrong(error, m->name, "an array of task ids");
    case KIND_OBJECT:
        return read_span(to, value, FW_JSON_OBJECT) || wrong(error, m->name, "an object");
    case KIND_TEXTS:
        return (read_span(to, value, FW_JSON_OBJECT) && are_strings(value)) ||
               wrong(error, m->name, "an object of strings");
    case KIND_SECONDS:
        return read_seconds(to, value) || wrong(error, m->name, "seconds, not negative");
    case KIND_SHARE:
        return (fw_json_double(value, to) && *(double *)to >= 0 && *(double *)to <= 1) ||
               wrong(error, m->name, "a number from 0 to 1");
    case KIND_WAIT:
        return read_wait(to, value) || wrong(error, m->name, "seconds, not negative");
    case KIND_FACTOR:
        return (fw_json_double(value, to) && *(double *)to >= 1 && *(double *)to <= 1e6) ||
               wrong(error, m->name, "a number from 1 on");
    case KIND_FAILURE:
        return read_failure(to, value) || wrong(error, m->name, "fail, skip or run");
    case KIND_WHILE:
        return read_while(to, value) || wrong(error, m->name, "live, queued or time");
    }
    return false;
}

bool fw_task_options_read(fw_task_options *out, fw_span text, char error[FW_TASK_OPTIONS_ERROR])
{
    fw_span key;
    fw_json value, object = {FW_JSON_INVALID, {NULL, 0}};
    memset(out, 0, offsetof(fw_task_options, room));
    out->room_used = 0;
    if (text.len == 0)
        return true;
    if (text.len <= FW_TASK_OPTIONS_MAX)
        object = fw_json_parse(text);
    if (object.type != FW_JSON_OBJECT) {
        snprintf(error, FW_TASK_OPTIONS_ERROR, "options: must be a JSON object of at most %d bytes",
                 FW_TASK_OPTIONS_MAX);
        return false;
    }
    for (fw_json_cursor at = fw_json_open(object); fw_json_next_member(&at, &key, &value);) {
        size_t i = 0;
        while (i < MEMBERS && !fw_json_key_is(key, members[i].name))
            i++;
        if (i == MEMBERS)
            return unknown(error, key);
        if (value.type != FW_JSON_NULL && !read_member(out, &members[i], value, error))
            return false;
    }
    return true;
}
