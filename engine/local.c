/* engine/local.c - the own pool as a place: what it is given, and what comes back.
 *
 * It is given tasks through its lanes, where they go by level again. Each task thread counts for
 * itself what has left it; the duty adds the counts up when it needs room. While runs are long or
 * not measured yet a thread calls at the end of each (eager), otherwise when it pauses, so that
 * short runs cost nothing shared.
 *
 * recall-note: when the first place comes, tasks may wait in the lanes, more than anybody can run.
 * Level by level they are taken out again, a piece at a time, into the groups. Until a level's
 * lanes are empty its newcomers stay in the inbox and the pool is given none of it, so that order
 * is kept; the threads meanwhile run what they find in the lanes. A thread that runs something at
 * that moment is counted on as a slot when it pauses for the first time.
 * await-note: a thread that brings room calls for a round only if something waits for it
 * (`local_awaited`). It tells its counts and looks; the duty says that it waits,
 * and then adds the counts up once more. All are seq_cst, so one of them sees the other.
 * Covered by tests/engine/dispatch_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/dispatch_priv.h"

enum { RECALL_MAX = 1024, RECALL_PIECE = 64, LEARN_MAX = 64 };
#define EAGER_NS (20 * FW_NS_PER_US) /* a call is nothing to runs as long as that */

void fw_local_flush(fw_dispatch *dispatch, unsigned level)
{
    fw_pool_submit_nodes(dispatch->engine->pool, (fw_prio)level,
                         (fw_work_node *const *)(void *)dispatch->local_out,
                         dispatch->local_out_count);
    dispatch->local_out_count = 0;
}

void fw_local_give(fw_dispatch *dispatch, fw_group *group, unsigned level, uint64_t until,
                   size_t most)
{
    fw_place *local = dispatch->local;
    unsigned count = 0, room = 1;
    if (group->class_count == 1 && fw_place_in_hand(local) < local->slots + local->surplus)
        room = local->slots + local->surplus - fw_place_in_hand(local);
    if (room > most)
        room = (unsigned)most;
    do {
        fw_task *task = fw_group_take(&dispatch->groups, group, level);
        if (FW_UNLIKELY(fw_state_is_terminal(fw_task_state(task)))) {
            fw_engine_leave(dispatch->engine, task);
            if (FW_UNLIKELY(group->limit))
                fw_limit_untake(dispatch, group->limit);
            continue;
        }
        if (FW_UNLIKELY(group->limit)) {
            fw_limit_take(dispatch, group->limit);
            const fw_key_line *line = fw_limit_line(group->limit);
            /* Relaxed, both: the lane publishes them. */
            fw_store_relaxed(&task->line, line ? line->slot : 0);
            fw_store_relaxed(&task->lease, fw_order_of(task) | FW_COUNTED_BIT);
        }
        count++;
        dispatch->local_out[dispatch->local_out_count++] = task;
        if (dispatch->local_out_count == FW_LOCAL_OUT)
            fw_local_flush(dispatch, level);
    } while (count < room && group->lines[level].first &&
             fw_order_of(group->lines[level].first) <= until);
    local->hand[level] += count;
    fw_count(&local->in_hand, count);
    fw_count(&local->given, count);
    fw_place_settle(local);
}

/* What has come back, and who has joined. */
static bool add_up(fw_dispatch *dispatch)
{
    fw_engine *engine = dispatch->engine;
    fw_place *local = dispatch->local;
    /* [local-awaited] seq_cst: what the thread ran is over; see await-note. */
    unsigned joined = fw_load_seq_cst(&dispatch->local_joined);
    bool some = joined != local->slots;
    local->slots = joined;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        uint64_t back = 0;
        for (unsigned i = 0; i < engine->config.pool.threads; i++) {
            /* [local-awaited] seq_cst: the runs are over; see await-note. */
            back += fw_load_seq_cst(&engine->runners[i].back[level]);
        }
        unsigned count = (unsigned)(back - dispatch->local_back[level]);
        FW_ASSERT(count <= local->hand[level]);
        some = some || count > 0;
        dispatch->local_back[level] = back;
        local->hand[level] -= count;
        fw_count(&local->in_hand, -count);
        fw_count(&local->ended, count);
    }
    /* Relaxed, both: figures. */
    fw_store_relaxed(&local->run_ns, fw_load_relaxed(&dispatch->local_run_ns));
    fw_place_size(local);
    fw_place_settle(local);
    return some;
}

void fw_local_collect(fw_dispatch *dispatch)
{
    const fw_place *local = dispatch->local;
    unsigned in_hand = fw_place_in_hand(local);
    if (dispatch->config.local && in_hand >= local->slots &&
        in_hand >= (local->slots + local->surplus) / 2)
        (void)add_up(dispatch);
}

void fw_local_await(fw_dispatch *dispatch)
{
    /* Relaxed: the duty's own. */
    bool awaited = fw_load_relaxed(&dispatch->local_awaited);
    if (!dispatch->local_blocked && awaited)
        fw_store_relaxed(&dispatch->local_awaited, false);
    if (!dispatch->local_blocked)
        return;
    if (!awaited) {
        /* [local-awaited] seq_cst: before we add up once more. */
        fw_store_seq_cst(&dispatch->local_awaited, true);
    }
    if (add_up(dispatch))
        dispatch->more = true;
}

static void learn(fw_dispatch *dispatch, const uint32_t *names, size_t count)
{
    /* Without memory they stay unknown here. */
    if (count == 0 ||
        fw_groups_toggle(&dispatch->groups, dispatch->local_class, names, count, true))
        return;
    for (size_t i = 0; i < count; i++) {
        dispatch->local_known[names[i] / 64] |= UINT64_C(1) << names[i] % 64;
        fw_count(&dispatch->knowers[names[i]], 1);
    }
}

