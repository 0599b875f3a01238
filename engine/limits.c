/* engine/limits.c - limits and pauses from any thread: the doors, and the ends of counted runs.
 *
 * Who wants something leaves a wish and calls for a round. See limits_priv.h for the rest.
 * Covered by tests/engine/limits_test.c and tests/engine/limits_stress_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/dispatch_priv.h"

_Static_assert((int)FW_LIMIT_NAMES_MAX == (int)FW_NAMES_MAX, "each name may have a limit");
_Static_assert((int)FW_LIMIT_KEYS_MAX == (int)FW_KEYS_MAX, "as promised");
_Static_assert((int)FW_LIMIT_KEYED_MAX == (int)FW_KEYED_NAMES_MAX, "as promised");

/* --- Wishes --- */

fw_limit_wish *fw_limits_take_wishes(fw_limits *limits)
{
    /* [limit-wish] acquire: what is wished. */
    fw_limit_wish *newest = fw_swap_acq_rel(&limits->wishes, NULL);
    fw_limit_wish *oldest = NULL;
    while (newest) {
        fw_limit_wish *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static int wish_for(fw_engine *engine, const fw_limit_wish *what)
{
    fw_limits *limits = &fw_engine_dispatcher(engine)->limits;
    fw_limit_wish *wish = malloc(sizeof *wish);
    if (!wish)
        return -FW_ENOMEM;
    *wish = *what;
    /* Relaxed: the swap checks it. */
    fw_limit_wish *first = fw_load_relaxed(&limits->wishes);
    do
        wish->next = first;
    /* [limit-wish] release: what is wished. */
    while (!fw_cas_release(&limits->wishes, &first, wish));
    fw_dispatch_pump(fw_engine_dispatcher(engine));
    return 0;
}

/* --- The end of a counted run --- */

bool fw_limit_take_one(fw_limit *limit)
{
    /* Relaxed: a first guess for the compare and swap. */
    uint32_t running = fw_load_relaxed(&limit->running);
    do {
        if (running == 0)
            return false;
        /* [limit-awaited] seq_cst: the run is over; before the look. */
    } while (!fw_cas_seq_cst(&limit->running, &running, running - 1));
    /* [limit-awaited] seq_cst: see awaited-note. */
    return fw_load_seq_cst(&limit->awaited);
}

/* Somebody waits for an end of the name. */
static void list_freed(fw_dispatch *dispatch, fw_limit *limit)
{
    /* [limit-relist] acquire: the duty is through with the link. */
    if (!fw_swap_acq_rel(&limit->freed, true)) {
        /* Relaxed: the swap checks it. */
        fw_limit *first = fw_load_relaxed(&dispatch->limits.freed);
        do
            limit->next_freed = first;
        /* [limit-freed] release: the link. */
        while (!fw_cas_release(&dispatch->limits.freed, &first, limit));
    }
}

void fw_limit_leave(fw_engine *engine, uint32_t name, unsigned line)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    fw_limit *limit = dispatch && name < FW_NAMES_MAX ? fw_limit_of(&dispatch->limits, name) : NULL;
    if (!limit)
        return;
    bool call = fw_limit_take_one(limit);
    if (call)
        list_freed(dispatch, limit);
    if (line != 0 && fw_key_leave(&dispatch->limits.keys, line))
        call = true;
    if (call)
        fw_dispatch_pump(dispatch);
}

/* --- The timer thread --- */

int64_t fw_limit_alarm(fw_engine *engine, int64_t now_ns)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (!dispatch)
        return INT64_MAX;
    /* [limit-alarm] seq_cst: after the announcement (nudge-note in timers.c). */
    int64_t alarm_ns = fw_load_seq_cst(&dispatch->limits.alarm_ns);
    if (alarm_ns > now_ns)
        return alarm_ns;
    /* [limit-alarm] seq_cst: it rings once. If the duty has set another one, that one counts. */
    if (fw_cas_seq_cst(&dispatch->limits.alarm_ns, &alarm_ns, INT64_MAX))
        fw_dispatch_pump(dispatch);
    /* [limit-alarm] seq_cst: as above. */
    return fw_load_seq_cst(&dispatch->limits.alarm_ns);
}

/* --- The doors --- */

