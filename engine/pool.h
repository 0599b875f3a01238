/* engine/pool.h - threads that run work in priority order: the engine's lower half, and it knows no
 * tasks.
 *
 * A piece of work is a function and its argument. It enters through one bounded MPMC ring per level
 * (engine/lanes, engine/ring) or, from inside running work, through the running thread's own deque
 * of that level (engine/deque), from which idle threads steal. A thread looks for work by priority,
 * not by place: for each level, highest first: own deque, the level's ring and its overflow, the
 * others' deques. Nobody runs a lower level while a higher one has work anywhere. Threads without
 * work spin or park (engine/parker): no wake-up is lost, one is woken at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_POOL_H
#define FW_ENGINE_POOL_H

#include <stdbool.h>

#include "base/atomic.h"
#include "fastworker/types.h"

typedef struct fw_pool fw_pool;
typedef struct fw_worker fw_worker; /* one thread of the pool, seen from inside */

typedef void (*fw_work_fn)(fw_worker *worker, void *argument);
typedef struct fw_work {
    fw_work_fn run;
    void *argument;
} fw_work;

/* Embedded in objects that may wait in unlimited number: when a ring is full they queue in the
 * level's overflow list, in order, and move to the ring as room appears. */
typedef struct fw_work_node {
    fw_atomic(struct fw_work_node *) next;
} fw_work_node;

typedef enum fw_outcome { FW_OK = 0, FW_FULL, FW_EMPTY } fw_outcome;

typedef enum fw_spin { FW_SPIN_ADAPTIVE = 0, FW_SPIN_OFF, FW_SPIN_ROUNDS } fw_spin;
typedef enum fw_steal { FW_STEAL_HALF = 0, FW_STEAL_ONE, FW_STEAL_OFF } fw_steal;
typedef enum fw_affinity {
    FW_AFFINITY_NONE = 0,
    FW_AFFINITY_COMPACT,
    FW_AFFINITY_SPREAD,
    FW_AFFINITY_LIST
} fw_affinity;
typedef enum fw_policy { FW_POLICY_STRICT = 0, FW_POLICY_WEIGHTED, FW_POLICY_AGING } fw_policy;

enum { FW_THREADS_MAX = 256, FW_BATCH_MAX = 256 };

typedef struct fw_pool_config {
    unsigned threads;     /* 1..FW_THREADS_MAX */
    size_t ring_size;     /* slots per ring, a power of two, 4..2^24 */
    fw_spin spin;         /* adaptive: off when threads or CPUs leave no core to spin on */
    unsigned spin_rounds; /* for FW_SPIN_ROUNDS */
    fw_steal steal;
    unsigned batch; /* most pieces taken from a ring at once, 1..FW_BATCH_MAX */
    fw_affinity affinity;
    unsigned short
        affinity_cpus[FW_THREADS_MAX]; /* for FW_AFFINITY_LIST; thread i gets entry i % count */
    unsigned affinity_count;
    fw_policy policy;
    unsigned weights[FW_LEVELS]; /* for FW_POLICY_WEIGHTED, each 1..1000 */
    int64_t aging_ns; /* for FW_POLICY_AGING: one level up per this much waiting, but critical stays
                         first */
    size_t stack_bytes; /* 0: the system's default */

    void *context;
    void (*node_run)(fw_worker *worker,
                     fw_work_node *node); /* what a node means; may be NULL if none are used */
    void (*thread_start)(void *context, unsigned thread); /* on the thread; may be NULL */
    void (*thread_stop)(void *context, unsigned thread);
    /* On the thread: there is no work at hand, or `batch` pieces ran since the last call. What was
     * gathered (answers, retirements) goes out here. may be NULL. */
    void (*pause)(void *context, unsigned thread);
} fw_pool_config;

int fw_pool_create(fw_pool **out,
                   const fw_pool_config *config); /* starts the threads; 0 or -FW_E... */
/* Runs what is queued (drain) or drops it, ends the threads, frees. Not from a pool thread. */
void fw_pool_stop(fw_pool *pool, bool drain);
void fw_pool_destroy(fw_pool *pool);

/* Any thread. FW_FULL: the ring has no room, nothing was taken. */
fw_outcome fw_pool_submit(fw_pool *pool, fw_prio level, fw_work work);
/* Any thread. All or a prefix: returns how many were taken, in order. One claim, at most one
 * wake-up more than needed. */
size_t fw_pool_submit_many(fw_pool *pool, fw_prio level, const fw_work *work, size_t count);
/* Any thread. Never full: what the ring cannot take waits in the overflow. Order is kept per
 * submitting thread. */
void fw_pool_submit_nodes(fw_pool *pool, fw_prio level, fw_work_node *const *nodes, size_t count);

/* Takes up to max nodes that wait in the level's lane out again, oldest first; what is not a node
 * goes back to the lane's end. 0: none, or somebody is half-way. Any thread. */
size_t fw_pool_take_back(fw_pool *pool, fw_prio level, fw_work_node **nodes, size_t max);
/* Whether anything waits in the level's lane. Any thread. */
bool fw_pool_has_waiting(const fw_pool *pool, fw_prio level);

/* From inside running work only. Never full: runs the work at once when the deque is. */
void fw_worker_spawn(fw_worker *worker, fw_prio level, fw_work work);
unsigned fw_worker_index(const fw_worker *worker);
fw_pool *fw_worker_pool(fw_worker *worker);

/* Exact per thread, monotonic; summed without a lock. */
typedef struct fw_pool_stats {
    unsigned threads, parked, searching;
    uint64_t ran[FW_LEVELS], stolen, spawned, parks, spins, wakes;
    uint64_t ring_full[FW_LEVELS]; /* pushes that found no room */
    size_t ring_depth[FW_LEVELS], overflow_depth[FW_LEVELS], ring_size;
    int64_t oldest_ns[FW_LEVELS]; /* about how long the head has waited; needs fw_pool_tick */
} fw_pool_stats;
void fw_pool_snapshot(fw_pool *pool, fw_pool_stats *out);
typedef struct fw_thread_stats {
    uint64_t ran, stolen, spawned, parks, spins;
    bool parked;
} fw_thread_stats;
/* thread < threads. */
void fw_pool_thread_snapshot(fw_pool *pool, unsigned thread, fw_thread_stats *out);
/* One caller, about every 10 to 100 ms: ages the levels. Time is an argument. */
void fw_pool_tick(fw_pool *pool, int64_t now_ns);

#endif
