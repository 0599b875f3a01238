/* tests/app/expiries_test.c - moments come in order, and those of nobody make room.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/expiries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool even_ones_wait(void *context, fw_key task)
{
    (void)context;
    return task.low % 2 == 0;
}

static void test_order(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    fw_expiries *expiries = fw_expiries_create(even_ones_wait, NULL, 4 * COUNT);
    fw_key task;
    unsigned random = 7;
    for (uint64_t i = 0; i < COUNT; i++) {
        random = random * 1103515245 + 12345;
        assert_true(fw_expiries_add(expiries, (fw_key){random >> 8 & 0xfff, 2 * i},
                                    (int64_t)(random >> 8 & 0xfff)));
    }
    assert_false(fw_expiries_take(expiries, &task, -1));
    uint64_t before = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(fw_expiries_take(expiries, &task, 0xfff));
        assert_true(task.high >= before);
        before = task.high;
    }
    assert_false(fw_expiries_take(expiries, &task, INT64_MAX));
    fw_expiries_destroy(expiries);
}

static void test_room(void **state)
{
    (void)state;
    fw_expiries *expiries = fw_expiries_create(even_ones_wait, NULL, 512);
    for (uint64_t i = 0; i < 100000; i++)
        assert_true(fw_expiries_add(expiries, (fw_key){0, 2 * i + 1}, (int64_t)i));
    assert_true(fw_expiries_count(expiries) <= 512);
    bool added = true;
    for (uint64_t i = 0; added && i < 1000; i++)
        added = fw_expiries_add(expiries, (fw_key){0, 2 * i}, (int64_t)i);
    assert_false(added);
    assert_int_equal(fw_expiries_count(expiries), 512);
    fw_expiries_destroy(expiries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
