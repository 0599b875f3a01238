/* engine/parker.h - which threads sleep, which search, and who is woken when work appears.
 *
 * P1 no lost wake-up: when a thread sleeps for good, nothing was published after its last look.
 * P2 one at a time: while a thread searches nobody is woken; the searcher that ends the search by
 * finding work is told (fw_parker_search_end) and wakes the next if more waits. P3 a sleeper is
 * claimed before it is woken, so a wake-up under way costs later publishers two loads. P4 the
 * lowest-numbered sleeper is woken: the same few threads stay warm. P5 no thread waits for a
 * notifier: a claimed sleeper that cancels goes on by itself. The argument is parking-note in
 * engine/README.md. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_PARKER_H
#define FW_ENGINE_PARKER_H

#include "base/assert.h"
#include "engine/pool.h"

enum { FW_PARK_WORDS = FW_THREADS_MAX / 64 };

/* One thread's place to sleep. */
typedef struct fw_berth {
    _Alignas(FW_APART) fw_atomic(uint32_t) state; /* awake or asleep; also the futex */
} fw_berth;

typedef struct fw_parker {
    /* Immutable after init. */
    unsigned threads, words, searchers_max;
    fw_berth *berths; /* one per thread */
    /* Read by every publisher; written when a thread parks or wakes. */
    _Alignas(FW_APART) fw_atomic(uint64_t) asleep[FW_PARK_WORDS]; /* a bit per thread */
    /* Read by publishers while someone sleeps. */
    _Alignas(FW_APART) fw_atomic(uint32_t) searching;
    fw_atomic(uint64_t) wakes;
    _Alignas(FW_APART) char end[FW_APART];
} fw_parker;

/* 0 or -FW_ENOMEM. */
int fw_parker_init(fw_parker *parker, unsigned threads);
void fw_parker_fini(fw_parker *parker);

/* A thread of the pool, without work. */
void fw_parker_search_begin(fw_parker *parker);
/* True: it was the last searcher, and must call fw_parker_notify if it found work and more waits.
 */
bool fw_parker_search_end(fw_parker *parker);

/* Announces sleep. The caller, which no longer counts as searching, then looks once more at
 * everything, and calls exactly one of the next two. */
void fw_parker_announce(fw_parker *parker, unsigned thread);
/* There is something after all. */
void fw_parker_cancel(fw_parker *parker, unsigned thread);
/* Sleeps until notified. */
void fw_parker_sleep(fw_parker *parker, unsigned thread);
/* After both of them the thread counts as searching. */

/* At stop. */
void fw_parker_notify_all(fw_parker *parker);

/* Any thread: one load per 64 threads. */
static inline bool fw_parker_has_sleepers(const fw_parker *parker)
{
    /* [pool-sleep] seq_cst: after the publication. */
    uint64_t any = fw_load_seq_cst(&parker->asleep[0]);
    for (unsigned i = 1; FW_UNLIKELY(i < parker->words); i++)
        /* [pool-sleep] seq_cst: as above. */
        any |= fw_load_seq_cst(&parker->asleep[i]);
    return any != 0;
}
unsigned fw_parker_sleepers(const fw_parker *parker);
bool fw_parker_is_asleep(const fw_parker *parker, unsigned thread);
static inline unsigned fw_parker_searching(const fw_parker *parker)
{
    /* [pool-search] seq_cst: after the publication. */
    return fw_load_seq_cst(&parker->searching);
}

/* Any thread, after publishing by a seq_cst operation: somebody sleeps and nobody searches. */
static inline bool fw_parker_is_wanted(const fw_parker *parker)
{
    return fw_parker_has_sleepers(parker) && fw_parker_searching(parker) == 0;
}
/* Wakes a sleeper if that is so. */
void fw_parker_wake(fw_parker *parker);
static inline void fw_parker_notify(fw_parker *parker)
{
    if (FW_UNLIKELY(fw_parker_is_wanted(parker)))
        fw_parker_wake(parker);
}

#endif
