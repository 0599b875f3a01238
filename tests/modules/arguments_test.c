/* arguments_test.c - fw_args binds as Python does, and says no in Python's words.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "one_call.h"

static fw_call_thread thread;

static fw_call_output call(fw_task_fn function, const char *args, const char *kwargs)
{
    fw_call_input input = input_of(args, kwargs);
    return one_call(&thread, function, "f", &input);
}

/* def f(w, x, y, z) */
static int four(fw_call *c)
{
    fw_span w, x, y, z;
    int rc = fw_args(c, "jjjj", "w", &w, "x", &x, "y", &y, "z", &z);
    if (rc < 0)
        return rc;
    char text[256];
    int n = snprintf(text, sizeof text, "[%.*s,%.*s,%.*s,%.*s]", (int)w.len, w.ptr, (int)x.len,
                     x.ptr, (int)y.len, y.ptr, (int)z.len, z.ptr);
    return fw_ret_json(c, text, (size_t)n);
}

/* def f(x, y=1, z=2) */
static int with_optional(fw_call *c)
{
    fw_span x, y = {"1", 1}, z = {"2", 1};
    int rc = fw_args(c, "j|jj", "x", &x, "y", &y, "z", &z);
    if (rc < 0)
        return rc;
    char text[256];
    int n = snprintf(text, sizeof text, "[%.*s,%.*s,%.*s]", (int)x.len, x.ptr, (int)y.len, y.ptr,
                     (int)z.len, z.ptr);
    return fw_ret_json(c, text, (size_t)n);
}

/* def f() */
static int without(fw_call *c)
{
    int rc = fw_args(c, "");
    return rc < 0 ? rc : fw_ret_str(c, "none");
}

/* def f(a) and def f(a=1) */
static int single(fw_call *c)
{
    fw_span a;
    int rc = fw_args(c, "j", "a", &a);
    return rc < 0 ? rc : fw_ret_json(c, a.ptr, a.len);
}

static int single_optional(fw_call *c)
{
    fw_span a = {"1", 1};
    int rc = fw_args(c, "|j", "a", &a);
    return rc < 0 ? rc : fw_ret_json(c, a.ptr, a.len);
}

/* def f(naïve) */
static int unicode_name(fw_call *c)
{
    int64_t value;
    int rc = fw_args(c, "i", "na\xc3\xafve", &value);
    return rc < 0 ? rc : fw_ret_int(c, value);
}

typedef struct binding {
    fw_task_fn function;
    const char *args, *kwargs;
    const char *result, *error; /* one of them */
} binding;

#define KEY_120                                                                                    \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                                 \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"

/* Errors are what CPython 3.11 says for the function in the comment above. */
static const binding bindings[] = {
    {four, "[1,2,3,4]", "{}", "[1,2,3,4]", NULL},
    {four, "[ 1 , 2 ]", "{ \"z\" : 4 , \"y\" : 3 }", "[1,2,3,4]", NULL},
    {four, "[]", "{\"z\":[{\"a\":1}],\"y\":{\"b\":[]},\"w\":null,\"x\":\"\"}",
     "[null,\"\",{\"b\":[]},[{\"a\":1}]]", NULL},
    {four, "[]", "{}", NULL, "f() missing 4 required positional arguments: 'w', 'x', 'y', and 'z'"},
    {four, "[1]", "{}", NULL, "f() missing 3 required positional arguments: 'x', 'y', and 'z'"},
    {four, "[1,2]", "{}", NULL, "f() missing 2 required positional arguments: 'y' and 'z'"},
    {four, "[1]", "{\"y\":1}", NULL, "f() missing 2 required positional arguments: 'x' and 'z'"},
    {four, "[1,2,3]", "{}", NULL, "f() missing 1 required positional argument: 'z'"},
    {four, "[1,2,3,4,5]", "{}", NULL, "f() takes 4 positional arguments but 5 were given"},
    {four, "[1,2,3,4,5]", "{\"x\":1}", NULL, "f() got multiple values for argument 'x'"},
    {four, "[1,2,3,4,5]", "{\"q\":1}", NULL, "f() got an unexpected keyword argument 'q'"},
    {four, "[1]", "{\"w\":3,\"q\":4}", NULL, "f() got multiple values for argument 'w'"},
    {four, "[1]", "{\"q\":4,\"w\":3}", NULL, "f() got an unexpected keyword argument 'q'"},
    {with_optional, "[7]", "{}", "[7,1,2]", NULL},
    {with_optional, "[7,8]", "{\"z\":9}", "[7,8,9]", NULL},
    {with_optional, "[7]", "{\"z\":9}", "[7,1,9]", NULL},
    {with_optional, "[]", "{\"x\":1,\"x\":2}", "[2,1,2]", NULL}, /* json.loads: the last counts */
    {with_optional, "[]", "{}", NULL, "f() missing 1 required positional argument: 'x'"},
    {with_optional, "[1,2,3,4]", "{}", NULL,
     "f() takes from 1 to 3 positional arguments but 4 were given"},
    {without, "[]", "{}", "\"none\"", NULL},
    {without, "", "", "\"none\"", NULL},
    {without, "[1]", "{}", NULL, "f() takes 0 positional arguments but 1 was given"},
    {without, "[1,2]", "{}", NULL, "f() takes 0 positional arguments but 2 were given"},
    {without, "[]", "{\"a\":1}", NULL, "f() got an unexpected keyword argument 'a'"},
    {single, "[1,2]", "{}", NULL, "f() takes 1 positional argument but 2 were given"},
    {single_optional, "[]", "{}", "1", NULL},
    {single_optional, "[1,2]", "{}", NULL,
     "f() takes from 0 to 1 positional arguments but 2 were given"},
    /* Keys by their text, not their spelling. */
    {single, "[]", "{\"\\u0061\":5}", "5", NULL},
    {unicode_name, "[]", "{\"na\xc3\xafve\":5}", "5", NULL},
    {unicode_name, "[]", "{\"na\\u00efve\":5}", "5", NULL},
    {single, "[]", "{\"\\u00fc\\n\":5}", NULL,
     "f() got an unexpected keyword argument '\xc3\xbc\n'"},
    {single, "[]", "{\"\":5}", NULL, "f() got an unexpected keyword argument ''"},
    {single, "[]", "{\"%s\":5}", NULL, "f() got an unexpected keyword argument '%s'"},
    {single, "[]", "{\"" KEY_120 "more\":5}", NULL,
     "f() got an unexpected keyword argument '" KEY_120 "...'"},
    {single, "[]", "{\"\\\"a\\\"\":{\"}\":\"]\"},\"a\":1}", NULL,
     "f() got an unexpected keyword argument '\"a\"'"},
};

