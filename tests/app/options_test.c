/* options_test.c - app/commands/options.c: flags as argparse takes them, and what is said about
 * wrong ones. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAME, ARGS, JSON, FLAGS };

static fw_option all[FLAGS];
static fw_options options;

static fw_parse parse(int argc, ...)
{
    static char words[16][32];
    char *argv[17] = {NULL};
    va_list list;
    va_start(list, argc);
    for (int i = 0; i < argc; i++) {
        snprintf(words[i], sizeof(words[i]), "%s", va_arg(list, const char *));
        argv[i] = words[i];
    }
    va_end(list);
    all[NAME] = (fw_option){.name = "task-name",
                            .letter = 't',
                            .kind = FW_OPTION_VALUE,
                            .value = "NAME",
                            .meaning = ""};
    all[ARGS] = (fw_option){.name = "args", .kind = FW_OPTION_MANY, .value = "A", .meaning = ""};
    all[JSON] = (fw_option){.name = "json", .kind = FW_OPTION_FLAG, .meaning = ""};
    options = (fw_options){.command = "test",
                           .usage = "test",
                           .examples = "  fastworker test\n",
                           .all = all,
                           .count = FLAGS};
    return fw_options_parse(&options, argc, argv);
}

static void takes_flags_and_words(void **state)
{
    (void)state;
    assert_int_equal(
        parse(9, "x", "one", "--args", "5", "-3", "-.5", "--json", "--task-name=add", "two"),
        FW_PARSE_GO);
    assert_string_equal(all[NAME].text, "add");
    assert_int_equal(all[ARGS].count, 3);
    assert_string_equal(all[ARGS].words[1], "-3");
    assert_string_equal(all[ARGS].words[2], "-.5");
    assert_true(all[JSON].given);
    assert_int_equal(options.word_count, 2);
    assert_string_equal(options.words[1], "two");
    fw_options_fini(&options);
}

static void takes_odd_words(void **state)
{
    (void)state;
    assert_int_equal(parse(8, "x", "--args", "", "-a b", "-", "--", "--json", "-z"), FW_PARSE_GO);
    assert_int_equal(all[ARGS].count, 3);
    assert_string_equal(all[ARGS].words[1], "-a b");
    assert_false(all[JSON].given);
    assert_int_equal(options.word_count, 2);
    fw_options_fini(&options);
    /* Given twice: the last value counts, the words add up. */
    assert_int_equal(parse(9, "x", "-t", "a", "--args", "1", "--task-name", "b", "--args", "2"),
                     FW_PARSE_GO);
    assert_string_equal(all[NAME].text, "b");
    assert_int_equal(all[ARGS].count, 2);
    fw_options_fini(&options);
}

static void takes_beginnings_of_names(void **state)
{
    (void)state;
    assert_int_equal(parse(4, "x", "--task", "add", "--js"), FW_PARSE_GO);
    assert_string_equal(all[NAME].text, "add");
    assert_true(all[JSON].given);
    fw_options_fini(&options);
}

/* What is said goes to a file meanwhile. */
static void said(char *text, size_t capacity, fw_parse *result, fw_parse (*run)(void))
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    *result = run();
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    text[fread(text, 1, capacity - 1, file)] = '\0';
    fclose(file);
}

static fw_parse misspelt(void)
{
    return parse(3, "x", "--task-nmae", "add");
}
static fw_parse strange(void)
{
    return parse(2, "x", "--frobnicate");
}
static fw_parse without_value(void)
{
    return parse(3, "x", "--task-name", "--json");
}
static fw_parse with_value(void)
{
    return parse(2, "x", "--json=1");
}
static fw_parse letter(void)
{
    return parse(2, "x", "-q");
}

static void wrong_flags_are_told(void **state)
{
    (void)state;
    static const struct {
        fw_parse (*run)(void);
        const char *text;
    } cases[] = {{misspelt, "did you mean --task-name?"},
                 {strange, "there is no flag --frobnicate"},
                 {without_value, "--task-name needs a value"},
                 {with_value, "--json takes no value"},
                 {letter, "there is no flag -q"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        fw_parse result;
        said(text, sizeof(text), &result, cases[i].run);
        assert_int_equal(result, FW_PARSE_WRONG);
        assert_non_null(strstr(text, cases[i].text));
        assert_non_null(strstr(text, "--help"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_flags_and_words),
        cmocka_unit_test(takes_odd_words),
        cmocka_unit_test(takes_beginnings_of_names),
        cmocka_unit_test(wrong_flags_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
