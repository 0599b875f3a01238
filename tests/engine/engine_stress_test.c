/* engine_stress_test.c - everything at once: many threads submit, cancel, schedule, complete and
 * look on, and afterwards each admitted task was done once, reclaimed once, and had an end that
 * fits its life.
 * FW_SEED repeats a run's choices, FW_STRESS_SECONDS sets how long it goes on.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "engine/engine.h"

enum { SUBMITTERS = 2, RUNNERS = 2, KEYS = 512, POST = 256, SPAN = 64 };

typedef struct arena arena;

/* Payload of a task; the rest is filled with a pattern that is checked at every meeting. */
typedef struct life {
    arena *a;
    uint64_t dice;
    fw_atomic(unsigned) runs, dones;
    uint64_t check; /* written last: ~dice */
} life;

typedef struct letter {
    fw_task *task;
    unsigned attempt;
} letter;

struct arena {
    fw_engine *engine;
    int64_t until_ns;
    fw_atomic(uint64_t) seed;
    /* Each task's life is counted at each station. */
    fw_atomic(uint64_t) admitted, met, done, reclaimed, cancelled, retried, posted, completed;
    fw_atomic(uint64_t) ends[FW_UNKNOWN], whys[FW_ENDED_BY_OWNER + 1];
    /* Pending runs on their way to the completer. */
    fw_atomic(void *) post[POST];
    fw_atomic(bool) closing;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static life *life_of(fw_task *task)
{
    life *l = (void *)task->payload;
    assert_int_equal(l->check, ~l->dice);
    return l;
}

/* Hands a pending run to the completer; false: the post is full. */
static bool post(arena *a, fw_task *task, unsigned from)
{
    letter *l = malloc(sizeof *l);
    *l = (letter){task, fw_load_relaxed(&task->attempt)};
    for (unsigned i = 0; i < POST; i++) {
        void *expected = NULL;
        if (fw_cas_seq_cst(&a->post[(from + i) % POST], &expected, l)) {
            fw_add_relaxed(&a->posted, 1); /* relaxed, here and below: figures */
            return true;
        }
    }
    free(l);
    return false;
}

static fw_run run(void *context, fw_task *task, unsigned thread)
{
    arena *a = context;
    life *l = life_of(task);
    (void)thread;
    unsigned turn = fw_add_relaxed(&l->runs, 1);
    switch ((l->dice >> (turn % 4 * 4)) % 16) {
    case 0:
        return FW_RUN_FAILURE;
    case 1:
        return post(a, task, (unsigned)l->dice) ? FW_RUN_PENDING : FW_RUN_SUCCESS;
    case 2:
        fw_engine_complete_attempt(a->engine, task, fw_load_relaxed(&task->attempt),
                                   l->dice & 1024);
        return FW_RUN_PENDING;
    case 3:
        for (int64_t end_ns = fw_now_ns() + 200 * FW_NS_PER_US; fw_now_ns() < end_ns;)
            if (fw_task_cancel_requested(task))
                return FW_RUN_FAILURE;
        return FW_RUN_SUCCESS;
    default:
        return FW_RUN_SUCCESS;
    }
}

static void done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    arena *a = context;
    life *l = life_of(task);
    fw_state state = fw_task_state(task);
    assert_int_equal(fw_add_seq_cst(&l->dones, 1), 0);
    int64_t started = fw_load_relaxed(&task->started_wall_ns);
    assert_true(ended_ns >= started);
    assert_true(why != FW_ENDED_BY_RUN || started > 0);
    assert_true((why == FW_ENDED_BY_CANCEL) == (state == FW_CANCELLED));
    assert_true(why != FW_ENDED_BY_DEADLINE || state == FW_FAILURE);
    /* Not too early; the wall clock may be moved a little meanwhile. */
    int64_t ran_ns = ended_ns - started;
    assert_true(why != FW_ENDED_BY_DEADLINE || ran_ns > task->timeout_ns - FW_NS_PER_MS / 2);
    fw_add_relaxed(&a->ends[state], 1);
    fw_add_relaxed(&a->whys[why], 1);
    fw_add_relaxed(&a->done, 1);
}

static int64_t again(void *context, fw_task *task, int why)
{
    arena *a = context;
    const life *l = life_of(task);
    (void)why;
    unsigned attempt = fw_load_relaxed(&task->attempt);
    if (attempt > (l->dice >> 32) % 4)
        return 0;
    fw_add_relaxed(&a->retried, 1);
    return fw_now_ns() + (int64_t)((l->dice >> 36) % 3) * FW_NS_PER_MS;
}

