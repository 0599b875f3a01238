/* cache/cache.c - the door: which shard, and what bounds all of them together.
 *
 * Key invariant: bounds.entries is the sum of the shards' entries, exactly, whenever nobody is at
 * work; a put leaves no more than entries_max, but for one entry of each put that is still under
 * way. Progress: get is wait-free; put and remove hold one shard's lock for a bounded time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/body.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/rcu.h"

enum {
    EXACT_BELOW = 1024,   /* so few entries stand in one shard, which keeps one order of use */
    SHARD_ENTRIES = 1024, /* above that, wanted in each shard ... */
    SHARDS_USUAL = 64,    /* ... up to so many shards, */
    SHARD_ENTRIES_MAX = 1 << 14, /* and then so many in each */
    LARGE_ENTRIES = 1 << 16,     /* so many do not fit into a processor's own cache */
    REMEMBERED_MIN = 64,         /* departed keys */
    REMEMBERED_MAX = 1 << 16,
    LUMP_BYTES_MAX = 16 * 1024,
    BACKLOG_SHARE = 8,           /* of bytes_max, entries let go of and not reclaimed, ... */
    BACKLOG_BYTES_MIN = 4 << 20, /* but so many bytes at least */
    SWEEP_WORK = 1 << 14,        /* nodes that one sweep touches */
    TRIM_HOLDS = 4               /* locks that a put takes to follow a smaller entries_max */
};

static unsigned shards_for(size_t entries_max)
{
    unsigned shards = 1;
    if (entries_max <= EXACT_BELOW)
        return shards;
    while (shards < SHARDS_USUAL && entries_max / shards >= 2 * SHARD_ENTRIES)
        shards *= 2;
    while (shards < 1u << FW_HASH_SHARD_BITS && entries_max / shards > SHARD_ENTRIES_MAX)
        shards *= 2;
    return shards;
}

static void set_bounds(fw_bounds *bounds, size_t entries_max, size_t bytes_max, int64_t ttl_ns)
{
    /* Relaxed: settings that take effect soon. */
    fw_store_relaxed(&bounds->entries_max, entries_max);
    fw_store_relaxed(&bounds->bytes_max, bytes_max);
    fw_store_relaxed(&bounds->ttl_ns, ttl_ns);
    size_t lump = bytes_max / 64 / bounds->shards;
    fw_store_relaxed(&bounds->lump_bytes, lump < LUMP_BYTES_MAX ? lump : LUMP_BYTES_MAX);
}

/* => the number of shards that could be set up. */
static unsigned init_shards(fw_cache *cache, size_t entries_max)
{
    size_t share = entries_max / cache->shard_count;
    size_t remembered = entries_max;
    if (remembered < REMEMBERED_MIN)
        remembered = REMEMBERED_MIN;
    if (remembered > REMEMBERED_MAX)
        remembered = REMEMBERED_MAX;
    for (unsigned i = 0; i < cache->shard_count; i++) {
        if (!fw_shard_init(&cache->shards[i], &cache->bounds, share + share / 32 + 64,
                           remembered / cache->shard_count + 1))
            return i;
    }
    return cache->shard_count;
}

int fw_cache_create(fw_cache **out, const fw_cache_config *config)
{
    unsigned shards = config->shards ? config->shards : shards_for(config->entries_max);
    if (config->ttl_ns <= 0 || (shards & (shards - 1)) != 0 || shards > 1u << FW_HASH_SHARD_BITS ||
        config->entries_max > (size_t)UINT32_MAX / 4 * shards)
        return -FW_EINVAL;
    size_t bytes = sizeof(fw_cache) + shards * sizeof(fw_shard);
    fw_cache *cache = aligned_alloc(FW_APART, bytes);
    if (!cache)
        return -FW_ENOMEM;
    fw_hash_init();
    *cache = (fw_cache){.shard_count = shards, .shard_mask = shards - 1};
    cache->is_large = config->entries_max >= LARGE_ENTRIES;
    cache->bounds.shards = shards;
    set_bounds(&cache->bounds, config->entries_max, config->bytes_max, config->ttl_ns);
    unsigned ready = init_shards(cache, config->entries_max);
    if (ready < shards) {
        while (ready-- > 0)
            fw_shard_fini(&cache->shards[ready]);
        free(cache);
        return -FW_ENOMEM;
    }
    /* Relaxed: private until returned. */
    fw_add_relaxed(&cache->bounds.bytes, (int64_t)sizeof *cache);
    cache->fixed_bytes = (size_t)fw_load_relaxed(&cache->bounds.bytes);
    *out = cache;
    return 0;
}

void fw_cache_destroy(fw_cache *cache)
{
    if (!cache)
        return;
    for (unsigned i = 0; i < cache->shard_count; i++) {
        FW_DEBUG_ASSERT(fw_shard_is_valid(&cache->shards[i]));
        fw_shard_fini(&cache->shards[i]);
    }
    /* What was evicted before is given back to the slabs before the caller looks at them. */
    fw_rcu_flush();
    free(cache);
}

