/* engine/classes.c - places that know the same names and take the same levels are one class.
 *
 * So regrouping is done when a class appears or vanishes, not when a place does, and a decision
 * looks at classes, not at places. A class without places is no more; the own pool's class, which
 * learns its names one by one, stays.
 * Covered by tests/engine/dispatch_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/dispatch_priv.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

/* Random enough that no two sets of ids have one mark, and no id is 0. */
uint64_t fw_class_mark(fw_dispatch *dispatch)
{
    return mix(++dispatch->next_id);
}

static void init_seats(fw_class *class)
{
    for (unsigned load = 0; load < FW_FREE_LOADS; load++)
        class->free[load] = (fw_seat){&class->free[load], &class->free[load]};
    for (unsigned level = 0; level < FW_LEVELS; level++)
        for (unsigned load = 0; load < FW_EXTRA_LOADS; load++)
            class->extra[level][load] =
                (fw_seat){&class->extra[level][load], &class->extra[level][load]};
}

fw_class *fw_class_make(bool any, uint8_t levels, const uint32_t *names, size_t count)
{
    fw_class *class = malloc(sizeof *class + count * sizeof *names);
    if (!class)
        return NULL;
    *class = (fw_class){.any = any, .levels = levels, .name_count = count};
    class->hash = mix((uint64_t)any << 8 | levels);
    for (size_t i = 0; i < count; i++) {
        class->names[i] = names[i];
        class->hash = mix(class->hash + names[i]);
    }
    init_seats(class);
    return class;
}

static bool are_alike(const fw_class *a, const fw_class *b)
{
    return a->hash == b->hash && a->any == b->any && a->levels == b->levels &&
           a->name_count == b->name_count &&
           memcmp(a->names, b->names, a->name_count * sizeof a->names[0]) == 0;
}

static void count_knowers(fw_dispatch *dispatch, const fw_class *class, int32_t n)
{
    for (size_t i = 0; i < class->name_count; i++)
        fw_count(&dispatch->knowers[class->names[i]], class->any ? -n : n);
    if (class->any)
        fw_count(&dispatch->any_knowers, n);
}

static int appear(fw_dispatch *dispatch, fw_class *class)
{
    fw_groups *groups = &dispatch->groups;
    class->id = fw_class_mark(dispatch);
    int err = class->any ? fw_groups_know_any(groups, class) : 0;
    if (!err)
        err = fw_groups_toggle(groups, class, class->names, class->name_count, !class->any);
    if (err) {
        fw_groups_forget(groups, class);
        return err;
    }
    count_knowers(dispatch, class, 1);
    class->next = dispatch->classes;
    dispatch->classes = class;
    return 0;
}

static void vanish(fw_dispatch *dispatch, fw_class *class)
{
    fw_class **link = &dispatch->classes;
    while (*link != class)
        link = &(*link)->next;
    *link = class->next;
    count_knowers(dispatch, class, -1);
    if (class->any)
        fw_groups_forget(&dispatch->groups, class);
    int err = fw_groups_toggle(&dispatch->groups, class, class->names, class->name_count, false);
    FW_ASSERT(err == 0);
    free(class);
}

int fw_class_join(fw_place *place, fw_class *wanted)
{
    fw_dispatch *dispatch = place->dispatch;
    fw_class *class = dispatch->classes;
    while (class && !are_alike(class, wanted))
        class = class->next;
    if (class) {
        free(wanted);
    } else {
        class = wanted;
        int err = appear(dispatch, class);
        if (err) {
            free(class);
            return err;
        }
    }
    place->class = class;
    class->places++;
    return 0;
}

void fw_class_leave(fw_place *place)
{
    fw_class *class = place->class;
    if (!class)
        return;
    fw_place_unseat(place);
    place->class = NULL;
    FW_ASSERT(class->places > 0);
    if (--class->places == 0)
        vanish(place->dispatch, class);
}

/* The names without that one, or with it. */
static fw_class *class_less(const fw_class *class, uint32_t name)
{
    uint32_t *names = malloc((class->name_count + 1) * sizeof *names);
    if (!names)
        return NULL;
    size_t count = 0, from = 0;
    for (; from < class->name_count && class->names[from] < name; from++)
        names[count++] = class->names[from];
    bool listed = from < class->name_count && class->names[from] == name;
    from += listed;
    if (class->any)
        names[count++] = name;
    for (; from < class->name_count; from++)
        names[count++] = class->names[from];
    fw_class *less =
        listed != class->any ? fw_class_make(class->any, class->levels, names, count) : NULL;
    free(names);
    return less;
}

void fw_class_refuse(fw_place *place, uint32_t name)
{
    if (!place->class || place->number == FW_LOCAL)
        return;
    fw_class *less = class_less(place->class, name);
    /* It did not know the name any more; or no memory, so it will be asked again. */
    if (!less)
        return;
    fw_class_leave(place);
    /* Without memory it knows nothing. */
    (void)fw_class_join(place, less);
    fw_place_settle(place);
}

int fw_class_add_local(fw_dispatch *dispatch)
{
    fw_class *class = fw_class_make(false, (1u << FW_LEVELS) - 1, NULL, 0);
    if (!class)
        return -FW_ENOMEM;
    class->local = true;
    int err = appear(dispatch, class);
    if (err) {
        free(class);
        return err;
    }
    class->hash = 0; /* like no other */
    class->places = 1;
    dispatch->local_class = class;
    dispatch->local->class = class;
    return 0;
}
