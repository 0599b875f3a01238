/* rcu_test.c - a reader never sees a reclaimed object: the ages it sees are counted, as rcutorture
 * does. SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/atomic.h"

enum { READERS = 3, UPDATES = 30000, ALIVE = 0x5eed, DEAD = 0xdead };

typedef struct object {
    fw_atomic(int) state;
    uint64_t number;
} object;

static fw_atomic(object *) current;
static fw_atomic(int) stop;
static fw_atomic(uint64_t) reclaimed;

static void reclaim(void *argument)
{
    object *o = argument;
    /* Relaxed: grace periods order this; the reader's assertion is the test. */
    fw_store_relaxed(&o->state, DEAD);
    fw_add_relaxed(&reclaimed, 1);
    free(o);
}

static void *read_objects(void *argument)
{
    uint64_t last = 0;
    (void)argument;
    /* Relaxed: a flag; joining orders the rest. */
    while (!fw_load_relaxed(&stop)) {
        fw_rcu_read_lock();
        /* [rcu_test-object] acquire: the object's fields. */
        object *o = fw_load_acquire(&current);
        assert_true(o->number >= last);
        last = o->number;
        for (int i = 0; i < 20; i++)
            assert_int_equal(fw_load_relaxed(&o->state), ALIVE);
        fw_rcu_read_unlock();
    }
    return NULL;
}

static object *make_object(uint64_t number)
{
    object *o = malloc(sizeof *o);
    assert_non_null(o);
    /* Relaxed: published by the exchange that follows. */
    fw_store_relaxed(&o->state, ALIVE);
    o->number = number;
    return o;
}

static void readers_never_see_the_dead(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    /* [rcu_test-object] release: the object's fields. */
    fw_store_release(&current, make_object(0));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_objects, NULL), 0);
    for (uint64_t i = 1; i <= UPDATES; i++) {
        /* [rcu_test-object] release and acquire: publishes the new, owns the old. */
        object *old = fw_swap_acq_rel(&current, make_object(i));
        fw_rcu_retire(old, reclaim);
    }
    /* Relaxed: a flag. */
    fw_store_relaxed(&stop, 1);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    fw_rcu_barrier();
    assert_int_equal(fw_load_relaxed(&reclaimed), UPDATES);
    assert_int_equal(fw_rcu_backlog(), 0);
    free(fw_load_relaxed(&current));
}

static void *retire_and_end(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < 7; i++)
        fw_rcu_retire(make_object(i), reclaim);
    return NULL;
}

static void a_thread_that_ends_hands_over(void **state)
{
    (void)state;
    pthread_t thread;
    /* Relaxed: a count, read after the barrier. */
    fw_store_relaxed(&reclaimed, 0);
    assert_int_equal(pthread_create(&thread, NULL, retire_and_end, NULL), 0);
    pthread_join(thread, NULL);
    fw_rcu_barrier();
    assert_int_equal(fw_load_relaxed(&reclaimed), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_see_the_dead),
        cmocka_unit_test(a_thread_that_ends_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
