/* dispatch_stress_test.c - many submit, places come, pause and go, results, failures, returns and
 * refusals come back from several threads, tasks are cancelled and expire: afterwards each task was
 * done once and reclaimed once, and nothing waits or is in hand (D1, D2, D3 of engine/dispatch.h).
 * FW_SEED repeats a run's choices; it goes on for FW_STRESS_SECONDS or FW_STRESS_TASKS.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "dispatch_case.h"

enum { SUBMITTERS = 2, COMPLETERS = 2, PLACES = 6, NAMES = 8, LOCAL_NAMES = 4, LIVE_MAX = 1000 };

typedef struct spot {
    struct spot *next; /* of all that ever came */
    fw_atomic(unsigned) gone;
    uint32_t number;
} spot;

typedef struct letter {
    struct letter *next;
    uint32_t number;
    uint64_t lease;
} letter;

typedef struct fair {
    probe p;
    bool local;
    unsigned tasks; /* of each submitter */
    probe_record *records;
    fw_atomic(uint64_t) seed;
    pthread_mutex_t lock;
    letter *post; /* under the lock */
    int64_t until_ns;
    fw_atomic(unsigned) submitted, submitting;
    fw_atomic(bool) closing;
} fair;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t new_seed(fair *f)
{
    uint64_t seed = fw_add_seq_cst(&f->seed, 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    (void)next_random(&seed);
    return seed;
}

static void deliver(void *context, void *place_owner, const fw_handout *handouts, size_t count)
{
    fair *f = context;
    const spot *s = place_owner;
    assert_int_equal(fw_load_seq_cst(&s->gone), 0);
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < count; i++) {
        letter *l = malloc(sizeof *l);
        /* The place's number is in its lease: its attach may not have returned yet. */
        *l = (letter){f->post, (uint32_t)(handouts[i].lease >> 47) & FW_PLACES_MAX,
                      handouts[i].lease};
        f->post = l;
    }
    pthread_mutex_unlock(&f->lock);
}

static fw_loss lost(void *context, fw_task *task, void *place_owner)
{
    (void)context;
    (void)place_owner;
    /* Every other key: as one that had not begun, which may come again without end. */
    if (task->key.low % 2 == 0)
        return FW_LOSS_UNRUN;
    return fw_load_relaxed(&task->attempt) < 4 ? FW_LOSS_AGAIN : FW_LOSS_ENDS;
}

static void gone(void *context, void *place_owner)
{
    (void)context;
    spot *s = place_owner;
    fw_add_seq_cst(&s->gone, 1);
}

static void *submit(void *argument)
{
    fair *f = argument;
    uint64_t seed = new_seed(f);
    for (unsigned i = 0; i < f->tasks && fw_now_ns() < f->until_ns; i++) {
        unsigned number = fw_add_seq_cst(&f->submitted, 1);
        probe_record *record = &f->records[number];
        record->again_max = (unsigned)(next_random(&seed) % 2);
        wait_until(number < fw_load_seq_cst(&f->p.dones) + LIVE_MAX);
        fw_task *task;
        wait_until((task = probe_task(&f->p, record, number + 1,
                                      next_random(&seed) % 8 ? WAY_SUCCEED : WAY_FAIL)));
        task->level = (uint8_t)(next_random(&seed) % FW_LEVELS);
        task->name = (uint32_t)(next_random(&seed) % NAMES);
        probe_submit(&f->p, task);
    }
    fw_sub_seq_cst(&f->submitting, 1);
    fw_rcu_flush();
    return NULL;
}

static void deal_with(fair *f, const letter *l, uint64_t dice)
{
    fw_engine *engine = f->p.engine;
    fw_task *task = fw_dispatch_claim(engine, l->number, l->lease);
    if (!task)
        return;
    assert_null(fw_dispatch_claim(engine, l->number, l->lease));
    int64_t ran_ns = (int64_t)1 << (dice >> 8) % 24;
    unsigned what = dice % 32;
    if (what < 2)
        fw_dispatch_return(engine, task, l->lease, false);
    else if (what == 2)
        fw_dispatch_return(engine, task, l->lease, true);
    else if (what == 3)
        fw_dispatch_lose(engine, task, l->lease);
    else
        fw_dispatch_end(engine, task, l->lease, what < 28, ran_ns);
}

