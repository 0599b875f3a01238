/* web/compress.c - see web/compress.h.
 *
 * Level 1: on lists of tasks it leaves an eighth, higher levels a ninth for three times the time.
 * One state for all bodies: to make it anew takes as long as to compress 25 KB, which is why the
 * library's own filter, that does so for each answer, is not used.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/compress.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/assert.h"

enum {
    BYTES_MIN = 1024,    /* below, all of an answer is in one packet anyway */
    BYTES_MAX = 4 << 20, /* 10 ms */
    LEVEL = 1,
    WINDOW_GZIP = 15 + 16,
    MEMORY = 8
};

static _Thread_local z_stream my_stream;
static _Thread_local bool my_stream_is_there;

/* --- who wants it --- */

static fw_span trim(fw_span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* The text up to the mark; it and the mark are taken off. */
static fw_span take(fw_span *text, char mark)
{
    const char *end = text->len > 0 ? memchr(text->ptr, mark, text->len) : NULL;
    fw_span part = {text->ptr, end ? (size_t)(end - text->ptr) : text->len};
    text->ptr += part.len;
    text->len -= part.len;
    if (end) {
        text->ptr++;
        text->len--;
    }
    return trim(part);
}

static bool is_word(fw_span text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* "q=0", "q=0.000" */
static bool is_refusal(fw_span parameter)
{
    if (parameter.len < 3 || strncasecmp(parameter.ptr, "q=0", 3) != 0)
        return false;
    for (size_t i = 3; i < parameter.len; i++)
        if (parameter.ptr[i] != '.' && parameter.ptr[i] != '0')
            return false;
    return true;
}

bool fw_web_takes_gzip(fw_span accept_encoding)
{
    bool any = false;
    while (accept_encoding.len > 0) {
        bool refused = false;
        fw_span item = take(&accept_encoding, ','), coding = take(&item, ';');
        while (item.len > 0)
            refused = is_refusal(take(&item, ';')) || refused;
        if (is_word(coding, "gzip"))
            return !refused;
        any = any || (is_word(coding, "*") && !refused);
    }
    return any;
}

/* --- bodies --- */

bool fw_web_is_compressible(const char *content_type, size_t len)
{
    return len >= BYTES_MIN && len <= BYTES_MAX &&
           (strncmp(content_type, "text/", 5) == 0 || strstr(content_type, "json") != NULL);
}

static bool begin(void)
{
    if (my_stream_is_there)
        return deflateReset(&my_stream) == Z_OK;
    my_stream = (z_stream){0};
    my_stream_is_there = deflateInit2(&my_stream, LEVEL, Z_DEFLATED, WINDOW_GZIP, MEMORY,
                                      Z_DEFAULT_STRATEGY) == Z_OK;
    return my_stream_is_there;
}

bool fw_web_compress(fw_buffer *out, fw_span body)
{
    FW_ASSERT(out->len == 0 && body.len > 0 && body.len <= BYTES_MAX);
    /* What does not fit gains nothing. */
    if (!begin() || !fw_buffer_reserve(out, body.len))
        return false;
    /* Only read: the member lacks the word. */
    my_stream.next_in = (Bytef *)(uintptr_t)body.ptr;
    my_stream.avail_in = (uInt)body.len;
    my_stream.next_out = (Bytef *)out->data;
    my_stream.avail_out = (uInt)body.len;
    if (deflate(&my_stream, Z_FINISH) != Z_STREAM_END)
        return false;
    out->len = body.len - my_stream.avail_out;
    return true;
}

void fw_web_compress_leave(void)
{
    if (my_stream_is_there)
        deflateEnd(&my_stream);
    my_stream_is_there = false;
}
