/* engine/overflow.h - the unlimited queue behind a full ring: intrusive nodes, first in, first out.
 *
 * O1 nodes come out in the order in which each submitter put them in.
 * O2 count is raised before a node is in, and lowered after the taker has put it elsewhere: whoever
 *    reads 0 knows that all it put in before have moved on.
 * O3 putting in is wait-free; a submitter that is preempted half-way hides the nodes behind its
 * own. O4 one taker at a time (fw_overflow_try_begin); another thread that would like to take goes
 * away. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_OVERFLOW_H
#define FW_ENGINE_OVERFLOW_H

#include "engine/pool.h"

typedef struct fw_overflow {
    /* Shared by submitters. */
    _Alignas(FW_APART) fw_atomic(fw_work_node *) tail;
    /* The taker's. */
    _Alignas(FW_APART) fw_atomic(bool) taken; /* someone is the taker */
    fw_work_node *first;                      /* taker only: next to come out, or the stub */
    fw_work_node stub;
    /* Read by all, seldom written. */
    _Alignas(FW_APART) fw_atomic(size_t) count;
    _Alignas(FW_APART) char end[FW_APART];
} fw_overflow;

void fw_overflow_init(fw_overflow *overflow);

/* Any thread; wait-free. */
void fw_overflow_push(fw_overflow *overflow, fw_work_node *const *nodes, size_t count);
/* Any thread; one load. */
static inline size_t fw_overflow_count(const fw_overflow *overflow)
{
    /* [overflow-count] acquire: what was counted down is in the ring.
     * [pool-sleep] seq_cst: the sleeper's last look comes after its announcement. */
    return fw_load_seq_cst(&overflow->count);
}

/* Any thread: false when another thread takes. */
bool fw_overflow_try_begin(fw_overflow *overflow);
/* Taker. The next node, which then belongs to the caller, or NULL: none, or its link is not yet
 * written. */
fw_work_node *fw_overflow_pop(fw_overflow *overflow);
/* Taker: `moved` popped nodes are where they should be. */
void fw_overflow_end(fw_overflow *overflow, size_t moved);

#endif
