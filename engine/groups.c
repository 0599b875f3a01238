/* engine/groups.c - tasks that wait for a place, in one line per level and group of names.
 *
 * Names that the same classes know share a group, so that the next task for a place is at the head
 * of one of few lines. Which classes know a name is told by its group's mark: the exclusive or of
 * the random ids of those that name it. When a class comes to know names, or no longer does, the
 * marks of their groups change: a group that moves as a whole changes its mark, names that part
 * from their group find the one that has the new mark or make it, and take their tasks along.
 * Lines are in order of arrival by number, also after parts of them were merged and what came back
 * was put in again.
 * Covered by tests/engine/dispatch_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/dispatch_priv.h"

/* --- Groups with work --- */

void fw_group_activate(fw_groups *groups, fw_group *group, unsigned level)
{
    group->active_at[level] = groups->active_count[level];
    groups->active[level][groups->active_count[level]++] = group;
}

void fw_group_deactivate(fw_groups *groups, fw_group *group, unsigned level)
{
    fw_group *last = groups->active[level][--groups->active_count[level]];
    groups->active[level][group->active_at[level]] = last;
    last->active_at[level] = group->active_at[level];
}

static fw_group *group_of(const fw_groups *groups, const fw_task *task)
{
    FW_ASSERT(task->name < FW_NAMES_MAX);
    fw_group *group = groups->of_name[task->name];
    return group ? group : groups->other;
}

static bool is_keyed(const fw_group *group)
{
    return FW_UNLIKELY(group->limit != NULL) && fw_limit_is_keyed(group->limit);
}

/* Of a name with a limit. What is held shows its oldest itself. */
static void note_more(fw_groups *groups, fw_group *group, unsigned level, size_t count)
{
    fw_limit_note(group->limit, level, count);
    if (!group->held)
        return;
    groups->held[level] += count;
    /* Relaxed: a figure. */
    fw_store_relaxed(&group->limit->oldest_wall_ns[level],
                     group->lines[level].first->created_wall_ns);
}

void fw_group_bring_in(fw_groups *groups, fw_group *group, unsigned level, fw_line *tasks)
{
    if (tasks->count == 0)
        return;
    if (is_keyed(group)) {
        fw_keys_put_back(fw_dispatch_of(groups), group->limit, level, tasks);
        return;
    }
    if (group->lines[level].count == 0 && !group->held)
        fw_group_activate(groups, group, level);
    size_t count = tasks->count;
    groups->waiting[level] += count;
    fw_line_merge(&group->lines[level], tasks);
    if (group->limit)
        note_more(groups, group, level, count);
}

void fw_groups_add(fw_groups *groups, fw_task *task)
{
    fw_group *group = group_of(groups, task);
    unsigned level = task->level;
    /* Relaxed: the duty's while the task waits. */
    fw_store_relaxed(&task->lease, ++groups->order);
    if (is_keyed(group)) {
        fw_keys_add(fw_dispatch_of(groups), group->limit, task);
        return;
    }
    if (group->lines[level].count == 0 && !group->held)
        fw_group_activate(groups, group, level);
    fw_line_append(&group->lines[level], task);
    groups->waiting[level]++;
    if (FW_UNLIKELY(group->limit))
        note_more(groups, group, level, 1);
}

void fw_groups_put_back(fw_groups *groups, fw_line *tasks)
{
    fw_group *touched = NULL;
    fw_line_sort(tasks);
    while (tasks->count > 0) {
        fw_task *task = fw_line_take(tasks);
        fw_group *group = group_of(groups, task);
        if (!group->next_touched) {
            /* The last one leads to itself, so that NULL means that it is not in the list. */
            group->next_touched = touched ? touched : group;
            touched = group;
        }
        fw_line_append(&group->incoming[task->level], task);
    }
    while (touched) {
        fw_group *group = touched;
        touched = group->next_touched == group ? NULL : group->next_touched;
        group->next_touched = NULL;
        for (unsigned level = 0; level < FW_LEVELS; level++)
            fw_group_bring_in(groups, group, level, &group->incoming[level]);
    }
}

fw_group *fw_groups_oldest(const fw_groups *groups, unsigned level, uint64_t *until)
{
    fw_group *oldest = NULL;
    uint64_t first = UINT64_MAX, second = UINT64_MAX;
    for (size_t i = 0; i < groups->active_count[level]; i++) {
        fw_group *group = groups->active[level][i];
        if (group->blocked == groups->round || group->class_count == 0)
            continue;
        uint64_t order = fw_order_of(group->lines[level].first);
        if (order < first) {
            second = first;
            first = order;
            oldest = group;
        } else if (order < second) {
            second = order;
        }
    }
    *until = second;
    return oldest;
}

fw_task *fw_group_take(fw_groups *groups, fw_group *group, unsigned level)
{
    if (is_keyed(group))
        return fw_keys_take(fw_dispatch_of(groups), group->limit, level);
    fw_line *line = &group->lines[level];
    fw_task *task = fw_line_take(line);
    __builtin_prefetch(line->first, 1);
    groups->waiting[level]--;
    if (line->count == 0)
        fw_group_deactivate(groups, group, level);
    if (FW_UNLIKELY(group->limit))
        fw_limit_note(group->limit, level, (size_t)-1);
    return task;
}

