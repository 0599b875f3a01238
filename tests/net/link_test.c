/* link_test.c - net/link.c, net/links.c, net/pull.c, net/pipe.c, net/connection_stream.c: a control
 * plane and its subworkers, with real nets at both ends. SPDX-License-Identifier: Apache-2.0 */
#include "link_case.h"

/* ---- Up and down ---- */

static void both_ends_come_up_and_go_down(void **state)
{
    (void)state;
    pair p = pair_open();
    fw_net_stats stats;
    fw_net_snapshot(p.plane, &stats);
    assert_int_equal(stats.links, 1);
    assert_int_equal(stats.greetings_refused, 0);
    fw_link_hang_up(p.theirs->link);
    expect_some(&p.theirs->down);
    assert_string_equal(p.theirs->reason, "hung up");
    expect_some(&p.ours->down);
    pair_close(&p);

    p = pair_open();
    fw_link_hang_up(p.ours->link);
    expect_some(&p.ours->down);
    expect_some(&p.theirs->down);
    assert_int_equal(fw_load_relaxed(&p.ours->up), 1);
    assert_int_equal(fw_load_relaxed(&p.ours->down), 1);
    pair_close(&p);
}

static void closing_is_silent(void **state)
{
    (void)state;
    pair p = pair_open();
    end *theirs = p.theirs;
    fw_link_close(p.ours->link);
    assert_int_equal(fw_load_relaxed(&p.ours->down), 0);
    free(p.ours);
    expect_some(&theirs->down);
    end_close(theirs);
    hand_close(p.hand);
    fw_net_stop(p.plane, FW_NS_PER_S);
}

/* The subworker's end is opened first, or last: both are fine. */
static void a_greeting_may_come_before_its_link(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    hand *h = hand_open("sw1");
    end *ours = plane_link(plane, "sw1", h, 0);
    /* Ours has greeted when its bytes have been taken. */
    fw_net_stats stats;
    do
        fw_net_snapshot(h->net, &stats);
    while (stats.messages_in == 0);
    assert_int_equal(fw_load_relaxed(&ours->up), 0);
    end *theirs = hand_link(h, plane);
    expect_some(&ours->up);
    expect_some(&theirs->up);
    end_close(ours);
    end_close(theirs);
    hand_close(h);
    fw_net_stop(plane, FW_NS_PER_S);
}

static void nobody_there_is_told(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    end e = {.link = NULL};
    fw_link_config config = {.id = text_of("sw1"),
                             .epoch = text_of("x"),
                             .address = text_of("tcp://127.0.0.1:1"),
                             .owner = &e};
    e.link = fw_link_open(plane, &config);
    assert_non_null(e.link);
    expect_some(&e.down);
    assert_int_equal(fw_load_relaxed(&e.up), 0);
    assert_memory_equal(e.reason, "cannot connect", 14);
    fw_assignment task = task_of(1, "echo", "[]");
    assert_int_equal(fw_link_assign(e.link, &task, 1), 0);
    assert_false(fw_link_drain(e.link, true));
    fw_link_close(e.link);
    config.address = text_of("ipc:///tmp/x");
    assert_null(fw_link_open(plane, &config));
    config.address = text_of("tcp://127.0.0.1:0");
    assert_null(fw_link_open(plane, &config));
    fw_net_stop(plane, FW_NS_PER_S);
}

/* Closed while it still dials, or waits for a greeting. */
static void unfinished_links_can_be_closed(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    hand *h = hand_open("sw1");
    for (int i = 0; i < 50; i++) {
        end *ours = plane_link(plane, "sw1", h, 0);
        end *theirs = i % 2 ? hand_link(h, plane) : NULL;
        end_close(ours);
        if (theirs)
            end_close(theirs);
    }
    hand_close(h);
    fw_net_stop(plane, FW_NS_PER_S);
}

/* ---- Tasks and results ---- */

