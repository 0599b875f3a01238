/* engine/counters.c - rows of counters, one per thread slot.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/counters.h"

#include "engine/pages.h"
#include "fastworker/types.h"

int fw_counters_init(fw_counters *counters)
{
    counters->rows = fw_pages_map(FW_SLOTS * sizeof *counters->rows);
    return counters->rows ? 0 : -FW_ENOMEM;
}

void fw_counters_fini(fw_counters *counters)
{
    fw_pages_unmap(counters->rows, FW_SLOTS * sizeof *counters->rows);
    counters->rows = NULL;
}

uint64_t fw_counters_sum(const fw_counters *counters, fw_counter which)
{
    FW_ASSERT(which < FW_COUNTS);
    uint64_t sum = 0;
    unsigned used = fw_thread_slots_used();
    for (unsigned slot = 0; slot < used; slot++) {
        /* [counters-sum] acquire: what happened before the count. */
        sum += fw_load_acquire(&counters->rows[slot].n[which]);
    }
    return sum;
}

/* Last counters first: a task is counted in the order of the list, so an end is seldom seen without
 * its beginning. */
void fw_counters_read(const fw_counters *counters, uint64_t sums[FW_COUNTS])
{
    for (unsigned which = FW_COUNTS; which-- > 0;)
        sums[which] = fw_counters_sum(counters, (fw_counter)which);
}