/* The shard whose oldest entry is the oldest, among those that can spare one, and the age to which
 * it may be trimmed before it is another one's turn. NULL: none can. */
static fw_shard *oldest_shard(fw_cache *cache, const fw_shard *own, int64_t now_ns, uint64_t *until)
{
    fw_shard *oldest = NULL;
    uint64_t first = UINT64_MAX, second = UINT64_MAX, now = fw_mark_of(now_ns);
    for (unsigned i = 0; i < cache->shard_count; i++) {
        fw_shard *shard = &cache->shards[i];
        /* Relaxed, both: hints; the eviction looks again under the lock. */
        if (fw_load_relaxed(&shard->entries) <= (shard == own))
            continue;
        uint64_t began = fw_load_relaxed(&shard->began);
        if (!oldest || began < first) {
            second = first;
            first = began;
            oldest = shard;
        } else if (began < second) {
            second = began;
        }
    }
    /* A part of the age more, so that a lock is worth taking. */
    *until = second < now ? second + (now - second) / 16 : second;
    return oldest;
}

static inline size_t excess_entries(fw_bounds *bounds)
{
    /* Relaxed: bounds. */
    size_t is = fw_load_relaxed(&bounds->entries), most = fw_load_relaxed(&bounds->entries_max);
    return FW_UNLIKELY(is > most) ? is - most : 0;
}

static inline size_t excess_bytes(fw_bounds *bounds)
{
    /* Relaxed: bounds. */
    int64_t is = fw_load_relaxed(&bounds->bytes);
    size_t most = fw_load_relaxed(&bounds->bytes_max);
    return FW_UNLIKELY(is > 0 && (size_t)is > most) ? (size_t)is - most : 0;
}

/* Evicts what is too much; of entries, so many that one call stays short, with `holds` locks. `own`
 * keeps its newest entry, which the caller has just put there. */
static void trim(fw_cache *cache, const fw_shard *own, int64_t now_ns, unsigned holds)
{
    for (;;) {
        size_t entries = excess_entries(&cache->bounds), bytes = excess_bytes(&cache->bounds);
        if (bytes == 0 && (entries == 0 || holds == 0))
            return;
        holds -= bytes == 0;
        uint64_t until;
        fw_shard *shard = oldest_shard(cache, own, now_ns, &until);
        if (!shard)
            return;
        fw_shard_evict(shard, entries, bytes, shard == own, until,
                       entries > 0 ? FW_EVICTED_BY_COUNT : FW_EVICTED_BY_BYTES);
    }
}

/* backlog-note: entries that were let go of are memory until their readers are gone. If that is
 * more than a part of what the cache may take, whoever stores waits for those readers, unless it is
 * one itself. */
static inline void bound_backlog(const fw_bounds *bounds)
{
    /* Relaxed: a setting. */
    size_t most = fw_load_relaxed(&bounds->bytes_max) / BACKLOG_SHARE;
    if (most < BACKLOG_BYTES_MIN)
        most = BACKLOG_BYTES_MIN;
    if (FW_UNLIKELY(fw_entry_retired_bytes() > most) && !fw_rcu_is_reading())
        fw_rcu_barrier();
}

static inline fw_shard *shard_of(fw_cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> (64 - FW_HASH_SHARD_BITS)) & cache->shard_mask];
}

/* A reader's look before the lock is taken: whoever waits for memory should not hold a lock
 * meanwhile. */
static void look_first(const fw_shard *shard, uint64_t hash, fw_key key)
{
    fw_rcu_read_lock();
    (void)fw_shard_find(shard, hash, key);
    fw_rcu_read_unlock();
}

int fw_cache_put(fw_cache *cache, const fw_cache_item *item, int64_t ttl_ns, int64_t now_ns)
{
    FW_ASSERT(now_ns >= 0);
    fw_bounds *bounds = &cache->bounds;
    uint64_t hash = fw_hash(item->key);
    fw_shard *shard = shard_of(cache, hash);
    /* Relaxed, all: settings, and an address to load early. */
    fw_table_prefetch(fw_load_relaxed(&shard->table), hash);
    __builtin_prefetch(&shard->lock, 1);
    int64_t ttl = ttl_ns == 0 ? fw_load_relaxed(&bounds->ttl_ns) : ttl_ns;
    if (FW_UNLIKELY(ttl < 0))
        return -FW_EINVAL;
    if (FW_UNLIKELY(fw_load_relaxed(&bounds->entries_max) == 0))
        return 0;
    fw_entry_plan plan = fw_entry_plan_of(item);
    if (FW_UNLIKELY(plan.bytes - 1 >= UINT32_MAX ||
                    plan.bytes + cache->fixed_bytes > fw_load_relaxed(&bounds->bytes_max)))
        return -FW_EBIG;
    int64_t expires_ns = now_ns <= INT64_MAX - ttl ? now_ns + ttl : INT64_MAX;
    fw_entry *entry = fw_entry_create(item, &plan, expires_ns, now_ns);
    if (FW_UNLIKELY(!entry))
        return -FW_ENOMEM;
    fw_shard_prefetch(shard);
    if (cache->is_large)
        look_first(shard, hash, item->key);
    const fw_shard *other = &cache->shards[(hash >> 40) & cache->shard_mask];
    int status = fw_shard_put(shard, entry, hash, now_ns, other);
    if (FW_UNLIKELY(status < 0)) {
        fw_entry_free(entry);
        return status;
    }
    if (FW_UNLIKELY(excess_entries(bounds) > 0 || excess_bytes(bounds) > 0))
        trim(cache, shard, now_ns, TRIM_HOLDS);
    bound_backlog(bounds);
    return 0;
}