static void every_kind_of_end_comes_back(void **state)
{
    (void)state;
    pair p = pair_open();
    fw_assignment tasks[4] = {task_of(1, "echo", "[1, 2]"), task_of(2, "fail", "[]"),
                              task_of(3, "unknown", "[]"), task_of(4, "hold", "[]")};
    tasks[3].attempt = 3;
    tasks[3].task.timeout_ns = 7 * FW_NS_PER_S;
    tasks[3].task.id = text_of("job-7");
    tasks[3].task.key = fw_key_from_text(tasks[3].task.id);
    tasks[3].task.level = FW_CRITICAL;
    assert_int_equal(fw_link_assign(p.ours->link, tasks, 4), 4);
    expect_count(&p.ours->results, 2);
    expect_count(&p.ours->returns, 1);
    expect_count(&p.hand->tasks, 4);
    assert_int_equal(p.ours->bytes, 6);
    assert_int_equal(p.ours->failures, 1);
    assert_string_equal(p.ours->last_error, "no luck");
    assert_int_equal(p.ours->ran_ns, 7);
    assert_int_equal(p.ours->why[3], FW_REFUSED_UNKNOWN_NAME);
    assert_int_equal(p.hand->last.retry_count, 2);
    assert_true(p.hand->last.timeout_ns == 7 * FW_NS_PER_S);
    assert_int_equal(p.hand->last.level, FW_CRITICAL);
    assert_int_equal(p.hand->last.reply.form, FW_REPLY_LEASE);
    hand_release(p.hand);
    expect_count(&p.ours->results, 3);
    for (int lease = 1; lease <= 4; lease++)
        assert_int_equal(fw_load_relaxed(&p.ours->seen[lease]), 1);
    pair_close(&p);
}

static void thousands_go_in_one_call(void **state)
{
    (void)state;
    pair p = pair_open();
    assign(p.ours, 0, 4096, "echo");
    expect_count(&p.ours->results, 4096);
    for (int lease = 0; lease < 4096; lease++)
        assert_int_equal(fw_load_relaxed(&p.ours->seen[lease]), 1);
    /* Gathered on the way there and back. */
    assert_true(fw_load_relaxed(&p.hand->calls) <= 2048);
    assert_true(fw_load_relaxed(&p.ours->calls) <= 2048);
    assert_int_equal(fw_link_unsent(p.ours->link), 0);
    pair_close(&p);
}

/* The first does not fit the usual frame, nor does the last. */
static void large_tasks_fit_between_small_ones(void **state)
{
    (void)state;
    pair p = pair_open();
    char *args = malloc(BIG + 1);
    assert_non_null(args);
    memset(args, ' ', BIG);
    args[0] = '[';
    args[BIG - 1] = ']';
    args[BIG] = 0;
    fw_assignment tasks[40];
    for (unsigned i = 0; i < 40; i++)
        tasks[i] = task_of(i, "echo", i % 13 == 0 ? args : "[]");
    assert_int_equal(fw_link_assign(p.ours->link, tasks, 40), 40);
    expect_count(&p.ours->results, 40);
    assert_int_equal(p.ours->bytes, 4 * BIG + 36 * 2);
    free(args);
    pair_close(&p);
}

static void a_thousand_large_results(void **state)
{
    (void)state;
    pair p = pair_open();
    for (uint64_t first = 0; first < 1000; first += 100)
        assign(p.ours, first, 100, "big");
    expect_count(&p.ours->results, 1000);
    assert_true(fw_load_relaxed(&p.ours->bytes) == 1000ull * BIG);
    pair_close(&p);
}

