/* net/frame_layout.h - the numbers of the binary frames, shared by their reader and writer only.
 *
 * docs/PROTOCOL.md describes each byte; nothing here may change without another FW_FRAME_VERSION.
 * Numbers are little-endian and not aligned. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_FRAME_LAYOUT_H
#define FW_NET_FRAME_LAYOUT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "net/frame.h"

/* Header: magic 1, version 1, type 1, flags 1, count 4. */
enum { AT_MAGIC = 0, AT_VERSION = 1, AT_TYPE = 2, AT_FLAGS = 3, AT_COUNT = 4 };

/* Item of SUBMIT: bits 1, zero 1, name length 2, args length 4; then by the bits: id 16, kwargs
 * length 4, extras length 4; then name, args, kwargs, extras. */
enum {
    ITEM_HEAD = 8,
    ITEM_LEVEL = 0x03,
    ITEM_HAS_ID = 0x04,
    ITEM_HAS_KWARGS = 0x08,
    ITEM_HAS_EXTRAS = 0x10,
    ITEM_UNKNOWN = 0xe0
};

/* Item of QUERY: kind 1, id length 1 (0: a UUID of 16 bytes), zero 2, wait in ms 4; then the id. */
enum { ASK_HEAD = 8 };

/* Record of ANSWER: request 4, item 2, kind 1, code 1; then by the kind:
 * ACCEPTED  count 2, zero 2; ids 16 each. REFUSED  count 2, text length 2; text.
 * RESULT    started 8, finished 8, result length 4; error length 4, extras length 4 by the bits;
 *           result, error, extras.
 * PONG      length 2, zero 2; bytes. HELLO  length 2, zero 2; extras. */
enum {
    RECORD_HEAD = 8,
    SHORT_HEAD = 12,
    RESULT_HEAD = 28,
    CODE_STATE = 0x0f,
    CODE_HAS_ERROR = 0x10, /* RESULT */
    CODE_HAS_EXTRAS = 0x20,
    CODE_HAS_IDS = 0x80 /* ACCEPTED */
};

/* Item of TASKS: lease 8, limit in ns 8, attempt 2, bits 2 (1: isolate); then an item of SUBMIT. */
enum { TASK_HEAD = 20, TASK_ISOLATE = 1 };

/* Item of ORDERS: kind 1, id length 1 (0: a UUID of 16 bytes), zero 2, lease 8; then the id. */
enum { ORDER_HEAD = 12 };

/* Record of RESULTS: lease 8, kind 1, code 1, bits 2, length 4; then by the kind:
 * RESULT    (length of the result; code as in ANSWER; bit 1: crashed) started 8, finished 8, ran 8
 * (negative: not told); error length 4, extras length 4 by the bits; result, error, extras. RETURN
 * (length of the extras; code: why) extras. */
enum {
    LEASE_HEAD = 16,
    LEASE_RESULT_HEAD = 40,
    LEASE_RESULT = 1,
    LEASE_RETURN = 2,
    LEASE_CRASHED = 1,
    WHY_FULL = 1,
    WHY_DRAINING = 2,
    WHY_UNKNOWN_NAME = 3,
    WHY_RECALLED = 4,
    WHY_MALFORMED = 5,
    WHY_LAST = WHY_MALFORMED
};

/* DRAIN: no items; flag 1: take nothing new; else go on. */
enum { DRAIN_BEGINS = 1 };

/* BEAT: slots 4, running 4, queued 4, bits 4 (1: draining), done 8; extras. */
enum { BEAT_HEAD = 24, BEAT_DRAINING = 1 };

/* An extra: tag 1, length 3, bytes. Tags from EXTRA_OPTIONAL on may be ignored by who does not
 * know them, others must not. */
enum {
    EXTRA_HEAD = 4,
    EXTRA_BYTES_MAX = 0xffffff,
    EXTRA_OPTIONAL = 0x80,
    EXTRA_TEXT_ID = 1,  /* 1 to FW_ID_MAX bytes */
    EXTRA_ETA = 2,      /* 8: Unix time in ns */
    EXTRA_TIMEOUT = 3,  /* 8: ns */
    EXTRA_TTL = 4,      /* 8: ns */
    EXTRA_RETRY = 5,    /* 32: retry_count 4, max_retries 4, delay 8, backoff 8, backoff max 8 */
    EXTRA_CALLBACK = 6, /* JSON of CallbackInfo */
    EXTRA_OPTIONS = 7,  /* a JSON object */
    RETRY_BYTES = 32
};

/* Extras of HELLO; unknown ones are ignored. */
enum {
    HELLO_SOFTWARE = 1,
    HELLO_TOKEN = 2,
    HELLO_CAPABILITIES = 3,      /* 8 */
    HELLO_MESSAGE_MAX = 4,       /* 8 */
    HELLO_ITEMS_MAX = 5,         /* 4 */
    HELLO_OPEN_REQUESTS_MAX = 6, /* 4 */
    HELLO_WORKER = 7,            /* pipes: who speaks */
    HELLO_EPOCH = 8,             /* pipes: of the speaker's run */
    HELLO_EXPECTS = 9,           /* pipes: the epoch that the listener should have */
    HELLO_TEXT_MAX = 1024
};

