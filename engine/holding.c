/* engine/holding.c - limits and pauses under the dispatcher's duty: what may start now.
 *
 * Wishes are fulfilled in the order in which they were made. The clock is looked at only while
 * something is due some day: a token for a name that is held, or the end of a pause. The timer
 * thread calls for a round then.
 * Covered by tests/engine/limits_test.c and tests/engine/limits_stress_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/dispatch_priv.h"

int64_t fw_limits_now(fw_dispatch *dispatch)
{
    if (dispatch->limits.now_ns == 0)
        dispatch->limits.now_ns = dispatch->config.now_ns ? dispatch->config.now_ns() : fw_now_ns();
    return dispatch->limits.now_ns;
}

/* --- One limit, under the duty --- */

size_t fw_limit_room(fw_dispatch *dispatch, const fw_limit *limit)
{
    size_t room = SIZE_MAX;
    if (limit->paused_until_ns != 0)
        return 0;
    if (limit->max_running > 0) {
        /* [limit-awaited] seq_cst: see awaited-note. */
        uint32_t running = fw_load_seq_cst(&limit->running);
        room = running < limit->max_running ? limit->max_running - running : 0;
    }
    if (room > 0 && limit->tokens.interval_ns > 0) {
        size_t left = fw_tokens_room(&limit->tokens, fw_limits_now(dispatch));
        room = left < room ? left : room;
    }
    return room;
}

void fw_limit_take(fw_dispatch *dispatch, fw_limit *limit)
{
    /* Relaxed: only what it comes to. */
    fw_add_relaxed(&limit->running, 1);
    if (limit->tokens.interval_ns > 0)
        fw_tokens_take(&limit->tokens, fw_limits_now(dispatch));
}

void fw_limit_untake(fw_dispatch *dispatch, fw_limit *limit)
{
    if (fw_limit_is_keyed(limit))
        fw_keys_untake(dispatch, limit);
}

fw_key_line *fw_limit_line(const fw_limit *limit)
{
    const fw_keyed *keyed = fw_limit_keyed(limit);
    return keyed && keyed->on && keyed->last != &keyed->plain ? keyed->last : NULL;
}

static void set_due(fw_limits *limits, fw_limit *limit)
{
    limit->due_ns = INT64_MAX;
    if (limit->paused_until_ns != 0)
        limit->due_ns = limit->paused_until_ns;
    else if (limit->group && limit->group->held && limit->tokens.interval_ns > 0)
        limit->due_ns = fw_tokens_due(&limit->tokens, FW_LIMIT_PACE_NS);
    if (limit->due_ns < limits->due_ns)
        limits->due_ns = limit->due_ns;
}

bool fw_limit_hold(fw_dispatch *dispatch, fw_limit *limit)
{
    /* Also if it is no longer full: the run that ended since we looked has told nobody. */
    if (limit->paused_until_ns == 0 && limit->max_running > 0) {
        /* [limit-awaited] seq_cst: before the second look. */
        fw_store_seq_cst(&limit->awaited, true);
        if (fw_limit_room(dispatch, limit) > 0) {
            /* Relaxed: a hint; who saw it calls for a round, no more. */
            fw_store_relaxed(&limit->awaited, false);
            return false;
        }
    }
    fw_group_hold(&dispatch->groups, limit->group);
    /* Relaxed: a figure. */
    fw_store_relaxed(&limit->held_shown, true);
    set_due(&dispatch->limits, limit);
    return true;
}

static void let_go(fw_dispatch *dispatch, fw_limit *limit)
{
    if (!limit->group || !limit->group->held)
        return;
    fw_group_let_go(&dispatch->groups, limit->group);
    /* Relaxed, both: a hint; a figure. */
    fw_store_relaxed(&limit->awaited, false);
    fw_store_relaxed(&limit->held_shown, false);
    set_due(&dispatch->limits, limit);
}

void fw_limits_let_go(fw_dispatch *dispatch)
{
    for (fw_limit *limit = fw_limits_first(&dispatch->limits); limit; limit = limit->next)
        let_go(dispatch, limit);
}

/* Gets its name a group of its own. Without memory the name stays among the others, as if nothing
 * had been asked for. */
static void set_apart(fw_dispatch *dispatch, fw_limit *limit)
{
    fw_groups *groups = &dispatch->groups;
    limit->mark = fw_class_mark(dispatch);
    if (fw_groups_set_apart(groups, limit->mark, limit->name)) {
        limit->max_running = 0;
        limit->tokens = (fw_tokens){0};
        limit->paused_until_ns = 0;
        return;
    }
    limit->group = fw_groups_of_name(groups, limit->name);
    limit->group->limit = limit;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_limit_note(limit, level, limit->group->lines[level].count);
    fw_dispatch_engage(dispatch);
}

