/* call_words_test.c - what a call says beside its result, and what it may ask while it runs: wishes
 * for the next run, hooks around it, progress, headers, a descriptor for cancels (engine/bell.c,
 * engine/call_ask.c). SPDX-License-Identifier: Apache-2.0 */
#include "engine/call.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "one_call.h"

static fw_call_thread thread;

static fw_call_output call_with(fw_task_fn function, const fw_module *module,
                                const fw_call_input *input)
{
    fw_task_def def = {.name = "task", .fn = function};
    fw_task_entry entry = {.def = &def, .module = module};
    fw_call_output output;
    fw_call_run(&thread, &output, &entry, NULL, NULL, input);
    return output;
}

static fw_call_output call(fw_task_fn function)
{
    fw_call_input input = input_of("[]", "{}");
    return call_with(function, NULL, &input);
}

/* --- wishes --- */

static int later(fw_call *c)
{
    return fw_retry(c, 1500, "busy: %d", 7);
}

static int later_by_default(fw_call *c)
{
    return fw_retry(c, -1, "busy");
}

static int never(fw_call *c)
{
    return fw_fail_final(c, "wrong input");
}

static int changes_its_mind(fw_call *c)
{
    fw_fail_final(c, "never");
    return fw_fail(c, "or perhaps");
}

static int recovers(fw_call *c)
{
    fw_retry(c, 10, "once more");
    return fw_ret_int(c, 1);
}

static int only_code(fw_call *c)
{
    fw_fail_final(c, "never");
    fw_ret_int(c, 1);
    return -FW_EPERM;
}

static void the_last_word_says_what_follows(void **state)
{
    (void)state;
    fw_call_output out = call(later);
    assert_true(!out.success && span_is(out.error, "busy: 7"));
    assert_int_equal(out.again, FW_AGAIN_AFTER);
    assert_int_equal(out.again_ms, 1500);
    out = call(later_by_default);
    assert_true(!out.success && out.again == FW_AGAIN_USUAL);
    out = call(never);
    assert_true(!out.success && out.again == FW_AGAIN_NEVER && span_is(out.error, "wrong input"));
    out = call(changes_its_mind);
    assert_true(!out.success && out.again == FW_AGAIN_USUAL);
    assert_true(call(recovers).success);
    /* A bare code takes nothing from what was said before it. */
    out = call(only_code);
    assert_true(!out.success && out.again == FW_AGAIN_USUAL);
}

/* --- hooks --- */

static char story[256];

static void tell(const char *what, fw_span outcome, int rc)
{
    size_t len = strlen(story);
    snprintf(story + len, sizeof story - len, "%s(%d %.*s)", what, rc,
             outcome.len > 0 ? (int)outcome.len : 0, outcome.len > 0 ? outcome.ptr : "");
}

static int let_in(fw_call *c)
{
    /* What it says is no result of the task. */
    fw_ret_str(c, "before");
    tell("before", fw_call_outcome(c), 0);
    return 0;
}

static int keep_out(fw_call *c)
{
    return fw_fail_final(c, "closed on %s", "Sundays");
}

static int keep_out_bare(fw_call *c)
{
    (void)c;
    return -FW_EPERM;
}

static void see_out(fw_call *c, int rc)
{
    tell("after", fw_call_outcome(c), rc);
    fw_fail_final(c, "the last word?");
}

static int answers(fw_call *c)
{
    tell("task", (fw_span){0}, 0);
    return fw_ret_int(c, 42);
}

static int says_nothing(fw_call *c)
{
    (void)c;
    return 0;
}

static int fails_bare(fw_call *c)
{
    (void)c;
    return -FW_EFULL;
}

static void hooks_stand_around_the_task(void **state)
{
    (void)state;
    fw_module module = {.before = let_in, .after = see_out};
    fw_call_input input = input_of("[]", "{}");
    story[0] = '\0';
    fw_call_output out = call_with(answers, &module, &input);
    assert_true(out.success && span_is(out.result, "42"));
    assert_string_equal(story, "before(0 )task(0 )after(0 42)");
    out = call_with(says_nothing, &module, &input);
    assert_true(out.success && out.result.len == 0);
    story[0] = '\0';
    out = call_with(later, &module, &input);
    assert_true(!out.success && span_is(out.error, "busy: 7") && out.again == FW_AGAIN_AFTER);
    assert_string_equal(story, "before(0 )after(-1 busy: 7)");
    assert_string_equal(fw_errmsg(), "busy: 7");
    out = call_with(fails_bare, &module, &input);
    assert_true(!out.success && span_is(out.error, fw_strerror(-FW_EFULL)));
}

static void before_can_refuse(void **state)
{
    (void)state;
    fw_module module = {.before = keep_out, .after = see_out};
    fw_call_input input = input_of("[]", "{}");
    story[0] = '\0';
    fw_call_output out = call_with(answers, &module, &input);
    assert_true(!out.success && span_is(out.error, "closed on Sundays"));
    assert_int_equal(out.again, FW_AGAIN_NEVER);
    module.before = keep_out_bare;
    out = call_with(answers, &module, &input);
    assert_true(!out.success && span_is(out.error, fw_strerror(-FW_EPERM)));
    assert_string_equal(story, "");
}

/* --- progress and headers --- */

static uint64_t progress[2];
static char note[256];

