/* json_compare.c - reads documents, each after its length (4 bytes, little-endian), and writes for
 * each a line: "invalid", or the document as our walks see it, written anew.
 * tests/base/json_compare.py feeds it and compares with Python's json module. Where jansson is
 * there and accepts a document, so must we. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#include "base/json.h"

static void write_value(fw_buffer *out, fw_json value);

static void write_string(fw_buffer *out, fw_json value)
{
    char *room = malloc(value.text.len);
    fw_span text;
    if (room == NULL || !fw_json_string(value, room, value.text.len, &text))
        abort();
    fw_buffer_json_string(out, text);
    free(room);
}

static void write_number(fw_buffer *out, fw_json value)
{
    int64_t whole;
    double number;
    bool integral = true;
    for (size_t i = 0; i < value.text.len; i++)
        integral = integral && strchr("-0123456789", value.text.ptr[i]) != NULL;
    if (integral && fw_json_int(value, &whole))
        fw_buffer_format(out, "%lld", (long long)whole);
    else if (!integral && fw_json_double(value, &number))
        fw_buffer_json_double(out, number);
    else
        fw_buffer_add(out, value.text.ptr, value.text.len);
}

static void write_members(fw_buffer *out, fw_json value)
{
    fw_json_cursor cursor = fw_json_open(value);
    fw_json member;
    fw_span key;
    const char *comma = "";
    fw_buffer_text(out, value.type == FW_JSON_OBJECT ? "{" : "[");
    while (cursor.object ? fw_json_next_member(&cursor, &key, &member)
                         : fw_json_next(&cursor, &member)) {
        fw_buffer_text(out, comma);
        comma = ", ";
        if (cursor.object) {
            fw_json name = {FW_JSON_STRING, {key.ptr - 1, key.len + 2}};
            write_string(out, name);
            fw_buffer_text(out, ": ");
        }
        write_value(out, member);
    }
    fw_buffer_text(out, value.type == FW_JSON_OBJECT ? "}" : "]");
}

static void write_value(fw_buffer *out, fw_json value)
{
    if (value.type == FW_JSON_STRING)
        write_string(out, value);
    else if (value.type == FW_JSON_NUMBER)
        write_number(out, value);
    else if (value.type == FW_JSON_ARRAY || value.type == FW_JSON_OBJECT)
        write_members(out, value);
    else
        fw_buffer_add(out, value.text.ptr, value.text.len);
}

static void check_jansson(fw_span text, fw_json value)
{
#ifdef HAVE_JANSSON
    /* jansson takes a NUL after the document for its end; Python does not. */
    if (memchr(text.ptr, 0, text.len) != NULL)
        return;
    json_error_t error;
    json_t *other = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (other != NULL && value.type == FW_JSON_INVALID) {
        fprintf(stderr, "jansson accepts %.*s\n", (int)text.len, text.ptr);
        exit(1);
    }
    json_decref(other);
#else
    (void)text, (void)value;
#endif
}

int main(void)
{
    unsigned char head[4];
    fw_buffer out = {0};
    while (fread(head, 1, 4, stdin) == 4) {
        size_t len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        char *text = malloc(len > 0 ? len : 1);
        if (text == NULL || fread(text, 1, len, stdin) != len)
            return 1;
        fw_json value = fw_json_parse((fw_span){text, len});
        check_jansson((fw_span){text, len}, value);
        out.len = 0;
        if (value.type == FW_JSON_INVALID)
            fw_buffer_text(&out, "invalid");
        else
            write_value(&out, value);
        fw_buffer_text(&out, "\n");
        if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len)
            return 1;
        free(text);
    }
    fw_buffer_fini(&out);
    return 0;
}
