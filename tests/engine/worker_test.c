/* The pool's threads: order, stealing, sleeping (W1 to W3 of engine/worker.h). */
#include <pthread.h>

#include "engine/deque.h"
#include "pool_case.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_is_strict_and_first_in_first_out),
        cmocka_unit_test(higher_work_comes_between_the_pieces_of_a_batch),
        cmocka_unit_test(spawned_trees_are_complete),
        cmocka_unit_test(a_full_deque_runs_work_at_once),
        cmocka_unit_test(a_long_piece_hides_nothing),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
