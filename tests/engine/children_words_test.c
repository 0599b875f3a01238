/* children_words_test.c - what goes between a call and its isolated child beside the result:
 * progress, cancels to a descriptor, wishes for the next run, headers, hooks (engine/bell.c,
 * engine/child_serve.c). The program is its own child.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "children_case.h"

typedef struct seen {
    fw_atomic(int) count;
    uint64_t done, total;
    char note[64];
} seen;

static int see(void *context, uint64_t done, uint64_t total, fw_span note)
{
    seen *s = context;
    s->done = done;
    s->total = total;
    snprintf(s->note, sizeof s->note, "%.*s", (int)note.len, note.ptr);
    /* [test-seen] release: the values. */
    fw_add_acq_rel(&s->count, 1);
    return 0;
}

static int saw_the_end(const void *context)
{
    const seen *s = context;
    /* [test-seen] acquire: the values. */
    return fw_load_acquire(&s->count) > 0 && s->done == s->total;
}

static void progress_comes_before_the_end(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    seen s = {.done = 0};
    fw_call_output output;
    fw_call_input input = call_of("works", "[]");
    input.progress = see;
    input.progress_context = &s;
    input.cancelled = saw_the_end;
    input.cancelled_context = &s;
    fw_children_call(children, &input, &output);
    assert_true(output.success);
    assert_int_equal(s.done, 3);
    assert_int_equal(s.total, 3);
    assert_string_equal(s.note, "all done");
    /* Nobody has to be interested. */
    input.progress = NULL;
    input.cancelled = NULL;
    input.deadline_ns = fw_now_ns() + 50 * FW_NS_PER_MS;
    fw_children_call(children, &input, &output);
    assert_true(output.success);
    fw_children_destroy(children);
}

static int tell_all(void *context, uint64_t done, uint64_t total, fw_span note)
{
    (void)done;
    return see(context, total, total, note);
}

static void one_that_polls_is_woken(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){.grace_ns = 60 * FW_NS_PER_S});
    fw_call_output output;
    fw_call_input input = call_of("polls", "[]");
    /* A child that is still starting is not told, it just ends. */
    assert_true(run(children, "nothing", "[]").success);
    /* Its own clock wakes it, or the parent; the flag follows. */
    input.deadline_ns = fw_now_ns() + 50 * FW_NS_PER_MS;
    fw_children_call(children, &input, &output);
    assert_true(has(output.error, "woken, and cancelled is "));
    input.deadline_ns = 0;
    /* It is cancelled when it has said that it waits. */
    seen s = {.total = 2};
    input.progress = tell_all;
    input.progress_context = &s;
    input.cancelled = saw_the_end;
    input.cancelled_context = &s;
    fw_children_call(children, &input, &output);
    assert_span(output.error, "woken, and cancelled is 1");
    fw_children_stats stats;
    fw_children_snapshot(children, &stats);
    assert_int_equal(stats.started, 1);
    fw_children_destroy(children);
}

static void wishes_and_hooks_come_through(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    fw_call_output output;
    fw_call_input input = call_of("again", "[]");
    static const char options[] = "{\"headers\": {\"traceparent\": \"00-ab\\u0063\"}}";
    input.options = (fw_span){options, sizeof options - 1};
    fw_children_call(children, &input, &output);
    assert_span(output.error, "later, 00-abc");
    assert_int_equal(output.again, FW_AGAIN_AFTER);
    assert_int_equal(output.again_ms, 250);
    output = run(children, "last_after", "[]");
    assert_span(output.result, "\"-1 later, 00-abc\"");
    output = run(children, "again", "[]");
    assert_span(output.error, "later, without a trace");
    output = run(children, "never", "[]");
    assert_span(output.error, "not like this");
    assert_int_equal(output.again, FW_AGAIN_NEVER);
    output = run(children, "fails", "[]");
    assert_int_equal(output.again, FW_AGAIN_USUAL);
    output = run(children, "refused", "[]");
    assert_false(output.success || output.crashed);
    assert_span(output.error, "not in this house");
    assert_int_equal(output.again, FW_AGAIN_NEVER);
    /* Who was not let in is not seen out. */
    output = run(children, "last_after", "[]");
    assert_span(output.result, "\"-1 no fails\"");
    fw_children_destroy(children);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "isolated") == 0)
        return be_child(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_comes_before_the_end),
        cmocka_unit_test(one_that_polls_is_woken),
        cmocka_unit_test(wishes_and_hooks_come_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
