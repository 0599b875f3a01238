/* dispatch_test.c - who runs the next task: order, names, load, windows, local and elsewhere. Also
 * covers engine/groups.c, engine/lines.c, engine/classes.c, engine/places.c, engine/leases.c,
 * engine/local.c and engine/baton.h; what is lost or given back is in dispatch_loss_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_case.h"

#include <pthread.h>

static void a_place_elsewhere_runs_a_task(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record record = {0};
    hall_open(&h, false);
    fw_task *task = hall_submit(&h, &record, FW_NORMAL, 7);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 1);
    assert_int_equal(hall_stats(&h).oldest_wall_ns[FW_NORMAL], task->created_wall_ns);
    assert_false(fw_dispatch_knows(h.p.engine, 7));
    desk_open_any(&h, &d, 1);
    assert_true(fw_dispatch_knows(h.p.engine, 7));
    assert_int_equal(desk_count(&d), 1);
    assert_ptr_equal(d.got[0].task, task);
    assert_int_equal(d.got[0].attempt, 1);
    assert_int_equal(fw_task_state(task), FW_RUNNING);
    uint32_t place = 0;
    fw_rcu_read_lock();
    assert_true(fw_dispatch_lease_of(task, &place) == d.got[0].lease);
    fw_rcu_read_unlock();
    assert_int_equal(place, d.number);
    fw_engine_stats stats;
    fw_engine_snapshot(h.p.engine, &stats);
    assert_int_equal(stats.running, 1);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(desk_stats(&h, &d).in_hand, 1);
    desk_end(&h, &d, 0, true);
    assert_ended(&record, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_true(fw_load_seq_cst(&record.started) >= fw_load_seq_cst(&record.created));
    assert_true(fw_load_seq_cst(&record.finished) >= fw_load_seq_cst(&record.started));
    assert_null(desk_claim(&h, &d, 0));
    assert_null(fw_dispatch_claim(h.p.engine, d.number + 1, d.got[0].lease));
    assert_null(fw_dispatch_claim(h.p.engine, d.number, 12345));
    assert_int_equal(hall_stats(&h).late, 3);
    assert_int_equal(hall_stats(&h).in_hand, 0);
    assert_int_equal(desk_stats(&h, &d).ended, 1);
    assert_int_equal(fw_load_seq_cst(&record.runs), 0);
    hall_close(&h);
    desk_close(&d);
}

/* D2: strict priority over all places, first in first out within a level. */
static void the_next_task_is_the_most_urgent_and_oldest(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record low[3] = {0}, normal[2] = {0}, critical = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 1);
    for (unsigned i = 0; i < 3; i++)
        hall_submit(&h, &low[i], FW_LOW, i);
    for (unsigned i = 0; i < 2; i++)
        hall_submit(&h, &normal[i], FW_NORMAL, 2 - i);
    hall_submit(&h, &critical, FW_CRITICAL, 3);
    assert_int_equal(desk_count(&d), 1);
    probe_record *const expected[] = {&low[0], &critical, &normal[0], &normal[1], &low[1], &low[2]};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(desk_count(&d), i + 1);
        assert_ptr_equal(desk_end_next(&h, &d), expected[i]);
    }
    hall_close(&h);
    desk_close(&d);
}