static void arguments_bind_as_in_python(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bindings / sizeof bindings[0]; i++) {
        const binding *b = &bindings[i];
        fw_call_output out = call(b->function, b->args, b->kwargs);
        bool right = b->result ? out.success && span_is(out.result, b->result)
                               : !out.success && span_is(out.error, b->error);
        if (!right)
            fail_msg("case %zu: %.*s %.*s", i, (int)out.result.len, out.result.ptr,
                     (int)out.error.len, out.error.ptr);
        if (b->error)
            assert_string_equal(fw_errmsg(), b->error);
    }
}

static int integer(fw_call *c)
{
    int64_t x;
    int rc = fw_args(c, "i", "x", &x);
    return rc < 0 ? rc : fw_ret_int(c, x);
}

static int number(fw_call *c)
{
    double x;
    int rc = fw_args(c, "d", "x", &x);
    return rc < 0 ? rc : fw_ret_num(c, x);
}

static int truth(fw_call *c)
{
    int x;
    int rc = fw_args(c, "b", "x", &x);
    return rc < 0 ? rc : fw_ret_bool(c, x);
}

static int string(fw_call *c)
{
    const char *x;
    int rc = fw_args(c, "s", "x", &x);
    return rc < 0 ? rc : fw_ret_str(c, x);
}

static int raw(fw_call *c)
{
    fw_span x;
    int rc = fw_args(c, "j", "x", &x);
    return rc < 0 ? rc : fw_ret_json(c, x.ptr, x.len);
}

#define DIGITS_50  "12345678901234567890123456789012345678901234567890"
#define DIGITS_200 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50
#define DIGITS_400 DIGITS_200 DIGITS_200

