/* cache/table.c - the writer's side of a shard's hash table.
 *
 * Key invariant: between an entry's home bucket and the one it stands in, every bucket has counted
 * it as gone on; a tag is written after its entry and cleared before it. SPDX-License-Identifier:
 * Apache-2.0 */
#include "cache/table.h"

#include <stdlib.h>
#include <string.h>

enum { WENT_ON_SHIFT = 56, WENT_ON_MAX = 255 };

/* Loaded to two thirds, one bucket in twelve has sent an entry on; to four fifths, it would be
 * every other. */
static size_t room_of(uint32_t size)
{
    return (size_t)size * FW_BUCKET_PLACES * 2 / 3;
}

static uint32_t size_of_code(unsigned code)
{
    return fw_table_size((fw_table)code);
}

fw_table fw_table_create(size_t entries)
{
    /* The last code would be 7 * 2^29 buckets; places are numbered in 32 bits. */
    unsigned code = 0, last = 25 * 4;
    while (code < last && room_of(size_of_code(code)) < entries)
        code++;
    size_t bytes = size_of_code(code) * sizeof(fw_bucket);
    size_t whole = (bytes + FW_TABLE_ALIGN - 1) & ~(size_t)(FW_TABLE_ALIGN - 1);
    void *buckets = aligned_alloc(FW_TABLE_ALIGN, whole);
    if (!buckets)
        return 0;
    memset(buckets, 0, whole);
    FW_ASSERT(((uintptr_t)buckets & (FW_TABLE_ALIGN - 1)) == 0);
    return (fw_table)buckets | code;
}

void fw_table_destroy(fw_table table)
{
    /* Of no table, NULL. */
    free(fw_table_buckets(table));
}

size_t fw_table_bytes(fw_table table)
{
    return fw_table_size(table) * sizeof(fw_bucket);
}

size_t fw_table_room(fw_table table)
{
    return room_of(fw_table_size(table));
}

size_t fw_table_places(fw_table table)
{
    return (size_t)fw_table_size(table) * FW_BUCKET_PLACES;
}

static inline fw_bucket *bucket_at(fw_table table, uint32_t place)
{
    return &fw_table_buckets(table)[place / 8];
}

uint32_t fw_table_place_far(fw_table table, uint64_t hash, fw_key key)
{
    uint32_t size = fw_table_size(table), at = fw_table_home(size, hash);
    uint8_t tag = fw_table_tag(hash);
    for (uint32_t looked = 0; looked < size; looked++) {
        fw_bucket *bucket = &fw_table_buckets(table)[at];
        /* Relaxed, both: only the lock's holder writes. */
        uint64_t tags = fw_load_relaxed(&bucket->tags);
        for (uint64_t m = fw_table_matches(tags, tag); m; m &= m - 1) {
            uint32_t slot = (uint32_t)__builtin_ctzll(m) / 8;
            fw_entry *entry = fw_load_relaxed(&bucket->entries[slot]);
            if (entry && fw_key_equal(entry->key, key))
                return at * 8 + slot;
        }
        if (!fw_table_went_on(tags))
            break;
        at = at + 1 < size ? at + 1 : 0;
    }
    return FW_PLACE_NONE;
}

static void put_at(fw_bucket *bucket, uint64_t tags, uint32_t slot, uint8_t tag, fw_entry *entry)
{
    FW_DEBUG_ASSERT(!fw_load_relaxed(&bucket->entries[slot]));
    /* [table-entry] release: what the entry's creator wrote. */
    fw_store_release(&bucket->entries[slot], entry);
    /* [table-tags] release: the entry stands there. */
    fw_store_release(&bucket->tags, tags | (uint64_t)tag << (slot * 8));
}

uint32_t fw_table_insert_far(fw_table table, uint64_t hash, fw_entry *entry)
{
    uint32_t size = fw_table_size(table), at = fw_table_home(size, hash);
    for (uint32_t looked = 0; looked < size; looked++) {
        fw_bucket *bucket = &fw_table_buckets(table)[at];
        /* Relaxed: only the lock's holder writes. */
        uint64_t tags = fw_load_relaxed(&bucket->tags);
        uint64_t empty = fw_table_matches(tags, 0);
        if (FW_LIKELY(empty)) {
            uint32_t slot = (uint32_t)__builtin_ctzll(empty) / 8;
            put_at(bucket, tags, slot, fw_table_tag(hash), entry);
            return at * 8 + slot;
        }
        if (tags >> WENT_ON_SHIFT < WENT_ON_MAX)
            tags += UINT64_C(1) << WENT_ON_SHIFT;
        /* [table-tags] release: nothing new; a reader that sees the count goes on and finds the
         * entry there, or looked before it was published. */
        fw_store_release(&bucket->tags, tags);
        at = at + 1 < size ? at + 1 : 0;
    }
    fw_assert_failed(__FILE__, __LINE__, "a place is free");
}

void fw_table_replace(fw_table table, uint32_t place, fw_entry *entry)
{
    fw_bucket *bucket = bucket_at(table, place);
    FW_DEBUG_ASSERT(fw_key_equal(fw_load_relaxed(&bucket->entries[place % 8])->key, entry->key));
    /* [table-entry] release: what the entry's creator wrote. */
    fw_store_release(&bucket->entries[place % 8], entry);
}

/* An entry that stood beyond its home is gone. */
void fw_table_count_back(fw_table table, uint32_t to, uint64_t hash)
{
    uint32_t size = fw_table_size(table);
    for (uint32_t at = fw_table_home(size, hash); at != to; at = at + 1 < size ? at + 1 : 0) {
        fw_bucket *bucket = &fw_table_buckets(table)[at];
        /* Relaxed: only the lock's holder writes. */
        uint64_t tags = fw_load_relaxed(&bucket->tags);
        FW_ASSERT(fw_table_went_on(tags));
        if (tags >> WENT_ON_SHIFT < WENT_ON_MAX)
            /* [table-tags] release: the entry that had gone on has been removed. */
            fw_store_release(&bucket->tags, tags - (UINT64_C(1) << WENT_ON_SHIFT));
    }
}
