/* cache/tally.h - counters of readers: each thread has a seat, and counts there alone.
 *
 * A counter that all readers share would cost each look-up a line of another processor. There are
 * FW_TALLY_SEATS - 1 seats of one thread each, given back when the thread ends, and a last one that
 * further threads share. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_TALLY_H
#define FW_CACHE_TALLY_H

#include "base/assert.h"
#include "base/atomic.h"

enum { FW_TALLY_SEATS = 64, FW_TALLY_SHARED = FW_TALLY_SEATS - 1 };

typedef enum fw_tallied { FW_TALLY_HITS, FW_TALLY_MISSES, FW_TALLY_EXPIRED, FW_TALLIES } fw_tallied;

typedef struct fw_tally {
    _Alignas(FW_APART) fw_atomic(uint64_t) counts[FW_TALLIES];
} fw_tally;

/* Owner only; seat + 1, 0 before the first use. */
extern _Thread_local unsigned fw_tally_my_seat;

/* Takes a seat for this thread. Lock-free. */
unsigned fw_tally_sit(void);

/* tally: FW_TALLY_SEATS of them. Any thread; wait-free but for a thread's first call. */
static inline void fw_tally_count(fw_tally *tally, fw_tallied what)
{
    unsigned seat = FW_LIKELY(fw_tally_my_seat) ? fw_tally_my_seat - 1 : fw_tally_sit();
    if (FW_LIKELY(seat != FW_TALLY_SHARED))
        fw_count(&tally[seat].counts[what], 1);
    else
        /* Relaxed: a figure. */
        fw_add_relaxed(&tally[seat].counts[what], 1);
}

uint64_t fw_tally_sum(fw_tally *tally, fw_tallied what);

#endif
