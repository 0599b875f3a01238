/* app/commands/arguments.c - see app/commands/arguments.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/arguments.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The word without white space around, as Python's numbers are read. */
static fw_span trim(const char *word)
{
    size_t len = strlen(word);
    while (len > 0 && isspace((unsigned char)*word))
        word++, len--;
    while (len > 0 && isspace((unsigned char)word[len - 1]))
        len--;
    return (fw_span){word, len};
}

/* Digits, single underscores between them. How many bytes; 0: none. */
static size_t digits(fw_span text)
{
    size_t at = 0;
    while (at < text.len) {
        bool digit = isdigit((unsigned char)text.ptr[at]);
        bool joint = text.ptr[at] == '_' && at > 0 && text.ptr[at - 1] != '_' &&
                     at + 1 < text.len && isdigit((unsigned char)text.ptr[at + 1]);
        if (!digit && !joint)
            break;
        at++;
    }
    return at;
}

static fw_span after(fw_span text, size_t n)
{
    return (fw_span){text.ptr + n, text.len - n};
}

static fw_span without_sign(fw_span text)
{
    return text.len > 0 && (*text.ptr == '-' || *text.ptr == '+') ? after(text, 1) : text;
}

static void add_plain(fw_buffer *out, fw_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '_')
            fw_buffer_add(out, &text.ptr[i], 1);
}

static bool write_integer(fw_buffer *out, fw_span text)
{
    fw_span number = without_sign(text);
    if (number.len == 0 || digits(number) != number.len)
        return false;
    while (number.len > 1 && (*number.ptr == '0' || *number.ptr == '_'))
        number = after(number, 1);
    if (*text.ptr == '-' && !(number.len == 1 && *number.ptr == '0'))
        fw_buffer_text(out, "-");
    add_plain(out, number);
    return true;
}

static bool is_named(fw_span text, const char *name)
{
    return strlen(name) == text.len && strncasecmp(text.ptr, name, text.len) == 0;
}

/* [digits][.[digits]][e[sign]digits], with a digit before the exponent. */
static bool is_decimal(fw_span text)
{
    size_t whole = digits(text), part = 0;
    text = after(text, whole);
    if (text.len > 0 && *text.ptr == '.') {
        part = digits(after(text, 1));
        text = after(text, 1 + part);
    }
    if (whole + part == 0)
        return false;
    if (text.len > 0 && (*text.ptr == 'e' || *text.ptr == 'E')) {
        fw_span exponent = without_sign(after(text, 1));
        size_t n = digits(exponent);
        return n > 0 && n == exponent.len;
    }
    return text.len == 0;
}

static bool write_float(fw_buffer *out, fw_span text)
{
    fw_span number = without_sign(text);
    bool negative = number.len < text.len && *text.ptr == '-';
    double value;
    if (is_named(number, "nan")) {
        value = NAN;
    } else if (is_named(number, "inf") || is_named(number, "infinity")) {
        value = negative ? -INFINITY : INFINITY;
    } else if (is_decimal(number)) {
        fw_buffer plain = {.data = NULL};
        add_plain(&plain, text);
        fw_buffer_add(&plain, "", 1);
        value = plain.failed ? NAN : strtod(plain.data, NULL);
        fw_buffer_fini(&plain);
    } else {
        return false;
    }
    fw_buffer_json_double(out, value);
    return true;
}

void fw_argument_write(fw_buffer *out, const char *word)
{
    fw_span whole = {word, strlen(word)}, text = trim(word);
    if (is_named(whole, "true"))
        fw_buffer_text(out, "true");
    else if (is_named(whole, "false"))
        fw_buffer_text(out, "false");
    else if (!write_integer(out, text) && !write_float(out, text))
        fw_buffer_json_string(out, whole);
}
