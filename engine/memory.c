/* engine/memory.c - packs of free tasks that go round between threads.
 *
 * Tasks are allocated by the threads that receive them and freed by liburcu's. A thread hands
 * out from its `ready` list; when that is empty it takes a pack from the depot, or has one
 * carved from the slab. What is freed gathers in the thread's `back` list until it makes a
 * pack, which goes to the depot. The quota counts all that is not in the depot.
 * Key invariant: a free task is in one list of one row, or in one pack of the depot.
 *
 * memory-note: the depot is a stack whose packs are taken by compare and swap inside a read
 * section, and it needs no counter against ABA: a pack put into the depot consists of freed
 * tasks only (never of some that were taken and not used), and a task is freed a grace period
 * after it was last used. So what a taker saw at the top cannot have been taken, used and put
 * back before the taker leaves its section. (A task that was never shared goes through
 * fw_rcu_retire for that reason.)
 *
 * Links: node.next from task to task in a list, waiters from pack to pack; both atomic,
 * because a taker that comes too late may look at a task that somebody else has already.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "engine/pages.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

_Static_assert(offsetof(fw_task, payload) % 16 == 0, "payloads are aligned to 16 bytes");
_Static_assert(offsetof(fw_task, payload) <= 80, "the header is what every queued task costs");
_Static_assert(offsetof(fw_task, node) == 0 && offsetof(fw_task, waiters) == 8,
               "the links come first; the rest of the header is cleared as plain memory");

enum { LINE = 64, PACK_MAX = 32, PACKS_MIN = 1024 };

/* Small ones in steps of the alignment, since most tasks are small and a queue may hold millions of
 * them; neighbours may share a line, but the tasks of a pack mostly go through the same hands. */
static const uint16_t class_bytes[FW_MEMORY_CLASSES] = {128, 144, 160, 176,  192,  224,  256, 320,
                                                        448, 576, 768, 1024, 1536, 2560, 4096};

static _Thread_local int my_refusal __attribute__((tls_model("initial-exec"))) = -FW_EFULL;

static pthread_mutex_t shared_row_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t task_bytes(size_t payload_bytes)
{
    return offsetof(fw_task, payload) + payload_bytes;
}

static unsigned pack_of(size_t bytes, size_t tasks_max, size_t bytes_max)
{
    size_t pack = PACK_MAX;
    if (pack > tasks_max / PACKS_MIN)
        pack = tasks_max / PACKS_MIN;
    if (pack > bytes_max / PACKS_MIN / bytes)
        pack = bytes_max / PACKS_MIN / bytes;
    return pack > 0 ? (unsigned)pack : 1;
}

int fw_memory_init(fw_memory *memory, unsigned label, size_t tasks_max, size_t bytes_max)
{
    FW_ASSERT(label < 16);
    memset(memory, 0, sizeof *memory);
    memory->label = (uint8_t)(label << 4);
    for (size_t steps = 0, number = 0; steps * FW_MEMORY_STEP <= FW_MEMORY_SLAB_MAX; steps++) {
        number += steps * FW_MEMORY_STEP > class_bytes[number];
        memory->class_of_steps[steps] = (uint8_t)number;
    }
    fw_quota_init(&memory->quota, tasks_max, bytes_max);
    memory->rows = fw_pages_map(FW_SLOTS * sizeof *memory->rows);
    bool ok = memory->rows != NULL;
    for (unsigned i = 0; ok && i < FW_MEMORY_CLASSES; i++) {
        fw_memory_class *class = &memory->classes[i];
        class->pack = pack_of(class_bytes[i], tasks_max, bytes_max);
        class->pack_bytes = (size_t) class->pack * class_bytes[i];
        size_t align = class_bytes[i] % LINE == 0 ? LINE : FW_MEMORY_STEP;
        class->slab = fw_slab_create(class_bytes[i], align);
        ok = class->slab != NULL;
    }
    if (ok)
        return 0;
    fw_memory_fini(memory);
    return -FW_ENOMEM;
}

void fw_memory_fini(fw_memory *memory)
{
    for (unsigned i = 0; i < FW_MEMORY_CLASSES; i++) {
        fw_slab_destroy(memory->classes[i].slab);
        memory->classes[i].slab = NULL;
    }
    fw_pages_unmap(memory->rows, FW_SLOTS * sizeof *memory->rows);
    memory->rows = NULL;
}

static fw_task *follower(fw_task *task)
{
    /* Relaxed: lists are their thread's own; packs are published by the depot. */
    return (fw_task *)(void *)fw_load_relaxed(&task->node.next);
}

static void link_to(fw_task *task, fw_task *next)
{
    /* Relaxed: as above. */
    fw_store_relaxed(&task->node.next, (fw_work_node *)(void *)next);
}

/* A pack's first task; NULL: none is there. */
static fw_task *depot_pop(fw_memory_class *class)
{
    fw_rcu_read_lock();
    /* [memory-depot] acquire: the links of the pack on top. */
    fw_task *top = fw_load_acquire(&class->depot);
    /* Relaxed: right if the swap succeeds, see memory-note.
     * [memory-depot] acquire: as above, when the top has changed. */
    while (top && !fw_cas_acquire(&class->depot, &top, (fw_task *)fw_load_relaxed(&top->waiters)))
        continue;
    fw_rcu_read_unlock();
    return top;
}

static void depot_push(fw_memory_class *class, fw_task *first)
{
    /* Relaxed: the swap decides. */
    fw_task *top = fw_load_relaxed(&class->depot);
    do {
        fw_store_relaxed(&first->waiters, (void *)top);
        /* [memory-depot] release: the links, here and below. */
    } while (!fw_cas_release(&class->depot, &top, first));
}

