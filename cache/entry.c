/* cache/entry.c - blocks of entries and what stands in them.
 *
 * Small blocks come from slabs in steps of an eighth or less, so that the wasted part is small;
 * larger ones from the heap. The slabs belong to the process, as the heap does: a block is
 * reclaimed by liburcu's thread, at a time when its cache may be gone. A slab is made when its size
 * is first asked for. SPDX-License-Identifier: Apache-2.0 */
#include "cache/entry.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slab.h"

enum {
    LEVEL_MASK = 3,
    FW_ENTRY_STAMPS = 4, /* an entry_stamps follows the header */
    FW_ENTRY_SIZES = 8,  /* an entry_sizes follows that */
    FW_ENTRY_ERROR = 16  /* there is an error text, if only an empty one */
};

typedef struct entry_stamps {
    int64_t created_wall_ns, started_wall_ns, finished_wall_ns;
} entry_stamps;

typedef struct entry_sizes {
    uint32_t error_bytes, callback_bytes, request_bytes;
} entry_sizes;

/* Steps of 16 bytes to 256, 32 to 512, 64 to 1024, 128 to 2048. */
enum {
    CLASSES = 13 + 8 + 8 + 8,
    SMALLEST = 64,
    LARGEST = 2048,
    FROM_HEAP = 255,
    HEAP_HEAD = 8, /* of a heap block, as glibc keeps it */
    HEAP_STEP = 16
};

static fw_atomic(fw_slab *) slabs[CLASSES];

static unsigned class_of(size_t bytes)
{
    FW_DEBUG_ASSERT(bytes <= LARGEST);
    if (bytes <= 256)
        return bytes <= SMALLEST ? 0 : (unsigned)((bytes - SMALLEST + 15) / 16);
    if (bytes <= 512)
        return 13 + (unsigned)((bytes - 257) / 32);
    if (bytes <= 1024)
        return 21 + (unsigned)((bytes - 513) / 64);
    return 29 + (unsigned)((bytes - 1025) / 128);
}

static size_t class_bytes(unsigned size_class)
{
    FW_DEBUG_ASSERT(size_class < CLASSES);
    if (size_class < 13)
        return SMALLEST + size_class * 16;
    if (size_class < 21)
        return 288 + (size_class - 13) * 32;
    if (size_class < 29)
        return 576 + (size_class - 21) * 64;
    return 1152 + (size_class - 29) * 128;
}

/* Two threads may both make the slab of a class; one of them is kept. */
static fw_slab *new_slab(unsigned size_class)
{
    fw_slab *made = fw_slab_create(class_bytes(size_class), HEAP_STEP);
    if (!made)
        return NULL;
    fw_slab *there = NULL;
    /* [entry-slab] release: the slab is set up. */
    if (fw_cas_release(&slabs[size_class], &there, made))
        return made;
    fw_slab_destroy(made);
    /* [entry-slab] acquire: the other thread's slab is set up. */
    return fw_load_acquire(&slabs[size_class]);
}

static inline fw_slab *slab_of(unsigned size_class)
{
    /* [entry-slab] acquire: the slab is set up. */
    fw_slab *slab = fw_load_acquire(&slabs[size_class]);
    return FW_LIKELY(slab) ? slab : new_slab(size_class);
}

static inline bool has_stamps(const fw_cache_item *item)
{
    return (item->created_wall_ns | item->started_wall_ns | item->finished_wall_ns) != 0;
}

static inline bool has_sizes(const fw_cache_item *item)
{
    return (item->error.len | item->callback.len | item->request.len) != 0;
}

static inline size_t plain_bytes(const fw_cache_item *item)
{
    return sizeof(fw_entry) + (has_stamps(item) ? sizeof(entry_stamps) : 0) +
           (has_sizes(item) ? sizeof(entry_sizes) : 0) + item->id.len + item->name.len +
           item->result.len + item->error.len + item->callback.len + item->request.len;
}

static inline size_t block_bytes(size_t plain)
{
    if (FW_LIKELY(plain <= LARGEST))
        return class_bytes(class_of(plain));
    return (plain + HEAP_HEAD + HEAP_STEP - 1) / HEAP_STEP * HEAP_STEP;
}

size_t fw_entry_bytes(const fw_cache_item *item)
{
    if (item->id.len > FW_ID_MAX || item->name.len > UINT16_MAX || item->result.len > UINT32_MAX ||
        item->error.len > UINT32_MAX || item->callback.len > UINT32_MAX ||
        item->request.len > UINT32_MAX)
        return 0;
    return block_bytes(plain_bytes(item));
}