static void reclaim(void *context, fw_task *task)
{
    arena *a = context;
    life *l = life_of(task);
    assert_int_equal(fw_load_seq_cst(&l->dones), 1);
    l->check = 0;
    fw_add_seq_cst(&a->reclaimed, 1);
}

/* A task of random nature, admitted; NULL: refused, or the key is alive. */
static fw_task *admit(arena *a, uint64_t *seed, bool *scheduled)
{
    size_t extra = next_random(seed) % 32 ? next_random(seed) % 200 : 6000;
    fw_task *task = fw_engine_alloc(a->engine, sizeof(life) + extra);
    if (!task) {
        assert_int_equal(fw_engine_refusal(), -FW_EFULL);
        fw_rcu_flush();
        sched_yield();
        return NULL;
    }
    life *l = (void *)task->payload;
    memset(l, 0, sizeof *l);
    *l = (life){.a = a, .dice = next_random(seed)};
    l->check = ~l->dice;
    uint64_t number = next_random(seed) % KEYS;
    task->key = (fw_key){number, number * 3};
    task->level = (uint8_t)(number % FW_LEVELS);
    task->created_wall_ns = fw_wall_ns();
    if (l->dice >> 48 & 1)
        task->timeout_ns = (int64_t)(l->dice >> 49 & 1023) * FW_NS_PER_US * 10 + 1000;
    *scheduled = (l->dice >> 60) % 8 == 0;
    fw_rcu_read_lock();
    fw_task *other = fw_engine_admit(a->engine, task, *scheduled);
    if (other != task) {
        (void)life_of(other);
        fw_rcu_read_unlock();
        fw_engine_abandon(a->engine, task);
        fw_add_relaxed(&a->met, 1);
        return NULL;
    }
    fw_rcu_read_unlock();
    fw_add_relaxed(&a->admitted, 1);
    return task;
}

static void *submit(void *argument)
{
    arena *a = argument;
    uint64_t seed = fw_add_relaxed(&a->seed, 0x9e3779b9) | 1; /* relaxed: only makes them differ */
    fw_task *batch[SPAN];
    while (fw_now_ns() < a->until_ns) {
        unsigned count = 0, level = 0;
        for (unsigned i = 0; i < SPAN; i++) {
            bool scheduled;
            fw_task *task = admit(a, &seed, &scheduled);
            if (!task)
                continue;
            if (scheduled) {
                int64_t away = (int64_t)(next_random(&seed) % 64) * FW_NS_PER_MS / 16;
                fw_engine_schedule(a->engine, task, fw_now_ns() + away);
            } else if (next_random(&seed) % 64 == 0) {
                fw_engine_drop(a->engine, task, next_random(&seed) & 1);
            } else if (count == 0 || task->level == level) {
                level = task->level;
                batch[count++] = task;
            } else {
                fw_engine_enqueue(a->engine, (fw_prio)task->level, &task, 1);
            }
        }
        fw_engine_enqueue(a->engine, (fw_prio)level, batch, count);
    }
    fw_rcu_flush();
    return NULL;
}

static bool look(void *context, fw_task *task)
{
    (void)context;
    (void)life_of(task);
    assert_true(fw_task_state(task) < FW_UNKNOWN);
    return true;
}

/* Cancels, looks on, keeps a task for a while. */
static void *meddle(void *argument)
{
    arena *a = argument;
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    fw_task *kept = NULL;
    while (!fw_load_seq_cst(&a->closing)) {
        uint64_t number = next_random(&seed) % KEYS;
        fw_rcu_read_lock();
        fw_task *task = fw_engine_find(a->engine, (fw_key){number, number * 3});
        if (task && next_random(&seed) % 2) {
            if (fw_engine_cancel(a->engine, task) != FW_CANCEL_LATE)
                fw_add_relaxed(&a->cancelled, 1);
        } else if (task && !kept) {
            kept = task;
            fw_task_retain(kept);
        }
        fw_rcu_read_unlock();
        if (kept && next_random(&seed) % 4 == 0) {
            (void)life_of(kept);
            fw_task_release(a->engine, kept);
            kept = NULL;
        }
        if (next_random(&seed) % 256 == 0) {
            fw_engine_each(a->engine, look, NULL);
            fw_engine_stats stats;
            fw_engine_snapshot(a->engine, &stats);
            assert_true(stats.bytes_used <= stats.bytes_max);
            sched_yield();
        }
    }
    if (kept)
        fw_task_release(a->engine, kept);
    fw_rcu_flush();
    return NULL;
}

