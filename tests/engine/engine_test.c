/* engine_test.c - tasks from admission to their end. Also covers engine/admission.c,
 * engine/runner.c, engine/ending.c and engine/stats.c; what time does to tasks is in
 * engine_time_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <pthread.h>

enum { MANY = 20000, PRODUCERS = 2 };

typedef struct producer {
    probe *p;
    probe_record *records;
    unsigned from, to;
} producer;

static void *produce(void *argument)
{
    producer *me = argument;
    fw_task *batch[16];
    for (unsigned i = me->from; i < me->to;) {
        unsigned n = 0;
        for (; n < 16 && i < me->to; n++, i++) {
            batch[n] = probe_task(me->p, &me->records[i], i + 1, i % 5 ? WAY_SUCCEED : WAY_FAIL);
            assert_non_null(batch[n]);
            fw_rcu_read_lock();
            assert_ptr_equal(fw_engine_admit(me->p->engine, batch[n], false), batch[n]);
            fw_rcu_read_unlock();
        }
        fw_engine_enqueue(me->p->engine, FW_NORMAL, batch, n);
    }
    return NULL;
}

static void each_task_runs_and_is_done_once(void **state)
{
    (void)state;
    probe p;
    probe_record *records = calloc(MANY, sizeof *records);
    pthread_t threads[PRODUCERS];
    producer producers[PRODUCERS];
    probe_open(&p, 2);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (producer){&p, records, i * MANY / PRODUCERS, (i + 1) * MANY / PRODUCERS};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(fw_engine_drain(p.engine, 60 * FW_NS_PER_S), 0);
    for (unsigned i = 0; i < MANY; i++) {
        probe_record *r = &records[i];
        assert_int_equal(fw_load_seq_cst(&r->runs), 1);
        assert_ended(r, i % 5 ? FW_SUCCESS : FW_FAILURE, FW_ENDED_BY_RUN);
        assert_true(fw_load_seq_cst(&r->created) <= fw_load_seq_cst(&r->started));
        assert_true(fw_load_seq_cst(&r->started) <= fw_load_seq_cst(&r->finished));
    }
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.admitted, MANY);
    assert_int_equal(stats.finished[FW_SUCCESS], MANY - MANY / 5);
    assert_int_equal(stats.finished[FW_FAILURE], MANY / 5);
    assert_int_equal(stats.live + stats.queued + stats.running + stats.scheduled, 0);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), MANY);
    free(records);
}

static void an_equal_key_meets_the_living_task(void **state)
{
    (void)state;
    probe p;
    probe_record first = {0}, second = {0};
    probe_open(&p, 1);
    fw_task *task = probe_go(&p, &first, 7, WAY_GATE);
    fw_task *other = probe_task(&p, &second, 7, WAY_SUCCEED);
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p.engine, other, false), task);
    assert_ptr_equal(fw_engine_find(p.engine, probe_key(7)), task);
    assert_null(fw_engine_find(p.engine, probe_key(8)));
    fw_rcu_read_unlock();
    fw_engine_abandon(p.engine, other);
    fw_store_seq_cst(&first.gate, true);
    wait_until(!probe_is_found(&p, 7));
    assert_ended(&first, FW_SUCCESS, FW_ENDED_BY_RUN);
    /* The key is free again. */
    probe_go(&p, &second, 7, WAY_SUCCEED);
    wait_until(probe_dones(&second) == 1);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.duplicates, 1);
    assert_int_equal(stats.admitted, 2);
    probe_close(&p);
}

static void cancelling_a_queued_task_ends_it_at_once(void **state)
{
    (void)state;
    probe p;
    probe_record gate = {0}, victim = {0}, after = {0};
    probe_open(&p, 1);
    probe_go(&p, &gate, 1, WAY_GATE);
    wait_until(fw_load_seq_cst(&gate.begun) == 1);
    probe_go(&p, &victim, 2, WAY_SUCCEED);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.running, 1);
    assert_int_equal(stats.queued, 1);
    assert_int_equal(probe_cancel(&p, 2), FW_CANCEL_QUEUED);
    assert_ended(&victim, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_int_equal(fw_load_seq_cst(&victim.started), 0);
    assert_true(fw_load_seq_cst(&victim.finished) >= fw_load_seq_cst(&victim.created));
    assert_false(probe_is_found(&p, 2));
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.live, 1);
    /* A new task of that key does not suffer from the stale queue entry. */
    probe_go(&p, &after, 2, WAY_SUCCEED);
    fw_store_seq_cst(&gate.gate, true);
    wait_until(probe_dones(&after) == 1);
    assert_ended(&after, FW_SUCCESS, FW_ENDED_BY_RUN);
    assert_int_equal(fw_load_seq_cst(&victim.runs), 0);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&victim.reclaims), 1);
}

