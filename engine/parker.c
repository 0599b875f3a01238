/* engine/parker.c - an eventcount in pieces: a bit per sleeper, a count of searchers, a futex per
 * thread.
 *
 * Going to sleep: state = ASLEEP, set the bit (seq_cst), heavy barrier, look at everything, futex.
 * Notifying: see a bit, see no searcher, become responsible for a search (0 -> 1), clear a bit,
 * move that thread's state ASLEEP -> AWAKE, wake it. Clearing the bit makes the notifier the only
 * one after this sleeper; moving the state decides between it and the sleeper's own cancel. Whoever
 * loses leaves: the thread is awake either way, and searching is counted once by the winner.
 *
 * A notifier that gets nobody takes its searching back and starts over, since a publisher may have
 * relied on it meanwhile.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/parker.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/barrier.h"
#include "engine/futex.h"

enum { FW_AWAKE = 0, FW_ASLEEP = 1 };

int fw_parker_init(fw_parker *parker, unsigned threads)
{
    FW_ASSERT(threads >= 1 && threads <= FW_THREADS_MAX);
    void *berths = NULL;
    if (posix_memalign(&berths, FW_APART, threads * sizeof(fw_berth)) != 0)
        return -FW_ENOMEM;
    memset(berths, 0, threads * sizeof(fw_berth));
    parker->berths = berths;
    parker->threads = threads;
    parker->words = (threads + 63) / 64;
    parker->searchers_max = threads > 1 ? threads / 2 : 1;
    for (unsigned i = 0; i < FW_PARK_WORDS; i++)
        /* Relaxed, all: whoever shares it publishes it. */
        fw_store_relaxed(&parker->asleep[i], 0);
    fw_store_relaxed(&parker->searching, 0);
    fw_store_relaxed(&parker->wakes, 0);
    return 0;
}

void fw_parker_fini(fw_parker *parker)
{
    free(parker->berths);
    parker->berths = NULL;
}

void fw_parker_search_begin(fw_parker *parker)
{
    /* [pool-search] seq_cst: publishers may rely on this thread from here on. */
    fw_add_seq_cst(&parker->searching, 1);
}

bool fw_parker_search_end(fw_parker *parker)
{
    /* [pool-search] seq_cst: before the look that follows; what was published before is seen there.
     */
    uint32_t before = fw_sub_seq_cst(&parker->searching, 1);
    FW_ASSERT(before > 0);
    return before == 1;
}

static inline uint64_t fw_parker_bit(unsigned thread)
{
    return (uint64_t)1 << (thread % 64);
}

void fw_parker_announce(fw_parker *parker, unsigned thread)
{
    FW_ASSERT(thread < parker->threads);
    /* Relaxed: the bit publishes it. */
    fw_store_relaxed(&parker->berths[thread].state, FW_ASLEEP);
    /* [pool-sleep] seq_cst: before the last look.
     * [parker-bit] release: the state. */
    fw_or_seq_cst(&parker->asleep[thread / 64], fw_parker_bit(thread));
    fw_barrier_heavy(); /* for those who publish in deques: see barrier-note */
}

/* The bit may be there still (cancelled, or woken at stop) or may have been cleared by a notifier.
 */
static void fw_parker_leave(fw_parker *parker, unsigned thread)
{
    /* [pool-sleep] seq_cst: one total order for the word. */
    fw_and_seq_cst(&parker->asleep[thread / 64], ~fw_parker_bit(thread));
}

void fw_parker_cancel(fw_parker *parker, unsigned thread)
{
    uint32_t expected = FW_ASLEEP;
    /* [parker-state] acquire: if a notifier was first, as in sleep. */
    if (fw_cas_acquire(&parker->berths[thread].state, &expected, FW_AWAKE))
        fw_parker_search_begin(parker);
    fw_parker_leave(parker, thread);
}

void fw_parker_sleep(fw_parker *parker, unsigned thread)
{
    fw_berth *berth = &parker->berths[thread];
    /* [parker-state] acquire: what the notifier published. */
    while (fw_load_acquire(&berth->state) == FW_ASLEEP)
        FW_FUTEX_WAIT(&berth->state, FW_ASLEEP);
    fw_parker_leave(parker, thread);
}

/* Moves a sleeper to awake and searching; false when it moved by itself. */
static bool fw_parker_claim(fw_berth *berth)
{
    uint32_t expected = FW_ASLEEP;
    /* [parker-state] release: what the notifier published. */
    return fw_cas_release(&berth->state, &expected, FW_AWAKE);
}

/* Claims and wakes the lowest-numbered sleeper; false when there is none. */
static bool fw_parker_wake_one(fw_parker *parker)
{
    for (unsigned i = 0; i < parker->words; i++) {
        /* Relaxed: the clearing below decides. */
        uint64_t word = fw_load_relaxed(&parker->asleep[i]);
        while (word != 0) {
            uint64_t bit = word & -word;
            /* [pool-sleep] seq_cst: one total order for the word.
             * [parker-bit] acquire: the sleeper's state. */
            word = fw_and_seq_cst(&parker->asleep[i], ~bit);
            fw_berth *berth = &parker->berths[i * 64 + (unsigned)__builtin_ctzll(bit)];
            if ((word & bit) != 0 && fw_parker_claim(berth)) {
                FW_FUTEX_WAKE(&berth->state);
                /* Relaxed: a figure. */
                fw_add_relaxed(&parker->wakes, 1);
                return true;
            }
            word &= ~bit;
        }
    }
    return false;
}

void fw_parker_wake(fw_parker *parker)
{
    while (fw_parker_is_wanted(parker)) {
        uint32_t none = 0;
        /* [pool-search] seq_cst: on behalf of the thread that is woken. */
        if (!fw_cas_seq_cst(&parker->searching, &none, 1) || fw_parker_wake_one(parker))
            return;
        fw_parker_search_end(parker);
    }
}

void fw_parker_notify_all(fw_parker *parker)
{
    for (unsigned i = 0; i < parker->threads; i++) {
        fw_berth *berth = &parker->berths[i];
        fw_parker_search_begin(parker); /* on its behalf */
        /* [pool-sleep] seq_cst: after the stop was published.
         * [parker-bit] acquire: the sleeper's state. */
        fw_and_seq_cst(&parker->asleep[i / 64], ~fw_parker_bit(i));
        if (fw_parker_claim(berth))
            FW_FUTEX_WAKE(&berth->state);
        else
            fw_parker_search_end(parker);
    }
}

unsigned fw_parker_sleepers(const fw_parker *parker)
{
    unsigned count = 0;
    for (unsigned i = 0; i < parker->words; i++)
        /* Relaxed: a figure. */
        count += (unsigned)__builtin_popcountll(fw_load_relaxed(&parker->asleep[i]));
    return count;
}

bool fw_parker_is_asleep(const fw_parker *parker, unsigned thread)
{
    FW_ASSERT(thread < parker->threads);
    /* Relaxed: a figure. */
    return (fw_load_relaxed(&parker->asleep[thread / 64]) & fw_parker_bit(thread)) != 0;
}
