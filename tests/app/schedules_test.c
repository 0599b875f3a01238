/* tests/app/schedules_test.c - the table of schedules, with time as an argument: what is started,
 * waits, is skipped, missed and caught up with. Covers app/schedules/schedules.c,
 * app/schedules/schedule_turn.c; the way to real tasks is in schedule_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/schedules/schedules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

enum { KEPT_MAX = 4096 };
/* 2026-11-24 10:00:30 UTC */
static const int64_t begin_ns = INT64_C(1795514430) * FW_NS_PER_S;

/* Stands where the engine is: keeps what was submitted until the test ends it. */
static struct {
    fw_schedules *table;
    fw_key keys[KEPT_MAX];
    size_t count, ended, cancelled;
    bool full;
    int64_t wall_ns, now_ns;
    char error[512];
    fw_schedule_view view;
    fw_schedule_run runs[2 * FW_SCHEDULE_RUNS_KEPT];
} it;

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void submit(void *context, const fw_submission *submission)
{
    (void)context;
    assert_int_equal(submission->reply.form, FW_REPLY_NONE);
    if (!it.full)
        it.keys[it.count++ % KEPT_MAX] = submission->key;
}

static bool is_alive(void *context, fw_key key)
{
    (void)context;
    (void)key;
    return !it.full;
}

static void end(size_t number, fw_state status)
{
    it.ended++;
    fw_schedules_ended(it.table, it.keys[number % KEPT_MAX], status, (fw_span){0}, it.wall_ns);
}

/* Comes back at once, as a task that waits does when it is cancelled. */
static void cancel(void *context, fw_key key)
{
    (void)context;
    it.cancelled++;
    fw_schedules_ended(it.table, key, FW_CANCELLED, span("Task cancelled"), it.wall_ns);
}

static void make(fw_catchup catchup)
{
    fw_schedule_config config = {.zone = "UTC",
                                 .catchup = catchup,
                                 .ops = {.submit = submit, .alive = is_alive, .cancel = cancel}};
    memset(&it, 0, sizeof it);
    it.wall_ns = begin_ns;
    it.now_ns = FW_NS_PER_S;
    assert_int_equal(fw_schedules_create(&it.table, it.error, sizeof it.error, &config), 0);
}

static int put_plan(const char *name, const char *when, fw_plan plan)
{
    plan.name = span(name);
    plan.task = span("backup");
    plan.when = span(when);
    return fw_schedules_put(it.table, it.error, sizeof it.error, &plan, it.wall_ns);
}

static void put(const char *name, const char *when, fw_overlap overlap)
{
    fw_plan plan = fw_plan_default();
    plan.overlap = overlap;
    assert_int_equal(put_plan(name, when, plan), FW_PUT_CREATED);
}

/* So many seconds later, in turns of the second. */
static void pass(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        it.wall_ns += FW_NS_PER_S;
        it.now_ns += FW_NS_PER_S;
        fw_schedules_turn(it.table, it.wall_ns, it.now_ns);
    }
}

static void see(void *context, const fw_schedule_view *view)
{
    (void)context;
    it.view = *view;
    memcpy(it.runs, view->runs, view->run_count * sizeof *view->runs);
}

static const fw_schedule_view *look(const char *name)
{
    assert_true(fw_schedules_each(it.table, span(name), see, NULL));
    return &it.view;
}

static void test_an_interval_begins_at_once_and_does_not_drift(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("a", "@every 1.5s", FW_OVERLAP_ALLOW);
    pass(15);
    assert_int_equal(look("a")->started, 11);
    assert_int_equal(look("a")->next_ns, begin_ns + 16500 * FW_NS_PER_MS);
    fw_schedules_destroy(it.table);
}