static void put_back(fw_dispatch *dispatch, fw_limit *limit)
{
    limit->group->limit = NULL;
    limit->group = NULL;
    /* Relaxed: a figure. */
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_store_relaxed(&limit->waiting[level], 0);
    int err = fw_groups_set_apart(&dispatch->groups, limit->mark, limit->name);
    FW_ASSERT(err == 0);
}

/* What is asked of the name has changed. */
static void update(fw_dispatch *dispatch, fw_limit *limit)
{
    bool wanted = limit->max_running > 0 || limit->tokens.interval_ns > 0 ||
                  limit->paused_until_ns != 0 || fw_limit_is_keyed(limit);
    let_go(dispatch, limit);
    if (wanted && !limit->group)
        set_apart(dispatch, limit);
    else if (!wanted && limit->group)
        put_back(dispatch, limit);
    set_due(&dispatch->limits, limit);
    /* Relaxed, all: figures. */
    fw_store_relaxed(&limit->max_running_shown, limit->max_running);
    fw_store_relaxed(&limit->rate_shown, limit->tokens.interval_ns > 0 ? limit->rate_per_s : 0);
    fw_store_relaxed(&limit->burst_shown, (uint32_t)limit->tokens.burst);
    fw_store_relaxed(&limit->paused_shown, limit->paused_until_ns);
}

/* --- Levels, and everything --- */

/* Whether it lasts; if so, and it has an end, that is to be looked at. */
static bool lasts(fw_dispatch *dispatch, int64_t *until_ns)
{
    fw_limits *limits = &dispatch->limits;
    if (*until_ns != 0 && *until_ns != FW_PAUSE_FOREVER && *until_ns <= fw_limits_now(dispatch))
        *until_ns = 0;
    if (*until_ns != 0 && *until_ns < limits->due_ns)
        limits->due_ns = *until_ns;
    return *until_ns != 0;
}

static void close_levels(fw_dispatch *dispatch)
{
    fw_limits *limits = &dispatch->limits;
    limits->closed = lasts(dispatch, &limits->all_until_ns) ? (1u << FW_LEVELS) - 1 : 0;
    /* Relaxed, all: figures. */
    fw_store_relaxed(&limits->all_shown, limits->all_until_ns);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        limits->closed |= (unsigned)lasts(dispatch, &limits->level_until_ns[level]) << level;
        fw_store_relaxed(&limits->level_shown[level], limits->level_until_ns[level]);
    }
}

/* --- Wishes --- */

static void set_limit(fw_dispatch *dispatch, const fw_limit_wish *wish)
{
    fw_limit *limit = wish->limit;
    limit->max_running = wish->max_running;
    bool valid =
        fw_tokens_set(&limit->tokens, wish->rate_per_s, wish->burst, fw_limits_now(dispatch));
    FW_ASSERT(valid);
    limit->rate_per_s = wish->rate_per_s;
    update(dispatch, limit);
}

/* Its keys'. */
static void set_keys(fw_dispatch *dispatch, const fw_limit_wish *wish)
{
    fw_limit *limit = wish->limit;
    fw_keyed *keyed = fw_limit_keyed(limit);
    bool wanted = wish->max_running > 0 || wish->rate_per_s > 0;
    keyed->max_running = wish->max_running;
    keyed->rate_per_s = wish->rate_per_s;
    keyed->burst = wish->burst;
    keyed->rule = (fw_tokens){0};
    bool valid = fw_tokens_set(&keyed->rule, wish->rate_per_s, wish->burst, 0);
    FW_ASSERT(valid);
    let_go(dispatch, limit);
    if (wanted && !limit->group)
        set_apart(dispatch, limit);
    /* Without memory as if nothing had been asked for. */
    wanted = wanted && limit->group;
    if (wanted && keyed->on)
        fw_keys_change(dispatch, limit);
    else if (wanted)
        fw_keys_begin(dispatch, limit);
    else if (keyed->on)
        fw_keys_end(dispatch, limit);
    update(dispatch, limit);
    /* Relaxed, all: figures. */
    fw_store_relaxed(&keyed->max_running_shown, wanted ? keyed->max_running : 0);
    fw_store_relaxed(&keyed->rate_shown, wanted ? keyed->rate_per_s : 0);
    fw_store_relaxed(&keyed->burst_shown, wanted ? (uint32_t)keyed->rule.burst : 0);
}

