/* net/message_fields.c - which spellings of a value pydantic takes, and the sentences about the
 * others.
 *
 * Members come in the order that Python writes, so that a name is nearly always found at the first
 * look. SPDX-License-Identifier: Apache-2.0 */
#include "net/message_fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "net/datetime.h"

/* Characters of a wrong value that a sentence shows. */
enum { SHOWN_MAX = 40, NUMBER_MAX = 400 };

void fw_fields_collect(fw_json values[], fw_json object, const char *const names[], size_t count)
{
    FW_ASSERT(object.type == FW_JSON_OBJECT && count > 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (fw_json){FW_JSON_INVALID, {NULL, 0}};
    fw_json_cursor cursor = fw_json_open(object);
    fw_json value;
    size_t likely = 0;
    for (fw_span key; fw_json_next_member(&cursor, &key, &value);) {
        for (size_t tried = 0; tried < count; tried++) {
            size_t i = likely + tried < count ? likely + tried : likely + tried - count;
            if (!fw_json_key_is(key, names[i]))
                continue;
            values[i] = value;
            likely = i + 1 < count ? i + 1 : 0;
            break;
        }
    }
}

/* ---- Sentences ---- */

/* As much of the text as is shown, never cut inside a UTF-8 sequence. */
static size_t shown(fw_span text)
{
    size_t len = text.len;
    if (len <= SHOWN_MAX)
        return len;
    len = SHOWN_MAX;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static int begin_sentence(const fw_fields *fields)
{
    char *out = fields->complaint->sentence;
    fields->complaint->reason = FW_REFUSED_MALFORMED;
    if (fields->member > 0)
        return snprintf(out, FW_SENTENCE_MAX, "Invalid %s %zu of the batch: ", fields->subject,
                        fields->member);
    return snprintf(out, FW_SENTENCE_MAX, "Invalid %s: ", fields->subject);
}

bool fw_fields_complain(const fw_fields *fields, const char *name, const char *wanted,
                        fw_json value)
{
    if (fields->complaint == NULL)
        return false;
    int len = begin_sentence(fields);
    FW_ASSERT(len > 0 && len < FW_SENTENCE_MAX);
    char *out = fields->complaint->sentence + len;
    size_t room = FW_SENTENCE_MAX - (size_t)len;
    size_t visible = shown(value.text);
    if (value.type == FW_JSON_INVALID)
        snprintf(out, room, "field '%s' is missing", name);
    else
        snprintf(out, room, "field '%s' must be %s, not %.*s%s", name, wanted, (int)visible,
                 value.text.ptr, visible < value.text.len ? "..." : "");
    return false;
}

bool fw_fields_complain_text(const fw_fields *fields, const char *text)
{
    if (fields->complaint == NULL)
        return false;
    int len = begin_sentence(fields);
    FW_ASSERT(len > 0 && len < FW_SENTENCE_MAX);
    snprintf(fields->complaint->sentence + len, FW_SENTENCE_MAX - (size_t)len, "%s", text);
    return false;
}

void fw_complain_of_pickle(fw_complaint *complaint)
{
    complaint->reason = FW_REFUSED_PICKLE;
    snprintf(complaint->sentence, FW_SENTENCE_MAX, "%s",
             "pickle serialization is not supported; set FASTWORKER_SERIALIZATION_FORMAT=JSON");
}

/* ---- Text ---- */

bool fw_field_text(const fw_fields *fields, fw_span *out, const char *name, fw_json value)
{
    if (value.type == FW_JSON_INVALID)
        return true;
    if (value.type != FW_JSON_STRING)
        return fw_fields_complain(fields, name, "a string", value);
    if (fw_json_string(value, NULL, 0, out))
        return true;
    char *room = fw_scratch_take(fields->scratch, value.text.len);
    if (room == NULL)
        return fw_fields_complain_text(fields, "no memory");
    bool good = fw_json_string(value, room, value.text.len, out);
    FW_ASSERT(good);
    return good;
}

bool fw_field_text_or_null(const fw_fields *fields, fw_span *out, const char *name, fw_json value)
{
    if (value.type == FW_JSON_NULL) {
        *out = (fw_span){NULL, 0};
        return true;
    }
    if (value.type != FW_JSON_STRING && value.type != FW_JSON_INVALID)
        return fw_fields_complain(fields, name, "a string or null", value);
    return fw_field_text(fields, out, name, value);
}

bool fw_field_raw(const fw_fields *fields, fw_span *out, const char *name, fw_json value,
                  fw_json_type type)
{
    if (value.type == FW_JSON_INVALID)
        return true;
    if (value.type != type)
        return fw_fields_complain(fields, name, type == FW_JSON_ARRAY ? "an array" : "an object",
                                  value);
    *out = value.text;
    return true;
}

/* ---- Numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number in a string as Python's int() and float() take it: white space around, a plus sign,
 * single underscores between digits. It is written to out as JSON has it. */
static size_t plain_number(char out[NUMBER_MAX], fw_json value)
{
    char room[NUMBER_MAX];
    fw_span text;
    if (value.text.len > NUMBER_MAX || !fw_json_string(value, room, sizeof(room), &text))
        return 0;
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_space(text.ptr[0]))
        text = (fw_span){text.ptr + 1, text.len - 1};
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool between =
            i > 0 && i + 1 < text.len && is_digit(text.ptr[i - 1]) && is_digit(text.ptr[i + 1]);
        if (c == '_' && between)
            continue;
        if (c == '+' && i == 0)
            continue;
        if (c == '-' && i == 0 && text.len > 1 && text.ptr[1] == '+')
            return 0;
        out[len++] = c;
    }
    return len;
}

