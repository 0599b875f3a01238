/* pauses_test.c - pauses of levels, of names, of everything, and how they end. Also covers
 * engine/holding.c. SPDX-License-Identifier: Apache-2.0 */
#include "limits_case.h"

static void a_level_is_paused_and_goes_on(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record low[3] = {0}, high = {0};
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    pause_for(&h, FW_PAUSE_LEVEL, FW_LOW, FW_PAUSE_FOREVER);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &low[i], FW_LOW, ADD);
    hall_submit(&h, &high, FW_HIGH, ADD);
    assert_int_equal(desk_count(&d), 1);
    assert_ptr_equal(desk_record(&d, 0), &high);
    assert_int_equal(held(&h), 3);
    fw_engine_stats stats;
    fw_engine_snapshot(h.p.engine, &stats);
    assert_int_equal(stats.queued, 3);
    assert_int_equal(probe_cancel(&h.p, 2), FW_CANCEL_QUEUED);
    assert_ended(&low[1], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    pause_for(&h, FW_PAUSE_LEVEL, FW_LOW, 0);
    assert_int_equal(desk_count(&d), 3);
    assert_ptr_equal(desk_record(&d, 1), &low[0]);
    assert_ptr_equal(desk_record(&d, 2), &low[2]);
    assert_int_equal(held(&h), 0);
    hall_close(&h);
    desk_close(&d);
}

static void a_pause_for_a_time_ends_by_itself(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[4] = {0};
    fw_pause_view view;
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    pause_for(&h, FW_PAUSE_LEVEL, FW_HIGH, read_clock() + 10 * FW_NS_PER_S);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, read_clock() + 20 * FW_NS_PER_S);
    pause_for(&h, FW_PAUSE_ALL, 0, read_clock() + 5 * FW_NS_PER_S);
    hall_submit(&h, &records[0], FW_HIGH, ADD);
    hall_submit(&h, &records[1], FW_NORMAL, RESIZE);
    hall_submit(&h, &records[2], FW_NORMAL, ADD);
    hall_submit(&h, &records[3], FW_HIGH, RESIZE);
    assert_int_equal(desk_count(&d), 0);
    assert_int_equal(held(&h), 4);
    fw_limit_pauses(h.p.engine, &view);
    assert_true(view.all_until_ns > 0 && view.level_until_ns[FW_HIGH] > view.all_until_ns);
    advance(&h, 5 * FW_NS_PER_S);
    assert_int_equal(desk_count(&d), 1);
    assert_ptr_equal(desk_record(&d, 0), &records[2]);
    advance(&h, 5 * FW_NS_PER_S);
    assert_int_equal(desk_count(&d), 2);
    assert_ptr_equal(desk_record(&d, 1), &records[0]);
    assert_true(view_of(&h, RESIZE).paused_until_ns > 0);
    advance(&h, 10 * FW_NS_PER_S - 1);
    assert_int_equal(desk_count(&d), 2);
    advance(&h, 1);
    assert_int_equal(desk_count(&d), 4);
    assert_ptr_equal(desk_record(&d, 2), &records[3]);
    assert_int_equal(view_of(&h, RESIZE).paused_until_ns, 0);
    fw_limit_pauses(h.p.engine, &view);
    assert_int_equal(view.all_until_ns + view.level_until_ns[FW_HIGH], 0);
    hall_close(&h);
    desk_close(&d);
}

static void a_real_pause_ends_by_itself(void **state)
{
    (void)state;
    hall h;
    probe_record records[2] = {0};
    hall_open(&h, true);
    assert_int_equal(fw_dispatch_local_name(h.p.engine, RESIZE), 0);
    int64_t until_ns = fw_now_ns() + 3 * FW_NS_PER_MS;
    pause_for(&h, FW_PAUSE_NAME, RESIZE, until_ns);
    pause_for(&h, FW_PAUSE_LEVEL, FW_NORMAL, until_ns + FW_NS_PER_MS);
    submit_many(&h, records, 2, RESIZE);
    wait_until(fw_load_seq_cst(&h.p.dones) == 2);
    assert_true(fw_load_seq_cst(&records[0].began_ns) >= until_ns + FW_NS_PER_MS);
    hall_close(&h);
}

