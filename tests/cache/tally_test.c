/* tally_test.c - readers' counters: nothing is lost, whether a thread has a seat of its own or not,
 * and seats of threads that ended are used again. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <pthread.h>

#include "cache/tally.h"

enum { COUNTS = 1000, CROWD = FW_TALLY_SEATS + 10 };

static fw_tally tally[FW_TALLY_SEATS];
static pthread_barrier_t all_sit;

static void *count_alone(void *argument)
{
    (void)argument;
    for (int i = 0; i < COUNTS; i++)
        fw_tally_count(tally, FW_TALLY_HITS);
    return NULL;
}

static void *count_in_a_crowd(void *argument)
{
    unsigned *seat = argument;
    fw_tally_count(tally, FW_TALLY_MISSES);
    *seat = fw_tally_my_seat - 1;
    pthread_barrier_wait(&all_sit);
    for (int i = 1; i < COUNTS; i++)
        fw_tally_count(tally, FW_TALLY_MISSES);
    return NULL;
}

static void seats_are_used_again(void **state)
{
    (void)state;
    uint64_t before = fw_tally_sum(tally, FW_TALLY_HITS);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, count_alone, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(fw_tally_sum(tally, FW_TALLY_HITS) - before, 200 * COUNTS);
    /* Relaxed: all threads have ended. */
    assert_int_equal(fw_load_relaxed(&tally[FW_TALLY_SHARED].counts[FW_TALLY_HITS]), 0);
}

static void more_threads_than_seats_share_the_last(void **state)
{
    (void)state;
    pthread_t threads[CROWD];
    unsigned seats[CROWD], sharing = 0;
    assert_int_equal(pthread_barrier_init(&all_sit, NULL, CROWD), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_a_crowd, &seats[i]), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CROWD; i++)
        sharing += seats[i] == FW_TALLY_SHARED;
    assert_int_equal(sharing, CROWD - FW_TALLY_SHARED);
    assert_int_equal(fw_tally_sum(tally, FW_TALLY_MISSES), CROWD * COUNTS);
    pthread_barrier_destroy(&all_sit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seats_are_used_again),
        cmocka_unit_test(more_threads_than_seats_share_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
