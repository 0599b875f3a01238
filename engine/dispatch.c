/* engine/dispatch.c - the door of the dispatcher, and its duty: one round after another.
 *
 * A round takes in what was brought (places, holds that come back, tasks), then gives out, level by
 * level, the oldest head first, until no group has both a task and a place; then it sends. Whoever
 * brings something calls for a round and does it if nobody is at it (engine/baton). A thread that
 * has done many rounds because others keep bringing lays the duty down: the next who brings
 * something has it, or the timer thread, which looks after it.
 * Covered by tests/engine/dispatch_test.c and tests/engine/dispatch_stress_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdlib.h>

#include "engine/dispatch_priv.h"
#include "engine/pages.h"

enum {
    ROUNDS_MAX = 32,   /* of one thread */
    INTAKE_MAX = 4096, /* tasks of a level in a round */
    DEAD_MIN = 1024,   /* before a sweep pays */
    LOCAL_MAX = 4 * FW_WINDOW_MAX
};

/* --- A round --- */

void fw_dispatch_drop(fw_dispatch *dispatch, fw_task *task)
{
    fw_rcu_read_lock();
    fw_engine_stop_task(dispatch->engine, task);
    fw_engine_leave(dispatch->engine, task);
    fw_rcu_read_unlock();
}

static void take_level(fw_dispatch *dispatch, unsigned level, bool closed)
{
    fw_overflow *inbox = &dispatch->inbox[level];
    size_t taken = 0;
    if (fw_overflow_count(inbox) == 0)
        return;
    while (taken < INTAKE_MAX) {
        fw_work_node *node = fw_overflow_pop(inbox);
        if (!node)
            break;
        fw_task *task = FW_CONTAINER_OF(node, fw_task, node);
        if (FW_UNLIKELY(closed))
            fw_dispatch_drop(dispatch, task);
        else
            fw_groups_add(&dispatch->groups, task);
        taken++;
    }
    fw_overflow_end(inbox, taken);
    if (taken == INTAKE_MAX)
        dispatch->more = true;
}

static void take_inbox(fw_dispatch *dispatch, bool closed)
{
    for (unsigned level = 0; level < FW_LEVELS; level++)
        if (!(dispatch->recall & 1u << level))
            take_level(dispatch, level, closed);
}

/* Tasks that ended while they waited are let go when they come up, or when they are many. */
static void sweep(fw_dispatch *dispatch)
{
    size_t waiting = 0;
    /* Relaxed: a figure. */
    size_t dead = fw_load_relaxed(&dispatch->dead);
    if (dead < DEAD_MIN)
        return;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        waiting += dispatch->groups.waiting[level];
    if (dead < waiting / 2)
        return;
    fw_store_relaxed(&dispatch->dead, 0);
    fw_limits_let_go(dispatch);
    fw_groups_sweep(dispatch);
    fw_keys_sweep(dispatch);
}

/* Gives the group's tasks up to that order. */
static void give_group(fw_dispatch *dispatch, fw_group *group, unsigned level, uint64_t until)
{
    do {
        size_t most = SIZE_MAX;
        if (FW_UNLIKELY(group->limit))
            most = fw_limit_room(dispatch, group->limit);
        if (FW_UNLIKELY(most == 0)) {
            if (fw_limit_hold(dispatch, group->limit))
                return;
            continue;
        }
        fw_place *place = fw_place_choose(group, level);
        if (!place) {
            group->blocked = dispatch->groups.round;
            dispatch->local_blocked |= group->local;
            return;
        }
        if (place->number == FW_LOCAL) {
            fw_local_give(dispatch, group, level, until, most);
        } else if (fw_hold_has_room(place)) {
            fw_hold_give(place, fw_group_take(&dispatch->groups, group, level), group->limit);
        } else {
            /* No memory for more holds: it has no more than that. */
            place->holds_max = fw_place_in_hand(place);
            fw_place_size(place);
            fw_place_settle(place);
        }
    } while (group->lines[level].first && fw_order_of(group->lines[level].first) <= until);
}

static void give(fw_dispatch *dispatch)
{
    fw_groups *groups = &dispatch->groups;
    dispatch->local_blocked = false;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        uint64_t until;
        if (groups->active_count[level] == 0 || (dispatch->limits.closed & 1u << level))
            continue;
        groups->round++;
        for (fw_group *group; (group = fw_groups_oldest(groups, level, &until));)
            give_group(dispatch, group, level, until);
        if (dispatch->local_out_count > 0)
            fw_local_flush(dispatch, level);
    }
