/* engine/limits_keys.c - limits per key, under the duty: lines of keys, and the rings of those that
 * may go on.
 *
 * What the name's group shows of a level, lines[level], is the first task of the first key in the
 * ring, and as count what waits in ready keys; waiting tasks of other keys count as held.
 * After whatever changes a key, settle() sees to it that it is ready if and only if something of it
 * waits and may start, that it is woken when it is due, and that it is free if nothing is left.
 * Covered by tests/engine/limits_keys_test.c and tests/engine/limits_keys_stress_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/dispatch_priv.h"

enum { LOOKS = 8 };

/* --- What the group shows --- */

/* The ring's first, after the ring has changed. */
static void show_first(fw_groups *groups, fw_limit *limit, unsigned level)
{
    fw_line *shown = &limit->group->lines[level];
    const fw_key_line *first = fw_limit_keyed(limit)->ring[level];
    bool was = shown->first != NULL;
    shown->first = first ? first->lines[level].first : NULL;
    if (limit->group->held || was == (first != NULL))
        return;
    if (was)
        fw_group_deactivate(groups, limit->group, level);
    else
        fw_group_activate(groups, limit->group, level);
}

static void join_ring(fw_keyed *keyed, fw_key_line *line, unsigned level)
{
    fw_key_line **ring = &keyed->ring[level];
    if (!*ring) {
        line->ring_next[level] = line->ring_prev[level] = line;
        *ring = line;
        return;
    }
    fw_key_line *last = (*ring)->ring_prev[level];
    line->ring_next[level] = *ring;
    line->ring_prev[level] = last;
    last->ring_next[level] = line;
    (*ring)->ring_prev[level] = line;
}

static void leave_ring(fw_keyed *keyed, fw_key_line *line, unsigned level)
{
    fw_key_line **ring = &keyed->ring[level];
    if (line->ring_next[level] == line) {
        *ring = NULL;
        return;
    }
    line->ring_prev[level]->ring_next[level] = line->ring_next[level];
    line->ring_next[level]->ring_prev[level] = line->ring_prev[level];
    if (*ring == line)
        *ring = line->ring_next[level];
}

/* So many tasks of the level more in the key's line, or less; the figures follow. */
static void count(fw_groups *groups, fw_key_line *line, unsigned level, size_t more)
{
    line->waiting += more;
    groups->waiting[level] += more;
    fw_limit_note(line->limit, level, more);
    if (line->ready)
        line->limit->group->lines[level].count += more;
    if (!line->ready || line->limit->group->held)
        groups->held[level] += more;
}

static void set_ready(fw_groups *groups, fw_key_line *line, bool ready)
{
    fw_keyed *keyed = fw_limit_keyed(line->limit);
    fw_group *group = line->limit->group;
    line->ready = ready;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        size_t waiting = line->lines[level].count;
        if (waiting == 0)
            continue;
        if (ready)
            join_ring(keyed, line, level);
        else
            leave_ring(keyed, line, level);
        group->lines[level].count += ready ? waiting : -waiting;
        if (!group->held)
            groups->held[level] += ready ? -waiting : waiting;
        show_first(groups, line->limit, level);
    }
}

/* --- One key --- */

static bool is_full(const fw_keyed *keyed, const fw_key_line *line)
{
    return keyed->max_running > 0 && line->running >= keyed->max_running;
}

static bool has_room(fw_dispatch *dispatch, const fw_keyed *keyed, const fw_key_line *line)
{
    if (line == &keyed->plain || !keyed->on)
        return true;
    return !is_full(keyed, line) && (line->tokens.interval_ns == 0 ||
                                     fw_tokens_room(&line->tokens, fw_limits_now(dispatch)) > 0);
}

/* When it is to be looked at without anybody's call: a token, or the last of them. */
static int64_t due_of(fw_dispatch *dispatch, const fw_keyed *keyed, const fw_key_line *line)
{
    if (line->tokens.interval_ns == 0 || line->ready)
        return INT64_MAX;
    if (line->waiting > 0)
        return is_full(keyed, line) ? INT64_MAX : fw_tokens_due(&line->tokens, FW_LIMIT_PACE_NS);
    if (line->running > 0 || line->shared || line->tokens.full_ns <= fw_limits_now(dispatch))
        return INT64_MAX;
    return line->tokens.full_ns;
}