static void end_all_pauses(fw_dispatch *dispatch)
{
    for (unsigned level = 0; level < FW_LEVELS; level++)
        dispatch->limits.level_until_ns[level] = 0;
    for (fw_limit *limit = fw_limits_first(&dispatch->limits); limit; limit = limit->next) {
        if (limit->paused_until_ns == 0)
            continue;
        limit->paused_until_ns = 0;
        update(dispatch, limit);
    }
}

static void set_pause(fw_dispatch *dispatch, const fw_limit_wish *wish)
{
    fw_limits *limits = &dispatch->limits;
    if (wish->scope == FW_PAUSE_NAME) {
        wish->limit->paused_until_ns = wish->until_ns;
        update(dispatch, wish->limit);
        return;
    }
    if (wish->scope == FW_PAUSE_LEVEL)
        limits->level_until_ns[wish->level] = wish->until_ns;
    else
        limits->all_until_ns = wish->until_ns;
    if (wish->scope == FW_PAUSE_ALL && wish->until_ns == 0)
        end_all_pauses(dispatch);
    close_levels(dispatch);
    if (limits->closed != 0)
        fw_dispatch_engage(dispatch);
}

static void fulfil(fw_dispatch *dispatch)
{
    fw_limit_wish *wish = fw_limits_take_wishes(&dispatch->limits);
    while (wish) {
        fw_limit_wish *next = wish->next;
        if (wish->what == FW_WISH_LIMIT)
            set_limit(dispatch, wish);
        else if (wish->what == FW_WISH_KEYS)
            set_keys(dispatch, wish);
        else
            set_pause(dispatch, wish);
        free(wish);
        wish = next;
    }
}

/* --- A round --- */

/* Runs of theirs have ended while they were held. */
static void take_freed(fw_dispatch *dispatch)
{
    /* [limit-freed] acquire: the links. */
    fw_limit *list = fw_swap_acq_rel(&dispatch->limits.freed, NULL);
    while (list) {
        fw_limit *limit = list;
        list = limit->next_freed;
        /* [limit-relist] release: we are through with the link. */
        fw_store_release(&limit->freed, false);
        let_go(dispatch, limit);
    }
}

static void ring(fw_dispatch *dispatch)
{
    fw_limits *limits = &dispatch->limits;
    limits->due_ns = INT64_MAX;
    close_levels(dispatch);
    for (fw_limit *limit = fw_limits_first(&dispatch->limits); limit; limit = limit->next) {
        if (limit->due_ns > fw_limits_now(dispatch)) {
            limits->due_ns = limit->due_ns < limits->due_ns ? limit->due_ns : limits->due_ns;
        } else if (limit->paused_until_ns != 0) {
            limit->paused_until_ns = 0;
            update(dispatch, limit);
        } else {
            let_go(dispatch, limit);
        }
    }
    fw_keys_ring(dispatch);
}

void fw_limits_look(fw_dispatch *dispatch)
{
    fw_limits *limits = &dispatch->limits;
    limits->used = true;
    limits->now_ns = 0;
    /* Relaxed, both: only whether there are any; whoever put them in calls after that. */
    if (fw_load_relaxed(&limits->wishes))
        fulfil(dispatch);
    if (fw_load_relaxed(&limits->freed))
        take_freed(dispatch);
    fw_keys_collect(dispatch);
    if (limits->due_ns != INT64_MAX && limits->due_ns <= fw_limits_now(dispatch))
        ring(dispatch);
}

void fw_limits_await(fw_dispatch *dispatch)
{
    fw_limits *limits = &dispatch->limits;
    fw_keys_look_on(dispatch);
    /* Relaxed: if it rings at this moment, there will be another round. */
    if (dispatch->config.now_ns || fw_load_relaxed(&limits->alarm_ns) == limits->due_ns)
        return;
    /* [limit-alarm] seq_cst: before the look at the sleeper (nudge-note in timers.c). */
    fw_store_seq_cst(&limits->alarm_ns, limits->due_ns);
    fw_timers_nudge(dispatch->engine->timers, limits->due_ns);
}

void fw_limit_come_back(fw_dispatch *dispatch, uint32_t name, fw_key_line *line, bool unused)
{
    fw_limit *limit = fw_limit_of(&dispatch->limits, name);
    if (unused && limit->tokens.interval_ns > 0)
        fw_tokens_give_back(&limit->tokens);
    if (fw_limit_take_one(limit) || unused)
        let_go(dispatch, limit);
    if (line)
        fw_keys_come_back(dispatch, line, unused);
}