/* Completes what is in the post, until there is nothing more and nothing will come. */
static void *complete(void *argument)
{
    arena *a = argument;
    uint64_t seed = 12345;
    for (;;) {
        bool closing = fw_load_seq_cst(&a->closing);
        unsigned found = 0;
        for (unsigned i = 0; i < POST; i++) {
            letter *l = fw_swap_seq_cst(&a->post[i], NULL);
            if (!l)
                continue;
            found++;
            fw_engine_complete_attempt(a->engine, l->task, l->attempt, next_random(&seed) % 4);
            fw_add_relaxed(&a->completed, 1);
            free(l);
        }
        if (closing && found == 0)
            break;
        sched_yield();
    }
    fw_rcu_flush();
    return NULL;
}

static void open_arena(arena *a)
{
    const char *seconds = getenv("FW_STRESS_SECONDS"), *seed = getenv("FW_SEED");
    memset(a, 0, sizeof *a);
    fw_engine_config config = {
        .pool = {.threads = RUNNERS, .ring_size = 64, .batch = 16},
        .tasks_max = 5000,
        .bytes_max = 8 << 20,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {
        .context = a, .run = run, .done = done, .again = again, .reclaim = reclaim};
    assert_int_equal(fw_engine_create(&a->engine, &config, &ops), 0);
    fw_store_relaxed(&a->seed, seed ? strtoull(seed, NULL, 0) : (uint64_t)fw_wall_ns());
    a->until_ns = fw_now_ns() + (seconds ? strtol(seconds, NULL, 10) : 2) * FW_NS_PER_S;
    print_message("seed %llu\n", (unsigned long long)fw_load_relaxed(&a->seed));
}

static void everything_at_once(void **state)
{
    (void)state;
    arena *a = malloc(sizeof *a);
    pthread_t submitters[SUBMITTERS], meddler, completer;
    open_arena(a);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        assert_int_equal(pthread_create(&submitters[i], NULL, submit, a), 0);
    assert_int_equal(pthread_create(&meddler, NULL, meddle, a), 0);
    assert_int_equal(pthread_create(&completer, NULL, complete, a), 0);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    assert_int_equal(fw_engine_drain(a->engine, 60 * FW_NS_PER_S), 0);
    fw_store_seq_cst(&a->closing, true);
    pthread_join(meddler, NULL);
    pthread_join(completer, NULL);
    fw_engine_stats stats;
    fw_engine_snapshot(a->engine, &stats);
    uint64_t admitted = fw_load_relaxed(&a->admitted);
    assert_int_equal(stats.live + stats.queued + stats.scheduled + stats.running, 0);
    assert_int_equal(stats.admitted, admitted);
    assert_int_equal(stats.duplicates, fw_load_relaxed(&a->met));
    uint64_t ended = 0;
    for (unsigned i = 0; i < FW_UNKNOWN; i++) {
        assert_int_equal(stats.finished[i], fw_load_relaxed(&a->ends[i]));
        ended += stats.finished[i];
    }
    assert_int_equal(ended, admitted);
    fw_engine_destroy(a->engine);
    assert_int_equal(fw_load_relaxed(&a->done), admitted);
    assert_int_equal(fw_load_seq_cst(&a->reclaimed), admitted);
    assert_int_equal(fw_load_relaxed(&a->posted), fw_load_relaxed(&a->completed));
    print_message("admitted %llu, by run %llu, cancel %llu, deadline %llu, stop %llu, owner %llu; "
                  "retried %llu, posted %llu, met %llu\n",
                  (unsigned long long)admitted,
                  (unsigned long long)fw_load_relaxed(&a->whys[FW_ENDED_BY_RUN]),
                  (unsigned long long)fw_load_relaxed(&a->whys[FW_ENDED_BY_CANCEL]),
                  (unsigned long long)fw_load_relaxed(&a->whys[FW_ENDED_BY_DEADLINE]),
                  (unsigned long long)fw_load_relaxed(&a->whys[FW_ENDED_BY_STOP]),
                  (unsigned long long)fw_load_relaxed(&a->whys[FW_ENDED_BY_OWNER]),
                  (unsigned long long)fw_load_relaxed(&a->retried),
                  (unsigned long long)fw_load_relaxed(&a->posted),
                  (unsigned long long)fw_load_relaxed(&a->met));
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
