/* example_test.c - docs/examples/mytasks.c, as the line of docs/MODULES.md compiled it, does what
 * it says. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/modules.h"
#include "one_call.h"

static fw_modules *modules;

static fw_call_output call(const char *name, const char *args, const char *kwargs)
{
    fw_call_output out;
    fw_call_input input = input_of(args, kwargs);
    const fw_task_entry *entry = fw_modules_find(modules, span_of(name));
    assert_non_null(entry);
    fw_modules_call(modules, entry, &input, &out);
    return out;
}

static void the_example_answers(void **state)
{
    (void)state;
    assert_true(span_is(call("add", "[5,3]", "{}").result, "8"));
    assert_true(span_is(call("add", "[5]", "{\"y\":3}").result, "8"));
    assert_true(span_is(call("add", "[9223372036854775807,1]", "{}").error,
                        "9223372036854775807 + 1 does not fit into 64 bits"));
    assert_true(span_is(call("greet", "[\"Ada\"]", "{}").result, "\"Hello, Ada!\""));
    assert_true(span_is(call("greet", "[\"Ada\"]", "{\"greeting\":\"Good morning\"}").result,
                        "\"Good morning, Ada!\""));
    assert_true(span_is(call("wrap", "[[1, {\"a\": 2}]]", "{}").result,
                        "{\"value\": [1, {\"a\": 2}], \"attempt\": 1}"));
    assert_true(span_is(call("collatz", "[28]", "{}").result, "111"));
    assert_true(span_is(call("roll", "[1]", "{}").result, "1"));
    assert_true(span_is(call("roll", "[0]", "{}").error, "a die with 0 sides cannot be rolled"));
}

static void the_example_is_listed(void **state)
{
    (void)state;
    fw_module_info info;
    char error[512];
    assert_int_equal(fw_module_read(&info, error, sizeof error, FW_EXAMPLE), 0);
    assert_string_equal(info.name, "mytasks");
    assert_int_equal(info.count, fw_modules_count(modules));
    assert_string_equal(info.tasks[3].name, "collatz");
    assert_int_equal(info.tasks[3].timeout_ms, 60000);
    assert_int_equal(info.tasks[2].max_retries, 2);
    fw_module_info_fini(&info);
}

static int set_up(void **state)
{
    (void)state;
    char error[512];
    if (fw_modules_create(&modules, 1) < 0)
        return -1;
    if (fw_modules_load(modules, error, sizeof error, FW_EXAMPLE, NULL) < 0) {
        print_error("%s\n", error);
        return -1;
    }
    return fw_modules_thread_start(modules, 0);
}

static int tear_down(void **state)
{
    (void)state;
    fw_modules_thread_stop(modules, 0);
    fw_modules_destroy(modules);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_answers),
        cmocka_unit_test(the_example_is_listed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
