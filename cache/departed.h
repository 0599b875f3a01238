/* cache/departed.h - a small bounded memory of keys that were here and are gone.
 *
 * One cache line holds the fingerprints of the last 15 keys of a set, the oldest one overwritten
 * first. A key that never was here is taken for a departed one about once in 3 * 10^8 looks. One
 * writer at a time (under the shard's lock), any number of readers without a lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_DEPARTED_H
#define FW_CACHE_DEPARTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum { FW_DEPARTED_WAYS = 15 };

typedef struct fw_departed_set {
    fw_atomic(uint32_t) prints[FW_DEPARTED_WAYS]; /* 0: none */
    uint32_t next;                                /* writer only: the way to overwrite */
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

static inline uint32_t fw_departed_print(uint64_t hash)
{
    uint32_t print = (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    return print ? print : 1;
}

static inline void fw_departed_add(fw_departed *departed, uint64_t hash)
{
    fw_departed_set *set = fw_departed_set_of(departed, hash);
    /* Relaxed: the table's change that follows publishes it. */
    fw_store_relaxed(&set->prints[set->next], fw_departed_print(hash));
    set->next = set->next + 1 < FW_DEPARTED_WAYS ? set->next + 1 : 0;
}

/* Wait-free. */
bool fw_departed_has(const fw_departed *departed, uint64_t hash);

#endif