static void the_place_with_the_least_share_in_use_is_next(void **state)
{
    (void)state;
    hall h;
    desk small, large;
    probe_record records[10] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &small, 2);
    desk_open_any(&h, &large, 8);
    for (unsigned i = 0; i < 5; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    /* 1 of 2 is as much as 4 of 8. */
    assert_int_equal(desk_count(&small), 1);
    assert_int_equal(desk_count(&large), 4);
    for (unsigned i = 5; i < 10; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    assert_int_equal(desk_count(&small), 2);
    assert_int_equal(desk_count(&large), 8);
    desk_end(&h, &large, 3, true);
    desk_end(&h, &large, 5, true);
    desk_end(&h, &small, 0, true);
    probe_record more = {0};
    hall_submit(&h, &more, FW_NORMAL, 0);
    assert_int_equal(desk_count(&small), 3);
    hall_close(&h);
    desk_close(&small);
    desk_close(&large);
}

/* Equals have their turn. */
static void equal_places_take_turns(void **state)
{
    (void)state;
    enum { DESKS = 5 };
    hall h;
    desk desks[DESKS];
    probe_record records[3 * DESKS] = {0};
    hall_open(&h, false);
    for (unsigned i = 0; i < DESKS; i++)
        desk_open_any(&h, &desks[i], 4);
    for (unsigned i = 0; i < 3 * DESKS; i++)
        hall_submit(&h, &records[i], FW_NORMAL, i);
    for (unsigned i = 0; i < DESKS; i++)
        assert_int_equal(desk_count(&desks[i]), 3);
    hall_close(&h);
    for (unsigned i = 0; i < DESKS; i++)
        desk_close(&desks[i]);
}

static void open_named(hall *h, desk *d, unsigned slots, const uint32_t *names, size_t count)
{
    fw_place_config config = {
        .names = names, .name_count = count, .levels = EVERY_LEVEL, .slots = slots};
    desk_open(h, d, &config);
}

static void tasks_go_to_who_knows_their_name(void **state)
{
    (void)state;
    hall h;
    desk a, b, c;
    probe_record records[8] = {0};
    hall_open(&h, false);
    /* They wait in one line; then that line parts, by and by. */
    for (unsigned i = 0; i < 8; i++)
        hall_submit(&h, &records[i], FW_NORMAL, i % 4 + 10);
    open_named(&h, &a, 1, (const uint32_t[]){10, 11}, 2);
    assert_ptr_equal(desk_record(&a, 0), &records[0]);
    open_named(&h, &b, 1, (const uint32_t[]){11, 12}, 2);
    assert_ptr_equal(desk_record(&b, 0), &records[1]);
    open_named(&h, &c, 2, (const uint32_t[]){13}, 1);
    assert_int_equal(desk_count(&c), 2);
    assert_ptr_equal(desk_record(&c, 0), &records[3]);
    assert_ptr_equal(desk_record(&c, 1), &records[7]);
    assert_ptr_equal(desk_end_next(&h, &a), &records[0]);
    assert_ptr_equal(desk_record(&a, 1), &records[4]);
    assert_ptr_equal(desk_end_next(&h, &b), &records[1]);
    assert_ptr_equal(desk_record(&b, 1), &records[2]);
    /* Nobody but a knows 10 any more. */
    fw_dispatch_detach(h.p.engine, b.number);
    assert_int_equal(fw_load_seq_cst(&b.gone), 1);
    assert_false(fw_dispatch_knows(h.p.engine, 12));
    assert_true(fw_dispatch_knows(h.p.engine, 11));
    assert_ptr_equal(desk_end_next(&h, &a), &records[4]);
    assert_ptr_equal(desk_end_next(&h, &a), &records[5]);
    assert_int_equal(desk_count(&a), 3);
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], 2);
    desk any;
    desk_open_any(&h, &any, 1);
    assert_ptr_equal(desk_end_next(&h, &any), &records[2]);
    assert_ptr_equal(desk_end_next(&h, &any), &records[6]);
    assert_int_equal(fw_load_seq_cst(&records[2].attempt), 2);
    hall_close(&h);
    desk *const all[] = {&a, &b, &c, &any};
    for (unsigned i = 0; i < 4; i++)
        desk_close(all[i]);
}

