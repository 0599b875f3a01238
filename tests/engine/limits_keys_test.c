/* limits_keys_test.c - limits per key: who waits, whose turn it is, in which order; and what is
 * left when nothing is. Also covers engine/limits_table.c. SPDX-License-Identifier: Apache-2.0 */
#include "limits_case.h"

#include "engine/limits_keys.h"

typedef struct keyed_record {
    probe_record record; /* first: it is what the task leads to */
    char key[40];        /* "": none */
} keyed_record;

static fw_span key_of(void *context, fw_task *task)
{
    const keyed_record *keyed = (const void *)probe_record_of(task);
    (void)context;
    return (fw_span){keyed->key, strlen(keyed->key)};
}

static void open_keyed(hall *h, bool local)
{
    open_hall(h, local);
    fw_limit_key_by(h->p.engine, key_of, NULL);
}

static void limit_keys(hall *h, uint32_t name, uint32_t max_running, double rate, uint32_t burst)
{
    assert_int_equal(fw_limit_set_keys(h->p.engine, name, max_running, rate, burst), 0);
}

static fw_task *submit_key(hall *h, keyed_record *r, const char *key, fw_prio level)
{
    snprintf(r->key, sizeof r->key, "%s", key);
    return hall_submit(h, &r->record, level, RESIZE);
}

static const char *key_at(const desk *d, unsigned i)
{
    return ((const keyed_record *)(const void *)desk_record(d, i))->key;
}

static void same_keys_run_one_after_the_other_and_different_ones_beside_each_other(void **state)
{
    (void)state;
    enum { EACH = 5, KEYS = 3 };
    hall h;
    desk d;
    keyed_record records[KEYS][EACH] = {0}, plain[2] = {0};
    static const char *const keys[KEYS] = {"a", "b", "c"};
    open_keyed(&h, false);
    limit_keys(&h, RESIZE, 1, 0, 0);
    for (unsigned k = 0; k < KEYS; k++)
        for (unsigned i = 0; i < EACH; i++)
            submit_key(&h, &records[k][i], keys[k], FW_NORMAL);
    for (unsigned i = 0; i < 2; i++)
        submit_key(&h, &plain[i], "", FW_NORMAL);
    assert_int_equal(view_of(&h, RESIZE).keys, KEYS);
    desk_open_any(&h, &d, 16);
    assert_int_equal(desk_count(&d), KEYS + 2);
    assert_int_equal(held(&h), KEYS * (EACH - 1));
    for (unsigned i = 0; i < KEYS * EACH + 2; i++)
        desk_end_next(&h, &d);
    unsigned next[KEYS] = {0};
    for (unsigned i = 0; i < KEYS * EACH + 2; i++)
        for (unsigned k = 0; k < KEYS; k++)
            if (strcmp(key_at(&d, i), keys[k]) == 0)
                assert_ptr_equal(desk_record(&d, i), &records[k][next[k]++].record);
    assert_int_equal(held(&h), 0);
    fw_limit_view view = view_of(&h, RESIZE);
    assert_int_equal(view.running, 0);
    assert_int_equal(view.keys, 0);
    assert_int_equal(view.waiting[FW_NORMAL], 0);
    hall_close(&h);
    desk_close(&d);
}

/* The case, by key. */
static void a_thousand_of_one_key_do_not_stand_in_the_way_of_another(void **state)
{
    (void)state;
    enum { LIMITED = 1000 };
    static keyed_record records[LIMITED];
    hall h;
    desk d;
    keyed_record other = {0};
    memset(records, 0, sizeof records);
    open_keyed(&h, false);
    desk_open_any(&h, &d, 2);
    limit_keys(&h, RESIZE, 1, 0, 0);
    for (unsigned i = 0; i < LIMITED; i++)
        submit_key(&h, &records[i], "busy", FW_NORMAL);
    assert_int_equal(desk_count(&d), 1);
    submit_key(&h, &other, "free", FW_LOW);
    assert_int_equal(desk_count(&d), 2);
    assert_ptr_equal(desk_record(&d, 1), &other.record);
    assert_int_equal(held(&h), LIMITED - 1);
    assert_true(hall_stats(&h).oldest_wall_ns[FW_NORMAL] > 0);
    assert_true(view_of(&h, RESIZE).keys == 2);
    hall_close(&h);
    desk_close(&d);
}

