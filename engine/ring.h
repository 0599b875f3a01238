/* engine/ring.h - one level's queue: a bounded MPMC ring of 16-byte cells, claimed in batches.
 *
 * R1 first in, first out, in the order of claims.
 * R2 a piece is delivered exactly once.
 * R3 what the producer wrote before pushing a piece is visible to the thread that pops it.
 * R4 no thread waits for another: a producer that is preempted between claim and publication hides
 * the cells behind its own from consumers until it runs again, but stops no producer; a preempted
 * consumer stops nobody. R5 fw_ring_is_empty goes by claims: once false, it stays false until a
 * consumer took everything. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_RING_H
#define FW_ENGINE_RING_H

#include "base/assert.h"
#include "engine/pool.h"

enum { FW_LAP_BITS = 16 }; /* of the tag; fw_ring_lap returns as many */

typedef struct fw_cell {
    fw_atomic(uint64_t) tag; /* function << 16 | lap */
    fw_atomic(void *) argument;
} fw_cell;

typedef struct fw_ring_shape {
    fw_cell *cells;
    uint64_t mask;  /* size - 1 */
    unsigned shift; /* log2 of the size */
} fw_ring_shape;

typedef struct fw_ring {
    /* Immutable after init. */
    fw_ring_shape shape;
    /* Producers. */
    _Alignas(FW_APART) fw_atomic(uint64_t) enq;
    fw_atomic(uint64_t) deq_seen; /* some earlier value of deq, so that deq's line is seldom read */
    /* Consumers. */
    _Alignas(FW_APART) fw_atomic(uint64_t) deq;
    fw_atomic(uint64_t) enq_seen; /* some earlier value of enq, likewise */
    /* Nothing else shares the last line. */
    _Alignas(FW_APART) char end[FW_APART];
} fw_ring;

/* size: a power of two, 2 to 2^24. 0 or -FW_ENOMEM. */
int fw_ring_init(fw_ring *ring, size_t size);
void fw_ring_fini(fw_ring *ring);

/* Any thread; lock-free. Up to max pieces, by one claim; 0: empty, or the first piece is claimed
 * and not yet published. */
size_t fw_ring_pop(fw_ring *ring, fw_work *out, size_t max);

/* Pieces claimed by producers and not by consumers. Any thread; wait-free. */
size_t fw_ring_depth(const fw_ring *ring);
/* For consumers: as depth, but of pieces known from an earlier look as long as there are any, so
 * that producers are seldom disturbed. */
size_t fw_ring_known(fw_ring *ring);
static inline bool fw_ring_is_empty(const fw_ring *ring)
{
    return fw_ring_depth(ring) == 0;
}
/* Positions ever claimed, for ages: by producers, by consumers. */
uint64_t fw_ring_pushed(const fw_ring *ring);
uint64_t fw_ring_popped(const fw_ring *ring);

static inline uint16_t fw_ring_lap(fw_ring_shape shape, uint64_t position)
{
    return (uint16_t)(position >> shape.shift);
}

static inline void fw_ring_publish(fw_ring_shape shape, uint64_t position, fw_work work)
{
    uint64_t function = (uint64_t)(uintptr_t)work.run;
    FW_ASSERT(function != 0 && function >> 48 == 0);
    fw_cell *cell = &shape.cells[position & shape.mask];
    /* Relaxed: the tag publishes it. */
    fw_store_relaxed(&cell->argument, work.argument);
    /* [ring-cell] release: the argument, and all that the producer wrote before. */
    fw_store_release(&cell->tag, function << FW_LAP_BITS | fw_ring_lap(shape, position));
}

/* Any thread; lock-free. Takes a prefix, by one claim, and returns its length; 0: no room.
 * Functions must not be NULL. */
size_t fw_ring_push(fw_ring *ring, const fw_work *work, size_t count);

/* Any thread; lock-free. False: fw_ring_push has to look closer. */
static inline bool fw_ring_push_one(fw_ring *ring, fw_work work)
{
    const fw_ring_shape shape = ring->shape;
    /* Relaxed: the claim checks it. */
    uint64_t enq = fw_load_relaxed(&ring->enq);
    do {
        /* [ring-room] acquire: consumers are done with the cells below deq_seen. */
        if (FW_UNLIKELY((int64_t)(enq - fw_load_acquire(&ring->deq_seen)) > (int64_t)shape.mask))
            return false;
        /* [pool-sleep] seq_cst: the claim comes before the look for sleepers. */
    } while (FW_UNLIKELY(!fw_cas_seq_cst(&ring->enq, &enq, enq + 1)));
    fw_ring_publish(shape, enq, work);
    return true;
}

#ifdef FW_CHECK
/* At a quiet point only. */
bool fw_ring_is_valid(const fw_ring *ring);
#endif

#endif