static const binding conversions[] = {
    {integer, "[5]", "{}", "5", NULL},
    {integer, "[-9223372036854775808]", "{}", "-9223372036854775808", NULL},
    {integer, "[9223372036854775807]", "{}", "9223372036854775807", NULL},
    {integer, "[5.0]", "{}", "5", NULL},
    {integer, "[true]", "{}", "1", NULL},
    {integer, "[]", "{\"x\":false}", "0", NULL},
    {integer, "[9223372036854775808]", "{}", NULL, "f() argument 'x' does not fit into 64 bits"},
    {integer, "[-" DIGITS_200 "]", "{}", NULL, "f() argument 'x' does not fit into 64 bits"},
    {integer, "[5.5]", "{}", NULL, "f() argument 'x' must be int, not float"},
    {integer, "[NaN]", "{}", NULL, "f() argument 'x' must be int, not float"},
    {integer, "[-Infinity]", "{}", NULL, "f() argument 'x' must be int, not float"},
    {integer, "[\"5\"]", "{}", NULL, "f() argument 'x' must be int, not str"},
    {integer, "[null]", "{}", NULL, "f() argument 'x' must be int, not None"},
    {integer, "[[5]]", "{}", NULL, "f() argument 'x' must be int, not list"},
    {integer, "[{\"a\":5}]", "{}", NULL, "f() argument 'x' must be int, not dict"},
    {number, "[2.5]", "{}", "2.5", NULL},
    {number, "[2]", "{}", "2.0", NULL},
    {number, "[true]", "{}", "1.0", NULL},
    {number, "[NaN]", "{}", "NaN", NULL},
    {number, "[Infinity]", "{}", "Infinity", NULL},
    {number, "[-Infinity]", "{}", "-Infinity", NULL},
    {number, "[1e400]", "{}", "Infinity", NULL},
    {number, "[" DIGITS_400 "]", "{}", NULL, "f() argument 'x' is too large for a float"},
    {number, "[\"2.5\"]", "{}", NULL, "f() argument 'x' must be float, not str"},
    {truth, "[true]", "{}", "true", NULL},
    {truth, "[false]", "{}", "false", NULL},
    {truth, "[1]", "{}", NULL, "f() argument 'x' must be bool, not int"},
    {string, "[\"\"]", "{}", "\"\"", NULL},
    {string, "[\"a\\tb\\u00e9\"]", "{}", "\"a\\tb\\u00e9\"", NULL},
    {string, "[\"\xc3\xa9\xf0\x9f\x98\x80\"]", "{}", "\"\\u00e9\\ud83d\\ude00\"", NULL},
    {string, "[\"\\ud83d\\ude00\"]", "{}", "\"\\ud83d\\ude00\"", NULL},
    {string, "[\"a\\u0000b\"]", "{}", NULL, "f() argument 'x' must not contain null characters"},
    {string, "[5]", "{}", NULL, "f() argument 'x' must be str, not int"},
    {string, "[true]", "{}", NULL, "f() argument 'x' must be str, not bool"},
    {raw, "[" DIGITS_200 "]", "{}", DIGITS_200, NULL},
    {raw, "[ {\"a\" : [1, 2.50, \"\\u0041\"]} ]", "{}", "{\"a\" : [1, 2.50, \"\\u0041\"]}", NULL},
    {raw, "[NaN]", "{}", "NaN", NULL},
};

static void values_convert_or_say_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        const binding *b = &conversions[i];
        fw_call_output out = call(b->function, b->args, b->kwargs);
        bool right = b->result ? out.success && span_is(out.result, b->result)
                               : !out.success && span_is(out.error, b->error);
        if (!right)
            fail_msg("case %zu: %.*s %.*s", i, (int)out.result.len, out.result.ptr,
                     (int)out.error.len, out.error.ptr);
    }
}

/* Returns whether any of its variables changed although fw_args failed. */
static int keeps_values(fw_call *c)
{
    int64_t i = 1;
    double d = 2;
    const char *s = "three";
    int rc = fw_args(c, "ids", "i", &i, "d", &d, "s", &s);
    return rc == 0 ? fw_ret_str(c, s) : fw_ret_bool(c, i != 1 || d != 2 || strcmp(s, "three") != 0);
}

static void variables_stay_untouched_on_failure(void **state)
{
    (void)state;
    assert_true(span_is(call(keeps_values, "[5,6,\"x\"]", "{}").result, "\"x\""));
    assert_true(span_is(call(keeps_values, "[5,6,7]", "{}").result, "false"));
    assert_true(span_is(call(keeps_values, "[5,6]", "{}").result, "false"));
}

static int bad_letter(fw_call *c)
{
    int64_t x;
    return fw_args(c, "q", "x", &x);
}

static int two_bars(fw_call *c)
{
    int64_t x, y;
    return fw_args(c, "|i|i", "x", &x, "y", &y);
}

static void wrong_formats_fail_the_call(void **state)
{
    (void)state;
    fw_call_output out = call(bad_letter, "[1]", "{}");
    assert_false(out.success);
    assert_non_null(strstr(fw_errmsg(), "fw_args format 'q' is wrong"));
    assert_false(call(two_bars, "[1]", "{}").success);
}

/* More strings than one block of the arena holds, each with its own content. */
static int three_strings(fw_call *c)
{
    const char *x, *y, *z;
    int rc = fw_args(c, "sss", "x", &x, "y", &y, "z", &z);
    if (rc < 0)
        return rc;
    return fw_ret_bool(c,
                       strspn(x, "x") == 9000 && strspn(y, "y") == 9000 && strspn(z, "z") == 9000);
}

static void long_strings_do_not_meet(void **state)
{
    (void)state;
    char args[30000], *at = args;
    for (char letter = 'x'; letter <= 'z'; letter++) {
        *at++ = letter == 'x' ? '[' : ',';
        *at++ = '"';
        memset(at, letter, 9000);
        at += 9000;
        *at++ = '"';
    }
    *at++ = ']';
    *at = '\0';
    for (int i = 0; i < 5; i++)
        assert_true(span_is(call(three_strings, args, "{}").result, "true"));
}

static int set_up(void **state)
{
    (void)state;
    return fw_call_thread_init(&thread) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fw_call_thread_fini(&thread);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_bind_as_in_python),
        cmocka_unit_test(values_convert_or_say_why_not),
        cmocka_unit_test(variables_stay_untouched_on_failure),
        cmocka_unit_test(wrong_formats_fail_the_call),
        cmocka_unit_test(long_strings_do_not_meet),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
