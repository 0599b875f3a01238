/* index_test.c - one task for a key, found as long as it is in, whatever others do to its chain.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/index.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"

enum { THREADS = 3, KEYS = 24 };

static fw_task *new_task(uint64_t number)
{
    fw_task *task = calloc(1, sizeof *task);
    task->key = (fw_key){number, ~number};
    return task;
}

static fw_task *find(const fw_index *index, uint64_t number)
{
    fw_rcu_read_lock();
    fw_task *task = fw_index_find(index, (fw_key){number, ~number});
    fw_rcu_read_unlock();
    return task;
}

static bool count(void *context, fw_task *task)
{
    (void)task;
    ++*(unsigned *)context;
    return true;
}

static unsigned walk_all(const fw_index *index)
{
    unsigned visited = 0;
    size_t bucket = 0;
    fw_rcu_read_lock();
    while (fw_index_walk(index, &bucket, 5, count, &visited))
        continue;
    fw_rcu_read_unlock();
    return visited;
}

/* Chains of several members: a table of about 50 buckets. */
static void members_come_and_go_in_any_order(void **state)
{
    (void)state;
    enum { TASKS = 200 };
    fw_index index;
    fw_task *tasks[TASKS];
    assert_int_equal(fw_index_init(&index, TASKS), 0);
    fw_rcu_read_lock();
    for (uint64_t i = 0; i < TASKS; i++) {
        tasks[i] = new_task(i);
        assert_ptr_equal(fw_index_insert(&index, tasks[i]), tasks[i]);
        fw_task *second = new_task(i);
        assert_ptr_equal(fw_index_insert(&index, second), tasks[i]);
        free(second);
    }
    fw_rcu_read_unlock();
    assert_int_equal(walk_all(&index), TASKS);
    unsigned left = TASKS;
    for (uint64_t step = 0; step < TASKS; step++) {
        uint64_t i = step * 77 % TASKS;
        assert_ptr_equal(find(&index, i), tasks[i]);
        fw_rcu_read_lock();
        fw_index_remove(&index, tasks[i]);
        fw_rcu_read_unlock();
        assert_null(find(&index, i));
        assert_int_equal(walk_all(&index), --left);
        /* The key is free, also for another task; that one goes at once. */
        fw_task *next = new_task(i);
        fw_rcu_read_lock();
        assert_ptr_equal(fw_index_insert(&index, next), next);
        assert_ptr_equal(fw_index_find(&index, next->key), next);
        fw_index_remove(&index, next);
        fw_rcu_read_unlock();
        fw_rcu_retire(next, free);
    }
    for (uint64_t i = 0; i < TASKS; i++)
        fw_rcu_retire(tasks[i], free);
    fw_rcu_barrier();
    fw_index_fini(&index);
}

static bool stop(void *context, fw_task *task)
{
    *(fw_task **)context = task;
    return false;
}

static void a_walk_stops_when_told(void **state)
{
    (void)state;
    fw_index index;
    fw_task *task = new_task(5), *seen = NULL;
    size_t bucket = 0;
    assert_int_equal(fw_index_init(&index, 100000), 0);
    fw_rcu_read_lock();
    fw_index_insert(&index, task);
    assert_false(fw_index_walk(&index, &bucket, SIZE_MAX, stop, &seen));
    assert_ptr_equal(seen, task);
    bucket = 0;
    assert_true(fw_index_walk(&index, &bucket, 0, stop, &seen));
    fw_index_prefetch(&index, task->key);
    fw_index_remove(&index, task);
    fw_rcu_read_unlock();
    fw_index_fini(&index);
    free(task);
}

/* Threads insert, find and remove the same few keys in a table of one crowded size. Each key has a
 * count of tasks that are in: I1 says 0 or 1. A task is poisoned when it is reclaimed: I2. */
typedef struct arena {
    fw_index index;
    fw_atomic(int) in[KEYS];
    fw_atomic(uint64_t) inserted, met, found;
    int64_t until_ns;
} arena;

typedef struct player {
    arena *a;
    uint64_t seed;
} player;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void poison(void *object)
{
    fw_task *task = object;
    task->name = 0;
    free(task);
}

static void insert_and_remove(arena *a, uint64_t number, uint64_t *seed)
{
    fw_task *task = new_task(number);
    task->name = 0x600d;
    fw_rcu_read_lock();
    fw_task *other = fw_index_insert(&a->index, task);
    fw_rcu_read_unlock();
    if (other != task) {
        fw_add_relaxed(&a->met, 1); /* relaxed: a figure */
        free(task);
        return;
    }
    fw_add_relaxed(&a->inserted, 1); /* relaxed: a figure */
    assert_int_equal(fw_add_seq_cst(&a->in[number], 1), 0);
    for (unsigned i = next_random(seed) % 50; i > 0; i--)
        fw_cpu_relax();
    assert_ptr_equal(find(&a->index, number), task);
    assert_int_equal(fw_sub_seq_cst(&a->in[number], 1), 1);
    fw_rcu_read_lock();
    fw_index_remove(&a->index, task);
    fw_task *after = fw_index_find(&a->index, task->key);
    assert_ptr_not_equal(after, task);
    fw_rcu_read_unlock();
    fw_rcu_retire(task, poison);
}

static bool look(void *context, fw_task *task)
{
    (void)context;
    assert_int_equal(task->name, 0x600d);
    assert_true(task->key.high < KEYS && task->key.low == ~task->key.high);
    return true;
}

static void *play(void *argument)
{
    player *me = argument;
    arena *a = me->a;
    for (unsigned round = 0; round % 64 != 0 || fw_now_ns() < a->until_ns; round++) {
        uint64_t number = next_random(&me->seed) % KEYS;
        insert_and_remove(a, number, &me->seed);
        fw_rcu_read_lock();
        fw_task *other = fw_index_find(&a->index, (fw_key){number, ~number});
        if (other) {
            fw_add_relaxed(&a->found, 1); /* relaxed: a figure */
            assert_int_equal(other->name, 0x600d);
            assert_int_equal(other->key.high, number);
        }
        fw_rcu_read_unlock();
        if (round % 16 == 0) {
            size_t bucket = 0;
            fw_rcu_read_lock();
            while (fw_index_walk(&a->index, &bucket, 4, look, NULL))
                continue;
            fw_rcu_read_unlock();
        }
    }
    return NULL;
}

static void many_threads_on_few_keys(void **state)
{
    (void)state;
    arena *a = calloc(1, sizeof *a);
    player players[THREADS];
    pthread_t threads[THREADS];
    const char *seconds = getenv("FW_STRESS_SECONDS");
    a->until_ns = fw_now_ns() + (seconds ? strtol(seconds, NULL, 10) : 1) * FW_NS_PER_S;
    assert_int_equal(fw_index_init(&a->index, 16), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        players[i] = (player){a, UINT64_C(0x9e3779b97f4a7c15) * (i + 1)};
        assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fw_rcu_barrier();
    assert_int_equal(walk_all(&a->index), 0);
    print_message("inserted %llu, met another %llu times, found others %llu times\n",
                  (unsigned long long)fw_load_relaxed(&a->inserted),
                  (unsigned long long)fw_load_relaxed(&a->met),
                  (unsigned long long)fw_load_relaxed(&a->found));
    assert_true(fw_load_relaxed(&a->inserted) > 0);
    fw_index_fini(&a->index);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_and_go_in_any_order),
        cmocka_unit_test(a_walk_stops_when_told),
        cmocka_unit_test(many_threads_on_few_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
