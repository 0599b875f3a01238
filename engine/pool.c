/* engine/pool.c - builds the pool, takes work from outside, ends it, and says how it is.
 *
 * Publication, then notification: every way in makes the work visible by a seq_cst operation (the
 * ring's claim, the overflow's count) before fw_parker_notify looks for sleepers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/pool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "engine/barrier.h"
#include "engine/topology.h"
#include "engine/worker.h"

enum {
    FW_SEARCH_US = 50,   /* about what falling asleep and being woken costs: see search-note */
    FW_SEARCH_ROUNDS = 4 /* a yield may take long; look again all the same */
};

static void fw_pool_enter_node(fw_worker *worker, void *argument)
{
    fw_worker_pool(worker)->config.node_run(worker, argument);
}

static bool fw_pool_config_is_valid(const fw_pool_config *config, const fw_topology *topology)
{
    if (config->threads < 1 || config->threads > FW_THREADS_MAX || config->batch < 1 ||
        config->batch > FW_BATCH_MAX)
        return false;
    if (config->ring_size < 4 || config->ring_size > (size_t)1 << 24 ||
        (config->ring_size & (config->ring_size - 1)) != 0)
        return false;
    if (config->policy == FW_POLICY_AGING && config->aging_ns <= 0)
        return false;
    for (unsigned i = 0; config->policy == FW_POLICY_WEIGHTED && i < FW_LEVELS; i++)
        if (config->weights[i] < 1 || config->weights[i] > 1000)
            return false;
    if (config->affinity != FW_AFFINITY_LIST)
        return true;
    if (config->affinity_count < 1 || config->affinity_count > FW_THREADS_MAX)
        return false;
    for (unsigned i = 0; i < config->affinity_count; i++)
        if (!fw_topology_has(topology, config->affinity_cpus[i]))
            return false;
    return true;
}

static void fw_pool_set_search(fw_pool *pool, unsigned cpus)
{
    const fw_pool_config *config = &pool->config;
    if (config->spin == FW_SPIN_ADAPTIVE) {
        pool->search_ns = FW_SEARCH_US * FW_NS_PER_US;
        pool->search_rounds = FW_SEARCH_ROUNDS;
        pool->search_yields = cpus <= config->threads; /* none is left for whoever submits */
    } else {
        pool->search_rounds = config->spin == FW_SPIN_ROUNDS ? config->spin_rounds : 1;
    }
}

static bool fw_pool_start_thread(fw_pool *pool, unsigned index, const pthread_attr_t *attr,
                                 const fw_topology *topology)
{
    const fw_pool_config *config = &pool->config;
    fw_worker *worker = &pool->workers[index];
    char name[16];
    if (pthread_create(&worker->thread, attr, fw_worker_main, worker) != 0)
        return false;
    snprintf(name, sizeof(name), "fw-task-%u", index % FW_THREADS_MAX);
    pthread_setname_np(worker->thread, name);
    /* Pinning is a wish: a CPU that went away since does not stop the pool. */
    if (config->affinity == FW_AFFINITY_LIST)
        fw_topology_pin(worker->thread, config->affinity_cpus[index % config->affinity_count]);
    else if (config->affinity != FW_AFFINITY_NONE)
        fw_topology_pin(worker->thread, topology->cpus[index % topology->count].number);
    return true;
}

