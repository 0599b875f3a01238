/* tokens_test.c - a bucket of tokens by a clock that the test moves.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/tokens.h"

static void without_a_rate_there_is_always_room(void **state)
{
    (void)state;
    fw_tokens tokens = {0};
    assert_true(fw_tokens_set(&tokens, 0, 5, 0));
    fw_tokens_take(&tokens, 10);
    assert_true(fw_tokens_room(&tokens, 10) == SIZE_MAX);
}

static void a_burst_at_once_and_then_one_each_interval(void **state)
{
    (void)state;
    fw_tokens tokens = {0};
    int64_t now = 12345;
    assert_true(fw_tokens_set(&tokens, 10, 3, now));
    for (unsigned left = 3; left > 0; left--) {
        assert_int_equal(fw_tokens_room(&tokens, now), left);
        fw_tokens_take(&tokens, now);
    }
    assert_int_equal(fw_tokens_room(&tokens, now), 0);
    assert_int_equal(fw_tokens_room(&tokens, now + FW_NS_PER_S / 10 - 1), 0);
    assert_int_equal(fw_tokens_room(&tokens, now + FW_NS_PER_S / 10), 1);
    assert_int_equal(fw_tokens_room(&tokens, now + FW_NS_PER_S / 5), 2);
    /* Never more than the burst, however long nobody came. */
    assert_int_equal(fw_tokens_room(&tokens, now + 3600 * FW_NS_PER_S), 3);
    fw_tokens_give_back(&tokens);
    assert_int_equal(fw_tokens_room(&tokens, now), 1);
}

/* Whoever comes for each token when it is there gets exactly the rate. */
static void the_rate_holds_over_a_long_time(void **state)
{
    (void)state;
    static const double rates[] = {0.5, 3, 1000, 123456, 5e7};
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        fw_tokens tokens = {0};
        int64_t now = 1;
        uint64_t taken = 0;
        assert_true(fw_tokens_set(&tokens, rates[i], 7, now));
        while (taken < 100000) {
            size_t room = fw_tokens_room(&tokens, now);
            for (size_t j = 0; j < room; j++, taken++)
                fw_tokens_take(&tokens, now);
            int64_t due = fw_tokens_due(&tokens, FW_NS_PER_MS);
            assert_true(due > now);
            assert_true(fw_tokens_room(&tokens, due) > 0);
            now = due;
        }
        double expected = 7 + (double)now * rates[i] / 1e9;
        assert_true((double)taken < expected * 1.02 + 8 && (double)taken > expected * 0.98 - 8);
    }
}

static void a_look_is_worth_it_when_there_is_a_token_or_a_milliseconds_worth(void **state)
{
    (void)state;
    fw_tokens slow = {0}, fast = {0}, single = {0};
    assert_true(fw_tokens_set(&slow, 10, 5, 0));
    assert_true(fw_tokens_set(&fast, 100000, 1000, 0));
    assert_true(fw_tokens_set(&single, 100000, 1, 0));
    for (unsigned i = 0; i < 1000; i++)
        fw_tokens_take(&fast, 0);
    for (unsigned i = 0; i < 5; i++)
        fw_tokens_take(&slow, 0);
    fw_tokens_take(&single, 0);
    assert_int_equal(fw_tokens_due(&slow, FW_NS_PER_MS), FW_NS_PER_S / 10);
    assert_int_equal(fw_tokens_due(&fast, FW_NS_PER_MS), FW_NS_PER_MS);
    assert_int_equal(fw_tokens_due(&single, FW_NS_PER_MS), 10 * FW_NS_PER_US);
}

static void what_is_no_rate_is_refused(void **state)
{
    (void)state;
    fw_tokens tokens = {0};
    assert_false(fw_tokens_set(&tokens, -1, 1, 0));
    assert_false(fw_tokens_set(&tokens, 1e-9, 1, 0));
    assert_false(fw_tokens_set(&tokens, 2e9, 1, 0));
    assert_false(fw_tokens_set(&tokens, 0.0 / 0.0, 1, 0));
    /* A burst that is worth more years than the clock has. */
    assert_false(fw_tokens_set(&tokens, 1e-6, UINT32_MAX, 0));
    assert_int_equal(tokens.interval_ns, 0);
}

static void a_burst_that_is_not_told_is_a_tenth_of_a_second(void **state)
{
    (void)state;
    fw_tokens tokens = {0};
    assert_true(fw_tokens_set(&tokens, 2, 0, 0));
    assert_int_equal(fw_tokens_room(&tokens, 0), 1);
    assert_true(fw_tokens_set(&tokens, 500, 0, 0));
    assert_int_equal(fw_tokens_room(&tokens, 0), 50);
}

/* What it lacks stays lacking, but not more than all of it. */
static void a_change_does_not_fill_it(void **state)
{
    (void)state;
    fw_tokens tokens = {0};
    assert_true(fw_tokens_set(&tokens, 1, 100, 0));
    for (unsigned i = 0; i < 100; i++)
        fw_tokens_take(&tokens, 0);
    assert_true(fw_tokens_set(&tokens, 10, 2, 0));
    assert_int_equal(fw_tokens_room(&tokens, 0), 0);
    assert_int_equal(fw_tokens_room(&tokens, FW_NS_PER_S / 10), 1);
    assert_int_equal(fw_tokens_room(&tokens, FW_NS_PER_S / 5), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_there_is_always_room),
        cmocka_unit_test(a_burst_at_once_and_then_one_each_interval),
        cmocka_unit_test(the_rate_holds_over_a_long_time),
        cmocka_unit_test(a_look_is_worth_it_when_there_is_a_token_or_a_milliseconds_worth),
        cmocka_unit_test(what_is_no_rate_is_refused),
        cmocka_unit_test(a_burst_that_is_not_told_is_a_tenth_of_a_second),
        cmocka_unit_test(a_change_does_not_fill_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
