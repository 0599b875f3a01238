/* cache/entry.c - blocks of entries and what stands in them.
 *
 * Small blocks come from slabs in steps of an eighth or less, so that the wasted part is small;
 * larger ones from the heap. The slabs belong to the process, as the heap does: a block is
 * reclaimed by liburcu's thread, at a time when its cache may be gone. A slab is made when its size
 * is first asked for. SPDX-License-Identifier: Apache-2.0 */
#include "cache/entry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"
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

enum {
    CLASSES = FW_ENTRY_CLASSES,
    SMALLEST = 64,
    LARGEST = 2048,
    FROM_HEAP = FW_ENTRY_LARGE,
    HEAP_HEAD = 8, /* of a heap block, as glibc keeps it */
    HEAP_STEP = 16
};

/* Steps of 16 bytes to 256, 32 to 512, 64 to 1024, 128 to 2048. */
const uint16_t fw_entry_class_sizes[FW_ENTRY_CLASSES] = {
    64,  80,  96,   112,  128,  144,  160,  176,  192,  208,  224,  240, 256,
    288, 320, 352,  384,  416,  448,  480,  512,  576,  640,  704,  768, 832,
    896, 960, 1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048,
};

static fw_atomic(fw_slab *) slabs[CLASSES];

static inline unsigned class_of(size_t bytes)
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

static inline size_t class_bytes(unsigned size_class)
{
    FW_DEBUG_ASSERT(size_class < CLASSES);
    return fw_entry_class_sizes[size_class];
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

/* Each thread adds up, and sends a lump now and then. */
enum { RETIRED_LUMP = 16 * 1024 };
static fw_atomic(int64_t) retired_bytes;
static _Thread_local int64_t my_retired;

static inline void count_retired(int64_t bytes)
{
    my_retired += bytes;
    if (FW_LIKELY(my_retired < RETIRED_LUMP && my_retired > -RETIRED_LUMP))
        return;
    /* Relaxed: a figure that bounds. */
    fw_add_relaxed(&retired_bytes, my_retired);
    my_retired = 0;
}

size_t fw_entry_retired_bytes(void)
{
    /* Relaxed: a figure that bounds. */
    int64_t bytes = fw_load_relaxed(&retired_bytes);
    return bytes > 0 ? (size_t)bytes : 0;
}

/* ahead-note: a block that comes from a slab was given back by liburcu's thread some milliseconds
 * ago, and its lines are in nobody's near cache. So each thread takes the block for its next entry
 * of a class when it fills this one, and starts loading it. */
enum { LINES_AHEAD = 4 };
static _Thread_local char *ahead[CLASSES];
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void give_back_ahead(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < CLASSES; i++) {
        if (ahead[i])
            fw_slab_free(slab_of(i), ahead[i]);
        ahead[i] = NULL;
    }
    /* Relaxed: a figure that bounds. */
    fw_add_relaxed(&retired_bytes, my_retired);
    my_retired = 0;
}

static void make_exit_key(void)
{
    FW_ASSERT(pthread_key_create(&exit_key, give_back_ahead) == 0);
}

static void *first_block(fw_slab *slab)
{
    pthread_once(&exit_once, make_exit_key);
    /* Any value but NULL makes the exit function run. */
    FW_ASSERT(pthread_setspecific(exit_key, ahead) == 0);
    return fw_slab_alloc(slab);
}

/* => NULL: no memory. */
static inline void *take_block(unsigned size_class)
{
    fw_slab *slab = slab_of(size_class);
    if (FW_UNLIKELY(!slab))
        return NULL;
    char *block = ahead[size_class], *next = fw_slab_alloc(slab);
    ahead[size_class] = next;
    /* NULL does no harm. */
    for (unsigned i = 0; i < LINES_AHEAD; i++)
        __builtin_prefetch((const void *)((uintptr_t)next + i * FW_CACHE_LINE), 1);
    return FW_LIKELY(block) ? block : first_block(slab);
}

static size_t heap_bytes(size_t plain)
{
    return (plain + HEAP_HEAD + HEAP_STEP - 1) / HEAP_STEP * HEAP_STEP;
}