/* As Python's subworkers are: one place per level. */
static void a_place_gets_only_its_levels(void **state)
{
    (void)state;
    hall h;
    desk desks[FW_LEVELS];
    probe_record records[FW_LEVELS * 2] = {0};
    hall_open(&h, false);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_place_config config = {.any = true, .levels = (uint8_t)(1u << level), .slots = 1};
        desk_open(&h, &desks[level], &config);
    }
    for (unsigned i = 0; i < FW_LEVELS * 2; i++)
        hall_submit(&h, &records[i], (fw_prio)(i % FW_LEVELS), 0);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        assert_int_equal(desk_count(&desks[level]), 1);
        assert_ptr_equal(desk_end_next(&h, &desks[level]), &records[level]);
        assert_ptr_equal(desk_end_next(&h, &desks[level]), &records[level + FW_LEVELS]);
    }
    hall_close(&h);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        desk_close(&desks[level]);
}

static void a_paused_place_gets_nothing(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record records[3] = {0};
    hall_open(&h, false);
    desk_open_any(&h, &d, 1);
    hall_submit(&h, &records[0], FW_NORMAL, 0);
    fw_dispatch_pause(h.p.engine, d.number, true);
    assert_true(desk_stats(&h, &d).paused);
    hall_submit(&h, &records[1], FW_NORMAL, 0);
    desk_end_next(&h, &d);
    assert_int_equal(desk_count(&d), 1);
    fw_dispatch_pause(h.p.engine, d.number, false);
    assert_ptr_equal(desk_end_next(&h, &d), &records[1]);
    hall_close(&h);
    desk_close(&d);
}

/* Short tasks: the window grows so that about 2 ms of work is there; and what is urgent passes. */
static void the_window_follows_how_long_runs_take(void **state)
{
    (void)state;
    enum { TASKS = 6000 };
    hall h;
    desk d;
    probe_record *records = calloc(TASKS + 2, sizeof *records);
    hall_open(&h, false);
    fw_place_config config = {.any = true, .levels = EVERY_LEVEL, .slots = 2, .prefetch = true};
    desk_open(&h, &d, &config);
    for (unsigned i = 0; i < TASKS; i++)
        hall_submit(&h, &records[i], FW_LOW, 0);
    assert_int_equal(desk_count(&d), 2);
    fw_task *task = desk_claim(&h, &d, 0);
    fw_dispatch_end(h.p.engine, task, d.got[0].lease, true, 2 * FW_NS_PER_US);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(desk_stats(&h, &d).window, 2 + 2000);
    assert_int_equal(desk_stats(&h, &d).in_hand, 2 + 2000);
    hall_submit(&h, &records[TASKS], FW_CRITICAL, 0);
    assert_ptr_equal(desk_record(&d, desk_count(&d) - 1), &records[TASKS]);
    /* Now they are long. */
    for (d.next = 1; d.next < 100; d.next++) {
        task = desk_claim(&h, &d, d.next);
        fw_dispatch_end(h.p.engine, task, d.got[d.next].lease, true, FW_NS_PER_S);
    }
    unsigned before = desk_count(&d);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(desk_stats(&h, &d).window, 2);
    hall_submit(&h, &records[TASKS + 1], FW_CRITICAL, 0);
    assert_int_equal(desk_count(&d), before);
    fw_dispatch_detach(h.p.engine, d.number);
    assert_int_equal(fw_load_seq_cst(&d.gone), 1);
    hall_close(&h);
    desk_close(&d);
    free(records);
}

/* What waited behind a long one came back: nothing more is sent ahead. */
static void a_return_closes_the_window(void **state)
{
    (void)state;
    enum { TASKS = 40 };
    hall h;
    desk d;
    probe_record records[TASKS] = {0};
    hall_open(&h, false);
    fw_place_config config = {.any = true, .levels = EVERY_LEVEL, .slots = 1, .prefetch = true};
    desk_open(&h, &d, &config);
    for (unsigned i = 0; i < TASKS; i++)
        hall_submit(&h, &records[i], FW_LOW, 0);
    fw_task *task = desk_claim(&h, &d, 0);
    fw_dispatch_end(h.p.engine, task, d.got[0].lease, true, 100 * FW_NS_PER_US);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(desk_stats(&h, &d).window, 1 + 20);
    assert_int_equal(desk_count(&d), 1 + 1 + 20);
    desk_return(&h, &d, 21, false);
    assert_int_equal(desk_stats(&h, &d).window, 1);
    assert_int_equal(desk_count(&d), 1 + 1 + 20);
    fw_dispatch_detach(h.p.engine, d.number);
    hall_close(&h);
    desk_close(&d);
}

