/* engine/counters.c - rows of counters, one per thread slot.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/counters.h"

#include "engine/pages.h"
#include "fastworker/types.h"

static size_t table_bytes(const fw_counters *counters)
{
    return (FW_SLOTS + counters->reserved) * sizeof *counters->rows;
}

int fw_counters_init(fw_counters *counters, unsigned reserved)
{
    counters->reserved = reserved;
    counters->rows = fw_pages_map(table_bytes(counters));
    return counters->rows ? 0 : -FW_ENOMEM;
}

void fw_counters_fini(fw_counters *counters)
{
    fw_pages_unmap(counters->rows, table_bytes(counters));
    counters->rows = NULL;
}

static uint64_t sum_rows(const fw_counter_row *rows, unsigned count, fw_counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        /* [counters-sum] acquire: what happened before the count. */
        sum += fw_load_acquire(&rows[i].n[which]);
    }
    return sum;
}

uint64_t fw_counters_sum(const fw_counters *counters, fw_counter which)
{
    FW_ASSERT(which < FW_COUNTS);
    return sum_rows(counters->rows, fw_thread_slots_used(), which) +
           sum_rows(counters->rows + FW_SLOTS, counters->reserved, which);
}

/* Last counters first: a task is counted in the order of the list, so an end is seldom seen without
 * its beginning. */
void fw_counters_read(const fw_counters *counters, uint64_t sums[FW_COUNTS])
{
    for (unsigned which = FW_COUNTS; which-- > 0;)
        sums[which] = fw_counters_sum(counters, (fw_counter)which);
}
