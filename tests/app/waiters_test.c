/* waiters_test.c - an asker is answered by exactly one of task and clock. Covers app/life/waiters.c
 * and app/life/run_counts.c. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/waiters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/life/run_counts.h"

enum { ROUNDS = 2000, ASKERS = 3 };

typedef struct race {
    fw_waiters waiters;
    fw_task *task;
    pthread_barrier_t barrier;
    fw_atomic(int) answers, refused;
} race;

static void give_back_all(race *r, fw_waiter *list)
{
    while (list) {
        fw_waiter *next = list->next;
        /* Relaxed: counts, read after the threads were joined. */
        if (fw_waiter_claim(list))
            fw_add_relaxed(&r->answers, 1);
        fw_waiter_release(&r->waiters, list);
        list = next;
    }
}

static void *ask(void *argument)
{
    race *r = argument;
    fw_reply_to reply = {.form = FW_REPLY_JSON};
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&r->barrier);
        /* Every other one has a limit, so the clock takes part. */
        fw_waiter *w = fw_waiter_create(&r->waiters, &reply, (fw_key){1, 2}, i % 2 ? 1 : 0, false);
        assert_non_null(w);
        if (!fw_waiters_attach(&r->waiters, r->task, w))
            fw_add_relaxed(&r->refused, 1);
        pthread_barrier_wait(&r->barrier);
    }
    return NULL;
}

static void *run_clock(void *argument)
{
    race *r = argument;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&r->barrier);
        fw_waiter *over = fw_waiters_expired(&r->waiters, 2, false);
        while (over) {
            fw_waiter *next = over->next_wait;
            if (fw_waiter_claim(over))
                fw_add_relaxed(&r->answers, 1);
            fw_waiter_release(&r->waiters, over);
            over = next;
        }
        pthread_barrier_wait(&r->barrier);
    }
    return NULL;
}

static void each_asker_is_answered_once(void **state)
{
    (void)state;
    race r = {.task = calloc(1, sizeof(fw_task))};
    pthread_t threads[ASKERS + 1];
    assert_int_equal(fw_waiters_init(&r.waiters), 0);
    pthread_barrier_init(&r.barrier, NULL, ASKERS + 2);
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&threads[i], NULL, ask, &r);
    pthread_create(&threads[ASKERS], NULL, run_clock, &r);
    for (int i = 0; i < ROUNDS; i++) {
        /* Relaxed: the barrier orders it. */
        fw_store_relaxed(&r.task->waiters, NULL);
        pthread_barrier_wait(&r.barrier);
        give_back_all(&r, fw_waiters_close(r.task));
        pthread_barrier_wait(&r.barrier);
    }
    for (int i = 0; i < ASKERS + 1; i++)
        pthread_join(threads[i], NULL);
    fw_waiter *rest = fw_waiters_expired(&r.waiters, 0, true);
    while (rest) {
        fw_waiter *next = rest->next_wait;
        assert_false(fw_waiter_claim(rest));
        fw_waiter_release(&r.waiters, rest);
        rest = next;
    }
    int sum = fw_load_relaxed(&r.answers) + fw_load_relaxed(&r.refused);
    assert_int_equal(sum, ROUNDS * ASKERS);
    fw_waiters_fini(&r.waiters);
    pthread_barrier_destroy(&r.barrier);
    free(r.task);
}

static void counts_add_up_over_threads(void **state)
{
    (void)state;
    fw_run_counts *counts = fw_run_counts_create(3, 2);
    assert_non_null(counts);
    for (unsigned thread = 0; thread <= 2; thread++)
        fw_run_counts_add(counts, 2, FW_LOW, FW_COUNT_FAILURE, thread + 1, thread);
    fw_run_counts_add(counts, 2, FW_HIGH, FW_COUNT_FAILURE, 100, 1);
    assert_int_equal(fw_run_counts_read(counts, 2, FW_LOW, FW_COUNT_FAILURE), 6);
    assert_int_equal(fw_run_counts_read(counts, 2, FW_HIGH, FW_COUNT_FAILURE), 100);
    assert_int_equal(fw_run_counts_read(counts, 1, FW_LOW, FW_COUNT_FAILURE), 0);
    fw_run_counts_destroy(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_asker_is_answered_once),
        cmocka_unit_test(counts_add_up_over_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
