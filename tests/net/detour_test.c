/* detour_test.c - net/detour.c: words are kept as long as answers are due, no longer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/detour.h"
#include "peers.h"

static void words_stay_until_the_last_use_is_over(void **state)
{
    (void)state;
    fw_detours detours;
    unsigned char out[FW_DETOUR_BYTES];
    fw_detours_init(&detours);
    uint32_t a = fw_detours_add(&detours, (fw_span){"aaaabbbb", 8});
    uint32_t b = fw_detours_add(&detours, (fw_span){"0123456789abcdef0123456789abcdef", 32});
    assert_true(a != 0 && b != 0 && a != b);
    fw_detours_expect(&detours, a, 2);
    fw_detours_end(&detours, a, 2);
    assert_int_equal(fw_detours_read(&detours, out, a), 8);
    assert_memory_equal(out, "aaaabbbb", 8);
    fw_detours_end(&detours, a, 1);
    assert_int_equal(fw_detours_read(&detours, out, a), 0);
    assert_int_equal(fw_detours_read(&detours, out, b), 32);
    assert_memory_equal(out, "0123456789abcdef0123456789abcdef", 32);
    fw_detours_end(&detours, b, 7);
    assert_int_equal(fw_detours_read(&detours, out, b), 0);
    fw_detours_end(&detours, b, 1); /* unknown: nothing happens */
    fw_detours_add(&detours, (fw_span){"left", 4});
    fw_detours_fini(&detours);
}

static void a_number_in_use_is_not_given_out_again(void **state)
{
    (void)state;
    fw_detours detours;
    fw_detours_init(&detours);
    uint32_t first = fw_detours_add(&detours, (fw_span){"aaaa", 4});
    detours.last_number = first - 1;
    uint32_t second = fw_detours_add(&detours, (fw_span){"bbbb", 4});
    assert_int_not_equal(first, second);
    detours.last_number = UINT32_MAX;
    assert_int_not_equal(fw_detours_add(&detours, (fw_span){"cccc", 4}), 0);
    fw_detours_fini(&detours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stay_until_the_last_use_is_over),
        cmocka_unit_test(a_number_in_use_is_not_given_out_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
