/* engine/thread_slot.c - a bitmap of slots; a thread's exit gives its bit back.
 *
 * Claiming and giving back happen once in a thread's life, so plain scanning is good enough.
 * Lock-free.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/thread_slot.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { WORD_BITS = 64, WORDS = FW_SLOTS / WORD_BITS };
_Static_assert(FW_SLOTS % WORD_BITS == 0, "whole words");

_Thread_local unsigned fw_thread_slot_claimed;

/* Bit set: taken. Slot 0 is nobody's own. */
static fw_atomic(uint64_t) taken[WORDS] = {1};
static fw_atomic(unsigned) used = 1;
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void thread_exit(void *unused)
{
    (void)unused;
    unsigned slot = fw_thread_slot_claimed - 1;
    FW_ASSERT(slot != FW_SLOT_SHARED && slot < FW_SLOTS);
    fw_thread_slot_claimed = 0;
    uint64_t bit = UINT64_C(1) << slot % WORD_BITS;
    /* Relaxed: a first guess for the compare and swap. */
    uint64_t word = fw_load_relaxed(&taken[slot / WORD_BITS]);
    bool given;
    do {
        FW_ASSERT(word & bit);
        /* [slot-owner] release: this thread's rows, to the slot's next thread. */
        given = fw_cas_release(&taken[slot / WORD_BITS], &word, word & ~bit);
    } while (!given);
}

static void make_exit_key(void)
{
    FW_ASSERT(pthread_key_create(&exit_key, thread_exit) == 0);
}

/* The lowest free slot, taken; FW_SLOT_SHARED when there is none. */
static unsigned take_slot(void)
{
    for (unsigned i = 0; i < WORDS; i++) {
        /* Relaxed: a first guess for the compare and swap. */
        uint64_t word = fw_load_relaxed(&taken[i]);
        while (~word != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(~word);
            /* [slot-owner] acquire: the rows as the slot's last thread left them. */
            if (fw_cas_acquire(&taken[i], &word, word | UINT64_C(1) << bit))
                return i * WORD_BITS + bit;
        }
    }
    return FW_SLOT_SHARED;
}

unsigned fw_thread_slot_claim(void)
{
    FW_ASSERT(fw_thread_slot_claimed == 0);
    pthread_once(&exit_once, make_exit_key);
    unsigned slot = take_slot();
    fw_thread_slot_claimed = slot + 1;
    if (slot == FW_SLOT_SHARED)
        return slot;
    /* Any value but NULL makes the exit function run. */
    FW_ASSERT(pthread_setspecific(exit_key, &fw_thread_slot_claimed) == 0);
    /* Relaxed: a bound for readers who add up rows; a row that appears late is read next time. */
    unsigned bound = fw_load_relaxed(&used);
    while (bound <= slot && !fw_cas_relaxed(&used, &bound, slot + 1))
        continue;
    return slot;
}

unsigned fw_thread_slots_used(void)
{
    /* Relaxed: see fw_thread_slot_claim. */
    return fw_load_relaxed(&used);
}
