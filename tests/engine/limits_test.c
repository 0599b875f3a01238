/* limits_test.c - limits of names: who waits, who goes past, in which order; pauses are in
 * pauses_test.c. Also covers engine/holding.c. SPDX-License-Identifier: Apache-2.0 */
#include "limits_case.h"

static void no_more_run_at_once_and_the_oldest_is_next(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[6] = {0}, other = {0};
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    limit(&h, RESIZE, 2, 0, 0);
    submit_many(&h, records, 6, RESIZE);
    hall_submit(&h, &other, FW_LOW, ADD);
    assert_int_equal(desk_count(&d), 3);
    assert_ptr_equal(desk_record(&d, 2), &other);
    fw_limit_view view = view_of(&h, RESIZE);
    assert_int_equal(view.max_running, 2);
    assert_int_equal(view.running, 2);
    assert_int_equal(view.waiting[FW_NORMAL], 4);
    assert_true(view.held);
    assert_int_equal(held(&h), 4);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 4);
    desk_end(&h, &d, 2, true);
    assert_int_equal(desk_count(&d), 3);
    for (unsigned i = 2; i < 6; i++) {
        desk_end(&h, &d, i == 2 ? 0 : i == 3 ? 1 : i - 1, true);
        assert_int_equal(desk_count(&d), i + 2);
        assert_ptr_equal(desk_record(&d, i + 1), &records[i]);
    }
    assert_int_equal(held(&h), 0);
    assert_int_equal(view_of(&h, RESIZE).running, 2);
    hall_close(&h);
    desk_close(&d);
}

/* The case. */
static void a_thousand_limited_ones_do_not_stand_in_the_way_of_a_free_one(void **state)
{
    (void)state;
    enum { LIMITED = 1000 };
    static probe_record records[LIMITED];
    hall h;
    desk d;
    probe_record free_one = {0};
    memset(records, 0, sizeof records);
    open_hall(&h, false);
    desk_open_any(&h, &d, 2);
    limit(&h, RESIZE, 1, 0, 0);
    submit_many(&h, records, LIMITED, RESIZE);
    assert_int_equal(desk_count(&d), 1);
    hall_submit(&h, &free_one, FW_LOW, ADD);
    assert_int_equal(desk_count(&d), 2);
    assert_ptr_equal(desk_record(&d, 1), &free_one);
    assert_int_equal(held(&h), LIMITED - 1);
    assert_true(hall_stats(&h).oldest_wall_ns[FW_NORMAL] > 0);
    hall_close(&h);
    desk_close(&d);
}

static void the_same_in_the_own_pool(void **state)
{
    (void)state;
    enum { LIMITED = 1000 };
    static probe_record records[LIMITED];
    hall h;
    probe_record free_one = {0};
    memset(records, 0, sizeof records);
    open_hall(&h, true);
    limit(&h, RESIZE, 1, 0, 0);
    fw_task *first = probe_task(&h.p, &records[0], ++h.submitted, WAY_GATE);
    first->name = RESIZE;
    probe_submit(&h.p, first);
    submit_many(&h, records + 1, LIMITED - 1, RESIZE);
    hall_submit(&h, &free_one, FW_LOW, ADD);
    wait_until(probe_dones(&free_one) == 1);
    wait_until(fw_load_seq_cst(&records[0].begun) == 1);
    assert_int_equal(fw_load_seq_cst(&records[1].begun), 0);
    fw_store_seq_cst(&records[0].gate, true);
    wait_until(fw_load_seq_cst(&h.p.dones) == LIMITED + 1);
    for (unsigned i = 1; i < LIMITED; i++)
        assert_true(fw_load_seq_cst(&records[i].began_ns) >=
                    fw_load_seq_cst(&records[i - 1].began_ns));
    hall_close(&h);
}

static void starts_go_by_the_clock(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[9] = {0};
    open_hall(&h, false);
    desk_open_any(&h, &d, 16);
    limit(&h, RESIZE, 0, 10, 3);
    submit_many(&h, records, 9, RESIZE);
    assert_int_equal(desk_count(&d), 3);
    desk_end(&h, &d, 0, true);
    assert_int_equal(desk_count(&d), 3);
    advance(&h, 99 * FW_NS_PER_MS);
    assert_int_equal(desk_count(&d), 3);
    assert_int_equal(held(&h), 6);
    advance(&h, FW_NS_PER_MS);
    assert_int_equal(desk_count(&d), 4);
    advance(&h, 200 * FW_NS_PER_MS);
    assert_int_equal(desk_count(&d), 6);
    /* One that comes back unused gives its token back, and goes again. */
    desk_return(&h, &d, 5, false);
    assert_int_equal(desk_count(&d), 7);
    assert_ptr_equal(desk_record(&d, 6), &records[5]);
    advance(&h, 60 * FW_NS_PER_S);
    assert_int_equal(desk_count(&d), 10);
    for (unsigned i = 6; i < 9; i++)
        assert_ptr_equal(desk_record(&d, i + 1), &records[i]);
    hall_close(&h);
    desk_close(&d);
}

