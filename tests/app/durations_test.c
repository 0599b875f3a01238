/* durations_test.c - app/commands/durations.c: quantiles of durations. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/commands/durations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void empty_has_none(void **state)
{
    (void)state;
    fw_durations l = {0};
    assert_int_equal(fw_durations_quantile(&l, 0.5), 0);
}

static void one_value_is_all_quantiles(void **state)
{
    (void)state;
    for (int64_t ns = 1; ns < INT64_MAX / 3; ns = ns * 3 + 1) {
        fw_durations l = {0};
        fw_durations_add(&l, ns);
        int64_t found = fw_durations_quantile(&l, 0.99);
        assert_true(found >= ns);
        assert_true(found <= ns + ns / 32);
        assert_int_equal(fw_durations_quantile(&l, 0), found);
        assert_int_equal(fw_durations_quantile(&l, 1), found);
    }
}

static void quantiles_are_those_of_the_sorted(void **state)
{
    (void)state;
    fw_durations l = {0};
    for (int64_t i = 10000; i >= 1; i--)
        fw_durations_add(&l, i * 1000);
    for (int percent = 1; percent <= 100; percent++) {
        int64_t found = fw_durations_quantile(&l, percent / 100.0), real = percent * 100000;
        assert_true(found >= real);
        assert_true(found <= real + real / 32 + 1000);
    }
}

static void extremes_are_counted(void **state)
{
    (void)state;
    fw_durations l = {0};
    fw_durations_add(&l, -5);
    fw_durations_add(&l, INT64_MAX);
    assert_int_equal(l.count, 2);
    assert_int_equal(fw_durations_quantile(&l, 0), 0);
    assert_true(fw_durations_quantile(&l, 1) > INT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_has_none),
        cmocka_unit_test(one_value_is_all_quantiles),
        cmocka_unit_test(quantiles_are_those_of_the_sorted),
        cmocka_unit_test(extremes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
