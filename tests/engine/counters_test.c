/* counters_test.c - nothing is lost in counting. Also covers engine/thread_slot.c and
 * engine/stamp.c, the other things that each thread has of its own, and engine/pages.c below
 * them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/counters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/stamp.h"

enum { THREADS = 4, ROUNDS = 20000, CROWD = FW_SLOTS + 40 };

static void *count(void *argument)
{
    fw_counters *counters = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        fw_counters_add(counters, FW_COUNT_ADMITTED, 1);
        fw_counters_add(counters, (fw_counter)(i % FW_COUNTS), 2);
    }
    return NULL;
}

static void sums_are_exact(void **state)
{
    (void)state;
    fw_counters counters;
    pthread_t threads[THREADS];
    assert_int_equal(fw_counters_init(&counters, 3), 0);
    for (unsigned generation = 1; generation <= 3; generation++) {
        uint64_t last = 0;
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count, &counters), 0);
        for (unsigned i = 0; i < 1000; i++) {
            uint64_t sum = fw_counters_sum(&counters, FW_COUNT_ADMITTED);
            assert_true(sum >= last);
            last = sum;
        }
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        uint64_t sums[FW_COUNTS], all = 0;
        /* Rows that the caller gives out itself. */
        for (unsigned i = 0; i < 3; i++)
            fw_counter_row_add(fw_counters_row(&counters, i), FW_COUNT_RETRIED, 100);
        fw_counters_read(&counters, sums);
        for (unsigned i = 0; i < FW_COUNTS; i++)
            all += sums[i];
        assert_int_equal(all, (uint64_t)generation * (THREADS * ROUNDS * 3 + 300));
    }
    fw_counters_fini(&counters);
}

typedef struct crowd {
    pthread_barrier_t all_here;
    fw_atomic(unsigned) holders[FW_SLOTS];
    fw_counters counters;
} crowd;

static void *join_crowd(void *argument)
{
    crowd *c = argument;
    unsigned slot = fw_thread_slot();
    assert_true(slot < FW_SLOTS && slot < fw_thread_slots_used());
    assert_int_equal(fw_thread_slot(), slot);
    fw_add_seq_cst(&c->holders[slot], 1);
    pthread_barrier_wait(&c->all_here);
    /* S1. */
    unsigned holders = fw_load_seq_cst(&c->holders[slot]);
    assert_true(slot == FW_SLOT_SHARED ? holders > 1 : holders == 1);
    for (unsigned i = 0; i < 100; i++)
        fw_counters_add(&c->counters, FW_COUNT_SUCCESS, 1);
    pthread_barrier_wait(&c->all_here);
    return NULL;
}

/* More threads than slots, twice: the second crowd gets the slots of the first. */
static void threads_beyond_the_slots_share_one(void **state)
{
    (void)state;
    crowd *c = calloc(1, sizeof *c);
    pthread_t *threads = calloc(CROWD, sizeof *threads);
    pthread_attr_t attr;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 128 * 1024), 0);
    assert_int_equal(fw_counters_init(&c->counters, 0), 0);
    for (unsigned generation = 1; generation <= 2; generation++) {
        memset(c->holders, 0, sizeof c->holders);
        assert_int_equal(pthread_barrier_init(&c->all_here, NULL, CROWD), 0);
        for (unsigned i = 0; i < CROWD; i++)
            assert_int_equal(pthread_create(&threads[i], &attr, join_crowd, c), 0);
        for (unsigned i = 0; i < CROWD; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&c->all_here);
        assert_int_equal(fw_counters_sum(&c->counters, FW_COUNT_SUCCESS), generation * CROWD * 100);
    }
    pthread_attr_destroy(&attr);
    fw_counters_fini(&c->counters);
    free(threads);
    free(c);
}

static void stamps_follow_both_clocks(void **state)
{
    (void)state;
    fw_stamp stamp = {0};
    for (unsigned i = 0; i < 1000; i++) {
        int64_t before_ns = fw_now_ns(), wall_before_ns = fw_wall_ns();
        int64_t now_ns = fw_stamp_now(&stamp);
        assert_true(now_ns >= before_ns && now_ns <= fw_now_ns());
        /* The distance may be a little too large, never too small: nothing starts before it came.
         */
        assert_true(fw_stamp_wall(&stamp, now_ns) >= wall_before_ns - FW_NS_PER_US);
        assert_int_equal(fw_stamp_next(&stamp), now_ns);
        fw_stamp_forget(&stamp);
        assert_true(fw_stamp_next(&stamp) >= now_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(threads_beyond_the_slots_share_one),
        cmocka_unit_test(stamps_follow_both_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
