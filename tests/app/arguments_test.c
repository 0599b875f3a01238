/* arguments_test.c - app/commands/arguments.c: words become what Python's command line made of them
 * (C-152). SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void words_become_values(void **state)
{
    (void)state;
    static const struct {
        const char *word, *json;
    } cases[] = {{"5", "5"},
                 {"5.0", "5.0"},
                 {"true", "true"},
                 {"FALSE", "false"},
                 {"tRuE", "true"},
                 {"abc", "\"abc\""},
                 {"1e5", "100000.0"},
                 {"nan", "NaN"},
                 {"-nan", "NaN"},
                 {"inf", "Infinity"},
                 {"-Infinity", "-Infinity"},
                 {"1_000", "1000"},
                 {" 7 ", "7"},
                 {"\t7\n", "7"},
                 {"0x10", "\"0x10\""},
                 {"-3", "-3"},
                 {"\"Q1\"", "\"\\\"Q1\\\"\""},
                 {"[1,2]", "\"[1,2]\""},
                 {"None", "\"None\""},
                 {"", "\"\""},
                 {"+5", "5"},
                 {"007", "7"},
                 {"-0", "0"},
                 {"000", "0"},
                 {"-0.0", "-0.0"},
                 {"1_000.5", "1000.5"},
                 {"1__0", "\"1__0\""},
                 {"_1", "\"_1\""},
                 {"1_", "\"1_\""},
                 {".5", "0.5"},
                 {"5.", "5.0"},
                 {".", "\".\""},
                 {"1e", "\"1e\""},
                 {"1e+2", "100.0"},
                 {"+", "\"+\""},
                 {"--5", "\"--5\""},
                 {" true", "\" true\""},
                 {"1 2", "\"1 2\""},
                 {"1e400", "Infinity"},
                 {"123456789012345678901234567890", "123456789012345678901234567890"},
                 {"\xc3\xa4", "\"\\u00e4\""},
                 {"\xff", "\"\\ufffd\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_buffer out = {.data = NULL};
        fw_argument_write(&out, cases[i].word);
        fw_buffer_add(&out, "", 1);
        assert_string_equal(out.data, cases[i].json);
        fw_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_become_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