static void the_same_in_the_own_pool(void **state)
{
    (void)state;
    enum { LIMITED = 1000 };
    static keyed_record records[LIMITED];
    hall h;
    keyed_record other = {0};
    memset(records, 0, sizeof records);
    open_keyed(&h, true);
    limit_keys(&h, RESIZE, 1, 0, 0);
    memcpy(records[0].key, "busy", sizeof "busy");
    fw_task *first = probe_task(&h.p, &records[0].record, ++h.submitted, WAY_GATE);
    first->name = RESIZE;
    probe_submit(&h.p, first);
    for (unsigned i = 1; i < LIMITED; i++)
        submit_key(&h, &records[i], "busy", FW_NORMAL);
    submit_key(&h, &other, "free", FW_LOW);
    wait_until(probe_dones(&other.record) == 1);
    wait_until(fw_load_seq_cst(&records[0].record.begun) == 1);
    assert_int_equal(fw_load_seq_cst(&records[1].record.begun), 0);
    fw_store_seq_cst(&records[0].record.gate, true);
    wait_until(fw_load_seq_cst(&h.p.dones) == LIMITED + 1);
    for (unsigned i = 1; i < LIMITED; i++)
        assert_true(fw_load_seq_cst(&records[i].record.began_ns) >=
                    fw_load_seq_cst(&records[i - 1].record.began_ns));
    wait_until(view_of(&h, RESIZE).keys == 0);
    hall_close(&h);
}

/* A key whose turn it was goes behind the others; levels go before turns. */
static void keys_take_turns(void **state)
{
    (void)state;
    hall h;
    desk d;
    keyed_record records[7] = {0};
    static const char *const order[] = {"b", "a", "b", "a", "b", "b"};
    open_keyed(&h, false);
    limit_keys(&h, RESIZE, 5, 0, 0);
    for (unsigned i = 0; i < 4; i++)
        submit_key(&h, &records[i], "b", FW_NORMAL);
    submit_key(&h, &records[4], "a", FW_NORMAL);
    submit_key(&h, &records[5], "a", FW_NORMAL);
    submit_key(&h, &records[6], "b", FW_CRITICAL);
    desk_open_any(&h, &d, 1);
    for (unsigned i = 0; i < 7; i++) {
        assert_string_equal(key_at(&d, i), i == 0 ? "b" : order[i - 1]);
        desk_end_next(&h, &d);
    }
    assert_ptr_equal(desk_record(&d, 0), &records[6].record);
    hall_close(&h);
    desk_close(&d);
}

/* Limits of the name hold as well, and those of the level. */
static void the_limit_of_the_name_holds_too(void **state)
{
    (void)state;
    hall h;
    desk d;
    keyed_record records[10] = {0};
    open_keyed(&h, false);
    desk_open_any(&h, &d, 16);
    limit_keys(&h, RESIZE, 1, 0, 0);
    limit(&h, RESIZE, 3, 0, 0);
    for (unsigned i = 0; i < 10; i++)
        submit_key(&h, &records[i], (char[2]){(char)('a' + i % 5)}, FW_NORMAL);
    assert_int_equal(desk_count(&d), 3);
    assert_int_equal(held(&h), 7);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, FW_PAUSE_FOREVER);
    desk_end_next(&h, &d);
    assert_int_equal(desk_count(&d), 3);
    assert_int_equal(held(&h), 7);
    pause_for(&h, FW_PAUSE_NAME, RESIZE, 0);
    assert_int_equal(desk_count(&d), 4);
    limit(&h, RESIZE, 0, 0, 0);
    assert_int_equal(desk_count(&d), 6);
    while (d.next < 10)
        desk_end_next(&h, &d);
    hall_close(&h);
    desk_close(&d);
}

