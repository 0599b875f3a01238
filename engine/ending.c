/* engine/ending.c - how tasks end other than by the thread that ran them, and what becomes of them.
 *
 * An end is a transition of the state word (engine/task), then stamp, done, unlink, count. After
 * that the references of the one who ended it wait for a grace period, so that the index's
 * reference is good for everybody who finds the task in a read section, and the usual last owner
 * needs no read-modify-write at all. Covered by tests/engine/engine_test.c and
 * tests/engine/engine_time_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

static inline void reclaim(fw_engine *engine, fw_task *task)
{
    if (engine->ops.reclaim)
        engine->ops.reclaim(engine->ops.context, task);
    fw_memory_free(&engine->memory, task);
}

/* A grace period after the unlinking: nobody can retain any more, so if nobody else has a
 * reference, nobody will. */
static inline void expired(fw_task *task, unsigned code)
{
    fw_engine *engine = fw_engine_of(task);
    if (FW_UNLIKELY(code == FW_RETIRE_PRIVATE))
        fw_memory_free(&engine->memory, task);
    else if (FW_LIKELY(fw_task_has_only(task, code)) || fw_task_give_back(task, code))
        reclaim(engine, task);
}

void fw_engine_expire_chain(void *chain)
{
    fw_retire_walk(chain, expired);
}

void fw_task_release(fw_engine *engine, fw_task *task)
{
    FW_DEBUG_ASSERT(fw_engine_of(task) == engine);
    /* The index's reference is gone, so the task has left its chain and can go into another. */
    if (fw_task_give_back(task, 1))
        fw_retire_add(&engine->retire, task, 0);
}

static void end(fw_engine *engine, fw_task *task, int why)
{
    fw_state state = fw_task_state(task);
    FW_ASSERT(fw_state_is_terminal(state));
    /* A cancel that was accepted while it ran has the last word. */
    engine->ops.done(engine->ops.context, task, state == FW_CANCELLED ? FW_ENDED_BY_CANCEL : why,
                     fw_engine_end_of(task, fw_wall_ns()));
    fw_index_remove(&engine->index, task);
    fw_counters_add(&engine->counters, fw_engine_counter_of(state), 1);
}

void fw_engine_end_run(fw_engine *engine, fw_task *task, int why, unsigned references)
{
    FW_ASSERT(references >= 1 && references <= FW_TASK_REFERENCES);
    end(engine, task, why);
    fw_retire_add(&engine->retire, task, references);
}

void fw_engine_end_unrun(fw_engine *engine, fw_task *task, int why, fw_state from, bool alone)
{
    fw_counters_add(&engine->counters, FW_COUNT_ENDED_UNRUN, 1);
    if (from == FW_SCHEDULED || from == FW_RETRYING) {
        fw_counters_add(&engine->counters, FW_COUNT_WAITED, 1);
        alone = alone || fw_engine_alarm_take(task);
    }
    if (from == FW_QUEUED && !alone && fw_engine_dispatches(engine))
        fw_dispatch_note_end(engine);
    end(engine, task, why);
    if (alone || fw_task_part_unlinked(task))
        fw_retire_add(&engine->retire, task, FW_TASK_REFERENCES);
}

void fw_engine_leave(fw_engine *engine, fw_task *task)
{
    if (fw_task_part_left(task))
        fw_retire_add(&engine->retire, task, FW_TASK_REFERENCES);
}

bool fw_engine_try_again(fw_engine *engine, fw_task *task, unsigned run, unsigned held, int why)
{
    if (!engine->ops.again || fw_engine_is_draining(engine))
        return false;
    int64_t due_ns = engine->ops.again(engine->ops.context, task, why);
    if (due_ns <= 0 || fw_task_retry(task, run, 2 - held) != FW_DUTY_WAIT)
        return false;
    fw_counters_add(&engine->counters, FW_COUNT_WAITING, 1);
    fw_counters_add(&engine->counters, FW_COUNT_RETRIED, 1);
    /* Relaxed: one writer at a time, by the transition that brought us here. */
    unsigned attempt = fw_load_relaxed(&task->attempt);
    fw_store_relaxed(&task->attempt, (uint16_t)(attempt + 1));
    fw_engine_alarm_due(engine, task, due_ns);
    return true;
}

void fw_engine_expire(fw_engine *engine, fw_task *task, unsigned run)
{
    /* Its thread may go on long after the end. */
    if (!fw_task_runs(task, run))
        return;
    bool again = fw_engine_try_again(engine, task, run, 0, FW_ENDED_BY_DEADLINE);
    if (!again && fw_task_end_run(task, run, false) != FW_DUTY_END)
        return;
    fw_counters_add(&engine->counters, FW_COUNT_DEADLINE, 1);
    if (!again)
        fw_engine_end_run(engine, task, FW_ENDED_BY_DEADLINE, 1);
}

void fw_engine_complete_attempt(fw_engine *engine, fw_task *task, unsigned attempt, bool success)
{
    FW_ASSERT(attempt > 0);
    unsigned run = (attempt - 1) % FW_RUNS;
    uint32_t name = task->name;
    /* Relaxed: it came with the run, and stays while one is counted. */
    unsigned line = fw_load_relaxed(&task->line);
    bool again = !success && fw_engine_try_again(engine, task, run, 1, FW_ENDED_BY_RUN);
    if (!again && fw_task_end_run(task, run, success) == FW_DUTY_END)
        fw_engine_end_run(engine, task, FW_ENDED_BY_RUN, 2);
    else if (!again)
        fw_task_release(engine, task);
    fw_limit_leave(engine, name, line);
}

void fw_engine_complete(fw_engine *engine, fw_task *task, bool success)
{
    /* Relaxed: it changes only after this run's end, which is what we bring. */
    fw_engine_complete_attempt(engine, task, fw_load_relaxed(&task->attempt), success);
}

void fw_engine_flush(fw_engine *engine)
{
    fw_retire_flush(&engine->retire);
}
