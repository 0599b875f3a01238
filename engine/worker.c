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
    FW_MISSES_MAX = 64,   /* looks at an empty ring before its flag goes down */
    FW_FETCHED_LINES = 3, /* of what a piece is about */
    FW_STREAK_MAX =
        FW_BATCH_MAX + 64, /* own pieces before the ring is looked at; above any batch */
    FW_STREAM_MIN = 16,    /* pieces between two idle times, smoothed, that make a stream */
    FW_NESTED_MAX = 64,    /* pieces inside pieces before a full deque goes to the ring */
    FW_RELAX_ROUNDS = 16   /* pauses between two looks of an active search */
};

int fw_worker_init(fw_worker *worker, fw_pool *pool, unsigned index)
{
    memset(worker, 0, sizeof(*worker));
    worker->pool = pool;
    worker->index = index;
    worker->victim = index;
    worker->deque = &worker->deques[0];
    worker->above = ~UINT64_C(0);
    worker->until_pause = pool->config.batch;
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

/* The level of the piece at hand; from here on its deque is gone on with while nothing higher
 * shows. */
static inline void fw_worker_aim(fw_worker *worker, fw_prio level)
{
    worker->level = level;
    worker->deque = &worker->deques[level];
    worker->above = ~UINT64_C(0);
    if (worker->listed[level] && worker->pool->config.policy == FW_POLICY_STRICT)
        worker->above = ((UINT64_C(1) << (16 * level)) - 1) | FW_SIGNAL_STOP;
}

static __attribute__((noinline)) void fw_worker_enlist(fw_worker *worker, fw_prio level)
{
    FW_ASSERT(!worker->listed[level]);
    worker->listed[level] = true;
    fw_lanes_enlist(&worker->pool->lanes, level);
    fw_worker_aim(worker, worker->level);
}

/* Pieces were put into the own deque while somebody slept. */
static __attribute__((noinline)) void fw_worker_tell(fw_worker *worker, fw_prio level)
{
    if (worker->pool->config.steal == FW_STEAL_OFF)
        return;
    fw_deque_publish(&worker->deques[level]);
    fw_parker_notify(&worker->pool->parker);
}

/* Puts pieces that came from elsewhere where this thread pops them in order. On the way they were
 * in no queue, so a thread that looked for work in that moment may have gone to sleep: tell it. */
static void fw_worker_keep(fw_worker *worker, fw_prio level, const fw_work *work, size_t count)
{
    if (!worker->listed[level])
        fw_worker_enlist(worker, level);
    fw_deque_push_run(&worker->deques[level], work, count);
    if (fw_parker_has_sleepers(&worker->pool->parker))
        fw_worker_tell(worker, level);
}

/* The own deque, seen from the slow path. */
static bool fw_worker_pop(fw_worker *worker, fw_prio level, fw_work *out)
{
    if (fw_deque_pop(&worker->deques[level], out))
        return true;
    if (fw_deque_size(&worker->deques[level]) == 0) { /* else a thief is inside */
        worker->listed[level] = false;
        fw_lanes_delist(&worker->pool->lanes, level);
    }
    return false;
}

/* Others wrote what the pieces are about: it is on its way while the first one runs. */
static inline void fw_worker_fetch(const fw_work *work, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (unsigned line = 0; line < FW_FETCHED_LINES; line++)
            __builtin_prefetch((const char *)work[i].argument + line * FW_CACHE_LINE, 1);
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
    /* Relaxed: the owner's own. */
    worker->pulled_at[level] = fw_load_relaxed(&worker->counters.ran[level]);
    *out = worker->batch[0];
    if (taken > 1) {
        fw_worker_fetch(worker->batch + 1, taken - 1);
        fw_worker_keep(worker, level, worker->batch + 1, taken - 1);
    }
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
static bool fw_worker_take(fw_worker *worker, fw_prio level, uint64_t signal, fw_work *out)
{
    const fw_pool_config *config = &worker->pool->config;
    bool listed = worker->listed[level];
    bool ring = (signal & fw_signal_flag(level)) != 0;
    if (worker->due[level]) {
        worker->due[level] = false;
        if (ring && fw_worker_pull(worker, level, 1, out))
            return true;
    }
    if (listed && fw_worker_pop(worker, level, out))
        return true;
    size_t batch = config->steal == FW_STEAL_OFF ? 1 : config->batch;
    if (ring && fw_worker_pull(worker, level, batch, out))
        return true;
    return fw_signal_deques(signal, level) > (listed ? 1u : 0u) && config->steal != FW_STEAL_OFF &&
           fw_worker_steal(worker, level, out);
}

static bool fw_worker_find_weighted(fw_worker *worker, uint64_t signal, fw_work *out)
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned level = 0; level < FW_LEVELS; level++) {
            if (worker->credits[level] == 0 || fw_signal_part(signal, level) == 0 ||
                !fw_worker_take(worker, (fw_prio)level, signal, out))
                continue;
            worker->credits[level]--;
            fw_worker_aim(worker, (fw_prio)level);
            return true;
        }
        memcpy(worker->credits, worker->pool->config.weights, sizeof(worker->credits));
    }
    return false;
}

static inline fw_stop fw_worker_stop(const fw_worker *worker)
{
    /* [pool-sleep] seq_cst: after the announcement, when there was one. */
    return (fw_stop)fw_load_seq_cst(&worker->pool->stop);
}