static void *complete(void *argument)
{
    fair *f = argument;
    uint64_t seed = new_seed(f);
    for (;;) {
        bool closing = fw_load_seq_cst(&f->closing);
        pthread_mutex_lock(&f->lock);
        letter *l = f->post;
        if (l)
            f->post = l->next;
        pthread_mutex_unlock(&f->lock);
        if (l)
            deal_with(f, l, next_random(&seed));
        if (!l && closing)
            break;
        if (!l || next_random(&seed) % 4 == 0)
            fw_dispatch_flush(f->p.engine);
        if (!l)
            sched_yield();
        free(l);
    }
    /* What was dealt with last is told to nobody yet. */
    fw_dispatch_flush(f->p.engine);
    fw_rcu_flush();
    return NULL;
}

static void attach(fair *f, spot *s, uint64_t dice, bool everything)
{
    uint32_t names[NAMES];
    size_t count = 0;
    for (uint32_t name = 0; name < NAMES; name++)
        if (dice >> name & 1)
            names[count++] = name;
    fw_place_config config = {.owner = s,
                              .names = names,
                              .name_count = count,
                              .any = everything || dice >> 20 & 1,
                              .levels = EVERY_LEVEL,
                              .slots = 1 + (unsigned)(dice >> 24) % 8,
                              .prefetch = dice >> 32 & 1};
    if (everything)
        config.slots = 64;
    if (!everything && dice >> 36 & 1)
        config.levels = 1u << (dice >> 40) % FW_LEVELS;
    assert_int_equal(fw_dispatch_attach(f->p.engine, &s->number, &config), 0);
}

static bool look(void *context, fw_task *task, uint64_t lease, int64_t given_ns)
{
    fair *f = context;
    uint32_t place = 0;
    assert_true(given_ns > 0);
    uint64_t found = fw_dispatch_lease_of(task, &place);
    assert_true(found != lease || place > 0);
    if (lease % 16 == 0)
        fw_dispatch_expire(f->p.engine, task, lease);
    return true;
}

static void meddle_with(fair *f, spot *s, uint64_t dice)
{
    unsigned number = fw_load_seq_cst(&f->submitted);
    if (dice % 4 == 0)
        fw_dispatch_pause(f->p.engine, s->number, true);
    if (dice % 4 == 1)
        fw_dispatch_pause(f->p.engine, s->number, false);
    if (dice % 4 == 2)
        fw_dispatch_each(f->p.engine, s->number, look, f);
    if (number > 0)
        (void)probe_cancel(&f->p, number - (dice >> 8) % 500);
    fw_place_stats place;
    assert_true(fw_dispatch_place_snapshot(f->p.engine, s->number, &place));
    fw_dispatch_stats stats;
    fw_dispatch_snapshot(f->p.engine, &stats);
    assert_true(stats.given >= stats.in_hand);
}

static spot *come(fair *f, spot **all, uint64_t dice, bool everything)
{
    spot *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->next = *all;
    *all = s;
    attach(f, s, dice, everything);
    return s;
}

/* Lets the others go on, for a while. */
static void give_way(fair *f)
{
    unsigned before = fw_load_seq_cst(&f->p.dones);
    for (unsigned i = 0; i < 100 && fw_load_seq_cst(&f->p.dones) == before; i++)
        sched_yield();
}

static void await_gone(spot *all)
{
    unsigned count = 0;
    while (all) {
        spot *s = all;
        all = s->next;
        wait_until(fw_load_seq_cst(&s->gone) == 1);
        free(s);
        count++;
    }
    print_message("places: %u\n", count);
}

/* Places come and go while there are tasks; in the end there is one that takes everything. It may
 * refuse a name; then another one comes after it. */