fw_entry_plan fw_entry_plan_of(const fw_cache_item *item)
{
    /* One look at all lengths: a part that is too long shows in the high half. */
    size_t rare = item->error.len | item->callback.len | item->request.len;
    if (FW_UNLIKELY(item->id.len > FW_ID_MAX || item->name.len > UINT16_MAX ||
                    (item->result.len | rare) > UINT32_MAX))
        return (fw_entry_plan){.bytes = 0};
    fw_entry_plan plan = {.parts = item->level & LEVEL_MASK};
    plan.plain = sizeof(fw_entry) + item->id.len + item->name.len + item->result.len;
    if ((item->created_wall_ns | item->started_wall_ns | item->finished_wall_ns) != 0) {
        plan.parts |= FW_ENTRY_STAMPS;
        plan.plain += sizeof(entry_stamps);
    }
    if (rare) {
        plan.parts |= FW_ENTRY_SIZES;
        plan.plain +=
            sizeof(entry_sizes) + item->error.len + item->callback.len + item->request.len;
    }
    if (item->error.ptr)
        plan.parts |= FW_ENTRY_ERROR;
    if (FW_LIKELY(plan.plain <= LARGEST)) {
        plan.size_class = (uint8_t)class_of(plan.plain);
        plan.bytes = class_bytes(plan.size_class);
    } else {
        plan.size_class = FROM_HEAP;
        plan.bytes = heap_bytes(plan.plain);
    }
    return plan;
}

static inline char *append(char *at, fw_span text)
{
    if (text.len == 0)
        return at;
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static inline void fill(char *at, const fw_cache_item *item, unsigned parts)
{
    if (parts & FW_ENTRY_STAMPS) {
        entry_stamps stamps = {item->created_wall_ns, item->started_wall_ns,
                               item->finished_wall_ns};
        memcpy(at, &stamps, sizeof stamps);
        at += sizeof stamps;
    }
    if (parts & FW_ENTRY_SIZES) {
        entry_sizes sizes = {(uint32_t)item->error.len, (uint32_t)item->callback.len,
                             (uint32_t)item->request.len};
        memcpy(at, &sizes, sizeof sizes);
        at += sizeof sizes;
    }
    at = append(append(append(at, item->id), item->name), item->result);
    if (parts & FW_ENTRY_SIZES)
        append(append(append(at, item->error), item->callback), item->request);
}

fw_entry *fw_entry_create(const fw_cache_item *item, const fw_entry_plan *plan, int64_t expires_ns,
                          int64_t now_ns)
{
    FW_ASSERT(item->status < FW_UNKNOWN && item->level < FW_LEVELS);
    FW_DEBUG_ASSERT(plan->bytes >= plan->plain);
    fw_entry *entry = FW_LIKELY(plan->size_class != FROM_HEAP) ? take_block(plan->size_class)
                                                               : malloc(plan->plain);
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
    entry->size_class = plan->size_class;
    entry->status = (uint8_t)item->status;
    entry->id_bytes = (uint8_t)item->id.len;
    entry->level_and_parts = plan->parts;
    fill(entry->rest, item, plan->parts);
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

size_t fw_entry_large_bytes(const fw_entry *entry)
{
    fw_cache_item item;
    fw_entry_read(entry, &item);
    return heap_bytes((size_t)(item.request.ptr + item.request.len - (const char *)entry));
}

void fw_entry_free(fw_entry *entry)
{
    FW_ASSERT(entry->size_class < CLASSES || entry->size_class == FROM_HEAP);
    if (entry->size_class == FROM_HEAP)
        free(entry);
    else
        fw_slab_free(slab_of(entry->size_class), entry);
}

/* retire-note: a retired entry's address carries its size class in the top byte, which is 0 in all
 * addresses of a process, so that liburcu's thread gives blocks back without touching them: each
 * touch would pull a line out of the cache of the thread that will use it next. */
enum { CLASS_SHIFT = 56 };

static void reclaim_block(void *object)
{
    uintptr_t word = (uintptr_t)object;
    unsigned size_class = (unsigned)(word >> CLASS_SHIFT) - 1;
    FW_ASSERT(size_class < CLASSES);
    count_retired(-(int64_t)class_bytes(size_class));
    fw_slab_free(slab_of(size_class), (void *)(word & ~((uintptr_t)0xff << CLASS_SHIFT)));
}

static void reclaim_large(void *object)
{
    count_retired(-(int64_t)fw_entry_bytes(object));
    free(object);
}

void fw_entry_retire(fw_entry *entry)
{
    size_t bytes = fw_entry_bytes(entry);
    count_retired((int64_t)bytes);
    if (FW_UNLIKELY(entry->size_class == FROM_HEAP)) {
        fw_rcu_retire(entry, reclaim_large);
        /* Large ones are not left to be gathered until there are enough. */
        if (bytes >= RETIRED_LUMP)
            fw_rcu_flush();
        return;
    }
    uintptr_t word = (uintptr_t)entry;
    FW_DEBUG_ASSERT(word >> CLASS_SHIFT == 0);
    fw_rcu_retire((void *)(word | (uintptr_t)(entry->size_class + 1) << CLASS_SHIFT),
                  reclaim_block);
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