/* By the real clock: the timer thread brings the tokens, and none too early. */
static void tokens_come_by_themselves(void **state)
{
    (void)state;
    enum { TASKS = 12, BURST = 2, INTERVAL_MS = 2 };
    hall h;
    probe_record records[TASKS] = {0};
    hall_open(&h, true);
    assert_int_equal(fw_dispatch_local_name(h.p.engine, RESIZE), 0);
    limit(&h, RESIZE, 0, 1000.0 / INTERVAL_MS, BURST);
    int64_t begin_ns = fw_now_ns();
    submit_many(&h, records, TASKS, RESIZE);
    wait_until(fw_load_seq_cst(&h.p.dones) == TASKS);
    for (unsigned i = BURST; i < TASKS; i++)
        assert_true(fw_load_seq_cst(&records[i].began_ns) >=
                    begin_ns + (i - BURST + 1) * INTERVAL_MS * FW_NS_PER_MS);
    hall_close(&h);
}

/* Coming and going of a limit keeps the order, among themselves and with others. */
static void the_order_survives_limits_that_come_and_go(void **state)
{
    (void)state;
    enum { TASKS = 30 };
    hall h;
    desk d;
    probe_record records[TASKS] = {0};
    open_hall(&h, false);
    for (unsigned i = 0; i < TASKS; i++) {
        if (i == 10)
            limit(&h, RESIZE, 2, 0, 0);
        if (i == 15)
            limit(&h, ADD, 1, 5, 1);
        if (i == 20)
            limit(&h, RESIZE, 0, 0, 0);
        hall_submit(&h, &records[i], FW_NORMAL, 1 + i % 3);
    }
    assert_int_equal(view_of(&h, ADD).waiting[FW_NORMAL], TASKS / 3);
    limit(&h, ADD, 0, 0, 0);
    assert_int_equal(view_of(&h, ADD).waiting[FW_NORMAL], 0);
    desk_open_any(&h, &d, TASKS);
    assert_int_equal(desk_count(&d), TASKS);
    for (unsigned i = 0; i < TASKS; i++)
        assert_ptr_equal(desk_record(&d, i), &records[i]);
    hall_close(&h);
    desk_close(&d);
}

/* Places with other names, refusals, and places that go: the limit stays with its name. */
static void the_limit_holds_over_all_places(void **state)
{
    (void)state;
    hall h;
    desk any, some, late;
    probe_record records[8] = {0};
    const uint32_t names[] = {RESIZE};
    fw_place_config config = {.names = names, .name_count = 1, .levels = EVERY_LEVEL, .slots = 8};
    open_hall(&h, false);
    limit(&h, RESIZE, 3, 0, 0);
    submit_many(&h, records, 8, RESIZE);
    desk_open_any(&h, &any, 8);
    assert_int_equal(desk_count(&any), 3);
    desk_open(&h, &some, &config);
    assert_int_equal(desk_count(&some), 0);
    desk_end(&h, &any, 0, true);
    assert_int_equal(desk_count(&any) + desk_count(&some), 4);
    desk_return(&h, &any, 1, true);
    assert_int_equal(desk_count(&any) + desk_count(&some), 5);
    assert_int_equal(view_of(&h, RESIZE).running, 3);
    fw_dispatch_detach(h.p.engine, any.number);
    fw_dispatch_detach(h.p.engine, some.number);
    assert_int_equal(fw_load_seq_cst(&any.gone) + fw_load_seq_cst(&some.gone), 2);
    assert_int_equal(view_of(&h, RESIZE).running, 0);
    assert_int_equal(view_of(&h, RESIZE).waiting[FW_NORMAL], 7);
    desk_open(&h, &late, &config);
    assert_int_equal(desk_count(&late), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(desk_record(&late, i), &records[i + 1]);
    hall_close(&h);
    desk_close(&any);
    desk_close(&some);
    desk_close(&late);
}

/* What waits in the lanes when the first limit comes is held back like everything else. */
static void a_limit_finds_tasks_that_wait_already(void **state)
{
    (void)state;
    enum { TASKS = 100 };
    hall h;
    probe_record gates[2] = {0}, records[TASKS] = {0};
    open_hall(&h, true);
    for (unsigned i = 0; i < 2; i++) {
        fw_task *task = probe_task(&h.p, &gates[i], ++h.submitted, WAY_GATE);
        task->name = ADD;
        probe_submit(&h.p, task);
        wait_until(fw_load_seq_cst(&gates[i].begun) == 1);
    }
    submit_many(&h, records, TASKS, RESIZE);
    assert_false(hall_stats(&h).engaged);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    assert_true(hall_stats(&h).engaged);
    wait_until(view_of(&h, RESIZE).waiting[FW_NORMAL] == TASKS);
    for (unsigned i = 0; i < 2; i++)
        fw_store_seq_cst(&gates[i].gate, true);
    probe_record other = {0};
    hall_submit(&h, &other, FW_LOW, ADD);
    wait_until(probe_dones(&other) == 1);
    for (unsigned i = 0; i < TASKS; i++)
        assert_int_equal(fw_load_seq_cst(&records[i].begun), 0);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, 0);
    wait_until(fw_load_seq_cst(&h.p.dones) == TASKS + 3);
    hall_close(&h);
}

