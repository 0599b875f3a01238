/* limits_keys_stress_test.c - several threads submit, run, complete, cancel, set limits per key and
 * pause, at the own pool and at places elsewhere that come and go: never do more of a key run than
 * its limit says, tasks of a key that run one by one run in their order, every task is done once,
 * and no key is left. Also covers engine/limits_table.c. FW_SEED repeats a run's choices,
 * FW_STRESS_TASKS sets how many tasks. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "dispatch_case.h"

#include "engine/limits.h"

/* Of each key of names 0 to 2 one, two, one may run at once, that stays; of name 2 no more than
 * three at all; of name 3 it changes all the time. */
enum { SUBMITTERS = 2, COMPLETERS = 2, NAMES = 4, FIXED = 3, KEYS = 24, LIVE_MAX = 1000 };

typedef struct content {
    uint32_t submitter, number; /* of the submitter */
    uint32_t key;               /* 0: none */
    char text[8];
} content;

typedef struct letter {
    struct letter *next;
    uint32_t number;
    uint64_t lease;
} letter;

typedef struct desk_number {
    fw_atomic(unsigned) gone;
    uint32_t number;
} desk_number;

typedef struct crowd {
    fw_engine *engine;
    unsigned tasks; /* of each submitter */
    fw_atomic(uint64_t) seed;
    pthread_mutex_t lock;
    letter *post; /* under the lock */
    fw_atomic(unsigned) submitted, dones, reclaims;
    fw_atomic(unsigned) over, disorder; /* more ran than may; or too early */
    fw_atomic(unsigned) running[NAMES][KEYS], of_name;
    fw_atomic(uint32_t) latest[KEYS][FW_LEVELS][SUBMITTERS]; /* of name 0: the last that began */
    fw_atomic(bool) closing;
} crowd;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t new_seed(crowd *c)
{
    uint64_t seed = fw_add_seq_cst(&c->seed, 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    (void)next_random(&seed);
    return seed;
}

static content *content_of(fw_task *task)
{
    return (void *)task->payload;
}

static fw_span key_of(void *context, fw_task *task)
{
    const content *of = content_of(task);
    (void)context;
    return (fw_span){of->text, strlen(of->text)};
}

static void begin(crowd *c, fw_task *task)
{
    static const unsigned most[FIXED] = {1, 2, 1};
    const content *of = content_of(task);
    unsigned running = fw_add_seq_cst(&c->running[task->name][of->key], 1) + 1;
    if (task->name < FIXED && of->key > 0 && running > most[task->name])
        fw_add_seq_cst(&c->over, 1);
    if (task->name == 2 && fw_add_seq_cst(&c->of_name, 1) + 1 > 3)
        fw_add_seq_cst(&c->over, 1);
    if (task->name != 0 || of->key == 0)
        return;
    fw_atomic(uint32_t) *latest = &c->latest[of->key][task->level][of->submitter];
    /* One that is given back comes again. */
    if (of->number < fw_load_seq_cst(latest))
        fw_add_seq_cst(&c->disorder, 1);
    fw_store_seq_cst(latest, of->number);
}

static void end(crowd *c, const fw_task *task, uint32_t key)
{
    if (task->name == 2)
        fw_sub_seq_cst(&c->of_name, 1);
    fw_sub_seq_cst(&c->running[task->name][key], 1);
}

static fw_run run(void *context, fw_task *task, unsigned thread)
{
    crowd *c = context;
    (void)thread;
    begin(c, task);
    for (unsigned i = 0; i < task->key.low % 4; i++)
        sched_yield();
    end(c, task, content_of(task)->key);
    return task->key.low % 9 ? FW_RUN_SUCCESS : FW_RUN_FAILURE;
}

static void done(void *context, fw_task *task, int why)
{
    crowd *c = context;
    (void)task;
    (void)why;
    fw_add_seq_cst(&c->dones, 1);
}

static void reclaim(void *context, fw_task *task)
{
    crowd *c = context;
    (void)task;
    fw_add_seq_cst(&c->reclaims, 1);
}

static void deliver(void *context, void *place_owner, const fw_handout *handouts, size_t count)
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

static bool lost(void *context, fw_task *task, void *place_owner)
{
    (void)context;
    (void)task;
    (void)place_owner;
    return true;
}

static void gone(void *context, void *place_owner)
{
    (void)context;
    desk_number *d = place_owner;
    fw_add_seq_cst(&d->gone, 1);
}

typedef struct submitter {
    crowd *crowd;
    uint32_t number;
} submitter;

static void *submit(void *argument)
{
    const submitter *me = argument;
    crowd *c = me->crowd;
    uint64_t seed = new_seed(c);
    for (uint32_t i = 0; i < c->tasks; i++) {
        unsigned number = fw_add_seq_cst(&c->submitted, 1);
        wait_until(number < fw_load_seq_cst(&c->dones) + LIVE_MAX);
        fw_task *task;
        wait_until((task = fw_engine_alloc(c->engine, sizeof(content))));
        uint64_t dice = next_random(&seed);
        task->key = probe_key(number + 1);
        task->created_wall_ns = fw_wall_ns();
        task->level = (uint8_t)(dice % FW_LEVELS);
        task->name = (uint16_t)((dice >> 8) % NAMES);
        content *of = content_of(task);
        *of = (content){me->number, i + 1, (uint32_t)((dice >> 16) % KEYS), ""};
        if (of->key > 0)
            snprintf(of->text, sizeof of->text, "k%u", of->key);
        fw_rcu_read_lock();
        assert_ptr_equal(fw_engine_admit(c->engine, task, false), task);
        fw_rcu_read_unlock();
        fw_engine_enqueue(c->engine, (fw_prio)task->level, &task, 1);
    }
    fw_rcu_flush();
    return NULL;
}

static void deal_with(crowd *c, const letter *l, uint64_t dice)
{
    fw_task *task = fw_dispatch_claim(c->engine, l->number, l->lease);
    if (!task)
        return;
    begin(c, task);
    if (dice % 4 == 0)
        sched_yield();
    end(c, task, content_of(task)->key);
    if (dice % 16 == 0)
        fw_dispatch_return(c->engine, task, l->lease, false);
    else
        fw_dispatch_end(c->engine, task, l->lease, dice % 16 != 1, 1000);
}

static void *complete(void *argument)
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

static bool look(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_in_range(view->name, 0, NAMES - 1);
    assert_in_range(view->keys, 0, KEYS);
    return true;
}

static void meddle(crowd *c, uint64_t dice)
{
    unsigned number = fw_load_seq_cst(&c->submitted);
    int64_t soon_ns = fw_now_ns() + (int64_t)(dice >> 40) % FW_NS_PER_MS;
    switch (dice >> 8 & 7) {
    case 0:
    case 1:
        assert_int_equal(fw_limit_set_keys(c->engine, 3, dice >> 16 & 3,
                                           dice & 1 << 20 ? 100000 : 0, dice >> 24 & 15),
                         0);
        break;
    case 2:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_NAME, dice >> 16 & 3, soon_ns), 0);
        break;
    case 3:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_LEVEL, dice >> 16 & 3, soon_ns), 0);
        break;
    case 4:
        assert_int_equal(fw_limit_set(c->engine, 3, dice >> 16 & 3, dice & 1 << 20 ? 100000 : 0, 0),
                         0);
        break;
    default:
        fw_limit_each(c->engine, look, c);
        if (number > 0) {
            fw_rcu_read_lock();
            fw_task *task = fw_engine_find(c->engine, probe_key(number - (dice >> 16) % 500));
            if (task && dice & 1 << 20)
                (void)fw_engine_cancel(c->engine, task);
            else if (task)
                (void)fw_engine_withdraw(c->engine, task);
            fw_rcu_read_unlock();
        }
    }
}