static void settle(fw_dispatch *dispatch, fw_key_line *line)
{
    fw_limits *limits = &dispatch->limits;
    fw_keyed *keyed = fw_limit_keyed(line->limit);
    bool ready = line->waiting > 0 && has_room(dispatch, keyed, line);
    if (ready != line->ready)
        set_ready(&dispatch->groups, line, ready);
    int64_t due_ns = due_of(dispatch, keyed, line);
    fw_key_set_due(&limits->keys, line, due_ns);
    if (due_ns < limits->due_ns)
        limits->due_ns = due_ns;
    if (line->waiting == 0 && line->running == 0 && due_ns == INT64_MAX && !line->shared)
        fw_key_free(&limits->keys, line);
}

/* The line for a task; what finds none of its own shares one. */
static fw_key_line *line_of(fw_dispatch *dispatch, fw_limit *limit, fw_task *task)
{
    fw_key_table *table = &dispatch->limits.keys;
    fw_keyed *keyed = fw_limit_keyed(limit);
    fw_span text = table->key_of ? table->key_of(table->context, task) : (fw_span){0};
    if (text.len == 0)
        return &keyed->plain;
    if (text.len > FW_ID_MAX)
        text.len = FW_ID_MAX;
    fw_key key = fw_key_from_text(text);
    fw_key_line *line = fw_key_find(table, limit, key);
    if (line)
        return line;
    fw_key_line *shared = &keyed->shared[fw_key_hash(key) >> 32 & (FW_KEY_SHARED - 1)];
    if (shared->waiting == 0 && shared->running == 0 &&
        (shared->tokens.interval_ns == 0 || shared->tokens.full_ns <= fw_limits_now(dispatch)))
        line = fw_key_make(table, limit, key);
    if (line)
        return line;
    fw_count(&keyed->shares, 1);
    return shared;
}

/* The key has more tasks of the level at one of the ends of its line. */
static void grow(fw_dispatch *dispatch, fw_key_line *line, unsigned level, size_t more)
{
    fw_groups *groups = &dispatch->groups;
    count(groups, line, level, more);
    if (line->ready && line->lines[level].count == more)
        join_ring(fw_limit_keyed(line->limit), line, level);
    if (line->ready)
        show_first(groups, line->limit, level);
    settle(dispatch, line);
}

/* The level's line of the key has so many less, or other ones before the rest. */
static void shrink(fw_dispatch *dispatch, fw_key_line *line, unsigned level, size_t less)
{
    fw_groups *groups = &dispatch->groups;
    if (less == 0)
        return;
    count(groups, line, level, -less);
    if (line->ready && line->lines[level].count == 0)
        leave_ring(fw_limit_keyed(line->limit), line, level);
    if (line->ready)
        show_first(groups, line->limit, level);
}

void fw_keys_add(fw_dispatch *dispatch, fw_limit *limit, fw_task *task)
{
    fw_key_line *line = line_of(dispatch, limit, task);
    fw_line_append(&line->lines[task->level], task);
    grow(dispatch, line, task->level, 1);
}

void fw_keys_put_back(fw_dispatch *dispatch, fw_limit *limit, unsigned level, fw_line *tasks)
{
    while (tasks->count > 0) {
        fw_line one = {0};
        fw_line_append(&one, fw_line_take(tasks));
        fw_key_line *line = line_of(dispatch, limit, one.first);
        fw_line_merge(&line->lines[level], &one);
        grow(dispatch, line, level, 1);
    }
}

/* --- Giving out --- */

static bool is_limited(const fw_key_line *line)
{
    return line && line != &fw_limit_keyed(line->limit)->plain;
}

fw_task *fw_keys_take(fw_dispatch *dispatch, fw_limit *limit, unsigned level)
{
    fw_keyed *keyed = fw_limit_keyed(limit);
    fw_key_line *line = keyed->ring[level];
    fw_task *task = fw_line_take(&line->lines[level]);
    __builtin_prefetch(line->lines[level].first, 1);
    keyed->last = line;
    /* Another key's turn. */
    keyed->ring[level] = line->ring_next[level];
    shrink(dispatch, line, level, 1);
    if (is_limited(line)) {
        line->running++;
        if (line->tokens.interval_ns > 0)
            fw_tokens_take(&line->tokens, fw_limits_now(dispatch));
    }
    settle(dispatch, line);
    return task;
}

