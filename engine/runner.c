/* engine/runner.c - a task from its lane to its end.
 *
 * The way of nearly all tasks: begin, run, finish, end; two transitions of the state word, one
 * reading of the clock, three counts. At the end the thread hands all three references to the grace
 * period, so the last owner needs no read-modify-write at all. Everything else is a refused
 * transition: somebody else ended the task or let another run follow, and the thread gives back
 * what it came with. Covered by tests/engine/engine_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

/* Runs shorter than this cannot wait for the timer thread's next regular look. */
#define SHORT_NS (20 * FW_NS_PER_MS)

static void reclaim(void *object)
{
    fw_task *task = object;
    fw_engine *engine = fw_engine_of(task);
    FW_ASSERT(engine);
    if (engine->ops.reclaim)
        engine->ops.reclaim(engine->ops.context, task);
    task->size_class &= FW_MEMORY_HEAP;
    fw_memory_free(&engine->memory, task);
}

/* A grace period after the unlinking: nobody can retain any more, so if nobody else has a
 * reference, nobody will. */
static void give_back(fw_task *task, unsigned references)
{
    if (fw_task_references(task) == references || fw_task_give_back(task, references))
        reclaim(task);
}

static void give_back_1(void *object)
{
    give_back(object, 1);
}

static void give_back_2(void *object)
{
    give_back(object, 2);
}

static void give_back_3(void *object)
{
    give_back(object, 3);
}

void fw_task_release(fw_engine *engine, fw_task *task)
{
    FW_DEBUG_ASSERT(fw_engine_of(task) == engine);
    (void)engine;
    if (fw_task_give_back(task, 1))
        fw_rcu_retire(task, reclaim);
}

void fw_engine_end(fw_engine *engine, fw_task *task, int why, unsigned references,
                   int64_t finished_wall_ns)
{
    static void (*const give_backs[])(void *object) = {NULL, give_back_1, give_back_2, give_back_3};
    FW_ASSERT(references >= 1 && references <= FW_TASK_REFERENCES);
    fw_state state = fw_task_state(task);
    FW_ASSERT(fw_state_is_terminal(state));
    /* Relaxed, both: whoever needs them in order has them through the state or from `done`. */
    int64_t started_wall_ns = fw_load_relaxed(&task->started_wall_ns);
    if (finished_wall_ns < started_wall_ns)
        finished_wall_ns = started_wall_ns;
    fw_store_relaxed(&task->finished_wall_ns, finished_wall_ns);
    engine->ops.done(engine->ops.context, task, why);
    fw_rcu_read_lock();
    fw_index_remove(&engine->index, task);
    fw_rcu_read_unlock();
    fw_counter which = state == FW_SUCCESS   ? FW_COUNT_SUCCESS
                       : state == FW_FAILURE ? FW_COUNT_FAILURE
                                             : FW_COUNT_CANCELLED;
    fw_counters_add(&engine->counters, which, 1);
    fw_rcu_retire(task, give_backs[references]);
}

void fw_engine_end_unrun(fw_engine *engine, fw_task *task, int why, fw_state from)
{
    unsigned references = 2;
    fw_counters_add(&engine->counters, FW_COUNT_ENDED_UNRUN, 1);
    if (from == FW_SCHEDULED || from == FW_RETRYING) {
        fw_counters_add(&engine->counters, FW_COUNT_WAITED, 1);
        if (fw_engine_alarm_take(task))
            references = 3;
    }
    fw_engine_end(engine, task, why, references, fw_wall_ns());
}

/* A cancel that was accepted meanwhile has the last word. */
static int why_ended(const fw_task *task, int why)
{
    return fw_task_state(task) == FW_CANCELLED ? FW_ENDED_BY_CANCEL : why;
}

/* When the next run after a failure is due; 0: none follows. */
static int64_t ask_again(fw_engine *engine, fw_task *task, int why)
{
    if (!engine->ops.again || fw_engine_is_draining(engine))
        return 0;
    return engine->ops.again(engine->ops.context, task, why);
}

void fw_engine_wait_again(fw_engine *engine, fw_task *task, int64_t due_ns)
{
    fw_counters_add(&engine->counters, FW_COUNT_WAITING, 1);
    fw_counters_add(&engine->counters, FW_COUNT_RETRIED, 1);
    /* Relaxed: one writer at a time, by the transition that brought us here. */
    unsigned attempt = fw_load_relaxed(&task->attempt);
    fw_store_relaxed(&task->attempt, (uint16_t)(attempt + 1));
    fw_engine_alarm_due(engine, task, due_ns);
}

/* Ends a run that failed or succeeded, or lets another one follow. `held`: the references that came
 * with the run's end; `more`: those that the next run needs beside them. */