void fw_group_hold(fw_groups *groups, fw_group *group)
{
    FW_ASSERT(!group->held && group->limit);
    group->held = true;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        const fw_line *line = &group->lines[level];
        if (line->count == 0)
            continue;
        fw_group_deactivate(groups, group, level);
        groups->held[level] += line->count;
        /* Relaxed: a figure. */
        fw_store_relaxed(&group->limit->oldest_wall_ns[level], line->first->created_wall_ns);
    }
}

void fw_group_let_go(fw_groups *groups, fw_group *group)
{
    FW_ASSERT(group->held);
    group->held = false;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        if (group->lines[level].count == 0)
            continue;
        fw_group_activate(groups, group, level);
        groups->held[level] -= group->lines[level].count;
        /* Relaxed: a figure. */
        fw_store_relaxed(&group->limit->oldest_wall_ns[level], 0);
    }
}

/* --- Tasks that are over --- */

void fw_groups_sweep(fw_dispatch *dispatch)
{
    fw_groups *groups = &dispatch->groups;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        /* Downwards, since the last takes the place of one that goes. */
        for (size_t i = groups->active_count[level]; i-- > 0;) {
            fw_group *group = groups->active[level][i];
            if (is_keyed(group))
                continue;
            size_t before = group->lines[level].count;
            fw_line_sweep(dispatch, &group->lines[level]);
            size_t gone = before - group->lines[level].count;
            groups->waiting[level] -= gone;
            if (group->limit)
                fw_limit_note(group->limit, level, -gone);
            if (group->lines[level].count == 0)
                fw_group_deactivate(groups, group, level);
        }
    }
}

void fw_groups_drop(fw_dispatch *dispatch)
{
    fw_groups *groups = &dispatch->groups;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        while (groups->active_count[level] > 0)
            fw_dispatch_drop(dispatch, fw_group_take(groups, groups->active[level][0], level));
}

/* --- Who knows the names --- */

static fw_group **chain_of(fw_groups *groups, uint64_t mark)
{
    return &groups->by_mark[mark % FW_MARKS];
}

static fw_group *find(fw_groups *groups, uint64_t mark)
{
    fw_group *group = *chain_of(groups, mark);
    while (group && group->mark != mark)
        group = group->next_of_mark;
    return group;
}

static void list(fw_groups *groups, fw_group *group)
{
    group->next_of_mark = *chain_of(groups, group->mark);
    *chain_of(groups, group->mark) = group;
}

static void unlist(fw_groups *groups, fw_group *group)
{
    fw_group **link = chain_of(groups, group->mark);
    while (*link != group)
        link = &(*link)->next_of_mark;
    *link = group->next_of_mark;
}

static bool make_room(fw_group *group, size_t room)
{
    if (room <= group->class_room)
        return true;
    size_t wanted = room + room / 2 + 2;
    fw_class **classes = realloc(group->classes, wanted * sizeof *classes);
    if (!classes)
        return false;
    group->classes = classes;
    group->class_room = wanted;
    return true;
}

static void forget(fw_group *group, const fw_class *class)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->class_count; i++)
        if (group->classes[i] != class)
            group->classes[kept++] = group->classes[i];
    group->class_count = kept;
    group->local = group->local && !class->local;
}

/* There is room. */
static void set_known(fw_group *group, fw_class *class, bool known)
{
    forget(group, class);
    if (known)
        group->classes[group->class_count++] = class;
    group->local = group->local || (known && class->local);
}

static bool make_active_room(fw_groups *groups, size_t room)
{
    if (room <= groups->active_room)
        return true;
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_group **active = realloc(groups->active[level], 2 * room * sizeof(fw_group *));
        if (!active)
            return false;
        groups->active[level] = active;
    }
    groups->active_room = 2 * room;
    return true;
}

static void free_group(fw_groups *groups, fw_group *group)
{
    free(group->classes);
    free(group);
    groups->count--;
}

static fw_group *make_group(fw_groups *groups, const fw_group *like)
{
    fw_group *group = make_active_room(groups, groups->count + 1) ? calloc(1, sizeof *group) : NULL;
    if (!group)
        return NULL;
    groups->count++;
    if (like && !make_room(group, like->class_count + 1)) {
        free_group(groups, group);
        return NULL;
    }
    for (size_t i = 0; like && i < like->class_count; i++)
        group->classes[group->class_count++] = like->classes[i];
    group->local = like && like->local;
    return group;
}

/* Names change their mark by this one, since the class comes to know them, or does not any more; or
 * for the sake of a limit, without a class. */
typedef struct move {
    uint64_t mark;
    fw_class *class;
    bool known;
} move;

/* Finds a new group for those names of this one that are on the move. */
static bool find_target(fw_groups *groups, fw_group *group, const move *m)
{
    group->target = find(groups, group->mark ^ m->mark);
    if (group->target)
        return true;
    if (group->moving == group->names) {
        /* It has room for one class more, or is to have one less. */
        group->target = group;
        return !m->known || make_room(group, group->class_count + 1);
    }
    group->target = make_group(groups, group);
    if (!group->target)
        return false;
    group->target->mark = group->mark ^ m->mark;
    if (m->class)
        set_known(group->target, m->class, m->known);
    list(groups, group->target);
    return true;
}

