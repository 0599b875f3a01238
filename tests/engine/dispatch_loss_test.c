/* dispatch_loss_test.c - what is given back, lost, cancelled, expired or stopped while it waits or
 * is in hand elsewhere: every task ends once, and no lease is good twice (D1, D3 of
 * engine/dispatch.h).
 * SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_case.h"

enum { HAND = 1000 };

static void what_a_lost_place_had_is_next_and_in_order(void **state)
{
    (void)state;
    hall h;
    desk dead, heir;
    probe_record *records = calloc(2 * HAND, sizeof *records);
    hall_open(&h, false);
    desk_open_any(&h, &dead, HAND);
    for (unsigned i = 0; i < 2 * HAND; i++)
        hall_submit(&h, &records[i], FW_NORMAL, i % 3);
    assert_int_equal(desk_count(&dead), HAND);
    fw_dispatch_detach(h.p.engine, dead.number);
    assert_int_equal(fw_load_seq_cst(&dead.gone), 1);
    assert_int_equal(fw_load_seq_cst(&h.lost), HAND);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 2 * HAND);
    for (unsigned i = 0; i < HAND; i++) {
        assert_null(desk_claim(&h, &dead, i));
        assert_int_equal(fw_task_state(dead.got[i].task), FW_QUEUED);
    }
    desk_open_any(&h, &heir, 7);
    for (unsigned i = 0; i < 2 * HAND; i++) {
        assert_int_equal(heir.got[i].attempt, i < HAND ? 2 : 1);
        assert_ptr_equal(desk_end_next(&h, &heir), &records[i]);
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
    }
    /* The number may have come again; what the dead one says is still refused. */
    for (unsigned i = 0; i < HAND; i++)
        assert_null(desk_claim(&h, &dead, i));
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&h.p.reclaims), 2 * HAND);
    desk_close(&dead);
    desk_close(&heir);
    free(records);
}

static void a_lost_task_may_end_as_such(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[3] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 3);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    /* One alone, as if its place were lost: again, at the same place. */
    fw_task *task = desk_claim(&h, &d, 1);
    fw_dispatch_lose(h.p.engine, task, d.got[1].lease);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(desk_count(&d), 4);
    assert_ptr_equal(d.got[3].task, task);
    assert_int_equal(d.got[3].attempt, 2);
    assert_int_equal(desk_stats(&h, &d).lost, 1);
    fw_store_seq_cst(&h.loss, FW_LOSS_ENDS);
    fw_dispatch_detach(h.p.engine, d.number);
    for (unsigned i = 0; i < 3; i++)
        assert_ended(&records[i], FW_FAILURE, FW_ENDED_BY_LOSS);
    assert_int_equal(hall_stats(&h).in_hand, 0);
    hall_close(&h);
    desk_close(&d);
}

static void what_had_not_begun_is_next_and_no_attempt(void **state)
{
    (void)state;
    hall h;
    desk dead, heir;
    probe_record records[3] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &dead, 2);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    fw_store_seq_cst(&h.loss, FW_LOSS_UNRUN);
    fw_dispatch_detach(h.p.engine, dead.number);
    assert_int_equal(fw_load_seq_cst(&h.lost), 2);
    desk_open_any(&h, &heir, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(heir.got[i].attempt, 1);
        /* The old lease is void all the same. */
        if (i < 2)
            assert_null(desk_claim(&h, &dead, i));
        assert_ptr_equal(desk_end_next(&h, &heir), &records[i]);
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
    }
    hall_close(&h);
    desk_close(&dead);
    desk_close(&heir);
}

static void a_returned_task_is_next_and_no_attempt(void **state)
{
    (void)state;
    hall h;
    desk d, other;
    probe_record records[4] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 2);
    for (unsigned i = 0; i < 4; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    fw_dispatch_pause(h.p.engine, d.number, true);
    desk_return(&h, &d, 1, false);
    desk_return(&h, &d, 0, false);
    assert_int_equal(fw_task_state(d.got[0].task), FW_QUEUED);
    assert_int_equal(desk_stats(&h, &d).returned, 2);
    fw_engine_stats stats;
    fw_engine_snapshot(h.p.engine, &stats);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.queued, 4);
    desk_open_any(&h, &other, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(other.got[i].attempt, 1);
        assert_ptr_equal(desk_end_next(&h, &other), &records[i]);
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
    }
    hall_close(&h);
    desk_close(&d);
    desk_close(&other);
}

/* The connection is full or broken: whoever sends gives it back from there. */
static void what_cannot_be_sent_comes_back(void **state)
{
    (void)state;
    hall h;
    desk broken, other;
    probe_record records[3] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &broken, 8);
    fw_store_seq_cst(&broken.broken, true);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    assert_int_equal(desk_count(&broken), 0);
    assert_int_equal(desk_stats(&h, &broken).returned, 1);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 3);
    desk_open_any(&h, &other, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(desk_end_next(&h, &other), &records[i]);
    hall_close(&h);
    desk_close(&broken);
    desk_close(&other);
}

