/* net/frame_layout.h - the numbers of the binary frames, shared by their reader and writer only.
 *
 * docs/PROTOCOL.md describes each byte; nothing here may change without another FW_FRAME_VERSION.
 * Numbers are little-endian and not aligned. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_FRAME_LAYOUT_H
#define FW_NET_FRAME_LAYOUT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

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
    HELLO_TEXT_MAX = 1024
};

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