static void a_configured_window_is_kept(void **state)
{
    (void)state;
    hall h;
    desk eager, plain;
    probe_record records[20] = {0};
    fw_dispatch_config config = {.local = false, .prefetch = 2, .window_max = 10};
    hall_open_with(&h, 1, &config);
    fw_place_config place = {.any = true, .levels = EVERY_LEVEL, .slots = 3, .prefetch = true};
    desk_open(&h, &eager, &place);
    desk_open_any(&h, &plain, 3);
    for (unsigned i = 0; i < 20; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 0);
    assert_int_equal(desk_count(&eager), 9);
    assert_int_equal(desk_count(&plain), 3);
    hall_close(&h);
    desk_close(&eager);
    desk_close(&plain);
}

static void local_and_elsewhere_share(void **state)
{
    (void)state;
    hall h;
    desk d;
    probe_record gates[2] = {0}, records[6] = {0};
    hall_open(&h, true);
    for (uint32_t name = 0; name < 3; name++)
        assert_int_equal(fw_dispatch_local_name(h.p.engine, name), 0);
    assert_int_equal(fw_dispatch_local_name(h.p.engine, FW_NAMES_MAX), -FW_EINVAL);
    /* Nobody else is there: straight to the pool. */
    hall_submit(&h, &records[0], FW_NORMAL, 1);
    wait_until(probe_dones(&records[0]) == 1);
    assert_false(hall_stats(&h).engaged);
    open_named(&h, &d, 2, (const uint32_t[]){2, 3}, 2);
    assert_true(hall_stats(&h).engaged);
    for (unsigned i = 0; i < 2; i++) {
        fw_task *task = probe_task(&h.p, &gates[i], 1000 + i, WAY_GATE);
        task->name = 0;
        probe_submit(&h.p, task);
    }
    wait_until(fw_load_seq_cst(&gates[0].begun) && fw_load_seq_cst(&gates[1].begun));
    hall_submit(&h, &records[1], FW_NORMAL, 2);
    hall_submit(&h, &records[2], FW_NORMAL, 1);
    hall_submit(&h, &records[3], FW_NORMAL, 3);
    hall_submit(&h, &records[4], FW_NORMAL, 2);
    wait_until(desk_count(&d) == 2);
    assert_ptr_equal(desk_record(&d, 1), &records[3]);
    wait_until(hall_stats(&h).waiting[FW_NORMAL] == 2);
    fw_store_seq_cst(&gates[0].gate, true);
    wait_until(probe_dones(&records[2]) == 1);
    wait_until(probe_dones(&records[4]) == 1);
    fw_store_seq_cst(&gates[1].gate, true);
    desk_end_next(&h, &d);
    desk_end_next(&h, &d);
    wait_until(probe_dones(&records[1]) && probe_dones(&records[3]));
    fw_place_stats local;
    assert_true(fw_dispatch_place_snapshot(h.p.engine, 0, &local));
    assert_int_equal(local.slots, 2);
    assert_int_equal(local.given, 4);
    assert_int_equal(fw_engine_drain(h.p.engine, FW_NS_PER_S), 0);
    hall_close(&h);
    desk_close(&d);
}

