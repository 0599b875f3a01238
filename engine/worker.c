/* engine/worker.c - the loop: choose a piece, run it; without one search, then sleep.
 *
 * Choosing costs a load of the signal word; levels whose part is zero are passed over. Within a
 * level: the own deque, the ring, the others' deques. Of a deep ring a thread takes a batch by one
 * claim, runs the first piece and puts the rest into its own deque of that level, where it pops
 * them in order, others can steal them, and higher work still comes first. SPDX-License-Identifier:
 * Apache-2.0 */
#include "engine/worker.h"

#include <sched.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

enum {
    FW_MISSES_MAX = 64, /* looks at an empty ring before its flag goes down */
    FW_STREAK_MAX =
        FW_BATCH_MAX + 64, /* own pieces before the ring is looked at; above any batch */
    FW_NESTED_MAX = 64,    /* pieces inside pieces before a full deque goes to the ring */
    FW_RELAX_ROUNDS = 16   /* pauses between two looks of an active search */
};

int fw_worker_init(fw_worker *worker, fw_pool *pool, unsigned index)
{
    memset(worker, 0, sizeof(*worker));
    worker->pool = pool;
    worker->index = index;
    worker->victim = index;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        if (fw_deque_init(&worker->deques[level]) != 0) {
            fw_worker_fini(worker);
            return -FW_ENOMEM;
        }
    }
    return 0;
}

void fw_worker_fini(fw_worker *worker)
{
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_deque_fini(&worker->deques[level]);
}

unsigned fw_worker_index(const fw_worker *worker)
{
    return worker->index;
}

fw_pool *fw_worker_pool(fw_worker *worker)
{
    return worker->pool;
}

static inline void fw_worker_enlist(fw_worker *worker, fw_prio level)
{
    if (FW_UNLIKELY(!worker->listed[level])) {
        worker->listed[level] = true;
        fw_lanes_enlist(&worker->pool->lanes, level);
    }
}

/* Puts pieces that came from elsewhere where this thread pops them in order. */
static void fw_worker_keep(fw_worker *worker, fw_prio level, const fw_work *work, size_t count)
{
    fw_worker_enlist(worker, level);
    fw_deque_push_run(&worker->deques[level], work, count);
}

static inline bool fw_worker_pop(fw_worker *worker, fw_prio level, fw_work *out)
{
    if (FW_LIKELY(fw_deque_pop(&worker->deques[level], out))) {
        worker->streak[level]++;
        return true;
    }
    if (fw_deque_size(&worker->deques[level]) == 0) { /* else a thief is inside */
        worker->listed[level] = false;
        fw_lanes_delist(&worker->pool->lanes, level);
    }
    return false;
}

static bool fw_worker_pull(fw_worker *worker, fw_prio level, size_t max, fw_work *out)
{
    fw_pool *pool = worker->pool;
    size_t share = 2 * (size_t)pool->config.threads;
    size_t taken = fw_lanes_pull(&pool->lanes, level, worker->batch, max, share);
    if (taken == 0) {
        if (++worker->misses[level] == FW_MISSES_MAX) {
            worker->misses[level] = 0;
            fw_lanes_lower(&pool->lanes, level);
        }
        return false;
    }
    worker->misses[level] = 0;
    worker->streak[level] = 0;
    *out = worker->batch[0];
    if (taken > 1)
        fw_worker_keep(worker, level, worker->batch + 1, taken - 1);
    return true;
}

/* Looks at all other threads once, first where the last steal worked. */
static bool fw_worker_steal(fw_worker *worker, fw_prio level, fw_work *out)
{
    fw_pool *pool = worker->pool;
    unsigned threads = pool->config.threads;
    size_t max = pool->config.steal == FW_STEAL_ONE ? 1 : FW_BATCH_MAX;
    for (unsigned i = 0; i < threads; i++) {
        unsigned victim = (worker->victim + i) % threads;
        fw_deque *deque = &pool->workers[victim].deques[level];
        if (victim == worker->index || fw_deque_size(deque) == 0)
            continue;
        size_t taken = fw_deque_steal(deque, worker->batch, max);
        if (taken == 0)
            continue;
        worker->victim = victim;
        fw_count(&worker->counters.stolen, taken);
        *out = worker->batch[0];
        if (taken > 1)
            fw_worker_keep(worker, level, worker->batch + 1, taken - 1);
        return true;
    }
    return false;
}

