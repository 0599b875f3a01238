/* engine/thread_slot.h - a small number for each living thread: where its own rows in tables
 * are.
 *
 * S1 two living threads never have the same slot, except FW_SLOT_SHARED.
 * S2 what a thread wrote to its rows is visible to the thread that gets the slot after it.
 * A thread that ends gives its slot back. When all slots are taken, further threads share slot
 * 0, whose rows must be written by read-modify-write. Any thread; wait-free after the first
 * call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_THREAD_SLOT_H
#define FW_ENGINE_THREAD_SLOT_H

#include "base/assert.h"
#include "base/atomic.h"

enum { FW_SLOT_SHARED = 0, FW_SLOTS = 512 };

/* The slot plus one; 0: not claimed yet. Only fw_thread_slot reads it. */
extern _Thread_local unsigned fw_thread_slot_claimed __attribute__((tls_model("initial-exec")));

/* Claims a slot for this thread. */
unsigned fw_thread_slot_claim(void);
/* Slots below this number may have been used; never shrinks. */
unsigned fw_thread_slots_used(void);

static inline unsigned fw_thread_slot(void)
{
    unsigned claimed = fw_thread_slot_claimed;
    return FW_LIKELY(claimed != 0) ? claimed - 1 : fw_thread_slot_claim();
}

#endif
