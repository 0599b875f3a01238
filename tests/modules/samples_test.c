/* samples_test.c - the tasks of modules/samples.c, through the real loader.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/modules.h"
#include "one_call.h"

static fw_modules *modules;

static fw_call_output call_with(const char *name, const char *args, const char *kwargs,
                                int (*cancelled)(const void *))
{
    fw_call_output out;
    fw_call_input input = input_of(args, kwargs);
    input.cancelled = cancelled;
    const fw_task_entry *entry = fw_modules_find(modules, span_of(name));
    assert_non_null(entry);
    fw_modules_call(modules, entry, &input, &out);
    return out;
}

typedef struct expected {
    const char *name, *args, *kwargs, *result, *error;
} expected;

#define DIGITS "12345678901234567890123456789012345678901234567890"

static const expected cases[] = {
    {"add", "[5,3]", "{}", "8", NULL},
    {"add", "[]", "{\"y\":3,\"x\":5}", "8", NULL},
    {"add", "[-7,-0]", "{}", "-7", NULL},
    {"add", "[9223372036854775806,1]", "{}", "9223372036854775807", NULL},
    {"add", "[9223372036854775807,1]", "{}", NULL, "add() result does not fit into 64 bits"},
    {"add", "[" DIGITS ",1]", "{}", NULL, "add() argument 'x' does not fit into 64 bits"},
    {"add", "[1,2.5]", "{}", "3.5", NULL},
    {"add", "[1.0,2]", "{}", "3.0", NULL},
    {"add", "[0.1,0.2]", "{}", "0.30000000000000004", NULL},
    {"add", "[1e308,1e308]", "{}", "Infinity", NULL},
    {"add", "[NaN,1]", "{}", "NaN", NULL},
    {"add", "[Infinity,1]", "{}", "Infinity", NULL},
    {"add", "[true,true]", "{}", "2", NULL},
    {"add", "[true,1.5]", "{}", "2.5", NULL},
    {"add", "[\"ab\",\"c\\n\"]", "{}", "\"abc\\n\"", NULL},
    {"add", "[\"\",\"\"]", "{}", "\"\"", NULL},
    {"add", "[\"a\",1]", "{}", NULL, "can only concatenate str (not \"int\") to str"},
    {"add", "[\"a\",null]", "{}", NULL, "can only concatenate str (not \"NoneType\") to str"},
    {"add", "[1,\"a\"]", "{}", NULL, "unsupported operand type(s) for +: 'int' and 'str'"},
    {"add", "[null,1]", "{}", NULL, "unsupported operand type(s) for +: 'NoneType' and 'int'"},
    {"add", "[1.0,\"a\"]", "{}", NULL, "unsupported operand type(s) for +: 'float' and 'str'"},
    {"add", "[{},[]]", "{}", NULL, "unsupported operand type(s) for +: 'dict' and 'list'"},
    {"add", "[5]", "{}", NULL, "add() missing 1 required positional argument: 'y'"},
    {"add", "[5,3]", "{\"z\":1}", NULL, "add() got an unexpected keyword argument 'z'"},
    {"add", "[5,3,1]", "{}", NULL, "add() takes 2 positional arguments but 3 were given"},
    {"echo", "[ {\"a\" : [1, 2.50]} ]", "{}", "{\"a\" : [1, 2.50]}", NULL},
    {"echo", "[" DIGITS DIGITS "]", "{}", DIGITS DIGITS, NULL},
    {"echo", "[\"\\u0041\"]", "{}", "\"\\u0041\"", NULL},
    {"echo", "[1, \"two\",[3]]", "{}", "[1, \"two\",[3]]", NULL},
    {"echo", "[]", "{\"value\":true}", "true", NULL},
    {"echo", "[]", "{}", "null", NULL},
    {"echo", "[]", "{\"x\":1}", NULL, "echo() got an unexpected keyword argument 'x'"},
    {"sleep", "[0]", "{}", "0.0", NULL},
    {"sleep", "[0.015]", "{}", "0.015", NULL},
    {"sleep", "[-1]", "{}", NULL, "sleep length must be non-negative"},
    {"sleep", "[NaN]", "{}", NULL, "Invalid value NaN (not a number)"},
    {"sleep", "[Infinity]", "{}", NULL, "sleep length must be at most 1000000000 seconds"},
    {"fail", "[]", "{}", NULL, "failed as asked"},
    {"fail", "[\"100% of \\\"it\\\"\"]", "{}", NULL, "100% of \"it\""},
    {"fail", "[\"\"]", "{}", NULL, ""},
    {"fail", "[5]", "{}", NULL, "fail() argument 'message' must be str, not int"},
    {"sha256", "[\"\"]", "{}",
     "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"", NULL},
    {"sha256", "[\"abc\"]", "{}",
     "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"", NULL},
    {"sha256", "[\"\\u00e9\"]", "{}",
     "\"4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c\"", NULL},
    {"primes", "[2]", "{}", "0", NULL},
    {"primes", "[3]", "{}", "1", NULL},
    {"primes", "[100]", "{}", "25", NULL},
    {"primes", "[65537]", "{}", "6542", NULL},
    {"primes", "[65538]", "{}", "6543", NULL},
    {"primes", "[1000000]", "{}", "78498", NULL},
    {"primes", "[-5]", "{}", "0", NULL},
    {"primes", "[1000000000001]", "{}", NULL,
     "primes() argument 'n' must be at most 1000000000000"},
};

static void samples_answer_as_promised(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const expected *e = &cases[i];
        fw_call_output out = call_with(e->name, e->args, e->kwargs, NULL);
        bool right = e->result ? out.success && span_is(out.result, e->result)
                               : !out.success && span_is(out.error, e->error);
        if (!right)
            fail_msg("%s%s%s: %.*s %.*s", e->name, e->args, e->kwargs, (int)out.result.len,
                     out.result.ptr, (int)out.error.len, out.error.ptr);
    }
}

static int looks;

static int on_third_look(const void *context)
{
    (void)context;
    return ++looks >= 3;
}

/* An hour of sleep, and a count that takes longer: they end because they look. */
static void long_work_hears_a_cancel(void **state)
{
    (void)state;
    looks = 0;
    assert_true(span_is(call_with("sleep", "[3600]", "{}", on_third_look).error, "cancelled"));
    assert_int_equal(looks, 3);
    looks = 0;
    fw_call_output out = call_with("primes", "[1000000000000]", "{}", on_third_look);
    assert_true(span_is(out.error, "cancelled"));
    assert_int_equal(looks, 3);
}

static int set_up(void **state)
{
    (void)state;
    char error[512];
    if (fw_modules_create(&modules, 1) < 0 ||
        fw_modules_load(modules, error, sizeof error, FW_SAMPLES, NULL) < 0)
        return -1;
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
        cmocka_unit_test(samples_answer_as_promised),
        cmocka_unit_test(long_work_hears_a_cancel),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
