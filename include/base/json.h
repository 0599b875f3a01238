/* base/json.h - finds values in JSON text without building anything.
 *
 * One forward pass, no allocation, no recursion. Accepts what Python's json module writes, so also
 * NaN, Infinity and -Infinity; integers of any length stay text. Values are spans of the input,
 * byte for byte. Invalid input is an outcome, never an assertion. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_JSON_H
#define FW_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "fastworker/types.h"

typedef enum fw_json_type {
    FW_JSON_INVALID = 0,
    FW_JSON_NULL,
    FW_JSON_TRUE,
    FW_JSON_FALSE,
    FW_JSON_NUMBER, /* also NaN and the infinities */
    FW_JSON_STRING,
    FW_JSON_ARRAY,
    FW_JSON_OBJECT
} fw_json_type;

enum { FW_JSON_DEPTH_MAX = 1024 };

/* One value: text is the whole value, with its quotes or brackets, without white space around. */
typedef struct fw_json {
    fw_json_type type;
    fw_span text;
} fw_json;

/* Present, and not null. */
static inline bool fw_json_is_there(fw_json value)
{
    return value.type != FW_JSON_INVALID && value.type != FW_JSON_NULL;
}

/* A place in an array or object. */
typedef struct fw_json_cursor {
    const char *at, *end;
    bool object, first;
} fw_json_cursor;

/* The one value that the text holds; FW_JSON_INVALID unless all of the text is valid JSON in valid
 * UTF-8 at most FW_JSON_DEPTH_MAX deep. The whole text is checked, so what follows needs no checks.
 */
fw_json fw_json_parse(fw_span text);
/* Walks a value that fw_json_parse returned (or a value inside one). */
fw_json_cursor fw_json_open(fw_json value);
/* Next element; false at the end. */
bool fw_json_next(fw_json_cursor *cursor, fw_json *value);
/* Next member; key is the raw text between the quotes. */
bool fw_json_next_member(fw_json_cursor *cursor, fw_span *key, fw_json *value);
/* The last member of that name, as Python does; INVALID when absent. key is plain ASCII without
 * escapes; escaped spellings of it in the input are recognised. */
fw_json fw_json_get(fw_json object, const char *key);
/* Whether a raw key, as fw_json_next_member gives it, spells name (plain ASCII). */
bool fw_json_key_is(fw_span key, const char *name);
size_t fw_json_count(fw_json value);

/* Text of a string value. If it holds no escape, out points into the input; otherwise it is decoded
 * to buffer (capacity at least value.text.len). Lone surrogates become U+FFFD. False: not a string,
 * or the buffer is too small. */
bool fw_json_string(fw_json value, char *buffer, size_t capacity, fw_span *out);
/* Exact integers only ("5", "-7", and "5.0" as pydantic takes it). False: not one, or out of range.
 */
bool fw_json_int(fw_json value, int64_t *out);
/* Numbers; NaN and infinities included. False also when the number has more than 1000 characters.
 */
bool fw_json_double(fw_json value, double *out);
bool fw_json_bool(fw_json value, bool *out);

/* A growing output: append only, one allocation that doubles. Owner only. After a failed allocation
 * `failed` stays set and appends do nothing; check once at the end. */
typedef struct fw_buffer {
    char *data;
    size_t len, capacity;
    bool failed;
} fw_buffer;
void fw_buffer_fini(fw_buffer *buffer);
/* Makes room for n more bytes; the caller writes at data + len and adds to len. */
bool fw_buffer_reserve(fw_buffer *buffer, size_t n);
void fw_buffer_add(fw_buffer *buffer, const void *bytes, size_t len);
void fw_buffer_text(fw_buffer *buffer, const char *text);
void fw_buffer_format(fw_buffer *buffer, const char *format, ...) FW_FMT(2, 3);
/* A whole number; a tenth of what "%zu" costs. */
void fw_buffer_unsigned(fw_buffer *buffer, uint64_t value);
/* With zeros in front, so that it has so many digits (at most 20) at least. */
void fw_buffer_digits(fw_buffer *buffer, uint64_t value, unsigned digits);
/* A JSON string with quotes, pure ASCII: everything above 0x7e as \uXXXX, invalid UTF-8 as U+FFFD.
 */
void fw_buffer_json_string(fw_buffer *buffer, fw_span text);
/* A JSON number as Python writes it: shortest form that reads back, "1.0", "NaN", "Infinity". */
void fw_buffer_json_double(fw_buffer *buffer, double value);

#endif
