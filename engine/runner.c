/* engine/runner.c - a task from its lane to its end.
 *
 * The way of nearly all tasks: begin, run, finish, done, unlink; two transitions of the state word,
 * one reading of the clock, two counts, and all three references go to the grace period together,
 * many tasks at a time.
 * Everything else is a refused transition: somebody else ended the task or let another run follow,
 * and the thread gives back what it came with.
 * Covered by tests/engine/engine_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"
#include "engine/lines.h"

/* Runs shorter than this cannot wait for the timer thread's next regular look. */
#define SHORT_NS (20 * FW_NS_PER_MS)

/* The thread's first task after a pause: the timer thread may be dozing, the clock has moved. */
static void wake_up(fw_engine *engine, fw_runner *runner)
{
    runner->awake = true;
    fw_watch_stir(&runner->watch);
    fw_timers_nudge(engine->timers, fw_stamp_now(&runner->stamp) + SHORT_NS);
}

static inline int64_t start(fw_runner *runner, fw_task *task)
{
    int64_t now_ns = fw_stamp_next(&runner->stamp);
    /* Accepted after the reading that we have. */
    if (FW_UNLIKELY(task->created_wall_ns > fw_stamp_wall(&runner->stamp, now_ns)))
        now_ns = fw_stamp_now(&runner->stamp);
    /* Relaxed: see fw_engine_end_of. */
    fw_store_relaxed(&task->started_wall_ns, fw_stamp_wall(&runner->stamp, now_ns));
    return now_ns;
}

/* 0: none. */
static inline int64_t arm(fw_engine *engine, fw_runner *runner, fw_task *task, unsigned run,
                          int64_t start_ns)
{
    if (task->timeout_ns <= 0 || task->timeout_ns >= INT64_MAX / 2)
        return 0;
    int64_t deadline_ns = start_ns + task->timeout_ns;
    fw_watch_arm(&runner->watch, task, run, deadline_ns);
    if (FW_UNLIKELY(task->timeout_ns < SHORT_NS)) {
        fw_watch_stir(&runner->watch);
        fw_timers_nudge(engine->timers, deadline_ns);
    }
    return deadline_ns;
}

/* The run goes on elsewhere. The thread has the runner's reference, whatever happened meanwhile. */
static void leave_pending(fw_engine *engine, fw_task *task, unsigned run, int64_t started_wall_ns,
                          int64_t deadline_ns)
{
    if (deadline_ns > 0 && fw_task_runs(task, run))
        fw_engine_alarm_deadline(engine, task, run, started_wall_ns, deadline_ns);
    fw_task_release(engine, task);
}

/* The thread holds the runner's reference and, since no run is pending, the completer's. */
static inline void finish(fw_engine *engine, fw_runner *runner, fw_task *task, uint32_t begun,
                          bool success, int64_t end_ns)
{
    fw_state state;
    unsigned run = fw_task_run_of(begun);
    if (FW_UNLIKELY(!success) && fw_engine_try_again(engine, task, run, 2, FW_ENDED_BY_RUN))
        return;
    if (FW_UNLIKELY(fw_task_finish(task, &state, begun, success) != FW_DUTY_END)) {
        fw_task_release(engine, task);
        fw_task_release(engine, task);
        return;
    }
    int why = FW_LIKELY(state != FW_CANCELLED) ? FW_ENDED_BY_RUN : FW_ENDED_BY_CANCEL;
    /* The start is of the same stamp, so the end is not before it unless the clock was set. */
    engine->ops.done(engine->ops.context, task, why,
                     fw_engine_end_of(task, fw_stamp_wall(&runner->stamp, end_ns)));
    fw_index_remove(&engine->index, task);
    fw_counter_row_add(runner->counters, fw_engine_counter_of(state), 1);
    fw_retire_row_add(&engine->retire, runner->retired, task, FW_TASK_REFERENCES);
}

/* The dispatcher gave it to the pool. A run that is pending is counted by the limit of its name
 * until it is completed. */
