/* limits_crowd.h - several threads that submit, run, complete, and places that come and go, for the
 * stress tests of limits: what a test counts and changes meanwhile is in its table of calls.
 *
 * FW_SEED repeats a run's choices, FW_STRESS_TASKS sets how many tasks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_ENGINE_LIMITS_CROWD_H
#define FW_TESTS_ENGINE_LIMITS_CROWD_H

#include <pthread.h>

#include "dispatch_case.h"

#include "engine/limits.h"

enum { SUBMITTERS = 2, COMPLETERS = 2 };

typedef struct letter {
    struct letter *next;
    uint32_t number;
    uint64_t lease;
} letter;

typedef struct desk_number {
    fw_atomic(unsigned) gone;
    uint32_t number;
} desk_number;

struct crowd;
typedef struct crowd_calls {
    size_t payload_bytes;
    unsigned live_max, names;
    const uint32_t *desk_names; /* what half of the places know, the others know all */
    size_t desk_name_count;
    /* Name and payload of the submitter's i-th task. */
    void (*fill)(fw_task *task, uint32_t who, uint32_t i, uint64_t dice);
    /* Around each run. */
    void (*begin)(struct crowd *c, fw_task *task);
    void (*end)(struct crowd *c, fw_task *task);
    /* While tasks still come; and when all have come, if not NULL. */
    void (*meddle)(struct crowd *c, uint64_t dice);
    void (*let_go)(struct crowd *c);
} crowd_calls;

typedef struct crowd {
    const crowd_calls *calls;
    fw_engine *engine;
    unsigned tasks; /* of each submitter */
    fw_atomic(uint64_t) seed;
    pthread_mutex_t lock;
    letter *post;                                         /* under the lock */
    fw_atomic(unsigned) submitted, dones, reclaims, over; /* over: more ran than may */
    fw_atomic(bool) closing;
} crowd;

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint64_t new_seed(crowd *c)
{
    uint64_t seed = fw_add_seq_cst(&c->seed, 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    (void)next_random(&seed);
    return seed;
}

/* --- the engine's calls --- */

static inline fw_run crowd_run(void *context, fw_task *task, unsigned thread)
{
    crowd *c = context;
    (void)thread;
    c->calls->begin(c, task);
    for (unsigned i = 0; i < task->key.low % 4; i++)
        sched_yield();
    c->calls->end(c, task);
    return task->key.low % 9 ? FW_RUN_SUCCESS : FW_RUN_FAILURE;
}

static inline void crowd_done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    crowd *c = context;
    (void)task;
    (void)why;
    (void)ended_ns;
    fw_add_seq_cst(&c->dones, 1);
}

static inline void crowd_reclaim(void *context, fw_task *task)
{
    crowd *c = context;
    (void)task;
    fw_add_seq_cst(&c->reclaims, 1);
}

static inline void crowd_deliver(void *context, void *place_owner, const fw_handout *handouts,
                                 size_t count)
{
    crowd *c = context;
    (void)place_owner;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        letter *l = malloc(sizeof *l);
        *l = (letter){c->post, (uint32_t)(handouts[i].lease >> 47) & FW_PLACES_MAX,
                      handouts[i].lease};
        c->post = l;
    }
    pthread_mutex_unlock(&c->lock);
}

static inline fw_loss crowd_lost(void *context, fw_task *task, void *place_owner)
{
    (void)context;
    (void)task;
    (void)place_owner;
    return FW_LOSS_AGAIN;
}

static inline void crowd_gone(void *context, void *place_owner)
{
    (void)context;
    desk_number *d = place_owner;
    fw_add_seq_cst(&d->gone, 1);
}

/* --- the threads --- */

typedef struct submitter {
    crowd *crowd;
    uint32_t number;
} submitter;

static inline void *crowd_submit(void *argument)
{
    const submitter *me = argument;
    crowd *c = me->crowd;
    uint64_t seed = new_seed(c);
    for (uint32_t i = 0; i < c->tasks; i++) {
        unsigned number = fw_add_seq_cst(&c->submitted, 1);
        wait_until(number < fw_load_seq_cst(&c->dones) + c->calls->live_max);
        fw_task *task;
        wait_until((task = fw_engine_alloc(c->engine, c->calls->payload_bytes)));
        task->key = probe_key(number + 1);
        task->created_wall_ns = fw_wall_ns();
        task->level = (uint8_t)(next_random(&seed) % FW_LEVELS);
        c->calls->fill(task, me->number, i, next_random(&seed));
        fw_rcu_read_lock();
        assert_ptr_equal(fw_engine_admit(c->engine, task, false), task);
        fw_rcu_read_unlock();
        fw_engine_enqueue(c->engine, (fw_prio)task->level, &task, 1);
    }
    fw_rcu_flush();
    return NULL;
}

static inline void deal_with(crowd *c, const letter *l, uint64_t dice)
{
    fw_task *task = fw_dispatch_claim(c->engine, l->number, l->lease);
    if (!task)
        return;
    c->calls->begin(c, task);
    if (dice % 4 == 0)
        sched_yield();
    c->calls->end(c, task);
    if (dice % 16 == 0)
        fw_dispatch_return(c->engine, task, l->lease, false);
    else
        fw_dispatch_end(c->engine, task, l->lease, dice % 16 != 1, 1000);
}

