/* cache/table.h - the hash table of one shard: buckets of one cache line, read without a lock.
 *
 * A bucket has seven places, a byte of hash for each, and a count of entries that found it full and
 * went on to a later bucket; a look-up ends where that count is 0. An entry never moves while it is
 * in a table, so a reader finds what is there all the time it looks. The table is one word: the
 * address of the buckets, and in its low bits how many there are. Growing makes another table with
 * the same entries; the old one is left to the readers that have it, and retired.
 *
 * T1 A look-up that ends with a miss saw a moment at which the key was absent, or began before the
 * table grew.
 * T2 A look-up that finds an entry saw a moment at which its tag was set, so from then on everybody
 * finds it until it is removed. Roles: one writer at a time (the shard's lock); readers inside an
 * RCU read section, wait-free. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_TABLE_H
#define FW_CACHE_TABLE_H

#include "base/assert.h"
#include "cache/entry.h"

enum { FW_BUCKET_PLACES = 7, FW_TABLE_ALIGN = 128 };
#define FW_PLACE_NONE UINT32_MAX

typedef struct fw_bucket {
    /* Bytes 0 to 6: the tag of that place, 0 if it is free; byte 7: entries that went on, stuck at
     * 255. */
    fw_atomic(uint64_t) tags;
    fw_atomic(fw_entry *) entries[FW_BUCKET_PLACES];
} fw_bucket;
_Static_assert(sizeof(fw_bucket) == FW_CACHE_LINE, "a bucket is a cache line");

typedef uintptr_t fw_table; /* 0: none */

static inline fw_bucket *fw_table_buckets(fw_table table)
{
    return (fw_bucket *)(table & ~(uintptr_t)(FW_TABLE_ALIGN - 1));
}

/* Sizes are 4, 5, 6 or 7 times a power of two. */
static inline uint32_t fw_table_size(fw_table table)
{
    unsigned code = table & (FW_TABLE_ALIGN - 1);
    return (4 + (code & 3)) << (code >> 2);
}

static inline uint32_t fw_table_home(uint32_t size, uint64_t hash)
{
    return (uint32_t)(((hash & UINT32_MAX) * size) >> 32);
}

static inline uint8_t fw_table_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 32);
    return tag ? tag : 1;
}

/* The high bit of each of bytes 0 to 6 that equals the tag; above an equal byte there may be wrong
 * ones. */
static inline uint64_t fw_table_matches(uint64_t tags, uint8_t tag)
{
    const uint64_t ones = UINT64_C(0x0001010101010101), highs = ones << 7;
    uint64_t difference = tags ^ ones * tag;
    return (difference - ones) & ~difference & highs;
}

static inline bool fw_table_went_on(uint64_t tags)
{
    return tags >> 56 != 0;
}

/* Room for this many entries at a load that keeps look-ups in one bucket. 0: no memory. */
fw_table fw_table_create(size_t entries);
void fw_table_destroy(fw_table table);
size_t fw_table_bytes(fw_table table);
/* How many entries it takes before it should grow. */
size_t fw_table_room(fw_table table);
/* How many entries it can take at most. */
size_t fw_table_places(fw_table table);

/* Writer only: where the key is, or FW_PLACE_NONE. */
static inline uint32_t fw_table_place(fw_table table, uint64_t hash, fw_key key);
/* Writer only: publishes the entry, for which there must be a place. Where it stands. */
static inline uint32_t fw_table_insert(fw_table table, uint64_t hash, fw_entry *entry);
/* Writer only: publishes another entry of the same key at its place. */
void fw_table_replace(fw_table table, uint32_t place, fw_entry *entry);
/* Writer only. */
static inline void fw_table_remove(fw_table table, uint32_t place, uint64_t hash);
/* Writer only: what stands at a place. */
static inline fw_entry *fw_table_entry(fw_table table, uint32_t place);

static inline fw_entry *fw_table_entry(fw_table table, uint32_t place)
{
    /* Relaxed: only the lock's holder writes. */
    return fw_load_relaxed(&fw_table_buckets(table)[place / 8].entries[place % 8]);
}

/* Writer only: the tag of a place that is taken. */
static inline uint8_t fw_table_tag_at(fw_table table, uint32_t place)
{
    /* Relaxed: only the lock's holder writes. */
    return (uint8_t)(fw_load_relaxed(&fw_table_buckets(table)[place / 8].tags) >> place % 8 * 8);
}

