/* engine/engine.c - an engine from its creation to its end.
 *
 * Built from below: memory, index, counters, the pool, the timer thread; taken down in reverse.
 * Taking down ends what waits and lets run what runs; completers come for the references they hold
 * until the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DRAIN_LOOK_NS FW_NS_PER_MS

fw_atomic(fw_engine *) fw_engine_homes[FW_ENGINES_MAX];

static int take_home(fw_engine *engine)
{
    for (unsigned i = 0; i < FW_ENGINES_MAX; i++) {
        fw_engine *expected = NULL;
        /* [engine-home] release: the engine as it was built. */
        if (fw_cas_release(&fw_engine_homes[i], &expected, engine)) {
            engine->home = i;
            return 0;
        }
    }
    return -FW_EFULL;
}

/* So that a small limit is not used up by ended tasks. */
static unsigned chain_max(size_t tasks_max)
{
    size_t chain = tasks_max / 1024;
    return chain < 1 ? 1 : chain > FW_RETIRE_CHAIN_MAX ? FW_RETIRE_CHAIN_MAX : (unsigned)chain;
}

static int create_runners(fw_engine *engine)
{
    size_t bytes = engine->config.pool.threads * sizeof *engine->runners;
    engine->runners = aligned_alloc(FW_APART, bytes);
    if (!engine->runners)
        return -FW_ENOMEM;
    memset(engine->runners, 0, bytes);
    for (unsigned i = 0; i < engine->config.pool.threads; i++) {
        engine->runners[i].counters = fw_counters_row(&engine->counters, i);
        engine->runners[i].retired = &engine->retire.rows[FW_SLOTS + i];
    }
    return 0;
}

static int create_pool(fw_engine *engine)
{
    fw_pool_config config = engine->config.pool;
    config.context = engine;
    config.node_run = fw_engine_run_node;
    config.thread_start = fw_engine_thread_start;
    config.thread_stop = fw_engine_thread_stop;
    config.pause = fw_engine_pause;
    return fw_pool_create(&engine->pool, &config);
}

static int create_timers(fw_engine *engine)
{
    fw_timers_config config;
    fw_engine_alarms_config(engine, &config);
    return fw_timers_create(&engine->timers, &config);
}

/* Everything but the threads. */
static void free_engine(fw_engine *engine, bool has_home)
{
    if (has_home) {
        /* [engine-home] release: nobody looks for it any more. */
        fw_store_release(&fw_engine_homes[engine->home], (fw_engine *)NULL);
    }
    free(engine->runners);
    fw_retire_fini(&engine->retire);
    fw_counters_fini(&engine->counters);
    fw_index_fini(&engine->index);
    fw_memory_fini(&engine->memory);
    free(engine);
}

int fw_engine_create(fw_engine **out, const fw_engine_config *config, const fw_engine_ops *ops)
{
    FW_ASSERT(ops->run && ops->done);
    if (config->tasks_max == 0 || config->bytes_max == 0 || config->pool.threads == 0 ||
        config->pool.threads > FW_THREADS_MAX)
        return -FW_EINVAL;
    fw_engine *engine = aligned_alloc(FW_APART, sizeof *engine);
    if (!engine)
        return -FW_ENOMEM;
    *engine = (fw_engine){.ops = *ops, .config = *config};
    int err = take_home(engine);
    bool has_home = !err;
    if (!err)
        err = fw_memory_init(&engine->memory, engine->home, config->tasks_max, config->bytes_max);
    if (!err)
        err = fw_index_init(&engine->index, config->tasks_max);
    if (!err)
        err = fw_counters_init(&engine->counters, config->pool.threads);
    if (!err)
        err = fw_retire_init(&engine->retire, chain_max(config->tasks_max), config->pool.threads,
                             fw_engine_expire_chain);
    if (!err)
        err = create_runners(engine);
    if (!err)
        err = create_pool(engine);
    if (!err) {
        err = create_timers(engine);
        if (err) {
            fw_pool_stop(engine->pool, false);
            fw_pool_destroy(engine->pool);
        }
    }
    if (err) {
        free_engine(engine, has_home);
        return err;
    }
    *out = engine;
    return 0;
}

void fw_engine_stop_task(fw_engine *engine, fw_task *task)
{
    fw_state from;
    fw_duty duty = fw_task_settle(task, false, &from);
    if (duty == FW_DUTY_END_UNRUN)
        fw_engine_end_unrun(engine, task, FW_ENDED_BY_STOP, from, false);
    else if (duty == FW_DUTY_END)
        fw_engine_end_run(engine, task, FW_ENDED_BY_STOP, 1);
}

static bool stop_waiting(void *context, fw_task *task)
{
    fw_state state = fw_task_state(task);
    if (state == FW_SCHEDULED || state == FW_RETRYING)
        fw_engine_stop_task(context, task);
    return true;
}

static bool stop_any(void *context, fw_task *task)
{
    fw_engine_stop_task(context, task);
    return true;
}

static bool stop_unrun(void *context, fw_task *task)
{
    if (fw_task_state(task) != FW_RUNNING)
        fw_engine_stop_task(context, task);
    return true;
}

static uint64_t live(const fw_engine *engine)
{
    uint64_t sums[FW_COUNTS];
    fw_counters_read(&engine->counters, sums);
    uint64_t ended = sums[FW_COUNT_SUCCESS] + sums[FW_COUNT_FAILURE] + sums[FW_COUNT_CANCELLED];
    return sums[FW_COUNT_ADMITTED] > ended ? sums[FW_COUNT_ADMITTED] - ended : 0;
}

/* Once in an engine's life, so it looks now and then, and no task pays for telling it. */
int fw_engine_drain(fw_engine *engine, int64_t limit_ns)
{
    int64_t until_ns = fw_now_ns() + limit_ns;
    /* [engine-drain] release: who sees it ends what would wait, and so do we. */
    fw_store_release(&engine->draining, true);
    for (;;) {
        uint64_t waiting = fw_counters_sum(&engine->counters, FW_COUNT_WAITING) -
                           fw_counters_sum(&engine->counters, FW_COUNT_WAITED);
        if (waiting > 0)
            fw_engine_each(engine, stop_waiting, engine);
        size_t left = live(engine);
        if (left == 0)
            return 0;
        if (fw_limits_block(engine, left, until_ns))
            fw_engine_each(engine, stop_unrun, engine);
        if (fw_now_ns() >= until_ns)
            break;
        struct timespec pause = {0, DRAIN_LOOK_NS};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    fw_engine_each(engine, stop_any, engine);
    return -FW_ETIME;
}

void fw_engine_halt(fw_engine *engine)
{
    if (engine->halted)
        return;
    engine->halted = true;
    /* [engine-drain] release: as in fw_engine_drain. */
    fw_store_release(&engine->draining, true);
    fw_timers_stop(engine->timers);
    fw_dispatch_close(engine);
    fw_engine_each(engine, stop_unrun, engine);
    fw_pool_stop(engine->pool, true);
    /* Now what runs is pending; and nothing can begin to wait any more. */
    fw_engine_each(engine, stop_any, engine);
    fw_timers_lapse_all(engine->timers);
}

void fw_engine_destroy(fw_engine *engine)
{
    if (!engine)
        return;
    fw_engine_halt(engine);
    fw_rcu_barrier();
    fw_retire_collect(&engine->retire);
    fw_pool_destroy(engine->pool);
    fw_timers_free(engine->timers);
    fw_dispatch_fini(engine);
    free_engine(engine, true);
}
