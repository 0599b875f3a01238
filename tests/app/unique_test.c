/* tests/app/unique_test.c - keys taken, given back, kept for a while; by many threads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/unique.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/atomic.h"

static fw_span text(const char *words)
{
    return (fw_span){words, strlen(words)};
}

static fw_key key_of(uint64_t number)
{
    return (fw_key){0x4000 | number << 32, UINT64_C(0x8000000000000000) | number};
}

/* => whether it was free. */
static bool take(fw_unique *unique, const char *name, uint64_t task, int64_t now, int64_t until)
{
    fw_unique_key key;
    fw_unique_open(unique, &key, text(name), now);
    bool free = !key.holder;
    if (free)
        assert_true(fw_unique_take(&key, key_of(task), text("an-id"), until, false));
    fw_unique_close(&key);
    return free;
}

static void test_one_holder(void **state)
{
    (void)state;
    fw_unique *unique = fw_unique_create(10);
    fw_unique_key key;
    assert_true(take(unique, "k", 1, 0, 0));
    assert_false(take(unique, "k", 2, 0, 0));
    assert_true(take(unique, "other", 2, 0, 0));
    fw_unique_open(unique, &key, text("k"), 0);
    assert_non_null(key.holder);
    assert_true(fw_key_equal(key.holder->task, key_of(1)) && key.holder->live);
    assert_memory_equal(key.holder->id.ptr, "an-id", 5);
    fw_unique_close(&key);
    assert_int_equal(fw_unique_count(unique), 2);
    /* Somebody else's end changes nothing. */
    fw_unique_release(unique, text("k"), key_of(2), false, 0);
    assert_false(take(unique, "k", 2, 0, 0));
    fw_unique_release(unique, text("k"), key_of(1), false, 0);
    assert_true(take(unique, "k", 2, 0, 0));
    fw_unique_destroy(unique);
}

/* Neither its end nor its life counts. */
static void test_timed(void **state)
{
    (void)state;
    fw_unique *unique = fw_unique_create(10);
    fw_unique_key key;
    fw_unique_open(unique, &key, text("k"), 0);
    assert_true(fw_unique_take(&key, key_of(1), text("an-id"), 100, true));
    fw_unique_close(&key);
    fw_unique_release(unique, text("k"), key_of(1), false, 10);
    assert_false(take(unique, "k", 2, 99, 0));
    fw_unique_open(unique, &key, text("k"), 100);
    assert_null(key.holder);
    assert_true(fw_unique_take(&key, key_of(3), text("an-id"), 200, true));
    fw_unique_close(&key);
    assert_false(take(unique, "k", 4, 199, 0));
    assert_true(take(unique, "k", 4, 200, 0));
    /* The one before it ends, and has it no more. */
    fw_unique_release(unique, text("k"), key_of(3), false, 210);
    assert_false(take(unique, "k", 5, 220, 0));
    fw_unique_destroy(unique);
}

static void test_minimum_time(void **state)
{
    (void)state;
    fw_unique *unique = fw_unique_create(10);
    fw_unique_key key;
    assert_true(take(unique, "k", 1, 0, 100));
    fw_unique_release(unique, text("k"), key_of(1), true, 10);
    assert_false(take(unique, "k", 2, 99, 0));
    /* The same task may come again. */
    fw_unique_open(unique, &key, text("k"), 50);
    assert_false(key.holder->live);
    assert_true(fw_unique_take(&key, key_of(1), text("an-id"), 200, false));
    assert_true(key.holder->live);
    fw_unique_close(&key);
    fw_unique_release(unique, text("k"), key_of(1), true, 60);
    assert_false(take(unique, "k", 2, 199, 0));
    assert_true(take(unique, "k", 2, 200, 300));
    /* A failure does not keep it. */
    fw_unique_release(unique, text("k"), key_of(2), false, 210);
    assert_int_equal(fw_unique_count(unique), 0);
    fw_unique_destroy(unique);
}

static void test_sweep_and_bound(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    fw_unique *unique = fw_unique_create(KEYS);
    char name[32];
    for (uint64_t i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "key %d", (int)i);
        assert_true(take(unique, name, i, 0, i % 2 ? 100 : 0));
        assert_true(fw_unique_is_full(unique, KEYS));
        assert_false(fw_unique_is_full(unique, 1));
        fw_unique_release(unique, text(name), key_of(i), true, 1);
    }
    assert_int_equal(fw_unique_count(unique), KEYS / 2);
    for (int i = 0; i < 64; i++)
        fw_unique_sweep(unique, 99);
    assert_int_equal(fw_unique_count(unique), KEYS / 2);
    for (int i = 0; i < 64; i++)
        fw_unique_sweep(unique, 100);
    assert_int_equal(fw_unique_count(unique), 0);
    fw_unique_destroy(unique);
}

enum { THREADS = 4, ROUNDS = 3000, NAMES = 3 };
static fw_unique *shared;
static fw_atomic(int) holders[NAMES];

static void *contend(void *argument)
{
    static const char *const names[NAMES] = {"a", "b", "c"};
    uint64_t self = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        int which = i % NAMES;
        if (!take(shared, names[which], self, 0, 0))
            continue;
        /* Nobody else has it. */
        assert_int_equal(fw_add_seq_cst(&holders[which], 1), 0);
        assert_int_equal(fw_sub_seq_cst(&holders[which], 1), 1);
        fw_unique_release(shared, text(names[which]), key_of(self), false, 0);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared = fw_unique_create(100);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(fw_unique_count(shared), 0);
    fw_unique_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder), cmocka_unit_test(test_minimum_time),
        cmocka_unit_test(test_timed),      cmocka_unit_test(test_sweep_and_bound),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
