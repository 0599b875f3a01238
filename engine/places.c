/* engine/places.c - who has room: windows, credits, and places sorted by load.
 *
 * A place with a free slot sits in the bucket of its load among those of its class. One without may
 * hold more if its tasks are short: then it sits in a bucket for each level of which it may have
 * more, so that what waits there lets through what is more urgent (the place goes by levels
 * itself). A choice looks at the lowest bucket of each class, whatever the number of places.
 * Covered by tests/engine/dispatch_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/dispatch_priv.h"

static void take_seat(fw_seat *seats, uint32_t *loads, fw_seat *seat, int load)
{
    fw_seat *end = &seats[load];
    seat->next = end;
    seat->prev = end->prev;
    end->prev->next = seat;
    end->prev = seat;
    *loads |= UINT32_C(1) << load;
}

static void leave_seat(fw_seat *seats, uint32_t *loads, fw_seat *seat, int load)
{
    seat->prev->next = seat->next;
    seat->next->prev = seat->prev;
    if (seats[load].next == &seats[load])
        *loads &= ~(UINT32_C(1) << load);
}

/* A place whose load stays the same goes to the end, so that its equals have their turn. */
static void move(fw_seat *seats, uint32_t *loads, fw_seat *seat, int8_t *load, int to)
{
    if (*load == to && (to == FW_NO_LOAD || seat->next == seat->prev))
        return;
    if (*load != FW_NO_LOAD)
        leave_seat(seats, loads, seat, *load);
    *load = (int8_t)to;
    if (to != FW_NO_LOAD)
        take_seat(seats, loads, seat, to);
}

static void sit(fw_place *place, int free_load, const int extra_load[FW_LEVELS])
{
    fw_class *class = place->class;
    move(class->free, &class->free_loads, &place->free_seat, &place->free_load, free_load);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        move(class->extra[level], &class->extra_loads[level], &place->extra_seat[level],
             &place->extra_load[level], extra_load[level]);
}

static bool takes_tasks(const fw_place *place)
{
    /* Relaxed: the duty's own. */
    return place->class && !place->leaving && !fw_load_relaxed(&place->paused);
}

void fw_place_settle(fw_place *place)
{
    int free_load = FW_NO_LOAD;
    int extra_load[FW_LEVELS] = {FW_NO_LOAD, FW_NO_LOAD, FW_NO_LOAD, FW_NO_LOAD};
    unsigned in_hand = fw_place_in_hand(place);
    if (!place->class)
        return;
    if (takes_tasks(place) && in_hand < place->slots && in_hand < place->holds_max) {
        free_load = (int)(in_hand * FW_FREE_LOADS / place->slots);
    } else if (takes_tasks(place) && place->surplus > 0 && in_hand < place->holds_max) {
        unsigned load = (in_hand - place->slots) * FW_EXTRA_STEPS / place->surplus;
        unsigned above = 0;
        for (unsigned level = 0; level < FW_LEVELS; level++) {
            above += place->hand[level];
            if ((place->class->levels & 1u << level) && above < place->slots + place->surplus)
                extra_load[level] = load < FW_EXTRA_LOADS ? (int)load : FW_EXTRA_LOADS - 1;
        }
    }
    sit(place, free_load, extra_load);
}

void fw_place_unseat(fw_place *place)
{
    const int nowhere[FW_LEVELS] = {FW_NO_LOAD, FW_NO_LOAD, FW_NO_LOAD, FW_NO_LOAD};
    if (place->class)
        sit(place, FW_NO_LOAD, nowhere);
}

fw_place *fw_place_choose(const fw_group *group, unsigned level)
{
    fw_seat *seat = NULL;
    unsigned least = FW_FREE_LOADS + FW_EXTRA_LOADS;
    for (size_t i = 0; i < group->class_count; i++) {
        fw_class *class = group->classes[i];
        if (!(class->levels & 1u << level))
            continue;
        unsigned load;
        if (class->free_loads)
            load = (unsigned)__builtin_ctz(class->free_loads);
        else if (class->extra_loads[level])
            load = FW_FREE_LOADS + (unsigned)__builtin_ctz(class->extra_loads[level]);
        else
            continue;
        if (load >= least)
            continue;
        least = load;
        seat = load < FW_FREE_LOADS ? class->free[load].next
                                    : class->extra[level][load - FW_FREE_LOADS].next;
    }
    if (!seat)
        return NULL;
    if (least < FW_FREE_LOADS)
        return FW_CONTAINER_OF(seat, fw_place, free_seat);
    return FW_CONTAINER_OF(seat - level, fw_place, extra_seat[0]);
}