static inline char *append(char *at, fw_span text)
{
    if (text.len == 0)
        return at;
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static void fill(fw_entry *entry, const fw_cache_item *item)
{
    unsigned parts = item->level & LEVEL_MASK;
    char *at = entry->rest;
    if (has_stamps(item)) {
        entry_stamps stamps = {item->created_wall_ns, item->started_wall_ns,
                               item->finished_wall_ns};
        parts |= FW_ENTRY_STAMPS;
        memcpy(at, &stamps, sizeof stamps);
        at += sizeof stamps;
    }
    if (has_sizes(item)) {
        entry_sizes sizes = {(uint32_t)item->error.len, (uint32_t)item->callback.len,
                             (uint32_t)item->request.len};
        parts |= FW_ENTRY_SIZES;
        memcpy(at, &sizes, sizeof sizes);
        at += sizeof sizes;
    }
    if (item->error.ptr)
        parts |= FW_ENTRY_ERROR;
    entry->level_and_parts = (uint8_t)parts;
    at = append(append(append(at, item->id), item->name), item->result);
    if (parts & FW_ENTRY_SIZES)
        append(append(append(at, item->error), item->callback), item->request);
}

fw_entry *fw_entry_create(const fw_cache_item *item, int64_t expires_ns, int64_t now_ns)
{
    FW_ASSERT(item->status < FW_UNKNOWN);
    FW_ASSERT(item->level < FW_LEVELS);
    size_t plain = plain_bytes(item);
    unsigned size_class = plain <= LARGEST ? class_of(plain) : FROM_HEAP;
    fw_entry *entry;
    if (FW_LIKELY(size_class != FROM_HEAP)) {
        fw_slab *slab = slab_of(size_class);
        entry = slab ? fw_slab_alloc(slab) : NULL;
    } else {
        entry = malloc(plain);
    }
    if (FW_UNLIKELY(!entry))
        return NULL;
    entry->key = item->key;
    entry->expires_ns = expires_ns;
    /* Relaxed: private until the table publishes it. */
    fw_store_relaxed(&entry->mark, fw_mark_of(now_ns));
    entry->node = 0;
    entry->result_bytes = (uint32_t)item->result.len;
    entry->name_bytes = (uint16_t)item->name.len;
    entry->attempt = item->attempt;
    entry->size_class = (uint8_t)size_class;
    entry->status = (uint8_t)item->status;
    entry->id_bytes = (uint8_t)item->id.len;
    fill(entry, item);
    return entry;
}

void fw_entry_read(const fw_entry *entry, fw_cache_item *out)
{
    unsigned parts = entry->level_and_parts;
    const char *at = entry->rest;
    entry_stamps stamps = {0, 0, 0};
    entry_sizes sizes = {0, 0, 0};
    FW_DEBUG_ASSERT(entry->status < FW_UNKNOWN);
    if (parts & FW_ENTRY_STAMPS) {
        memcpy(&stamps, at, sizeof stamps);
        at += sizeof stamps;
    }
    if (parts & FW_ENTRY_SIZES) {
        memcpy(&sizes, at, sizeof sizes);
        at += sizeof sizes;
    }
    out->key = entry->key;
    out->status = (fw_state)entry->status;
    out->level = parts & LEVEL_MASK;
    out->attempt = entry->attempt;
    out->created_wall_ns = stamps.created_wall_ns;
    out->started_wall_ns = stamps.started_wall_ns;
    out->finished_wall_ns = stamps.finished_wall_ns;
    out->id = (fw_span){at, entry->id_bytes};
    at += entry->id_bytes;
    out->name = (fw_span){at, entry->name_bytes};
    at += entry->name_bytes;
    out->result = (fw_span){at, entry->result_bytes};
    at += entry->result_bytes;
    out->error = (fw_span){parts & FW_ENTRY_ERROR ? at : NULL, sizes.error_bytes};
    at += sizes.error_bytes;
    out->callback = (fw_span){at, sizes.callback_bytes};
    out->request = (fw_span){at + sizes.callback_bytes, sizes.request_bytes};
}

void fw_entry_reclaim(void *object)
{
    fw_entry *entry = object;
    FW_ASSERT(entry->size_class < CLASSES || entry->size_class == FROM_HEAP);
    if (entry->size_class == FROM_HEAP)
        free(entry);
    else
        fw_slab_free(slab_of(entry->size_class), entry);
}

unsigned fw_entry_classes(void)
{
    return CLASSES;
}

size_t fw_entry_class_bytes(unsigned size_class)
{
    FW_ASSERT(size_class < CLASSES);
    /* [entry-slab] acquire: the slab is set up. */
    fw_slab *slab = fw_load_acquire(&slabs[size_class]);
    if (!slab)
        return 0;
    fw_slab_stats stats;
    fw_slab_snapshot(slab, &stats);
    return (size_t)stats.used_blocks * stats.block_bytes;
}