static void orders_arrive(void **state)
{
    (void)state;
    pair p = pair_open();
    assign(p.ours, 1, 2, "hold");
    expect_count(&p.hand->tasks, 2);
    fw_key key = fw_key_random();
    fw_order orders[3] = {{FW_ORDER_CANCEL, 1, key, {NULL, 0}},
                          {FW_ORDER_RECALL, 2, {0, 0}, text_of("job-7")},
                          {FW_ORDER_RECALL, 99, key, {NULL, 0}}};
    assert_true(fw_link_order(p.ours->link, orders, 3));
    expect_count(&p.hand->order_count, 3);
    expect_count(&p.ours->returns, 1);
    expect_count(&p.ours->cancelled, 1);
    assert_int_equal(p.ours->why[2], FW_REFUSED_RECALLED);
    assert_int_equal(p.hand->orders[0].kind, FW_ORDER_CANCEL);
    assert_true(fw_key_equal(p.hand->orders[0].key, key));
    assert_string_equal(p.hand->order_ids[1], "job-7");
    /* Many, more than one call takes. */
    fw_order many[5000];
    for (unsigned i = 0; i < 5000; i++)
        many[i] = (fw_order){FW_ORDER_RECALL, i, key, {NULL, 0}};
    assert_true(fw_link_order(p.ours->link, many, 5000));
    expect_count(&p.hand->order_count, 5003);
    pair_close(&p);
}

static void drains_and_beats_arrive(void **state)
{
    (void)state;
    pair p = pair_open();
    assert_true(fw_link_drain(p.ours->link, true));
    expect_count(&p.hand->drains, 1);
    assert_true(fw_load_seq_cst(&p.hand->draining));
    assert_true(fw_link_drain(p.ours->link, false));
    expect_count(&p.hand->drains, 2);
    assert_false(fw_load_seq_cst(&p.hand->draining));
    fw_beat beat = {.slots = 4, .running = 3, .queued = 2, .draining = true, .done = 9};
    do /* up may just be told there */
        assert_true(fw_link_beat(p.theirs->link, &beat));
    while (fw_load_seq_cst(&p.ours->beats) == 0);
    assert_int_equal(p.ours->beat.slots, 4);
    assert_int_equal(p.ours->beat.running, 3);
    assert_int_equal(p.ours->beat.queued, 2);
    assert_true(p.ours->beat.draining);
    assert_int_equal(p.ours->beat.done, 9);
    pair_close(&p);
}

/* A subworker that shuts down gives back what still comes. */
static void a_draining_net_returns_tasks(void **state)
{
    (void)state;
    pair p = pair_open();
    fw_net_drain(p.hand->net);
    assign(p.ours, 0, 10, "echo");
    expect_count(&p.ours->returns, 10);
    assert_int_equal(p.ours->why[9], FW_REFUSED_DRAINING);
    assert_int_equal(fw_load_relaxed(&p.hand->tasks), 0);
    pair_close(&p);
}

static void answers_of_a_link_that_is_gone_are_dropped(void **state)
{
    (void)state;
    pair p = pair_open();
    assign(p.ours, 0, 100, "hold");
    expect_count(&p.hand->tasks, 100);
    fw_link_close(p.ours->link);
    expect_some(&p.theirs->down);
    hand_release(p.hand);
    fw_net_stats stats;
    fw_net_snapshot(p.hand->net, &stats);
    assert_true(stats.answers_dropped > 0);
    assert_int_equal(fw_load_relaxed(&p.ours->results), 0);
    free(p.ours);
    end_close(p.theirs);
    hand_close(p.hand);
    fw_net_stop(p.plane, FW_NS_PER_S);
}

/* ---- Several ---- */

