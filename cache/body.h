/* cache/body.h - what a cache is made of, for the files behind the door.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_BODY_H
#define FW_CACHE_BODY_H

#include "cache/hash.h"
#include "cache/shard.h"
#include "cache/tally.h"

struct fw_cache {
    /* Immutable after create. */
    unsigned shard_count, shard_mask;
    bool is_large;
    size_t fixed_bytes; /* of the empty cache */
    /* Shared, atomic. */
    fw_atomic(unsigned) sweep_at; /* where the next sweep begins */
    /* Shared; see there. */
    fw_bounds bounds;
    fw_tally tally[FW_TALLY_SEATS];
    fw_shard shards[];
};

#endif
