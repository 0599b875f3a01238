/* app/commands/output.c - see app/commands/output.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands/moment.h"

/* Deeper ones are shown as JSON; nobody reads them. */
enum { DEPTH_MAX = 64 };

/* Python's choice: single quotes, unless the text has some and no double ones. */
void fw_output_python_text(fw_buffer *out, fw_span text)
{
    bool single = text.len > 0 && memchr(text.ptr, '\'', text.len) != NULL;
    bool twice = text.len > 0 && memchr(text.ptr, '"', text.len) != NULL;
    char quote = single && !twice ? '"' : '\'';
    fw_buffer_add(out, &quote, 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char at = (unsigned char)text.ptr[i];
        if (at == '\n')
            fw_buffer_text(out, "\\n");
        else if (at == '\r')
            fw_buffer_text(out, "\\r");
        else if (at == '\t')
            fw_buffer_text(out, "\\t");
        else if (at < 0x20 || at == 0x7f)
            fw_buffer_format(out, "\\x%02x", at);
        else if (at == '\\' || at == (unsigned char)quote)
            fw_buffer_format(out, "\\%c", at);
        else
            fw_buffer_add(out, &text.ptr[i], 1);
    }
    fw_buffer_add(out, &quote, 1);
}

static void write_text(fw_buffer *out, fw_json value, bool bare)
{
    char *room = malloc(value.text.len + 1);
    fw_span text;
    if (room == NULL || !fw_json_string(value, room, value.text.len + 1, &text)) {
        fw_buffer_add(out, value.text.ptr, value.text.len);
    } else if (bare) {
        fw_buffer_add(out, text.ptr, text.len);
    } else {
        fw_output_python_text(out, text);
    }
    free(room);
}

/* Not a fraction, an exponent, NaN or an infinity. */
static bool is_integer(fw_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(".eEnNiI", text.ptr[i]) != NULL)
            return false;
    }
    return true;
}

static void write_number(fw_buffer *out, fw_span text)
{
    double value;
    const fw_json json = {FW_JSON_NUMBER, text};
    if (is_integer(text) || !fw_json_double(json, &value))
        fw_buffer_add(out, text.ptr, text.len);
    else if (isnan(value))
        fw_buffer_text(out, "nan");
    else if (isinf(value))
        fw_buffer_text(out, value < 0 ? "-inf" : "inf");
    else
        fw_buffer_json_double(out, value);
}

static void write_value(fw_buffer *out, fw_json value, int depth);

static void write_members(fw_buffer *out, fw_json value, int depth)
{
    fw_json_cursor cursor = fw_json_open(value);
    fw_json item;
    fw_span key;
    const char *between = "";
    bool object = value.type == FW_JSON_OBJECT;
    fw_buffer_text(out, object ? "{" : "[");
    while (object ? fw_json_next_member(&cursor, &key, &item) : fw_json_next(&cursor, &item)) {
        fw_buffer_text(out, between);
        between = ", ";
        if (object) {
            const fw_json name = {FW_JSON_STRING, {key.ptr - 1, key.len + 2}};
            write_text(out, name, false);
            fw_buffer_text(out, ": ");
        }
        write_value(out, item, depth + 1);
    }
    fw_buffer_text(out, object ? "}" : "]");
}

static void write_value(fw_buffer *out, fw_json value, int depth)
{
    switch (value.type) {
    case FW_JSON_NULL:
        fw_buffer_text(out, "None");
        break;
    case FW_JSON_TRUE:
        fw_buffer_text(out, "True");
        break;
    case FW_JSON_FALSE:
        fw_buffer_text(out, "False");
        break;
    case FW_JSON_NUMBER:
        write_number(out, value.text);
        break;
    case FW_JSON_STRING:
        write_text(out, value, depth == 0);
        break;
    case FW_JSON_ARRAY:
    case FW_JSON_OBJECT:
        if (depth < DEPTH_MAX) {
            write_members(out, value, depth);
            break;
        }
        /* fall through */
    default:
        fw_buffer_add(out, value.text.ptr, value.text.len);
        break;
    }
}

void fw_output_python(fw_buffer *out, fw_span json)
{
    fw_json value = fw_json_parse(json);
    if (value.type == FW_JSON_INVALID)
        value.text = json;
    write_value(out, value, 0);
}

static void write_time(fw_buffer *out, const char *name, int64_t unix_ns)
{
    char text[40];
    if (unix_ns == 0)
        return;
    fw_moment_write(text, sizeof(text), unix_ns);
    text[10] = 'T';
    fw_buffer_format(out, ", \"%s\": \"%s\"", name, text);
}

static void write_progress(fw_buffer *out, const fw_result *r)
{
    uint64_t done, total;
    const char *note;
    if (fw_result_progress(r, &done, &total, &note) < 0)
        return;
    fw_buffer_format(out, ", \"progress\": {\"done\": %" PRIu64 ", \"total\": %" PRIu64, done,
                     total);
    fw_buffer_text(out, ", \"note\": ");
    fw_buffer_json_string(out, (fw_span){note, strlen(note)});
    fw_buffer_text(out, "}");
}

void fw_output_json(fw_buffer *out, const char *id, const char *status, const fw_result *r,
                    const char *error)
{
    fw_buffer_text(out, "{\"task_id\": ");
    fw_buffer_json_string(out, (fw_span){id, strlen(id)});
    fw_buffer_text(out, ", \"status\": \"");
    fw_buffer_text(out, status);
    fw_buffer_text(out, "\"");
    if (r != NULL && fw_result_state(r) == FW_SUCCESS) {
        fw_span json = fw_result_json(r);
        fw_buffer_text(out, ", \"result\": ");
        fw_buffer_add(out, json.ptr, json.len);
    }
    if (r != NULL && error == NULL)
        error = fw_result_error(r);
    if (error != NULL) {
        fw_buffer_text(out, ", \"error\": ");
        fw_buffer_json_string(out, (fw_span){error, strlen(error)});
    }
    if (r != NULL) {
        write_progress(out, r);
        write_time(out, "started_at", fw_result_started_ns(r));
        write_time(out, "completed_at", fw_result_finished_ns(r));
    }
    fw_buffer_text(out, "}");
}

bool fw_output_flush(fw_buffer *out)
{
    size_t at = 0;
    while (at < out->len) {
        ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    out->len = 0;
    return true;
}
