/* token_test.c - net/token.c: what is the token, and what is not.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/token.h"

#include "peers.h"

static fw_span text(const char *chars)
{
    return (fw_span){chars, strlen(chars)};
}

static void only_the_token_is_the_token(void **state)
{
    (void)state;
    const char *wrong[] = {"", "s", "secre", "secret2", "Secret", "secret ", "\0secret"};
    fw_token token;
    fw_token_set(&token, text("secret"));
    assert_true(token.asked);
    assert_true(fw_token_is(&token, text("secret")));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(fw_token_is(&token, text(wrong[i])));
    assert_false(fw_token_is(&token, (fw_span){"secret\0", 7}));
    assert_false(fw_token_is(&token, (fw_span){NULL, 0}));
    /* Each bit of it matters. */
    for (size_t i = 0; i < 6 * 8; i++) {
        char other[] = "secret";
        other[i / 8] = (char)(other[i / 8] ^ 1 << i % 8);
        assert_false(fw_token_is(&token, (fw_span){other, 6}));
    }
}

static void without_one_anything_will_do(void **state)
{
    (void)state;
    fw_token token;
    fw_token_set(&token, text(""));
    assert_false(token.asked);
    assert_true(fw_token_is(&token, text("")));
    assert_true(fw_token_is(&token, text("whatever")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_token_is_the_token),
        cmocka_unit_test(without_one_anything_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