static void starts_of_a_key_go_by_the_clock(void **state)
{
    (void)state;
    hall h;
    desk d;
    keyed_record records[9] = {0}, other[3] = {0}, last = {0};
    open_keyed(&h, false);
    desk_open_any(&h, &d, 16);
    limit_keys(&h, RESIZE, 0, 10, 2);
    for (unsigned i = 0; i < 9; i++)
        submit_key(&h, &records[i], "a", FW_NORMAL);
    assert_int_equal(desk_count(&d), 2);
    for (unsigned i = 0; i < 3; i++)
        submit_key(&h, &other[i], "b", FW_NORMAL);
    assert_int_equal(desk_count(&d), 4);
    desk_end(&h, &d, 0, true);
    assert_int_equal(desk_count(&d), 4);
    advance(&h, 99 * FW_NS_PER_MS);
    assert_int_equal(desk_count(&d), 4);
    advance(&h, FW_NS_PER_MS);
    assert_int_equal(desk_count(&d), 6);
    /* One that comes back unused gives its token back, and goes again. */
    unsigned mine = strcmp(key_at(&d, 5), "a") == 0 ? 5 : 4;
    probe_record *returned = desk_record(&d, mine);
    desk_return(&h, &d, mine, false);
    assert_int_equal(desk_count(&d), 7);
    assert_ptr_equal(desk_record(&d, 6), returned);
    advance(&h, 60 * FW_NS_PER_S);
    assert_int_equal(desk_count(&d), 9);
    for (unsigned i = 0; i < 10; i++)
        advance(&h, FW_NS_PER_S);
    assert_int_equal(desk_count(&d), 13);
    for (unsigned i = 1; i < 13; i++)
        if (i != mine)
            desk_end(&h, &d, i, true);
    /* A key is kept until its bucket is full. */
    assert_int_equal(view_of(&h, RESIZE).keys, 0);
    submit_key(&h, &last, "b", FW_NORMAL);
    desk_end(&h, &d, 13, true);
    assert_int_equal(view_of(&h, RESIZE).keys, 1);
    advance(&h, FW_NS_PER_S);
    assert_int_equal(view_of(&h, RESIZE).keys, 0);
    hall_close(&h);
    desk_close(&d);
}

/* By the real clock: the timer thread brings the tokens, and none too early. */
static void tokens_come_by_themselves(void **state)
{
    (void)state;
    enum { TASKS = 12, BURST = 2, INTERVAL_MS = 2 };
    hall h;
    keyed_record records[TASKS] = {0};
    hall_open(&h, true);
    fw_limit_key_by(h.p.engine, key_of, NULL);
    assert_int_equal(fw_dispatch_local_name(h.p.engine, RESIZE), 0);
    limit_keys(&h, RESIZE, 0, 1000.0 / INTERVAL_MS, BURST);
    int64_t begin_ns = fw_now_ns();
    for (unsigned i = 0; i < TASKS; i++)
        submit_key(&h, &records[i], i % 2 ? "a" : "b", FW_NORMAL);
    wait_until(fw_load_seq_cst(&h.p.dones) == TASKS);
    for (unsigned i = BURST; i < TASKS / 2; i++)
        for (unsigned k = 0; k < 2; k++)
            assert_true(fw_load_seq_cst(&records[2 * i + k].record.began_ns) >=
                        begin_ns + (i - BURST + 1) * INTERVAL_MS * FW_NS_PER_MS);
    wait_until(view_of(&h, RESIZE).keys == 0);
    hall_close(&h);
}

static void the_order_survives_limits_that_come_and_go(void **state)
{
    (void)state;
    enum { TASKS = 30 };
    hall h;
    desk d;
    keyed_record records[TASKS] = {0};
    open_keyed(&h, false);
    for (unsigned i = 0; i < TASKS; i++) {
        if (i == 10)
            limit_keys(&h, RESIZE, 1, 0, 0);
        if (i == 15)
            limit_keys(&h, RESIZE, 2, 5, 1);
        if (i == 20)
            limit_keys(&h, RESIZE, 0, 0, 0);
        submit_key(&h, &records[i], (char[2]){(char)('a' + i % 3)}, FW_NORMAL);
    }
    assert_int_equal(hall_stats(&h).waiting[FW_NORMAL], TASKS);
    assert_int_equal(view_of(&h, RESIZE).keys, 0);
    desk_open_any(&h, &d, TASKS);
    assert_int_equal(desk_count(&d), TASKS);
    for (unsigned i = 0; i < TASKS; i++)
        assert_ptr_equal(desk_record(&d, i), &records[i].record);
    hall_close(&h);
    desk_close(&d);
}

