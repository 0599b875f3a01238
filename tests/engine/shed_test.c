/* shed_test.c - who gives way, in the pool's lanes and at the dispatcher. Covers engine/shed.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "limits_case.h"

#include <pthread.h>

enum { LOWS = 6, STRESS = 2000, SHEDDERS = 2 };

static void hold_the_thread(probe *p, probe_record *gate)
{
    probe_go(p, gate, 1000000, WAY_GATE);
    wait_until(fw_load_seq_cst(&gate->begun) == 1);
}

static void submit_at(probe *p, probe_record *record, uint64_t number, fw_prio level)
{
    fw_task *task = probe_task(p, record, number, WAY_SUCCEED);
    assert_non_null(task);
    task->level = (uint8_t)level;
    probe_submit(p, task);
}

static void the_oldest_of_the_lowest_leave_their_lane(void **state)
{
    (void)state;
    probe p;
    probe_record gate = {0}, low[LOWS] = {0}, normal = {0}, high = {0};
    probe_open(&p, 1);
    hold_the_thread(&p, &gate);
    assert_false(fw_engine_waits_below(p.engine, FW_CRITICAL));
    for (unsigned i = 0; i < LOWS; i++)
        submit_at(&p, &low[i], i + 1, FW_LOW);
    submit_at(&p, &normal, 100, FW_NORMAL);
    submit_at(&p, &high, 101, FW_HIGH);
    assert_true(fw_engine_waits_below(p.engine, FW_NORMAL));
    assert_false(fw_engine_waits_below(p.engine, FW_LOW));
    fw_engine_shed(p.engine, FW_LOW, 3);
    assert_int_equal(fw_load_seq_cst(&p.dones), 0);
    /* One that has ended already does not count. */
    assert_int_equal(probe_cancel(&p, 1), FW_CANCEL_QUEUED);
    fw_engine_shed(p.engine, FW_NORMAL, 2);
    assert_ended(&low[0], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_ended(&low[1], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_ended(&low[2], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_int_equal(probe_dones(&low[3]), 0);
    assert_false(probe_is_found(&p, 2));
    /* The memory is back though the thread has not come to them. */
    await_reclaims(p.engine, &p.reclaims, 3);
    /* All lows, then the normal one; nothing above. */
    fw_engine_shed(p.engine, FW_HIGH, 100);
    assert_ended(&low[LOWS - 1], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_ended(&normal, FW_FAILURE, FW_ENDED_BY_SHED);
    fw_store_seq_cst(&gate.gate, true);
    wait_until(probe_dones(&high) == 1);
    assert_ended(&high, FW_SUCCESS, FW_ENDED_BY_RUN);
    probe_close(&p);
}

static void those_that_wait_at_the_dispatcher_give_way(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record low[LOWS] = {0}, paused[2] = {0}, keyed[2] = {0}, normal = {0};
    open_hall(&h, false);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    for (unsigned i = 0; i < LOWS; i++)
        hall_submit(&h, &low[i], FW_LOW, ADD);
    assert_int_equal(probe_cancel(&h.p, 1), FW_CANCEL_QUEUED);
    hall_submit(&h, &normal, FW_NORMAL, ADD);
    fw_engine_shed(h.p.engine, FW_NORMAL, 2);
    assert_ended(&low[1], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_ended(&low[2], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_int_equal(probe_dones(&low[3]), 0);
    await_reclaims(h.p.engine, &h.p.reclaims, 3);
    /* What a pause or a limit holds back waits as well. */
    hall_submit(&h, &paused[0], FW_LOW, RESIZE);
    hall_submit(&h, &paused[1], FW_LOW, RESIZE);
    assert_int_equal(fw_limit_set_keys(h.p.engine, MAIL, 1, 0, 0), 0);
    hall_submit(&h, &keyed[0], FW_LOW, MAIL);
    hall_submit(&h, &keyed[1], FW_LOW, MAIL);
    assert_true(fw_engine_waits_below(h.p.engine, FW_NORMAL));
    fw_engine_shed(h.p.engine, FW_NORMAL, 100);
    assert_ended(&paused[1], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_ended(&low[LOWS - 1], FW_FAILURE, FW_ENDED_BY_SHED);
    assert_int_equal(hall_stats(&h).waiting[FW_LOW],
                     2 - probe_dones(&keyed[0]) - probe_dones(&keyed[1]));
    /* The others go on. */
    desk_open_any(&h, &d, 16);
    assert_ptr_equal(desk_record(&d, 0), &normal);
    hall_close(&h);
    desk_close(&d);
}

/* --- all at once --- */

static void *shed_now_and_then(void *context)
{
    probe *p = context;
    while (fw_load_seq_cst(&p->dones) < STRESS / 2) {
        fw_engine_shed(p->engine, FW_NORMAL, 3);
        sched_yield();
    }
    return NULL;
}

/* Each ends once, by its run or because it gave way, and none of those above. */
static void each_ends_once(probe *p, uint32_t name)
{
    static probe_record records[STRESS];
    pthread_t threads[SHEDDERS];
    memset(records, 0, sizeof records);
    for (unsigned i = 0; i < SHEDDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shed_now_and_then, p), 0);
    for (unsigned i = 0; i < STRESS; i++) {
        fw_task *task = probe_task(p, &records[i], i + 1, WAY_SUCCEED);
        assert_non_null(task);
        task->level = i % 2 ? FW_LOW : FW_NORMAL;
        task->name = name;
        probe_submit(p, task);
        if (i % 7 == 0)
            (void)probe_cancel(p, i / 2 + 1);
    }
    wait_until(fw_load_seq_cst(&p->dones) == STRESS);
    for (unsigned i = 0; i < SHEDDERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < STRESS; i++) {
        assert_int_equal(probe_dones(&records[i]), 1);
        if (i % 2 == 0)
            assert_int_not_equal(fw_load_seq_cst(&records[i].why), FW_ENDED_BY_SHED);
    }
}

static void each_ends_once_in_lanes(void **state)
{
    (void)state;
    probe p;
    probe_open(&p, 2);
    each_ends_once(&p, 0);
    probe_close(&p);
}

static void each_ends_once_at_the_dispatcher(void **state)
{
    (void)state;
    hall h;
    open_hall(&h, true);
    fw_dispatch_begin(h.p.engine);
    each_ends_once(&h.p, ADD);
    hall_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_of_the_lowest_leave_their_lane),
        cmocka_unit_test(those_that_wait_at_the_dispatcher_give_way),
        cmocka_unit_test(each_ends_once_in_lanes),
        cmocka_unit_test(each_ends_once_at_the_dispatcher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