/* A run that goes on elsewhere (an isolated task) counts until it is completed. */
static void a_pending_run_counts(void **state)
{
    (void)state;
    hall h;
    probe_record pending[2] = {0}, inside = {0}, last = {0}, other = {0};
    open_hall(&h, true);
    limit(&h, RESIZE, 2, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        fw_task *task = probe_task(&h.p, &pending[i], ++h.submitted, WAY_PENDING);
        task->name = RESIZE;
        probe_submit(&h.p, task);
        wait_until(fw_load_seq_cst(&pending[i].runs) == 1);
    }
    fw_task *task = probe_task(&h.p, &inside, ++h.submitted, WAY_COMPLETE_INSIDE);
    task->name = RESIZE;
    probe_submit(&h.p, task);
    hall_submit(&h, &last, FW_NORMAL, RESIZE);
    hall_submit(&h, &other, FW_LOW, ADD);
    wait_until(probe_dones(&other) == 1);
    assert_int_equal(fw_load_seq_cst(&inside.begun), 0);
    assert_int_equal(view_of(&h, RESIZE).running, 2);
    fw_engine_complete(h.p.engine, fw_load_seq_cst(&pending[0].seen), true);
    wait_until(probe_dones(&last) == 1);
    assert_int_equal(probe_dones(&inside), 1);
    fw_engine_complete(h.p.engine, fw_load_seq_cst(&pending[1].seen), true);
    wait_until(view_of(&h, RESIZE).running == 0);
    hall_close(&h);
}

/* Failed runs make room while they wait to be tried again. */
static void a_failed_run_makes_room(void **state)
{
    (void)state;
    enum { TASKS = 50 };
    hall h;
    probe_record records[TASKS] = {0};
    open_hall(&h, true);
    limit(&h, RESIZE, 1, 0, 0);
    for (unsigned i = 0; i < TASKS; i++) {
        records[i].again_max = 2;
        fw_task *task = probe_task(&h.p, &records[i], ++h.submitted, WAY_FAIL);
        task->name = RESIZE;
        probe_submit(&h.p, task);
    }
    wait_until(fw_load_seq_cst(&h.p.dones) == TASKS);
    wait_until(view_of(&h, RESIZE).running == 0);
    hall_close(&h);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    hall h;
    open_hall(&h, false);
    assert_int_equal(fw_limit_set(h.p.engine, FW_NAMES_MAX, 1, 0, 0), -FW_EINVAL);
    assert_int_equal(fw_limit_set(h.p.engine, 1, 1, -1, 0), -FW_EINVAL);
    assert_int_equal(fw_limit_pause(h.p.engine, FW_PAUSE_LEVEL, FW_LEVELS, 1), -FW_EINVAL);
    assert_int_equal(fw_limit_pause(h.p.engine, FW_PAUSE_NAME, FW_NAMES_MAX, 1), -FW_EINVAL);
    assert_int_equal(fw_limit_pause(h.p.engine, FW_PAUSE_ALL, 0, -1), -FW_EINVAL);
    hall_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_run_at_once_and_the_oldest_is_next),
        cmocka_unit_test(a_thousand_limited_ones_do_not_stand_in_the_way_of_a_free_one),
        cmocka_unit_test(the_same_in_the_own_pool),
        cmocka_unit_test(starts_go_by_the_clock),
        cmocka_unit_test(tokens_come_by_themselves),
        cmocka_unit_test(the_order_survives_limits_that_come_and_go),
        cmocka_unit_test(the_limit_holds_over_all_places),
        cmocka_unit_test(a_limit_finds_tasks_that_wait_already),
        cmocka_unit_test(a_pending_run_counts),
        cmocka_unit_test(a_failed_run_makes_room),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