fw_cache_answer fw_cache_get(fw_cache *cache, fw_key key, int64_t now_ns, bool peek,
                             fw_cache_item *out)
{
    uint64_t hash = fw_hash(key);
    const fw_shard *shard = shard_of(cache, hash);
    fw_entry *entry = fw_shard_find(shard, hash, key);
    bool departed = FW_UNLIKELY(!entry) && fw_departed_has(&shard->departed, hash);
    /* expired-note: the key may have come after the first look and be about to leave, already noted
     * as departed. It was here when that was noted, so if it is missed now, it has been here and is
     * gone. */
    if (FW_UNLIKELY(departed))
        entry = fw_shard_find(shard, hash, key);
    if (FW_LIKELY(entry && now_ns <= entry->expires_ns)) {
        fw_entry_read(entry, out);
        if (!peek) {
            fw_entry_mark(entry, now_ns);
            fw_tally_count(cache->tally, FW_TALLY_HITS);
        }
        return FW_CACHE_FOUND;
    }
    bool expired = entry || departed;
    if (!peek) {
        fw_tally_count(cache->tally, FW_TALLY_MISSES);
        if (expired)
            fw_tally_count(cache->tally, FW_TALLY_EXPIRED);
    }
    return expired ? FW_CACHE_EXPIRED : FW_CACHE_UNKNOWN;
}

bool fw_cache_gone_within(fw_cache *cache, fw_key key, int64_t now_ns, int64_t window_ns)
{
    uint64_t hash = fw_hash(key);
    const fw_shard *shard = shard_of(cache, hash);
    fw_entry *entry = fw_shard_find(shard, hash, key);
    /* Relaxed: any of its times will do. */
    if (entry && now_ns - (int64_t)(fw_load_relaxed(&entry->mark) / 2) <= window_ns)
        return true;
    return fw_departed_within(&shard->departed, hash, now_ns, window_ns);
}

void fw_cache_prefetch(const fw_cache *cache, fw_key key)
{
    uint64_t hash = fw_hash(key);
    const fw_shard *shard = &cache->shards[(hash >> (64 - FW_HASH_SHARD_BITS)) & cache->shard_mask];
    /* Relaxed: only an address to load early; a table that is replaced meanwhile does no harm. */
    fw_table_prefetch(fw_load_relaxed(&shard->table), hash);
    __builtin_prefetch(&shard->lock, 1);
}

void fw_cache_prefetch_get(const fw_cache *cache, fw_key key)
{
    uint64_t hash = fw_hash(key);
    const fw_shard *shard = &cache->shards[(hash >> (64 - FW_HASH_SHARD_BITS)) & cache->shard_mask];
    /* Relaxed: as above. */
    fw_table_prefetch(fw_load_relaxed(&shard->table), hash);
    __builtin_prefetch(fw_departed_set_of(&shard->departed, hash));
}

bool fw_cache_remove(fw_cache *cache, fw_key key)
{
    uint64_t hash = fw_hash(key);
    return fw_shard_remove(shard_of(cache, hash), hash, key);
}

size_t fw_cache_sweep(fw_cache *cache, int64_t now_ns)
{
    size_t gone = 0, work = SWEEP_WORK;
    /* Relaxed, both: whoever sweeps, every shard has its turn. */
    unsigned at = fw_load_relaxed(&cache->sweep_at);
    for (unsigned i = 0; i < cache->shard_count && work > 0; i++) {
        size_t took;
        do {
            took = fw_shard_sweep(&cache->shards[at], now_ns, &work);
            gone += took;
        } while (took == FW_SHARD_VICTIMS && work > 0);
        /* The next sweep goes on where this one ran out of work. */
        if (work > 0)
            at = (at + 1) & cache->shard_mask;
    }
    fw_store_relaxed(&cache->sweep_at, at);
    trim(cache, NULL, now_ns, SWEEP_WORK);
    fw_rcu_flush();
    return gone;
}

void fw_cache_resize(fw_cache *cache, size_t entries_max, size_t bytes_max, int64_t ttl_ns)
{
    FW_ASSERT(ttl_ns > 0);
    set_bounds(&cache->bounds, entries_max, bytes_max, ttl_ns);
}
