/* engine/admission.c - how tasks come in, wait, and are called off before they run.
 *
 * Covered by tests/engine/engine_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

fw_task *fw_engine_alloc(fw_engine *engine, size_t payload_bytes)
{
    return fw_memory_alloc(&engine->memory, payload_bytes);
}

int fw_engine_refusal(void)
{
    return fw_memory_refusal();
}

void fw_engine_abandon(fw_engine *engine, fw_task *task)
{
    FW_ASSERT(fw_engine_of(task) == engine);
    fw_retire_add(&engine->retire, task, FW_RETIRE_PRIVATE);
}

fw_task *fw_engine_admit(fw_engine *engine, fw_task *task, bool scheduled)
{
    FW_ASSERT(task->level < FW_LEVELS);
    FW_DEBUG_ASSERT(fw_engine_of(task) == engine);
    /* Relaxed: the index publishes it. Whoever had earlier runs elsewhere counts on. */
    if (fw_load_relaxed(&task->attempt) == 0)
        fw_store_relaxed(&task->attempt, 1);
    fw_task_init(task, scheduled ? FW_SCHEDULED : FW_QUEUED);
    fw_task *other = fw_index_insert(&engine->index, task);
    if (FW_UNLIKELY(other != task)) {
        fw_counters_add(&engine->counters, FW_COUNT_DUPLICATE, 1);
        return other;
    }
    fw_counters_add(&engine->counters, FW_COUNT_ADMITTED, 1);
    if (scheduled)
        fw_counters_add(&engine->counters, FW_COUNT_WAITING, 1);
    return task;
}

void fw_engine_enqueue(fw_engine *engine, fw_prio level, fw_task *const *tasks, size_t count)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    if (FW_UNLIKELY(fw_engine_dispatches(engine)))
        fw_dispatch_enqueue(engine, level, tasks, count);
    else
        fw_pool_submit_nodes(engine->pool, level, (fw_work_node *const *)(const void *)tasks,
                             count);
}

void fw_engine_schedule(fw_engine *engine, fw_task *task, int64_t due_ns)
{
    FW_DEBUG_ASSERT(fw_engine_of(task) == engine);
    fw_engine_alarm_due(engine, task, due_ns);
}

void fw_engine_drop(fw_engine *engine, fw_task *task, bool success)
{
    fw_state from;
    fw_duty duty = fw_task_settle(task, success, &from);
    /* The runner's reference never left the caller. */
    if (duty == FW_DUTY_DROP)
        fw_engine_leave(engine, task);
    else
        fw_engine_end_unrun(engine, task, FW_ENDED_BY_OWNER, from, true);
}

void fw_engine_prefetch(const fw_engine *engine, fw_key key)
{
    fw_index_prefetch(&engine->index, key);
}

fw_task *fw_engine_find(fw_engine *engine, fw_key key)
{
    return fw_index_find(&engine->index, key);
}

fw_cancel fw_engine_cancel(fw_engine *engine, fw_task *task)
{
    fw_state from;
    fw_duty duty = fw_task_cancel(task, &from);
    if (duty == FW_DUTY_LEAVE)
        return FW_CANCEL_RUNNING;
    if (duty == FW_DUTY_DROP)
        return FW_CANCEL_LATE;
    FW_ASSERT(duty == FW_DUTY_END_UNRUN);
    fw_engine_end_unrun(engine, task, FW_ENDED_BY_CANCEL, from, false);
    return FW_CANCEL_QUEUED;
}

static bool end_unrun(fw_engine *engine, fw_task *task, fw_state to, int why)
{
    fw_state from;
    if (fw_task_withdraw(task, to, &from) != FW_DUTY_END_UNRUN)
        return false;
    fw_engine_end_unrun(engine, task, why, from, false);
    return true;
}

bool fw_engine_withdraw(fw_engine *engine, fw_task *task)
{
    return end_unrun(engine, task, FW_CANCELLED, FW_ENDED_BY_CANCEL);
}

bool fw_engine_fail(fw_engine *engine, fw_task *task)
{
    return end_unrun(engine, task, FW_FAILURE, FW_ENDED_BY_OWNER);
}
