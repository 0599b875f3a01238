/* call_test.c - one call: outcomes, error texts, memory that stays, who may cancel.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/call.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "one_call.h"

static fw_call_thread thread;

static fw_call_output call(fw_task_fn function)
{
    fw_call_input input = input_of("[]", "{}");
    return one_call(&thread, function, "task", &input);
}

static int says_nothing(fw_call *c)
{
    (void)c;
    return 0;
}

static int positive(fw_call *c)
{
    fw_ret_int(c, 3);
    return 17;
}

static int only_code(fw_call *c)
{
    (void)c;
    return -FW_EPERM;
}

static int result_then_code(fw_call *c)
{
    fw_ret_int(c, 3);
    return -FW_EFULL;
}

static int fails_with_words(fw_call *c)
{
    return fw_fail(c, "no file %s: %d", "a.txt", 2);
}

static int fail_without_return(fw_call *c)
{
    fw_fail(c, "still failed");
    return 0;
}

static int fails_empty(fw_call *c)
{
    return fw_fail(c, "%s", "");
}

static int wraps_errmsg(fw_call *c)
{
    int64_t x;
    int rc = fw_args(c, "i", "x", &x);
    return rc < 0 ? fw_fail(c, "wrapped: %s", fw_errmsg()) : 0;
}

static int recovers(fw_call *c)
{
    fw_fail(c, "not the last word");
    return fw_ret_str(c, "fine");
}

static void outcomes_are_what_was_said_last(void **state)
{
    (void)state;
    fw_call_output out = call(says_nothing);
    assert_true(out.success && out.result.len == 0 && !out.error.ptr);
    out = call(positive);
    assert_true(out.success && span_is(out.result, "3"));
    out = call(only_code);
    assert_true(!out.success && span_is(out.error, fw_strerror(-FW_EPERM)));
    out = call(result_then_code);
    assert_true(!out.success && span_is(out.error, fw_strerror(-FW_EFULL)) && !out.result.ptr);
    out = call(fails_with_words);
    assert_true(!out.success && span_is(out.error, "no file a.txt: 2"));
    assert_string_equal(fw_errmsg(), "no file a.txt: 2");
    /* An old message is not taken for the next failure's. */
    out = call(only_code);
    assert_true(span_is(out.error, fw_strerror(-FW_EPERM)));
    out = call(fail_without_return);
    assert_true(!out.success && span_is(out.error, "still failed"));
    out = call(fails_empty);
    assert_true(!out.success && out.error.ptr && out.error.len == 0);
    out = call(wraps_errmsg);
    assert_true(span_is(out.error, "wrapped: task() missing 1 required positional argument: 'x'"));
    out = call(recovers);
    assert_true(out.success && span_is(out.result, "\"fine\""));
}

static const int64_t *int_result;
static double num_result;
static const char *text_result;

static int returns_int(fw_call *c)
{
    return fw_ret_int(c, *int_result);
}

static int returns_num(fw_call *c)
{
    return fw_ret_num(c, num_result);
}

static int returns_str(fw_call *c)
{
    return fw_ret_str(c, text_result);
}

static int returns_json(fw_call *c)
{
    return fw_ret_json(c, text_result, strlen(text_result));
}

static int returns_true(fw_call *c)
{
    return fw_ret_bool(c, 2);
}

static void results_are_json(void **state)
{
    (void)state;
    static const int64_t ints[] = {0, 1, -1, 10, 99, -100, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "%lld", (long long)ints[i]);
        int_result = &ints[i];
        assert_true(span_is(call(returns_int).result, expected));
    }
    num_result = 0.1;
    assert_true(span_is(call(returns_num).result, "0.1"));
    num_result = 3;
    assert_true(span_is(call(returns_num).result, "3.0"));
    num_result = NAN;
    assert_true(span_is(call(returns_num).result, "NaN"));
    text_result = "quote \" slash \\ \xc3\xa9";
    assert_true(span_is(call(returns_str).result, "\"quote \\\" slash \\\\ \\u00e9\""));
    text_result = NULL;
    assert_true(span_is(call(returns_str).result, "null"));
    assert_true(span_is(call(returns_true).result, "true"));
    text_result = "{\"a\": [1, NaN]}";
    assert_true(span_is(call(returns_json).result, text_result));
    text_result = "{\"a\": }";
    fw_call_output out = call(returns_json);
    assert_true(!out.success && span_is(out.error, "task() returned text that is not JSON"));
    text_result = "";
    assert_false(call(returns_json).success);
}

