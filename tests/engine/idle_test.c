/* idle_test.c - an engine that only waits, and a clock that is moved instead of being waited for.
 * Without the one or the other these tests end by their time limit, in an hour at the earliest.
 * SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#define FAR_NS (3600 * FW_NS_PER_S)

static void schedule(probe *p, fw_task *task, int64_t due_ns)
{
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p->engine, task, true), task);
    fw_rcu_read_unlock();
    fw_engine_schedule(p->engine, task, due_ns);
}

/* One step, if there is nothing else to do. */
static void step(probe *p)
{
    int64_t next_ns, now_ns = fw_now_ns();
    if (!fw_engine_is_idle(p->engine, &next_ns)) {
        sched_yield();
        return;
    }
    /* The last one has ended since somebody looked. */
    if (next_ns == INT64_MAX)
        return;
    if (next_ns > now_ns)
        fw_clock_advance(next_ns - now_ns);
    fw_engine_clock_moved(p->engine);
}

static void what_is_due_in_hours_runs_in_its_order_and_not_before(void **state)
{
    (void)state;
    enum { TASKS = 40 };
    probe p;
    probe_record *records = calloc(TASKS, sizeof *records);
    int64_t due_ns[TASKS], base_ns = fw_now_ns();
    probe_open(&p, 1);
    for (unsigned i = 0; i < TASKS; i++) {
        due_ns[i] = base_ns + (int64_t)(1 + i * 7 % TASKS) * FAR_NS;
        schedule(&p, probe_task(&p, &records[i], i + 1, WAY_SUCCEED), due_ns[i]);
    }
    while (fw_load_seq_cst(&p.dones) < TASKS)
        step(&p);
    for (unsigned i = 0; i < TASKS; i++) {
        int64_t began_ns = fw_load_seq_cst(&records[i].began_ns);
        assert_int_equal(fw_load_seq_cst(&records[i].state), FW_SUCCESS);
        assert_true(began_ns >= due_ns[i]);
        /* The one after it is an hour later. */
        for (unsigned j = 0; j < TASKS; j++)
            assert_int_equal(began_ns < fw_load_seq_cst(&records[j].began_ns),
                             due_ns[i] < due_ns[j]);
    }
    probe_close(&p);
    free(records);
}

static void retries_and_their_delays(void **state)
{
    (void)state;
    probe p;
    probe_record record = {.again_max = 5, .again_after_ns = FAR_NS};
    int64_t base_ns = fw_now_ns();
    probe_open(&p, 2);
    fw_task *task = probe_task(&p, &record, 1, WAY_FAIL);
    probe_later(task, WAY_FAIL);
    probe_submit(&p, task);
    while (fw_load_seq_cst(&p.dones) < 1)
        step(&p);
    assert_int_equal(fw_load_seq_cst(&record.runs), 6);
    assert_true(fw_now_ns() - base_ns >= 5 * FAR_NS);
    probe_close(&p);
}

static void one_that_runs_is_not_idle(void **state)
{
    (void)state;
    probe p;
    probe_record running = {0}, waiting = {0};
    int64_t next_ns;
    probe_open(&p, 2);
    fw_task *task = probe_task(&p, &running, 1, WAY_GATE);
    schedule(&p, probe_task(&p, &waiting, 2, WAY_SUCCEED), fw_now_ns() + FAR_NS);
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p.engine, task, false), task);
    fw_rcu_read_unlock();
    assert_false(fw_engine_is_idle(p.engine, &next_ns));
    fw_engine_enqueue(p.engine, (fw_prio)task->level, &task, 1);
    wait_until(fw_load_seq_cst(&running.begun) == 1);
    for (unsigned i = 0; i < 1000; i++)
        assert_false(fw_engine_is_idle(p.engine, &next_ns));
    fw_store_seq_cst(&running.gate, true);
    wait_until(fw_engine_is_idle(p.engine, &next_ns));
    assert_true(next_ns < fw_now_ns() + FAR_NS);
    assert_int_equal(fw_load_seq_cst(&waiting.runs), 0);
    probe_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_in_hours_runs_in_its_order_and_not_before),
        cmocka_unit_test(retries_and_their_delays),
        cmocka_unit_test(one_that_runs_is_not_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
