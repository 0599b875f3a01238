/* engine_time_test.c - what time does to tasks: due times, deadlines, further runs. Also covers
 * engine/alarms.c. Nothing asserts how long something takes, only that nothing comes too early.
 * SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include "engine/engine_priv.h"

#define FAR_NS (3600 * FW_NS_PER_S)

static void schedule(probe *p, fw_task *task, int64_t due_ns)
{
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p->engine, task, true), task);
    assert_int_equal(fw_task_state(task), FW_SCHEDULED);
    fw_rcu_read_unlock();
    fw_engine_schedule(p->engine, task, due_ns);
}

static void submit_retained(probe *p, fw_task *task)
{
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p->engine, task, false), task);
    fw_task_retain(task);
    fw_rcu_read_unlock();
    fw_engine_enqueue(p->engine, (fw_prio)task->level, &task, 1);
}

static void scheduled_tasks_run_when_due(void **state)
{
    (void)state;
    enum { TASKS = 200 };
    probe p;
    probe_record *records = calloc(TASKS, sizeof *records);
    int64_t due_ns[TASKS];
    probe_open(&p, 2);
    for (unsigned i = 0; i < TASKS; i++) {
        due_ns[i] = fw_now_ns() + (int64_t)(i * 7919 % 50) * FW_NS_PER_MS;
        fw_task *task = probe_task(&p, &records[i], i + 1, WAY_SUCCEED);
        task->level = (uint8_t)(i % FW_LEVELS);
        schedule(&p, task, due_ns[i]);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        wait_until(probe_dones(&records[i]) == 1);
        assert_ended(&records[i], FW_SUCCESS, FW_ENDED_BY_RUN);
        assert_true(fw_load_seq_cst(&records[i].began_ns) >= due_ns[i]);
    }
    probe_close(&p);
    free(records);
}

static void a_cancelled_scheduled_task_is_gone_at_once(void **state)
{
    (void)state;
    enum { TASKS = 20000 };
    probe p;
    probe_record record = {0};
    probe_open(&p, 1);
    for (unsigned i = 0; i < TASKS; i++) {
        fw_task *task;
        while (!(task = probe_task(&p, &record, i % 16 + 1, WAY_SUCCEED)))
            fw_rcu_barrier();
        schedule(&p, task, fw_now_ns() + FAR_NS);
        if (i == 0) {
            fw_engine_stats stats;
            fw_engine_snapshot(p.engine, &stats);
            assert_int_equal(stats.scheduled, 1);
            assert_int_equal(stats.queued, 0);
        }
        assert_int_equal(probe_cancel(&p, i % 16 + 1), FW_CANCEL_QUEUED);
        assert_int_equal(probe_dones(&record), i + 1);
    }
    assert_int_equal(fw_load_seq_cst(&record.why), FW_ENDED_BY_CANCEL);
    /* Long before their due time. */
    await_reclaims(p.engine, &record.reclaims, TASKS);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.live + stats.scheduled, 0);
    probe_close(&p);
}

static void cancelled_before_it_was_scheduled(void **state)
{
    (void)state;
    probe p;
    probe_record record = {0};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &record, 1, WAY_SUCCEED);
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p.engine, task, true), task);
    assert_int_equal(fw_engine_cancel(p.engine, task), FW_CANCEL_QUEUED);
    fw_rcu_read_unlock();
    fw_engine_schedule(p.engine, task, fw_now_ns() + FAR_NS);
    assert_ended(&record, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    await_reclaims(p.engine, &record.reclaims, 1);
    probe_close(&p);
}