void fw_local_learn(fw_dispatch *dispatch)
{
    uint32_t names[LEARN_MAX];
    size_t count = 0;
    /* Relaxed: whoever sets it calls after that. */
    if (!fw_load_relaxed(&dispatch->names_wanted))
        return;
    /* [local-names] acquire: the names. */
    (void)fw_swap_acq_rel(&dispatch->names_wanted, false);
    for (uint32_t i = 0; dispatch->local_class && i < FW_NAMES_MAX / 64; i++) {
        /* Relaxed: see above. */
        uint64_t wanted = fw_load_relaxed(&dispatch->local_wanted[i]) & ~dispatch->local_known[i];
        for (; wanted; wanted &= wanted - 1) {
            names[count++] = i * 64 + (uint32_t)__builtin_ctzll(wanted);
            if (count == LEARN_MAX) {
                learn(dispatch, names, count);
                count = 0;
            }
        }
    }
    learn(dispatch, names, count);
}

int fw_dispatch_local_name(fw_engine *engine, uint32_t name)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (name >= FW_NAMES_MAX)
        return -FW_EINVAL;
    /* Relaxed: the flag publishes it. */
    fw_or_relaxed(&dispatch->local_wanted[name / 64], UINT64_C(1) << name % 64);
    /* [local-names] release: the name. */
    fw_store_release(&dispatch->names_wanted, true);
    fw_dispatch_pump(dispatch);
    return 0;
}

/* See recall-note. */
static void recall_level(fw_dispatch *dispatch, unsigned level)
{
    fw_pool *pool = dispatch->engine->pool;
    fw_work_node *nodes[RECALL_PIECE];
    for (unsigned taken = 0; taken < RECALL_MAX;) {
        size_t count = fw_pool_take_back(pool, (fw_prio)level, nodes, RECALL_PIECE);
        for (size_t i = 0; i < count; i++) {
            fw_task *task = FW_CONTAINER_OF(nodes[i], fw_task, node);
            FW_DEBUG_ASSERT(fw_order_of(task) == 0);
            fw_groups_add(&dispatch->groups, task);
        }
        taken += (unsigned)count;
        if (count == 0 && fw_pool_has_waiting(pool, (fw_prio)level))
            break; /* somebody is half-way */
        if (count == 0) {
            dispatch->recall &= ~(1u << level);
            return;
        }
    }
    dispatch->more = true;
}

void fw_local_recall(fw_dispatch *dispatch)
{
    if (dispatch->recall == 0)
        return;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        if (dispatch->recall & 1u << level)
            recall_level(dispatch, level);
    dispatch->local_class->levels = ((1u << FW_LEVELS) - 1) & ~dispatch->recall;
    fw_place_settle(dispatch->local);
}

/* --- On task threads --- */

static void tell(fw_dispatch *dispatch, fw_runner *runner)
{
    if (runner->told_runs > 0 && runner->told_ns > 0) {
        /* Relaxed, all: an average; if one thread's part gets lost, the next brings another. */
        int64_t run_ns = fw_load_relaxed(&dispatch->local_run_ns);
        run_ns = fw_run_average(run_ns, runner->told_ns / runner->told_runs);
        fw_store_relaxed(&dispatch->local_run_ns, run_ns);
        bool eager = run_ns >= EAGER_NS;
        if (fw_load_relaxed(&dispatch->local_eager) != eager)
            fw_store_relaxed(&dispatch->local_eager, eager);
    }
    runner->told_runs = 0;
    runner->told_ns = 0;
    for (; runner->told_levels; runner->told_levels &= runner->told_levels - 1) {
        fw_atomic(uint64_t) *back = &runner->back[__builtin_ctz(runner->told_levels)];
        /* The load is relaxed: this thread is the only writer.
         * [local-awaited] seq_cst: what came back, once more, before the look. */
        fw_store_seq_cst(back, fw_load_relaxed(back));
    }
    /* [local-awaited] seq_cst: after the above. */
    if (fw_load_seq_cst(&dispatch->local_awaited))
        fw_dispatch_pump(dispatch);
}

void fw_local_end(fw_engine *engine, fw_runner *runner, unsigned level, int64_t ran_ns)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    fw_atomic(uint64_t) *back = &runner->back[level];
    /* The load is relaxed: this thread is the only writer.
     * [local-awaited] release: the run is over. */
    fw_store_release(back, fw_load_relaxed(back) + 1);
    runner->told_runs++;
    runner->told_ns += ran_ns;
    runner->told_levels |= 1u << level;
    /* Relaxed: a hint; the pause that follows tells the rest. */
    if (fw_load_relaxed(&dispatch->local_eager))
        tell(dispatch, runner);
}

static bool join(fw_dispatch *dispatch, fw_runner *runner)
{
    /* Relaxed, both: whether it is worth trying; and nothing goes with it. */
    bool expected = false;
    if (fw_load_relaxed(&runner->joined) || !fw_cas_relaxed(&runner->joined, &expected, true))
        return false;
    /* [local-awaited] seq_cst: what this thread ran is over. */
    fw_add_seq_cst(&dispatch->local_joined, 1);
    return true;
}

void fw_local_begin(fw_dispatch *dispatch)
{
    fw_engine *engine = dispatch->engine;
    if (!dispatch->config.local)
        return;
    for (unsigned i = 0; i < engine->config.pool.threads; i++)
        if (!fw_watch_is_awake(&engine->runners[i].watch))
            join(dispatch, &engine->runners[i]);
}

void fw_local_pause(fw_engine *engine, fw_runner *runner)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    bool joins = dispatch->config.local && join(dispatch, runner);
    if (joins || runner->told_runs > 0)
        tell(dispatch, runner);
}
