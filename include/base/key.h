/* base/key.h - 128-bit identities made from text.
 *
 * A UUID in canonical lower-case form is its own 16 bytes, so the text can be made again from the
 * key. Any other text is hashed (XXH3, keyed by a secret of this process) and marked with the
 * version nibble 0xf, which no accepted UUID has: the two kinds never meet, and the secret keeps
 * peers from aiming at a collision among the 2^124 others. Owners of hashed keys keep the text
 * beside them, to show it. Any thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_KEY_H
#define FW_BASE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "fastworker/types.h"

typedef struct fw_key {
    uint64_t high; /* the first eight bytes of the UUID, big-endian */
    uint64_t low;
} fw_key;

enum { FW_UUID_TEXT = 36 };

/* The key of a text of 1 to FW_ID_MAX bytes. */
fw_key fw_key_from_text(fw_span text);
/* True when the text can be made from the key alone. */
bool fw_key_is_uuid(fw_key key);
/* Writes 36 characters, no NUL; the key must be a UUID. */
void fw_key_format(char out[FW_UUID_TEXT], fw_key key);
/* A fresh version 4 UUID; randomness is taken from the kernel a block at a time, per thread. */
fw_key fw_key_random(void);

static inline bool fw_key_equal(fw_key a, fw_key b)
{
    return a.high == b.high && a.low == b.low;
}

/* UUIDs carry enough randomness for a table index; mixed so that sequential ids spread as well. */
static inline uint64_t fw_key_hash(fw_key key)
{
    uint64_t h = (key.high ^ (key.low * UINT64_C(0x9e3779b97f4a7c15)));
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

#endif