static void cancelling_a_running_task_changes_its_end(void **state)
{
    (void)state;
    probe p;
    probe_record told = {0};
    probe_open(&p, 1);
    fw_task *task = probe_go(&p, &told, 1, WAY_UNTIL_TOLD);
    wait_until(fw_load_seq_cst(&told.begun) == 1);
    fw_task_retain(task);
    assert_int_equal(fw_task_state(task), FW_RUNNING);
    assert_false(fw_task_cancel_requested(task));
    assert_int_equal(probe_cancel(&p, 1), FW_CANCEL_RUNNING);
    assert_int_equal(probe_cancel(&p, 1), FW_CANCEL_RUNNING);
    assert_int_equal(probe_dones(&told), 0);
    wait_until(fw_load_seq_cst(&told.told));
    fw_store_seq_cst(&told.gate, true);
    wait_until(probe_dones(&told) == 1);
    assert_ended(&told, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    fw_rcu_read_lock();
    assert_int_equal(fw_engine_cancel(p.engine, task), FW_CANCEL_LATE);
    fw_rcu_read_unlock();
    assert_int_equal(probe_cancel(&p, 99), FW_CANCEL_UNKNOWN);
    /* The second owner keeps it readable. */
    probe_payload *payload = (void *)task->payload;
    assert_int_equal(payload->first, WAY_UNTIL_TOLD);
    fw_rcu_barrier();
    assert_int_equal(fw_load_seq_cst(&told.reclaims), 0);
    fw_task_release(p.engine, task);
    await_reclaims(p.engine, &told.reclaims, 1);
    probe_close(&p);
}

static void a_dropped_task_ends_as_told(void **state)
{
    (void)state;
    probe p;
    probe_record good = {0}, bad = {0}, gone = {0};
    probe_open(&p, 1);
    fw_task *tasks[3] = {probe_task(&p, &good, 1, WAY_SUCCEED),
                         probe_task(&p, &bad, 2, WAY_SUCCEED),
                         probe_task(&p, &gone, 3, WAY_SUCCEED)};
    fw_rcu_read_lock();
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(fw_engine_admit(p.engine, tasks[i], i == 1), tasks[i]);
    fw_rcu_read_unlock();
    assert_int_equal(probe_cancel(&p, 3), FW_CANCEL_QUEUED);
    fw_engine_drop(p.engine, tasks[0], true);
    fw_engine_drop(p.engine, tasks[1], false);
    fw_engine_drop(p.engine, tasks[2], true);
    assert_ended(&good, FW_SUCCESS, FW_ENDED_BY_OWNER);
    assert_ended(&bad, FW_FAILURE, FW_ENDED_BY_OWNER);
    assert_ended(&gone, FW_CANCELLED, FW_ENDED_BY_CANCEL);
    assert_false(probe_is_found(&p, 1) || probe_is_found(&p, 2) || probe_is_found(&p, 3));
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.live + stats.queued + stats.running + stats.scheduled, 0);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 3);
}