#ifdef FW_CHECK
    /* D2: who waits and may start has no place. */
    for (unsigned level = 0; level < FW_LEVELS; level++)
        for (size_t i = 0;
             !(dispatch->limits.closed & 1u << level) && i < groups->active_count[level]; i++)
            FW_ASSERT(!fw_place_choose(groups->active[level][i], level));
#endif
}

static void show(fw_dispatch *dispatch)
{
    const fw_groups *groups = &dispatch->groups;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        const fw_task *oldest = NULL;
        /* Relaxed: the duty's own. */
        if (groups->waiting[level] == 0 && fw_load_relaxed(&dispatch->waiting[level]) == 0)
            continue;
        for (size_t i = 0; i < groups->active_count[level]; i++) {
            const fw_task *first = groups->active[level][i]->lines[level].first;
            if (!oldest || fw_order_of(first) < fw_order_of(oldest))
                oldest = first;
        }
        /* Relaxed, all: figures. */
        fw_store_relaxed(&dispatch->waiting[level], groups->waiting[level]);
        fw_store_relaxed(&dispatch->held[level], dispatch->limits.closed & 1u << level
                                                     ? groups->waiting[level]
                                                     : groups->held[level]);
        fw_store_relaxed(&dispatch->oldest_wall_ns[level], oldest ? oldest->created_wall_ns : 0);
    }
}

static void go_home(fw_dispatch *dispatch, bool closed)
{
    if (dispatch->homecoming.count == 0)
        return;
    if (!closed) {
        fw_groups_put_back(&dispatch->groups, &dispatch->homecoming);
        return;
    }
    while (dispatch->homecoming.first) {
        fw_task *task = dispatch->homecoming.first;
        dispatch->homecoming.first = fw_line_next(task);
        fw_dispatch_drop(dispatch, task);
    }
    dispatch->homecoming = (fw_line){0};
}

static void stop_hands(fw_dispatch *dispatch)
{
    for (uint32_t number = 1; number <= FW_PLACES_MAX; number++) {
        fw_place *place = fw_place_of(dispatch, number);
        if (place && fw_place_in_hand(place) > 0)
            fw_holds_lose(place, true);
    }
}

static void play(fw_dispatch *dispatch)
{
    bool closed = fw_dispatch_is_closed(dispatch);
    dispatch->more = false;
    dispatch->now_ns = 0;
    /* Relaxed: whoever sets it calls after that. */
    if (FW_UNLIKELY(fw_load_relaxed(&dispatch->wanted)))
        fw_dispatch_engage(dispatch);
    fw_places_change(dispatch);
    fw_local_learn(dispatch);
    fw_holds_collect(dispatch);
    if (FW_UNLIKELY(fw_limits_matter(&dispatch->limits)))
        fw_limits_look(dispatch);
    if (FW_UNLIKELY(closed)) {
        dispatch->recall = 0;
        fw_limits_let_go(dispatch);
        if (fw_load_relaxed(&dispatch->in_hand) > 0)
            stop_hands(dispatch);
        fw_keys_drop(dispatch);
        fw_groups_drop(dispatch);
    }
    go_home(dispatch, closed);
    fw_places_settle(dispatch);
    fw_local_recall(dispatch);
    take_inbox(dispatch, closed);
    if (!closed) {
        sweep(dispatch);
        /* Relaxed: whoever sets it calls after that. */
        if (FW_UNLIKELY(fw_load_relaxed(&dispatch->shed_asked)))
            fw_dispatch_shed_asked(dispatch);
        fw_local_collect(dispatch);
        give(dispatch);
        fw_local_await(dispatch);
        fw_holds_send(dispatch);
        if (FW_UNLIKELY(dispatch->limits.used))
            fw_limits_await(dispatch);
    }
    show(dispatch);
}

/* --- The duty --- */

static void work(fw_dispatch *dispatch, uint64_t seen)
{
    /* When the engine ends there is no timer thread any more. */
    for (unsigned round = 1; round <= ROUNDS_MAX || fw_dispatch_is_closed(dispatch); round++) {
        play(dispatch);
        if (!dispatch->more && !fw_baton_pass(&dispatch->baton, &seen))
            return;
    }
    fw_baton_lay(&dispatch->baton);
    fw_timers_nudge(dispatch->engine->timers, fw_now_ns());
}

