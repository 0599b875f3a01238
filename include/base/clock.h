/* base/clock.h - two clocks: one that only goes forward, one that people read.
 *
 * Both are the machine's, and as much ahead of it as somebody has moved them: in tests of tasks and
 * in `fastworker run`, where nobody waits for an hour that can be skipped. Whatever here says when
 * something is, says it by these; who gives a moment to the kernel or to another process asks
 * fw_machine_ns first. docs/decisions/0022-clock.md says why there is one for the whole process.
 * Any thread; wait-free. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_CLOCK_H
#define FW_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/atomic.h"

#define FW_NS_PER_S  INT64_C(1000000000)
#define FW_NS_PER_MS INT64_C(1000000)
#define FW_NS_PER_US INT64_C(1000)

/* How far both are ahead: 0, but where fw_clock_advance was called. Written nowhere else. */
extern fw_atomic(int64_t) fw_clock_ahead;

static inline int64_t fw_clock_ahead_ns(void)
{
    /* Relaxed: a number that stands alone, and whoever moves it wakes who waits. */
    return fw_load_relaxed(&fw_clock_ahead);
}

/* Moves both clocks forward at once, by 0 or more. Who sleeps until a time is not woken: see
 * fw_engine_clock_moved. */
void fw_clock_advance(int64_t ns);

/* Nanoseconds since an arbitrary start, never backwards: for durations and due times. */
static inline int64_t fw_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * FW_NS_PER_S + t.tv_nsec + fw_clock_ahead_ns();
}

/* Nanoseconds since 1970 UTC: for stamps that people see. */
static inline int64_t fw_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * FW_NS_PER_S + t.tv_nsec + fw_clock_ahead_ns();
}

/* A moment of one of these clocks as the machine's own clock of that kind has it. */
static inline int64_t fw_machine_ns(int64_t at_ns)
{
    return at_ns - fw_clock_ahead_ns();
}

#endif