/* The tasks of the names that left go after them. */
static void part(fw_groups *groups, fw_group *group)
{
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_line *line = &group->lines[level];
        fw_line staying = {0}, going = {0};
        if (line->count == 0)
            continue;
        if (group->names == 0) {
            fw_line_append_all(&going, line);
        } else {
            while (line->count > 0) {
                fw_task *task = fw_line_take(line);
                __builtin_prefetch(line->first, 1);
                fw_line_append(group_of(groups, task) == group ? &staying : &going, task);
            }
        }
        *line = staying;
        if (line->count == 0)
            fw_group_deactivate(groups, group, level);
        groups->waiting[level] -= going.count;
        fw_group_bring_in(groups, group->target, level, &going);
    }
}

static void settle(fw_groups *groups, fw_group *group, const move *m)
{
    group->moving = 0;
    if (group->target == group) {
        unlist(groups, group);
        group->mark ^= m->mark;
        if (m->class)
            set_known(group, m->class, m->known);
        list(groups, group);
    } else {
        part(groups, group);
    }
    group->target = NULL;
    if (group->names == 0 && group != groups->other) {
        unlist(groups, group);
        free_group(groups, group);
    }
}

fw_group *fw_groups_of_name(const fw_groups *groups, uint32_t name)
{
    return groups->of_name[name] ? groups->of_name[name] : groups->other;
}

/* Lists the groups of these names and how many names of each there are. */
static fw_group *touch_groups(fw_groups *groups, const uint32_t *names, size_t count)
{
    fw_group *touched = NULL;
    for (size_t i = 0; i < count; i++) {
        fw_group *group = fw_groups_of_name(groups, names[i]);
        if (group->moving++ == 0) {
            group->next_touched = touched;
            touched = group;
        }
    }
    return touched;
}

/* No memory: as if nothing had been. */
static void undo(fw_groups *groups, fw_group *touched)
{
    while (touched) {
        fw_group *group = touched, *target = group->target;
        touched = group->next_touched;
        group->next_touched = NULL;
        group->target = NULL;
        group->moving = 0;
        if (target && target != groups->other && target->names == 0) {
            unlist(groups, target);
            free_group(groups, target);
        }
    }
}

static int move_names(fw_groups *groups, const move *m, const uint32_t *names, size_t count)
{
    fw_group *touched = touch_groups(groups, names, count);
    for (fw_group *group = touched; group; group = group->next_touched) {
        if (!find_target(groups, group, m)) {
            undo(groups, touched);
            return -FW_ENOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        fw_group *group = fw_groups_of_name(groups, names[i]);
        /* A target that is itself touched has names that stay until they are reached. */
        fw_group *target = group->target;
        group->names--;
        target->names++;
        groups->of_name[names[i]] = target == groups->other ? NULL : target;
    }
    while (touched) {
        fw_group *group = touched;
        touched = group->next_touched;
        group->next_touched = NULL;
        settle(groups, group, m);
    }
    return 0;
}

int fw_groups_toggle(fw_groups *groups, fw_class *class, const uint32_t *names, size_t count,
                     bool known)
{
    const move m = {class->id, class, known};
    return move_names(groups, &m, names, count);
}

int fw_groups_set_apart(fw_groups *groups, uint64_t mark, uint32_t name)
{
    const move m = {mark, NULL, false};
    return move_names(groups, &m, &name, 1);
}

int fw_groups_know_any(fw_groups *groups, fw_class *class)
{
    for (size_t i = 0; i < FW_MARKS; i++)
        for (fw_group *group = groups->by_mark[i]; group; group = group->next_of_mark)
            if (!make_room(group, group->class_count + 1))
                return -FW_ENOMEM;
    for (size_t i = 0; i < FW_MARKS; i++)
        for (fw_group *group = groups->by_mark[i]; group; group = group->next_of_mark)
            set_known(group, class, true);
    return 0;
}

void fw_groups_forget(fw_groups *groups, fw_class *class)
{
    for (size_t i = 0; i < FW_MARKS; i++)
        for (fw_group *group = groups->by_mark[i]; group; group = group->next_of_mark)
            forget(group, class);
}

int fw_groups_init(fw_groups *groups)
{
    groups->round = 1;
    groups->other = make_group(groups, NULL);
    if (!groups->other)
        return -FW_ENOMEM;
    groups->other->names = FW_NAMES_MAX;
    list(groups, groups->other);
    return 0;
}

void fw_groups_fini(fw_groups *groups)
{
    for (size_t i = 0; i < FW_MARKS; i++) {
        while (groups->by_mark[i]) {
            fw_group *group = groups->by_mark[i];
            groups->by_mark[i] = group->next_of_mark;
            free_group(groups, group);
        }
    }
    for (unsigned level = 0; level < FW_LEVELS; level++)
        free(groups->active[level]);
}
