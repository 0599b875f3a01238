// perf/peers_cache.cpp - the peers of the suite `cache`: RocksDB's LRUCache and HyperClockCache,
// the closest well-known designs, and what anybody would write with GLib: hash tables with a list,
// each under a mutex.
//
// Each keeps a copy of the value in a block of its own, as all of them do in their home; keys are
// 16 bytes, which HyperClockCache wants. An entry is charged its 64 bytes, so all of them hold
// about as many. SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include <glib.h>
#include <rocksdb/cache.h>

#include "cache_case.h"

namespace
{

uint64_t sum_of(const void *value)
{
    uint64_t words[8], sum = 0;
    memcpy(words, value, sizeof words);
    for (uint64_t word : words)
        sum += word;
    return sum;
}

void free_value(const rocksdb::Slice &, void *value)
{
    free(value);
}

struct rocks {
    std::shared_ptr<rocksdb::Cache> cache;
};

void *rocks_lru_create(size_t entries)
{
    rocksdb::LRUCacheOptions options(entries * FW_CASE_VALUE_BYTES, 6, false, 0.0);
    options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return new rocks{rocksdb::NewLRUCache(options)};
}

void *rocks_clock_create(size_t entries)
{
    rocksdb::HyperClockCacheOptions options(entries * FW_CASE_VALUE_BYTES, FW_CASE_VALUE_BYTES, 6,
                                            false, nullptr, rocksdb::kDontChargeCacheMetadata);
    return new rocks{options.MakeSharedCache()};
}

void rocks_destroy(void *cache)
{
    delete static_cast<rocks *>(cache);
}

void rocks_put(void *cache, const uint64_t key[2], const uint64_t value[8])
{
    void *copy = malloc(FW_CASE_VALUE_BYTES);
    memcpy(copy, value, FW_CASE_VALUE_BYTES);
    static_cast<rocks *>(cache)
        ->cache
        ->Insert(rocksdb::Slice(reinterpret_cast<const char *>(key), 16), copy, FW_CASE_VALUE_BYTES,
                 free_value)
        .PermitUncheckedError();
}

uint64_t rocks_get(void *cache, const uint64_t key[2])
{
    rocksdb::Cache *c = static_cast<rocks *>(cache)->cache.get();
    rocksdb::Cache::Handle *handle =
        c->Lookup(rocksdb::Slice(reinterpret_cast<const char *>(key), 16));
    if (!handle)
        return 0;
    uint64_t sum = sum_of(c->Value(handle));
    c->Release(handle);
    return sum;
}

size_t rocks_count(void *cache)
{
    return static_cast<rocks *>(cache)->cache->GetUsage() / FW_CASE_VALUE_BYTES;
}

struct glib_entry {
    uint64_t key[2];
    GList link;
    uint64_t value[8];
};

struct alignas(128) glib_shard {
    std::mutex lock;
    GHashTable *table;
    GQueue order; // least recently used first
};

struct glib_cache {
    size_t most; // in one shard
    std::vector<glib_shard> shards{64};
};

guint glib_hash(gconstpointer key)
{
    const uint64_t *words = static_cast<const uint64_t *>(key);
    return static_cast<guint>((words[0] ^ words[1] * 0x9e3779b97f4a7c15) >> 32);
}

gboolean glib_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 16) == 0;
}

void *glib_create(size_t entries)
{
    auto *cache = new glib_cache;
    cache->most = entries / cache->shards.size();
    for (glib_shard &shard : cache->shards) {
        shard.table = g_hash_table_new(glib_hash, glib_equal);
        g_queue_init(&shard.order);
    }
    return cache;
}

void glib_drop_oldest(glib_shard &shard)
{
    auto *entry = static_cast<glib_entry *>(g_queue_peek_head(&shard.order));
    g_queue_unlink(&shard.order, &entry->link);
    g_hash_table_remove(shard.table, entry->key);
    free(entry);
}

void glib_destroy(void *cache)
{
    auto *c = static_cast<glib_cache *>(cache);
    for (glib_shard &shard : c->shards) {
        while (shard.order.length > 0)
            glib_drop_oldest(shard);
        g_hash_table_destroy(shard.table);
    }
    delete c;
}

glib_shard &glib_shard_of(void *cache, const uint64_t key[2])
{
    return static_cast<glib_cache *>(cache)->shards[key[1] * 0xd6e8feb86659fd93 >> 58];
}

void glib_put(void *cache, const uint64_t key[2], const uint64_t value[8])
{
    glib_shard &shard = glib_shard_of(cache, key);
    std::lock_guard<std::mutex> hold(shard.lock);
    auto *entry = static_cast<glib_entry *>(g_hash_table_lookup(shard.table, key));
    if (entry) {
        g_queue_unlink(&shard.order, &entry->link);
    } else {
        if (shard.order.length >= static_cast<glib_cache *>(cache)->most)
            glib_drop_oldest(shard);
        entry = static_cast<glib_entry *>(malloc(sizeof *entry));
        memcpy(entry->key, key, sizeof entry->key);
        entry->link = {entry, nullptr, nullptr};
        g_hash_table_insert(shard.table, entry->key, entry);
    }
    memcpy(entry->value, value, sizeof entry->value);
    g_queue_push_tail_link(&shard.order, &entry->link);
}

uint64_t glib_get(void *cache, const uint64_t key[2])
{
    glib_shard &shard = glib_shard_of(cache, key);
    std::lock_guard<std::mutex> hold(shard.lock);
    auto *entry = static_cast<glib_entry *>(g_hash_table_lookup(shard.table, key));
    if (!entry)
        return 0;
    g_queue_unlink(&shard.order, &entry->link);
    g_queue_push_tail_link(&shard.order, &entry->link);
    return sum_of(entry->value);
}

size_t glib_count(void *cache)
{
    size_t count = 0;
    for (glib_shard &shard : static_cast<glib_cache *>(cache)->shards)
        count += shard.order.length;
    return count;
}

} // namespace

extern "C" const fw_cache_case fw_cache_case_peers[] = {
    {"HyperClockCache", rocks_clock_create, rocks_destroy, rocks_put, rocks_get, rocks_count},
    {"LRUCache", rocks_lru_create, rocks_destroy, rocks_put, rocks_get, rocks_count},
    {"GHashTable", glib_create, glib_destroy, glib_put, glib_get, glib_count},
    {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
};