static void who_refuses_is_not_asked_again(void **state)
{
    (void)state;
    hall h;
    desk named, any;
    probe_record records[4] = {0};
    hall_open(&h, false);
    fw_place_config config = {
        .names = (const uint32_t[]){1, 2}, .name_count = 2, .levels = EVERY_LEVEL, .slots = 2};
    desk_open(&h, &named, &config);
    hall_submit(&h, &records[0], FW_NORMAL, 1);
    desk_return(&h, &named, 0, true);
    assert_int_equal(desk_count(&named), 1);
    assert_false(fw_dispatch_knows(h.p.engine, 1));
    assert_true(fw_dispatch_knows(h.p.engine, 2));
    hall_submit(&h, &records[1], FW_NORMAL, 2);
    assert_int_equal(desk_count(&named), 2);
    desk_open_any(&h, &any, 1);
    assert_ptr_equal(desk_record(&any, 0), &records[0]);
    desk_return(&h, &any, 0, true);
    assert_int_equal(desk_count(&any), 1);
    assert_false(fw_dispatch_knows(h.p.engine, 1));
    assert_true(fw_dispatch_knows(h.p.engine, 77));
    hall_submit(&h, &records[2], FW_NORMAL, 77);
    assert_int_equal(desk_count(&any), 2);
    assert_ptr_equal(desk_record(&any, 1), &records[2]);
    /* It comes anew, and knows everything again. */
    fw_dispatch_detach(h.p.engine, any.number);
    desk_close(&any);
    desk_open_any(&h, &any, 2);
    assert_ptr_equal(desk_end_next(&h, &any), &records[0]);
    assert_ptr_equal(desk_end_next(&h, &any), &records[2]);
    hall_close(&h);
    desk_close(&named);
    desk_close(&any);
}

static void a_failure_is_tried_again_when_it_is_due(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record record = {.again_max = 1};
    hall_open(&h, false);
    desk_open_any(&h, &d, 1);
    fw_task *task = hall_submit(&h, &record, FW_NORMAL, 0);
    desk_end(&h, &d, 0, false);
    wait_until(desk_count(&d) == 2);
    assert_ptr_equal(d.got[1].task, task);
    assert_int_equal(d.got[1].attempt, 2);
    assert_null(desk_claim(&h, &d, 0));
    desk_end(&h, &d, 1, false);
    assert_ended(&record, FW_FAILURE, FW_ENDED_BY_RUN);
    hall_close(&h);
    desk_close(&d);
}

static void a_cancel_says_what_it_met(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[4] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 3);
    for (unsigned i = 0; i < 4; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    assert_int_equal(probe_cancel(&h.p, 4), FW_CANCEL_QUEUED);
    assert_ended(&records[3], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    for (uint64_t number = 1; number <= 3; number++)
        assert_int_equal(probe_cancel(&h.p, number), FW_CANCEL_RUNNING);
    /* Its run ends; it is given back; its place is lost. */
    desk_end(&h, &d, 0, true);
    assert_ended(&records[0], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    desk_return(&h, &d, 1, false);
    assert_ended(&records[1], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_int_equal(desk_count(&d), 3);
    fw_dispatch_detach(h.p.engine, d.number);
    assert_ended(&records[2], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 0);
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&h.p.reclaims), 4);
    desk_close(&d);
}

/* Tasks that were cancelled while they waited do not wait for ever for a place. */
static void cancelled_tasks_are_let_go_in_time(void **state)
{
    (void)state;
    enum { TASKS = 10000 };
    hall h;
    probe_record record = {0};
    hall_open(&h, false);
    for (unsigned i = 0; i < TASKS; i++)
        hall_submit(&h, &record, (fw_prio)(i % FW_LEVELS), i % 5);
    for (unsigned i = 0; i < TASKS; i++)
        if (i % 10 != 0)
            assert_int_equal(probe_cancel(&h.p, i + 1), FW_CANCEL_QUEUED);
    size_t waiting = 0;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        waiting += hall_stats(&h).waiting[level];
    assert_in_range(waiting, TASKS / 10, TASKS / 2);
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&record.reclaims), TASKS);
}

static bool expire_all(void *context, fw_task *task, uint64_t lease, int64_t given_ns)
{
    hall *h = context;
    assert_in_range(given_ns, 1, fw_now_ns());
    fw_dispatch_expire(h->p.engine, task, lease);
    return true;
}

static void a_run_past_its_deadline_is_answered_at_once(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[3] = {{.again_max = 0}, {.again_max = 1}, {.again_max = 0}};
    hall_open(&h, false);
    desk_open_any(&h, &d, 3);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    fw_dispatch_each(h.p.engine, d.number, expire_all, &h);
    assert_ended(&records[0], FW_FAILURE, FW_ENDED_BY_DEADLINE);
    assert_int_equal(probe_dones(&records[1]), 0);
    /* The leases stay, and the second task waits for a slot. */
    assert_int_equal(desk_stats(&h, &d).in_hand, 3);
    fw_dispatch_each(h.p.engine, d.number, expire_all, &h);
    wait_until(hall_stats(&h).waiting[FW_NORMAL] == 1);
    desk_end(&h, &d, 0, true);
    wait_until(desk_count(&d) == 4);
    assert_ptr_equal(desk_record(&d, 3), &records[1]);
    assert_int_equal(d.got[3].attempt, 2);
    /* What its first run says is dropped; the second one counts. */
    desk_end(&h, &d, 1, true);
    assert_int_equal(probe_dones(&records[1]), 0);
    desk_end(&h, &d, 3, false);
    assert_ended(&records[1], FW_FAILURE, FW_ENDED_BY_RUN);
    fw_dispatch_detach(h.p.engine, d.number);
    assert_int_equal(fw_load_seq_cst(&h.lost), 0);
    assert_int_equal(fw_load_seq_cst(&d.gone), 1);
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&h.p.reclaims), 3);
    desk_close(&d);
}