static size_t error_bytes;

static int fails_long(fw_call *c)
{
    char *text = fw_call_alloc(c, error_bytes + 1);
    memset(text, 'x', error_bytes);
    text[error_bytes] = '\0';
    return fw_fail(c, "%s\xc3\xa9!", text);
}

static void error_texts_are_bounded_at_a_character(void **state)
{
    (void)state;
    error_bytes = 2000;
    fw_call_output out = call(fails_long);
    assert_int_equal(out.error.len, 2003);
    assert_int_equal(strlen(fw_errmsg()), 1023);
    error_bytes = FW_CALL_ERROR_MAX - 1;
    assert_int_equal(call(fails_long).error.len, FW_CALL_ERROR_MAX - 1);
    error_bytes = FW_CALL_ERROR_MAX - 2;
    assert_int_equal(call(fails_long).error.len, FW_CALL_ERROR_MAX);
    error_bytes = 10 << 20;
    assert_int_equal(call(fails_long).error.len, FW_CALL_ERROR_MAX);
    /* What a large call took is given back by the next. */
    assert_true(call(says_nothing).success);
    assert_true(thread.text.capacity <= FW_CALL_TEXT_KEEP);
    assert_true(thread.arena.block->capacity <= FW_ARENA_KEEP);
}

static int tells_about_itself(fw_call *c)
{
    char text[128];
    snprintf(text, sizeof text, "%s %s %d %d", fw_call_id(c), fw_call_name(c), fw_call_attempt(c),
             fw_call_left_ms(c) == INT64_MAX);
    return fw_call_id(c) == fw_call_id(c) ? fw_ret_str(c, text) : -FW_EINVAL;
}

static int tells_time_left(fw_call *c)
{
    return fw_ret_int(c, fw_call_left_ms(c));
}

static void a_call_knows_itself(void **state)
{
    (void)state;
    fw_call_input input = input_of("[]", "{}");
    char id[] = "first-id, and more behind it";
    input.id = (fw_span){id, 8};
    input.attempt = 3;
    fw_call_output out = one_call(&thread, tells_about_itself, "task", &input);
    assert_true(span_is(out.result, "\"first-id task 3 1\""));
    input.id = span_of("2");
    out = one_call(&thread, tells_about_itself, "task", &input);
    assert_true(span_is(out.result, "\"2 task 3 1\""));
    input.deadline_ns = fw_now_ns() - 1;
    assert_true(span_is(one_call(&thread, tells_time_left, "task", &input).result, "0"));
    input.deadline_ns = fw_now_ns() + 3600 * FW_NS_PER_S;
    out = one_call(&thread, tells_time_left, "task", &input);
    assert_int_equal(out.result.len, 7);
}

static int spans_arguments(fw_call *c)
{
    fw_span args = fw_args_json(c), kwargs = fw_kwargs_json(c);
    char text[64];
    int n = snprintf(text, sizeof text, "[%.*s,%.*s]", (int)args.len, args.ptr, (int)kwargs.len,
                     kwargs.ptr);
    return fw_ret_json(c, text, (size_t)n);
}

static void raw_arguments_are_byte_for_byte(void **state)
{
    (void)state;
    fw_call_input input = input_of("[ 1,\"\\u0041\" ]", "{\"a\" :2}");
    fw_call_output out = one_call(&thread, spans_arguments, "task", &input);
    assert_true(span_is(out.result, "[[ 1,\"\\u0041\" ],{\"a\" :2}]"));
    input = input_of("", "");
    out = one_call(&thread, spans_arguments, "task", &input);
    assert_true(span_is(out.result, "[[],{}]"));
}