static void two_subworkers_keep_apart(void **state)
{
    (void)state;
    pair p = pair_open();
    hand *second = hand_open("sw2");
    end *ours = plane_link(p.plane, "sw2", second, 0);
    end *theirs = hand_link(second, p.plane);
    expect_some(&ours->up);
    for (uint64_t i = 0; i < 20; i++) {
        assign(p.ours, i * 50, 50, "echo");
        assign(ours, 10000 + i * 50, 50, "echo");
    }
    expect_count(&p.ours->results, 1000);
    expect_count(&ours->results, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(fw_load_relaxed(&p.ours->seen[i]), 1);
        assert_int_equal(fw_load_relaxed(&ours->seen[10000 + i]), 1);
    }
    /* One of them leaves; the other does not mind. */
    fw_link_hang_up(theirs->link);
    expect_some(&ours->down);
    assign(p.ours, 5000, 50, "echo");
    expect_count(&p.ours->results, 1050);
    end_close(ours);
    end_close(theirs);
    hand_close(second);
    pair_close(&p);
}

/* A subworker is started again under its name: the old link is lost, the new one is another. */
static void another_run_is_another_link(void **state)
{
    (void)state;
    pair p = pair_open();
    hand *again = hand_open("sw1");
    end *ours = plane_link(p.plane, "sw1", again, 0);
    end *theirs = hand_link(again, p.plane);
    expect_some(&ours->up);
    assign(p.ours, 0, 10, "echo");
    assign(ours, 100, 10, "echo");
    expect_count(&p.ours->results, 10);
    expect_count(&ours->results, 10);
    assert_int_equal(fw_load_relaxed(&p.hand->tasks), 10);
    end_close(ours);
    end_close(theirs);
    hand_close(again);
    pair_close(&p);
}

/* The same run comes again, after its link was lost. */
static void a_lost_link_can_be_opened_again(void **state)
{
    (void)state;
    pair p = pair_open();
    for (int i = 0; i < 20; i++) {
        fw_link_hang_up(i % 2 ? p.ours->link : p.theirs->link);
        expect_some(&p.ours->down);
        expect_some(&p.theirs->down);
        end_close(p.ours);
        end_close(p.theirs);
        p.ours = plane_link(p.plane, "sw1", p.hand, 0);
        p.theirs = hand_link(p.hand, p.plane);
        expect_some(&p.ours->up);
        assign(p.ours, 0, 100, "echo");
        expect_count(&p.ours->results, 100);
    }
    pair_close(&p);
}

static void closing_while_results_arrive(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    hand *h = hand_open("sw1");
    for (int i = 0; i < 20; i++) {
        end *ours = plane_link(plane, "sw1", h, 0);
        end *theirs = hand_link(h, plane);
        expect_some(&ours->up);
        for (uint64_t first = 0; first < 16000; first += 4000)
            assign(ours, first, 4000, "echo");
        expect_some(&ours->calls);
        fw_link *link = ours->link;
        if (i % 3 == 0)
            fw_link_hang_up(link);
        fw_link_close(link);
        uint64_t told = fw_load_seq_cst(&ours->results);
        end_close(theirs);
        assert_true(told == fw_load_seq_cst(&ours->results));
        assert_int_equal(fw_load_seq_cst(&ours->late), 0);
        free(ours);
    }
    hand_close(h);
    fw_net_stop(plane, FW_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_come_up_and_go_down),
        cmocka_unit_test(closing_is_silent),
        cmocka_unit_test(a_greeting_may_come_before_its_link),
        cmocka_unit_test(nobody_there_is_told),
        cmocka_unit_test(unfinished_links_can_be_closed),
        cmocka_unit_test(every_kind_of_end_comes_back),
        cmocka_unit_test(thousands_go_in_one_call),
        cmocka_unit_test(large_tasks_fit_between_small_ones),
        cmocka_unit_test(a_thousand_large_results),
        cmocka_unit_test(orders_arrive),
        cmocka_unit_test(drains_and_beats_arrive),
        cmocka_unit_test(a_draining_net_returns_tasks),
        cmocka_unit_test(answers_of_a_link_that_is_gone_are_dropped),
        cmocka_unit_test(two_subworkers_keep_apart),
        cmocka_unit_test(another_run_is_another_link),
        cmocka_unit_test(a_lost_link_can_be_opened_again),
        cmocka_unit_test(closing_while_results_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
