/* The pool from outside: submitting, nodes, policies, hooks, stops; covers barrier.c too. */
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "engine/topology.h"
#include "pool_case.h"

static void runs_everything_and_stops(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        fw_pool_config config = config_of(threads);
        fw_pool *pool = pool_of(&config);
        fw_store_relaxed(&ran, 0);
        for (unsigned level = 0; level < FW_LEVELS; level++)
            submit_all(pool, (fw_prio)level, (fw_work){count_one, NULL}, 5000);
        fw_pool_stop(pool, true);
        fw_pool_stats stats;
        fw_pool_snapshot(pool, &stats);
        assert_int_equal(fw_load_relaxed(&ran), 20000);
        for (unsigned level = 0; level < FW_LEVELS; level++) {
            assert_int_equal(stats.ran[level], 5000);
            assert_int_equal(stats.ring_depth[level], 0);
        }
        fw_pool_destroy(pool);
    }
}

typedef struct item {
    fw_work_node node;
    uint32_t producer, number;
} item;

enum { NODE_PRODUCERS = 3 };
static int64_t node_last[NODE_PRODUCERS];

static void run_node(fw_worker *worker, fw_work_node *node)
{
    const item *i = FW_CONTAINER_OF(node, item, node);
    (void)worker;
    assert_true(node_last[i->producer] == (int64_t)i->number - 1);
    node_last[i->producer] = i->number;
    fw_add_relaxed(&ran, 1);
}

typedef struct node_role {
    fw_pool *pool;
    item *items;
    size_t count;
} node_role;

static void *submit_items(void *argument)
{
    node_role *me = argument;
    for (size_t i = 0; i < me->count;) {
        fw_work_node *nodes[100];
        size_t n = 1 + i * 7 % 100;
        if (n > me->count - i)
            n = me->count - i;
        for (size_t k = 0; k < n; k++)
            nodes[k] = &me->items[i + k].node;
        fw_pool_submit_nodes(me->pool, FW_NORMAL, nodes, n);
        i += n;
    }
    return NULL;
}

/* With one thread each submitter's nodes run exactly in its order, however often the ring
 * overflows. */
static void nodes_overflow_in_order(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    config.ring_size = 16;
    config.node_run = run_node;
    fw_pool *pool = pool_of(&config);
    fw_store_relaxed(&ran, 0);
    size_t count = stress_count(20000);
    pthread_t threads[NODE_PRODUCERS];
    node_role roles[NODE_PRODUCERS];
    for (uint32_t p = 0; p < NODE_PRODUCERS; p++) {
        roles[p] = (node_role){pool, calloc(count, sizeof(item)), count};
        node_last[p] = -1;
        for (uint32_t i = 0; i < count; i++)
            roles[p].items[i] = (item){.producer = p, .number = i};
    }
    for (unsigned p = 0; p < NODE_PRODUCERS; p++)
        pthread_create(&threads[p], NULL, submit_items, &roles[p]);
    for (unsigned p = 0; p < NODE_PRODUCERS; p++)
        pthread_join(threads[p], NULL);
    fw_pool_stop(pool, true);
    fw_pool_stats stats;
    fw_pool_snapshot(pool, &stats);
    assert_int_equal(fw_load_relaxed(&ran), NODE_PRODUCERS * count);
    assert_int_equal(stats.overflow_depth[FW_NORMAL], 0);
    assert_true(stats.ring_full[FW_NORMAL] > 0);
    fw_pool_destroy(pool);
    for (unsigned p = 0; p < NODE_PRODUCERS; p++)
        free(roles[p].items);
}