/* One level, everywhere. */
static inline bool fw_worker_take(fw_worker *worker, fw_prio level, uint64_t signal, fw_work *out)
{
    const fw_pool_config *config = &worker->pool->config;
    bool listed = worker->listed[level];
    bool ring = (signal & fw_signal_flag(level)) != 0;
    if (FW_LIKELY(listed)) {
        if (FW_UNLIKELY(worker->streak[level] >= FW_STREAK_MAX)) {
            worker->streak[level] = 0;
            if (ring && fw_worker_pull(worker, level, 1, out))
                return true;
        }
        if (FW_LIKELY(fw_worker_pop(worker, level, out)))
            return true;
    }
    size_t batch = config->steal == FW_STEAL_OFF ? 1 : config->batch;
    if (ring && fw_worker_pull(worker, level, batch, out))
        return true;
    return fw_signal_deques(signal, level) > (listed ? 1u : 0u) && config->steal != FW_STEAL_OFF &&
           fw_worker_steal(worker, level, out);
}

static bool fw_worker_find_weighted(fw_worker *worker, uint64_t signal, fw_prio *level,
                                    fw_work *out)
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < FW_LEVELS; i++) {
            if (worker->credits[i] == 0 || fw_signal_part(signal, i) == 0 ||
                !fw_worker_take(worker, (fw_prio)i, signal, out))
                continue;
            worker->credits[i]--;
            *level = (fw_prio)i;
            return true;
        }
        memcpy(worker->credits, worker->pool->config.weights, sizeof(worker->credits));
    }
    return false;
}

/* `flags`: rings to look at although their flag is down. */
static inline bool fw_worker_find(fw_worker *worker, uint64_t flags, fw_prio *level, fw_work *out)
{
    fw_pool *pool = worker->pool;
    uint64_t signal = fw_lanes_signal(&pool->lanes) | flags;
    if (FW_UNLIKELY(pool->config.policy == FW_POLICY_WEIGHTED))
        return fw_worker_find_weighted(worker, signal, level, out);
    /* Relaxed: see fw_lanes_tick. */
    uint32_t order = fw_load_relaxed(&pool->lanes.order);
    for (unsigned i = 0; i < FW_LEVELS; i++, order >>= 8) {
        fw_prio next = (fw_prio)(order & 0xff);
        if (fw_signal_part(signal, next) != 0 && fw_worker_take(worker, next, signal, out)) {
            *level = next;
            return true;
        }
    }
    return false;
}

static void fw_worker_pause(fw_worker *worker)
{
    const fw_pool_config *config = &worker->pool->config;
    worker->since_pause = 0;
    if (config->pause != NULL)
        config->pause(config->context, worker->index);
}

static inline void fw_worker_run(fw_worker *worker, fw_prio level, fw_work work)
{
    work.run(worker, work.argument);
    fw_count(&worker->counters.ran[level], 1);
    if (FW_UNLIKELY(++worker->since_pause >= worker->pool->config.batch))
        fw_worker_pause(worker);
}

static inline fw_stop fw_worker_stop(const fw_worker *worker)
{
    /* [pool-sleep] seq_cst: after the announcement, when there was one. */
    return (fw_stop)fw_load_seq_cst(&worker->pool->stop);
}

/* Is there anything that this thread could take, now or in a moment? Goes by claims. */
static bool fw_worker_sees_work(const fw_worker *worker)
{
    fw_pool *pool = worker->pool;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        if (fw_lanes_has_work(&pool->lanes, (fw_prio)level))
            return true;
    uint64_t signal = fw_lanes_signal(&pool->lanes);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        if (fw_signal_deques(signal, level) == 0)
            continue;
        for (unsigned i = 0; i < pool->config.threads; i++) {
            bool mine = i == worker->index;
            if (!mine && pool->config.steal == FW_STEAL_OFF)
                continue;
            if (fw_deque_size(&pool->workers[i].deques[level]) > 0)
                return true;
        }
    }
    return false;
}

