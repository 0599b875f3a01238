/* base/json.c - one validating pass, then walks that trust it.
 *
 * The pass keeps no tree: a stack of bits says for each open bracket whether it is an object. Text
 * in strings, which is most of a message, is looked at 16 bytes at a time where the machine has
 * SSE2. Everything after the pass may assume valid text, so a walk only looks for the ends of
 * values. Cost is linear in the text; no allocation. SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"

/* What a byte may be; several at once. */
enum { PLAIN = 1, SPACE = 2, DIGIT = 4, WORD = 8 };

/* PLAIN: ASCII that stands for itself inside a string. WORD: part of a number or literal. */
static const unsigned char classes[256] = {
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\r'] = SPACE,
    [' '] = SPACE | PLAIN,
    ['!'] = PLAIN,
    ['#' ... '*'] = PLAIN,
    ['+'] = PLAIN | WORD,
    [','] = PLAIN,
    ['-'] = PLAIN | WORD,
    ['.'] = PLAIN | WORD,
    ['/'] = PLAIN,
    ['0' ... '9'] = PLAIN | DIGIT | WORD,
    [':' ... '@'] = PLAIN,
    ['A' ... 'Z'] = PLAIN | WORD,
    ['['] = PLAIN,
    [']' ... '`'] = PLAIN,
    ['a' ... 'z'] = PLAIN | WORD,
    ['{' ... 0x7f] = PLAIN,
};

static bool is(char byte, int class)
{
    return (classes[(unsigned char)byte] & class) != 0;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is(*at, SPACE))
        at++;
    return at;
}

#if defined(__SSE2__)
/* Which of sixteen bytes are a quote, a backslash, a control character or not ASCII. */
static inline unsigned odd_of(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    /* Signed: bytes from 0x80 on are below the space as well. */
    __m128i odd = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(' ')),
                               _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                            _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
    return (unsigned)_mm_movemask_epi8(odd);
}
#endif

/* First byte at or after at that is a quote, a backslash, a control character or not ASCII. */
static const char *skip_plain(const char *at, const char *end)
{
#if defined(__SSE2__)
    const char *start = at;
    for (; end - at >= 16; at += 16) {
        unsigned mask = odd_of(at);
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
    /* The rest: once more the last sixteen, without those that were looked at. */
    if (end - start >= 16 && at < end) {
        unsigned mask = odd_of(end - 16) >> (16 - (end - at));
        return mask != 0 ? at + __builtin_ctz(mask) : end;
    }
#endif
    while (at < end && is(*at, PLAIN))
        at++;
    return at;
}

/* ---- The pass ---- */

typedef struct scan {
    const char *at, *end;
    unsigned depth;
    uint64_t objects[FW_JSON_DEPTH_MAX / 64]; /* bit d: the bracket at depth d + 1 is an object */
} scan;

typedef enum step { BROKEN, COMPLETE, MORE } step;

/* Bytes of the UTF-8 sequence at at; 0: invalid (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8_length(const char *at, const char *end)
{
    const unsigned char *b = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || left < length)
        return 0;
    unsigned low = 0x80, high = 0xbf;
    if (b[0] == 0xe0)
        low = 0xa0;
    else if (b[0] == 0xed)
        high = 0x9f;
    else if (b[0] == 0xf0)
        low = 0x90;
    else if (b[0] == 0xf4)
        high = 0x8f;
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of the escape that starts at the backslash at at; 0: invalid. */
static size_t escape_length(const char *at, const char *end)
{
    if (end - at < 2)
        return 0;
    if (at[1] != 'u')
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    if (end - at < 6)
        return 0;
    for (int i = 2; i < 6; i++)
        if (hex_digit(at[i]) < 0)
            return 0;
    return 6;
}

/* At the opening quote; leaves after the closing one. */
static bool scan_string(scan *s)
{
    const char *at = s->at + 1, *end = s->end;
    for (;;) {
        at = skip_plain(at, end);
        if (at >= end)
            return false;
        size_t length = 0;
        if (*at == '"')
            break;
        if (*at == '\\')
            length = escape_length(at, end);
        else if ((unsigned char)*at >= 0x80)
            length = utf8_length(at, end);
        if (length == 0)
            return false;
        at += length;
    }
    s->at = at + 1;
    return true;
}

static bool scan_word(scan *s, const char *word, size_t length)
{
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is(*at, DIGIT))
        at++;
    return at;
}

