/* message_test.c - each refusal has a word of its own (net/message.c). SPDX-License-Identifier:
 * Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "net/message.h"

static void refusals_have_words(void **state)
{
    (void)state;
    assert_string_equal(fw_refusal_name(FW_REFUSED_FULL), "full");
    assert_string_equal(fw_refusal_name(FW_REFUSED_DRAINING), "draining");
    for (int i = 0; i < FW_REFUSALS; i++) {
        const char *name = fw_refusal_name((fw_refusal)i);
        assert_true(strlen(name) > 0 &&
                    strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, fw_refusal_name((fw_refusal)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_have_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