/* Looks again and again, as long as a search pays. */
static bool fw_worker_search(fw_worker *worker, fw_prio *level, fw_work *out)
{
    fw_pool *pool = worker->pool;
    int64_t until_ns = pool->spin_ns > 0 ? fw_now_ns() + pool->spin_ns : 0;
    for (unsigned round = 0;; round++) {
        if (fw_worker_find(worker, FW_SIGNAL_RINGS, level, out))
            return true;
        fw_count(&worker->counters.spins, 1);
        if (fw_worker_stop(worker) != FW_STOP_NO)
            return false;
        if (until_ns != 0 ? fw_now_ns() >= until_ns : round >= pool->spin_rounds)
            return false;
        for (unsigned i = 0; i < FW_RELAX_ROUNDS; i++)
            fw_cpu_relax();
    }
}

/* Announces sleep, looks once more, sleeps. Afterwards the thread counts as searching. */
static void fw_worker_park(fw_worker *worker)
{
    fw_pool *pool = worker->pool;
    fw_parker_announce(&pool->parker, worker->index);
    if (fw_worker_sees_work(worker) || fw_worker_stop(worker) != FW_STOP_NO) {
        fw_parker_cancel(&pool->parker, worker->index);
        sched_yield(); /* a producer or a thief is half-way; let it finish */
        return;
    }
    fw_count(&worker->counters.parks, 1);
    fw_parker_sleep(&pool->parker, worker->index);
}

/* Without work: searches and sleeps until there is a piece (true) or the pool ends (false). */
static bool fw_worker_idle(fw_worker *worker, fw_prio *level, fw_work *out)
{
    fw_pool *pool = worker->pool;
    bool searching = false;
    if (worker->since_pause > 0)
        fw_worker_pause(worker);
    for (;;) {
        if (!searching && fw_parker_searching(&pool->parker) < pool->parker.searchers_max) {
            fw_parker_search_begin(&pool->parker);
            searching = true;
        }
        if (searching) {
            bool found = fw_worker_search(worker, level, out);
            bool last = fw_parker_search_end(&pool->parker);
            searching = false;
            if (found) {
                if (last && fw_parker_has_sleepers(&pool->parker) && fw_worker_sees_work(worker))
                    fw_parker_notify(&pool->parker);
                return true;
            }
        }
        fw_stop stop = fw_worker_stop(worker);
        if (stop == FW_STOP_NOW || (stop == FW_STOP_DRAIN && !fw_worker_sees_work(worker)))
            return false;
        fw_worker_park(worker);
        searching = true;
    }
}

void *fw_worker_main(void *argument)
{
    fw_worker *worker = argument;
    const fw_pool_config *config = &worker->pool->config;
    if (config->thread_start != NULL)
        config->thread_start(config->context, worker->index);
    while (fw_worker_stop(worker) != FW_STOP_NOW) {
        fw_prio level = FW_LOW;
        fw_work work;
        if (!fw_worker_find(worker, 0, &level, &work) && !fw_worker_idle(worker, &level, &work))
            break;
        fw_worker_run(worker, level, work);
    }
    fw_worker_pause(worker);
    if (config->thread_stop != NULL)
        config->thread_stop(config->context, worker->index);
    return NULL;
}

/* The deque is full: run it here; deep inside, rather give it to the ring, so that the stack ends.
 */
static void fw_worker_spill(fw_worker *worker, fw_prio level, fw_work work)
{
    if (worker->nested >= FW_NESTED_MAX && fw_pool_submit(worker->pool, level, work) == FW_OK)
        return;
    worker->nested++;
    fw_worker_run(worker, level, work);
    worker->nested--;
}

void fw_worker_spawn(fw_worker *worker, fw_prio level, fw_work work)
{
    fw_pool *pool = worker->pool;
    fw_deque *deque = &worker->deques[level];
    FW_ASSERT((unsigned)level < FW_LEVELS && work.run != NULL);
    fw_count(&worker->counters.spawned, 1);
    fw_worker_enlist(worker, level);
    if (FW_UNLIKELY(!fw_deque_push(deque, work))) {
        fw_worker_spill(worker, level, work);
        return;
    }
    if (FW_UNLIKELY(fw_parker_has_sleepers(&pool->parker)) && pool->config.steal != FW_STEAL_OFF) {
        fw_deque_publish(deque);
        fw_parker_notify(&pool->parker);
    }
}
