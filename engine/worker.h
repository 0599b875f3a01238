/* engine/worker.h - one thread of the pool and its loop, and the pool as its threads see it.
 *
 * W1 between any two pieces the highest level that has work anywhere is chosen anew (policy
 * strict). W2 no piece waits while a thread sleeps: what is queued in a ring, an overflow or a
 * deque can be taken by every thread (except with FW_STEAL_OFF, where only rings are shared). W3
 * with one thread and no spawns the order within a level is first in, first out. Only for the
 * engine's lower half: worker.c, pool.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_WORKER_H
#define FW_ENGINE_WORKER_H

#include <pthread.h>

#include "engine/deque.h"
#include "engine/lanes.h"
#include "engine/parker.h"

/* Single writer, read by snapshots. */
typedef struct fw_worker_counters {
    fw_atomic(uint64_t) ran[FW_LEVELS];
    fw_atomic(uint64_t) stolen, spawned, parks, spins;
} fw_worker_counters;

struct fw_worker {
    /* Immutable after create. */
    fw_pool *pool;
    unsigned index;
    pthread_t thread;
    /* Owner only. */
    bool listed[FW_LEVELS];     /* counted in the signal word: its deque may be non-empty */
    unsigned misses[FW_LEVELS]; /* looks at an empty ring whose flag is up */
    uint64_t
        pulled_at[FW_LEVELS];    /* what had run of the level when its ring was last pulled from */
    unsigned credits[FW_LEVELS]; /* FW_POLICY_WEIGHTED: pieces left in this round */
    fw_prio level;               /* of the last piece */
    fw_deque *deque;             /* of that level */
    uint64_t above;       /* signal bits that forbid going on with the own deque of that level */
    bool due[FW_LEVELS];  /* the ring comes before the own deque, once */
    unsigned until_pause; /* pieces */
    uint64_t stretch;     /* pieces between two times without work, smoothed */
    uint64_t ran_before;  /* the last of these times */
    unsigned nested;      /* pieces that run inside fw_worker_spawn */
    unsigned victim;      /* where the last steal worked */
    fw_work batch[FW_BATCH_MAX];
    /* Written by the owner, read by all. */
    _Alignas(FW_APART) fw_worker_counters counters;
    /* The owner's and thieves'. */
    fw_deque deques[FW_LEVELS];
};

typedef enum fw_stop { FW_STOP_NO = 0, FW_STOP_DRAIN, FW_STOP_NOW } fw_stop;

struct fw_pool {
    /* Immutable after create. */
    fw_pool_config config;
    fw_worker *workers;
    unsigned created;       /* deques of workers that exist */
    unsigned started;       /* threads that were started */
    int64_t search_ns;      /* a search lasts at least that long ... */
    unsigned search_rounds; /* ... and at least so many looks */
    bool search_yields;     /* no core is left to spin on: let others run between two looks */
    /* Read by every thread, written once. */
    _Alignas(FW_APART) fw_atomic(int) stop; /* fw_stop */
    fw_parker parker;
    fw_lanes lanes;
};

/* 0 or -FW_ENOMEM. */
int fw_worker_init(fw_worker *worker, fw_pool *pool, unsigned index);
void fw_worker_fini(fw_worker *worker);
/* The thread's body; argument: the fw_worker. */
void *fw_worker_main(void *worker);

#endif
