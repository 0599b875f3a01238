/* cache/shard_parts.h - what the files of a shard share with each other and nobody else: words that
 * only the lock's holder writes, and how a table grows.
 *
 * A table grows beside the puts: one of them makes the next table without the lock, each of those
 * that follow takes a few nodes over, and the one that took the last makes it the table. An entry
 * of a node below `moved` stands in both; readers look into the present one until then.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_SHARD_PARTS_H
#define FW_CACHE_SHARD_PARTS_H

#include "cache/shard.h"

/* Only the lock's holder writes; relaxed, because readers want figures. */
static inline size_t fw_shard_entries(const fw_shard *shard)
{
    return fw_load_relaxed(&shard->entries);
}

/* Only the lock's holder writes; the release in put_table is for readers. */
static inline fw_table fw_shard_table(const fw_shard *shard)
{
    return fw_load_relaxed(&shard->table);
}

static inline void fw_shard_count_bytes(fw_shard *shard, int64_t change)
{
    fw_count(&shard->bytes, (size_t)change);
    shard->unsent_bytes += change;
}

/* What a share of the cache comes to, with what chance adds to it. */
static inline size_t fw_likely_entries(const fw_shard *shard)
{
    /* Relaxed: a setting. */
    size_t share = fw_load_relaxed(&shard->bounds->entries_max) / shard->bounds->shards;
    return share + share / 32 + 64;
}

static inline bool fw_shard_stands_in_next(const fw_shard *shard, uint32_t index)
{
    return shard->next && index < shard->moved;
}

/* What a growing table takes beside its buckets, until it has grown. */
static inline size_t fw_places_bytes(fw_table next)
{
    return (FW_NODE_SENTINELS + fw_table_places(next)) * sizeof(uint32_t);
}

/* Under the lock: makes it the table. */
void fw_shard_put_table(fw_shard *shard, fw_table table);
/* Not under the lock: a larger table to come, if it is still wanted when there is one. All its
 * memory is touched here. */
void fw_shard_begin_growing(fw_shard *shard);
/* Under the lock, while there is a next table: the entry of a node goes into it as well. */
void fw_shard_enter_next(fw_shard *shard, uint32_t index, fw_entry *entry, uint8_t tag);
/* Under the lock, while there is a next table: takes some more nodes over. */
void fw_shard_go_on_growing(fw_shard *shard);

#endif