/* What follows a number must not belong to it ("01", "1."): the caller finds that out, because
 * neither a digit nor a point may follow a value. */
static bool scan_number(scan *s)
{
    const char *at = s->at, *end = s->end;
    if (*at == '-')
        at++;
    if (at >= end || !is(*at, DIGIT)) {
        s->at = at;
        return at < end && *at == 'I' && scan_word(s, "Infinity", 8);
    }
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (end - at >= 2 && at[0] == '.' && is(at[1], DIGIT))
        at = skip_digits(at + 1, end);
    if (end - at >= 2 && (at[0] == 'e' || at[0] == 'E')) {
        const char *power = at + 1;
        if (*power == '+' || *power == '-')
            power++;
        if (power < end && is(*power, DIGIT))
            at = skip_digits(power, end);
    }
    s->at = at;
    return true;
}

/* A key and its colon. */
static bool scan_key(scan *s)
{
    if (s->at >= s->end || *s->at != '"' || !scan_string(s))
        return false;
    s->at = skip_space(s->at, s->end);
    if (s->at >= s->end || *s->at != ':')
        return false;
    s->at++;
    return true;
}

static bool in_object(const scan *s)
{
    unsigned top = s->depth - 1;
    return (s->objects[top / 64] >> (top % 64) & 1) != 0;
}

/* An opening bracket: either closed at once, or the first value (or key) comes next. */
static step scan_open(scan *s, bool object)
{
    if (s->depth == FW_JSON_DEPTH_MAX)
        return BROKEN;
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    if (object)
        s->objects[s->depth / 64] |= bit;
    else
        s->objects[s->depth / 64] &= ~bit;
    s->depth++;
    s->at = skip_space(s->at + 1, s->end);
    if (s->at >= s->end)
        return BROKEN;
    if (*s->at == (object ? '}' : ']')) {
        s->at++;
        s->depth--;
        return COMPLETE;
    }
    return !object || scan_key(s) ? MORE : BROKEN;
}

static step scan_value(scan *s)
{
    s->at = skip_space(s->at, s->end);
    if (s->at >= s->end)
        return BROKEN;
    bool good;
    switch (*s->at) {
    case '"':
        good = scan_string(s);
        break;
    case '{':
        return scan_open(s, true);
    case '[':
        return scan_open(s, false);
    case 't':
        good = scan_word(s, "true", 4);
        break;
    case 'f':
        good = scan_word(s, "false", 5);
        break;
    case 'n':
        good = scan_word(s, "null", 4);
        break;
    case 'N':
        good = scan_word(s, "NaN", 3);
        break;
    default:
        good = scan_number(s);
    }
    return good ? COMPLETE : BROKEN;
}

/* After a value inside a bracket: a comma and the next one, or the closing bracket. */
static step scan_after(scan *s)
{
    bool object = in_object(s);
    s->at = skip_space(s->at, s->end);
    if (s->at >= s->end)
        return BROKEN;
    if (*s->at == ',') {
        s->at = skip_space(s->at + 1, s->end);
        return !object || scan_key(s) ? MORE : BROKEN;
    }
    if (*s->at != (object ? '}' : ']'))
        return BROKEN;
    s->at++;
    s->depth--;
    return COMPLETE;
}

/* The type of valid text by its first byte. */
static fw_json_type type_of(char first)
{
    switch (first) {
    case '"':
        return FW_JSON_STRING;
    case '{':
        return FW_JSON_OBJECT;
    case '[':
        return FW_JSON_ARRAY;
    case 't':
        return FW_JSON_TRUE;
    case 'f':
        return FW_JSON_FALSE;
    case 'n':
        return FW_JSON_NULL;
    default:
        return FW_JSON_NUMBER;
    }
}

static const fw_json invalid = {FW_JSON_INVALID, {NULL, 0}};

fw_json fw_json_parse(fw_span text)
{
    if (text.len == 0)
        return invalid;
    FW_ASSERT(text.ptr != NULL);
    scan s;
    s.at = text.ptr;
    s.end = text.ptr + text.len;
    s.depth = 0;
    const char *start = skip_space(s.at, s.end);
    step now = scan_value(&s);
    for (;;) {
        while (now == COMPLETE && s.depth > 0)
            now = scan_after(&s);
        if (now != MORE)
            break;
        now = scan_value(&s);
    }
    if (now == BROKEN || skip_space(s.at, s.end) != s.end)
        return invalid;
    FW_ASSERT(s.depth == 0 && start < s.at);
    return (fw_json){type_of(*start), {start, (size_t)(s.at - start)}};
}

