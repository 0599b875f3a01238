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
static unsigned count;

static void begin_with(unsigned threads)
{
    memset(&pool, 0, sizeof(pool));
    pool.config = (fw_pool_config){.threads = threads, .ring_size = 4, .batch = 2};
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
    fw_model_check(fw_load_relaxed(&ran) == 2);
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
    fw_store_seq_cst(&pool.stop, FW_STOP_DRAIN);
    fw_lanes_call(&pool.lanes);
    fw_parker_notify_all(&pool.parker);
}

static void count_piece(void)
{
    if (fw_add_relaxed(&ran, 1) == 1)
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

/* The same with both pieces from outside, which a thread may claim in one batch. */
static void submitted_work_is_found(unsigned thread)
{
    if (thread < count) {
        fw_worker_main(&workers[thread]);
        return;
    }
    const fw_work work[2] = {{wait_for_release, NULL}, {release, NULL}};
    fw_model_check(fw_pool_submit_many(&pool, FW_NORMAL, work, 2) == 2);
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
        {"worker: submitted work is found", 3, begin_two, submitted_work_is_found, end},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 1);
}