/* The same when the home bucket does not settle it. */
uint32_t fw_table_place_far(fw_table table, uint64_t hash, fw_key key);
uint32_t fw_table_insert_far(fw_table table, uint64_t hash, fw_entry *entry);
void fw_table_count_back(fw_table table, uint32_t to, uint64_t hash);

static inline void fw_table_prefetch(fw_table table, uint64_t hash)
{
    __builtin_prefetch(&fw_table_buckets(table)[fw_table_home(fw_table_size(table), hash)]);
}

/* Reader: the entry of the key or NULL. */
static inline fw_entry *fw_table_find(fw_table table, uint64_t hash, fw_key key)
{
    uint32_t size = fw_table_size(table), at = fw_table_home(size, hash);
    uint8_t tag = fw_table_tag(hash);
    for (uint32_t looked = 0; looked < size; looked++) {
        fw_bucket *bucket = &fw_table_buckets(table)[at];
        /* [table-tags] acquire: the entries that stood there when the tags were written. */
        uint64_t tags = fw_load_acquire(&bucket->tags);
        for (uint64_t m = fw_table_matches(tags, tag); m; m &= m - 1) {
            unsigned slot = (unsigned)__builtin_ctzll(m) / 8;
            /* [table-entry] acquire: what the entry's creator wrote, and that the tag of the entry
             * before it in this place was cleared. */
            fw_entry *entry = fw_load_acquire(&bucket->entries[slot]);
            /* The texts are behind the header, which has yet to come, if there is one at all. */
            __builtin_prefetch((const void *)((uintptr_t)entry + FW_CACHE_LINE));
            if (FW_UNLIKELY(!entry || !fw_key_equal(entry->key, key)))
                continue;
            /* T2: the tags may be older than the entry, which then is not published yet.
             * Relaxed: after the entry, by its acquire. */
            if (FW_LIKELY((uint8_t)(fw_load_relaxed(&bucket->tags) >> slot * 8) == tag))
                return entry;
        }
        if (FW_LIKELY(!fw_table_went_on(tags)))
            return NULL;
        at = at + 1 < size ? at + 1 : 0;
    }
    return NULL;
}

static inline uint32_t fw_table_place(fw_table table, uint64_t hash, fw_key key)
{
    uint32_t home = fw_table_home(fw_table_size(table), hash);
    /* Relaxed: only the lock's holder writes. */
    uint64_t tags = fw_load_relaxed(&fw_table_buckets(table)[home].tags);
    if (FW_LIKELY(!fw_table_matches(tags, fw_table_tag(hash)) && !fw_table_went_on(tags)))
        return FW_PLACE_NONE;
    return fw_table_place_far(table, hash, key);
}

static inline uint32_t fw_table_insert(fw_table table, uint64_t hash, fw_entry *entry)
{
    uint32_t home = fw_table_home(fw_table_size(table), hash);
    fw_bucket *bucket = &fw_table_buckets(table)[home];
    /* Relaxed: only the lock's holder writes. */
    uint64_t tags = fw_load_relaxed(&bucket->tags), empty = fw_table_matches(tags, 0);
    if (FW_UNLIKELY(!empty))
        return fw_table_insert_far(table, hash, entry);
    uint32_t slot = (uint32_t)__builtin_ctzll(empty) / 8;
    FW_DEBUG_ASSERT(!fw_load_relaxed(&bucket->entries[slot]));
    /* [table-entry] release: what the entry's creator wrote. */
    fw_store_release(&bucket->entries[slot], entry);
    /* [table-tags] release: the entry stands there. */
    fw_store_release(&bucket->tags, tags | (uint64_t)fw_table_tag(hash) << (slot * 8));
    return home * 8 + slot;
}

static inline void fw_table_remove(fw_table table, uint32_t place, uint64_t hash)
{
    fw_bucket *bucket = &fw_table_buckets(table)[place / 8];
    uint32_t slot = place % 8;
    /* Relaxed: only the lock's holder writes. */
    uint64_t tags = fw_load_relaxed(&bucket->tags);
    FW_DEBUG_ASSERT((uint8_t)(tags >> slot * 8) == fw_table_tag(hash));
    /* [table-tags] release: the key is remembered as departed before it is missed. */
    fw_store_release(&bucket->tags, tags & ~(UINT64_C(0xff) << slot * 8));
    /* Relaxed: a reader that takes the entry all the same is inside its read section. */
    fw_store_relaxed(&bucket->entries[slot], NULL);
    if (FW_UNLIKELY(fw_table_home(fw_table_size(table), hash) != place / 8))
        fw_table_count_back(table, place / 8, hash);
}

#endif
