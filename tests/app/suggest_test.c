/* suggest_test.c - near words are found, far ones are not (app/commands/suggest.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void near_words_are_found(void **state)
{
    (void)state;
    static const char *const words[] = {"submit", "status", "cancel", "list", "ping"};
    assert_string_equal(fw_suggest("submti", words, 5), "submit");
    assert_string_equal(fw_suggest("statsu", words, 5), "status");
    assert_string_equal(fw_suggest("cancle", words, 5), "cancel");
    assert_string_equal(fw_suggest("lst", words, 5), "list");
    assert_null(fw_suggest("frobnicate", words, 5));
    assert_null(fw_suggest("x", words, 5));
    assert_null(fw_suggest("", words, 5));
    assert_null(fw_suggest("submit", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(near_words_are_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