/* --- Windows --- */

void fw_place_size(fw_place *place)
{
    const fw_dispatch_config *config = &place->dispatch->config;
    /* Relaxed: the duty's own, and figures. */
    int64_t run_ns = fw_load_relaxed(&place->run_ns);
    /* A quarter of the holds is kept for what is more urgent than what waits there. */
    uint64_t most = (uint64_t)place->holds_max * 3 / 4;
    uint64_t surplus = 0;
    if (place->prefetch && config->prefetch >= 0) {
        surplus = (uint64_t)place->slots * (unsigned)config->prefetch;
        most = place->holds_max;
    } else if (place->prefetch && run_ns > 0 && run_ns < FW_AHEAD_NS) {
        surplus = (uint64_t)place->slots * FW_AHEAD_NS / (uint64_t)run_ns;
    }
    most = most > place->slots ? most - place->slots : 0;
    place->surplus = (unsigned)(surplus < most ? surplus : most);
    fw_store_relaxed(&place->window, place->slots + place->surplus);
}

void fw_place_measure(fw_place *place, int64_t ran_ns)
{
    /* Relaxed: the duty's own. */
    int64_t run_ns = fw_load_relaxed(&place->run_ns);
    if (ran_ns <= 0)
        return;
    fw_store_relaxed(&place->run_ns, fw_run_average(run_ns, ran_ns));
}

void fw_place_slow(fw_place *place)
{
    /* Relaxed: the duty's own. */
    if (fw_load_relaxed(&place->run_ns) < FW_AHEAD_NS)
        fw_store_relaxed(&place->run_ns, FW_AHEAD_NS);
}

void fw_place_touch(fw_place *place)
{
    if (place->touched)
        return;
    place->touched = true;
    place->next_touched = place->dispatch->touched;
    place->dispatch->touched = place;
}

/* --- Coming and going --- */

fw_place *fw_place_of(const fw_dispatch *dispatch, uint32_t number)
{
    if (number > FW_PLACES_MAX)
        return NULL;
    /* [place-table] acquire: the place as it was made. */
    return fw_load_acquire(&dispatch->places[number]);
}

static void end_place(fw_place *place)
{
    fw_dispatch *dispatch = place->dispatch;
    void *owner = place->owner;
    fw_class_leave(place);
    place->leaving = false;
    fw_count(&dispatch->attached, (size_t)-1);
    if (dispatch->ops.gone)
        dispatch->ops.gone(dispatch->ops.context, owner);
    /* [place-used] release: it can be attached anew. */
    fw_store_release(&place->used, false);
}

void fw_places_settle(fw_dispatch *dispatch)
{
    while (dispatch->touched) {
        fw_place *place = dispatch->touched;
        dispatch->touched = place->next_touched;
        place->touched = false;
        fw_place_size(place);
        fw_place_settle(place);
        if (place->leaving && fw_place_in_hand(place) == 0)
            end_place(place);
    }
}

static void attach(fw_place *place)
{
    fw_dispatch *dispatch = place->dispatch;
    place->leaving = false;
    place->holds_max = place->slots > dispatch->config.window_max
                           ? place->slots
                           : (unsigned)dispatch->config.window_max;
    fw_count(&dispatch->attached, 1);
    /* Without memory it has no class and is given nothing. */
    (void)fw_class_join(place, place->wanted);
    place->wanted = NULL;
    fw_place_touch(place);
    fw_dispatch_engage(dispatch);
}

void fw_places_change(fw_dispatch *dispatch)
{
    /* Relaxed: only whether there are any; whoever put them in calls after that. */
    if (fw_load_relaxed(&dispatch->changed) == NULL)
        return;
    /* [place-changed] acquire: what was wanted of them. */
    fw_place *list = fw_swap_acq_rel(&dispatch->changed, NULL);
    while (list) {
        fw_place *place = list;
        list = place->next_changed;
        /* [place-changes] acquire: the same. After this it may be listed again. */
        uint32_t changes = fw_swap_acq_rel(&place->changes, 0);
        if (changes & FW_CHANGE_ATTACH)
            attach(place);
        if (changes & FW_CHANGE_PAUSE) {
            /* Relaxed, both: the swap brought it; a figure. */
            fw_store_relaxed(&place->paused, fw_load_relaxed(&place->pause));
            fw_place_touch(place);
        }
        if ((changes & FW_CHANGE_DETACH) && !place->leaving) {
            place->leaving = true;
            fw_place_unseat(place);
            fw_holds_lose(place, false);
            fw_place_touch(place);
        }
    }
}