/* timeout_ns: shorter and longer than what the timer thread looks at anyway. */
static void run_past_deadline(int64_t timeout_ns)
{
    probe p;
    probe_record record = {0}, next = {0};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &record, 1, WAY_UNTIL_TOLD);
    task->timeout_ns = timeout_ns;
    int64_t before_ns = fw_now_ns();
    probe_submit(&p, task);
    wait_until(probe_dones(&record) == 1);
    assert_true(fw_now_ns() - before_ns >= timeout_ns);
    assert_ended(&record, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    wait_until(fw_load_seq_cst(&record.told));
    /* The thread is still inside the run: the key is free, the task stays. */
    assert_int_equal(fw_load_seq_cst(&record.runs), 0);
    fw_rcu_barrier();
    assert_int_equal(fw_load_seq_cst(&record.reclaims), 0);
    probe_go(&p, &next, 1, WAY_SUCCEED);
    fw_store_seq_cst(&record.gate, true);
    wait_until(probe_dones(&next) == 1);
    assert_ended(&record, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    assert_ended(&next, FW_SUCCESS, FW_ENDED_BY_RUN);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.deadline_missed, 1);
    probe_close(&p);
}

static void a_run_past_its_deadline_is_ended(void **state)
{
    (void)state;
    run_past_deadline(FW_NS_PER_MS);
    run_past_deadline(30 * FW_NS_PER_MS);
}

static void a_deadline_does_not_outlive_its_run(void **state)
{
    (void)state;
    probe p;
    probe_record quick = {0}, slow = {0};
    probe_open(&p, 1);
    /* Many short runs with deadlines, then a long one without on the same thread. */
    for (unsigned i = 0; i < 500; i++) {
        fw_task *task = probe_task(&p, &quick, i + 10, WAY_SUCCEED);
        task->timeout_ns = 5 * FW_NS_PER_MS + (int64_t)i;
        probe_submit(&p, task);
    }
    probe_go(&p, &slow, 1, WAY_GATE);
    wait_until(fw_load_seq_cst(&slow.begun) == 1);
    int64_t deadline_ns;
    unsigned run;
    fw_rcu_read_lock();
    assert_null(fw_watch_look(&p.engine->runners[0].watch, &deadline_ns, &run));
    fw_rcu_read_unlock();
    int64_t until_ns = fw_now_ns() + 30 * FW_NS_PER_MS;
    wait_until(fw_now_ns() > until_ns);
    fw_store_seq_cst(&slow.gate, true);
    wait_until(probe_dones(&slow) == 1);
    assert_ended(&slow, FW_SUCCESS, FW_ENDED_BY_RUN);
    probe_close(&p);
}