static inline fw_span span_at(const unsigned char *at, size_t len)
{
    return (fw_span){(const char *)at, len};
}

static inline uint16_t load16(const unsigned char *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return le16toh(v);
}

static inline uint32_t load32(const unsigned char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return le32toh(v);
}

static inline uint64_t load64(const unsigned char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return le64toh(v);
}

static inline double load_double(const unsigned char *at)
{
    uint64_t bits = load64(at);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline void store16(unsigned char *at, uint16_t v)
{
    v = htole16(v);
    memcpy(at, &v, sizeof(v));
}

static inline void store32(unsigned char *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, sizeof(v));
}

static inline void store64(unsigned char *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof(v));
}

static inline void store_double(unsigned char *at, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    store64(at, bits);
}

/* The sixteen bytes of a UUID are in the order of its text. */
static inline fw_key load_key(const unsigned char *at)
{
    uint64_t high, low;
    memcpy(&high, at, 8);
    memcpy(&low, at + 8, 8);
    return (fw_key){be64toh(high), be64toh(low)};
}

static inline void store_key(unsigned char *at, fw_key key)
{
    uint64_t high = htobe64(key.high), low = htobe64(key.low);
    memcpy(at, &high, 8);
    memcpy(at + 8, &low, 8);
}

/* Versions 1 to 8: the keys whose text leads back to them. */
static inline bool key_has_text(fw_key key)
{
    return (key.high >> 12 & 0xf) - 1 < 8;
}

/* ---- Writing ---- */

/* Room for bytes more, or NULL. The caller writes all of them. */
static inline unsigned char *take_room(fw_frame_writer *writer, size_t bytes)
{
    if (writer->capacity - writer->len < bytes)
        return NULL;
    unsigned char *at = writer->data + writer->len;
    writer->last = writer->len;
    writer->len += bytes;
    writer->count++;
    return at;
}

static inline unsigned char *put_bytes(unsigned char *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static inline unsigned char *put_extra(unsigned char *at, unsigned tag, const void *bytes,
                                       size_t len)
{
    FW_ASSERT(len <= EXTRA_BYTES_MAX);
    store32(at, tag | (uint32_t)len << 8);
    return put_bytes(at + EXTRA_HEAD, bytes, len);
}

static inline size_t extra_size(size_t len)
{
    return len > 0 ? EXTRA_HEAD + len : 0;
}

/* Bytes of kwargs on the wire: {} is the default. */
static inline size_t item_kwargs(const fw_submission *s)
{
    bool empty = s->kwargs.len == 2 && memcmp(s->kwargs.ptr, "{}", 2) == 0;
    return empty ? 0 : s->kwargs.len;
}

/* A UUID travels as its bytes; a hashed key is nothing to others, its text is: an extra. */
static inline size_t item_bytes(const fw_submission *s, size_t kwargs, size_t extras)
{
    return ITEM_HEAD + (key_has_text(s->key) ? 16 : 0) + s->name.len + s->args.len +
           (kwargs > 0 ? 4 + kwargs : 0) + (extras > 0 ? 4 + extras : 0);
}

/* An item of SUBMIT up to its extras. */
static inline unsigned char *put_item(unsigned char *at, const fw_submission *s, size_t kwargs,
                                      size_t extras)
{
    bool id = key_has_text(s->key);
    at[0] = (unsigned char)(s->level | (id ? ITEM_HAS_ID : 0) | (kwargs > 0 ? ITEM_HAS_KWARGS : 0) |
                            (extras > 0 ? ITEM_HAS_EXTRAS : 0));
    at[1] = 0;
    store16(at + 2, (uint16_t)s->name.len);
    store32(at + 4, (uint32_t)s->args.len);
    at += ITEM_HEAD;
    if (id) {
        store_key(at, s->key);
        at += 16;
    }
    if (kwargs > 0) {
        store32(at, (uint32_t)kwargs);
        at += 4;
    }
    if (extras > 0) {
        store32(at, (uint32_t)extras);
        at += 4;
    }
    at = put_bytes(at, s->name.ptr, s->name.len);
    at = put_bytes(at, s->args.ptr, s->args.len);
    return put_bytes(at, s->kwargs.ptr, kwargs);
}

/* Extras follow one another up to the end. */
static inline bool extras_are_whole(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        if (end - at < EXTRA_HEAD)
            return false;
        size_t len = load32(at) >> 8;
        at += EXTRA_HEAD;
        if ((size_t)(end - at) < len)
            return false;
        at += len;
    }
    return true;
}

#endif