static void change(fw_place *place, uint32_t changes)
{
    fw_dispatch *dispatch = place->dispatch;
    /* [place-changes] release: what is wanted.
     * [place-changes] acquire: that the duty is through with the list's link. */
    if (fw_or_acq_rel(&place->changes, changes) == 0) {
        /* Relaxed: the swap checks it. */
        fw_place *first = fw_load_relaxed(&dispatch->changed);
        do
            place->next_changed = first;
        /* [place-changed] release: the place and its link. */
        while (!fw_cas_release(&dispatch->changed, &first, place));
    }
    fw_dispatch_pump(dispatch);
}

static bool claim_place(fw_place *place)
{
    bool expected = false;
    /* Relaxed: only whether it is worth trying. */
    if (fw_load_relaxed(&place->used))
        return false;
    /* [place-used] acquire: whoever had it is through. */
    return fw_cas_acquire(&place->used, &expected, true);
}

fw_place *fw_place_make(fw_dispatch *dispatch, uint32_t number)
{
    fw_place *place = aligned_alloc(FW_APART, sizeof *place);
    if (!place)
        return NULL;
    *place = (fw_place){.dispatch = dispatch, .number = number, .free_load = FW_NO_LOAD};
    for (unsigned level = 0; level < FW_LEVELS; level++)
        place->extra_load[level] = FW_NO_LOAD;
    /* Relaxed: the table publishes it. */
    fw_store_relaxed(&place->used, true);
    return place;
}

/* 0; or no number is free, or no memory. */
static int find_place(fw_dispatch *dispatch, fw_place **out)
{
    for (uint32_t tries = 0; tries < FW_PLACES_MAX; tries++) {
        /* Relaxed: a place to begin. */
        uint32_t number = fw_add_relaxed(&dispatch->attach_hint, 1) % FW_PLACES_MAX + 1;
        fw_place *place = fw_place_of(dispatch, number);
        if (place && claim_place(place)) {
            *out = place;
            return 0;
        }
        if (place)
            continue;
        fw_place *made = fw_place_make(dispatch, number);
        if (!made)
            return -FW_ENOMEM;
        /* [place-table] release: the place as it was made. */
        if (fw_cas_release(&dispatch->places[number], &place, made)) {
            *out = made;
            return 0;
        }
        free(made);
    }
    return -FW_EFULL;
}

static bool is_valid(const fw_place_config *config)
{
    if (config->slots < 1 || config->slots > FW_WINDOW_MAX || config->levels == 0 ||
        config->levels >> FW_LEVELS)
        return false;
    for (size_t i = 0; !config->any && i < config->name_count; i++)
        if (config->names[i] >= FW_NAMES_MAX || (i > 0 && config->names[i] <= config->names[i - 1]))
            return false;
    return true;
}

int fw_dispatch_attach(fw_engine *engine, uint32_t *number, const fw_place_config *config)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    if (!is_valid(config))
        return -FW_EINVAL;
    fw_class *wanted = fw_class_make(config->any, config->levels, config->names,
                                     config->any ? 0 : config->name_count);
    if (!wanted)
        return -FW_ENOMEM;
    fw_place *place;
    int err = find_place(dispatch, &place);
    if (err) {
        free(wanted);
        return err;
    }
    place->owner = config->owner;
    place->prefetch = config->prefetch;
    place->slots = config->slots;
    place->wanted = wanted;
    /* Relaxed, all: handed over with the change. */
    fw_store_relaxed(&place->window, config->slots);
    fw_store_relaxed(&place->slots_shown, config->slots);
    fw_store_relaxed(&place->pause, false);
    fw_store_relaxed(&place->paused, false);
    fw_store_relaxed(&place->run_ns, 0);
    fw_store_relaxed(&place->given, 0);
    fw_store_relaxed(&place->ended, 0);
    fw_store_relaxed(&place->returned, 0);
    fw_store_relaxed(&place->lost, 0);
    *number = place->number;
    change(place, FW_CHANGE_ATTACH);
    return 0;
}

void fw_dispatch_pause(fw_engine *engine, uint32_t number, bool paused)
{
    fw_place *place = fw_place_of(fw_engine_dispatcher(engine), number);
    FW_ASSERT(place && number != FW_LOCAL);
    /* Relaxed: handed over with the change. */
    fw_store_relaxed(&place->pause, paused);
    change(place, FW_CHANGE_PAUSE);
}

void fw_dispatch_detach(fw_engine *engine, uint32_t number)
{
    fw_place *place = fw_place_of(fw_engine_dispatcher(engine), number);
    FW_ASSERT(place && number != FW_LOCAL);
    change(place, FW_CHANGE_DETACH);
}
