/* engine/barrier.h - a store-load barrier whose price is paid by the rare side.
 *
 * Two threads that each write a word and then read the other's (Dekker) need a full barrier on both
 * sides. Here one side runs for every piece of work and the other only when a thread steals or
 * falls asleep, so the rare side pays for both: membarrier(2) makes every running thread of the
 * process pass a full barrier. The frequent side then only keeps the compiler from reordering.
 *
 * barrier-note: for a frequent side "store A; light; load B" and a rare side "write B; heavy; load
 * A", the heavy barrier falls either before the load of B or after it. After: the load sees the
 * write of B. Before or between: the store of A is program-ordered before the load, so it is
 * visible to the load of A or the load of B comes later and sees B. The two cannot miss each other.
 *
 * Without membarrier (old kernels, ThreadSanitizer, the explorer) `light` is false and the frequent
 * side uses a seq_cst store instead: then all four operations are seq_cst and the same holds.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_BARRIER_H
#define FW_ENGINE_BARRIER_H

#include <stdbool.h>

#include "base/assert.h"
#include "base/atomic.h"

#if defined(__SANITIZE_THREAD__)
#define FW_BARRIER_SYMMETRIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FW_BARRIER_SYMMETRIC 1
#endif
#endif

extern fw_atomic(bool) fw_barrier_registered;

/* Asks the kernel once per process; any thread, before the threads that use the barrier start. */
void fw_barrier_register(void);

/* True when the frequent side may use a plain store. */
static inline bool fw_barrier_is_light(void)
{
#ifdef FW_BARRIER_SYMMETRIC
    return false;
#else
    /* Relaxed: it is set before the threads start. */
    return FW_LIKELY(fw_load_relaxed(&fw_barrier_registered));
#endif
}

/* The rare side's half. About 0.2 us alone, 4 us while other threads run, and those pay 2 us. */
void fw_barrier_heavy(void);

#endif