/* One slot anywhere: here both are the own pool's, and what is urgent came last. */
static void the_own_pool_takes_the_most_urgent_next(void **state)
{
    (void)state;
    enum { LOW = 20 };
    hall h;
    desk d;
    probe_record gates[2] = {0}, low[LOW] = {0}, critical = {0}, rest = {0};
    hall_open(&h, true);
    fw_dispatch_local_name(h.p.engine, 0);
    open_named(&h, &d, 1, (const uint32_t[]){5}, 1);
    for (unsigned i = 0; i < 2; i++)
        probe_go(&h.p, &gates[i], 1000 + i, WAY_GATE);
    wait_until(fw_load_seq_cst(&gates[0].begun) && fw_load_seq_cst(&gates[1].begun));
    for (unsigned i = 0; i < LOW; i++)
        hall_submit(&h, &low[i], FW_LOW, 0);
    hall_submit(&h, &critical, FW_CRITICAL, 0);
    hall_submit(&h, &rest, FW_NORMAL, 0);
    wait_until(hall_stats(&h).waiting[FW_LOW] == LOW);
    fw_store_seq_cst(&gates[0].gate, true);
    wait_until(probe_dones(&low[LOW - 1]));
    fw_store_seq_cst(&gates[1].gate, true);
    assert_int_equal(fw_engine_drain(h.p.engine, 20 * FW_NS_PER_S), 0);
    int64_t before_ns = fw_load_seq_cst(&critical.began_ns);
    assert_true(before_ns <= fw_load_seq_cst(&rest.began_ns));
    assert_true(fw_load_seq_cst(&rest.began_ns) <= fw_load_seq_cst(&low[0].began_ns));
    hall_close(&h);
    desk_close(&d);
}

/* A place whose runs end while they are sent, and each brings the next task. */
typedef struct relay {
    hall h;
    uint32_t number;
    pthread_t starter;
    probe_record *records;
    unsigned next, tasks;
    fw_atomic(unsigned) elsewhere; /* sent by another thread than the one that began */
} relay;

static void relay_send(void *context, void *place_owner, const fw_handout *handouts, size_t count)
{
    relay *r = context;
    (void)place_owner;
    assert_int_equal(count, 1);
    fw_task *task = fw_dispatch_claim(r->h.p.engine, r->number, handouts[0].lease);
    if (!pthread_equal(pthread_self(), r->starter))
        fw_add_seq_cst(&r->elsewhere, 1);
    if (r->next < r->tasks)
        hall_submit(&r->h, &r->records[r->next++], FW_NORMAL, 0);
    fw_dispatch_end(r->h.p.engine, task, handouts[0].lease, true, 0);
    fw_dispatch_flush(r->h.p.engine);
}

static void nobody_has_the_duty_for_ever(void **state)
{
    (void)state;
    enum { TASKS = 500 };
    relay r = {.starter = pthread_self(), .tasks = TASKS};
    r.records = calloc(TASKS, sizeof *r.records);
    probe_open(&r.h.p, 1);
    fw_dispatch_config config = {.local = false, .prefetch = -1, .window_max = 16};
    fw_dispatch_ops ops = {.context = &r, .send = relay_send};
    assert_int_equal(fw_dispatch_init(r.h.p.engine, &config, &ops), 0);
    fw_place_config place = {.any = true, .levels = EVERY_LEVEL, .slots = 1};
    assert_int_equal(fw_dispatch_attach(r.h.p.engine, &r.number, &place), 0);
    hall_submit(&r.h, &r.records[r.next++], FW_NORMAL, 0);
    wait_until(fw_load_seq_cst(&r.h.p.dones) == TASKS);
    assert_true(fw_load_seq_cst(&r.elsewhere) > 0);
    hall_close(&r.h);
    free(r.records);
}

