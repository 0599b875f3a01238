/* engine/stamp.h - one thread's reading of time: one clock call where two clocks are wanted.
 *
 * Reading a clock costs as much as queueing a task. A thread that runs tasks back to back takes
 * the end of one as the start of the next, and makes wall time from monotonic time by adding
 * their distance, which changes only when somebody sets the clock; it is measured again every
 * tenth of a second.
 * Owner only.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_STAMP_H
#define FW_ENGINE_STAMP_H

#include "base/assert.h"
#include "base/clock.h"

typedef struct fw_stamp {
    int64_t last_ns;    /* the last reading; 0: too old to be used */
    int64_t wall_after; /* wall time minus monotonic time */
    int64_t measure_at; /* when the distance is measured again */
} fw_stamp;

/* Measures the distance between the clocks as of now_ns. */
void fw_stamp_measure(fw_stamp *stamp, int64_t now_ns);

/* Reads the clock. */
static inline int64_t fw_stamp_now(fw_stamp *stamp)
{
    int64_t now_ns = fw_now_ns();
    if (FW_UNLIKELY(now_ns >= stamp->measure_at))
        fw_stamp_measure(stamp, now_ns);
    stamp->last_ns = now_ns;
    return now_ns;
}

/* The last reading if nothing but the engine's own steps came since, or a new one. */
static inline int64_t fw_stamp_next(fw_stamp *stamp)
{
    return FW_LIKELY(stamp->last_ns != 0) ? stamp->last_ns : fw_stamp_now(stamp);
}

/* The thread pauses: the last reading grows old. */
static inline void fw_stamp_forget(fw_stamp *stamp)
{
    stamp->last_ns = 0;
}

/* Wall time of a reading of this stamp. */
static inline int64_t fw_stamp_wall(const fw_stamp *stamp, int64_t now_ns)
{
    return now_ns + stamp->wall_after;
}

#endif
