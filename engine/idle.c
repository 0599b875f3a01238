/* engine/idle.c - whether an engine only waits for time, and what follows when time was moved.
 *
 * Covered by tests/engine/idle_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

/* In a state in which only time goes on with it. */
static bool waits(void *context, fw_task *task)
{
    bool *all = context;
    fw_state state = fw_task_state(task);
    *all = state == FW_SCHEDULED || state == FW_RETRYING;
    return *all;
}

bool fw_engine_is_idle(fw_engine *engine, int64_t *next_ns)
{
    bool all = true;
    /* First: what rings later finds a task that this has seen waiting, and changes the time. */
    int64_t wake_at = fw_timers_wake_at(engine->timers);
    *next_ns = wake_at;
    if (wake_at == INT64_MIN)
        return false;
    fw_engine_each(engine, waits, &all);
    for (unsigned i = 0; all && i < engine->config.pool.threads; i++)
        all = !fw_watch_is_awake(&engine->runners[i].watch);
    return all && fw_timers_wake_at(engine->timers) == wake_at;
}

void fw_engine_clock_moved(fw_engine *engine)
{
    fw_timers_clock_moved(engine->timers);
}
