/* engine/memory.h - where tasks live: blocks by size, kept by thread, and a limit on all of
 * them.
 *
 * M1 a task has room for its payload, and its header is zero when it is handed out.
 * M2 no more than the limits is alive. An allocation may be refused a little early: each thread
 *    may keep up to two packs of free tasks of each size. A pack is at most 32 tasks and at
 *    most 1/1024 of either limit, or one task; so limits too small for packs are exact.
 * M3 a thread that allocates and one that frees meet once per pack, not once per task.
 * Tasks larger than the largest size are single heap blocks. Memory of one size is not given
 * back to the system, nor used for another.
 * Any thread; lock-free but for a thread beyond FW_SLOTS, which shares its row under a lock,
 * and for memory that comes from the system.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_MEMORY_H
#define FW_ENGINE_MEMORY_H

#include "base/slab.h"
#include "engine/engine.h"
#include "engine/quota.h"
#include "engine/thread_slot.h"

enum {
    FW_MEMORY_CLASSES = 15,
    FW_MEMORY_HEAP = 15,
    FW_MEMORY_SLAB_MAX = 4096,
    FW_MEMORY_STEP = 16
};

/* Free tasks of one thread: to be handed out, and come back (memory-note in memory.c). */
typedef struct fw_memory_row {
    _Alignas(FW_APART) fw_task *ready[FW_MEMORY_CLASSES];
    fw_task *back[FW_MEMORY_CLASSES];
    uint8_t back_count[FW_MEMORY_CLASSES];
} fw_memory_row;

typedef struct fw_memory_class {
    fw_slab *slab;
    size_t pack_bytes;
    unsigned pack;                                 /* tasks in a pack */
    _Alignas(FW_APART) fw_atomic(fw_task *) depot; /* packs that no thread keeps */
} fw_memory_class;

typedef struct fw_memory {
    /* Immutable after init. */
    uint8_t label; /* goes into the upper half of size_class */
    uint8_t class_of_steps[FW_MEMORY_SLAB_MAX / FW_MEMORY_STEP + 1]; /* the smallest that fits */
    fw_memory_row *rows; /* FW_SLOTS of them, touched when used */
    fw_memory_class classes[FW_MEMORY_CLASSES];
    fw_quota quota;
} fw_memory;

/* label: 0 to 15, for the owner to find itself (fw_memory_label). 0 or -FW_ENOMEM. */
int fw_memory_init(fw_memory *memory, unsigned label, size_t tasks_max, size_t bytes_max);
/* No task is alive. */
void fw_memory_fini(fw_memory *memory);
/* NULL: see fw_memory_refusal. */
fw_task *fw_memory_alloc(fw_memory *memory, size_t payload_bytes);
/* Why this thread's last allocation failed: -FW_EFULL or -FW_ENOMEM. */
int fw_memory_refusal(void);
/* A grace period after the task was last in use. */
static inline void fw_memory_free(fw_memory *memory, fw_task *task);
static inline unsigned fw_memory_label(const fw_task *task)
{
    return task->size_class >> 4;
}
size_t fw_memory_bytes(const fw_memory *memory);

/* --- The usual way of fw_memory_free --- */

/* The others: a heap block, or a thread without a row. */
void fw_memory_free_otherwise(fw_memory *memory, fw_task *task);
/* A row has a pack together, which begins with `first`. */
void fw_memory_send_pack(fw_memory *memory, fw_memory_row *row, unsigned number, fw_task *first);
/* Where AddressSanitizer watches: nobody may touch the payload. */
void fw_memory_hide(fw_task *task);

static inline void fw_memory_put(fw_memory *memory, fw_memory_row *row, unsigned number,
                                 fw_task *task)
{
    /* Relaxed: the list is its thread's own, and packs are published by the depot. */
    fw_store_relaxed(&task->node.next, (fw_work_node *)(void *)row->back[number]);
    row->back[number] = task;
    if (FW_UNLIKELY(++row->back_count[number] >= memory->classes[number].pack))
        fw_memory_send_pack(memory, row, number, task);
}

static inline void fw_memory_free(fw_memory *memory, fw_task *task)
{
    unsigned number = task->size_class & FW_MEMORY_HEAP;
    unsigned slot = fw_thread_slot();
    if (FW_UNLIKELY(slot == FW_SLOT_SHARED || number >= FW_MEMORY_CLASSES)) {
        fw_memory_free_otherwise(memory, task);
        return;
    }
#if defined(__SANITIZE_ADDRESS__)
    fw_memory_hide(task);
#endif
    fw_memory_put(memory, &memory->rows[slot], number, task);
}

#endif