static void pending_runs_are_completed_by_anybody(void **state)
{
    (void)state;
    probe p;
    probe_record r[4] = {0};
    probe_open(&p, 1);
    fw_task *task = probe_go(&p, &r[0], 1, WAY_PENDING);
    wait_until(fw_load_seq_cst(&r[0].runs) == 1);
    assert_int_equal(fw_task_state(task), FW_RUNNING);
    fw_engine_complete(p.engine, task, true);
    assert_ended(&r[0], FW_SUCCESS, FW_ENDED_BY_RUN);
    task = probe_go(&p, &r[1], 2, WAY_PENDING);
    wait_until(fw_load_seq_cst(&r[1].runs) == 1);
    fw_engine_complete(p.engine, task, false);
    assert_ended(&r[1], FW_FAILURE, FW_ENDED_BY_RUN);
    /* Cancelled while it is out: the completer ends it. */
    task = probe_go(&p, &r[2], 3, WAY_PENDING);
    wait_until(fw_load_seq_cst(&r[2].runs) == 1);
    assert_int_equal(probe_cancel(&p, 3), FW_CANCEL_RUNNING);
    assert_int_equal(probe_dones(&r[2]), 0);
    fw_engine_complete(p.engine, task, true);
    assert_ended(&r[2], FW_CANCELLED, FW_ENDED_BY_CANCEL);
    probe_go(&p, &r[3], 4, WAY_COMPLETE_INSIDE);
    wait_until(probe_dones(&r[3]) == 1);
    assert_ended(&r[3], FW_SUCCESS, FW_ENDED_BY_RUN);
    probe_close(&p);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(fw_load_seq_cst(&r[i].reclaims), 1);
}

static void limits_refuse_and_come_back(void **state)
{
    (void)state;
    probe p;
    probe_record record = {0};
    probe_open_limited(&p, 1, 4, 64 * 1024);
    fw_task *tasks[4];
    for (unsigned i = 0; i < 4; i++) {
        tasks[i] = probe_task(&p, &record, i + 1, WAY_SUCCEED);
        assert_non_null(tasks[i]);
        assert_int_equal((uintptr_t)tasks[i]->payload % 16, 0);
    }
    assert_null(fw_engine_alloc(p.engine, 8));
    assert_int_equal(fw_engine_refusal(), -FW_EFULL);
    for (unsigned i = 0; i < 4; i++)
        fw_engine_abandon(p.engine, tasks[i]);
    fw_rcu_barrier();
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.bytes_used, 0);
    /* Larger than any slab, and larger than the limit. */
    fw_task *large = fw_engine_alloc(p.engine, 60 * 1024);
    assert_non_null(large);
    memset(large->payload, 0xaa, large->payload_bytes);
    assert_null(fw_engine_alloc(p.engine, 5 * 1024));
    fw_engine_snapshot(p.engine, &stats);
    assert_true(stats.bytes_used >= 60 * 1024 && stats.bytes_used <= stats.bytes_max);
    fw_engine_abandon(p.engine, large);
    fw_rcu_barrier();
    assert_null(fw_engine_alloc(p.engine, 64 * 1024));
    assert_null(fw_engine_alloc(p.engine, SIZE_MAX));
    /* The limit holds over time too: what ended makes room after its grace period. */
    for (unsigned i = 0; i < 1000; i++) {
        fw_task *task;
        while (!(task = probe_task(&p, &record, 100 + i, WAY_SUCCEED)))
            fw_rcu_barrier();
        probe_submit(&p, task);
        wait_until(fw_load_seq_cst(&record.dones) == i + 1);
        fw_engine_snapshot(p.engine, &stats);
        assert_true(stats.live <= 4);
    }
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&record.reclaims), 1000);
}

static void sizes_fit_their_class(void **state)
{
    (void)state;
    probe p;
    probe_open(&p, 1);
    for (size_t bytes = 0; bytes < 6000; bytes += 13) {
        fw_task *task = fw_engine_alloc(p.engine, bytes);
        assert_non_null(task);
        assert_int_equal(task->payload_bytes, bytes);
        assert_int_equal(fw_load_relaxed(&task->lease), 0);
        assert_int_equal(task->timeout_ns, 0);
        memset(task->payload, 0xee, bytes);
        fw_engine_abandon(p.engine, task);
    }
    probe_close(&p);
}

typedef struct tally {
    unsigned visited;
    unsigned stop_at;
    uint64_t sum;
} tally;

static bool count_task(void *context, fw_task *task)
{
    tally *t = context;
    t->sum += task->key.low;
    return ++t->visited != t->stop_at;
}

