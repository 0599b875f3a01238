/* engine/retire.h - ended tasks on their way to the end of a grace period, gathered by thread.
 *
 * A thread links the tasks that it retires through their queue nodes, which no queue needs any
 * more, and hands whole chains to liburcu. What is to be done with a task when its time has come
 * is kept in the low bits of the link that leads to it.
 * G1 a retired task expires once, after all readers of now are gone.
 * G2 a thread keeps back less than a chain; fw_retire_collect takes what threads kept, at the end.
 * Any thread; wait-free but once per chain.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_RETIRE_H
#define FW_ENGINE_RETIRE_H

#include "base/assert.h"
#include "engine/engine.h"
#include "engine/thread_slot.h"

enum {
    FW_RETIRE_CHAIN_MAX = 64,
    FW_RETIRE_PRIVATE = 4, /* never admitted; else the number of references that are given back */
    FW_RETIRE_CODE = 7 /* the bits of the link that hold one of these; tasks are aligned to 16 */
};

typedef struct fw_retire_row {
    _Alignas(FW_CACHE_LINE) fw_work_node *first; /* a link: task and code */
    unsigned count;
} fw_retire_row;

typedef struct fw_retire {
    /* Immutable after init. */
    void (*expire)(void *chain);
    unsigned chain_max, reserved;
    fw_retire_row *rows; /* FW_SLOTS and the reserved ones, touched when used */
} fw_retire;

/* chain_max: tasks in a chain. reserved: rows that the caller gives to threads itself. expire: is
 * called with a chain whose time has come, and passes it to fw_retire_walk. 0 or -FW_ENOMEM. */
int fw_retire_init(fw_retire *retire, unsigned chain_max, unsigned reserved,
                   void (*expire)(void *chain));
void fw_retire_fini(fw_retire *retire);
/* From this thread's own row. */
void fw_retire_add(fw_retire *retire, fw_task *task, unsigned code);
/* Hands over what the thread's own row holds. */
void fw_retire_flush(fw_retire *retire);
/* Expires at once what rows hold: nobody reads any more, and no other thread uses the rows. */
void fw_retire_collect(fw_retire *retire);

/* Calls expired for each task of a chain, which is no more afterwards. */
static inline void fw_retire_walk(void *chain, void (*expired)(fw_task *task, unsigned code))
{
    while (chain) {
        fw_task *task = (fw_task *)((uintptr_t)chain & ~(uintptr_t)FW_RETIRE_CODE);
        unsigned code = (unsigned)((uintptr_t)chain & FW_RETIRE_CODE);
        /* Relaxed: handed over with the chain. */
        chain = fw_load_relaxed(&task->node.next);
        __builtin_prefetch(chain, 1);
        expired(task, code);
    }
}

/* The same with a reserved row, whose thread is the caller. */
void fw_retire_row_flush(fw_retire *retire, fw_retire_row *row);
static inline void fw_retire_row_add(fw_retire *retire, fw_retire_row *row, fw_task *task,
                                     unsigned code)
{
    FW_DEBUG_ASSERT(code <= FW_RETIRE_PRIVATE && ((uintptr_t)task & FW_RETIRE_CODE) == 0);
    /* Relaxed: handed over with the chain. */
    fw_store_relaxed(&task->node.next, row->first);
    row->first = (fw_work_node *)((uintptr_t)task | code);
    if (FW_UNLIKELY(++row->count >= retire->chain_max))
        fw_retire_row_flush(retire, row);
}

#endif