static bool word_is(fw_span text, const char *word)
{
    size_t len = strlen(word);
    if (text.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((text.ptr[i] | 0x20) != word[i])
            return false;
    return true;
}

/* The digits as JSON writes them: no zeros in front, digits around the point. 0: not a number. */
static size_t json_number(char out[NUMBER_MAX + 2], fw_span text)
{
    while (text.len > 1 && text.ptr[0] == '0' && is_digit(text.ptr[1]))
        text = (fw_span){text.ptr + 1, text.len - 1};
    size_t len = 0;
    bool point_may_come = true, digits = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        digits = digits || is_digit(c);
        if (c == '.' && !point_may_come)
            return 0;
        if (c == 'e' || c == 'E' || c == '.')
            point_may_come = false;
        if (c == '.' && i == 0)
            out[len++] = '0';
        if (c != '.' || (i + 1 < text.len && is_digit(text.ptr[i + 1])))
            out[len++] = c;
    }
    return digits && len > 0 && is_digit(out[0]) && is_digit(out[len - 1]) ? len : 0;
}

/* "5", "5.5", "1e3", ".5", "5.", "inf", "nan", with or without a minus. */
static bool double_of_text(double *out, fw_json value)
{
    char digits[NUMBER_MAX], number[NUMBER_MAX + 2];
    fw_span text = {digits, plain_number(digits, value)};
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative)
        text = (fw_span){text.ptr + 1, text.len - 1};
    double magnitude;
    if (word_is(text, "inf") || word_is(text, "infinity")) {
        magnitude = INFINITY;
    } else if (word_is(text, "nan")) {
        magnitude = NAN;
    } else {
        size_t len = json_number(number, text);
        if (len == 0 || !fw_json_double(fw_json_parse((fw_span){number, len}), &magnitude))
            return false;
    }
    *out = negative ? -magnitude : magnitude;
    return true;
}

static bool double_of(double *out, fw_json value)
{
    switch (value.type) {
    case FW_JSON_TRUE:
    case FW_JSON_FALSE:
        *out = value.type == FW_JSON_TRUE ? 1.0 : 0.0;
        return true;
    case FW_JSON_NUMBER:
        return fw_json_double(value, out);
    case FW_JSON_STRING:
        return double_of_text(out, value);
    default:
        return false;
    }
}

bool fw_field_double(const fw_fields *fields, double *out, const char *name, fw_json value)
{
    if (value.type == FW_JSON_INVALID || double_of(out, value))
        return true;
    return fw_fields_complain(fields, name, "a number", value);
}

