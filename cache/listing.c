/* cache/listing.c - looking at a whole cache without standing in anybody's way: figures, and all
 * entries in turn.
 *
 * A listing reads a shard's table as any reader does, and puts what it found in order of use; so it
 * takes no lock and marks nothing. The cursor names the last time of use that was shown and how
 * many of that millisecond were shown, so that a page follows the one before it although entries
 * come, go and are used meanwhile: what stays in the cache and is not used in between is shown
 * exactly once. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/assert.h"
#include "cache/body.h"

/* The cursor, from the top: shard, millisecond (of 2^20 ns) of the last use, entries of it shown. 0
 * is the start; no other cursor is 0, because it has shown one entry or stands at a later shard. */
enum { SHOWN_BITS = 14, USE_BITS = 40, USE_SHIFT = 20 };
/* A call ends with the shard in which it has seen so many: its read section keeps memory of
 * entries that are let go of meanwhile. */
enum { CALL_ENTRIES = 8192 };

typedef struct listed {
    uint64_t used; /* milliseconds */
    uint64_t mark;
    const fw_entry *entry;
} listed;

typedef struct position {
    unsigned shard;
    uint64_t used, shown;
} position;

static position position_of(uint64_t cursor)
{
    return (position){(unsigned)(cursor >> (SHOWN_BITS + USE_BITS)),
                      cursor >> SHOWN_BITS & ((UINT64_C(1) << USE_BITS) - 1),
                      cursor & ((UINT64_C(1) << SHOWN_BITS) - 1)};
}

static uint64_t cursor_of(position at)
{
    /* More in one millisecond than can be counted: go on behind it. */
    if (at.shown >> SHOWN_BITS)
        at = (position){at.shard, at.used + 1, 0};
    return (uint64_t)at.shard << (SHOWN_BITS + USE_BITS) | at.used << SHOWN_BITS | at.shown;
}

static int compare(const void *left, const void *right)
{
    const listed *a = left, *b = right;
    if (a->mark != b->mark)
        return a->mark < b->mark ? -1 : 1;
    return a->entry < b->entry ? -1 : a->entry > b->entry;
}

/* Entries of a table that are alive and were last used at `from` or later. => how many, or
 * SIZE_MAX: no memory. */
static size_t gather(listed **out, fw_table table, uint64_t from, int64_t now_ns)
{
    uint32_t size = fw_table_size(table);
    listed *all = malloc((size_t)size * FW_BUCKET_PLACES * sizeof *all);
    size_t count = 0;
    if (!all)
        return SIZE_MAX;
    for (uint32_t i = 0; i < size * FW_BUCKET_PLACES; i++) {
        fw_bucket *bucket = &fw_table_buckets(table)[i / FW_BUCKET_PLACES];
        /* [table-entry] acquire: what the entry's creator wrote. */
        fw_entry *entry = fw_load_acquire(&bucket->entries[i % FW_BUCKET_PLACES]);
        if (!entry || entry->expires_ns < now_ns)
            continue;
        /* Relaxed: a hint. */
        uint64_t mark = fw_load_relaxed(&entry->mark);
        uint64_t used = (uint64_t)fw_mark_time(mark) >> USE_SHIFT;
        if (used >= from)
            all[count++] = (listed){used, mark, entry};
    }
    qsort(all, count, sizeof *all, compare);
    *out = all;
    return count;
}

/* Shows one shard from `at` on, moves it, and adds how many there were to *seen. => false: visit
 * wants no more, or there is no memory. */
static bool show_shard(const fw_shard *shard, position *at, size_t *seen, int64_t now_ns,
                       bool (*visit)(void *context, const fw_cache_item *item), void *context)
{
    listed *all = NULL;
    /* [shard-table] acquire: the table's buckets. */
    size_t count = gather(&all, fw_load_acquire(&shard->table), at->used, now_ns);
    if (count == SIZE_MAX)
        return false;
    *seen += count;
    size_t i = 0;
    while (i < count && i < at->shown && all[i].used == at->used)
        i++;
    bool more = true;
    for (; more && i < count; i++) {
        fw_cache_item item;
        fw_entry_read(all[i].entry, &item);
        more = visit(context, &item);
        at->shown = all[i].used == at->used ? at->shown + 1 : 1;
        at->used = all[i].used;
    }
    free(all);
    return more;
}

void fw_cache_each(fw_cache *cache, uint64_t *cursor, int64_t now_ns,
                   bool (*visit)(void *context, const fw_cache_item *item), void *context)
{
    position at = position_of(*cursor);
    size_t seen = 0;
    while (at.shard < cache->shard_count && seen < CALL_ENTRIES) {
        if (!show_shard(&cache->shards[at.shard], &at, &seen, now_ns, visit, context)) {
            *cursor = cursor_of(at);
            return;
        }
        at = (position){.shard = at.shard + 1};
    }
    *cursor = at.shard < cache->shard_count ? cursor_of(at) : 0;
}

/* Adds one shard's figures. Relaxed, all: figures of about the same moment. */
static void add_shard(fw_shard *shard, fw_cache_stats *out)
{
    size_t entries = fw_load_relaxed(&shard->entries);
    out->entries += entries;
    out->bytes += fw_load_relaxed(&shard->bytes);
    out->puts += fw_load_relaxed(&shard->puts);
    out->evicted_count += fw_load_relaxed(&shard->evicted[FW_EVICTED_BY_COUNT]);
    out->evicted_bytes += fw_load_relaxed(&shard->evicted[FW_EVICTED_BY_BYTES]);
    out->evicted_ttl += fw_load_relaxed(&shard->evicted[FW_EVICTED_BY_TTL]);
    for (unsigned i = 0; i < FW_UNKNOWN; i++)
        out->by_status[i] += fw_load_relaxed(&shard->by_status[i]);
    if (entries < out->shard_entries_min)
        out->shard_entries_min = entries;
    if (entries > out->shard_entries_max)
        out->shard_entries_max = entries;
}

void fw_cache_snapshot(fw_cache *cache, fw_cache_stats *out)
{
    /* Relaxed, all: settings. */
    *out = (fw_cache_stats){
        .entries_max = fw_load_relaxed(&cache->bounds.entries_max),
        .bytes_max = fw_load_relaxed(&cache->bounds.bytes_max),
        .ttl_ns = fw_load_relaxed(&cache->bounds.ttl_ns),
        .bytes = sizeof *cache,
        .hits = fw_tally_sum(cache->tally, FW_TALLY_HITS),
        .misses = fw_tally_sum(cache->tally, FW_TALLY_MISSES),
        .expired_answers = fw_tally_sum(cache->tally, FW_TALLY_EXPIRED),
        .shards = cache->shard_count,
        .shard_entries_min = SIZE_MAX,
        .retired_bytes = fw_entry_retired_bytes(),
    };
    for (unsigned i = 0; i < cache->shard_count; i++)
        add_shard(&cache->shards[i], out);
    FW_DEBUG_ASSERT(out->shard_entries_min != SIZE_MAX);
}