static int hear(void *context, uint64_t done, uint64_t total, fw_span text)
{
    assert_ptr_equal(context, progress);
    progress[0] = done;
    progress[1] = total;
    snprintf(note, sizeof note, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
    return 0;
}

static int works(fw_call *c)
{
    char umlauts[200];
    assert_int_equal(fw_progress(c, 1, 9, NULL), 0);
    for (size_t i = 0; i < sizeof umlauts; i++)
        umlauts[i] = i % 2 ? '\xa4' : '\xc3';
    umlauts[0] = 'x';
    umlauts[1] = 'y';
    umlauts[sizeof umlauts - 1] = '\0';
    assert_int_equal(fw_progress(c, 2, 9, umlauts), 0);
    return 0;
}

static void progress_is_told_with_a_note_that_is_cut(void **state)
{
    (void)state;
    fw_call_input input = input_of("[]", "{}");
    assert_true(call_with(works, NULL, &input).success);
    assert_int_equal(progress[0], 0);
    input.progress = hear;
    input.progress_context = progress;
    assert_true(call_with(works, NULL, &input).success);
    assert_int_equal(progress[0], 2);
    assert_int_equal(progress[1], 9);
    assert_int_equal(strlen(note), FW_CALL_NOTE_MAX);
    assert_int_equal(note[FW_CALL_NOTE_MAX - 1], '\xa4');
}

static int reads_headers(fw_call *c)
{
    const char *trace = fw_call_header(c, "traceparent"), *own = fw_call_header(c, "x-own");
    char text[128];
    assert_null(fw_call_header(c, "number"));
    assert_null(fw_call_header(c, "absent"));
    assert_null(fw_call_header(c, NULL));
    snprintf(text, sizeof text, "%s|%s", trace ? trace : "none", own ? own : "none");
    return fw_ret_str(c, text);
}

static void headers_are_those_of_the_options(void **state)
{
    (void)state;
    fw_call_input input = input_of("[]", "{}");
    assert_true(span_is(call_with(reads_headers, NULL, &input).result, "\"none|none\""));
    input.options = span_of("{\"key\":\"k\",\"headers\":{\"traceparent\":\"00-ab-cd-01\","
                            "\"number\":5,\"x-own\":\"\\u00e4\\n\"}}");
    assert_true(
        span_is(call_with(reads_headers, NULL, &input).result, "\"00-ab-cd-01|\\u00e4\\n\""));
    input.options = span_of("{\"headers\":[]}");
    assert_true(span_is(call_with(reads_headers, NULL, &input).result, "\"none|none\""));
}

/* --- the descriptor --- */

static fw_atomic(int) cancelled, waits;
static int descriptor;

static int is_cancelled(const void *context)
{
    (void)context;
    /* [test-cancelled] acquire: nothing; it only has to be seen. */
    return fw_load_acquire(&cancelled);
}

static int polls(fw_call *c)
{
    descriptor = fw_cancel_fd(c);
    assert_true(descriptor >= 0);
    assert_int_equal(fw_cancel_fd(c), descriptor);
    struct pollfd look = {descriptor, POLLIN, 0};
    /* [test-waits] release: the descriptor is there. */
    fw_store_release(&waits, 1);
    assert_int_equal(poll(&look, 1, -1), 1);
    return fw_ret_bool(c, fw_cancelled(c));
}

static void *cancel(void *argument)
{
    (void)argument;
    /* [test-waits] acquire: the descriptor is there. */
    while (!fw_load_acquire(&waits))
        fw_cpu_relax();
    /* Nothing was cancelled yet: it stays quiet, and the task in poll. */
    fw_call_wake(&thread);
    struct pollfd look = {descriptor, POLLIN, 0};
    assert_int_equal(poll(&look, 1, 0), 0);
    /* [test-cancelled] release: as there. */
    fw_store_release(&cancelled, 1);
    fw_call_wake(&thread);
    return NULL;
}

static void a_cancel_wakes_who_polls(void **state)
{
    (void)state;
    pthread_t other;
    fw_call_input input = input_of("[]", "{}");
    input.cancelled = is_cancelled;
    assert_int_equal(pthread_create(&other, NULL, cancel, NULL), 0);
    fw_call_output out = call_with(polls, NULL, &input);
    pthread_join(other, NULL);
    assert_true(span_is(out.result, "true"));
    /* Closed with the call; a wake now finds nothing. */
    assert_int_equal(close(descriptor), -1);
    fw_call_wake(&thread);
    /* One that is cancelled when it asks. */
    assert_true(span_is(call_with(polls, NULL, &input).result, "true"));
}

static void the_deadline_wakes_who_polls(void **state)
{
    (void)state;
    fw_call_input input = input_of("[]", "{}");
    input.deadline_ns = fw_now_ns() + 20 * FW_NS_PER_MS;
    assert_true(span_is(call_with(polls, NULL, &input).result, "true"));
    assert_true(span_is(call_with(polls, NULL, &input).result, "true"));
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
        cmocka_unit_test(the_last_word_says_what_follows),
        cmocka_unit_test(hooks_stand_around_the_task),
        cmocka_unit_test(before_can_refuse),
        cmocka_unit_test(progress_is_told_with_a_note_that_is_cut),
        cmocka_unit_test(headers_are_those_of_the_options),
        cmocka_unit_test(a_cancel_wakes_who_polls),
        cmocka_unit_test(the_deadline_wakes_who_polls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
