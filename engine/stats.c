/* engine/stats.c - what an engine shows of itself.
 *
 * Covered by tests/engine/engine_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "engine/engine_priv.h"

/* Buckets looked at in one read section: short enough to hold up no grace period. */
enum { WALK_BUCKETS = 256 };

/* Counters of one reading need not fit each other. */
static size_t minus(uint64_t a, uint64_t b)
{
    return a > b ? (size_t)(a - b) : 0;
}

/* What it returns is not looked into, so no read section is needed. */
static unsigned count_stuck(const fw_engine *engine)
{
    int64_t now_ns = fw_now_ns(), deadline_ns;
    unsigned run, stuck = 0;
    for (unsigned i = 0; i < engine->config.pool.threads; i++) {
        const fw_watch *watch = &engine->runners[i].watch;
        stuck += fw_watch_look(watch, &deadline_ns, &run) && now_ns >= deadline_ns;
    }
    return stuck;
}

void fw_engine_snapshot(fw_engine *engine, fw_engine_stats *out)
{
    uint64_t sums[FW_COUNTS];
    fw_counters_read(&engine->counters, sums);
    *out = (fw_engine_stats){
        .admitted = sums[FW_COUNT_ADMITTED],
        .deadline_missed = sums[FW_COUNT_DEADLINE],
        .duplicates = sums[FW_COUNT_DUPLICATE],
        .tasks_max = engine->config.tasks_max,
        .bytes_used = fw_memory_bytes(&engine->memory),
        .bytes_max = engine->config.bytes_max,
    };
    out->finished[FW_SUCCESS] = sums[FW_COUNT_SUCCESS];
    out->finished[FW_FAILURE] = sums[FW_COUNT_FAILURE];
    out->finished[FW_CANCELLED] = sums[FW_COUNT_CANCELLED];
    uint64_t ended = sums[FW_COUNT_SUCCESS] + sums[FW_COUNT_FAILURE] + sums[FW_COUNT_CANCELLED];
    uint64_t ended_runs = minus(ended, sums[FW_COUNT_ENDED_UNRUN]) + sums[FW_COUNT_RETRIED];
    out->live = minus(sums[FW_COUNT_ADMITTED], ended);
    out->scheduled = minus(sums[FW_COUNT_WAITING], sums[FW_COUNT_WAITED]);
    out->running = minus(sums[FW_COUNT_STARTED], ended_runs);
    out->queued = minus(out->live, out->scheduled + out->running);
    out->stuck = count_stuck(engine);
    fw_pool_snapshot(engine->pool, &out->pool);
}

void fw_engine_thread_snapshot(fw_engine *engine, unsigned thread, fw_thread_stats *out)
{
    FW_ASSERT(thread < engine->config.pool.threads);
    fw_pool_thread_snapshot(engine->pool, thread, out);
}

void fw_engine_each(fw_engine *engine, bool (*visit)(void *context, fw_task *task), void *context)
{
    FW_ASSERT(visit);
    size_t bucket = 0;
    bool more = true;
    while (more) {
        fw_rcu_read_lock();
        more = fw_index_walk(&engine->index, &bucket, WALK_BUCKETS, visit, context);
        fw_rcu_read_unlock();
    }
}
