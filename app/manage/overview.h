/* app/manage/overview.h - {"action": "stats"} at the management port: all counters of a control
 * plane in one answer, for `fastworker top` and `bench`.
 *
 * Figures are totals since the start or of this moment; whoever asks twice makes rates of them.
 * They need not belong to one moment. CPU time is of the program's threads by name, so that one
 * sees where time goes without a profiler. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_OVERVIEW_H
#define FW_APP_OVERVIEW_H

#include "app/life/lifecycle.h"
#include "base/json.h"

/* Of each level: what waits, here or for a subworker, and about how long the oldest has. Any
 * thread. */
typedef struct fw_queue_view {
    size_t depth;
    double oldest_s;
} fw_queue_view;
void fw_overview_queues(fw_engine *engine, fw_queue_view out[FW_LEVELS]);

/* Any thread. */
void fw_overview_answer(const fw_lifecycle *life, fw_buffer *out);

#endif