static void churn(fair *f)
{
    uint64_t seed = new_seed(f);
    spot *present[PLACES] = {0}, *all = NULL;
    while (fw_load_seq_cst(&f->submitting) > 0) {
        uint64_t dice = next_random(&seed);
        spot **s = &present[(dice >> 50) % PLACES];
        if (!*s) {
            *s = come(f, &all, next_random(&seed), false);
        } else if (dice % 8 == 0) {
            fw_dispatch_detach(f->p.engine, (*s)->number);
            *s = NULL;
        } else {
            meddle_with(f, *s, dice >> 4);
        }
        give_way(f);
    }
    for (unsigned i = 0; i < PLACES; i++)
        if (present[i])
            fw_dispatch_detach(f->p.engine, present[i]->number);
    unsigned tasks = fw_load_seq_cst(&f->submitted);
    while (fw_load_seq_cst(&f->p.dones) < tasks) {
        spot *last = come(f, &all, 0, true);
        for (unsigned i = 0; i < 100 && fw_load_seq_cst(&f->p.dones) < tasks; i++)
            give_way(f);
        fw_dispatch_detach(f->p.engine, last->number);
    }
    fw_store_seq_cst(&f->closing, true);
    await_gone(all);
}

static void open_fair(fair *f, bool local)
{
    const char *seed = getenv("FW_SEED"), *tasks = getenv("FW_STRESS_TASKS"),
               *seconds = getenv("FW_STRESS_SECONDS");
    *f = (fair){.local = local, .lock = PTHREAD_MUTEX_INITIALIZER};
    fw_store_relaxed(&f->seed, seed ? strtoull(seed, NULL, 0) : (uint64_t)fw_wall_ns());
    print_message("seed %llu\n", (unsigned long long)fw_load_relaxed(&f->seed));
    f->tasks = tasks ? (unsigned)strtoul(tasks, NULL, 10) : 15000;
    f->until_ns = fw_now_ns() + (seconds ? strtol(seconds, NULL, 10) : 2) * FW_NS_PER_S;
    fw_store_relaxed(&f->submitting, SUBMITTERS);
    f->records = calloc(SUBMITTERS * f->tasks, sizeof *f->records);
    assert_non_null(f->records);
    probe_open(&f->p, 2);
    fw_dispatch_config config = {.local = local, .prefetch = -1, .window_max = 256};
    fw_dispatch_ops ops = {f, deliver, lost, gone};
    assert_int_equal(fw_dispatch_init(f->p.engine, &config, &ops), 0);
    for (uint32_t name = 0; name < LOCAL_NAMES; name++)
        assert_int_equal(fw_dispatch_local_name(f->p.engine, name), 0);
}

static void everything_at_once(bool local)
{
    fair f;
    pthread_t threads[SUBMITTERS + COMPLETERS];
    open_fair(&f, local);
    for (unsigned i = 0; i < SUBMITTERS + COMPLETERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < SUBMITTERS ? submit : complete, &f),
                         0);
    churn(&f);
    for (unsigned i = 0; i < SUBMITTERS + COMPLETERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(f.post);
    assert_int_equal(fw_engine_drain(f.p.engine, 60 * FW_NS_PER_S), 0);
    fw_engine_stats stats;
    fw_engine_snapshot(f.p.engine, &stats);
    assert_int_equal(stats.live + stats.queued + stats.running + stats.scheduled, 0);
    fw_dispatch_stats dispatch;
    fw_dispatch_snapshot(f.p.engine, &dispatch);
    assert_int_equal(dispatch.in_hand, 0);
    assert_int_equal(dispatch.places, 0);
    unsigned submitted = fw_load_seq_cst(&f.submitted);
    for (unsigned i = 0; i < submitted; i++)
        assert_int_equal(probe_dones(&f.records[i]), 1);
    probe_close(&f.p);
    assert_int_equal(fw_load_seq_cst(&f.p.reclaims), submitted);
    free(f.records);
}

static void elsewhere_only(void **state)
{
    (void)state;
    everything_at_once(false);
}

static void with_the_own_pool(void **state)
{
    (void)state;
    everything_at_once(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elsewhere_only),
        cmocka_unit_test(with_the_own_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