static void finish(fw_engine *engine, fw_task *task, unsigned run, bool success, unsigned held,
                   int64_t finished_wall_ns)
{
    int64_t due_ns = success ? 0 : ask_again(engine, task, FW_ENDED_BY_RUN);
    fw_duty duty;
    if (FW_LIKELY(due_ns <= 0))
        duty = fw_task_finish(task, run, success);
    else
        duty = fw_task_retry(task, run, 2 - held);
    if (FW_LIKELY(duty == FW_DUTY_END)) {
        int why = why_ended(task, FW_ENDED_BY_RUN);
        fw_engine_end(engine, task, why, held + 1, finished_wall_ns);
    } else if (duty == FW_DUTY_WAIT) {
        fw_engine_wait_again(engine, task, due_ns);
    } else {
        while (held-- > 0)
            fw_task_release(engine, task);
    }
}

void fw_engine_expire(fw_engine *engine, fw_task *task, unsigned run)
{
    /* Its thread may go on long after the end. */
    if (!fw_task_runs(task, run))
        return;
    int64_t due_ns = ask_again(engine, task, FW_ENDED_BY_DEADLINE);
    fw_duty duty = due_ns > 0 ? fw_task_retry(task, run, 2) : fw_task_expire(task, run);
    if (duty == FW_DUTY_DROP)
        return;
    fw_counters_add(&engine->counters, FW_COUNT_DEADLINE, 1);
    if (duty == FW_DUTY_WAIT)
        fw_engine_wait_again(engine, task, due_ns);
    else
        fw_engine_end(engine, task, why_ended(task, FW_ENDED_BY_DEADLINE), 1, fw_wall_ns());
}

void fw_engine_complete_attempt(fw_engine *engine, fw_task *task, unsigned attempt, bool success)
{
    FW_ASSERT(attempt > 0);
    /* The completer's reference. */
    finish(engine, task, (attempt - 1) % FW_RUNS, success, 1, fw_wall_ns());
}

void fw_engine_complete(fw_engine *engine, fw_task *task, bool success)
{
    /* Relaxed: it changes only after this run's end, which is what we bring. */
    fw_engine_complete_attempt(engine, task, fw_load_relaxed(&task->attempt), success);
}

/* The thread's first task after a pause: the timer thread may be dozing, and the clocks have moved.
 */
static void wake_up(fw_engine *engine, fw_runner *runner)
{
    runner->awake = true;
    fw_watch_stir(&runner->watch);
    fw_timers_nudge(engine->timers, fw_stamp_now(&runner->stamp) + SHORT_NS);
}

static int64_t start(fw_runner *runner, fw_task *task)
{
    int64_t now_ns = fw_stamp_next(&runner->stamp);
    /* Accepted after the reading that we have. */
    if (FW_UNLIKELY(task->created_wall_ns > fw_stamp_wall(&runner->stamp, now_ns)))
        now_ns = fw_stamp_now(&runner->stamp);
    /* Relaxed: see fw_engine_end. */
    fw_store_relaxed(&task->started_wall_ns, fw_stamp_wall(&runner->stamp, now_ns));
    return now_ns;
}

/* 0: none. */
static int64_t arm(fw_engine *engine, fw_runner *runner, fw_task *task, unsigned run,
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

/* The run goes on elsewhere. The thread still has the runner's reference, whatever happened
 * meanwhile. */
static void leave_pending(fw_engine *engine, fw_task *task, unsigned run, int64_t started_wall_ns,
                          int64_t deadline_ns)
{
    if (deadline_ns > 0 && fw_task_runs(task, run))
        fw_engine_alarm_deadline(engine, task, run, started_wall_ns, deadline_ns);
    fw_task_release(engine, task);
}

void fw_engine_run_node(fw_worker *worker, fw_work_node *node)
{
    fw_task *task = FW_CONTAINER_OF(node, fw_task, node);
    fw_engine *engine = fw_engine_of(task);
    unsigned thread = fw_worker_index(worker);
    fw_runner *runner = &engine->runners[thread];
    unsigned run;
    /* Relaxed: it left the queue and is not on the wheel; whoever looks for an alarm acquires the
     * word that the next transition releases. */
    fw_store_relaxed(&task->node.next, NULL);
    if (FW_UNLIKELY(fw_task_begin(task, &run) != FW_DUTY_RUN)) {
        fw_task_release(engine, task);
        return;
    }
    fw_index_prefetch(&engine->index, task->key);
    if (FW_UNLIKELY(!runner->awake))
        wake_up(engine, runner);
    int64_t start_ns = start(runner, task);
    int64_t started_wall_ns = fw_stamp_wall(&runner->stamp, start_ns);
    int64_t deadline_ns = arm(engine, runner, task, run, start_ns);
    fw_counters_add(&engine->counters, FW_COUNT_STARTED, 1);
    fw_run outcome = engine->ops.run(engine->ops.context, task, thread);
    if (deadline_ns > 0)
        fw_watch_disarm(&runner->watch);
    int64_t end_ns = fw_stamp_now(&runner->stamp);
    if (FW_UNLIKELY(outcome == FW_RUN_PENDING)) {
        leave_pending(engine, task, run, started_wall_ns, deadline_ns);
        return;
    }
    /* The runner's and the completer's reference: no run is pending. */
    finish(engine, task, run, outcome == FW_RUN_SUCCESS, 2, fw_stamp_wall(&runner->stamp, end_ns));
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
    fw_rcu_flush();
}
