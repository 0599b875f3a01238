/* app/life/run_counts.c - rows of counters. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/run_counts.h"

#include <stdlib.h>

#include "base/assert.h"

struct fw_run_counts {
    size_t tasks;
    unsigned threads;
    size_t row_bytes;
    char *memory; /* as it was allocated */
    char *rows;   /* threads + 1 rows, cache lines apart */
};

static fw_atomic(uint64_t) * cell(const fw_run_counts *counts, size_t task, fw_prio level,
                                  fw_run_count kind, unsigned thread)
{
    FW_ASSERT(thread <= counts->threads);
    if (FW_UNLIKELY(task >= counts->tasks))
        task = counts->tasks - 1;
    void *row = counts->rows + counts->row_bytes * thread;
    return (fw_atomic(uint64_t) *)row + (task * FW_LEVELS + level) * FW_COUNT_KINDS + kind;
}

fw_run_counts *fw_run_counts_create(size_t tasks, unsigned threads)
{
    fw_run_counts *counts = calloc(1, sizeof *counts);
    if (!counts)
        return NULL;
    size_t bytes = tasks * FW_LEVELS * FW_COUNT_KINDS * sizeof(uint64_t);
    counts->tasks = tasks;
    counts->threads = threads;
    counts->row_bytes = (bytes + FW_APART) / FW_APART * FW_APART;
    /* Zeroed by the system: what nobody counts in costs no memory. */
    counts->memory = calloc(1, counts->row_bytes * (threads + 1) + FW_APART);
    if (!counts->memory) {
        free(counts);
        return NULL;
    }
    counts->rows = counts->memory + FW_APART - (uintptr_t)counts->memory % FW_APART;
    return counts;
}

void fw_run_counts_destroy(fw_run_counts *counts)
{
    if (!counts)
        return;
    free(counts->memory);
    free(counts);
}

size_t fw_run_counts_places(const fw_run_counts *counts)
{
    return counts->tasks;
}

void fw_run_counts_add(fw_run_counts *counts, size_t task, fw_prio level, fw_run_count kind,
                       uint64_t count, unsigned thread)
{
    fw_atomic(uint64_t) *place = cell(counts, task, level, kind, thread);
    if (thread < counts->threads) {
        fw_count(place, count);
        return;
    }
    /* Relaxed: a count. */
    fw_add_relaxed(place, count);
}

uint64_t fw_run_counts_read(const fw_run_counts *counts, size_t task, fw_prio level,
                            fw_run_count kind)
{
    uint64_t sum = 0;
    for (unsigned thread = 0; thread <= counts->threads; thread++) {
        /* Relaxed: counts of different threads need not belong to one moment. */
        sum += fw_load_relaxed(cell(counts, task, level, kind, thread));
    }
    return sum;
}
