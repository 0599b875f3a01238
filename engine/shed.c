/* engine/shed.c - the oldest tasks of the lowest levels give way to more urgent ones.
 *
 * What is taken out of its queue is ended by who took it, so its memory comes back a grace period
 * later, and not when its turn would have come. Where the dispatcher has the queues, taking is for
 * the duty: the wish is left there. Covered by tests/engine/shed_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/dispatch_priv.h"

/* The task was taken out of its queue. => false: it had ended before. */
static bool end_taken(fw_engine *engine, fw_task *task)
{
    fw_state from;
    fw_rcu_read_lock();
    bool ends = fw_task_settle(task, false, &from) == FW_DUTY_END_UNRUN;
    if (ends)
        fw_engine_end_unrun(engine, task, FW_ENDED_BY_SHED, from, true);
    else
        fw_engine_leave(engine, task);
    fw_rcu_read_unlock();
    return ends;
}

static size_t shed_lane(fw_engine *engine, fw_prio level, size_t count)
{
    fw_work_node *node;
    while (count > 0 && fw_pool_take_back(engine->pool, level, &node, 1) > 0) {
        fw_task *task = FW_CONTAINER_OF(node, fw_task, node);
        /* Relaxed: as a thread that runs it does. */
        fw_store_relaxed(&task->node.next, NULL);
        if (end_taken(engine, task))
            count--;
    }
    return count;
}

static size_t shed_groups(fw_dispatch *dispatch, unsigned level, size_t count)
{
    fw_groups *groups = &dispatch->groups;
    while (count > 0 && groups->active_count[level] > 0) {
        fw_group *group = groups->active[level][0];
        fw_task *task = fw_group_take(groups, group, level);
        if (group->limit)
            fw_limit_untake(dispatch, group->limit);
        if (end_taken(dispatch->engine, task))
            count--;
    }
    return count;
}

void fw_dispatch_shed_asked(fw_dispatch *dispatch)
{
    /* Relaxed, both: amounts; who asks calls for a round after that. */
    fw_store_relaxed(&dispatch->shed_asked, false);
    /* What is held back by a limit waits as well. */
    fw_limits_let_go(dispatch);
    for (unsigned above = 0; above < FW_LEVELS; above++) {
        /* [shed-wish] seq_cst: an amount; a swap that is more relaxed than that there is not. */
        size_t count = fw_swap_seq_cst(&dispatch->shed[above], 0);
        for (unsigned level = FW_LEVELS - 1; level > above && count > 0; level--)
            count = shed_groups(dispatch, level, count);
    }
    fw_engine_flush(dispatch->engine);
}

void fw_engine_shed(fw_engine *engine, fw_prio above, size_t count)
{
    FW_ASSERT((unsigned)above < FW_LEVELS);
    if (fw_engine_dispatches(engine)) {
        fw_dispatch *dispatch = fw_engine_dispatcher(engine);
        /* Relaxed, both: as above. */
        fw_add_relaxed(&dispatch->shed[above], count);
        fw_store_relaxed(&dispatch->shed_asked, true);
        fw_dispatch_pump(dispatch);
        return;
    }
    for (unsigned level = FW_LEVELS - 1; level > (unsigned)above && count > 0; level--)
        count = shed_lane(engine, (fw_prio)level, count);
    fw_engine_flush(engine);
}

bool fw_engine_waits_below(const fw_engine *engine, fw_prio above)
{
    const fw_dispatch *dispatch =
        fw_engine_dispatches(engine) ? fw_engine_dispatcher(engine) : NULL;
    for (unsigned level = FW_LEVELS - 1; level > (unsigned)above; level--) {
        /* Relaxed: a hint. */
        if (dispatch && (fw_load_relaxed(&dispatch->waiting[level]) > 0 ||
                         fw_overflow_count(&dispatch->inbox[level]) > 0))
            return true;
        if (!dispatch && fw_pool_has_waiting(engine->pool, (fw_prio)level))
            return true;
    }
    return false;
}