static void each_visits_the_living(void **state)
{
    (void)state;
    enum { LIVING = 300 };
    probe p;
    probe_record gate = {0}, others = {0};
    probe_open(&p, 1);
    probe_go(&p, &gate, 1, WAY_GATE);
    for (uint64_t i = 2; i <= LIVING; i++)
        probe_go(&p, &others, i, WAY_SUCCEED);
    tally all = {0}, some = {.stop_at = 10};
    fw_engine_each(p.engine, count_task, &all);
    assert_int_equal(all.visited, LIVING);
    assert_int_equal(all.sum, LIVING * (LIVING + 1) / 2);
    fw_engine_each(p.engine, count_task, &some);
    assert_int_equal(some.visited, 10);
    fw_store_seq_cst(&gate.gate, true);
    assert_int_equal(fw_engine_drain(p.engine, 60 * FW_NS_PER_S), 0);
    tally none = {0};
    fw_engine_each(p.engine, count_task, &none);
    assert_int_equal(none.visited, 0);
    fw_thread_stats thread;
    fw_engine_thread_snapshot(p.engine, 0, &thread);
    assert_true(thread.ran <= LIVING);
    probe_close(&p);
}

static void draining_past_the_limit_ends_what_is_left(void **state)
{
    (void)state;
    probe p;
    probe_record running = {0}, queued = {0}, scheduled = {0}, pending = {0};
    probe_open(&p, 1);
    fw_task *out = probe_go(&p, &pending, 4, WAY_PENDING);
    probe_go(&p, &running, 1, WAY_UNTIL_TOLD);
    wait_until(fw_load_seq_cst(&running.begun) == 1);
    probe_go(&p, &queued, 2, WAY_SUCCEED);
    fw_task *later = probe_task(&p, &scheduled, 3, WAY_SUCCEED);
    fw_rcu_read_lock();
    fw_engine_admit(p.engine, later, true);
    fw_rcu_read_unlock();
    fw_engine_schedule(p.engine, later, fw_now_ns() + 3600 * FW_NS_PER_S);
    assert_int_equal(fw_engine_drain(p.engine, 0), -FW_ETIME);
    assert_ended(&running, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&queued, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&scheduled, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&pending, FW_FAILURE, FW_ENDED_BY_STOP);
    /* The run that was ended is told, and what it returns is dropped. */
    wait_until(fw_load_seq_cst(&running.told));
    assert_int_equal(fw_load_seq_cst(&running.reclaims), 0);
    fw_store_seq_cst(&running.gate, true);
    fw_engine_complete(p.engine, out, true);
    probe_close(&p);
    assert_int_equal(fw_load_seq_cst(&p.dones), 4);
    assert_int_equal(fw_load_seq_cst(&queued.runs), 0);
}

