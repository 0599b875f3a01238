/* library_test.c - what fastworker/test.h promises, from where its users stand: this program links
 * libfastworker-test and nothing else of ours.
 *
 * Covers app/trial/library.c, and app/trial/trial.c where time passes. Nothing here takes as long
 * as it says: a clock that is not moved ends a test by its limit. SPDX-License-Identifier:
 * Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fastworker/test.h"

#define HOUR_NS INT64_C(3600000000000)
#define HOUR_MS INT64_C(3600000)

/* --- tasks of this program --- */

static int unsteady(fw_call *c)
{
    int64_t good;
    int rc = fw_args(c, "i", "good", &good);
    if (rc < 0)
        return rc;
    fw_progress(c, (uint64_t)fw_call_attempt(c), 10, "trying");
    if (fw_call_attempt(c) < good)
        return fw_fail(c, "not at attempt %d", fw_call_attempt(c));
    return fw_ret_int(c, fw_call_attempt(c));
}

static int often(fw_call *c)
{
    return fw_ret_bool(c, 1);
}

static const fw_task_def tasks[] = {
    FW_TASK("unsteady", unsteady, .max_retries = 5, .retry_delay_ms = HOUR_MS, .retry_factor = 1),
    FW_TASK("often", often, .every_ms = 60000),
    FW_TASK("seldom", often, .max_running = 1, .rate_per_s = 0.01),
};
static const fw_module mine = {.abi = FW_ABI,
                               .module_size = sizeof(fw_module),
                               .task_size = sizeof(fw_task_def),
                               .task_count = sizeof tasks / sizeof tasks[0],
                               .name = "mine",
                               .version = "1.0",
                               .tasks = tasks};

static bool is(fw_span json, const char *text)
{
    return json.len == strlen(text) && memcmp(json.ptr, text, json.len) == 0;
}

static fw_test *opened(const fw_test_options *options)
{
    fw_test *t = NULL;
    assert_int_equal(fw_test_open(&t, options), 0);
    return t;
}

/* --- calls --- */

static void a_module_in_a_file(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    fw_test *t = opened(FW_TEST(.task_modules = FW_MODULES "/samples.so"));
    assert_int_equal(fw_test_call(t, "add", "[5, 3]", NULL, &o), 0);
    assert_int_equal(o->state, FW_SUCCESS);
    assert_true(is(o->result, "8"));
    assert_null(o->error);
    assert_int_equal(o->attempt_count, 1);
    assert_null(o->attempts[0].error);
    assert_true(o->attempts[0].ended_ns >= o->attempts[0].started_ns);
    assert_int_equal(o->attempts[0].wait_ns, 0);
    assert_int_equal(fw_test_call(t, "add", NULL, "{\"kwargs\": {\"x\": 1, \"y\": 2}}", &o), 0);
    assert_true(is(o->result, "3"));
    /* As its caller's JSON has it, whatever a C program would make of it. */
    assert_int_equal(fw_test_call(t, "echo", "[123456789012345678901234567890]", NULL, &o), 0);
    assert_true(is(o->result, "123456789012345678901234567890"));
    fw_test_close(t);
}

static void what_cannot_be_called(void **state)
{
    (void)state;
    fw_test *t = NULL;
    const fw_test_outcome *o;
    assert_int_equal(fw_test_open(&t, FW_TEST(.task_modules = "./there-is-none.so")), -FW_EINVAL);
    const char *const flags[] = {"--no-such-flag=1", NULL};
    assert_int_equal(fw_test_open(&t, FW_TEST(.flags = flags)), -FW_EINVAL);
    assert_null(t);
    t = opened(FW_TEST(.module = &mine));
    assert_int_equal(fw_test_call(t, "unsteady", "[1", NULL, &o), -FW_EINVAL);
    assert_string_equal(fw_test_errmsg(t), "args is no JSON array");
    assert_int_equal(fw_test_call(t, "unsteady", NULL, "[]", &o), -FW_EINVAL);
    assert_int_equal(fw_test_call(t, "unsteady", NULL, "{\"retries\": 5}", &o), -FW_EINVAL);
    assert_non_null(strstr(fw_test_errmsg(t), "retries: no such member"));
    assert_int_equal(fw_test_call(t, "unknown", NULL, NULL, &o), 0);
    assert_int_equal(o->state, FW_FAILURE);
    assert_string_equal(o->error, "Task unknown not found");
    assert_int_equal(o->attempt_count, 0);
    fw_test_close(t);
    fw_test_close(NULL);
}

static void retries_of_hours(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    fw_test *t = opened(FW_TEST(.module = &mine));
    int64_t before_ms = fw_test_now_ms(t);
    assert_int_equal(fw_test_call(t, "unsteady", "[4]", NULL, &o), 0);
    assert_int_equal(o->state, FW_SUCCESS);
    assert_true(is(o->result, "4"));
    assert_int_equal(o->attempt_count, 4);
    for (size_t i = 0; i < 3; i++) {
        const fw_test_attempt *a = &o->attempts[i];
        assert_int_equal(a->number, i + 1);
        assert_true(a->wait_ns > HOUR_NS - HOUR_NS / 100 && a->wait_ns <= HOUR_NS);
        assert_true(o->attempts[i + 1].started_ns >= a->started_ns + HOUR_NS);
    }
    assert_string_equal(o->attempts[0].error, "not at attempt 1");
    assert_int_equal(o->note_count, 4);
    assert_int_equal(o->notes[2].attempt, 3);
    assert_int_equal(o->notes[2].done, 3);
    assert_string_equal(o->notes[2].note, "trying");
    assert_true(o->ended_ns >= 3 * HOUR_NS);
    assert_true(fw_test_now_ms(t) - before_ms >= 3 * HOUR_MS);
    assert_int_equal(fw_test_call(t, "unsteady", "[9]", NULL, &o), 0);
    assert_int_equal(o->state, FW_FAILURE);
    assert_string_equal(o->error, "not at attempt 6");
    assert_int_equal(o->attempt_count, 6);
    assert_int_equal(fw_test_runs(t, "unsteady"), 10);
    fw_test_close(t);
}