/* ---- Walks over valid text ---- */

/* After the closing quote of the string that begins at at. */
static const char *string_end(const char *at, const char *end)
{
    at++;
    for (;;) {
        at = skip_plain(at, end);
        FW_ASSERT(at < end);
        if (*at == '"')
            return at + 1;
        at += *at == '\\' ? 2 : 1;
    }
}

/* First quote or bracket at or after at. */
static const char *skip_to_bracket(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), bit = _mm_set1_epi8(0x20);
    const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* The one bit between square and curly brackets is put away. */
        __m128i curly = _mm_or_si128(block, bit);
        __m128i hit =
            _mm_or_si128(_mm_cmpeq_epi8(block, quote),
                         _mm_or_si128(_mm_cmpeq_epi8(curly, open), _mm_cmpeq_epi8(curly, close)));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != '"' && (*at | 0x20) != '{' && (*at | 0x20) != '}')
        at++;
    return at;
}

/* After the value that begins at at. */
static const char *value_end(const char *at, const char *end)
{
    FW_ASSERT(at < end);
    if (*at == '"')
        return string_end(at, end);
    if (*at != '{' && *at != '[') {
        while (at < end && is(*at, WORD))
            at++;
        return at;
    }
    size_t depth = 0;
    do {
        at = skip_to_bracket(at, end);
        FW_ASSERT(at < end);
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        depth += (*at | 0x20) == '{' ? 1 : (size_t)-1;
        at++;
    } while (depth > 0);
    return at;
}

fw_json_cursor fw_json_open(fw_json value)
{
    fw_json_cursor cursor = {NULL, NULL, value.type == FW_JSON_OBJECT, true};
    if (value.type == FW_JSON_OBJECT || value.type == FW_JSON_ARRAY) {
        FW_ASSERT(value.text.len >= 2);
        cursor.at = value.text.ptr + 1;
        cursor.end = value.text.ptr + value.text.len - 1;
    }
    return cursor;
}

/* Goes to the next element or key. */
static bool advance(fw_json_cursor *cursor)
{
    const char *at = skip_space(cursor->at, cursor->end);
    if (at == cursor->end)
        return false;
    if (!cursor->first) {
        FW_DEBUG_ASSERT(*at == ',');
        at = skip_space(at + 1, cursor->end);
    }
    cursor->first = false;
    cursor->at = at;
    return true;
}

static void take_value(fw_json_cursor *cursor, fw_json *value)
{
    const char *at = cursor->at;
    cursor->at = value_end(at, cursor->end);
    *value = (fw_json){type_of(*at), {at, (size_t)(cursor->at - at)}};
}

bool fw_json_next(fw_json_cursor *cursor, fw_json *value)
{
    FW_ASSERT(cursor != NULL && !cursor->object);
    if (!advance(cursor))
        return false;
    take_value(cursor, value);
    return true;
}

bool fw_json_next_member(fw_json_cursor *cursor, fw_span *key, fw_json *value)
{
    FW_ASSERT(cursor != NULL && (cursor->object || cursor->at == cursor->end));
    if (!advance(cursor))
        return false;
    const char *start = cursor->at + 1;
    const char *after = string_end(cursor->at, cursor->end);
    *key = (fw_span){start, (size_t)(after - 1 - start)};
    after = skip_space(after, cursor->end);
    FW_DEBUG_ASSERT(*after == ':');
    cursor->at = skip_space(after + 1, cursor->end);
    take_value(cursor, value);
    return true;
}

fw_json fw_json_get(fw_json object, const char *key)
{
    fw_json found = invalid, value;
    if (object.type != FW_JSON_OBJECT)
        return found;
    fw_json_cursor cursor = fw_json_open(object);
    for (fw_span name; fw_json_next_member(&cursor, &name, &value);)
        if (fw_json_key_is(name, key))
            found = value;
    return found;
}

size_t fw_json_count(fw_json value)
{
    size_t count = 0;
    fw_json element;
    fw_span key;
    fw_json_cursor cursor = fw_json_open(value);
    if (cursor.object)
        while (fw_json_next_member(&cursor, &key, &element))
            count++;
    else
        while (fw_json_next(&cursor, &element))
            count++;
    return count;
}