static void uncount(fw_dispatch *dispatch, fw_key_line *line, uint32_t runs, bool unused)
{
    /* An end that comes after its limit was forgotten finds nothing. */
    line->running -= runs < line->running ? runs : line->running;
    if (unused && line->tokens.interval_ns > 0)
        fw_tokens_give_back(&line->tokens);
    settle(dispatch, line);
}

void fw_keys_untake(fw_dispatch *dispatch, fw_limit *limit)
{
    fw_key_line *line = fw_limit_keyed(limit)->last;
    if (is_limited(line))
        uncount(dispatch, line, 1, true);
}

void fw_keys_come_back(fw_dispatch *dispatch, fw_key_line *line, bool unused)
{
    if (line->limit)
        uncount(dispatch, line, 1, unused);
}

void fw_keys_collect(fw_dispatch *dispatch)
{
    fw_key_line *list = fw_keys_take_ended(&dispatch->limits.keys);
    while (list) {
        fw_key_line *line = list;
        list = line->next_ended;
        uint32_t ends = fw_key_take_ends(line);
        if (line->limit)
            uncount(dispatch, line, ends, false);
    }
}

void fw_keys_ring(fw_dispatch *dispatch)
{
    fw_limits *limits = &dispatch->limits;
    const fw_key_table *keys = &limits->keys;
    while (keys->heap_count > 0 && keys->heap[1]->due_ns <= fw_limits_now(dispatch))
        settle(dispatch, keys->heap[1]);
    if (keys->heap_count > 0 && keys->heap[1]->due_ns < limits->due_ns)
        limits->due_ns = keys->heap[1]->due_ns;
}

/* --- All keys of a name --- */

static void each_line(fw_dispatch *dispatch, fw_limit *limit,
                      void (*visit)(fw_dispatch *dispatch, fw_key_line *line))
{
    fw_keyed *keyed = fw_limit_keyed(limit);
    for (fw_key_line *line = keyed->first; line;) {
        fw_key_line *next = line->next;
        visit(dispatch, line);
        line = next;
    }
    for (unsigned i = 0; i < FW_KEY_SHARED; i++)
        visit(dispatch, &keyed->shared[i]);
    visit(dispatch, &keyed->plain);
}

static void apply_rule(fw_dispatch *dispatch, fw_key_line *line)
{
    const fw_keyed *keyed = fw_limit_keyed(line->limit);
    if (line == &keyed->plain)
        return;
    bool valid =
        fw_tokens_set(&line->tokens, keyed->rate_per_s, keyed->burst, fw_limits_now(dispatch));
    FW_ASSERT(valid);
    settle(dispatch, line);
}

void fw_keys_change(fw_dispatch *dispatch, fw_limit *limit)
{
    each_line(dispatch, limit, apply_rule);
}

void fw_keys_begin(fw_dispatch *dispatch, fw_limit *limit)
{
    fw_groups *groups = &dispatch->groups;
    fw_keyed *keyed = fw_limit_keyed(limit);
    fw_key_table *table = &dispatch->limits.keys;
    fw_keyed_list(table, keyed);
    keyed->on = true;
    keyed->next_on = table->on;
    table->on = limit;
    fw_keys_change(dispatch, limit);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_line tasks = limit->group->lines[level];
        if (tasks.count == 0)
            continue;
        fw_group_deactivate(groups, limit->group, level);
        limit->group->lines[level] = (fw_line){0};
        groups->waiting[level] -= tasks.count;
        fw_limit_note(limit, level, -tasks.count);
        while (tasks.count > 0)
            fw_keys_add(dispatch, limit, fw_line_take(&tasks));
    }
}

/* Everything of the key goes to the name's group, whose lines nobody sees meanwhile. */
static void empty(fw_dispatch *dispatch, fw_key_line *line)
{
    fw_groups *groups = &dispatch->groups;
    if (line->ready)
        set_ready(groups, line, false);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_line *tasks = &line->lines[level];
        size_t waiting = tasks->count;
        count(groups, line, level, -waiting);
        fw_line_append_all(&line->limit->group->incoming[level], tasks);
    }
    line->tokens = (fw_tokens){0};
    settle(dispatch, line);
}

