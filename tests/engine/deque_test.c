/* The deque: owner's and thief's order, bounds, and an owner against two thieves (D1 to D3, D5). */
#include "engine/deque.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static fw_work piece(uintptr_t number)
{
    return (fw_work){nothing, (void *)number};
}

static uintptr_t number_of(fw_work work)
{
    return (uintptr_t)work.argument;
}

static void owner_is_last_in_first_out_and_thieves_take_the_oldest(void **state)
{
    (void)state;
    fw_deque deque;
    fw_work out[8];
    assert_int_equal(fw_deque_init(&deque), 0);
    assert_false(fw_deque_pop(&deque, out));
    assert_int_equal(fw_deque_steal(&deque, out, 8), 0);
    for (uintptr_t i = 0; i < 7; i++)
        assert_true(fw_deque_push(&deque, piece(i)));
    assert_int_equal(fw_deque_size(&deque), 7);
    assert_int_equal(fw_deque_steal(&deque, out, 8), 4); /* half, rounded up */
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(number_of(out[i]), i);
    assert_true(fw_deque_pop(&deque, out));
    assert_int_equal(number_of(out[0]), 6);
    assert_int_equal(fw_deque_steal(&deque, out, 1), 1);
    assert_int_equal(number_of(out[0]), 4);
    assert_true(fw_deque_pop(&deque, out));
    assert_int_equal(number_of(out[0]), 5);
    assert_false(fw_deque_pop(&deque, out));
    assert_int_equal(fw_deque_size(&deque), 0);
#ifdef FW_CHECK
    assert_true(fw_deque_is_valid(&deque));
#endif
    fw_deque_fini(&deque);
}

static void a_run_is_popped_in_order_and_full_is_refused(void **state)
{
    (void)state;
    fw_deque deque;
    fw_work out, run[3] = {piece(1), piece(2), piece(3)};
    assert_int_equal(fw_deque_init(&deque), 0);
    for (unsigned round = 0; round < 3; round++) {
        fw_deque_push_run(&deque, run, 3);
        for (uintptr_t i = 1; i <= 3; i++) {
            assert_true(fw_deque_pop(&deque, &out));
            assert_int_equal(number_of(out), i);
        }
    }
    for (uintptr_t i = 0; i < FW_DEQUE_SIZE; i++)
        assert_true(fw_deque_push(&deque, piece(i)));
    assert_false(fw_deque_push(&deque, piece(0)));
    assert_int_equal(fw_deque_steal(&deque, &out, 1), 1);
    assert_int_equal(number_of(out), 0);
    assert_true(fw_deque_push(&deque, piece(FW_DEQUE_SIZE)));
    assert_false(fw_deque_push(&deque, piece(0)));
    fw_deque_fini(&deque);
}

/* Indices wrap at 2^32: start just below. */
static void survives_the_wrap_of_indices(void **state)
{
    (void)state;
    fw_deque deque;
    fw_work out[4];
    assert_int_equal(fw_deque_init(&deque), 0);
    uint32_t start = UINT32_MAX - 2;
    deque.top_seen = start;
    /* Relaxed: nobody else is there. */
    fw_store_relaxed(&deque.bottom, start);
    fw_store_relaxed(&deque.head, (uint64_t)start << 32 | start);
    for (uintptr_t i = 0; i < 8; i++)
        assert_true(fw_deque_push(&deque, piece(i)));
    assert_int_equal(fw_deque_steal(&deque, out, 4), 4);
    assert_int_equal(number_of(out[3]), 3);
    for (uintptr_t i = 7; i >= 4; i--) {
        assert_true(fw_deque_pop(&deque, out));
        assert_int_equal(number_of(out[0]), i);
    }
    assert_false(fw_deque_pop(&deque, out));
    fw_deque_fini(&deque);
}

enum { THIEVES = 2 };

typedef struct stress {
    fw_deque deque;
    fw_atomic(bool) over;
    size_t count;
    fw_atomic(uint8_t) * seen; /* how often each piece was delivered */
    uint64_t *written;         /* by the owner before the push, read by who gets the piece */
} stress;

static void deliver(stress *shared, fw_work work)
{
    uintptr_t number = number_of(work);
    assert_true(number < shared->count);
    assert_true(shared->written[number] == number * 3 + 1);
    /* Relaxed: summed up after the joins. */
    fw_add_relaxed(&shared->seen[number], 1);
}

static void *thief(void *argument)
{
    stress *shared = argument;
    fw_work out[16];
    for (;;) {
        /* [test-over] acquire: the owner's last pop. */
        bool over = fw_load_acquire(&shared->over);
        size_t n = fw_deque_steal(&shared->deque, out, 16);
        for (size_t i = 0; i < n; i++)
            deliver(shared, out[i]);
        if (n == 0 && over && fw_deque_size(&shared->deque) == 0)
            return NULL;
        if (n == 0)
            sched_yield();
    }
}

static void each_piece_goes_to_one(void **state)
{
    (void)state;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    stress *shared = NULL;
    assert_int_equal(posix_memalign((void **)&shared, FW_APART, sizeof(*shared)), 0);
    memset(shared, 0, sizeof(*shared));
    fw_barrier_register();
    shared->count = seconds != NULL ? 200000 * strtoul(seconds, NULL, 10) : 200000;
    shared->seen = calloc(shared->count, sizeof(*shared->seen));
    shared->written = calloc(shared->count, sizeof(*shared->written));
    assert_int_equal(fw_deque_init(&shared->deque), 0);
    pthread_t threads[THIEVES];
    for (unsigned i = 0; i < THIEVES; i++)
        pthread_create(&threads[i], NULL, thief, shared);
    uint64_t random = 7;
    fw_work out;
    for (uintptr_t next = 0; next < shared->count;) {
        random = random * UINT64_C(6364136223846793005) + 1;
        unsigned burst =
            (random >> 33) % 4 == 0 ? 1 + (random >> 40) % 40 : 1; /* often nearly empty */
        for (unsigned i = 0; i < burst && next < shared->count; i++) {
            shared->written[next] = next * 3 + 1;
            if (!fw_deque_push(&shared->deque, piece(next)))
                break;
            next++;
        }
        for (unsigned i = (random >> 50) % (burst + 1) + (burst == 1); i > 0; i--)
            if (fw_deque_pop(&shared->deque, &out))
                deliver(shared, out);
    }
    while (fw_deque_size(&shared->deque) > 0)
        if (fw_deque_pop(&shared->deque, &out))
            deliver(shared, out);
    /* [test-over] release: the pops above. */
    fw_store_release(&shared->over, true);
    for (unsigned i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < shared->count; i++)
        /* Relaxed: after the joins. */
        assert_int_equal(fw_load_relaxed(&shared->seen[i]), 1);
    fw_deque_fini(&shared->deque);
    free(shared->written);
    free(shared->seen);
    free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_is_last_in_first_out_and_thieves_take_the_oldest),
        cmocka_unit_test(a_run_is_popped_in_order_and_full_is_refused),
        cmocka_unit_test(survives_the_wrap_of_indices),
        cmocka_unit_test(each_piece_goes_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
