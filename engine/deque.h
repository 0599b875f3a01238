/* engine/deque.h - one thread's own work of one level: the owner pushes and pops at one end,
 * thieves take from the other.
 *
 * D1 a piece is delivered exactly once, to the owner or to one thief.
 * D2 the owner's order is last in, first out; thieves take the oldest.
 * D3 what the owner wrote before pushing a piece is visible to the thief that takes it.
 * D4 the owner never waits: push and pop are wait-free, without a bus lock or a fence.
 * D5 all of it can be stolen, all the time, except while another thief is at this deque.
 * D6 a thief that is preempted inside delays what it has reserved, at most half, and other thieves
 * of this deque; neither the owner nor any other queue.
 *
 * Fixed size: no memory is ever replaced, so none has to be reclaimed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_DEQUE_H
#define FW_ENGINE_DEQUE_H

#include "engine/barrier.h"
#include "engine/pool.h"

#ifndef FW_DEQUE_SIZE
#define FW_DEQUE_SIZE 4096 /* slots; the model shrinks it */
#endif

typedef struct fw_slot {
    fw_atomic(fw_work_fn) run;
    fw_atomic(void *) argument;
} fw_slot;

typedef struct fw_deque {
    /* Immutable after init. */
    fw_slot *slots;
    /* Owner only. */
    uint32_t top_seen; /* some earlier top: how far slots may be used again */
    /* Written by the owner, read by all. */
    fw_atomic(uint32_t) bottom;
    /* Written by thieves, read by all: top | limit << 32. */
    _Alignas(FW_APART) fw_atomic(uint64_t) head;
    _Alignas(FW_APART) char end[FW_APART];
} fw_deque;

/* 0 or -FW_ENOMEM. The slots' memory is touched when used. */
int fw_deque_init(fw_deque *deque);
void fw_deque_fini(fw_deque *deque);

/* A thief; lock-free among thieves as long as none is preempted inside. Takes the oldest pieces, at
 * most half and at most max, at least one if there is one; oldest first in out. 0: empty, or
 * another thief is inside. */
size_t fw_deque_steal(fw_deque *deque, fw_work *out, size_t max);

static inline uint32_t fw_deque_top(uint64_t head)
{
    return (uint32_t)head;
}

static inline uint32_t fw_deque_limit(uint64_t head)
{
    return (uint32_t)(head >> 32);
}

/* Pieces in it; exact for the owner when no thief is inside. Any thread; wait-free. */
static inline uint32_t fw_deque_size(const fw_deque *deque)
{
    /* [deque-taken] acquire: bottom is read after it, so it is not below top. */
    uint64_t head = fw_load_acquire(&deque->head);
    /* [deque-bottom] acquire: a look only; the slots are read after a reservation.
     * [pool-sleep] seq_cst: the sleeper's last look comes after its announcement. */
    int32_t size = (int32_t)(fw_load_seq_cst(&deque->bottom) - fw_deque_top(head));
    return size > 0 ? (uint32_t)size : 0;
}

/* Owner: false when `bottom` has no free slot. */
static inline bool fw_deque_has_room(fw_deque *deque, uint32_t bottom)
{
    if (FW_LIKELY(bottom - deque->top_seen < FW_DEQUE_SIZE))
        return true;
    /* [deque-taken] acquire: thieves have read the slots below top. */
    deque->top_seen = fw_deque_top(fw_load_acquire(&deque->head));
    return bottom - deque->top_seen < FW_DEQUE_SIZE;
}

static inline void fw_deque_fill(fw_slot *slots, uint32_t index, fw_work work)
{
    fw_slot *slot = &slots[index % FW_DEQUE_SIZE];
    /* Relaxed, both: bottom publishes them. */
    fw_store_relaxed(&slot->run, work.run);
    fw_store_relaxed(&slot->argument, work.argument);
}

/* Owner's store of bottom that comes before its next load, of head or of the sleepers: see
 * barrier-note. */
static inline void fw_deque_move_bottom(fw_deque *deque, uint32_t bottom)
{
    if (fw_barrier_is_light())
        /* [deque-bottom] release: the slots below it, and all the owner wrote before. */
        fw_store_release(&deque->bottom, bottom);
    else
        /* [deque-bottom] release: as above.
         * [deque-dekker] seq_cst: before the owner's next load. [pool-sleep] seq_cst: likewise. */
        fw_store_seq_cst(&deque->bottom, bottom);
    fw_fence_compiler();
}

/* Owner, before it relies on a searcher: what was pushed comes before the next load in every
 * thread's eyes. */
static inline void fw_deque_publish(fw_deque *deque)
{
    /* Relaxed load: the owner's own.
     * [deque-bottom] release: nothing new.
     * [pool-search] seq_cst: before the look for searchers. */
    fw_store_seq_cst(&deque->bottom, fw_load_relaxed(&deque->bottom));
}

/* Owner. False: full. */
static inline bool fw_deque_push(fw_deque *deque, fw_work work)
{
    /* Relaxed: the owner's own. */
    uint32_t bottom = fw_load_relaxed(&deque->bottom);
    if (FW_UNLIKELY(!fw_deque_has_room(deque, bottom)))
        return false;
    fw_deque_fill(deque->slots, bottom, work);
    fw_deque_move_bottom(deque, bottom + 1);
    return true;
}

/* Owner; pieces that it shall pop in the order given. There must be room. */
void fw_deque_push_run(fw_deque *deque, const fw_work *work, size_t count);

/* Owner. False: empty, or a thief has reserved the rest (then fw_deque_size is not 0). */
static inline bool fw_deque_pop(fw_deque *deque, fw_work *out)
{
    /* Relaxed: the owner's own. */
    uint32_t bottom = fw_load_relaxed(&deque->bottom) - 1;
    fw_deque_move_bottom(deque, bottom);
    /* [deque-dekker] seq_cst: after the store of bottom; a thief that reserves later sees that
     * bottom. */
    uint64_t head = fw_load_seq_cst(&deque->head);
    if (FW_UNLIKELY((int32_t)(bottom - fw_deque_limit(head)) < 0)) {
        /* [deque-bottom] release: nothing new; thieves that read it need what they needed before.
         */
        fw_store_release(&deque->bottom, bottom + 1);
        return false;
    }
    fw_slot *slot = &deque->slots[bottom % FW_DEQUE_SIZE];
    /* Relaxed, both: the owner wrote them. */
    out->run = fw_load_relaxed(&slot->run);
    out->argument = fw_load_relaxed(&slot->argument);
    return true;
}

#ifdef FW_CHECK
/* By the owner while no thief is inside. */
bool fw_deque_is_valid(const fw_deque *deque);
#endif

#endif