static void pending_runs_have_deadlines_too(void **state)
{
    (void)state;
    probe p;
    probe_record late = {0}, timely = {0};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &late, 1, WAY_PENDING);
    task->timeout_ns = 3 * FW_NS_PER_MS;
    probe_submit(&p, task);
    wait_until(probe_dones(&late) == 1);
    assert_ended(&late, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    fw_rcu_barrier();
    assert_int_equal(fw_load_seq_cst(&late.reclaims), 0);
    fw_engine_complete(p.engine, task, true);
    assert_ended(&late, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    await_reclaims(p.engine, &late.reclaims, 1);
    /* Completed in time, then the same key again, running when the first one's deadline passes. */
    task = probe_task(&p, &timely, 2, WAY_PENDING);
    task->timeout_ns = 10 * FW_NS_PER_MS;
    probe_submit(&p, task);
    wait_until(fw_load_seq_cst(&timely.runs) == 1);
    int64_t passed_ns = fw_now_ns() + 20 * FW_NS_PER_MS;
    fw_engine_complete(p.engine, task, true);
    probe_record again = {0};
    task = probe_go(&p, &again, 2, WAY_PENDING);
    wait_until(fw_now_ns() > passed_ns);
    fw_engine_complete(p.engine, task, true);
    assert_ended(&again, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(probe_dones(&timely), 1);
    probe_close(&p);
}

static void failed_runs_are_followed_by_others(void **state)
{
    (void)state;
    probe p;
    probe_record r = {.again_max = 3, .again_after_ns = FW_NS_PER_MS};
    probe_record never = {.again_max = 2};
    probe_open(&p, 2);
    fw_task *task = probe_task(&p, &r, 1, WAY_FAIL);
    probe_submit(&p, task);
    wait_until(probe_dones(&r) == 1);
    assert_ended(&r, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(fw_load_seq_cst(&r.runs), 2);
    assert_int_equal(fw_load_seq_cst(&r.attempt), 2);
    task = probe_task(&p, &never, 2, WAY_FAIL);
    probe_later(task, WAY_FAIL);
    probe_submit(&p, task);
    wait_until(probe_dones(&never) == 1);
    assert_ended(&never, FW_FAILURE, FW_ENDED_BY_RUN);
    assert_int_equal(fw_load_seq_cst(&never.runs), 3);
    assert_int_equal(fw_load_seq_cst(&never.attempt), 3);
    assert_int_equal(fw_load_seq_cst(&never.agains), 3);
    assert_int_equal(fw_engine_drain(p.engine, 60 * FW_NS_PER_S), 0);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.live + stats.queued + stats.running + stats.scheduled, 0);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 2);
}

static bool withdraw(probe *p, uint64_t id)
{
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(p->engine, probe_key(id));
    bool withdrawn = task && fw_engine_withdraw(p->engine, task);
    fw_rcu_read_unlock();
    return withdrawn;
}

static bool fail_it(probe *p, uint64_t id)
{
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(p->engine, probe_key(id));
    bool failed = task && fw_engine_fail(p->engine, task);
    fw_rcu_read_unlock();
    return failed;
}

static void only_what_does_not_run_is_withdrawn(void **state)
{
    (void)state;
    probe p;
    probe_record running = {0}, queued = {0}, other = {0};
    probe_open(&p, 1);
    probe_go(&p, &running, 1, WAY_GATE);
    wait_until(fw_load_seq_cst(&running.begun) == 1);
    probe_go(&p, &queued, 2, WAY_SUCCEED);
    probe_go(&p, &other, 3, WAY_SUCCEED);
    assert_false(withdraw(&p, 1));
    assert_false(fail_it(&p, 1));
    assert_true(withdraw(&p, 2));
    assert_false(withdraw(&p, 2));
    assert_true(fail_it(&p, 3));
    assert_false(fail_it(&p, 3));
    assert_ended(&queued, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_ended(&other, FW_FAILURE, FW_ENDED_BY_OWNER);
    fw_store_seq_cst(&running.gate, true);
    assert_int_equal(fw_engine_drain(p.engine, 60 * FW_NS_PER_S), 0);
    assert_ended(&running, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(fw_load_seq_cst(&queued.runs) + fw_load_seq_cst(&other.runs), 0);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&queued.reclaims), 1);
    assert_int_equal(fw_load_seq_cst(&other.reclaims), 1);
}

static void a_retrying_task_can_be_cancelled(void **state)
{
    (void)state;
    probe p;
    probe_record r = {.again_max = 3, .again_after_ns = FAR_NS};
    probe_record flagged = {.again_max = 3, .again_after_ns = FAR_NS};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &r, 1, WAY_FAIL);
    submit_retained(&p, task);
    wait_until(fw_task_state(task) == FW_RETRYING);
    /* Its counters follow a moment later. */
    fw_engine_stats stats;
    do
        fw_engine_snapshot(p.engine, &stats);
    while (stats.scheduled != 1 || stats.running != 0);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(probe_cancel(&p, 1), FW_CANCEL_QUEUED);
    assert_ended(&r, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    fw_task_release(p.engine, task);
    /* A failure after an accepted cancel is not followed by another run. */
    task = probe_go(&p, &flagged, 2, WAY_PENDING);
    wait_until(fw_load_seq_cst(&flagged.runs) == 1);
    assert_int_equal(probe_cancel(&p, 2), FW_CANCEL_RUNNING);
    fw_engine_complete(p.engine, task, false);
    assert_ended(&flagged, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 2);
}

static void a_run_follows_one_that_passed_its_deadline(void **state)
{
    (void)state;
    probe p;
    probe_record r = {.again_max = 1};
    probe_open(&p, 2);
    fw_task *task = probe_task(&p, &r, 1, WAY_UNTIL_TOLD);
    task->timeout_ns = 3 * FW_NS_PER_MS;
    probe_submit(&p, task);
    /* The second run succeeds while the first is still going on. */
    wait_until(probe_dones(&r) == 1);
    assert_ended(&r, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(fw_load_seq_cst(&r.attempt), 2);
    assert_int_equal(fw_load_seq_cst(&r.begun), 2);
    fw_rcu_barrier();
    assert_int_equal(fw_load_seq_cst(&r.reclaims), 0);
    fw_store_seq_cst(&r.gate, true);
    wait_until(fw_load_seq_cst(&r.runs) == 2);
    probe_close(&p);
    assert_int_equal(probe_dones(&r), 1);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 1);
}

static void a_late_completer_does_not_end_the_next_run(void **state)
{
    (void)state;
    probe p;
    probe_record r = {.again_max = 1};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &r, 1, WAY_PENDING);
    probe_later(task, WAY_PENDING);
    task->timeout_ns = 3 * FW_NS_PER_MS;
    probe_submit(&p, task);
    wait_until(fw_load_seq_cst(&r.runs) == 2);
    /* The first run's answer; the second may be past its deadline by now, which is another end. */
    fw_engine_complete_attempt(p.engine, task, 1, true);
    wait_until(probe_dones(&r) == 1);
    assert_ended(&r, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    fw_engine_complete_attempt(p.engine, task, 2, true);
    assert_ended(&r, FW_FAILURE, FW_ENDED_BY_DEADLINE);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 1);
}

