/* web/path.c - see web/path.h. SPDX-License-Identifier: Apache-2.0 */
#include "web/path.h"

#include <string.h>

/* --- patterns --- */

/* Bytes of text up to the next '/' or its end. */
static size_t segment(const char *text, const char *end)
{
    const char *slash = memchr(text, '/', (size_t)(end - text));
    return (size_t)((slash ? slash : end) - text);
}

/* The part at *at that stands for "{name}suffix" at *pattern; both move on. */
static bool match_part(const char **pattern, const char **at, const char *end, fw_web_pair *out)
{
    const char *name = *pattern + 1, *stop = strchr(name, '}');
    const char *suffix = stop + 1;
    size_t suffix_len = strcspn(suffix, "/?"), len = segment(*at, end);
    if (len <= suffix_len || memcmp(*at + len - suffix_len, suffix, suffix_len) != 0)
        return false;
    *out = (fw_web_pair){{name, (size_t)(stop - name)}, {*at, len - suffix_len}};
    *pattern = suffix + suffix_len;
    *at += len;
    return true;
}

bool fw_web_path_match(const char *pattern, fw_span path, fw_web_pair params[FW_WEB_PARAMS_MAX],
                       size_t *count)
{
    const char *at = path.ptr, *end = path.ptr + path.len;
    *count = 0;
    while (*pattern && *pattern != '?') {
        if (*pattern == '{') {
            if (*count == FW_WEB_PARAMS_MAX || !match_part(&pattern, &at, end, &params[*count]))
                return false;
            ++*count;
        } else if (at == end || *at++ != *pattern++) {
            return false;
        }
    }
    return at == end;
}

/* --- decoding --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of the UTF-8 character at text; 0: it is none, or a control character. */
static size_t character(const unsigned char *text, size_t left)
{
    unsigned char c = text[0];
    size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xc2) || c > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool is_short = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
    bool is_surrogate = c == 0xed && text[1] > 0x9f;
    return is_short || is_surrogate || (c == 0xf4 && text[1] > 0x8f) ? 0 : len;
}

static bool is_clean(fw_span text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = character(bytes + i, text.len - i);
        if (len == 0)
            return false;
    }
    return true;
}

bool fw_web_decode(char **at, fw_span *text, bool is_query)
{
    char *out = *at;
    for (size_t i = 0; i < text->len; i++) {
        char c = text->ptr[i];
        if (c == '%') {
            bool whole = text->len - i > 2;
            int high = whole ? hex_value(text->ptr[i + 1]) : -1;
            int low = whole ? hex_value(text->ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        *out++ = c;
    }
    *text = (fw_span){*at, (size_t)(out - *at)};
    *at = out;
    return is_clean(*text);
}

bool fw_web_query_split(fw_span query, fw_web_pair pairs[FW_WEB_QUERY_MAX], size_t *count)
{
    *count = 0;
    if (query.len == 0)
        return true;
    const char *at = query.ptr, *end = query.ptr + query.len;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop ? stop : end;
        const char *sign = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = sign ? sign : stop, *value = sign ? sign + 1 : stop;
        if (stop > at) {
            if (*count == FW_WEB_QUERY_MAX)
                return false;
            pairs[(*count)++] =
                (fw_web_pair){{at, (size_t)(name_end - at)}, {value, (size_t)(stop - value)}};
        }
        at = stop + 1;
    }
    return true;
}
