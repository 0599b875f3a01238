/* base/json_text.c - what valid JSON strings and numbers say.
 *
 * Strings without an escape, which are nearly all, are given out where they stand.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { NUMBER_MAX = 1000, REPLACEMENT = 0xfffd };

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)at[i];
        value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* The code point of the escape at *at, which is moved behind it (a surrogate pair is one). */
static unsigned take_escape(const char **at, const char *end)
{
    const char *p = *at;
    FW_DEBUG_ASSERT(end - p >= 2 && p[0] == '\\');
    *at = p + 2;
    switch (p[1]) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        break;
    default:
        return (unsigned char)p[1];
    }
    *at = p + 6;
    unsigned unit = hex4(p + 2);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    if (unit < 0xdc00 && end - *at >= 6 && p[6] == '\\' && p[7] == 'u') {
        unsigned low = hex4(p + 8);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *at = p + 12;
            return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return REPLACEMENT;
}

/* At most as many bytes as the escape had. */
static size_t put_utf8(char *out, unsigned c)
{
    unsigned char *b = (unsigned char *)out;
    if (c < 0x80) {
        b[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        b[0] = (unsigned char)(0xc0 | c >> 6);
        b[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        b[0] = (unsigned char)(0xe0 | c >> 12);
        b[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (unsigned char)(0x80 | (c & 0x3f));
        return 3;
    }
    b[0] = (unsigned char)(0xf0 | c >> 18);
    b[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
    b[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    b[3] = (unsigned char)(0x80 | (c & 0x3f));
    return 4;
}

bool fw_json_key_is(fw_span key, const char *name)
{
    size_t length = strlen(name);
    if (key.len == length && memcmp(key.ptr, name, length) == 0)
        return true;
    if (key.len <= length || memchr(key.ptr, '\\', key.len) == NULL)
        return false;
    const char *at = key.ptr, *end = key.ptr + key.len;
    while (at < end && *name != '\0') {
        unsigned c = *at == '\\' ? take_escape(&at, end) : (unsigned char)*at++;
        if (c != (unsigned char)*name++)
            return false;
    }
    return at == end && *name == '\0';
}

bool fw_json_string(fw_json value, char *buffer, size_t capacity, fw_span *out)
{
    if (value.type != FW_JSON_STRING)
        return false;
    FW_ASSERT(value.text.len >= 2);
    const char *at = value.text.ptr + 1;
    const char *end = value.text.ptr + value.text.len - 1;
    const char *slash = memchr(at, '\\', (size_t)(end - at));
    if (slash == NULL) {
        *out = (fw_span){at, (size_t)(end - at)};
        return true;
    }
    if (buffer == NULL || capacity < value.text.len)
        return false;
    char *to = buffer;
    while (slash != NULL) {
        memcpy(to, at, (size_t)(slash - at));
        to += slash - at;
        at = slash;
        to += put_utf8(to, take_escape(&at, end));
        slash = memchr(at, '\\', (size_t)(end - at));
    }
    memcpy(to, at, (size_t)(end - at));
    to += end - at;
    FW_ASSERT((size_t)(to - buffer) <= capacity);
    *out = (fw_span){buffer, (size_t)(to - buffer)};
    return true;
}

/* Numbers as people write them, "60.0": up to 15 digits, no exponent. Both the digits and the power
 * of ten are exact doubles, so that one division rounds correctly. */
static bool short_decimal(fw_span text, double *out)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = text.ptr, *end = at + text.len;
    bool negative = *at == '-';
    if (text.len > 16)
        return false;
    uint64_t digits = 0;
    const char *point = NULL;
    for (at += negative; at < end; at++) {
        if (*at == '.')
            point = at + 1;
        else if (*at >= '0' && *at <= '9')
            digits = digits * 10 + (uint64_t)(*at - '0');
        else
            return false;
    }
    if (digits >= UINT64_C(1000000000000000))
        return false;
    double magnitude = (double)digits / powers[point != NULL ? end - point : 0];
    *out = negative ? -magnitude : magnitude;
    return true;
}

bool fw_json_double(fw_json value, double *out)
{
    if (value.type != FW_JSON_NUMBER || value.text.len > NUMBER_MAX)
        return false;
    if (short_decimal(value.text, out))
        return true;
    char text[NUMBER_MAX + 1];
    memcpy(text, value.text.ptr, value.text.len);
    text[value.text.len] = '\0';
    /* The host program's locale may have another decimal point. The C locale object is static, so
     * that neither call allocates. */
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return false;
    char *end;
    *out = strtod_l(text, &end, c);
    freelocale(c);
    FW_ASSERT(end == text + value.text.len);
    return true;
}

bool fw_json_int(fw_json value, int64_t *out)
{
    if (value.type != FW_JSON_NUMBER)
        return false;
    const char *at = value.text.ptr, *end = at + value.text.len;
    bool negative = *at == '-';
    if (negative)
        at++;
    uint64_t magnitude = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (magnitude > (UINT64_MAX - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    if (at < end) {
        double number;
        if (!fw_json_double(value, &number) || !(fabs(number) < 0x1p63) || number != trunc(number))
            return false;
        *out = (int64_t)number;
        return true;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool fw_json_bool(fw_json value, bool *out)
{
    if (value.type != FW_JSON_TRUE && value.type != FW_JSON_FALSE)
        return false;
    *out = value.type == FW_JSON_TRUE;
    return true;
}