/* Digits, and zeros after a point: "5", "-5", "5.00". */
static bool is_whole(fw_span text)
{
    size_t at = text.len > 0 && text.ptr[0] == '-' ? 1 : 0, start = at;
    while (at < text.len && is_digit(text.ptr[at]))
        at++;
    if (at == start || at == text.len)
        return at > start;
    if (text.ptr[at] != '.' || at + 1 == text.len)
        return false;
    for (at++; at < text.len; at++)
        if (text.ptr[at] != '0')
            return false;
    return true;
}

bool fw_field_int(const fw_fields *fields, int32_t *out, const char *name, fw_json value)
{
    char digits[NUMBER_MAX];
    double number;
    if (value.type == FW_JSON_INVALID)
        return true;
    bool good = double_of(&number, value) && isfinite(number) && number == trunc(number);
    if (good && value.type == FW_JSON_STRING)
        good = is_whole((fw_span){digits, plain_number(digits, value)});
    if (!good)
        return fw_fields_complain(fields, name, "an integer", value);
    *out = number > INT32_MAX ? INT32_MAX : number < INT32_MIN ? INT32_MIN : (int32_t)number;
    return true;
}

int64_t fw_seconds_to_ns(double seconds)
{
    double ns = nearbyint(seconds * 1e9);
    if (isnan(ns))
        return 0;
    if (fabs(ns) > (double)FW_CENTURY_NS)
        return ns > 0 ? FW_CENTURY_NS : -FW_CENTURY_NS;
    return (int64_t)ns;
}

/* ---- Times and words ---- */

bool fw_field_datetime(const fw_fields *fields, int64_t *wall_ns, const char *name, fw_json value)
{
    double number;
    fw_span text;
    if (value.type == FW_JSON_INVALID)
        return true;
    bool good = value.type == FW_JSON_NUMBER && fw_json_double(value, &number) &&
                fw_datetime_from_number(wall_ns, number);
    if (value.type == FW_JSON_STRING) {
        if (!fw_field_text(fields, &text, name, value))
            return false;
        good = fw_datetime_parse(wall_ns, text);
    }
    return good || fw_fields_complain(fields, name, "a date and time", value);
}

bool fw_field_priority(const fw_fields *fields, uint8_t *level, const char *name, fw_json value)
{
    fw_span text = {NULL, 0};
    if (value.type == FW_JSON_INVALID)
        return true;
    int prio = -1;
    if (value.type == FW_JSON_STRING && fw_field_text(fields, &text, name, value))
        prio = fw_prio_parse(text);
    if (prio < 0)
        return fw_fields_complain(fields, name, "'low', 'normal', 'high' or 'critical'", value);
    *level = (uint8_t)prio;
    return true;
}

bool fw_field_status(const fw_fields *fields, fw_state *status, const char *name, fw_json value)
{
    fw_span text = {NULL, 0};
    if (value.type == FW_JSON_INVALID)
        return true;
    int state = -1;
    if (value.type == FW_JSON_STRING && fw_field_text(fields, &text, name, value))
        state = fw_state_parse(text);
    if (state < 0 || state >= FW_UNKNOWN)
        return fw_fields_complain(fields, name,
                                  "'pending', 'queued', 'scheduled', 'assigned', 'running', "
                                  "'success', 'failure', 'retrying' or 'cancelled'",
                                  value);
    *status = (fw_state)state;
    return true;
}

bool fw_field_callback(const fw_fields *fields, fw_span *out, const char *name, fw_json value)
{
    static const char *const names[] = {"address", "data"};
    fw_json members[2];
    if (value.type == FW_JSON_INVALID)
        return true;
    if (value.type == FW_JSON_NULL) {
        *out = (fw_span){NULL, 0};
        return true;
    }
    if (value.type != FW_JSON_OBJECT)
        return fw_fields_complain(fields, name, "an object or null", value);
    fw_fields_collect(members, value, names, 2);
    if (members[0].type != FW_JSON_STRING)
        return fw_fields_complain(fields, "callback.address", "a string", members[0]);
    if (members[1].type != FW_JSON_OBJECT && members[1].type != FW_JSON_NULL &&
        members[1].type != FW_JSON_INVALID)
        return fw_fields_complain(fields, "callback.data", "an object or null", members[1]);
    *out = value.text;
    return true;
}