static void draining_ends_what_waits(void **state)
{
    (void)state;
    probe p;
    probe_record waiting = {.again_max = 3, .again_after_ns = FAR_NS};
    probe_record scheduled = {0}, late = {0};
    probe_open(&p, 1);
    fw_task *task = probe_task(&p, &waiting, 1, WAY_FAIL);
    submit_retained(&p, task);
    wait_until(fw_task_state(task) == FW_RETRYING);
    fw_task_release(p.engine, task);
    schedule(&p, probe_task(&p, &scheduled, 2, WAY_SUCCEED), fw_now_ns() + FAR_NS);
    assert_int_equal(fw_engine_drain(p.engine, 60 * FW_NS_PER_S), 0);
    assert_ended(&waiting, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&scheduled, FW_FAILURE, FW_ENDED_BY_STOP);
    /* Too late to be scheduled. */
    task = probe_task(&p, &late, 3, WAY_SUCCEED);
    fw_rcu_read_lock();
    fw_engine_admit(p.engine, task, true);
    fw_rcu_read_unlock();
    fw_engine_schedule(p.engine, task, fw_now_ns() + FAR_NS);
    assert_ended(&late, FW_FAILURE, FW_ENDED_BY_STOP);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scheduled_tasks_run_when_due),
        cmocka_unit_test(a_cancelled_scheduled_task_is_gone_at_once),
        cmocka_unit_test(cancelled_before_it_was_scheduled),
        cmocka_unit_test(a_run_past_its_deadline_is_ended),
        cmocka_unit_test(a_deadline_does_not_outlive_its_run),
        cmocka_unit_test(pending_runs_have_deadlines_too),
        cmocka_unit_test(failed_runs_are_followed_by_others),
        cmocka_unit_test(only_what_does_not_run_is_withdrawn),
        cmocka_unit_test(a_retrying_task_can_be_cancelled),
        cmocka_unit_test(a_run_follows_one_that_passed_its_deadline),
        cmocka_unit_test(a_late_completer_does_not_end_the_next_run),
        cmocka_unit_test(draining_ends_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
