/* counters_test.c - nothing is lost in counting. Also covers engine/thread_slot.c, engine/quota.c
 * and engine/stamp.c, the other things that each thread has of its own, and engine/pages.c below
 * them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/counters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/quota.h"
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
    assert_int_equal(fw_counters_init(&counters), 0);
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
        fw_counters_read(&counters, sums);
        for (unsigned i = 0; i < FW_COUNTS; i++)
            all += sums[i];
        assert_int_equal(all, (uint64_t)generation * THREADS * ROUNDS * 3);
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
    assert_int_equal(fw_counters_init(&c->counters), 0);
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

static void small_limits_are_exact(void **state)
{
    (void)state;
    fw_quota quota;
    assert_int_equal(fw_quota_init(&quota, 10, 1000), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 10; i++)
            assert_true(fw_quota_take(&quota, 64));
        assert_false(fw_quota_take(&quota, 64));
        assert_int_equal(fw_quota_bytes_used(&quota), 640);
        for (unsigned i = 0; i < 10; i++)
            fw_quota_give(&quota, 64);
        assert_int_equal(fw_quota_bytes_used(&quota), 0);
        assert_true(fw_quota_take(&quota, 999));
        assert_false(fw_quota_take(&quota, 2));
        assert_true(fw_quota_take(&quota, 1));
        assert_false(fw_quota_take(&quota, 1));
        fw_quota_give(&quota, 1);
        fw_quota_give(&quota, 999);
        assert_false(fw_quota_take(&quota, 1001));
    }
    fw_quota_fini(&quota);
}

/* Q1, Q2: one side takes, the other gives back, as producers and liburcu's thread do. */
enum { LIMIT = 65536, BYTES = 192 };
typedef struct market {
    fw_quota quota;
    fw_atomic(int64_t) out;
    fw_atomic(bool) over;
} market;

static void *give_back(void *argument)
{
    market *m = argument;
    for (;;) {
        /* Relaxed: amounts only. */
        int64_t out = fw_load_relaxed(&m->out);
        if (out == 0) {
            if (fw_load_relaxed(&m->over) && fw_load_relaxed(&m->out) == 0)
                return NULL;
            continue;
        }
        for (; out > 0; out--) {
            fw_sub_relaxed(&m->out, 1);
            fw_quota_give(&m->quota, BYTES);
        }
    }
}

static void limits_hold_between_threads(void **state)
{
    (void)state;
    market *m = aligned_alloc(FW_APART, sizeof *m);
    pthread_t giver;
    memset(m, 0, sizeof *m);
    assert_int_equal(fw_quota_init(&m->quota, LIMIT, (size_t)LIMIT * 4096), 0);
    assert_true(m->quota.tasks_chunk > 0 && m->quota.bytes_chunk > 0);
    /* Nobody gives: all of the limit is to be had by one thread, and no more. */
    unsigned taken = 0;
    while (fw_quota_take(&m->quota, BYTES))
        taken++;
    assert_int_equal(taken, LIMIT);
    assert_int_equal(fw_quota_bytes_used(&m->quota), (size_t)LIMIT * BYTES);
    fw_store_seq_cst(&m->out, LIMIT);
    assert_int_equal(pthread_create(&giver, NULL, give_back, m), 0);
    for (unsigned i = 0; i < 4 * LIMIT;) {
        if (!fw_quota_take(&m->quota, BYTES))
            continue;
        i++;
        assert_true(fw_add_relaxed(&m->out, 1) < LIMIT);
    }
    fw_store_seq_cst(&m->over, true);
    pthread_join(giver, NULL);
    assert_int_equal(fw_quota_bytes_used(&m->quota), 0);
    /* Two chunks at most lie in the row of the thread that is gone, or in ours. */
    for (taken = 0; fw_quota_take(&m->quota, BYTES);)
        taken++;
    assert_true(taken >= LIMIT - 4 * (unsigned)m->quota.tasks_chunk && taken <= LIMIT);
    fw_quota_fini(&m->quota);
    free(m);
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
        cmocka_unit_test(small_limits_are_exact),
        cmocka_unit_test(limits_hold_between_threads),
        cmocka_unit_test(stamps_follow_both_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