/* A new pack from the slab. Less than a pack when memory ends; NULL: none at all. */
static fw_task *carve(fw_memory *memory, fw_memory_class *class)
{
    fw_task *first = NULL;
    unsigned missing = class->pack;
    for (; missing > 0; missing--) {
        fw_task *task = fw_slab_alloc(class->slab);
        if (!task)
            break;
        link_to(task, first);
        first = task;
    }
    if (missing > 0)
        fw_quota_give(&memory->quota, missing, class->pack_bytes / class->pack * missing);
    return first;
}

/* Fills a row's empty `ready` list. */
static fw_task *refill(fw_memory *memory, fw_memory_row *row, unsigned number)
{
    fw_memory_class *class = &memory->classes[number];
    fw_task *first = row->back[number];
    row->back[number] = NULL;
    row->back_count[number] = 0;
    if (first)
        return first;
    if (!fw_quota_take(&memory->quota, class->pack, class->pack_bytes)) {
        my_refusal = -FW_EFULL;
        return NULL;
    }
    first = depot_pop(class);
    if (!first)
        first = carve(memory, class);
    if (!first)
        my_refusal = -FW_ENOMEM;
    return first;
}

static inline fw_task *take(fw_memory *memory, fw_memory_row *row, unsigned number)
{
    fw_task *task = row->ready[number];
    if (FW_UNLIKELY(!task)) {
        task = refill(memory, row, number);
        if (!task)
            return NULL;
    }
    fw_task *next = follower(task);
    /* Freed long ago, so far away; it is asked for in a moment. There may be none: a prefetch of
     * any address is harmless, arithmetic on a null pointer is not defined. */
    __builtin_prefetch(next, 1);
    __builtin_prefetch((const void *)((uintptr_t)next + LINE), 1);
    row->ready[number] = next;
    return task;
}

void fw_memory_send_pack(fw_memory *memory, fw_memory_row *row, unsigned number, fw_task *first)
{
    fw_memory_class *class = &memory->classes[number];
    FW_ASSERT(row->back_count[number] == class->pack);
    row->back[number] = NULL;
    row->back_count[number] = 0;
    depot_push(class, first);
    fw_quota_give(&memory->quota, class->pack, class->pack_bytes);
}

static fw_task *take_shared(fw_memory *memory, unsigned number)
{
    pthread_mutex_lock(&shared_row_lock);
    fw_task *task = take(memory, &memory->rows[FW_SLOT_SHARED], number);
    pthread_mutex_unlock(&shared_row_lock);
    return task;
}

static fw_task *take_heap(fw_memory *memory, size_t bytes)
{
    if (!fw_quota_take(&memory->quota, 1, bytes)) {
        my_refusal = -FW_EFULL;
        return NULL;
    }
    fw_task *task = malloc(bytes);
    if (!task) {
        fw_quota_give(&memory->quota, 1, bytes);
        my_refusal = -FW_ENOMEM;
    }
    return task;
}

fw_task *fw_memory_alloc(fw_memory *memory, size_t payload_bytes)
{
    size_t bytes = task_bytes(payload_bytes);
    unsigned number = FW_MEMORY_HEAP;
    unsigned slot = fw_thread_slot();
    fw_task *task;
    if (FW_LIKELY(payload_bytes <= FW_MEMORY_SLAB_MAX - offsetof(fw_task, payload))) {
        number = memory->class_of_steps[(bytes + FW_MEMORY_STEP - 1) / FW_MEMORY_STEP];
        FW_DEBUG_ASSERT(class_bytes[number] >= bytes);
        task = FW_LIKELY(slot != FW_SLOT_SHARED) ? take(memory, &memory->rows[slot], number)
                                                 : take_shared(memory, number);
    } else if (payload_bytes <= UINT32_MAX) {
        task = take_heap(memory, bytes);
    } else {
        /* No limit is that large. */
        my_refusal = -FW_EFULL;
        return NULL;
    }
    if (FW_UNLIKELY(!task))
        return NULL;
    link_to(task, NULL);
    /* Relaxed: a depot's late taker may look at it, see memory-note. */
    fw_store_relaxed(&task->waiters, NULL);
    enum { PLAIN = offsetof(fw_task, waiters) + sizeof task->waiters };
    memset((char *)task + PLAIN, 0, offsetof(fw_task, payload) - PLAIN);
    task->payload_bytes = (uint32_t)payload_bytes;
    task->size_class = (uint8_t)(memory->label | number);
    UNPOISON(task->payload, payload_bytes);
    return task;
}

void fw_memory_hide(fw_task *task)
{
    unsigned number = task->size_class & FW_MEMORY_HEAP;
    POISON(task->payload, class_bytes[number] - offsetof(fw_task, payload));
}

void fw_memory_free_otherwise(fw_memory *memory, fw_task *task)
{
    unsigned number = task->size_class & FW_MEMORY_HEAP;
    if (number == FW_MEMORY_HEAP) {
        size_t bytes = task_bytes(task->payload_bytes);
        free(task);
        fw_quota_give(&memory->quota, 1, bytes);
        return;
    }
    FW_ASSERT(number < FW_MEMORY_CLASSES);
    fw_memory_hide(task);
    pthread_mutex_lock(&shared_row_lock);
    fw_memory_put(memory, &memory->rows[FW_SLOT_SHARED], number, task);
    pthread_mutex_unlock(&shared_row_lock);
}

int fw_memory_refusal(void)
{
    return my_refusal;
}

size_t fw_memory_bytes(const fw_memory *memory)
{
    return fw_quota_bytes(&memory->quota);
}
