/* app/life/run_counts.h - how often each task started and how it ended, counted where it happens.
 *
 * One row of counters per task thread, written by that thread alone, and one shared row for ends
 * that come from elsewhere (cancel, deadline, subworkers). Readers add the rows up; no lock. Names
 * from peers can be many: those beyond the last place share it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RUN_COUNTS_H
#define FW_APP_RUN_COUNTS_H

#include "base/atomic.h"
#include "fastworker/types.h"

typedef enum fw_run_count {
    FW_COUNT_STARTED = 0,
    FW_COUNT_SUCCESS,
    FW_COUNT_FAILURE,
    FW_COUNT_CANCELLED,
    FW_COUNT_TIMEOUT,
    FW_COUNT_EXPIRED,
    FW_COUNT_RUN_NS, /* sum of run times */
    FW_COUNT_KINDS
} fw_run_count;

typedef struct fw_run_counts fw_run_counts;

/* tasks: places, the last one shared by all further tasks. NULL: no memory. */
fw_run_counts *fw_run_counts_create(size_t tasks, unsigned threads);
void fw_run_counts_destroy(fw_run_counts *counts);
size_t fw_run_counts_places(const fw_run_counts *counts);
/* thread < threads: its own thread; thread == threads: anybody. */
void fw_run_counts_add(fw_run_counts *counts, size_t task, fw_prio level, fw_run_count kind,
                       uint64_t count, unsigned thread);
uint64_t fw_run_counts_read(const fw_run_counts *counts, size_t task, fw_prio level,
                            fw_run_count kind);

#endif
