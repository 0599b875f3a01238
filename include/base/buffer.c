/* base/buffer.c - a growing output, and how JSON strings and numbers are written into it.
 *
 * Invariant: len <= capacity; after the first failure nothing is added any more.
 * SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "base/json.h"

/* An answer to one task fits. */
enum { CAPACITY_MIN = 256 };

void fw_buffer_fini(fw_buffer *buffer)
{
    free(buffer->data);
    *buffer = (fw_buffer){0};
}

bool fw_buffer_reserve(fw_buffer *buffer, size_t n)
{
    FW_ASSERT(buffer->len <= buffer->capacity);
    if (buffer->failed)
        return false;
    if (FW_LIKELY(n <= buffer->capacity - buffer->len))
        return true;
    size_t wanted = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    while (wanted - buffer->len < n) {
        if (wanted > SIZE_MAX / 2) {
            buffer->failed = true;
            return false;
        }
        wanted *= 2;
    }
    char *data = realloc(buffer->data, wanted);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = wanted;
    return true;
}

void fw_buffer_add(fw_buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0 || !fw_buffer_reserve(buffer, len))
        return;
    FW_ASSERT(bytes != NULL);
    memcpy(buffer->data + buffer->len, bytes, len);
    buffer->len += len;
}

void fw_buffer_text(fw_buffer *buffer, const char *text)
{
    fw_buffer_add(buffer, text, strlen(text));
}

void fw_buffer_format(fw_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = buffer->capacity - buffer->len;
    int len = vsnprintf(room > 0 ? buffer->data + buffer->len : NULL, room, format, args);
    va_end(args);
    if (len < 0) {
        buffer->failed = true;
    } else if ((size_t)len < room && !buffer->failed) {
        buffer->len += (size_t)len;
    } else if (fw_buffer_reserve(buffer, (size_t)len + 1)) {
        int written = vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, again);
        FW_ASSERT(written == len);
        buffer->len += (size_t)len;
    }
    va_end(again);
}

void fw_buffer_digits(fw_buffer *buffer, uint64_t value, unsigned digits)
{
    enum { MOST = 20 };
    char text[MOST], *at = text + MOST;
    FW_ASSERT(digits <= MOST);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (at > text + MOST - digits)
        *--at = '0';
    fw_buffer_add(buffer, at, (size_t)(text + MOST - at));
}

void fw_buffer_unsigned(fw_buffer *buffer, uint64_t value)
{
    fw_buffer_digits(buffer, value, 1);
}

/* Code point of the UTF-8 sequence at at, which is moved behind it. An invalid byte is U+FFFD,
 * alone. */
static unsigned take_utf8(const unsigned char **at, const unsigned char *end)
{
    static const unsigned least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *at;
    size_t length = *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    *at = p + 1;
    if (length == 0 || (size_t)(end - p) < length)
        return 0xfffd;
    unsigned c = *p & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0xfffd;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0xfffd;
    *at = p + length;
    return c;
}

static char *put_unit(char *to, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *to++ = digits[unit >> shift & 15];
    return to;
}

/* Letters that stand after the backslash; 0: none. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool stands_for_itself(unsigned char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* After the bytes that stand for themselves. */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i first = _mm_set1_epi8(' '), last = _mm_set1_epi8('~');
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed: bytes from 0x80 on are below the space as well. */
        __m128i odd =
            _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(block, first), _mm_cmpgt_epi8(block, last)),
                         _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash)));
        int mask = _mm_movemask_epi8(odd);
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && stands_for_itself(*at))
        at++;
    return at;
}

void fw_buffer_json_string(fw_buffer *buffer, fw_span text)
{
    const unsigned char *at = (const unsigned char *)(text.len > 0 ? text.ptr : "");
    const unsigned char *end = at + text.len;
    fw_buffer_add(buffer, "\"", 1);
    while (at < end) {
        const unsigned char *run = at;
        at = skip_plain(at, end);
        fw_buffer_add(buffer, run, (size_t)(at - run));
        if (at == end)
            break;
        char escape[12], *to = escape;
        char letter = short_escape(*at);
        if (letter != 0) {
            *to++ = '\\';
            *to++ = letter;
            at++;
        } else {
            unsigned c = *at < 0x80 ? *at++ : take_utf8(&at, end);
            if (c >= 0x10000)
                to = put_unit(to, 0xd800 + ((c - 0x10000) >> 10));
            to = put_unit(to, c >= 0x10000 ? 0xdc00 + ((c - 0x10000) & 0x3ff) : c);
        }
        fw_buffer_add(buffer, escape, (size_t)(to - escape));
    }
    fw_buffer_add(buffer, "\"", 1);
}

/* Makes the digits before the exponent one larger in the last place; false: all are nines. */
static bool increment(char *text)
{
    char *e = strchr(text, 'e');
    FW_ASSERT(e != NULL);
    for (char *at = e - 1; at >= text; at--) {
        if (*at >= '0' && *at < '9') {
            ++*at;
            return true;
        }
        if (*at == '9')
            *at = '0';
    }
    return false;
}

/* The fewest digits that read back as value: "d.ddde[+-]xx". The locale must be C. */
static void shortest(char out[32], double value)
{
    /* 15 digits come back unchanged through any normal double, so that fewer show as zeros. */
    int digits = fabs(value) < DBL_MIN ? 1 : 15;
    for (; digits <= 17; digits++) {
        int len = snprintf(out, 32, "%.*e", digits - 1, value);
        FW_ASSERT(len > 0 && len < 32);
        if (strtod(out, NULL) == value)
            return;
        /* At a power of two the doubles above are twice as far apart as those below: the nearest
         * decimal may miss where the next larger one does not. */
        int power;
        if (frexp(fabs(value), &power) == 0.5 && increment(out) && strtod(out, NULL) == value)
            return;
    }
    FW_ASSERT(digits <= 17);
}

/* Python's repr: positional from 1e-4 up to below 1e16, "1.0", "1e+16", "1e-05". */
static void add_finite(fw_buffer *buffer, double value)
{
    char text[32], digits[20];
    shortest(text, value);
    const char *e = strchr(text, 'e');
    FW_ASSERT(e != NULL);
    int count = 0, power = (int)strtol(e + 1, NULL, 10);
    for (const char *at = text; at < e; at++)
        if (*at >= '0' && *at <= '9')
            digits[count++] = *at;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (text[0] == '-')
        fw_buffer_add(buffer, "-", 1);
    if (power < -4 || power >= 16) {
        fw_buffer_format(buffer, "%c%s%.*se%+03d", digits[0], count > 1 ? "." : "", count - 1,
                         digits + 1, power);
    } else if (power < 0) {
        fw_buffer_format(buffer, "0.%.*s%.*s", -power - 1, "000", count, digits);
    } else if (count <= power + 1) {
        fw_buffer_format(buffer, "%.*s%.*s.0", count, digits, power + 1 - count, "000000000000000");
    } else {
        fw_buffer_format(buffer, "%.*s.%.*s", power + 1, digits, count - power - 1,
                         digits + power + 1);
    }
}

/* The locale whose decimal point is a point; made once, kept. */
static locale_t plain;
static pthread_once_t plain_once = PTHREAD_ONCE_INIT;

static void make_plain(void)
{
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

void fw_buffer_json_double(fw_buffer *buffer, double value)
{
    if (isnan(value)) {
        fw_buffer_text(buffer, "NaN");
        return;
    }
    if (isinf(value)) {
        fw_buffer_text(buffer, value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    pthread_once(&plain_once, make_plain);
    locale_t before = uselocale(plain);
    add_finite(buffer, value);
    uselocale(before);
}