static void to_resume_all_ends_every_pause(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[3] = {0};
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    limit(&h, MAIL, 1, 0, 0);
    pause_for(&h, FW_PAUSE_LEVEL, FW_NORMAL, FW_PAUSE_FOREVER);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    pause_for(&h, FW_PAUSE_ALL, 0, FW_PAUSE_FOREVER);
    hall_submit(&h, &records[0], FW_NORMAL, RESIZE);
    hall_submit(&h, &records[1], FW_NORMAL, MAIL);
    hall_submit(&h, &records[2], FW_NORMAL, MAIL);
    pause_for(&h, FW_PAUSE_LEVEL, FW_NORMAL, 0);
    assert_int_equal(desk_count(&d), 0);
    pause_for(&h, FW_PAUSE_ALL, 0, 0);
    /* Limits are no pauses. */
    assert_int_equal(desk_count(&d), 2);
    assert_int_equal(held(&h), 1);
    hall_close(&h);
    desk_close(&d);
}

/* Cancelled in great numbers while they are held: their memory comes back. */
static void what_was_cancelled_while_it_was_held_is_given_back(void **state)
{
    (void)state;
    enum { TASKS = 3000 };
    hall h;
    desk d;
    static probe_record records[TASKS];
    memset(records, 0, sizeof records);
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    submit_many(&h, records, TASKS, RESIZE);
    for (unsigned i = 0; i < TASKS - 1; i++)
        assert_int_equal(probe_cancel(&h.p, i + 1), FW_CANCEL_QUEUED);
    assert_true(view_of(&h, RESIZE).waiting[FW_NORMAL] < TASKS / 2);
    assert_int_equal(view_of(&h, RESIZE).waiting[FW_NORMAL], held(&h));
    hall_close(&h);
    desk_close(&d);
    assert_ended(&records[TASKS - 1], FW_FAILURE, FW_ENDED_BY_STOP);
}

/* SIGTERM must not wait its whole limit for what cannot go on. */
static void a_drain_does_not_wait_for_what_is_paused(void **state)
{
    (void)state;
    hall h;
    probe_record running = {0}, paused[3] = {0}, free_one = {0};
    open_hall(&h, true);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    pause_for(&h, FW_PAUSE_LEVEL, FW_LOW, FW_PAUSE_FOREVER);
    fw_task *task = probe_task(&h.p, &running, ++h.submitted, WAY_PENDING);
    task->name = ADD;
    probe_submit(&h.p, task);
    submit_many(&h, paused, 2, RESIZE);
    hall_submit(&h, &paused[2], FW_LOW, ADD);
    hall_submit(&h, &free_one, FW_NORMAL, ADD);
    wait_until(fw_load_seq_cst(&running.runs) == 1 && held(&h) == 3);
    /* One that has ended waits as well, by the figures. */
    assert_int_equal(probe_cancel(&h.p, 2), FW_CANCEL_QUEUED);
    wait_until(probe_dones(&free_one) == 1);
    fw_engine_complete(h.p.engine, fw_load_seq_cst(&running.seen), true);
    assert_int_equal(fw_engine_drain(h.p.engine, 3600 * FW_NS_PER_S), 0);
    assert_ended(&running, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_ended(&paused[0], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_ended(&paused[1], FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&paused[2], FW_FAILURE, FW_ENDED_BY_STOP);
    hall_close(&h);
}

static void a_drain_waits_for_a_pause_that_ends_in_time(void **state)
{
    (void)state;
    hall h;
    probe_record records[3] = {0};
    hall_open(&h, true);
    assert_int_equal(fw_dispatch_local_name(h.p.engine, RESIZE), 0);
    pause_for(&h, FW_PAUSE_ALL, 0, fw_now_ns() + 3 * FW_NS_PER_MS);
    submit_many(&h, records, 3, RESIZE);
    assert_int_equal(fw_engine_drain(h.p.engine, 3600 * FW_NS_PER_S), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
    hall_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_is_paused_and_goes_on),
        cmocka_unit_test(a_pause_for_a_time_ends_by_itself),
        cmocka_unit_test(a_real_pause_ends_by_itself),
        cmocka_unit_test(to_resume_all_ends_every_pause),
        cmocka_unit_test(a_drain_does_not_wait_for_what_is_paused),
        cmocka_unit_test(a_drain_waits_for_a_pause_that_ends_in_time),
        cmocka_unit_test(what_was_cancelled_while_it_was_held_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
