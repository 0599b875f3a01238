/* cache/expiry.h - the wheel of a shard: which entries have outlived their time, without looking at
 * the others.
 *
 * Three circles of 64 slots: of one second, of 64 seconds, of 4096 seconds. A node is placed by the
 * first whole second at which its entry is dead, and comes one circle nearer when that circle's
 * hand reaches its slot; so each is touched at most three times, and once more per 72 hours beyond
 * the first 72.
 *
 * All functions: under the shard's lock. Time is an argument.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_EXPIRY_H
#define FW_CACHE_EXPIRY_H

#include "base/assert.h"
#include "cache/node.h"

enum { FW_WHEEL_CIRCLES = 3, FW_WHEEL_BITS = 6, FW_WHEEL_SLOTS = 1 << FW_WHEEL_BITS };
_Static_assert(FW_WHEEL_CIRCLES *FW_WHEEL_SLOTS == FW_NODE_SENTINELS, "each slot has a sentinel");

typedef struct fw_expiry {
    int64_t at_s; /* every second up to this one has been dealt with */
    size_t count; /* of nodes on the wheel */
} fw_expiry;

/* The first whole second at which an entry is dead that lives up to and including expires_ns. */
static inline int64_t fw_expiry_second(int64_t expires_ns)
{
    return expires_ns / INT64_C(1000000000) + 1;
}

static inline void fw_expiry_link(fw_nodes *nodes, uint32_t slot, uint32_t index)
{
    fw_node *at = nodes->at;
    uint32_t last = at[slot].sooner;
    at[index].sooner = last;
    at[index].later = slot;
    at[last].later = index;
    at[slot].sooner = index;
}

/* The sentinel of the slot for a second, seen from `from_s`, which is not later. */
static inline uint32_t fw_expiry_slot(int64_t second, int64_t from_s)
{
    int64_t ahead = second - from_s;
    if (ahead < FW_WHEEL_SLOTS)
        return (uint32_t)(second % FW_WHEEL_SLOTS);
    if (ahead < FW_WHEEL_SLOTS * FW_WHEEL_SLOTS)
        return FW_WHEEL_SLOTS + (uint32_t)((second >> FW_WHEEL_BITS) % FW_WHEEL_SLOTS);
    int64_t coarse = second >> (2 * FW_WHEEL_BITS);
    int64_t farthest = (from_s >> (2 * FW_WHEEL_BITS)) + FW_WHEEL_SLOTS - 1;
    return 2 * FW_WHEEL_SLOTS +
           (uint32_t)((coarse < farthest ? coarse : farthest) % FW_WHEEL_SLOTS);
}

void fw_expiry_init(fw_expiry *expiry);

/* A node enters the wheel. An empty wheel is set to now first, so that it need not turn over the
 * past. */
static inline void fw_expiry_add(fw_expiry *expiry, fw_nodes *nodes, uint32_t index,
                                 int64_t expires_ns, int64_t now_ns)
{
    int64_t second = fw_expiry_second(expires_ns);
    if (FW_UNLIKELY(expiry->count == 0) && expiry->at_s < now_ns / INT64_C(1000000000))
        expiry->at_s = now_ns / INT64_C(1000000000);
    if (second <= expiry->at_s)
        second = expiry->at_s + 1;
    fw_expiry_link(nodes, fw_expiry_slot(second, expiry->at_s), index);
    expiry->count++;
}

/* A node leaves. One whose entry was replaced need not, if the new one does not expire sooner. */
static inline void fw_expiry_remove(fw_expiry *expiry, fw_nodes *nodes, uint32_t index)
{
    fw_node *at = nodes->at;
    at[at[index].sooner].later = at[index].later;
    at[at[index].later].sooner = at[index].sooner;
    expiry->count--;
}

/* A node whose second has come, still on the wheel: remove it and ask again. FW_NODE_NONE: none is
 * due, and the wheel stands at now_s. Moves at most `*work` nodes nearer, and takes them off
 * `*work`; FW_NODE_NONE with
 * `*work` 0 means: ask again some other time. */
uint32_t fw_expiry_due(fw_expiry *expiry, fw_nodes *nodes, int64_t now_s, size_t *work);

#endif
