/* probe.h - an engine under test: what each of its tasks did, told by the engine's own callbacks.
 *
 * A task's payload says how it behaves and leads to a record of what became of it; records outlive
 * tasks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_ENGINE_PROBE_H
#define FW_TESTS_ENGINE_PROBE_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "engine/engine.h"

typedef enum probe_way {
    WAY_SUCCEED = 0,
    WAY_FAIL,
    WAY_GATE,       /* waits until the record's gate opens, then succeeds */
    WAY_UNTIL_TOLD, /* runs until fw_task_cancel_requested, then succeeds */
    WAY_PENDING,
    WAY_COMPLETE_INSIDE /* completes itself, then answers PENDING */
} probe_way;

typedef struct probe_record {
    fw_atomic(unsigned) runs, begun, dones, reclaims, agains;
    fw_atomic(int) state, why;
    fw_atomic(unsigned) attempt; /* at done */
    fw_atomic(int64_t) created, started, finished, began_ns;
    fw_atomic(bool) gate, told;
    fw_atomic(fw_task *) seen; /* the task of the last run */
    unsigned again_max;        /* runs that may follow */
    int64_t again_after_ns;
} probe_record;

typedef struct probe_payload {
    probe_record *record;
    probe_way first, later; /* of the first run and of those after it */
} probe_payload;

typedef struct probe {
    fw_engine *engine;
    fw_atomic(unsigned) dones, reclaims;
} probe;

/* Looks again and again; a test that waits in vain ends by its time limit. Order: seq_cst, plain to
 * argue about. */
#define wait_until(condition)                                                                      \
    while (!(condition))                                                                           \
    sched_yield()

/* Until so many are reclaimed, which takes a grace period or two. */
static inline void await_reclaims(fw_engine *engine, fw_atomic(unsigned) * reclaims, unsigned count)
{
    while (fw_load_seq_cst(reclaims) < count) {
        fw_engine_flush(engine);
        fw_rcu_barrier();
    }
    assert_int_equal(fw_load_seq_cst(reclaims), count);
}

static inline probe_record *probe_record_of(const fw_task *task)
{
    return ((const probe_payload *)(const void *)task->payload)->record;
}

static fw_run probe_run(void *context, fw_task *task, unsigned thread)
{
    probe *p = context;
    probe_record *record = probe_record_of(task);
    const probe_payload *payload = (const void *)task->payload;
    probe_way way = fw_load_relaxed(&task->attempt) == 1 ? payload->first : payload->later;
    int64_t now_ns = fw_now_ns(), started_ns = fw_engine_started_ns(p->engine, thread);
    assert_true(started_ns > 0 && started_ns <= now_ns);
    assert_true(fw_task_state(task) != FW_QUEUED);
    fw_store_seq_cst(&record->began_ns, now_ns);
    fw_store_seq_cst(&record->seen, task);
    fw_add_seq_cst(&record->begun, 1);
    if (way == WAY_GATE)
        wait_until(fw_load_seq_cst(&record->gate));
    if (way == WAY_UNTIL_TOLD) {
        wait_until(fw_task_cancel_requested(task));
        fw_store_seq_cst(&record->told, true);
        wait_until(fw_load_seq_cst(&record->gate));
    }
    fw_add_seq_cst(&record->runs, 1);
    if (way == WAY_COMPLETE_INSIDE)
        fw_engine_complete(p->engine, task, true);
    if (way == WAY_COMPLETE_INSIDE || way == WAY_PENDING)
        return FW_RUN_PENDING;
    return way == WAY_FAIL ? FW_RUN_FAILURE : FW_RUN_SUCCESS;
}

static void probe_done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    probe *p = context;
    probe_record *record = probe_record_of(task);
    fw_store_seq_cst(&record->state, (int)fw_task_state(task));
    fw_store_seq_cst(&record->why, why);
    fw_store_seq_cst(&record->attempt, fw_load_relaxed(&task->attempt));
    fw_store_seq_cst(&record->created, task->created_wall_ns);
    fw_store_seq_cst(&record->started, fw_load_relaxed(&task->started_wall_ns));
    fw_store_seq_cst(&record->finished, ended_ns);
    fw_add_seq_cst(&record->dones, 1);
    fw_add_seq_cst(&p->dones, 1);
}

