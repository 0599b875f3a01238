/* The pool end to end; covers worker.c, topology.c and barrier.c too. */
#include "engine/pool.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/deque.h"
#include "engine/topology.h"

static fw_pool_config config_of(unsigned threads)
{
    return (fw_pool_config){.threads = threads, .ring_size = 256, .batch = 32};
}

static fw_pool *pool_of(const fw_pool_config *config)
{
    fw_pool *pool = NULL;
    assert_int_equal(fw_pool_create(&pool, config), 0);
    return pool;
}

static size_t stress_count(size_t small)
{
    const char *seconds = getenv("FW_STRESS_SECONDS");
    return seconds != NULL ? small * strtoul(seconds, NULL, 10) : small;
}

/* Counts in a shared variable; the test waits by stopping the pool with drain. */
static fw_atomic(size_t) ran;

static void count_one(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
    /* Relaxed: read after the pool has stopped. */
    fw_add_relaxed(&ran, 1);
}

static void submit_all(fw_pool *pool, fw_prio level, fw_work work, size_t count)
{
    for (size_t i = 0; i < count;)
        if (fw_pool_submit(pool, level, work) == FW_OK)
            i++;
        else
            sched_yield();
}

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

/* A gate: a piece that holds its thread until the test opens it. */
typedef struct gate {
    fw_atomic(bool) reached, open;
} gate;

static void hold(fw_worker *worker, void *argument)
{
    gate *g = argument;
    (void)worker;
    /* [test-gate] release: nothing but the fact. */
    fw_store_release(&g->reached, true);
    /* [test-gate] acquire: what the test did before opening. */
    while (!fw_load_acquire(&g->open))
        sched_yield();
}

static void await(fw_atomic(bool) * flag)
{
    /* [test-gate] acquire: as the name says. */
    while (!fw_load_acquire(flag))
        sched_yield();
}

static void open_gate(gate *g)
{
    /* [test-gate] release: what was done before. */
    fw_store_release(&g->open, true);
}

typedef struct trail {
    fw_atomic(size_t) count;
    int seen[4096];
} trail;
static trail the_trail;

static void leave_trace(fw_worker *worker, void *argument)
{
    (void)worker;
    /* Relaxed: read after the pool has stopped. */
    size_t place = fw_add_relaxed(&the_trail.count, 1);
    the_trail.seen[place] = (int)(intptr_t)argument;
}

static fw_work trace(int number)
{
    return (fw_work){leave_trace, (void *)(intptr_t)number};
}

static fw_pool *held_pool(const fw_pool_config *config, gate *g)
{
    fw_pool *pool = pool_of(config);
    memset(g, 0, sizeof(*g));
    fw_store_relaxed(&the_trail.count, 0);
    assert_int_equal(fw_pool_submit(pool, FW_LOW, (fw_work){hold, g}), FW_OK);
    await(&g->reached);
    return pool;
}

static void one_thread_is_strict_and_first_in_first_out(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    for (int i = 0; i < 200; i++)
        for (int level = FW_LOW; level >= 0; level--)
            assert_int_equal(fw_pool_submit(pool, (fw_prio)level, trace(level * 1000 + i)), FW_OK);
    open_gate(&g);
    fw_pool_stop(pool, true);
    for (int i = 0; i < 800; i++)
        assert_int_equal(the_trail.seen[i], i / 200 * 1000 + i % 200);
    fw_pool_destroy(pool);
}

static void spawn_critical(fw_worker *worker, void *argument)
{
    leave_trace(worker, argument);
    fw_worker_spawn(worker, FW_CRITICAL, trace(-1));
    fw_worker_spawn(worker, FW_LOW, trace(-2));
}