static inline void *crowd_complete(void *argument)
{
    crowd *c = argument;
    uint64_t seed = new_seed(c);
    for (;;) {
        bool closing = fw_load_seq_cst(&c->closing);
        pthread_mutex_lock(&c->lock);
        letter *l = c->post;
        if (l)
            c->post = l->next;
        pthread_mutex_unlock(&c->lock);
        if (l)
            deal_with(c, l, next_random(&seed) >> 8);
        if (!l && closing)
            break;
        if (!l || next_random(&seed) % 4 == 0)
            fw_dispatch_flush(c->engine);
        if (!l)
            sched_yield();
        free(l);
    }
    fw_rcu_flush();
    return NULL;
}

/* Ends any task of the last few hundred, one way or another. */
static inline void end_one(crowd *c, uint64_t dice, bool cancel)
{
    unsigned number = fw_load_seq_cst(&c->submitted);
    if (number == 0)
        return;
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(c->engine, probe_key(number - (dice >> 16) % 500));
    if (task && cancel)
        (void)fw_engine_cancel(c->engine, task);
    else if (task)
        (void)fw_engine_withdraw(c->engine, task);
    fw_rcu_read_unlock();
}

static inline void come(crowd *c, desk_number *d, uint64_t dice)
{
    fw_place_config config = {.owner = d,
                              .names = c->calls->desk_names,
                              .name_count = c->calls->desk_name_count,
                              .any = dice & 1,
                              .levels = EVERY_LEVEL,
                              .slots = 1 + (unsigned)(dice >> 8) % 16,
                              .prefetch = dice >> 16 & 1};
    assert_int_equal(fw_dispatch_attach(c->engine, &d->number, &config), 0);
}

static inline void churn(crowd *c)
{
    enum { COMINGS = 200 };
    static desk_number desks[COMINGS];
    unsigned tasks = SUBMITTERS * c->tasks, coming = 0, going = 0;
    uint64_t seed = new_seed(c);
    memset(desks, 0, sizeof desks);
    while (fw_load_seq_cst(&c->dones) < tasks) {
        uint64_t dice = next_random(&seed);
        bool all_in = fw_load_seq_cst(&c->submitted) >= tasks;
        if (dice % 16 == 0 && coming < COMINGS && coming < going + 3)
            come(c, &desks[coming++], next_random(&seed));
        else if (dice % 16 == 1 && coming > going)
            fw_dispatch_detach(c->engine, desks[going++].number);
        else if (!all_in)
            c->calls->meddle(c, next_random(&seed));
        if (all_in && c->calls->let_go)
            c->calls->let_go(c);
        for (unsigned i = 0; i < 5; i++)
            sched_yield();
    }
    while (going < coming)
        fw_dispatch_detach(c->engine, desks[going++].number);
    for (unsigned i = 0; i < coming; i++)
        wait_until(fw_load_seq_cst(&desks[i].gone) == 1);
    print_message("places: %u\n", coming);
}

static inline void open_crowd(crowd *c, const crowd_calls *calls)
{
    const char *seed = getenv("FW_SEED"), *tasks = getenv("FW_STRESS_TASKS");
    *c = (crowd){.calls = calls, .lock = PTHREAD_MUTEX_INITIALIZER};
    fw_store_relaxed(&c->seed, seed ? strtoull(seed, NULL, 0) : (uint64_t)fw_wall_ns());
    print_message("seed %llu\n", (unsigned long long)fw_load_relaxed(&c->seed));
    c->tasks = tasks ? (unsigned)strtoul(tasks, NULL, 10) : 15000;
    fw_engine_config config = {
        .pool = {.threads = 4, .ring_size = 64, .batch = 8, .policy = FW_POLICY_STRICT},
        .tasks_max = 100000,
        .bytes_max = (size_t)64 << 20,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {
        .context = c, .run = crowd_run, .done = crowd_done, .reclaim = crowd_reclaim};
    assert_int_equal(fw_engine_create(&c->engine, &config, &ops), 0);
    fw_dispatch_config dispatch = {.local = true, .prefetch = -1, .window_max = 256};
    fw_dispatch_ops places = {c, crowd_deliver, crowd_lost, crowd_gone};
    assert_int_equal(fw_dispatch_init(c->engine, &dispatch, &places), 0);
    for (uint32_t name = 0; name < calls->names; name++)
        assert_int_equal(fw_dispatch_local_name(c->engine, name), 0);
}

/* All of it, until every thread has ended. */
static inline void run_crowd(crowd *c)
{
    pthread_t threads[SUBMITTERS + COMPLETERS];
    submitter submitters[SUBMITTERS];
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (submitter){c, i};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_submit, &submitters[i]), 0);
    }
    for (unsigned i = SUBMITTERS; i < SUBMITTERS + COMPLETERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_complete, c), 0);
    churn(c);
    fw_store_seq_cst(&c->closing, true);
    for (unsigned i = 0; i < SUBMITTERS + COMPLETERS; i++)
        pthread_join(threads[i], NULL);
}

static inline void close_crowd(crowd *c)
{
    fw_engine_destroy(c->engine);
    assert_int_equal(fw_load_seq_cst(&c->over), 0);
    assert_int_equal(fw_load_seq_cst(&c->dones), SUBMITTERS * c->tasks);
    assert_int_equal(fw_load_seq_cst(&c->reclaims), SUBMITTERS * c->tasks);
}

#endif
