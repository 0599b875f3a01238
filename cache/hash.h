/* cache/hash.h - which shard, bucket, tag and fingerprint a key has.
 *
 * The base's fw_key_hash has no secret: a peer that chooses its ids could send them all to one
 * bucket. Here two random words of this process are mixed in by a full multiplication. Bits: 54 and
 * up choose the shard, 32 to 39 are the tag, 0 to 31 choose the bucket. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_CACHE_HASH_H
#define FW_CACHE_HASH_H

#include "base/key.h"

enum { FW_HASH_SHARD_BITS = 10 };

/* Immutable after fw_hash_init. */
extern uint64_t fw_hash_secret[2];

/* Draws the secret, once in a process. Any thread. */
void fw_hash_init(void);

static inline uint64_t fw_hash(fw_key key)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(key.high ^ fw_hash_secret[0]) * (key.low ^ fw_hash_secret[1]);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    /* Keys that count up would still walk over the shards in even steps. */
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

#endif
