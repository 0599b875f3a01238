/* cache/shard.h - one part of the cache: the table that readers see, and what its writers keep
 * under its lock.
 *
 * Readers need the table and the departed keys alone, and take no lock. Writers hold the shard's
 * lock for the order of use, the wheel and the counters. No function here holds two locks.
 *
 * Bounds belong to the whole cache (fw_bounds). Entries are counted exactly; a shard that evicts
 * one for each it takes does not touch the count. Bytes are sent to the sum in lumps.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_SHARD_H
#define FW_CACHE_SHARD_H

#include "cache/cache.h"
#include "cache/departed.h"
#include "cache/expiry.h"
#include "cache/lock.h"
#include "cache/recency.h"
#include "cache/table.h"

enum { FW_SHARD_VICTIMS = 32 }; /* most entries that one hold of a lock takes out */

typedef struct fw_bounds {
    /* Shared, atomic; changed by resize. */
    fw_atomic(size_t) entries_max, bytes_max;
    fw_atomic(int64_t) ttl_ns;
    fw_atomic(size_t) lump_bytes; /* what a shard may keep to itself of a change in bytes */
    /* Immutable after create. */
    size_t shards;
    /* Shared, atomic; changed by shards. */
    _Alignas(FW_APART) fw_atomic(size_t) entries;
    fw_atomic(int64_t) bytes;
} fw_bounds;

typedef enum fw_eviction {
    FW_EVICTED_BY_COUNT,
    FW_EVICTED_BY_BYTES,
    FW_EVICTED_BY_TTL,
    FW_EVICTIONS
} fw_eviction;

typedef struct fw_shard {
    /* Immutable after init. */
    fw_bounds *bounds;
    fw_departed departed;
    /* Shared, atomic; changed seldom, under the lock. */
    fw_atomic(uintptr_t) table;
    fw_atomic(uint64_t) began; /* about when the oldest entry was last used; UINT64_MAX: no entry */
    /* First line, what every put needs. Under the lock, but for the hints. */
    _Alignas(FW_APART) fw_lock lock;
    uint32_t table_room; /* fw_table_room(table) */
    fw_table next;       /* the table grows: the one to come; else 0 */
    fw_nodes nodes;
    /* Shared, atomic; written under the lock: what the next eviction will touch, to be loaded
     * before the lock is taken. Addresses only; what is there may be gone. */
    fw_atomic(const void *) next_entry, next_bucket, next_node;
    int64_t unsent_bytes; /* not yet in bounds->bytes */
    /* Second line. Under the lock. */
    fw_expiry expiry;
    /* Written under the lock, read by anyone. */
    fw_atomic(uint64_t) puts, evicted[FW_EVICTIONS];
    fw_atomic(size_t) entries, bytes;
    /* Further lines. Under the lock. */
    fw_recency recency;
    /* While the table grows: nodes below `moved` stand in `next` as well, at next_places. */
    uint32_t moved;
    uint32_t *next_places;
    /* Written under the lock, read by anyone. */
    fw_atomic(size_t) by_status[FW_UNKNOWN];
} fw_shard;

/* => false: no memory. likely: how many entries are expected at most; remembered: departed keys. */
bool fw_shard_init(fw_shard *shard, fw_bounds *bounds, size_t likely, size_t remembered);
/* Nobody may use the shard any more. */
void fw_shard_fini(fw_shard *shard);

/* Starts loading what a put into this shard will touch beside the bucket of its key. Any thread. */
static inline void fw_shard_prefetch(const fw_shard *shard)
{
    /* Relaxed: addresses; a stale one does no harm. */
    __builtin_prefetch(fw_load_relaxed(&shard->next_entry));
    __builtin_prefetch(fw_load_relaxed(&shard->next_bucket), 1);
    __builtin_prefetch(fw_load_relaxed(&shard->next_node), 1);
    __builtin_prefetch(&shard->expiry, 1);
    __builtin_prefetch(&shard->recency, 1);
}

/* Takes a private entry; if the cache is full, the oldest one goes first, unless the
 * other shard (which may be this one) has a much older one: then the cache is left one too large.
 * 0, or -FW_ENOMEM: the entry is still the caller's. */
int fw_shard_put(fw_shard *shard, fw_entry *entry, uint64_t hash, int64_t now_ns,
                 const fw_shard *other);
/* Evicts one, and more until so many entries and bytes are gone, FW_SHARD_VICTIMS are gone, `leave`
 * are left or the oldest one was used later than `until`. => how many went. */
size_t fw_shard_evict(fw_shard *shard, size_t entries, size_t bytes, size_t leave, uint64_t until,
                      fw_eviction why);
bool fw_shard_remove(fw_shard *shard, uint64_t hash, fw_key key);
/* Takes out what is dead at now_ns, at most FW_SHARD_VICTIMS. Returns how many; *work is the budget
 * (fw_expiry_due). */
size_t fw_shard_sweep(fw_shard *shard, int64_t now_ns, size_t *work);
/* Looks for broken invariants. For tests and check builds; holds the lock long. */
bool fw_shard_is_valid(fw_shard *shard);

/* Reader, inside an RCU read section. */
static inline fw_entry *fw_shard_find(const fw_shard *shard, uint64_t hash, fw_key key)
{
    /* [shard-table] acquire: the table's buckets. */
    return fw_table_find(fw_load_acquire(&shard->table), hash, key);
}

#endif