/* A batch of low work was taken by one claim; what is spawned above it comes between its pieces. */
static void higher_work_comes_between_the_pieces_of_a_batch(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    gate g;
    fw_pool *pool = held_pool(&config, &g);
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            fw_pool_submit(pool, FW_NORMAL, (fw_work){spawn_critical, (void *)(intptr_t)i}), FW_OK);
    open_gate(&g);
    fw_pool_stop(pool, true);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(the_trail.seen[2 * i], i);
        assert_int_equal(the_trail.seen[2 * i + 1], -1);
        assert_int_equal(the_trail.seen[100 + i], -2);
    }
    fw_pool_destroy(pool);
}

static void fork_tree(fw_worker *worker, void *argument)
{
    uintptr_t depth = (uintptr_t)argument;
    count_one(worker, NULL);
    if (depth == 0)
        return;
    fw_worker_spawn(worker, (fw_prio)(depth % FW_LEVELS),
                    (fw_work){fork_tree, (void *)(depth - 1)});
    fw_worker_spawn(worker, FW_NORMAL, (fw_work){fork_tree, (void *)(depth - 1)});
}

static void spawned_trees_are_complete(void **state)
{
    (void)state;
    const fw_steal steals[] = {FW_STEAL_HALF, FW_STEAL_ONE, FW_STEAL_OFF};
    for (unsigned i = 0; i < 3; i++) {
        fw_pool_config config = config_of(3);
        config.steal = steals[i];
        fw_pool *pool = pool_of(&config);
        fw_store_relaxed(&ran, 0);
        for (unsigned root = 0; root < stress_count(4); root++)
            submit_all(pool, FW_HIGH, (fw_work){fork_tree, (void *)(uintptr_t)12}, 1);
        fw_pool_stop(pool, true);
        assert_int_equal(fw_load_relaxed(&ran), stress_count(4) * 8191);
        fw_pool_destroy(pool);
    }
}

static void spawn_many(fw_worker *worker, void *argument)
{
    for (uintptr_t i = 0; i < (uintptr_t)argument; i++)
        fw_worker_spawn(worker, FW_NORMAL, (fw_work){count_one, NULL});
}

static void spawn_next(fw_worker *worker, void *argument)
{
    uintptr_t left = (uintptr_t)argument;
    count_one(worker, NULL);
    if (left > 0)
        fw_worker_spawn(worker, FW_NORMAL, (fw_work){spawn_next, (void *)(left - 1)});
}

static void fill_and_chain(fw_worker *worker, void *argument)
{
    spawn_many(worker, (void *)(uintptr_t)FW_DEQUE_SIZE);
    fw_worker_spawn(worker, FW_NORMAL, (fw_work){spawn_next, argument});
}

/* A full deque runs work at once, and a long chain on top of it does not use up the stack. */
static void a_full_deque_runs_work_at_once(void **state)
{
    (void)state;
    fw_pool_config config = config_of(1);
    fw_pool *pool = pool_of(&config);
    fw_store_relaxed(&ran, 0);
    submit_all(pool, FW_NORMAL, (fw_work){spawn_many, (void *)(uintptr_t)20000}, 1);
    submit_all(pool, FW_NORMAL, (fw_work){fill_and_chain, (void *)(uintptr_t)300000}, 1);
    fw_pool_stop(pool, true);
    assert_int_equal(fw_load_relaxed(&ran), 20000 + FW_DEQUE_SIZE + 300001);
    fw_pool_destroy(pool);
}

/* Both threads sleep or search; one gets a piece that spawns and then runs until the spawned piece
 * has run, which only the other can do. Hangs if a spawn wakes nobody. */
typedef struct pair {
    gate g;
    fw_atomic(bool) left;
} pair;

static void open_from_piece(fw_worker *worker, void *argument)
{
    (void)worker;
    open_gate(&((pair *)argument)->g);
}

static void spawn_and_hold(fw_worker *worker, void *argument)
{
    pair *p = argument;
    fw_worker_spawn(worker, FW_LOW, (fw_work){open_from_piece, p});
    hold(worker, &p->g);
    /* [test-gate] release: p is no longer used. */
    fw_store_release(&p->left, true);
}