/* Many names, places that know a few each, coming and going while tasks wait: order is kept. */
static void lines_part_and_meet_in_order(void **state)
{
    (void)state;
    enum { NAMES = 12, TASKS = 600 };
    hall h;
    desk crowd[NAMES], last;
    probe_record *records = calloc(TASKS, sizeof *records);
    hall_open(&h, false);
    for (unsigned i = 0; i < TASKS; i++) {
        hall_submit(&h, &records[i], FW_NORMAL, i * 7 % NAMES);
        unsigned at = i / 25 % NAMES;
        if (i % 25 != 0)
            continue;
        /* Paused as soon as it is there: it takes one task, which it returns. */
        if (i < 25 * NAMES) {
            uint32_t names[3] = {at / 3, 4 + at / 3, 8 + at / 3};
            open_named(&h, &crowd[at], 1, names, 1 + at % 3);
            fw_dispatch_pause(h.p.engine, crowd[at].number, true);
            for (unsigned j = 0; j < desk_count(&crowd[at]); j++)
                desk_return(&h, &crowd[at], j, j % 2);
        } else {
            fw_dispatch_detach(h.p.engine, crowd[at].number);
            assert_int_equal(fw_load_seq_cst(&crowd[at].gone), 1);
        }
    }
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], TASKS);
    desk_open_any(&h, &last, 1);
    for (unsigned i = 0; i < TASKS; i++)
        assert_ptr_equal(desk_end_next(&h, &last), &records[i]);
    hall_close(&h);
    for (unsigned i = 0; i < NAMES; i++)
        desk_close(&crowd[i]);
    desk_close(&last);
    free(records);
}

/* The first place comes when many wait in the pool's lanes: it has its part of them, in order. */
static void a_place_that_comes_helps_with_what_waits(void **state)
{
    (void)state;
    enum { TASKS = 5000 };
    hall h;
    desk d;
    probe_record gates[2] = {0}, *records = calloc(TASKS, sizeof *records);
    hall_open(&h, true);
    for (uint32_t name = 0; name < 2; name++)
        fw_dispatch_local_name(h.p.engine, name);
    for (unsigned i = 0; i < 2; i++)
        probe_go(&h.p, &gates[i], 10000 + i, WAY_GATE);
    wait_until(fw_load_seq_cst(&gates[0].begun) && fw_load_seq_cst(&gates[1].begun));
    for (unsigned i = 0; i < TASKS; i++)
        hall_submit(&h, &records[i], FW_NORMAL, 1);
    desk_open_any(&h, &d, 4);
    /* Both threads stand at gates and hold nothing else, so all of it can be had. */
    for (unsigned i = 0; i < TASKS; i++) {
        wait_until(desk_count(&d) > d.next);
        assert_ptr_equal(desk_end_next(&h, &d), &records[i]);
        if (i == TASKS / 2)
            break;
    }
    fw_store_seq_cst(&gates[0].gate, true);
    fw_store_seq_cst(&gates[1].gate, true);
    while (fw_load_seq_cst(&h.p.dones) < TASKS + 2) { /* with the gates */
        if (desk_count(&d) > d.next)
            desk_end_next(&h, &d);
    }
    assert_int_equal(fw_engine_drain(h.p.engine, 20 * FW_NS_PER_S), 0);
    for (unsigned i = 0; i < TASKS; i++)
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
    hall_close(&h);
    desk_close(&d);
    free(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_elsewhere_runs_a_task),
        cmocka_unit_test(the_next_task_is_the_most_urgent_and_oldest),
        cmocka_unit_test(the_place_with_the_least_share_in_use_is_next),
        cmocka_unit_test(equal_places_take_turns),
        cmocka_unit_test(tasks_go_to_who_knows_their_name),
        cmocka_unit_test(a_place_gets_only_its_levels),
        cmocka_unit_test(a_paused_place_gets_nothing),
        cmocka_unit_test(the_window_follows_how_long_runs_take),
        cmocka_unit_test(a_return_closes_the_window),
        cmocka_unit_test(a_configured_window_is_kept),
        cmocka_unit_test(local_and_elsewhere_share),
        cmocka_unit_test(the_own_pool_takes_the_most_urgent_next),
        cmocka_unit_test(nobody_has_the_duty_for_ever),
        cmocka_unit_test(lines_part_and_meet_in_order),
        cmocka_unit_test(a_place_that_comes_helps_with_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
