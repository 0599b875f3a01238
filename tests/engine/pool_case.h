/* tests/engine/pool_case.h - what the tests of the pool share: small pools, pieces that count,
 * pieces that leave a trace, and a gate that holds a thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_ENGINE_POOL_CASE_H
#define FW_TESTS_ENGINE_POOL_CASE_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "engine/pool.h"

static inline fw_pool_config config_of(unsigned threads)
{
    return (fw_pool_config){.threads = threads, .ring_size = 256, .batch = 32};
}

static inline fw_pool *pool_of(const fw_pool_config *config)
{
    fw_pool *pool = NULL;
    assert_int_equal(fw_pool_create(&pool, config), 0);
    return pool;
}

static inline size_t stress_count(size_t small)
{
    const char *seconds = getenv("FW_STRESS_SECONDS");
    return seconds != NULL ? small * strtoul(seconds, NULL, 10) : small;
}

/* Counts in a shared variable; the test waits by stopping the pool with drain. */
static fw_atomic(size_t) ran;

static inline void count_one(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
    /* Relaxed: read after the pool has stopped. */
    fw_add_relaxed(&ran, 1);
}

static inline void submit_all(fw_pool *pool, fw_prio level, fw_work work, size_t count)
{
    for (size_t i = 0; i < count;)
        if (fw_pool_submit(pool, level, work) == FW_OK)
            i++;
        else
            sched_yield();
}

/* A gate: a piece that holds its thread until the test opens it. */
typedef struct gate {
    fw_atomic(bool) reached, open;
} gate;

static inline void hold(fw_worker *worker, void *argument)
{
    gate *g = argument;
    (void)worker;
    /* [test-gate] release: nothing but the fact. */
    fw_store_release(&g->reached, true);
    /* [test-gate] acquire: what the test did before opening. */
    while (!fw_load_acquire(&g->open))
        sched_yield();
}

static inline void await(fw_atomic(bool) * flag)
{
    /* [test-gate] acquire: as the name says. */
    while (!fw_load_acquire(flag))
        sched_yield();
}

static inline void open_gate(gate *g)
{
    /* [test-gate] release: what was done before. */
    fw_store_release(&g->open, true);
}

typedef struct trail {
    fw_atomic(size_t) count;
    int seen[4096];
} trail;
static trail the_trail;

static inline void leave_trace(fw_worker *worker, void *argument)
{
    (void)worker;
    /* Relaxed: read after the pool has stopped. */
    size_t place = fw_add_relaxed(&the_trail.count, 1);
    the_trail.seen[place] = (int)(intptr_t)argument;
}

static inline fw_work trace(int number)
{
    return (fw_work){leave_trace, (void *)(intptr_t)number};
}

static inline fw_pool *held_pool(const fw_pool_config *config, gate *g)
{
    fw_pool *pool = pool_of(config);
    memset(g, 0, sizeof(*g));
    fw_store_relaxed(&the_trail.count, 0);
    assert_int_equal(fw_pool_submit(pool, FW_LOW, (fw_work){hold, g}), FW_OK);
    await(&g->reached);
    return pool;
}

#endif
