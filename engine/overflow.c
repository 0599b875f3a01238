/* engine/overflow.c - a linked queue with a swap at its tail (after Vyukov's intrusive MPSC queue).
 *
 * A submitter links its nodes to a chain, swaps the chain's last node into `tail` and links the
 * former tail to the chain's first. Between the two steps the list has a gap: the taker stops
 * there. The list always keeps one node, so that a submitter has something to link to: the stub,
 * put back in whenever the last real node is wanted. SPDX-License-Identifier: Apache-2.0 */
#include "engine/overflow.h"

#include "base/assert.h"

void fw_overflow_init(fw_overflow *overflow)
{
    /* Relaxed, all: whoever shares it publishes it. */
    fw_store_relaxed(&overflow->stub.next, NULL);
    fw_store_relaxed(&overflow->tail, &overflow->stub);
    fw_store_relaxed(&overflow->taken, false);
    fw_store_relaxed(&overflow->count, 0);
    overflow->first = &overflow->stub;
}

static void fw_overflow_link(fw_overflow *overflow, fw_work_node *first, fw_work_node *last)
{
    /* Relaxed: the link below publishes it. */
    fw_store_relaxed(&last->next, NULL);
    /* [overflow-tail] acquire: the former tail's cleared link, which is overwritten next.
     * [overflow-tail] release: this one's cleared link. */
    fw_work_node *former = fw_swap_acq_rel(&overflow->tail, last);
    /* [overflow-link] release: the nodes and all that the submitter wrote before. */
    fw_store_release(&former->next, first);
}

void fw_overflow_push(fw_overflow *overflow, fw_work_node *const *nodes, size_t count)
{
    FW_ASSERT(count > 0);
    /* [pool-sleep] seq_cst: counted before the look for sleepers. */
    fw_add_seq_cst(&overflow->count, count);
    for (size_t i = 0; i + 1 < count; i++)
        /* Relaxed: the chain is published as a whole. */
        fw_store_relaxed(&nodes[i]->next, nodes[i + 1]);
    fw_overflow_link(overflow, nodes[0], nodes[count - 1]);
}

bool fw_overflow_try_begin(fw_overflow *overflow)
{
    /* Relaxed: only whether it is worth trying. */
    if (fw_load_relaxed(&overflow->taken))
        return false;
    bool expected = false;
    /* [overflow-taker] acquire: what the last taker did to `first`. */
    return fw_cas_acquire(&overflow->taken, &expected, true);
}

fw_work_node *fw_overflow_pop(fw_overflow *overflow)
{
    fw_work_node *first = overflow->first;
    /* [overflow-link] acquire: the next node and what its submitter wrote. */
    fw_work_node *next = fw_load_acquire(&first->next);
    if (first == &overflow->stub) {
        if (next == NULL)
            return NULL;
        overflow->first = first = next;
        /* [overflow-link] acquire: as above. */
        next = fw_load_acquire(&first->next);
    }
    if (next == NULL) {
        /* Relaxed: a former value is as good, it only says that a link is on its way. */
        if (fw_load_relaxed(&overflow->tail) != first)
            return NULL;
        fw_overflow_link(overflow, &overflow->stub, &overflow->stub);
        /* [overflow-link] acquire: as above; another submitter may have come before the stub. */
        next = fw_load_acquire(&first->next);
        if (next == NULL)
            return NULL;
    }
    overflow->first = next;
    return first;
}

void fw_overflow_end(fw_overflow *overflow, size_t moved)
{
    /* Relaxed: the taker is the only one that lowers it. */
    FW_ASSERT(moved <= fw_load_relaxed(&overflow->count));
    if (moved > 0)
        /* [overflow-count] release: they are in the ring.
         * [overflow-count] acquire: needed by nobody; there is no release-only subtraction. */
        fw_sub_acq_rel(&overflow->count, moved);
    /* [overflow-taker] release: `first`. */
    fw_store_release(&overflow->taken, false);
}
