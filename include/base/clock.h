/* base/clock.h - two clocks: one that only goes forward, one that people read.
 * Any thread; wait-free. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_CLOCK_H
#define FW_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FW_NS_PER_S  INT64_C(1000000000)
#define FW_NS_PER_MS INT64_C(1000000)
#define FW_NS_PER_US INT64_C(1000)

/* Nanoseconds since an arbitrary start, never backwards: for durations and due times. */
static inline int64_t fw_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * FW_NS_PER_S + t.tv_nsec;
}

/* Nanoseconds since 1970 UTC: for stamps that people see. */
static inline int64_t fw_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * FW_NS_PER_S + t.tv_nsec;
}

#endif
