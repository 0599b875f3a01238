/* cache/departed.h - a small bounded memory of keys that were here and are gone.
 *
 * One cache line holds the last 7 keys of a set, the oldest one overwritten first: 44 bits of each
 * key's fingerprint, and when it was last used, in seconds that wrap after twelve days. A key that
 * never was here is taken for a departed one about once in 2 * 10^12 looks. One writer at a time
 * (under the shard's lock), any number of readers without a lock. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_CACHE_DEPARTED_H
#define FW_CACHE_DEPARTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum { FW_DEPARTED_WAYS = 7, FW_DEPARTED_TIME_BITS = 20 };

typedef struct fw_departed_set {
    fw_atomic(uint64_t) prints[FW_DEPARTED_WAYS]; /* 0: none; the time is in the low bits */
    uint64_t next;                                /* writer only: the way to overwrite */
} fw_departed_set;
_Static_assert(sizeof(fw_departed_set) == 64, "a set is a cache line");

typedef struct fw_departed {
    fw_departed_set *sets; /* immutable after init */
    uint32_t count;
} fw_departed;

/* => false: no memory. */
bool fw_departed_init(fw_departed *departed, size_t keys);
void fw_departed_fini(fw_departed *departed);
size_t fw_departed_bytes(const fw_departed *departed);

static inline fw_departed_set *fw_departed_set_of(const fw_departed *departed, uint64_t hash)
{
    return &departed->sets[((hash & UINT32_MAX) * departed->count) >> 32];
}

static inline uint64_t fw_departed_print(uint64_t hash)
{
    uint64_t print = (hash * UINT64_C(0x9e3779b97f4a7c15)) >> FW_DEPARTED_TIME_BITS;
    return (print ? print : 1) << FW_DEPARTED_TIME_BITS;
}

static inline uint64_t fw_departed_time(int64_t used_ns)
{
    return (uint64_t)used_ns / 1000000000u & ((1u << FW_DEPARTED_TIME_BITS) - 1);
}

static inline void fw_departed_add(fw_departed *departed, uint64_t hash, int64_t used_ns)
{
    fw_departed_set *set = fw_departed_set_of(departed, hash);
    uint64_t print = fw_departed_print(hash), way = set->next;
    /* One that has gone before keeps its place, so that it does not drive out others. */
    for (unsigned i = 0; i < FW_DEPARTED_WAYS; i++)
        if ((fw_load_relaxed(&set->prints[i]) ^ print) >> FW_DEPARTED_TIME_BITS == 0)
            way = i;
    /* Relaxed: the table's change that follows publishes it. */
    fw_store_relaxed(&set->prints[way], print | fw_departed_time(used_ns));
    if (way == set->next)
        set->next = set->next + 1 < FW_DEPARTED_WAYS ? set->next + 1 : 0;
}

/* Wait-free. */
bool fw_departed_has(const fw_departed *departed, uint64_t hash);
/* And whether it was last used so recently. */
bool fw_departed_within(const fw_departed *departed, uint64_t hash, int64_t now_ns,
                        int64_t window_ns);

#endif