static void a_place_is_gone_when_the_last_claim_is_dealt_with(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[2] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 2);
    for (unsigned i = 0; i < 2; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    fw_task *task = desk_claim(&h, &d, 0);
    fw_dispatch_detach(h.p.engine, d.number);
    assert_int_equal(fw_load_seq_cst(&h.lost), 1);
    assert_int_equal(fw_load_seq_cst(&d.gone), 0);
    fw_dispatch_end(h.p.engine, task, d.got[0].lease, true, 1);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(fw_load_seq_cst(&d.gone), 1);
    assert_ended(&records[0], FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(hall_stats(&h).places, 0);
    hall_close(&h);
    desk_close(&d);
}

static void what_waits_and_is_in_hand_ends_with_the_engine(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[6] = {0};
    hall_open(&h, true);
    desk_open_any(&h, &d, 3);
    for (unsigned i = 0; i < 6; i++)
        hall_submit(&h, &records[i], (fw_prio)(i % FW_LEVELS), 9);
    fw_task *task = desk_claim(&h, &d, 1);
    fw_engine_halt(h.p.engine);
    for (unsigned i = 0; i < 6; i++)
        assert_ended(&records[i], FW_FAILURE, FW_ENDED_BY_STOP);
    assert_null(desk_claim(&h, &d, 0));
    /* Who has claimed may still bring it, and comes too late. */
    fw_dispatch_end(h.p.engine, task, d.got[1].lease, true, 1);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(hall_stats(&h).in_hand, 0);
    fw_dispatch_detach(h.p.engine, d.number);
    assert_int_equal(fw_load_seq_cst(&d.gone), 1);
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&h.p.reclaims), 6);
    desk_close(&d);
}

static void a_drain_waits_for_what_is_in_hand(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[3] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 1);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    assert_int_equal(fw_engine_drain(h.p.engine, FW_NS_PER_MS), -FW_ETIME);
    for (unsigned i = 0; i < 3; i++)
        assert_ended(&records[i], FW_FAILURE, FW_ENDED_BY_STOP);
    desk_end(&h, &d, 0, true);
    assert_int_equal(desk_count(&d), 1);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 0);
    hall_close(&h);
    assert_int_equal(fw_load_seq_cst(&h.p.reclaims), 3);
    desk_close(&d);
}

static void wrong_places_are_refused(void **state)
{
    (void)state;
    hall h;
    uint32_t number = 0;
    hall_open(&h, false);
    const uint32_t twice[] = {3, 3}, large[] = {FW_NAMES_MAX};
    const fw_place_config wrong[] = {
        {.any = true, .levels = EVERY_LEVEL, .slots = 0},
        {.any = true, .levels = EVERY_LEVEL, .slots = FW_WINDOW_MAX + 1},
        {.any = true, .levels = 0, .slots = 1},
        {.any = true, .levels = 1 << FW_LEVELS, .slots = 1},
        {.names = twice, .name_count = 2, .levels = 1, .slots = 1},
        {.names = large, .name_count = 1, .levels = 1, .slots = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(fw_dispatch_attach(h.p.engine, &number, &wrong[i]), -FW_EINVAL);
    assert_int_equal(number, 0);
    fw_place_stats stats;
    assert_false(fw_dispatch_place_snapshot(h.p.engine, 1, &stats));
    assert_false(fw_dispatch_place_snapshot(h.p.engine, FW_PLACES_MAX + 1, &stats));
    hall_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_lost_place_had_is_next_and_in_order),
        cmocka_unit_test(a_lost_task_may_end_as_such),
        cmocka_unit_test(what_had_not_begun_is_next_and_no_attempt),
        cmocka_unit_test(a_returned_task_is_next_and_no_attempt),
        cmocka_unit_test(what_cannot_be_sent_comes_back),
        cmocka_unit_test(who_refuses_is_not_asked_again),
        cmocka_unit_test(a_failure_is_tried_again_when_it_is_due),
        cmocka_unit_test(a_cancel_says_what_it_met),
        cmocka_unit_test(cancelled_tasks_are_let_go_in_time),
        cmocka_unit_test(a_run_past_its_deadline_is_answered_at_once),
        cmocka_unit_test(a_place_is_gone_when_the_last_claim_is_dealt_with),
        cmocka_unit_test(what_waits_and_is_in_hand_ends_with_the_engine),
        cmocka_unit_test(a_drain_waits_for_what_is_in_hand),
        cmocka_unit_test(wrong_places_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