void fw_dispatch_pump(fw_dispatch *dispatch)
{
    uint64_t seen;
    if (fw_baton_call(&dispatch->baton, &seen))
        work(dispatch, seen);
}

bool fw_dispatch_look(fw_engine *engine)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    uint64_t seen;
    if (!dispatch || !fw_baton_pick(&dispatch->baton, &seen))
        return false;
    work(dispatch, seen);
    return fw_baton_lies(&dispatch->baton);
}

void fw_dispatch_engage(fw_dispatch *dispatch)
{
    if (fw_engine_dispatches(dispatch->engine))
        return;
    dispatch->recall = (1u << FW_LEVELS) - 1;
    /* [engine-dispatches] seq_cst: the dispatcher; before the look at threads. */
    fw_store_seq_cst(&dispatch->engine->dispatches, true);
    fw_local_begin(dispatch);
}

/* --- The door --- */

void fw_dispatch_enqueue(fw_engine *engine, fw_prio level, fw_task *const *tasks, size_t count)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (count == 0)
        return;
    fw_overflow_push(&dispatch->inbox[level], (fw_work_node *const *)(const void *)tasks, count);
    fw_dispatch_pump(dispatch);
}

void fw_dispatch_begin(fw_engine *engine)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    /* Relaxed: the call orders it. */
    fw_store_relaxed(&dispatch->wanted, true);
    while (!fw_engine_dispatches(engine)) {
        fw_dispatch_pump(dispatch);
        if (!fw_engine_dispatches(engine))
            sched_yield();
    }
}

void fw_dispatch_flush(fw_engine *engine)
{
    fw_dispatch_pump(fw_engine_dispatcher(engine));
}

void fw_dispatch_note_end(fw_engine *engine)
{
    /* Relaxed: a figure. */
    if ((fw_add_relaxed(&fw_engine_dispatcher(engine)->dead, 1) + 1) % DEAD_MIN == 0)
        fw_dispatch_pump(fw_engine_dispatcher(engine));
}

bool fw_dispatch_knows(const fw_engine *engine, uint32_t name)
{
    const fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (!dispatch)
        return true;
    if (name >= FW_NAMES_MAX)
        return false;
    /* Relaxed, all: a hint. */
    if (dispatch->config.local &&
        (fw_load_relaxed(&dispatch->local_wanted[name / 64]) >> name % 64 & 1))
        return true;
    return fw_load_relaxed(&dispatch->any_knowers) + fw_load_relaxed(&dispatch->knowers[name]) > 0;
}

bool fw_dispatch_place_snapshot(fw_engine *engine, uint32_t number, fw_place_stats *out)
{
    const fw_place *place = fw_place_of(fw_engine_dispatcher(engine), number);
    /* Relaxed, all: figures. */
    if (!place || !fw_load_relaxed(&place->used))
        return false;
    bool local = number == FW_LOCAL && fw_engine_dispatcher(engine)->config.local;
    *out = (fw_place_stats){
        .slots = local ? engine->config.pool.threads : fw_load_relaxed(&place->slots_shown),
        .window = fw_load_relaxed(&place->window),
        .in_hand = fw_load_relaxed(&place->in_hand),
        .given = fw_load_relaxed(&place->given),
        .ended = fw_load_relaxed(&place->ended),
        .returned = fw_load_relaxed(&place->returned),
        .lost = fw_load_relaxed(&place->lost),
        .run_ns = fw_load_relaxed(&place->run_ns),
        .paused = fw_load_relaxed(&place->paused),
    };
    return true;
}

/* Of those whose groups are held too, which show's look does not see. */
static int64_t oldest_of(const fw_dispatch *dispatch, unsigned level)
{
    /* Relaxed: figures. */
    int64_t oldest_ns = fw_load_relaxed(&dispatch->oldest_wall_ns[level]);
    const fw_limit *limit = fw_limits_first(&dispatch->limits);
    for (; limit; limit = limit->next) {
        /* Relaxed: as above. */
        int64_t ns = fw_load_relaxed(&limit->oldest_wall_ns[level]);
        if (ns != 0 && (oldest_ns == 0 || ns < oldest_ns))
            oldest_ns = ns;
        const fw_keyed *keyed = fw_limit_keyed(limit);
        ns = keyed ? fw_load_relaxed(&keyed->oldest_wall_ns[level]) : 0;
        if (ns != 0 && (oldest_ns == 0 || ns < oldest_ns))
            oldest_ns = ns;
    }
    return oldest_ns;
}