static void test_cron_waits_for_its_time(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("a", "* * * * *", FW_OVERLAP_SKIP);
    int64_t due_ns = fw_schedules_turn(it.table, it.wall_ns, it.now_ns);
    assert_int_equal(due_ns, begin_ns + 30 * FW_NS_PER_S);
    pass(29);
    assert_int_equal(it.count, 0);
    pass(1);
    assert_int_equal(it.count, 1);
    assert_int_equal(look("a")->running, 1);
    end(0, FW_SUCCESS);
    assert_int_equal(look("a")->running, 0);
    assert_int_equal(it.runs[0].status, FW_SUCCESS);
    assert_int_equal(it.runs[0].planned_ns, begin_ns + 30 * FW_NS_PER_S);
    assert_int_equal(it.view.last_success_ns, it.wall_ns);
    fw_schedules_destroy(it.table);
}

static void test_overlap(void **state)
{
    (void)state;
    static const struct {
        fw_overlap overlap;
        uint64_t started, skipped;
        size_t waiting, cancelled;
    } cases[] = {
        {FW_OVERLAP_SKIP, 1, 4, 0, 0},       {FW_OVERLAP_QUEUE_ONE, 1, 3, 1, 0},
        {FW_OVERLAP_QUEUE_ALL, 1, 0, 4, 0},  {FW_OVERLAP_ALLOW, 5, 0, 0, 0},
        {FW_OVERLAP_CANCEL_OLD, 5, 0, 0, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make(FW_CATCHUP_NONE);
        put("a", "@every 10s", cases[i].overlap);
        /* Five times, and a second for what waited for a cancel. */
        pass(43);
        const fw_schedule_view *view = look("a");
        assert_int_equal(view->started, cases[i].started);
        assert_int_equal(view->skipped, cases[i].skipped);
        assert_int_equal(view->waiting, cases[i].waiting);
        assert_int_equal(it.cancelled, cases[i].cancelled);
        if (view->waiting > 0) {
            end(0, FW_SUCCESS);
            pass(1);
            assert_int_equal(look("a")->started, 2);
            assert_int_equal(look("a")->running, 1);
        }
        fw_schedules_destroy(it.table);
    }
}

static void test_putting_ten_times_makes_one(void **state)
{
    (void)state;
    fw_plan plan = fw_plan_default();
    make(FW_CATCHUP_NONE);
    assert_int_equal(put_plan("a", "@every 1h", plan), FW_PUT_CREATED);
    pass(1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(put_plan("a", "@every 1h", plan), FW_PUT_SAME);
    pass(10);
    assert_int_equal(it.count, 1);
    assert_int_equal(put_plan("a", "0 3 * * *", plan), FW_PUT_REPLACED);
    assert_string_equal(look("a")->when, "0 3 * * *");
    assert_int_equal(it.view.running, 1);
    end(0, FW_FAILURE);
    assert_int_equal(look("a")->runs[0].status, FW_FAILURE);
    assert_true(fw_schedules_delete(it.table, span("a")));
    assert_false(fw_schedules_delete(it.table, span("a")));
    assert_false(fw_schedules_each(it.table, span("a"), see, NULL));
    fw_schedules_destroy(it.table);
}

static void test_a_run_may_end_after_its_schedule(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("a", "@every 1h", FW_OVERLAP_SKIP);
    put("b", "@every 1h", FW_OVERLAP_SKIP);
    pass(1);
    assert_true(fw_schedules_delete(it.table, span("a")));
    end(0, FW_SUCCESS);
    assert_int_equal(look("b")->running, 1);
    fw_schedules_destroy(it.table);
}

static void test_count_and_until(void **state)
{
    (void)state;
    fw_plan plan = fw_plan_default();
    make(FW_CATCHUP_NONE);
    plan.overlap = FW_OVERLAP_ALLOW;
    plan.count = 3;
    put_plan("three", "@every 1s", plan);
    plan.count = 0;
    put_plan("none", "@every 1s", plan);
    plan.count = -1;
    plan.until = span("2026-11-24T11:00:35+01:00");
    put_plan("until", "@every 1s", plan);
    plan.until = span("2020-01-01");
    put_plan("past", "* * * * *", plan);
    pass(100);
    assert_int_equal(look("three")->started, 3);
    assert_string_equal(look("three")->state, "finished");
    assert_int_equal(look("none")->started, 0);
    assert_int_equal(look("until")->started, 6);
    assert_int_equal(look("past")->started, 0);
    assert_string_equal(look("past")->state, "finished");
    fw_schedules_destroy(it.table);
}

static void test_what_was_missed_in_a_pause(void **state)
{
    (void)state;
    static const struct {
        fw_catchup catchup;
        uint64_t caught_up, missed;
    } cases[] = {{FW_CATCHUP_NONE, 0, 10}, {FW_CATCHUP_ONE, 1, 9}, {FW_CATCHUP_ALL, 5, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_plan plan = fw_plan_default();
        make(cases[i].catchup);
        plan.window_ns = 300 * FW_NS_PER_S;
        put_plan("a", "* * * * *", plan);
        assert_true(fw_schedules_pause(it.table, span("a"), true, it.wall_ns));
        pass(600);
        assert_int_equal(it.count, 0);
        assert_string_equal(look("a")->state, "paused");
        assert_true(fw_schedules_pause(it.table, span("a"), false, it.wall_ns));
        /* One after the other. */
        for (size_t n = 0; n < 20; n++) {
            fw_schedules_turn(it.table, it.wall_ns, it.now_ns);
            if (it.ended < it.count)
                end(it.ended, FW_SUCCESS);
        }
        assert_int_equal(look("a")->caught_up, cases[i].caught_up);
        assert_int_equal(look("a")->missed, cases[i].missed);
        assert_int_equal(it.count, cases[i].caught_up);
        pass(30);
        assert_int_equal(it.count, cases[i].caught_up + 1);
        fw_schedules_destroy(it.table);
    }
}

static void test_a_clock_that_is_set(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("cron", "1 10 * * *", FW_OVERLAP_ALLOW);
    pass(40);
    assert_int_equal(look("cron")->started, 1);
    /* An hour back: the same time is not run again. */
    it.wall_ns -= 3600 * FW_NS_PER_S;
    pass(2 * 3600);
    assert_int_equal(look("cron")->started, 1);
    /* A day back: that was another day. */
    it.wall_ns -= 24 * 3600 * FW_NS_PER_S;
    pass(24 * 3600);
    assert_int_equal(look("cron")->started, 2);
    /* Two days ahead: both were missed. */
    it.wall_ns += 48 * 3600 * FW_NS_PER_S;
    pass(1);
    assert_int_equal(look("cron")->started, 2);
    assert_int_equal(look("cron")->missed, 2);
    fw_schedules_delete(it.table, span("cron"));
    put("every", "@every 10s", FW_OVERLAP_ALLOW);
    pass(1);
    uint64_t before = look("every")->started;
    it.wall_ns += 365 * 86400 * FW_NS_PER_S;
    pass(20);
    it.wall_ns -= 365 * 86400 * FW_NS_PER_S;
    pass(20);
    assert_int_equal(look("every")->started - before, 4);
    assert_int_equal(look("every")->missed, 0);
    fw_schedules_destroy(it.table);
}

static void test_trigger_and_backfill(void **state)
{
    (void)state;
    fw_key key;
    make(FW_CATCHUP_NONE);
    put("a", "0 3 * * *", FW_OVERLAP_SKIP);
    assert_null(fw_schedules_trigger(it.table, &key, span("b"), it.wall_ns));
    assert_string_equal(fw_schedules_trigger(it.table, &key, span("a"), it.wall_ns), "started");
    assert_true(fw_key_equal(key, it.keys[0]));
    assert_string_equal(fw_schedules_trigger(it.table, &key, span("a"), it.wall_ns), "skipped");
    int64_t day_ns = 86400 * FW_NS_PER_S, first_ns;
    assert_true(fw_schedules_read_time(it.table, &first_ns, span("a"), span("2026-11-01T03:00")));
    assert_int_equal(fw_schedules_backfill(it.table, span("a"), first_ns, first_ns + 6 * day_ns),
                     7);
    assert_int_equal(fw_schedules_backfill(it.table, span("a"), 0, first_ns), -FW_EFULL);
    assert_int_equal(fw_schedules_backfill(it.table, span("b"), 0, 1), -FW_EUNKNOWN);
    for (size_t n = 0; n < 8; n++) {
        pass(1);
        assert_int_equal(look("a")->running, 1);
        end(n, FW_SUCCESS);
    }
    assert_int_equal(look("a")->started, 8);
    assert_int_equal(it.view.run_count, 8);
    assert_string_equal(it.runs[0].reason, "backfill");
    assert_int_equal(it.runs[0].planned_ns, first_ns + 6 * day_ns);
    assert_string_equal(it.runs[7].reason, "trigger");
    fw_schedules_destroy(it.table);
}

static void test_a_run_that_is_not_accepted_ends(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("a", "@every 10s", FW_OVERLAP_SKIP);
    it.full = true;
    pass(25);
    const fw_schedule_view *view = look("a");
    assert_int_equal(view->running, 0);
    assert_int_equal(view->run_count, 3);
    assert_int_equal(it.runs[0].status, FW_FAILURE);
    assert_non_null(strstr(it.runs[0].error, "not accepted"));
    fw_schedules_destroy(it.table);
}

static void test_the_last_twenty_are_kept(void **state)
{
    (void)state;
    make(FW_CATCHUP_NONE);
    put("a", "@every 1s", FW_OVERLAP_SKIP);
    for (size_t n = 0; n < 30; n++) {
        pass(1);
        end(n, FW_SUCCESS);
        if (n == 0) /* the first is due with the second */
            it.ended = 1;
    }
    assert_int_equal(look("a")->run_count, FW_SCHEDULE_RUNS_KEPT);
    assert_true(it.runs[0].planned_ns > it.runs[1].planned_ns);
    fw_schedules_destroy(it.table);
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    fw_plan plan = fw_plan_default();
    make(FW_CATCHUP_NONE);
    assert_int_equal(put_plan("a", "61 * * * *", plan), -FW_EINVAL);
    assert_non_null(strstr(it.error, "when: minute \"61\""));
    assert_int_equal(put_plan("a", "0 0 31 2 *", plan), -FW_EINVAL);
    assert_string_equal(it.error, "when: no such time comes");
    assert_int_equal(put_plan("a", "TZ=Nowhere 0 0 * * *", plan), -FW_EINVAL);
    assert_non_null(strstr(it.error, "tz: zone Nowhere"));
    plan.until = span("soon");
    assert_int_equal(put_plan("a", "TZ=Europe/Berlin 0 0 * * *", plan), -FW_EINVAL);
    assert_non_null(strstr(it.error, "until: "));
    assert_int_equal(put_plan("", "@daily", fw_plan_default()), -FW_EINVAL);
    assert_int_equal(put_plan("a", "CRON_TZ=Asia/Tokyo 0 0 * * *", fw_plan_default()), 0);
    assert_string_equal(look("a")->zone, "Asia/Tokyo");
    assert_int_equal(it.view.next_ns, INT64_C(1795532400) * FW_NS_PER_S);
    fw_schedules_destroy(it.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_interval_begins_at_once_and_does_not_drift),
        cmocka_unit_test(test_cron_waits_for_its_time),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_putting_ten_times_makes_one),
        cmocka_unit_test(test_a_run_may_end_after_its_schedule),
        cmocka_unit_test(test_count_and_until),
        cmocka_unit_test(test_what_was_missed_in_a_pause),
        cmocka_unit_test(test_a_clock_that_is_set),
        cmocka_unit_test(test_trigger_and_backfill),
        cmocka_unit_test(test_a_run_that_is_not_accepted_ends),
        cmocka_unit_test(test_the_last_twenty_are_kept),
        cmocka_unit_test(test_what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
