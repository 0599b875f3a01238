/* output_test.c - app/commands/output.c: values as Python prints them. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/commands/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void values_as_python_prints_them(void **state)
{
    (void)state;
    /* Made by print(json.loads(...)). */
    static const struct {
        const char *json, *text;
    } cases[] = {{"8", "8"},
                 {"null", "None"},
                 {"true", "True"},
                 {"\"x\"", "x"},
                 {"[\"x\"]", "['x']"},
                 {"[\"it's\"]", "[\"it's\"]"},
                 {"[\"it's \\\"\"]", "['it\\'s \"']"},
                 {"[\"\\\"\"]", "['\"']"},
                 {"{\"a\": [1, null, false]}", "{'a': [1, None, False]}"},
                 {"{}", "{}"},
                 {"[]", "[]"},
                 {"[1.50, 1e5, 1E400, NaN, -Infinity]", "[1.5, 100000.0, inf, nan, -inf]"},
                 {"123456789012345678901234567890", "123456789012345678901234567890"},
                 {"[\"a\\nb\\t\\\\\\u0001\"]", "['a\\nb\\t\\\\\\x01']"},
                 {"\"a\\nb\"", "a\nb"},
                 {"[\"\\u00e4\"]", "['\xc3\xa4']"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_buffer out = {.data = NULL};
        fw_output_python(&out, (fw_span){cases[i].json, strlen(cases[i].json)});
        fw_buffer_add(&out, "", 1);
        assert_string_equal(out.data, cases[i].text);
        fw_buffer_fini(&out);
    }
}

static void deep_values_end_somewhere(void **state)
{
    (void)state;
    char deep[2 * FW_JSON_DEPTH_MAX];
    fw_buffer out = {.data = NULL};
    memset(deep, '[', FW_JSON_DEPTH_MAX);
    memset(deep + FW_JSON_DEPTH_MAX, ']', FW_JSON_DEPTH_MAX);
    fw_output_python(&out, (fw_span){deep, sizeof(deep)});
    assert_int_equal(out.len, sizeof(deep));
    assert_memory_equal(out.data, deep, sizeof(deep));
    fw_buffer_fini(&out);
}

static void objects_without_a_result(void **state)
{
    (void)state;
    fw_buffer out = {.data = NULL};
    fw_output_json(&out, "a\"b", "error", NULL, "no \"paper\"");
    fw_buffer_add(&out, "", 1);
    assert_string_equal(out.data, "{\"task_id\": \"a\\\"b\", \"status\": \"error\", \"error\": "
                                  "\"no \\\"paper\\\"\"}");
    fw_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_as_python_prints_them),
        cmocka_unit_test(deep_values_end_somewhere),
        cmocka_unit_test(objects_without_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