static void a_long_piece_hides_nothing(void **state)
{
    (void)state;
    fw_pool_config config = config_of(2);
    fw_pool *pool = pool_of(&config);
    pair p;
    for (size_t i = 0; i < stress_count(2000); i++) {
        memset(&p, 0, sizeof(p));
        submit_all(pool, FW_HIGH, (fw_work){spawn_and_hold, &p}, 1);
        await(&p.left);
        if (i % 3 == 0) { /* let them fall asleep, in every third case */
            fw_pool_stats stats;
            do {
                sched_yield();
                fw_pool_snapshot(pool, &stats);
            } while (stats.parked < 2);
        }
    }
    fw_pool_stop(pool, true);
    fw_pool_destroy(pool);
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

/* A ping from outside, again and again, against threads that sleep or are about to: a lost wake-up
 * hangs here. */
typedef struct pinger {
    fw_pool *pool;
    size_t rounds;
} pinger;

static void answer(fw_worker *worker, void *argument)
{
    (void)worker;
    fw_atomic(bool) *flag = argument;
    /* [test-gate] release: nothing but the fact. */
    fw_store_release(flag, true);
}

static void *ping(void *argument)
{
    pinger *me = argument;
    for (size_t i = 0; i < me->rounds; i++) {
        fw_atomic(bool) flag = false;
        submit_all(me->pool, (fw_prio)(i % FW_LEVELS), (fw_work){answer, &flag}, 1);
        await(&flag);
    }
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    (void)state;
    fw_pool_config config = config_of(3);
    fw_pool *pool = pool_of(&config);
    pinger roles[2] = {{pool, stress_count(5000)}, {pool, stress_count(5000)}};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ping, &roles[i]);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    fw_pool_stats stats;
    do { /* everybody sleeps in the end */
        sched_yield();
        fw_pool_snapshot(pool, &stats);
    } while (stats.parked < 3);
    assert_int_equal(stats.searching, 0);
    assert_true(stats.parks >= 3);
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

static void topology_sorts_cores(void **state)
{
    (void)state;
    static fw_topology topology;
    fw_topology_read(&topology);
    assert_true(topology.count >= 1);
    assert_true(fw_topology_usable(&topology) >= 1);
    assert_true(fw_topology_has(&topology, topology.cpus[0].number));
    /* Two packages of two cores with two siblings each, numbered as Linux likes to. */
    topology.count = 8;
    for (unsigned short i = 0; i < 8; i++)
        topology.cpus[i] = (fw_cpu){i, i / 2 % 2, i % 2, i / 4};
    fw_topology_sort(&topology, FW_AFFINITY_COMPACT);
    const unsigned compact[] = {0, 4, 1, 5, 2, 6, 3, 7}, spread[] = {0, 2, 1, 3, 4, 6, 5, 7};
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(topology.cpus[i].number, compact[i]);
    fw_topology_sort(&topology, FW_AFFINITY_SPREAD);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(topology.cpus[i].number, spread[i]);
    assert_false(fw_topology_has(&topology, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_everything_and_stops),
        cmocka_unit_test(one_thread_is_strict_and_first_in_first_out),
        cmocka_unit_test(higher_work_comes_between_the_pieces_of_a_batch),
        cmocka_unit_test(spawned_trees_are_complete),
        cmocka_unit_test(a_full_deque_runs_work_at_once),
        cmocka_unit_test(a_long_piece_hides_nothing),
        cmocka_unit_test(nodes_overflow_in_order),
        cmocka_unit_test(full_is_an_outcome_and_bulk_takes_a_prefix),
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(weights_share_the_thread),
        cmocka_unit_test(aged_levels_move_up_but_not_above_critical),
        cmocka_unit_test(hooks_are_called),
        cmocka_unit_test(stop_without_drain_drops_what_waits),
        cmocka_unit_test(wrong_configurations_are_refused),
        cmocka_unit_test(topology_sorts_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