typedef struct flag {
    fw_atomic(int) set;
} flag;

static int flag_is_set(const void *context)
{
    /* Relaxed: the flag says only that it is set. */
    return fw_load_relaxed(&((flag *)(uintptr_t)context)->set);
}

static void *set_flag(void *argument)
{
    /* Relaxed: as above. */
    fw_store_relaxed(&((flag *)argument)->set, 1);
    return NULL;
}

static int waits_for_cancel(fw_call *c)
{
    while (!fw_cancelled(c))
        fw_cpu_relax();
    return -FW_ECANCELLED;
}

static int tells_cancelled(fw_call *c)
{
    return fw_ret_bool(c, fw_cancelled(c));
}

static void a_cancel_is_heard_from_another_thread(void **state)
{
    (void)state;
    flag stop = {0};
    fw_call_input input = input_of("[]", "{}");
    input.cancelled = flag_is_set;
    input.cancelled_context = &stop;
    assert_true(span_is(one_call(&thread, tells_cancelled, "task", &input).result, "false"));
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, set_flag, &stop), 0);
    fw_call_output out = one_call(&thread, waits_for_cancel, "task", &input);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_true(!out.success && span_is(out.error, "cancelled"));
}

static void without_a_flag_the_clock_decides(void **state)
{
    (void)state;
    fw_call_input input = input_of("[]", "{}");
    assert_true(span_is(one_call(&thread, tells_cancelled, "task", &input).result, "false"));
    input.deadline_ns = fw_now_ns() + 3600 * FW_NS_PER_S;
    assert_true(span_is(one_call(&thread, tells_cancelled, "task", &input).result, "false"));
    input.deadline_ns = fw_now_ns() - 1;
    assert_true(span_is(one_call(&thread, tells_cancelled, "task", &input).result, "true"));
}

/* The linker sends the engine's allocations through these. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

static size_t allocations;

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    allocations++;
    return __real_aligned_alloc(align, size);
}

static int uses_everything(fw_call *c)
{
    const char *text;
    double number;
    fw_span json;
    int rc = fw_args(c, "sdj", "text", &text, "number", &number, "json", &json);
    if (rc < 0)
        return rc;
    if (!fw_call_alloc(c, 20000) || !fw_call_id(c))
        return -FW_ENOMEM;
    return fw_ret_str(c, text);
}

static void steady_calls_allocate_nothing(void **state)
{
    (void)state;
    fw_call_thread fresh = {.running = false};
    assert_true(fw_call_thread_init(&fresh));
    size_t before = allocations;
    for (int i = 0; i < 1010; i++) {
        fw_call_input input = input_of("[\"some \\u00e9 text\",2.5]", "{\"js\\u006fn\":[1,2]}");
        fw_call_input none = input_of("[]", "{}");
        fw_call_output out = one_call(&fresh, uses_everything, "task", &input);
        assert_true(span_is(out.result, "\"some \\u00e9 text\""));
        assert_false(one_call(&fresh, uses_everything, "task", &none).success);
        assert_false(one_call(&fresh, fails_with_words, "task", &none).success);
        if (i == 0)
            assert_true(allocations > before); /* so counting works */
        if (i == 10)
            before = allocations;
    }
    assert_int_equal(allocations, before);
    fw_call_thread_fini(&fresh);
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
        cmocka_unit_test(outcomes_are_what_was_said_last),
        cmocka_unit_test(results_are_json),
        cmocka_unit_test(error_texts_are_bounded_at_a_character),
        cmocka_unit_test(a_call_knows_itself),
        cmocka_unit_test(raw_arguments_are_byte_for_byte),
        cmocka_unit_test(a_cancel_is_heard_from_another_thread),
        cmocka_unit_test(without_a_flag_the_clock_decides),
        cmocka_unit_test(steady_calls_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