void fw_keys_end(fw_dispatch *dispatch, fw_limit *limit)
{
    fw_key_table *table = &dispatch->limits.keys;
    fw_keyed *keyed = fw_limit_keyed(limit);
    each_line(dispatch, limit, empty);
    keyed->on = false;
    fw_limit **link = &table->on;
    while (*link != limit)
        link = &fw_limit_keyed(*link)->next_on;
    *link = keyed->next_on;
    if (table->hand == limit)
        table->hand = NULL;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        /* Relaxed: a figure. */
        fw_store_relaxed(&keyed->oldest_wall_ns[level], 0);
        fw_line *tasks = &limit->group->incoming[level];
        fw_line_sort(tasks);
        fw_group_bring_in(&dispatch->groups, limit->group, level, tasks);
    }
}

void fw_line_sweep(fw_dispatch *dispatch, fw_line *line)
{
    fw_line kept = {0};
    while (line->count > 0) {
        fw_task *task = fw_line_take(line);
        __builtin_prefetch(line->first, 1);
        if (fw_state_is_terminal(fw_task_state(task)))
            fw_engine_leave(dispatch->engine, task);
        else
            fw_line_append(&kept, task);
    }
    *line = kept;
}

static void sweep(fw_dispatch *dispatch, fw_key_line *line)
{
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        size_t before = line->lines[level].count;
        fw_line_sweep(dispatch, &line->lines[level]);
        shrink(dispatch, line, level, before - line->lines[level].count);
    }
    settle(dispatch, line);
}

static void drop(fw_dispatch *dispatch, fw_key_line *line)
{
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        while (line->lines[level].count > 0) {
            fw_task *task = fw_line_take(&line->lines[level]);
            shrink(dispatch, line, level, 1);
            fw_dispatch_drop(dispatch, task);
        }
    }
    settle(dispatch, line);
}

static void each_on(fw_dispatch *dispatch, void (*visit)(fw_dispatch *dispatch, fw_key_line *line))
{
    for (fw_limit *limit = dispatch->limits.keys.on; limit; limit = fw_limit_keyed(limit)->next_on)
        each_line(dispatch, limit, visit);
}

void fw_keys_sweep(fw_dispatch *dispatch)
{
    each_on(dispatch, sweep);
}

void fw_keys_drop(fw_dispatch *dispatch)
{
    each_on(dispatch, drop);
}

/* --- How long the oldest waits --- */

static void look_at(fw_keyed *keyed, const fw_key_line *line)
{
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        const fw_task *first = line->lines[level].first;
        int64_t *oldest_ns = &keyed->oldest_ns[level];
        if (first && (*oldest_ns == 0 || first->created_wall_ns < *oldest_ns))
            *oldest_ns = first->created_wall_ns;
    }
}

/* All have been looked at. */
static void publish_oldest(fw_keyed *keyed)
{
    look_at(keyed, &keyed->plain);
    /* Relaxed: the duty's own. */
    for (unsigned i = 0; i < FW_KEY_SHARED && fw_load_relaxed(&keyed->shares) > 0; i++)
        look_at(keyed, &keyed->shared[i]);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        /* Relaxed: a figure. */
        fw_store_relaxed(&keyed->oldest_wall_ns[level], keyed->oldest_ns[level]);
        keyed->oldest_ns[level] = 0;
    }
    keyed->hand = keyed->first;
}

/* Nothing waits, and nothing is said to. */
static bool is_quiet(const fw_limit *limit, const fw_keyed *keyed)
{
    bool quiet = true;
    /* Relaxed, all: the duty's own. */
    for (unsigned level = 0; level < FW_LEVELS; level++)
        quiet = quiet && fw_load_relaxed(&limit->waiting[level]) == 0 &&
                fw_load_relaxed(&keyed->oldest_wall_ns[level]) == 0;
    return quiet;
}

void fw_keys_look_on(fw_dispatch *dispatch)
{
    fw_key_table *table = &dispatch->limits.keys;
    fw_limit *limit = table->hand ? table->hand : table->on;
    if (!limit)
        return;
    fw_keyed *keyed = fw_limit_keyed(limit);
    if (is_quiet(limit, keyed)) {
        table->hand = keyed->next_on;
        return;
    }
    for (unsigned i = 0; i < LOOKS && keyed->hand; i++) {
        look_at(keyed, keyed->hand);
        keyed->hand = keyed->hand->next;
    }
    if (keyed->hand)
        return;
    publish_oldest(keyed);
    table->hand = keyed->next_on;
}