static void destroying_ends_what_nobody_drained(void **state)
{
    (void)state;
    probe p;
    probe_record queued = {0}, scheduled = {0}, pending = {0};
    probe_open(&p, 2);
    fw_task *out = probe_go(&p, &pending, 1, WAY_PENDING);
    wait_until(fw_load_seq_cst(&pending.runs) == 1);
    fw_task *later = probe_task(&p, &scheduled, 2, WAY_SUCCEED);
    fw_rcu_read_lock();
    fw_engine_admit(p.engine, later, true);
    fw_rcu_read_unlock();
    fw_engine_schedule(p.engine, later, fw_now_ns() + 3600 * FW_NS_PER_S);
    fw_task *forgotten = probe_task(&p, &queued, 3, WAY_SUCCEED);
    fw_rcu_read_lock();
    fw_engine_admit(p.engine, forgotten, false);
    fw_rcu_read_unlock();
    fw_engine_enqueue(p.engine, FW_LOW, &forgotten, 1);
    fw_engine_halt(p.engine);
    fw_engine_complete(p.engine, out, true);
    probe_close(&p);
    assert_ended(&pending, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_ended(&scheduled, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_int_equal(probe_dones(&queued), 1);
    assert_int_equal(fw_load_seq_cst(&p.reclaims), 3);
}

static void a_halted_engine_still_answers(void **state)
{
    (void)state;
    probe p;
    probe_record pending = {.again_max = 1}, never = {0};
    probe_open(&p, 2);
    fw_task *task = probe_go(&p, &pending, 1, WAY_PENDING);
    wait_until(fw_load_seq_cst(&pending.runs) == 1);
    fw_engine_halt(p.engine);
    fw_engine_halt(p.engine);
    assert_ended(&pending, FW_FAILURE, FW_ENDED_BY_STOP);
    assert_false(probe_is_found(&p, 1));
    fw_engine_complete(p.engine, task, false);
    assert_int_equal(probe_dones(&pending), 1);
    /* Comes too late, and can be called off. */
    probe_go(&p, &never, 2, WAY_PENDING);
    assert_int_equal(probe_cancel(&p, 2), FW_CANCEL_QUEUED);
    fw_engine_stats stats;
    fw_engine_snapshot(p.engine, &stats);
    assert_int_equal(stats.live, 0);
    fw_engine_destroy(p.engine);
    assert_int_equal(fw_load_seq_cst(&pending.reclaims), 1);
    assert_int_equal(fw_load_seq_cst(&never.runs), 0);
}

/* A thread that is not the engine's and outlives it, as the network's do, without ever flushing. */
typedef struct visitor {
    probe *p;
    probe_record *record;
    pthread_barrier_t step;
} visitor;

static void *visit(void *argument)
{
    visitor *v = argument;
    for (unsigned engine = 0; engine < 3; engine++) {
        pthread_barrier_wait(&v->step);
        for (uint64_t i = 0; i < 10; i++) {
            fw_task *task = probe_task(v->p, v->record, 1 + i % 2, WAY_SUCCEED);
            fw_rcu_read_lock();
            fw_task *other = fw_engine_admit(v->p->engine, task, true);
            if (other != task)
                fw_engine_abandon(v->p->engine, task);
            else if (i % 2 == 0)
                fw_engine_schedule(v->p->engine, task, INT64_MAX);
            else
                fw_engine_drop(v->p->engine, task, true);
            fw_rcu_read_unlock();
        }
        assert_int_equal(probe_cancel(v->p, 1), FW_CANCEL_QUEUED);
        pthread_barrier_wait(&v->step);
    }
    return NULL;
}

static void what_a_visitor_keeps_is_collected(void **state)
{
    (void)state;
    probe p;
    probe_record record = {0};
    visitor v = {.p = &p, .record = &record};
    pthread_t thread;
    assert_int_equal(pthread_barrier_init(&v.step, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, visit, &v), 0);
    for (unsigned engine = 0; engine < 3; engine++) {
        probe_open(&p, 1);
        pthread_barrier_wait(&v.step);
        pthread_barrier_wait(&v.step);
        probe_close(&p);
        assert_int_equal(fw_load_seq_cst(&p.reclaims), 6);
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&v.step);
}

static void engines_do_not_mix(void **state)
{
    (void)state;
    probe p[3];
    probe_record r[3] = {0};
    for (unsigned i = 0; i < 3; i++)
        probe_open(&p[i], 1);
    for (unsigned i = 0; i < 3; i++)
        probe_go(&p[i], &r[i], 5, WAY_SUCCEED);
    for (unsigned i = 0; i < 3; i++)
        wait_until(probe_dones(&r[i]) == 1);
    for (unsigned i = 0; i < 3; i++)
        probe_close(&p[i]);
    fw_engine *none = NULL;
    fw_engine_config config = {.pool = {.threads = 1, .ring_size = 64, .batch = 8}};
    fw_engine_ops ops = {.run = probe_run, .done = probe_done};
    assert_int_equal(fw_engine_create(&none, &config, &ops), -FW_EINVAL);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_and_is_done_once),
        cmocka_unit_test(an_equal_key_meets_the_living_task),
        cmocka_unit_test(cancelling_a_queued_task_ends_it_at_once),
        cmocka_unit_test(cancelling_a_running_task_changes_its_end),
        cmocka_unit_test(a_dropped_task_ends_as_told),
        cmocka_unit_test(pending_runs_are_completed_by_anybody),
        cmocka_unit_test(limits_refuse_and_come_back),
        cmocka_unit_test(sizes_fit_their_class),
        cmocka_unit_test(each_visits_the_living),
        cmocka_unit_test(draining_past_the_limit_ends_what_is_left),
        cmocka_unit_test(destroying_ends_what_nobody_drained),
        cmocka_unit_test(a_halted_engine_still_answers),
        cmocka_unit_test(what_a_visitor_keeps_is_collected),
        cmocka_unit_test(engines_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