/* What runs when the limit goes is still counted when it comes back. */
static void what_runs_stays_counted(void **state)
{
    (void)state;
    hall h;
    desk d;
    keyed_record records[4] = {0};
    open_keyed(&h, false);
    desk_open_any(&h, &d, 8);
    limit_keys(&h, RESIZE, 1, 0, 0);
    for (unsigned i = 0; i < 2; i++)
        submit_key(&h, &records[i], "a", FW_NORMAL);
    assert_int_equal(desk_count(&d), 1);
    limit_keys(&h, RESIZE, 0, 0, 0);
    assert_int_equal(desk_count(&d), 2);
    limit_keys(&h, RESIZE, 1, 0, 0);
    submit_key(&h, &records[2], "a", FW_NORMAL);
    assert_int_equal(desk_count(&d), 2);
    desk_end(&h, &d, 1, true);
    assert_int_equal(desk_count(&d), 2);
    desk_end(&h, &d, 0, true);
    assert_int_equal(desk_count(&d), 3);
    /* More at once from now on. */
    limit_keys(&h, RESIZE, 2, 0, 0);
    submit_key(&h, &records[3], "a", FW_NORMAL);
    assert_int_equal(desk_count(&d), 4);
    hall_close(&h);
    desk_close(&d);
}

/* Places that go, refusals and returns: the first of the key stays the first. */
static void a_lost_task_is_the_first_of_its_key_again(void **state)
{
    (void)state;
    hall h;
    desk any, late;
    keyed_record records[6] = {0};
    open_keyed(&h, false);
    limit_keys(&h, RESIZE, 1, 0, 0);
    desk_open_any(&h, &any, 8);
    for (unsigned i = 0; i < 6; i++)
        submit_key(&h, &records[i], i % 2 ? "a" : "b", FW_NORMAL);
    assert_int_equal(desk_count(&any), 2);
    fw_dispatch_detach(h.p.engine, any.number);
    assert_int_equal(view_of(&h, RESIZE).running, 0);
    assert_int_equal(view_of(&h, RESIZE).keys, 2);
    desk_open_any(&h, &late, 8);
    assert_int_equal(desk_count(&late), 2);
    for (unsigned i = 0; i < 6; i++)
        desk_end_next(&h, &late);
    unsigned a = 1, b = 0;
    for (unsigned i = 0; i < 6; i++) {
        unsigned *next = strcmp(key_at(&late, i), "a") == 0 ? &a : &b;
        assert_ptr_equal(desk_record(&late, i), &records[*next].record);
        *next += 2;
    }
    hall_close(&h);
    desk_close(&any);
    desk_close(&late);
}

/* Cancelled ones make no room and take none; a sweep lets go of them. */
static void what_is_cancelled_waits_no_more(void **state)
{
    (void)state;
    enum { TASKS = 3000 };
    static keyed_record records[TASKS];
    hall h;
    desk d;
    memset(records, 0, sizeof records);
    open_keyed(&h, false);
    desk_open_any(&h, &d, 8);
    limit_keys(&h, RESIZE, 1, 0, 0);
    for (unsigned i = 0; i < TASKS; i++)
        submit_key(&h, &records[i], i % 3 ? "a" : "b", FW_NORMAL);
    assert_int_equal(desk_count(&d), 2);
    for (unsigned i = 3; i < TASKS; i++)
        assert_int_equal(probe_cancel(&h.p, i + 1), FW_CANCEL_QUEUED);
    fw_dispatch_flush(h.p.engine);
    assert_in_range(view_of(&h, RESIZE).waiting[FW_NORMAL], 1, TASKS / 2);
    for (unsigned i = 0; i < 3; i++)
        desk_end_next(&h, &d);
    assert_ptr_equal(desk_record(&d, 2), &records[2].record);
    fw_dispatch_flush(h.p.engine);
    assert_int_equal(view_of(&h, RESIZE).waiting[FW_NORMAL], 0);
    assert_int_equal(view_of(&h, RESIZE).keys, 0);
    hall_close(&h);
    desk_close(&d);
}

/* A run that goes on elsewhere (an isolated task) counts until it is completed; failed runs make
 * room while they wait to be tried again. */
