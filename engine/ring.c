/* engine/ring.c - a ring whose claims are 64-bit indices and whose cells say for themselves that
 * they are full.
 *
 * A position is an index that only grows; its cell is position mod size, its lap position div size.
 * The first position is `size`, so that laps start at 1 and a zeroed cell is empty.
 *
 * Producer: compare-and-swap `enq` over n positions, then fill the cells: argument, then the tag,
 * which holds the function and the lap. The tag's store publishes the cell; there is no other word
 * to write. Consumer: read full cells from `deq` on, copy them, then compare-and-swap `deq` over
 * them. Success proves that nobody took them meanwhile; the index never repeats, so there is no
 * ABA.
 *
 * overwrite-note: a producer fills a cell again only after it saw `deq` beyond the cell's last
 * position. A consumer whose copy is torn by such a refill read it after `deq` had moved, so its
 * own claim fails and the copy is dropped. Sixteen bits of lap are enough for the same reason: they
 * only have to tell a cell's last lap from its next one.
 *
 * Cost: one bus lock per batch on either side; four cells to a cache line; consumers write no cell.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

_Static_assert(sizeof(fw_cell) == 16, "four cells to a line");
_Static_assert(sizeof(void *) == 8, "a function's address fits 48 bits of the tag");

int fw_ring_init(fw_ring *ring, size_t size)
{
    FW_ASSERT(size >= 2 && size <= (size_t)1 << 24);
    FW_ASSERT((size & (size - 1)) == 0);
    void *cells = NULL;
    if (posix_memalign(&cells, FW_APART, size * sizeof(fw_cell)) != 0)
        return -FW_ENOMEM;
    memset(cells, 0, size * sizeof(fw_cell));
    ring->shape = (fw_ring_shape){cells, size - 1, (unsigned)__builtin_ctzll(size)};
    /* Relaxed: whoever shares the ring publishes it. */
    fw_store_relaxed(&ring->enq, size);
    fw_store_relaxed(&ring->deq_seen, size);
    fw_store_relaxed(&ring->deq, size);
    fw_store_relaxed(&ring->enq_seen, size);
    return 0;
}

void fw_ring_fini(fw_ring *ring)
{
    free(ring->shape.cells);
    ring->shape.cells = NULL;
}

/* How many of `count` positions from enq on are free; at least 0. An enq that is out of date may
 * give too many: the claim then fails. */
static size_t fw_ring_room(fw_ring *ring, uint64_t enq, size_t count)
{
    uint64_t size = ring->shape.mask + 1;
    /* [ring-room] acquire: consumers are done with the cells below deq_seen. */
    int64_t room = (int64_t)(size - (enq - fw_load_acquire(&ring->deq_seen)));
    if (FW_LIKELY(room >= (int64_t)count))
        return count;
    /* [ring-room] acquire: consumers are done with the cells below deq. */
    uint64_t deq = fw_load_acquire(&ring->deq);
    /* [ring-room] release: passes on what the line above acquired. */
    fw_store_release(&ring->deq_seen, deq);
    room = (int64_t)(size - (enq - deq));
    FW_ASSERT(room >= 0);
    return room < (int64_t)count ? (size_t)room : count;
}

size_t fw_ring_push(fw_ring *ring, const fw_work *work, size_t count)
{
    FW_ASSERT(count > 0);
    /* Relaxed: the claim checks it. */
    uint64_t enq = fw_load_relaxed(&ring->enq);
    size_t taken;
    do {
        taken = fw_ring_room(ring, enq, count);
        if (taken == 0)
            return 0;
        /* [pool-sleep] seq_cst: the claim comes before the look for sleepers. */
    } while (!fw_cas_seq_cst(&ring->enq, &enq, enq + taken));
    const fw_ring_shape shape = ring->shape;
    for (size_t i = 0; i < taken; i++)
        fw_ring_publish(shape, enq + i, work[i]);
    return taken;
}

/* Copies full cells from deq on. */
static inline size_t fw_ring_copy(fw_ring_shape shape, uint64_t deq, fw_work *out, size_t max)
{
    size_t n = 0;
    for (; n < max; n++) {
        fw_cell *cell = &shape.cells[(deq + n) & shape.mask];
        /* [ring-cell] acquire: the producer's writes before it published the cell. */
        uint64_t tag = fw_load_acquire(&cell->tag);
        if ((uint16_t)tag != fw_ring_lap(shape, deq + n))
            break;
        out[n].run = (fw_work_fn)(uintptr_t)(tag >> FW_LAP_BITS);
        /* Relaxed: see overwrite-note. */
        out[n].argument = fw_load_relaxed(&cell->argument);
    }
    return n;
}

size_t fw_ring_pop(fw_ring *ring, fw_work *out, size_t max)
{
    FW_ASSERT(max > 0 && max <= ring->shape.mask + 1);
    /* Relaxed: the claim checks it. */
    uint64_t deq = fw_load_relaxed(&ring->deq);
    for (;;) {
        size_t taken = fw_ring_copy(ring->shape, deq, out, max);
        if (taken == 0) {
            /* Relaxed: only whether it moved; then another thread got the cells. */
            uint64_t now = fw_load_relaxed(&ring->deq);
            if (now == deq)
                return 0;
            deq = now;
            continue;
        }
        /* [ring-room] release: this thread has read the cells. */
        if (fw_cas_release(&ring->deq, &deq, deq + taken))
            return taken;
    }
}

size_t fw_ring_depth(const fw_ring *ring)
{
    /* [ring-room] acquire: the claims of what consumers took are visible, so enq is not below deq.
     */
    uint64_t deq = fw_load_acquire(&ring->deq);
    /* [pool-sleep] seq_cst: the sleeper's last look comes after its announcement. */
    uint64_t enq = fw_load_seq_cst(&ring->enq);
    return (size_t)(enq - deq);
}

size_t fw_ring_known(fw_ring *ring)
{
    /* Relaxed, all: an estimate; pop looks at the cells themselves. */
    uint64_t deq = fw_load_relaxed(&ring->deq);
    int64_t known = (int64_t)(fw_load_relaxed(&ring->enq_seen) - deq);
    if (known > 0)
        return (size_t)known;
    uint64_t enq = fw_load_relaxed(&ring->enq);
    known = (int64_t)(enq - deq);
    if (known <= 0)
        return 0;
    fw_store_relaxed(&ring->enq_seen, enq);
    return (size_t)known;
}

uint64_t fw_ring_pushed(const fw_ring *ring)
{
    /* Relaxed: a figure. */
    return fw_load_relaxed(&ring->enq) - (ring->shape.mask + 1);
}

uint64_t fw_ring_popped(const fw_ring *ring)
{
    /* [ring-room] acquire: enq, read later, is not below it. */
    return fw_load_acquire(&ring->deq) - (ring->shape.mask + 1);
}

#ifdef FW_CHECK
bool fw_ring_is_valid(const fw_ring *ring)
{
    /* Relaxed throughout: nobody else uses the ring. */
    uint64_t enq = fw_load_relaxed(&ring->enq);
    uint64_t deq = fw_load_relaxed(&ring->deq);
    if (deq > enq || enq - deq > ring->shape.mask + 1 || fw_load_relaxed(&ring->deq_seen) > deq)
        return false;
    for (uint64_t position = deq; position != deq + ring->shape.mask + 1; position++) {
        uint64_t tag = fw_load_relaxed(&ring->shape.cells[position & ring->shape.mask].tag);
        bool full = (uint16_t)tag == fw_ring_lap(ring->shape, position);
        if (full != (position < enq))
            return false;
    }
    return true;
}
#endif
