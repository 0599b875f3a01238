/* engine/counters.h - what happened to tasks, counted where it happens, added up by who asks.
 *
 * Each thread has a row of its own (engine/thread_slot, or one that is reserved for it) and is
 * its only writer, so counting is a load, an add and a store on a line nobody else writes.
 * Readers sum the rows.
 * N1 each counter is exact and never falls; counters of one reading need not fit each other.
 * N2 what happened before a count is visible to a reader that saw the count.
 * Any thread; wait-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_COUNTERS_H
#define FW_ENGINE_COUNTERS_H

#include <stdint.h>

#include "engine/thread_slot.h"

typedef enum fw_counter {
    FW_COUNT_ADMITTED = 0,
    FW_COUNT_DUPLICATE, /* not admitted: the key was alive */
    FW_COUNT_WAITING,   /* became scheduled or retrying */
    FW_COUNT_WAITED,    /* left that: due, or ended */
    FW_COUNT_STARTED,   /* runs */
    FW_COUNT_RETRIED,   /* runs that another run follows */
    FW_COUNT_SUCCESS,   /* the three ends */
    FW_COUNT_FAILURE,
    FW_COUNT_CANCELLED,
    FW_COUNT_ENDED_UNRUN, /* ends, by whichever state, that no run led to */
    FW_COUNT_DEADLINE,    /* runs past their deadline */
    FW_COUNTS
} fw_counter;

typedef struct fw_counter_row {
    _Alignas(FW_APART) fw_atomic(uint64_t) n[FW_COUNTS];
} fw_counter_row;

typedef struct fw_counters {
    unsigned reserved;
    fw_counter_row *rows; /* FW_SLOTS and the reserved ones, touched when used */
} fw_counters;

/* reserved: rows that the caller gives to threads itself. 0 or -FW_ENOMEM. */
int fw_counters_init(fw_counters *counters, unsigned reserved);
void fw_counters_fini(fw_counters *counters);
/* Sums of all rows. */
void fw_counters_read(const fw_counters *counters, uint64_t sums[FW_COUNTS]);
uint64_t fw_counters_sum(const fw_counters *counters, fw_counter which);

/* A reserved row; one thread at a time writes to it. */
static inline fw_counter_row *fw_counters_row(fw_counters *counters, unsigned number)
{
    FW_DEBUG_ASSERT(number < counters->reserved);
    return &counters->rows[FW_SLOTS + number];
}

static inline void fw_counter_row_add(fw_counter_row *row, fw_counter which, uint64_t n)
{
    fw_atomic(uint64_t) *count = &row->n[which];
    /* The load is relaxed: this thread is the only writer.
     * [counters-sum] release: what was counted, to who adds up. */
    fw_store_release(count, fw_load_relaxed(count) + n);
}

static inline void fw_counters_add(fw_counters *counters, fw_counter which, uint64_t n)
{
    unsigned slot = fw_thread_slot();
    if (FW_LIKELY(slot != FW_SLOT_SHARED)) {
        fw_counter_row_add(&counters->rows[slot], which, n);
        return;
    }
    /* [counters-sum] release: what was counted, to who adds up. */
    fw_add_acq_rel(&counters->rows[slot].n[which], n);
}

#endif
