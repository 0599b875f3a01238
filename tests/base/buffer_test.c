/* buffer_test.c - growing, and JSON as Python writes it (base/buffer.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

static void expect(fw_buffer *buffer, const char *text)
{
    assert_false(buffer->failed);
    if (buffer->len != strlen(text) || memcmp(buffer->data, text, buffer->len) != 0)
        fail_msg("%.*s instead of %s", (int)buffer->len, buffer->data, text);
    buffer->len = 0;
}

static void grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    fw_buffer buffer = {0};
    for (int i = 0; i < 5000; i++)
        fw_buffer_format(&buffer, "%d,", i);
    fw_buffer_text(&buffer, "end");
    fw_buffer_add(&buffer, NULL, 0);
    assert_int_equal(buffer.len, 10 * 2 + 90 * 3 + 900 * 4 + 4000 * 5 + 3);
    assert_memory_equal(buffer.data, "0,1,2,", 6);
    assert_memory_equal(buffer.data + buffer.len - 8, "4999,end", 8);
    fw_buffer_fini(&buffer);
    assert_null(buffer.data);
}

static void whole_numbers(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 9, 10, 99999, 18446744073709551615u};
    fw_buffer buffer = {0};
    char expected[128];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        buffer.len = 0;
        fw_buffer_unsigned(&buffer, numbers[i]);
        fw_buffer_text(&buffer, " ");
        fw_buffer_digits(&buffer, numbers[i], 6);
        fw_buffer_digits(&buffer, numbers[i], 20);
        int len = snprintf(expected, sizeof expected, "%ju %06ju%020ju", (uintmax_t)numbers[i],
                           (uintmax_t)numbers[i], (uintmax_t)numbers[i]);
        assert_int_equal(buffer.len, len);
        assert_memory_equal(buffer.data, expected, (size_t)len);
    }
    fw_buffer_fini(&buffer);
}

static void a_format_may_need_all_the_room(void **state)
{
    (void)state;
    fw_buffer buffer = {0};
    char text[300];
    memset(text, 'x', sizeof(text));
    for (int len = 250; len < 262; len++) {
        fw_buffer_fini(&buffer);
        assert_true(fw_buffer_reserve(&buffer, 1));
        fw_buffer_format(&buffer, "%.*s", len, text);
        assert_int_equal(buffer.len, len);
        assert_memory_equal(buffer.data, text, (size_t)len);
    }
    fw_buffer_fini(&buffer);
}

static void a_failure_stays(void **state)
{
    (void)state;
    fw_buffer buffer = {0};
    fw_buffer_text(&buffer, "a");
    assert_false(fw_buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
    fw_buffer_text(&buffer, "b");
    fw_buffer_format(&buffer, "%d", 1);
    assert_int_equal(buffer.len, 1);
    assert_false(fw_buffer_reserve(&buffer, 1));
    fw_buffer_fini(&buffer);
    assert_false(buffer.failed);
}

static void strings_are_ascii(void **state)
{
    (void)state;
    static const char input[] = "a\"\\/\b\f\n\r\t\x01\x7f~\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z";
    fw_buffer buffer = {0};
    fw_buffer_json_string(&buffer, (fw_span){input, sizeof(input) - 1});
    expect(&buffer,
           "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f~\\u00e9\\u20ac\\ud83d\\ude00\\u0000z\"");
    /* Cut, overlong, surrogate, beyond the last code point: each bad byte is replaced. */
    static const char bad[] = "\xc3|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82";
    fw_buffer_json_string(&buffer, (fw_span){bad, sizeof(bad) - 1});
    expect(&buffer, "\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|"
                    "\\ufffd\\ufffd\"");
    fw_buffer_json_string(&buffer, (fw_span){NULL, 0});
    expect(&buffer, "\"\"");
    fw_buffer_fini(&buffer);
}

/* The texts are Python's: json.dumps(value). */
static void numbers_are_pythons(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-60.0, "-60.0"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {1e15, "1000000000000000.0"},
        {1234567890123456.0, "1234567890123456.0"},
        {1e16, "1e+16"},
        {1.5e16, "1.5e+16"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {1e308, "1e+308"},
        {1e100, "1e+100"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {123456.789, "123456.789"},
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p-44 + 0x1p-96, "5.684341886080803e-14"},
        {3600.0, "3600.0"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {NAN, "NaN"},
    };
    fw_buffer buffer = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_buffer_json_double(&buffer, cases[i].value);
        expect(&buffer, cases[i].text);
    }
    fw_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_what_it_has),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(a_format_may_need_all_the_room),
        cmocka_unit_test(a_failure_stays),
        cmocka_unit_test(strings_are_ascii),
        cmocka_unit_test(numbers_are_pythons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