static void leave_dispatch(fw_engine *engine, fw_runner *runner, uint64_t given, uint32_t name,
                           unsigned level, int64_t ran_ns)
{
    if (FW_UNLIKELY(given & FW_COUNTED_BIT))
        fw_limit_leave(engine, name & UINT16_MAX, name >> 16);
    fw_local_end(engine, runner, level, ran_ns);
}

int64_t fw_engine_started_ns(const fw_engine *engine, unsigned thread)
{
    return engine->runners[thread].stamp.last_ns;
}

void fw_engine_run_node(fw_worker *worker, fw_work_node *node)
{
    fw_task *task = FW_CONTAINER_OF(node, fw_task, node);
    fw_engine *engine = fw_engine_of(task);
    unsigned thread = fw_worker_index(worker);
    fw_runner *runner = &engine->runners[thread];
    unsigned level = task->level;
    /* Relaxed: written before the task came into the lane. */
    uint64_t given = fw_load_relaxed(&task->lease);
    /* Relaxed: as above. The name, and above it the line of its key. */
    uint32_t name = task->name | (uint32_t)fw_load_relaxed(&task->line) << 16;
    uint32_t begun;
    /* Relaxed: it left the queue and is not on the wheel; whoever looks for an alarm acquires the
     * word that the next transition releases. */
    fw_store_relaxed(&task->node.next, NULL);
    if (FW_UNLIKELY(fw_task_begin(task, &begun) != FW_DUTY_RUN)) {
        fw_engine_leave(engine, task);
        if (given)
            leave_dispatch(engine, runner, given, name, level, 0);
        return;
    }
    fw_index_prefetch(&engine->index, task->key);
    if (FW_UNLIKELY(!runner->awake))
        wake_up(engine, runner);
    int64_t start_ns = start(runner, task);
    int64_t started_wall_ns = fw_stamp_wall(&runner->stamp, start_ns);
    unsigned run = fw_task_run_of(begun);
    int64_t deadline_ns = arm(engine, runner, task, run, start_ns);
    fw_counter_row_add(runner->counters, FW_COUNT_STARTED, 1);
    fw_run outcome = engine->ops.run(engine->ops.context, task, thread);
    if (deadline_ns > 0)
        fw_watch_disarm(&runner->watch);
    int64_t end_ns = fw_stamp_now(&runner->stamp);
    if (FW_UNLIKELY(outcome == FW_RUN_PENDING))
        leave_pending(engine, task, run, started_wall_ns, deadline_ns);
    else
        finish(engine, runner, task, begun, outcome == FW_RUN_SUCCESS, end_ns);
    if (FW_UNLIKELY(outcome == FW_RUN_PENDING))
        given &= ~FW_COUNTED_BIT;
    if (FW_UNLIKELY(given))
        leave_dispatch(engine, runner, given, name, level, end_ns - start_ns);
}

void fw_engine_thread_start(void *context, unsigned thread)
{
    fw_engine *engine = context;
    if (engine->ops.thread_start)
        engine->ops.thread_start(engine->ops.context, thread);
}

void fw_engine_pause(void *context, unsigned thread)
{
    fw_engine *engine = context;
    fw_runner *runner = &engine->runners[thread];
    runner->awake = false;
    fw_watch_rest(&runner->watch);
    fw_stamp_forget(&runner->stamp);
    if (engine->ops.pause)
        engine->ops.pause(engine->ops.context, thread);
    /* [engine-dispatches] seq_cst: the dispatcher; after the rest. */
    if (FW_UNLIKELY(fw_load_seq_cst(&engine->dispatches)))
        fw_local_pause(engine, runner);
    fw_retire_row_flush(&engine->retire, runner->retired);
    fw_retire_flush(&engine->retire);
    fw_rcu_flush();
}

void fw_engine_thread_stop(void *context, unsigned thread)
{
    fw_engine *engine = context;
    if (engine->ops.thread_stop)
        engine->ops.thread_stop(engine->ops.context, thread);
    fw_rcu_flush();
}
