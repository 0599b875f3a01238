/* engine/deque.c - the thief's side of the deque.
 *
 * Indices grow and wrap at 32 bits; [top, bottom) is filled. A thief takes in three steps:
 *   reserve  compare-and-swap head from {top, top} to {top, top + n}: limit is now above top, and
 * that keeps other thieves out and the owner away from [top, limit); confirm  heavy barrier, then
 * read bottom. The owner pops by lowering bottom first and reading head after it: it saw the
 * reservation and left the piece, or the thief now sees the lower bottom (barrier-note in
 * barrier.h). What is below both limit and bottom is the thief's; release  copy it, then store head
 * {top + m, top + m}, m <= n. The owner needs no compare-and-swap, not even for the last piece:
 * whoever comes second yields.
 *
 * One barrier pays for half a deque. With the usual Chase-Lev deque each stolen piece needs its
 * own, and a barrier costs as much as many small pieces (docs/decisions/0002-deque.md).
 *
 * Wrap: an equal head after 2^32 steals is no danger, since n is only a wish: what is taken is
 * settled by the bottom that is read after the reservation. SPDX-License-Identifier: Apache-2.0 */
#include "engine/deque.h"

#include <stdlib.h>

#include "base/assert.h"

_Static_assert((FW_DEQUE_SIZE & (FW_DEQUE_SIZE - 1)) == 0,
               "indices wrap at a multiple of the size");

static inline uint64_t fw_deque_head(uint32_t top, uint32_t limit)
{
    return (uint64_t)limit << 32 | top;
}

int fw_deque_init(fw_deque *deque)
{
    /* Large blocks come from mmap: pages are not there before they are used. */
    void *slots = NULL;
    if (posix_memalign(&slots, FW_APART, FW_DEQUE_SIZE * sizeof(fw_slot)) != 0)
        return -FW_ENOMEM;
    deque->slots = slots;
    deque->top_seen = 0;
    /* Relaxed: whoever shares the deque publishes it. */
    fw_store_relaxed(&deque->bottom, 0);
    fw_store_relaxed(&deque->head, 0);
    return 0;
}

void fw_deque_fini(fw_deque *deque)
{
    free(deque->slots);
    deque->slots = NULL;
}

void fw_deque_push_run(fw_deque *deque, const fw_work *work, size_t count)
{
    /* Relaxed: the owner's own. */
    uint32_t bottom = fw_load_relaxed(&deque->bottom);
    FW_ASSERT(count <= FW_DEQUE_SIZE);
    if (bottom + count - deque->top_seen > FW_DEQUE_SIZE)
        /* [deque-taken] acquire: thieves have read the slots below top. */
        deque->top_seen = fw_deque_top(fw_load_acquire(&deque->head));
    FW_ASSERT(bottom + (uint32_t)count - deque->top_seen <= FW_DEQUE_SIZE);
    fw_slot *slots = deque->slots;
    for (size_t i = 0; i < count; i++)
        fw_deque_fill(slots, bottom + (uint32_t)i, work[count - 1 - i]);
    fw_deque_move_bottom(deque, bottom + (uint32_t)count);
}

size_t fw_deque_steal(fw_deque *deque, fw_work *out, size_t max)
{
    FW_ASSERT(max > 0);
    /* [deque-taken] acquire: with the owner's bottom of that time. */
    uint64_t head = fw_load_acquire(&deque->head);
    uint32_t top = fw_deque_top(head);
    if (fw_deque_limit(head) != top)
        return 0;
    /* Relaxed: an estimate of how much to reserve. */
    int32_t size = (int32_t)(fw_load_relaxed(&deque->bottom) - top);
    if (size <= 0)
        return 0;
    uint32_t want = ((uint32_t)size + 1) / 2;
    if (want > max)
        want = (uint32_t)max;
    /* [deque-dekker] seq_cst: the reservation, before the load of bottom. */
    if (!fw_cas_seq_cst(&deque->head, &head, fw_deque_head(top, top + want)))
        return 0;
    fw_barrier_heavy();
    /* [deque-dekker] seq_cst: after the reservation.
     * [deque-bottom] acquire: the slots below it and what the owner wrote before. */
    size = (int32_t)(fw_load_seq_cst(&deque->bottom) - top);
    uint32_t taken = size <= 0 ? 0 : (uint32_t)size < want ? (uint32_t)size : want;
    for (uint32_t i = 0; i < taken; i++) {
        fw_slot *slot = &deque->slots[(top + i) % FW_DEQUE_SIZE];
        /* Relaxed, both: bottom was acquired. */
        out[i].run = fw_load_relaxed(&slot->run);
        out[i].argument = fw_load_relaxed(&slot->argument);
    }
    /* [deque-taken] release: this thief has read the slots below top. */
    fw_store_release(&deque->head, fw_deque_head(top + taken, top + taken));
    return taken;
}

#ifdef FW_CHECK
bool fw_deque_is_valid(const fw_deque *deque)
{
    /* Relaxed throughout: the caller owns it and no thief is inside. */
    uint64_t head = fw_load_relaxed(&deque->head);
    uint32_t size = fw_load_relaxed(&deque->bottom) - fw_deque_top(head);
    return fw_deque_top(head) == fw_deque_limit(head) && size <= FW_DEQUE_SIZE &&
           (int32_t)(fw_deque_top(head) - deque->top_seen) >= 0;
}
#endif
