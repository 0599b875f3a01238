/* cache/lock.h - the lock of one shard, for writers: one word, held for some hundred instructions.
 *
 * A waiter looks without writing, and gives its processor away when the holder seems to have lost
 * its own: there may be fewer processors than threads. Not fair; a shard is rarely waited for at
 * all. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_LOCK_H
#define FW_CACHE_LOCK_H

#include <sched.h>

#include "base/assert.h"
#include "base/atomic.h"

typedef struct fw_lock {
    fw_atomic(uint32_t) held;
} fw_lock;

/* As long as a usual hold lasts: about 2 microseconds. */
enum { FW_LOCK_LOOKS = 100 };

static inline void fw_lock_acquire(fw_lock *lock)
{
    /* [lock-hold] acquire: what the last holder did. */
    while (FW_UNLIKELY(fw_swap_acquire(&lock->held, 1))) {
        unsigned looks = 0;
        /* Relaxed: only a look; the exchange decides. */
        while (fw_load_relaxed(&lock->held)) {
            if (++looks < FW_LOCK_LOOKS)
                fw_cpu_relax();
            else
                sched_yield();
        }
    }
}

static inline void fw_lock_release(fw_lock *lock)
{
    /* [lock-hold] release: what this holder did. */
    fw_store_release(&lock->held, 0);
}

#endif