/* Level by level, in order. True: *out is the piece, worker->level its level. */
static bool fw_worker_find(fw_worker *worker, uint64_t signal, fw_work *out)
{
    const fw_pool *pool = worker->pool;
    if (FW_UNLIKELY((signal & FW_SIGNAL_STOP) != 0) && fw_worker_stop(worker) == FW_STOP_NOW)
        return false;
    if (FW_UNLIKELY(pool->config.policy == FW_POLICY_WEIGHTED))
        return fw_worker_find_weighted(worker, signal, out);
    /* Relaxed: see fw_lanes_tick. */
    uint32_t order = fw_load_relaxed(&pool->lanes.order);
    for (unsigned i = 0; i < FW_LEVELS; i++, order >>= 8) {
        fw_prio level = (fw_prio)(order & 0xff);
        if (fw_signal_part(signal, level) != 0 && fw_worker_take(worker, level, signal, out)) {
            fw_worker_aim(worker, level);
            return true;
        }
    }
    return false;
}

static inline bool fw_worker_next(fw_worker *worker, fw_work *out)
{
    uint64_t signal = fw_lanes_signal(&worker->pool->lanes);
    if (FW_LIKELY((signal & worker->above) == 0) && FW_LIKELY(fw_deque_pop(worker->deque, out)))
        return true;
    return fw_worker_find(worker, signal, out);
}

static void fw_worker_pause(fw_worker *worker)
{
    const fw_pool_config *config = &worker->pool->config;
    worker->until_pause = config->batch;
    if (config->pause != NULL)
        config->pause(config->context, worker->index);
    /* Relaxed: the owner's own. */
    uint64_t ran = fw_load_relaxed(&worker->counters.ran[worker->level]);
    if (ran - worker->pulled_at[worker->level] > FW_STREAK_MAX) {
        worker->pulled_at[worker->level] = ran;
        worker->due[worker->level] =
            true; /* spawned work does not keep the ring waiting for ever */
        worker->above = ~UINT64_C(0);
    }
}

static inline void fw_worker_run(fw_worker *worker, fw_prio level, fw_work work)
{
    work.run(worker, work.argument);
    fw_count(&worker->counters.ran[level], 1);
    if (FW_UNLIKELY(--worker->until_pause == 0))
        fw_worker_pause(worker);
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

/* Looks again and again, as long as a search pays.
 *
 * search-note: a producer that submits steadily is usually slower than the threads that run its
 * pieces, so they run dry all the time. Sleeping and being woken costs both sides some ten thousand
 * cycles, so a dry thread first looks on for about that long. With a core to spare it spins.
 * Without one it yields: then the producer has the core for as long as it wants, and pieces gather
 * meanwhile. */
static bool fw_worker_search(fw_worker *worker, fw_work *out)
{
    const fw_pool *pool = worker->pool;
    int64_t start_ns = pool->search_ns > 0 ? fw_now_ns() : 0;
    for (unsigned round = 1;; round++) {
        if (fw_worker_find(worker, fw_lanes_signal(&pool->lanes) | FW_SIGNAL_RINGS, out))
            return true;
        fw_count(&worker->counters.spins, 1);
        if (fw_worker_stop(worker) != FW_STOP_NO)
            return false;
        if (pool->search_yields && worker->stretch < FW_STREAM_MIN)
            return false;
        if (round >= pool->search_rounds &&
            (pool->search_ns == 0 || fw_now_ns() - start_ns >= pool->search_ns))
            return false;
        if (pool->search_yields) {
            sched_yield();
            continue;
        }
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

/* How many pieces this thread runs between two times without work; old stretches fade. */
static void fw_worker_measure(fw_worker *worker)
{
    uint64_t ran = 0;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        /* Relaxed: the owner's own. */
        ran += fw_load_relaxed(&worker->counters.ran[level]);
    worker->stretch = worker->stretch / 2 + (ran - worker->ran_before);
    worker->ran_before = ran;
}

/* Without work: searches and sleeps until there is a piece (true) or the pool ends (false). */
static bool fw_worker_idle(fw_worker *worker, fw_work *out)
{
    fw_pool *pool = worker->pool;
    bool searching = false;
    fw_worker_measure(worker);
    if (worker->until_pause != pool->config.batch)
        fw_worker_pause(worker);
    for (;;) {
        if (!searching && fw_parker_searching(&pool->parker) < pool->parker.searchers_max) {
            fw_parker_search_begin(&pool->parker);
            searching = true;
        }
        if (searching) {
            bool found = fw_worker_search(worker, out);
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
    for (fw_work work; fw_worker_next(worker, &work) || fw_worker_idle(worker, &work);)
        fw_worker_run(worker, worker->level, work);
    fw_worker_pause(worker);
    if (config->thread_stop != NULL)
        config->thread_stop(config->context, worker->index);
    return NULL;
}

/* The deque is full: run it here; deep inside, rather give it to the ring, so that the stack ends.
 */
static __attribute__((noinline)) void fw_worker_spill(fw_worker *worker, fw_prio level,
                                                      fw_work work)
{
    if (worker->nested >= FW_NESTED_MAX && fw_pool_submit(worker->pool, level, work) == FW_OK)
        return;
    worker->nested++;
    fw_worker_run(worker, level, work);
    worker->nested--;
}

void fw_worker_spawn(fw_worker *worker, fw_prio level, fw_work work)
{
    FW_ASSERT((unsigned)level < FW_LEVELS && work.run != NULL);
    fw_count(&worker->counters.spawned, 1);
    if (FW_UNLIKELY(!worker->listed[level]))
        fw_worker_enlist(worker, level);
    if (FW_UNLIKELY(!fw_deque_push(&worker->deques[level], work)))
        fw_worker_spill(worker, level, work);
    else if (FW_UNLIKELY(fw_parker_has_sleepers(&worker->pool->parker)))
        fw_worker_tell(worker, level);
}
