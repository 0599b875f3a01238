/* key_test.c - identities from text (include/base/key.c), and the words of include/base/types.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static fw_key key_of(const char *text)
{
    return fw_key_from_text((fw_span){text, strlen(text)});
}

static void a_uuid_is_its_own_bytes(void **state)
{
    (void)state;
    static const char text[] = "0f8fad5b-d9cb-469f-a165-70867728950e";
    char again[FW_UUID_TEXT];
    fw_key key = key_of(text);
    assert_true(key.high == UINT64_C(0x0f8fad5bd9cb469f) &&
                key.low == UINT64_C(0xa16570867728950e));
    assert_true(fw_key_is_uuid(key));
    fw_key_format(again, key);
    assert_memory_equal(again, text, FW_UUID_TEXT);
}

static void other_text_is_never_a_uuid(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a",
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        "0f8fad5b-d9cb-f69f-a165-70867728950e",
        "0f8fad5bd9cb469fa16570867728950e1234",
        "0f8fad5b-d9cb-469f-a165-70867728950",
        "order/17",
        "0f8fad5b-d9cb-069f-a165-70867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950g",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(fw_key_is_uuid(key_of(texts[i])));
        assert_true(fw_key_equal(key_of(texts[i]), key_of(texts[i])));
        for (size_t j = 0; j < i; j++)
            assert_false(fw_key_equal(key_of(texts[i]), key_of(texts[j])));
    }
}

static void random_keys_are_version_4_and_differ(void **state)
{
    (void)state;
    fw_key last = fw_key_random();
    for (int i = 0; i < 1000; i++) {
        char text[FW_UUID_TEXT];
        fw_key key = fw_key_random();
        assert_false(fw_key_equal(key, last));
        fw_key_format(text, key);
        assert_int_equal(text[14], '4');
        assert_non_null(memchr("89ab", text[19], 4));
        assert_true(fw_key_equal(fw_key_from_text((fw_span){text, FW_UUID_TEXT}), key));
        last = key;
    }
}

static void words_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < FW_LEVELS; i++) {
        const char *word = fw_prio_name((fw_prio)i);
        assert_int_equal(fw_prio_parse((fw_span){word, strlen(word)}), i);
    }
    for (int i = 0; i < FW_UNKNOWN; i++) {
        const char *word = fw_state_name((fw_state)i);
        assert_int_equal(fw_state_parse((fw_span){word, strlen(word)}), i);
    }
    assert_int_equal(fw_prio_parse((fw_span){"HIGH", 4}), -1);
    assert_int_equal(fw_prio_parse((fw_span){"hig", 3}), -1);
    assert_int_equal(fw_state_parse((fw_span){"unknown", 7}), -1);
    assert_string_equal(fw_strerror(-FW_ETIME), fw_strerror(FW_ETIME));
    assert_string_equal(fw_strerror(-9999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_is_its_own_bytes),
        cmocka_unit_test(other_text_is_never_a_uuid),
        cmocka_unit_test(random_keys_are_version_4_and_differ),
        cmocka_unit_test(words_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