static void full_is_an_outcome_and_bulk_takes_a_prefix(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    config.ring_size = 8;
    config.node_run = run_node;
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    fw_work work[12];
    for (int i = 0; i < 12; i++)
        work[i] = trace(i);
    assert_int_equal(fw_pool_submit_many(pool, FW_HIGH, work, 12), 8);
    assert_int_equal(fw_pool_submit(pool, FW_HIGH, work[0]), FW_FULL);
    assert_int_equal(fw_pool_submit_many(pool, FW_HIGH, work, 0), 0);
    item waiting = {.producer = 0, .number = 0};
    fw_work_node *node = &waiting.node;
    node_last[0] = -1;
    fw_pool_submit_nodes(pool, FW_HIGH, &node, 1);
    fw_pool_stats stats;
    fw_pool_snapshot(pool, &stats);
    assert_int_equal(stats.overflow_depth[FW_HIGH], 1);
    assert_int_equal(stats.ring_full[FW_HIGH], 3);
    assert_int_equal(stats.ring_depth[FW_HIGH], 8);
    open_gate(&g);
    fw_pool_stop(pool, true);
    assert_int_equal(node_last[0], 0);
    fw_pool_destroy(pool);
}

/* What waits can be had again: nodes in order, from ring and overflow; pieces stay. */
static void nodes_are_taken_back(void **state)
{
    (void)state;
    enum { ITEMS = 40 };
    fw_pool_config config = config_of(1);
    config.ring_size = 8;
    config.node_run = run_node;
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    static item items[ITEMS];
    fw_work_node *nodes[ITEMS];
    fw_store_relaxed(&ran, 0);
    assert_int_equal(fw_pool_submit(pool, FW_LOW, (fw_work){count_one, NULL}), FW_OK);
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i] = (item){.producer = 0, .number = i};
        nodes[i] = &items[i].node;
    }
    fw_pool_submit_nodes(pool, FW_LOW, nodes, ITEMS);
    unsigned taken = 0;
    for (unsigned tries = 0; fw_pool_has_waiting(pool, FW_LOW) && tries < ITEMS; tries++) {
        size_t count = fw_pool_take_back(pool, FW_LOW, nodes, 5);
        assert_true(count <= 5);
        for (size_t i = 0; i < count; i++)
            assert_ptr_equal(nodes[i], &items[taken + i].node);
        taken += (unsigned)count;
    }
    assert_int_equal(taken, ITEMS);
    assert_int_equal(fw_pool_take_back(pool, FW_HIGH, nodes, 5), 0);
    assert_false(fw_pool_has_waiting(pool, FW_HIGH));
    open_gate(&g);
    fw_pool_stop(pool, true);
    assert_int_equal(fw_load_relaxed(&ran), 1);
    fw_pool_destroy(pool);
}

static void weights_share_the_thread(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    config.policy = FW_POLICY_WEIGHTED;
    config.weights[0] = 8;
    config.weights[1] = 4;
    config.weights[2] = 2;
    config.weights[3] = 1;
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    for (int i = 0; i < 100; i++)
        for (int level = 0; level < FW_LEVELS; level++)
            assert_int_equal(fw_pool_submit(pool, (fw_prio)level, trace(level)), FW_OK);
    open_gate(&g);
    fw_pool_stop(pool, true);
    int count[FW_LEVELS] = {0};
    for (int i = 15; i < 15 + 75; i++) /* five whole rounds while all levels have work */
        count[the_trail.seen[i]]++;
    assert_int_equal(count[0], 40);
    assert_int_equal(count[1], 20);
    assert_int_equal(count[2], 10);
    assert_int_equal(count[3], 5);
    fw_pool_destroy(pool);
}

static void aged_levels_move_up_but_not_above_critical(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    config.policy = FW_POLICY_AGING;
    config.aging_ns = FW_NS_PER_S;
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    int64_t start = FW_NS_PER_S;
    assert_int_equal(fw_pool_submit(pool, FW_LOW, trace(FW_LOW)), FW_OK);
    fw_pool_tick(pool, start);
    fw_pool_tick(pool, start + 3 * FW_NS_PER_S);
    for (int level = 0; level < FW_LOW; level++)
        assert_int_equal(fw_pool_submit(pool, (fw_prio)level, trace(level)), FW_OK);
    fw_pool_tick(pool, start + 3 * FW_NS_PER_S + FW_NS_PER_MS);
    fw_pool_stats stats;
    fw_pool_snapshot(pool, &stats);
    assert_int_equal(stats.oldest_ns[FW_LOW], 3 * FW_NS_PER_S + FW_NS_PER_MS);
    assert_int_equal(stats.oldest_ns[FW_HIGH], 0);
    open_gate(&g);
    fw_pool_stop(pool, true);
    const int expected[] = {FW_CRITICAL, FW_LOW, FW_HIGH, FW_NORMAL};
    for (int i = 0; i < FW_LEVELS; i++)
        assert_int_equal(the_trail.seen[i], expected[i]);
    fw_pool_destroy(pool);
}