/* --- time --- */

static void an_id_is_run_again_when_its_result_has_gone(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    const char *const flags[] = {"--dedup-window=0", NULL};
    const char *once = "{\"id\": \"one\", \"result_ttl\": \"2h\"}";
    fw_test *t = opened(FW_TEST(.module = &mine, .flags = flags));
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", once, &o), 0);
    assert_string_equal(o->id, "one");
    assert_int_equal(fw_test_advance(t, HOUR_MS), 0);
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", once, &o), 0);
    assert_true(is(o->result, "1"));
    assert_int_equal(o->attempt_count, 0);
    assert_int_equal(fw_test_runs(t, "unsteady"), 1);
    assert_int_equal(fw_test_advance(t, 2 * HOUR_MS), 0);
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", once, &o), 0);
    assert_int_equal(o->attempt_count, 1);
    assert_int_equal(fw_test_runs(t, "unsteady"), 2);
    fw_test_close(t);
}

static void unique_keys_expire(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    const char *alone = "{\"options\": {\"unique\": \"k\", \"unique_for\": 7200}}";
    fw_test *t = opened(FW_TEST(.module = &mine));
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", alone, &o), 0);
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", alone, &o), -FW_EDUP);
    assert_int_equal(fw_test_advance(t, 3 * HOUR_MS), 0);
    assert_int_equal(fw_test_call(t, "unsteady", "[1]", alone, &o), 0);
    assert_int_equal(fw_test_runs(t, "unsteady"), 2);
    fw_test_close(t);
}

static void schedules_run_when_time_passes(void **state)
{
    (void)state;
    fw_test *t = opened(FW_TEST(.module = &mine, .schedules = 1));
    assert_int_equal(fw_test_advance(t, 1000), 0);
    uint64_t before = fw_test_runs(t, "often");
    assert_int_equal(fw_test_advance(t, HOUR_MS), 0);
    uint64_t runs = fw_test_runs(t, "often") - before;
    /* Each minute, and none for each other. */
    assert_in_range(runs, 59, 61);
    fw_test_close(t);
    /* Unless they are asked for, they do not. */
    t = opened(FW_TEST(.module = &mine));
    assert_int_equal(fw_test_advance(t, HOUR_MS), 0);
    assert_int_equal(fw_test_runs(t, "often"), 0);
    fw_test_close(t);
}

static void limits_by_rate_are_of_the_same_time(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    fw_test *t = opened(FW_TEST(.module = &mine));
    int64_t before_ms = fw_test_now_ms(t);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fw_test_call(t, "seldom", NULL, NULL, &o), 0);
        assert_int_equal(o->state, FW_SUCCESS);
    }
    /* One in 100 s. */
    assert_true(fw_test_now_ms(t) - before_ms >= 190000);
    fw_test_close(t);
}

static void time_limits_are_real(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    fw_test *t = opened(FW_TEST(.task_modules = FW_MODULES "/life.so"));
    assert_int_equal(
        fw_test_call(t, "polls", NULL, "{\"timeout\": 0.1, \"countdown\": \"3h\"}", &o), 0);
    assert_int_equal(o->state, FW_FAILURE);
    assert_string_equal(o->error, "Task timed out after 0.1s");
    fw_test_close(t);
}

static void what_is_not_over_in_time_goes_on(void **state)
{
    (void)state;
    const fw_test_outcome *o;
    char name[] = "fw-library-XXXXXX", args[64];
    int file = mkstemp(name);
    assert_true(file >= 0);
    close(file);
    unlink(name);
    snprintf(args, sizeof args, "[\"%s\"]", name);
    fw_test *t = opened(FW_TEST(.task_modules = FW_MODULES "/life.so", .limit_ms = 200));
    assert_int_equal(fw_test_call(t, "deaf_until", args, NULL, &o), -FW_ETIME);
    assert_string_equal(fw_test_errmsg(t), "it is not over in time");
    assert_int_equal(fw_test_call(t, "header", NULL,
                                  "{\"options\": {\"after\": [\"x\"], \"on_failure\": \"run\"}}",
                                  &o),
                     -FW_EINVAL);
    /* It is waited for. */
    file = open(name, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    fw_test_close(t);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests_of_it[] = {
        cmocka_unit_test(a_module_in_a_file),
        cmocka_unit_test(what_cannot_be_called),
        cmocka_unit_test(retries_of_hours),
        cmocka_unit_test(an_id_is_run_again_when_its_result_has_gone),
        cmocka_unit_test(unique_keys_expire),
        cmocka_unit_test(schedules_run_when_time_passes),
        cmocka_unit_test(limits_by_rate_are_of_the_same_time),
        cmocka_unit_test(time_limits_are_real),
        cmocka_unit_test(what_is_not_over_in_time_goes_on),
    };
    return cmocka_run_group_tests(tests_of_it, NULL, NULL);
}