/* A place for any name, or for half of them. */
static void come(crowd *c, desk_number *d, uint64_t dice)
{
    static const uint32_t names[] = {0, 2};
    fw_place_config config = {.owner = d,
                              .names = names,
                              .name_count = 2,
                              .any = dice & 1,
                              .levels = EVERY_LEVEL,
                              .slots = 1 + (unsigned)(dice >> 8) % 16,
                              .prefetch = dice >> 16 & 1};
    assert_int_equal(fw_dispatch_attach(c->engine, &d->number, &config), 0);
}

static void churn(crowd *c)
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
            meddle(c, next_random(&seed));
        for (unsigned i = 0; i < 5; i++)
            sched_yield();
    }
    while (going < coming)
        fw_dispatch_detach(c->engine, desks[going++].number);
    for (unsigned i = 0; i < coming; i++)
        wait_until(fw_load_seq_cst(&desks[i].gone) == 1);
    print_message("places: %u\n", coming);
}

static void open_crowd(crowd *c)
{
    static const uint32_t most[FIXED] = {1, 2, 1};
    const char *seed = getenv("FW_SEED"), *tasks = getenv("FW_STRESS_TASKS");
    *c = (crowd){.lock = PTHREAD_MUTEX_INITIALIZER};
    fw_store_relaxed(&c->seed, seed ? strtoull(seed, NULL, 0) : (uint64_t)fw_wall_ns());
    print_message("seed %llu\n", (unsigned long long)fw_load_relaxed(&c->seed));
    c->tasks = tasks ? (unsigned)strtoul(tasks, NULL, 10) : 15000;
    fw_engine_config config = {
        .pool = {.threads = 4, .ring_size = 64, .batch = 8, .policy = FW_POLICY_STRICT},
        .tasks_max = 100000,
        .bytes_max = (size_t)64 << 20,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {.context = c, .run = run, .done = done, .reclaim = reclaim};
    assert_int_equal(fw_engine_create(&c->engine, &config, &ops), 0);
    fw_dispatch_config dispatch = {.local = true, .prefetch = -1, .window_max = 256};
    fw_dispatch_ops calls = {c, deliver, lost, gone};
    assert_int_equal(fw_dispatch_init(c->engine, &dispatch, &calls), 0);
    fw_limit_key_by(c->engine, key_of, NULL);
    for (uint32_t name = 0; name < NAMES; name++)
        assert_int_equal(fw_dispatch_local_name(c->engine, name), 0);
    for (uint32_t name = 0; name < FIXED; name++)
        assert_int_equal(fw_limit_set_keys(c->engine, name, most[name], 0, 0), 0);
    assert_int_equal(fw_limit_set(c->engine, 2, 3, 0, 0), 0);
}

static bool is_idle(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_int_equal(view->running, 0);
    assert_int_equal(view->keys, 0);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        assert_int_equal(view->waiting[level], 0);
    return true;
}

/* Without a rate, whose buckets keep keys for a while. */
static void settle(crowd *c)
{
    assert_int_equal(fw_limit_set_keys(c->engine, 3, 1, 0, 0), 0);
    assert_int_equal(fw_engine_drain(c->engine, 60 * FW_NS_PER_S), 0);
    /* Cancelled ones may lie in lanes and lines. */
    fw_engine_halt(c->engine);
    fw_dispatch_flush(c->engine);
    fw_limit_each(c->engine, is_idle, c);
}

static void limits_hold_whatever_happens(void **state)
{
    (void)state;
    static crowd c;
    pthread_t threads[SUBMITTERS + COMPLETERS];
    submitter submitters[SUBMITTERS];
    open_crowd(&c);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (submitter){&c, i};
        assert_int_equal(pthread_create(&threads[i], NULL, submit, &submitters[i]), 0);
    }
    for (unsigned i = SUBMITTERS; i < SUBMITTERS + COMPLETERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, complete, &c), 0);
    churn(&c);
    fw_store_seq_cst(&c.closing, true);
    for (unsigned i = 0; i < SUBMITTERS + COMPLETERS; i++)
        pthread_join(threads[i], NULL);
    settle(&c);
    assert_int_equal(fw_load_seq_cst(&c.over), 0);
    assert_int_equal(fw_load_seq_cst(&c.disorder), 0);
    fw_engine_destroy(c.engine);
    assert_int_equal(fw_load_seq_cst(&c.dones), SUBMITTERS * c.tasks);
    assert_int_equal(fw_load_seq_cst(&c.reclaims), SUBMITTERS * c.tasks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