/* Finds or makes the name's. NULL: no memory. */
static fw_limit *get(fw_limits *limits, uint32_t name)
{
    fw_limit *limit = fw_limit_of(limits, name);
    if (limit)
        return limit;
    fw_limit *made = aligned_alloc(FW_APART, sizeof *made);
    if (!made)
        return NULL;
    *made = (fw_limit){.name = name, .due_ns = INT64_MAX};
    /* [limit-name] release: the limit as it was made.
     * [limit-name] acquire: or as another thread did. */
    if (!fw_cas_acq_rel(&limits->of_name[name], &limit, made)) {
        free(made);
        return limit;
    }
    /* Relaxed: the swap checks it. */
    fw_limit *first = fw_load_relaxed(&limits->all);
    do
        made->next = first;
    /* [limit-all] release: the limit as it was made. */
    while (!fw_cas_release(&limits->all, &first, made));
    return made;
}

int fw_limit_set(fw_engine *engine, uint32_t name, uint32_t max_running, double rate_per_s,
                 uint32_t burst)
{
    fw_tokens trial = {0};
    if (name >= FW_NAMES_MAX || !fw_tokens_set(&trial, rate_per_s, burst, 0))
        return -FW_EINVAL;
    fw_limit_wish wish = {.what = FW_WISH_LIMIT,
                          .limit = get(&fw_engine_dispatcher(engine)->limits, name),
                          .max_running = max_running,
                          .burst = burst,
                          .rate_per_s = rate_per_s};
    return wish.limit ? wish_for(engine, &wish) : -FW_ENOMEM;
}

void fw_limit_key_by(fw_engine *engine, fw_span (*key_of)(void *context, fw_task *task),
                     void *context)
{
    fw_key_table *keys = &fw_engine_dispatcher(engine)->limits.keys;
    keys->key_of = key_of;
    keys->context = context;
}

/* So that the name may have a limit per key. */
static int make_keyed(fw_limits *limits, fw_limit *limit)
{
    if (fw_limit_keyed(limit))
        return 0;
    /* Relaxed: a number of its own. One that two threads made at once is used up, no more. */
    uint32_t number = fw_add_relaxed(&limits->keys.names, 1);
    if (number >= FW_KEYED_NAMES_MAX) {
        fw_sub_relaxed(&limits->keys.names, 1);
        return -FW_EFULL;
    }
    fw_keyed *made = fw_keyed_make(limit, number), *other = NULL;
    if (!made)
        return -FW_ENOMEM;
    /* [limit-keyed] release: as it was made.
     * [limit-keyed] acquire: or as another thread did. */
    if (!fw_cas_acq_rel(&limit->keyed, &other, made))
        free(made);
    return 0;
}

int fw_limit_set_keys(fw_engine *engine, uint32_t name, uint32_t max_running, double rate_per_s,
                      uint32_t burst)
{
    fw_limits *limits = &fw_engine_dispatcher(engine)->limits;
    fw_tokens trial = {0};
    if (name >= FW_NAMES_MAX || !fw_tokens_set(&trial, rate_per_s, burst, 0))
        return -FW_EINVAL;
    fw_limit_wish wish = {.what = FW_WISH_KEYS,
                          .limit = get(limits, name),
                          .max_running = max_running,
                          .burst = burst,
                          .rate_per_s = rate_per_s};
    /* Nothing is taken away where there is nothing. */
    if (wish.limit && max_running == 0 && rate_per_s == 0 && !fw_limit_keyed(wish.limit))
        return 0;
    int err = wish.limit ? make_keyed(limits, wish.limit) : -FW_ENOMEM;
    return err ? err : wish_for(engine, &wish);
}

int fw_limit_pause(fw_engine *engine, fw_pause_scope scope, uint32_t which, int64_t until_ns)
{
    fw_limit_wish wish = {
        .what = FW_WISH_PAUSE, .scope = scope, .level = which, .until_ns = until_ns};
    if (until_ns < 0 || (scope == FW_PAUSE_LEVEL && which >= FW_LEVELS) ||
        (scope == FW_PAUSE_NAME && which >= FW_NAMES_MAX))
        return -FW_EINVAL;
    if (scope == FW_PAUSE_NAME) {
        wish.limit = get(&fw_engine_dispatcher(engine)->limits, which);
        if (!wish.limit)
            return -FW_ENOMEM;
    }
    return wish_for(engine, &wish);
}