static fw_atomic(unsigned) starts, stops, pauses, masked;

static void on_start(void *context, unsigned thread)
{
    sigset_t mask;
    (void)context;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    /* Relaxed, all: read after the pool has stopped. */
    if (sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1))
        fw_add_relaxed(&masked, 1);
    (void)thread;
    fw_add_relaxed(&starts, 1);
}

static void on_stop(void *context, unsigned thread)
{
    (void)context;
    (void)thread;
    fw_add_relaxed(&stops, 1);
}

static void on_pause(void *context, unsigned thread)
{
    (void)context;
    (void)thread;
    fw_add_relaxed(&pauses, 1);
}

static void hooks_are_called(void **state)
{
    (void)state;
    fw_pool_config config = config_of(2);
    config.thread_start = on_start;
    config.thread_stop = on_stop;
    config.pause = on_pause;
    config.batch = 4;
    config.affinity = FW_AFFINITY_SPREAD;
    config.stack_bytes = 256 * 1024;
    fw_pool *pool = pool_of(&config);
    submit_all(pool, FW_NORMAL, (fw_work){count_one, NULL}, 400);
    fw_pool_stop(pool, true);
    fw_pool_destroy(pool);
    assert_int_equal(fw_load_relaxed(&starts), 2);
    assert_int_equal(fw_load_relaxed(&stops), 2);
    assert_int_equal(fw_load_relaxed(&masked), 2);
    assert_true(fw_load_relaxed(&pauses) >= 100);
}

static void *open_when_stopping(void *argument)
{
    open_gate(argument);
    return NULL;
}

static void stop_without_drain_drops_what_waits(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fw_pool_submit(pool, FW_NORMAL, trace(i)), FW_OK);
    pthread_t opener;
    pthread_create(&opener, NULL, open_when_stopping, &g);
    fw_pool_stop(pool, false);
    pthread_join(opener, NULL);
    /* Relaxed: the threads have ended. What ran, ran in order; usually nothing did. */
    for (size_t i = 0; i < fw_load_relaxed(&the_trail.count); i++)
        assert_int_equal(the_trail.seen[i], i);
    fw_pool_stats stats;
    fw_pool_snapshot(pool, &stats);
    assert_int_equal(stats.ran[FW_LOW], 1);
    fw_pool_destroy(pool);
}

static void wrong_configurations_are_refused(void **state)
{
    (void)state;
    fw_pool *pool = NULL;
    for (unsigned i = 0; i < 8; i++) {
        fw_pool_config config = config_of(1);
        switch (i) {
        case 0:
            config.threads = 0;
            break;
        case 1:
            config.threads = FW_THREADS_MAX + 1;
            break;
        case 2:
            config.ring_size = 100;
            break;
        case 3:
            config.ring_size = 2;
            break;
        case 4:
            config.batch = 0;
            break;
        case 5:
            config.policy = FW_POLICY_WEIGHTED;
            break;
        case 6:
            config.policy = FW_POLICY_AGING;
            break;
        default:
            config.affinity = FW_AFFINITY_LIST;
            config.affinity_count = 1;
            config.affinity_cpus[0] = FW_CPUS_MAX - 1;
            break;
        }
        assert_int_equal(fw_pool_create(&pool, &config), -FW_EINVAL);
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_everything_and_stops),
        cmocka_unit_test(nodes_overflow_in_order),
        cmocka_unit_test(full_is_an_outcome_and_bulk_takes_a_prefix),
        cmocka_unit_test(weights_share_the_thread),
        cmocka_unit_test(aged_levels_move_up_but_not_above_critical),
        cmocka_unit_test(nodes_are_taken_back),
        cmocka_unit_test(hooks_are_called),
        cmocka_unit_test(stop_without_drain_drops_what_waits),
        cmocka_unit_test(wrong_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