void fw_dispatch_snapshot(fw_engine *engine, fw_dispatch_stats *out)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    /* Relaxed, all: figures. */
    *out = (fw_dispatch_stats){
        .engaged = fw_engine_dispatches(engine),
        .places = fw_load_relaxed(&dispatch->attached),
        .in_hand = fw_load_relaxed(&dispatch->in_hand),
        .given = fw_load_relaxed(&dispatch->given),
        .late = fw_load_relaxed(&dispatch->late),
    };
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        out->waiting[level] =
            fw_load_relaxed(&dispatch->waiting[level]) + fw_overflow_count(&dispatch->inbox[level]);
        out->oldest_wall_ns[level] = oldest_of(dispatch, level);
    }
}

/* --- From its creation to its end --- */

static size_t table_bytes(void)
{
    return ((size_t)FW_PLACES_MAX + 1) * sizeof(fw_atomic(fw_place *));
}

static int add_local(fw_dispatch *dispatch)
{
    fw_place *local = fw_place_make(dispatch, FW_LOCAL);
    if (!local)
        return -FW_ENOMEM;
    dispatch->local = local;
    local->holds_max = LOCAL_MAX;
    local->prefetch = true;
    /* Relaxed: the table publishes it. */
    fw_store_relaxed(&dispatch->local_eager, true);
    /* [place-table] release: the place as it was made. */
    fw_store_release(&dispatch->places[FW_LOCAL], local);
    if (!dispatch->config.local)
        return 0;
    return fw_class_add_local(dispatch);
}

static void free_dispatch(fw_dispatch *dispatch)
{
    for (uint32_t number = 0; dispatch->places && number <= FW_PLACES_MAX; number++) {
        fw_place *place = fw_place_of(dispatch, number);
        if (!place)
            continue;
        fw_holds_free(place);
        free(place);
    }
    while (dispatch->classes) {
        fw_class *class = dispatch->classes;
        dispatch->classes = class->next;
        free(class);
    }
    fw_groups_fini(&dispatch->groups);
    fw_limits_fini(&dispatch->limits);
    fw_pages_unmap(dispatch->places, table_bytes());
    fw_pages_unmap(dispatch, sizeof *dispatch);
}

int fw_dispatch_init(fw_engine *engine, const fw_dispatch_config *config,
                     const fw_dispatch_ops *ops)
{
    FW_ASSERT(!fw_engine_dispatcher(engine) && ops->send);
    if (config->window_max < 1 || config->window_max > FW_WINDOW_MAX || config->prefetch < -1)
        return -FW_EINVAL;
    fw_dispatch *dispatch = fw_pages_map(sizeof *dispatch);
    if (!dispatch)
        return -FW_ENOMEM;
    dispatch->engine = engine;
    dispatch->config = *config;
    dispatch->ops = *ops;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_overflow_init(&dispatch->inbox[level]);
    fw_limits_init(&dispatch->limits);
    int err = fw_groups_init(&dispatch->groups);
    dispatch->places = fw_pages_map(table_bytes());
    if (!err && !dispatch->places)
        err = -FW_ENOMEM;
    if (!err)
        err = add_local(dispatch);
    if (err) {
        free_dispatch(dispatch);
        return err;
    }
    /* [engine-dispatcher] release: the dispatcher as it was made. */
    fw_store_release(&engine->dispatcher, dispatch);
    if (!config->local) {
        /* [engine-dispatches] release: the dispatcher. */
        fw_store_release(&engine->dispatches, true);
    }
    return 0;
}

void fw_dispatch_close(fw_engine *engine)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (!dispatch)
        return;
    /* [dispatch-closed] release: seldom; order costs nothing. */
    fw_store_release(&dispatch->closed, true);
    do {
        fw_dispatch_pump(dispatch);
        sched_yield();
    } while (!fw_baton_is_idle(&dispatch->baton));
}

void fw_dispatch_fini(fw_engine *engine)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    /* Relaxed: nobody else is left. */
    fw_store_relaxed(&engine->dispatcher, NULL);
    if (dispatch)
        free_dispatch(dispatch);
}
