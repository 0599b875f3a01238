/* Whole threads of the pool, from search to sleep, in every order (with few preemptions, for a run
 * is long): W2 of engine/worker.h, "no piece waits while a thread sleeps", and the stop. The pieces
 * wait for each other in such a way that a piece that is not picked up by another thread stops
 * everything. SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/worker.h"

static fw_pool pool;
static fw_worker workers[2];
static fw_atomic(bool) released, finished;
static fw_atomic(uint32_t) ran;
static unsigned count, expected;

static void begin_with(unsigned threads)
{
    memset(&pool, 0, sizeof(pool));
    pool.config = (fw_pool_config){.threads = threads, .ring_size = 8, .batch = 2};
    pool.workers = workers;
    pool.search_rounds = 1;
    fw_model_check(fw_lanes_init(&pool.lanes, &pool.config, NULL) == 0);
    fw_model_check(fw_parker_init(&pool.parker, threads) == 0);
    for (unsigned i = 0; i < threads; i++)
        fw_model_check(fw_worker_init(&workers[i], &pool, i) == 0);
    fw_store_relaxed(&released, false);
    fw_store_relaxed(&finished, false);
    fw_store_relaxed(&ran, 0);
    count = threads;
    expected = 2;
}

static void begin_one(void)
{
    begin_with(1);
}

static void begin_two(void)
{
    begin_with(2);
}

static void end(void)
{
    fw_model_check(fw_load_relaxed(&ran) == expected);
    fw_model_check(fw_parker_sleepers(&pool.parker) == 0);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_model_check(!fw_lanes_has_work(&pool.lanes, (fw_prio)level));
    for (unsigned i = 0; i < count; i++)
        fw_worker_fini(&workers[i]);
    fw_parker_fini(&pool.parker);
    fw_lanes_fini(&pool.lanes);
}

static void stop(void)
{
    /* [pool-sleep] seq_cst: before the look for sleepers. */
    fw_store_seq_cst(&pool.stop, FW_STOP_DRAIN);
    fw_lanes_call(&pool.lanes);
    fw_parker_notify_all(&pool.parker);
}

static void count_piece(void)
{
    if (fw_add_relaxed(&ran, 1) + 1 == expected)
        fw_store_relaxed(&finished, true);
}

static void release(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
    fw_store_relaxed(&released, true);
    count_piece();
}

static void wait_for_release(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
    fw_model_await(&released);
    count_piece();
}

static void spawn_and_wait(fw_worker *worker, void *argument)
{
    fw_worker_spawn(worker, FW_LOW, (fw_work){release, NULL});
    wait_for_release(worker, argument);
}

/* A piece spawns another and then runs until that one has run. */
static void spawned_work_is_found(unsigned thread)
{
    if (thread < count) {
        fw_worker_main(&workers[thread]);
        return;
    }
    fw_model_check(fw_pool_submit(&pool, FW_HIGH, (fw_work){spawn_and_wait, NULL}) == FW_OK);
    fw_model_await(&finished);
    stop();
}

static void begin_batch(void)
{
    begin_with(2);
    expected = 8;
}

static void count_only(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
    count_piece();
}

/* The same from outside: whoever claims the first two pieces in one batch keeps the second while it
 * runs the first, which waits for the second. Between claim and keeping that piece is nowhere to be
 * seen. */
static void a_batch_hides_nothing(unsigned thread)
{
    if (thread < count) {
        fw_worker_main(&workers[thread]);
        return;
    }
    fw_work work[8] = {{wait_for_release, NULL}, {release, NULL}};
    for (unsigned i = 2; i < 8; i++)
        work[i] = (fw_work){count_only, NULL};
    fw_model_check(fw_pool_submit_many(&pool, FW_NORMAL, work, 8) == 8);
    fw_model_await(&finished);
    stop();
}

/* Stop at any time: what was submitted before runs. */
static void stop_drains(unsigned thread)
{
    if (thread < count) {
        fw_worker_main(&workers[thread]);
        return;
    }
    const fw_work work[2] = {{release, NULL}, {release, NULL}};
    fw_model_check(fw_pool_submit(&pool, FW_LOW, work[0]) == FW_OK);
    fw_model_check(fw_pool_submit(&pool, FW_NORMAL, work[1]) == FW_OK);
    stop();
}

int main(void)
{
    const fw_model models[] = {
        {"worker: one thread, stop drains", 2, begin_one, stop_drains, end},
        {"worker: spawned work is found", 3, begin_two, spawned_work_is_found, end},
        {"worker: a batch hides nothing", 3, begin_batch, a_batch_hides_nothing, end},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 1);
}
