/* cache/entry.h - one finished result: a header, and behind it the texts, in one block.
 *
 * An entry is written by one thread, published through the table, and immutable from then on but
 * for its recency mark, until fw_entry_retire.
 *
 * Layout: header | stamps, if any is set | sizes, if any is set | id | name | result | error |
 * callback | request. The mark is the time of the last use, doubled, plus one if a reader set it
 * after a writer placed the entry in the order of use (cache/recency.h). SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_CACHE_ENTRY_H
#define FW_CACHE_ENTRY_H

#include "base/assert.h"
#include "base/atomic.h"
#include "cache/cache.h"

/* A second use within this time of a use that a reader has marked leaves the mark alone, so that a
 * key that everybody reads stays in every processor's cache. */
#define FW_MARK_GRAIN_NS (INT64_C(1) << 20)

enum { FW_MARK_USED = 1 };

typedef struct fw_entry {
    /* Immutable once published. */
    fw_key key;
    int64_t expires_ns; /* the last moment at which it is alive */
    /* Shared, atomic. */
    fw_atomic(uint64_t) mark;
    /* Immutable once published. */
    uint32_t node; /* the shard's: the writers' half of this entry */
    uint32_t result_bytes;
    uint16_t name_bytes;
    uint16_t attempt;
    uint8_t size_class;
    uint8_t status;
    uint8_t id_bytes;
    uint8_t level_and_parts; /* fw_prio and FW_ENTRY_... */
    char rest[];
} fw_entry;
_Static_assert(sizeof(fw_entry) == 48, "the header of an entry has grown");

/* What an entry of an item takes. */
typedef struct fw_entry_plan {
    size_t bytes; /* of the block, as the allocator counts; 0: a part is longer than an entry can
                     say */
    size_t plain;
    uint8_t parts, size_class;
} fw_entry_plan;
fw_entry_plan fw_entry_plan_of(const fw_cache_item *item);
/* A private entry with copies of all texts; `node` is the shard's to set. NULL: no memory. Any
 * thread. */
fw_entry *fw_entry_create(const fw_cache_item *item, const fw_entry_plan *plan, int64_t expires_ns,
                          int64_t now_ns);
/* Of the slab classes; a block from the heap has the class FW_ENTRY_LARGE. */
enum { FW_ENTRY_CLASSES = 37, FW_ENTRY_LARGE = 255 };
extern const uint16_t fw_entry_class_sizes[FW_ENTRY_CLASSES];
size_t fw_entry_large_bytes(const fw_entry *entry);
/* What the block of an entry takes, as in its plan. */
static inline size_t fw_entry_bytes(const fw_entry *entry)
{
    return FW_LIKELY(entry->size_class != FW_ENTRY_LARGE) ? fw_entry_class_sizes[entry->size_class]
                                                          : fw_entry_large_bytes(entry);
}
/* Points `out` into the entry. Wait-free. */
void fw_entry_read(const fw_entry *entry, fw_cache_item *out);
/* Frees an entry that no reader can see. Any thread. */
void fw_entry_free(fw_entry *entry);
/* Bytes of entries that were retired and are not freed, to about RETIRED_LUMP for each thread. */
size_t fw_entry_retired_bytes(void);
/* Frees an entry that has left the table, after the readers of now. Any thread. */
void fw_entry_retire(fw_entry *entry);

/* The number of slab classes and what the slab of one holds, for tests and figures. */
unsigned fw_entry_classes(void);
/* Bytes of the blocks in use in one class, about. */
size_t fw_entry_class_bytes(unsigned size_class);

static inline uint64_t fw_mark_of(int64_t now_ns)
{
    return (uint64_t)now_ns << 1;
}

static inline int64_t fw_mark_time(uint64_t mark)
{
    return (int64_t)(mark >> 1);
}

/* A reader's use of an entry. Wait-free. */
static inline void fw_entry_mark(fw_entry *entry, int64_t now_ns)
{
    /* Relaxed: a hint to writers; marks of two readers may come in either order. */
    uint64_t mark = fw_load_relaxed(&entry->mark);
    if ((mark & FW_MARK_USED) && now_ns - fw_mark_time(mark) < FW_MARK_GRAIN_NS)
        return;
    fw_store_relaxed(&entry->mark, fw_mark_of(now_ns) | FW_MARK_USED);
}

#endif