static void view_keys(const fw_keyed *keyed, fw_limit_view *view)
{
    /* Relaxed, all: figures. */
    view->key_max_running = fw_load_relaxed(&keyed->max_running_shown);
    view->key_burst = fw_load_relaxed(&keyed->burst_shown);
    view->key_rate_per_s = fw_load_relaxed(&keyed->rate_shown);
    view->keys = fw_load_relaxed(&keyed->keys);
    view->keys_shares = fw_load_relaxed(&keyed->shares);
}

void fw_limit_each(fw_engine *engine, bool (*visit)(void *context, const fw_limit_view *limit),
                   void *context)
{
    const fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    for (const fw_limit *limit = fw_limits_first(&dispatch->limits); limit; limit = limit->next) {
        /* Relaxed, all: figures. */
        fw_limit_view view = {
            .name = limit->name,
            .max_running = fw_load_relaxed(&limit->max_running_shown),
            .burst = fw_load_relaxed(&limit->burst_shown),
            .rate_per_s = fw_load_relaxed(&limit->rate_shown),
            .paused_until_ns = fw_load_relaxed(&limit->paused_shown),
            .running = fw_load_relaxed(&limit->running),
            .held = fw_load_relaxed(&limit->held_shown),
        };
        for (unsigned level = 0; level < FW_LEVELS; level++)
            view.waiting[level] = fw_load_relaxed(&limit->waiting[level]);
        const fw_keyed *keyed = fw_limit_keyed(limit);
        if (keyed)
            view_keys(keyed, &view);
        bool limited = view.max_running > 0 || view.burst > 0 || view.paused_until_ns != 0 ||
                       view.key_max_running > 0 || view.key_burst > 0;
        if (limited && !visit(context, &view))
            return;
    }
}

void fw_limit_pauses(fw_engine *engine, fw_pause_view *out)
{
    const fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    /* Relaxed, all: figures. */
    out->all_until_ns = fw_load_relaxed(&dispatch->limits.all_shown);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        out->level_until_ns[level] = fw_load_relaxed(&dispatch->limits.level_shown[level]);
        out->held[level] = fw_load_relaxed(&dispatch->held[level]);
    }
}

/* --- When the engine drains --- */

typedef struct search {
    const fw_limits *limits;
    int64_t until_ns;
    bool found;
} search;

static bool is_paused(const search *s, uint32_t name, unsigned level)
{
    const fw_limit *limit = name < FW_NAMES_MAX ? fw_limit_of(s->limits, name) : NULL;
    /* Relaxed, all: figures. */
    return fw_load_relaxed(&s->limits->all_shown) > s->until_ns ||
           fw_load_relaxed(&s->limits->level_shown[level]) > s->until_ns ||
           (limit && fw_load_relaxed(&limit->paused_shown) > s->until_ns);
}

/* Something that runs or will. */
static bool find_moving(void *context, fw_task *task)
{
    search *s = context;
    fw_state state = fw_task_state(task);
    if (!fw_state_is_terminal(state))
        s->found = state != FW_QUEUED || !is_paused(s, task->name, task->level);
    return !s->found;
}

bool fw_limits_block(fw_engine *engine, size_t live, int64_t until_ns)
{
    const fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    size_t held = 0;
    if (!dispatch)
        return false;
    /* Relaxed: a figure. Lines hold tasks that have ended as well, so it may be too many. */
    for (unsigned level = 0; level < FW_LEVELS; level++)
        held += fw_load_relaxed(&dispatch->held[level]);
    if (held < live)
        return false;
    search s = {&dispatch->limits, until_ns, false};
    fw_engine_each(engine, find_moving, &s);
    return !s.found;
}

/* --- From the dispatcher's creation to its end --- */

void fw_limits_init(fw_limits *limits)
{
    limits->due_ns = INT64_MAX;
    /* Relaxed: the dispatcher's pointer publishes it. */
    fw_store_relaxed(&limits->alarm_ns, INT64_MAX);
}

void fw_limits_fini(fw_limits *limits)
{
    fw_limit_wish *wish = fw_limits_take_wishes(limits);
    while (wish) {
        fw_limit_wish *next = wish->next;
        free(wish);
        wish = next;
    }
    /* Relaxed: nobody else is left. */
    fw_limit *limit = fw_load_relaxed(&limits->all);
    while (limit) {
        fw_limit *next = limit->next;
        free(fw_limit_keyed(limit));
        free(limit);
        limit = next;
    }
    fw_key_table_fini(&limits->keys);
}