/* Signals stay with the threads that were there before. */
static int fw_pool_start(fw_pool *pool, const fw_topology *topology)
{
    sigset_t all, before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return -FW_ENOMEM;
    int err = 0;
    if (pool->config.stack_bytes != 0 &&
        pthread_attr_setstacksize(&attr, pool->config.stack_bytes) != 0)
        err = -FW_EINVAL;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (err == 0 && pool->started < pool->config.threads) {
        if (fw_pool_start_thread(pool, pool->started, &attr, topology))
            pool->started++;
        else
            err = -FW_ENOMEM;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

static int fw_pool_build(fw_pool *pool, const fw_topology *topology)
{
    const fw_pool_config *config = &pool->config;
    int err = fw_lanes_init(&pool->lanes, config, fw_pool_enter_node);
    if (err == 0)
        err = fw_parker_init(&pool->parker, config->threads);
    void *workers = NULL;
    if (err == 0 && posix_memalign(&workers, FW_APART, config->threads * sizeof(fw_worker)) != 0)
        err = -FW_ENOMEM;
    pool->workers = workers;
    while (err == 0 && pool->created < config->threads) {
        err = fw_worker_init(&pool->workers[pool->created], pool, pool->created);
        pool->created += err == 0;
    }
    return err != 0 ? err : fw_pool_start(pool, topology);
}

int fw_pool_create(fw_pool **out, const fw_pool_config *config)
{
    FW_ASSERT(out != NULL && config != NULL);
    fw_topology *topology = malloc(sizeof(*topology));
    void *memory = NULL;
    if (topology == NULL || posix_memalign(&memory, FW_APART, sizeof(fw_pool)) != 0) {
        free(topology);
        return -FW_ENOMEM;
    }
    fw_topology_read(topology);
    unsigned cpus = fw_topology_usable(topology);
    if (config->affinity == FW_AFFINITY_COMPACT || config->affinity == FW_AFFINITY_SPREAD)
        fw_topology_sort(topology, config->affinity);
    int err = fw_pool_config_is_valid(config, topology) ? 0 : -FW_EINVAL;
    fw_pool *pool = memory;
    memset(pool, 0, sizeof(*pool));
    if (err == 0) {
        fw_barrier_register();
        pool->config = *config;
        fw_pool_set_search(pool, cpus);
        err = fw_pool_build(pool, topology);
    }
    free(topology);
    if (err != 0) {
        fw_pool_destroy(pool);
        return err;
    }
    *out = pool;
    return 0;
}

void fw_pool_stop(fw_pool *pool, bool drain)
{
    /* [pool-sleep] seq_cst: before the look for sleepers. */
    fw_store_seq_cst(&pool->stop, drain ? FW_STOP_DRAIN : FW_STOP_NOW);
    for (unsigned i = 0; i < pool->started; i++)
        FW_ASSERT(!pthread_equal(pool->workers[i].thread, pthread_self()));
    if (pool->started > 0) {
        fw_lanes_call(&pool->lanes);
        fw_parker_notify_all(&pool->parker);
    }
    while (pool->started > 0)
        pthread_join(pool->workers[--pool->started].thread, NULL);
}

void fw_pool_destroy(fw_pool *pool)
{
    if (pool->started > 0)
        fw_pool_stop(pool, false);
    while (pool->created > 0)
        fw_worker_fini(&pool->workers[--pool->created]);
    free(pool->workers);
    if (pool->parker.berths != NULL)
        fw_parker_fini(&pool->parker);
    fw_lanes_fini(&pool->lanes);
    free(pool);
}

size_t fw_pool_submit_many(fw_pool *pool, fw_prio level, const fw_work *work, size_t count)
{
    if (count == 0)
        return 0;
    size_t taken = fw_lanes_push(&pool->lanes, level, work, count);
    if (taken > 0)
        fw_parker_notify(&pool->parker);
    return taken;
}

static __attribute__((noinline)) fw_outcome fw_pool_submit_slowly(fw_pool *pool, fw_prio level,
                                                                  fw_work work)
{
    return fw_pool_submit_many(pool, level, &work, 1) == 1 ? FW_OK : FW_FULL;
}

static __attribute__((noinline)) fw_outcome fw_pool_tell(fw_pool *pool, fw_prio level)
{
    if (!fw_lanes_is_raised(&pool->lanes, level))
        fw_lanes_lift(&pool->lanes, level);
    fw_parker_notify(&pool->parker);
    return FW_OK;
}

fw_outcome fw_pool_submit(fw_pool *pool, fw_prio level, fw_work work)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    if (FW_UNLIKELY(!fw_lanes_push_one(&pool->lanes, level, work)))
        return fw_pool_submit_slowly(pool, level, work);
    if (FW_UNLIKELY(!fw_lanes_is_raised(&pool->lanes, level) || fw_parker_is_wanted(&pool->parker)))
        return fw_pool_tell(pool, level);
    return FW_OK;
}

void fw_pool_submit_nodes(fw_pool *pool, fw_prio level, fw_work_node *const *nodes, size_t count)
{
    FW_ASSERT(pool->config.node_run != NULL);
    if (count == 0)
        return;
    fw_lanes_push_nodes(&pool->lanes, level, nodes, count);
    fw_parker_notify(&pool->parker);
}

size_t fw_pool_take_back(fw_pool *pool, fw_prio level, fw_work_node **nodes, size_t max)
{
    fw_work work[FW_REFILL_MAX];
    size_t wanted = max < FW_REFILL_MAX ? max : FW_REFILL_MAX;
    size_t taken = fw_lanes_pull(&pool->lanes, level, work, wanted, 1), count = 0;
    for (size_t i = 0; i < taken; i++) {
        if (work[i].run == fw_pool_enter_node) {
            nodes[count++] = work[i].argument;
            continue;
        }
        fw_lanes_put_back(&pool->lanes, level, work[i]);
        fw_parker_notify(&pool->parker);
    }
    return count;
}

bool fw_pool_has_waiting(const fw_pool *pool, fw_prio level)
{
    return fw_lanes_has_work(&pool->lanes, level);
}

void fw_pool_tick(fw_pool *pool, int64_t now_ns)
{
    fw_lanes_tick(&pool->lanes, now_ns);
}

/* Relaxed loads throughout the snapshots: figures, each exact, not of one moment. */
void fw_pool_thread_snapshot(fw_pool *pool, unsigned thread, fw_thread_stats *out)
{
    FW_ASSERT(thread < pool->config.threads);
    fw_worker_counters *counters = &pool->workers[thread].counters;
    *out = (fw_thread_stats){.stolen = fw_load_relaxed(&counters->stolen),
                             .spawned = fw_load_relaxed(&counters->spawned),
                             .parks = fw_load_relaxed(&counters->parks),
                             .spins = fw_load_relaxed(&counters->spins),
                             .parked = fw_parker_is_asleep(&pool->parker, thread)};
    for (unsigned level = 0; level < FW_LEVELS; level++)
        out->ran += fw_load_relaxed(&counters->ran[level]);
}

void fw_pool_snapshot(fw_pool *pool, fw_pool_stats *out)
{
    *out = (fw_pool_stats){.threads = pool->config.threads,
                           .parked = fw_parker_sleepers(&pool->parker),
                           .searching = fw_parker_searching(&pool->parker),
                           .wakes = fw_load_relaxed(&pool->parker.wakes),
                           .ring_size = pool->config.ring_size};
    for (unsigned i = 0; i < pool->config.threads; i++) {
        fw_worker_counters *counters = &pool->workers[i].counters;
        for (unsigned level = 0; level < FW_LEVELS; level++)
            out->ran[level] += fw_load_relaxed(&counters->ran[level]);
        out->stolen += fw_load_relaxed(&counters->stolen);
        out->spawned += fw_load_relaxed(&counters->spawned);
        out->parks += fw_load_relaxed(&counters->parks);
        out->spins += fw_load_relaxed(&counters->spins);
    }
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_lane *lane = &pool->lanes.lane[level];
        out->ring_full[level] = fw_load_relaxed(&lane->full);
        out->ring_depth[level] = fw_ring_depth(&lane->ring);
        out->overflow_depth[level] = fw_overflow_count(&lane->overflow);
        out->oldest_ns[level] = fw_load_relaxed(&lane->oldest_ns);
    }
}
