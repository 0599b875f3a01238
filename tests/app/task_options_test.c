/* task_options_test.c - what a task may wish for, and the sentences for what it may not.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/task_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static fw_task_options o;
static char error[FW_TASK_OPTIONS_ERROR];

static bool read(const char *text)
{
    error[0] = '\0';
    return fw_task_options_read(&o, (fw_span){text, strlen(text)}, error);
}

static void assert_text(fw_span got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.ptr, wanted, got.len);
}

static void all_members_are_read(void **state)
{
    (void)state;
    assert_true(read("{\"key\": \"k\", \"unique\": \"u\", \"unique_for\": 1.5, \"group\": \"g\", "
                     "\"after\": [\"a\", \"b\"], \"then\": {\"name\": \"n\"}, "
                     "\"on_failure\": \"skip\", \"webhook\": \"https://h/p\", "
                     "\"headers\": {\"traceparent\": \"00-1\"}, \"retry_jitter\": 0.25, "
                     "\"retry_delay\": 0, \"retry_backoff\": 3, \"retry_backoff_max\": 90, "
                     "\"expires\": 60}"));
    assert_text(o.key, "k");
    assert_text(o.unique, "u");
    assert_int_equal(o.unique_ns, 1500000000);
    assert_text(o.group, "g");
    assert_text(o.after, "[\"a\", \"b\"]");
    assert_text(o.then, "{\"name\": \"n\"}");
    assert_int_equal(o.on_failure, FW_AFTER_SKIP);
    assert_text(o.webhook, "https://h/p");
    assert_text(o.headers, "{\"traceparent\": \"00-1\"}");
    assert_true(o.retry_jitter == 0.25);
    assert_true(o.retry_delay_s > 0 && o.retry_delay_s < 1e-300);
    assert_true(o.retry_backoff == 3 && o.retry_backoff_max_s == 90);
    assert_int_equal(o.expires_ns, INT64_C(60000000000));
}

static void nothing_is_fine(void **state)
{
    (void)state;
    assert_true(read(""));
    assert_int_equal(o.key.len, 0);
    assert_true(read("{\"key\": null}"));
    assert_int_equal(o.key.len, 0);
}

static void spellings_mean_the_same(void **state)
{
    (void)state;
    assert_true(read("{\"key\": \"gr\\u00f6\\u00dfe\", \"group\": \"a\\\"b\"}"));
    assert_text(o.key, "gr\xc3\xb6\xc3\x9f"
                       "e");
    assert_text(o.group, "a\"b");
}

static void wrong_ones_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"[]", "options: must be a JSON object of at most 65536 bytes"},
        {"{", "options: must be a JSON object of at most 65536 bytes"},
        {"{\"kay\": 1}", "options: 'kay' is not known, did you mean 'key'?"},
        {"{\"frobnicate\": 1}", "options: 'frobnicate' is not known"},
        {"{\"key\": 5}", "options: 'key' must be 1 to 255 characters"},
        {"{\"key\": \"\"}", "options: 'key' must be 1 to 255 characters"},
        {"{\"key\": \"a\\u0000\"}", "options: 'key' must be 1 to 255 characters"},
        {"{\"after\": [1]}", "options: 'after' must be an array of task ids"},
        {"{\"headers\": {\"a\": 1}}", "options: 'headers' must be an object of strings"},
        {"{\"on_failure\": \"panic\"}", "options: 'on_failure' must be fail, skip or run"},
        {"{\"retry_jitter\": 2}", "options: 'retry_jitter' must be a number from 0 to 1"},
        {"{\"retry_backoff\": 0.5}", "options: 'retry_backoff' must be a number from 1 on"},
        {"{\"retry_delay\": -1}", "options: 'retry_delay' must be seconds, not negative"},
        {"{\"expires\": NaN}", "options: 'expires' must be seconds, not negative"},
        {"{\"unique_for\": -1}", "options: 'unique_for' must be seconds, not negative"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(read(cases[i].text));
        assert_string_equal(error, cases[i].said);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    static char text[FW_TASK_OPTIONS_MAX + 64];
    int len = snprintf(text, sizeof text, "{\"then\": {\"x\": \"%*s\"}}", FW_TASK_OPTIONS_MAX, "");
    assert_false(fw_task_options_read(&o, (fw_span){text, (size_t)len}, error));
    len = snprintf(text, sizeof text, "{\"key\": \"%0256d\"}", 1);
    assert_false(fw_task_options_read(&o, (fw_span){text, (size_t)len}, error));
    len = snprintf(text, sizeof text, "{\"key\": \"%0255d\"}", 1);
    assert_true(fw_task_options_read(&o, (fw_span){text, (size_t)len}, error));
    assert_int_equal(o.key.len, 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_are_read),    cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(spellings_mean_the_same), cmocka_unit_test(wrong_ones_are_told),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
