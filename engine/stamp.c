/* engine/stamp.c - measuring the distance between the two clocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/stamp.h"

#define MEASURE_EVERY_NS (100 * FW_NS_PER_MS)
#define APART_MAX_NS     (2 * FW_NS_PER_US)
enum { TRIES = 4 };

/* The thread may be preempted between two readings: then it tries again, and takes the best at
 * last. */
void fw_stamp_measure(fw_stamp *stamp, int64_t now_ns)
{
    int64_t best_apart = INT64_MAX;
    for (unsigned i = 0; i < TRIES && best_apart > APART_MAX_NS; i++) {
        int64_t before_ns = fw_now_ns();
        int64_t wall_ns = fw_wall_ns();
        int64_t apart = fw_now_ns() - before_ns;
        if (apart >= best_apart)
            continue;
        best_apart = apart;
        stamp->wall_after = wall_ns - before_ns;
    }
    stamp->measure_at = now_ns + MEASURE_EVERY_NS;
}
