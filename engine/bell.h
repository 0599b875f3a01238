/* engine/bell.h - the cancel flag of a call as a descriptor, for tasks that wait in poll.
 *
 * A timer of the kernel: it becomes readable at the deadline by itself, and at once when somebody
 * cancels, who sets it to a time long past. Most calls never ask for one, and cost nothing.
 *
 * Roles: the call's own threads make it, its task thread closes it at the end of the call, anybody
 * who cancels wakes it. C1 a wake after the cancel flag was set is not lost, whether the descriptor
 * is there before or after it; C2 nobody touches the descriptor after it was closed. Both by the
 * lock, which nobody holds for longer than a system call. A signal handler can take no lock: it
 * sets the flag and looks for the descriptor, who makes one publishes it and looks at the flag, so
 * one of them sees the other; of C2 it may break the half that is harmless, setting a timer of the
 * next call. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_BELL_H
#define FW_ENGINE_BELL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/atomic.h"

/* Zeroed memory is one without a descriptor; nothing to free. */
typedef struct fw_bell {
    pthread_mutex_t lock;
    fw_atomic(int) place; /* the descriptor + 1; 0: none. Written under the lock */
    /* Under the lock, while there is a descriptor. */
    int (*cancelled)(const void *context);
    const void *context;
} fw_bell;

/* The call's descriptor, made if there is none. deadline_ns 0: none; cancelled may be NULL. At
 * least 0, or -FW_EFULL. Any thread, during the call. */
int fw_bell_get(fw_bell *it, int64_t deadline_ns, int (*cancelled)(const void *context),
                const void *context);
/* Any thread. Nothing, unless the call is cancelled. */
void fw_bell_ring(fw_bell *it);
/* In a signal handler, after it has set the flag. */
void fw_bell_ring_in_signal(fw_bell *it);
void fw_bell_drop(fw_bell *it);
/* On the task thread, at the end of a call: one load in the usual case. */
static inline void fw_bell_close(fw_bell *it)
{
    /* Relaxed: whoever made one for this call did it before the call ended. */
    if (FW_UNLIKELY(fw_load_relaxed(&it->place) != 0))
        fw_bell_drop(it);
}

#endif