static void pending_and_failed_runs(void **state)
{
    (void)state;
    hall h;
    keyed_record pending = {0}, failing = {0}, next = {0}, other = {0};
    open_keyed(&h, true);
    limit_keys(&h, RESIZE, 1, 0, 0);
    memcpy(pending.key, "a", sizeof "a");
    fw_task *task = probe_task(&h.p, &pending.record, ++h.submitted, WAY_PENDING);
    task->name = RESIZE;
    probe_submit(&h.p, task);
    wait_until(fw_load_seq_cst(&pending.record.runs) == 1);
    memcpy(failing.key, "a", sizeof "a");
    failing.record.again_max = 3;
    task = probe_task(&h.p, &failing.record, ++h.submitted, WAY_FAIL);
    task->name = RESIZE;
    probe_submit(&h.p, task);
    submit_key(&h, &next, "a", FW_NORMAL);
    submit_key(&h, &other, "b", FW_LOW);
    wait_until(probe_dones(&other.record) == 1);
    assert_int_equal(fw_load_seq_cst(&failing.record.begun), 0);
    fw_engine_complete(h.p.engine, fw_load_seq_cst(&pending.record.seen), true);
    wait_until(probe_dones(&next.record) == 1);
    wait_until(probe_dones(&failing.record) == 1);
    wait_until(view_of(&h, RESIZE).keys == 0);
    hall_close(&h);
}

/* More keys than there are lines: the rest share some, so nothing is lost and no limit broken. */
static void at_the_bound_keys_share_lines(void **state)
{
    (void)state;
    enum { MORE = 500, TASKS = FW_LIMIT_KEYS_MAX + MORE };
    static keyed_record records[TASKS], again;
    hall h;
    desk d;
    memset(records, 0, sizeof records);
    memset(&again, 0, sizeof again);
    open_keyed(&h, false);
    limit_keys(&h, RESIZE, 1, 0, 0);
    for (unsigned i = 0; i < TASKS; i++) {
        snprintf(records[i].key, sizeof records[i].key, "k%u", i);
        fw_task *task = probe_task(&h.p, &records[i].record, ++h.submitted, WAY_SUCCEED);
        assert_non_null(task);
        /* Keys that do not all meet in one place of the index. */
        task->key = (fw_key){h.submitted, 1};
        task->name = RESIZE;
        probe_submit(&h.p, task);
    }
    assert_int_equal(view_of(&h, RESIZE).keys, FW_LIMIT_KEYS_MAX);
    assert_int_equal(view_of(&h, RESIZE).keys_shares, MORE);
    desk_open_any(&h, &d, 100);
    for (unsigned i = 0; i + 100 < DESK_MAX; i++)
        desk_end_next(&h, &d);
    /* One of a key that shares stays behind those that do. */
    submit_key(&h, &again, records[TASKS - 1].key, FW_NORMAL);
    assert_int_equal(view_of(&h, RESIZE).keys_shares, MORE + 1);
    assert_true(view_of(&h, RESIZE).keys < FW_LIMIT_KEYS_MAX);
    hall_close(&h);
    desk_close(&d);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    hall h;
    open_keyed(&h, false);
    assert_int_equal(fw_limit_set_keys(h.p.engine, FW_NAMES_MAX, 1, 0, 0), -FW_EINVAL);
    assert_int_equal(fw_limit_set_keys(h.p.engine, 1, 1, -1, 0), -FW_EINVAL);
    for (uint32_t name = 0; name < FW_LIMIT_KEYED_MAX; name++)
        limit_keys(&h, name, 1, 0, 0);
    assert_int_equal(fw_limit_set_keys(h.p.engine, FW_LIMIT_KEYED_MAX, 1, 0, 0), -FW_EFULL);
    limit_keys(&h, 7, 2, 0, 0);
    hall_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_keys_run_one_after_the_other_and_different_ones_beside_each_other),
        cmocka_unit_test(a_thousand_of_one_key_do_not_stand_in_the_way_of_another),
        cmocka_unit_test(the_same_in_the_own_pool),
        cmocka_unit_test(keys_take_turns),
        cmocka_unit_test(the_limit_of_the_name_holds_too),
        cmocka_unit_test(starts_of_a_key_go_by_the_clock),
        cmocka_unit_test(tokens_come_by_themselves),
        cmocka_unit_test(the_order_survives_limits_that_come_and_go),
        cmocka_unit_test(what_runs_stays_counted),
        cmocka_unit_test(a_lost_task_is_the_first_of_its_key_again),
        cmocka_unit_test(what_is_cancelled_waits_no_more),
        cmocka_unit_test(pending_and_failed_runs),
        cmocka_unit_test(at_the_bound_keys_share_lines),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