static int64_t probe_again(void *context, fw_task *task, int why)
{
    (void)context;
    (void)why;
    probe_record *record = probe_record_of(task);
    fw_add_seq_cst(&record->agains, 1);
    if (fw_load_relaxed(&task->attempt) > record->again_max)
        return 0;
    return fw_now_ns() + record->again_after_ns;
}

static void probe_reclaim(void *context, fw_task *task)
{
    probe *p = context;
    probe_record *record = probe_record_of(task);
    fw_add_seq_cst(&record->reclaims, 1);
    fw_add_seq_cst(&p->reclaims, 1);
    memset(task->payload, 0xdd, task->payload_bytes);
}

static inline void probe_open_limited(probe *p, unsigned threads, size_t tasks_max,
                                      size_t bytes_max)
{
    memset(p, 0, sizeof *p);
    fw_engine_config config = {
        .pool = {.threads = threads, .ring_size = 64, .batch = 8, .policy = FW_POLICY_STRICT},
        .tasks_max = tasks_max,
        .bytes_max = bytes_max,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {
        .context = p,
        .run = probe_run,
        .done = probe_done,
        .again = probe_again,
        .reclaim = probe_reclaim,
    };
    assert_int_equal(fw_engine_create(&p->engine, &config, &ops), 0);
}

static inline void probe_open(probe *p, unsigned threads)
{
    probe_open_limited(p, threads, 100000, (size_t)64 << 20);
}

static inline void probe_close(probe *p)
{
    fw_engine_destroy(p->engine);
    /* Whatever was admitted and done is reclaimed by then. */
    assert_int_equal(fw_load_seq_cst(&p->dones), fw_load_seq_cst(&p->reclaims));
}

static inline fw_key probe_key(uint64_t number)
{
    return (fw_key){number * UINT64_C(0x9e3779b97f4a7c15), number};
}

/* A private task. */
static inline fw_task *probe_task(probe *p, probe_record *record, uint64_t number, probe_way way)
{
    fw_task *task = fw_engine_alloc(p->engine, sizeof(probe_payload));
    if (!task)
        return NULL;
    task->key = probe_key(number);
    task->level = FW_NORMAL;
    task->created_wall_ns = fw_wall_ns();
    *(probe_payload *)(void *)task->payload = (probe_payload){record, way, WAY_SUCCEED};
    return task;
}

static inline void probe_later(fw_task *task, probe_way later)
{
    ((probe_payload *)(void *)task->payload)->later = later;
}

/* Admits and queues; the key must be free. */
static inline void probe_submit(probe *p, fw_task *task)
{
    fw_rcu_read_lock();
    assert_ptr_equal(fw_engine_admit(p->engine, task, false), task);
    fw_rcu_read_unlock();
    fw_engine_enqueue(p->engine, (fw_prio)task->level, &task, 1);
}

static inline fw_task *probe_go(probe *p, probe_record *record, uint64_t number, probe_way way)
{
    fw_task *task = probe_task(p, record, number, way);
    assert_non_null(task);
    probe_submit(p, task);
    return task;
}

static inline bool probe_is_found(probe *p, uint64_t number)
{
    fw_rcu_read_lock();
    bool found = fw_engine_find(p->engine, probe_key(number)) != NULL;
    fw_rcu_read_unlock();
    return found;
}

static inline fw_cancel probe_cancel(probe *p, uint64_t number)
{
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(p->engine, probe_key(number));
    fw_cancel cancel = task ? fw_engine_cancel(p->engine, task) : FW_CANCEL_UNKNOWN;
    fw_rcu_read_unlock();
    return cancel;
}

static inline unsigned probe_dones(probe_record *record)
{
    return fw_load_seq_cst(&record->dones);
}

/* Done once, so and by that. */
#define assert_ended(record, expected_state, expected_why)                                         \
    do {                                                                                           \
        assert_int_equal(probe_dones(record), 1);                                                  \
        assert_int_equal(fw_load_seq_cst(&(record)->state), (expected_state));                     \
        assert_int_equal(fw_load_seq_cst(&(record)->why), (expected_why));                         \
    } while (0)

#endif
