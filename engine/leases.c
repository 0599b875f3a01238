/* engine/leases.c - what places elsewhere have in hand.
 *
 * A place has holds, made when they are first needed and never freed while the engine lives. A hold
 * is free, held or claimed; its word tells, together with the generation, which goes up each time
 * it is given. A lease is place, hold and generation, so claiming it is one compare and swap.
 * Whoever has claimed ends the run or queues the task again, and puts the hold into the list that
 * takes it back to the duty.
 *
 *   63   62 .. 47   46 .. 35   34 .. 0        a word:   generation << 2 | state
 *    1     place      hold    generation
 *
 * A task that somebody else ended meanwhile (its deadline, the engine's stop), or that another run
 * followed, stays in hand until the place answers or goes: the hold has the runner's and the
 * completer's reference, and gives them back. Covered by tests/engine/dispatch_test.c and
 * dispatch_loss_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/dispatch_priv.h"

enum { FREE = 0, HELD = 1, CLAIMED = 2, STATE_BITS = 2, INDEX_BITS = 12, GENERATION_BITS = 35 };
enum { SEND_MAX = 64 };
#define GENERATION_MASK ((UINT64_C(1) << GENERATION_BITS) - 1)

_Static_assert(FW_WINDOW_MAX <= 1 << INDEX_BITS, "holds have numbers");
_Static_assert(FW_CHUNK_FIRST << (FW_CHUNKS - 1) == FW_WINDOW_MAX, "chunks hold a window");

static uint64_t lease_of(const fw_hold *hold, uint64_t generation)
{
    return FW_LEASE_BIT | (uint64_t)hold->place << (INDEX_BITS + GENERATION_BITS) |
           (uint64_t)hold->index << GENERATION_BITS | generation;
}

static uint32_t place_of(uint64_t lease)
{
    return (uint32_t)(lease >> (INDEX_BITS + GENERATION_BITS)) & FW_PLACES_MAX;
}

static uint64_t word_of(uint64_t lease, unsigned state)
{
    return (lease & GENERATION_MASK) << STATE_BITS | state;
}

/* Chunk 0 has the first 16, each other one as many as all before it. */
static unsigned chunk_of(unsigned index)
{
    return index < FW_CHUNK_FIRST ? 0 : (unsigned)(32 - __builtin_clz(index / FW_CHUNK_FIRST));
}

static unsigned chunk_first(unsigned chunk)
{
    return chunk == 0 ? 0 : (unsigned)FW_CHUNK_FIRST << (chunk - 1);
}

static unsigned chunk_size(unsigned chunk)
{
    return chunk == 0 ? FW_CHUNK_FIRST : chunk_first(chunk);
}

static fw_hold *hold_at(const fw_place *place, unsigned index)
{
    unsigned chunk = chunk_of(index);
    /* [hold-chunk] acquire: the holds as they were made. */
    fw_hold *holds = fw_load_acquire(&place->chunks[chunk]);
    return holds ? &holds[index - chunk_first(chunk)] : NULL;
}

static fw_hold *hold_of(const fw_dispatch *dispatch, uint64_t lease)
{
    const fw_place *place = fw_place_of(dispatch, place_of(lease));
    if (!(lease & FW_LEASE_BIT) || !place)
        return NULL;
    return hold_at(place, (unsigned)(lease >> GENERATION_BITS) & ((1u << INDEX_BITS) - 1));
}

/* --- Giving --- */

static bool make_holds(fw_place *place)
{
    if (place->holds >= place->holds_max)
        return false;
    unsigned chunk = chunk_of(place->holds), size = chunk_size(chunk);
    /* Places of a number follow each other; their holds stay. */
    fw_hold *holds = fw_load_relaxed(&place->chunks[chunk]);
    if (!holds) {
        holds = aligned_alloc(FW_CACHE_LINE, size * sizeof *holds);
        if (!holds)
            return false;
        for (unsigned i = 0; i < size; i++)
            holds[i] = (fw_hold){.place = (uint16_t)place->number,
                                 .index = (uint16_t)(chunk_first(chunk) + i)};
        /* [hold-chunk] release: the holds as they were made. */
        fw_store_release(&place->chunks[chunk], holds);
    }
    for (unsigned i = size; i-- > 0;) {
        holds[i].next = place->free_holds;
        place->free_holds = &holds[i];
    }
    place->holds += size;
    return true;
}

static void stamp(fw_dispatch *dispatch, fw_task *task)
{
    if (dispatch->now_ns == 0) {
        dispatch->now_ns = fw_now_ns();
        dispatch->now_wall_ns = fw_wall_ns();
    }
    int64_t now_ns = dispatch->now_wall_ns;
    /* Relaxed: whoever needs it in order has it through the state or from `done`. */
    fw_store_relaxed(&task->started_wall_ns,
                     now_ns < task->created_wall_ns ? task->created_wall_ns : now_ns);
}

static void list_out(fw_place *place, fw_hold *hold)
{
    fw_dispatch *dispatch = place->dispatch;
    hold->next_out = NULL;
    if (place->out_first) {
        place->out_last->next_out = hold;
    } else {
        place->out_first = hold;
        place->next_out = dispatch->out_first;
        dispatch->out_first = place;
    }
    place->out_last = hold;
}

bool fw_hold_has_room(fw_place *place)
{
    return place->free_holds || make_holds(place);
}

void fw_hold_give(fw_place *place, fw_task *task, fw_limit *limit)
{
    fw_dispatch *dispatch = place->dispatch;
    fw_hold *hold = place->free_holds;
    uint64_t order = fw_order_of(task);
    uint32_t begun;
    /* Relaxed: as in fw_engine_run_node. */
    fw_store_relaxed(&task->node.next, NULL);
    if (fw_task_begin(task, &begun) != FW_DUTY_RUN) {
        fw_engine_leave(dispatch->engine, task);
        if (FW_UNLIKELY(limit))
            fw_limit_untake(dispatch, limit);
        return;
    }
    place->free_holds = hold->next;
    stamp(dispatch, task);
    fw_counters_add(&dispatch->engine->counters, FW_COUNT_STARTED, 1);
    hold->order = order;
    hold->level = task->level;
    hold->name = task->name;
    hold->counted = limit != NULL;
    if (FW_UNLIKELY(limit)) {
        fw_limit_take(dispatch, limit);
        hold->line = fw_limit_line(limit);
    }
    /* [hold-fields] release: who sees one of these sees that the last lease was claimed. */
    fw_store_release(&hold->task, task);
    fw_store_release(&hold->run, fw_task_run_of(begun));
    fw_store_release(&hold->given_ns, dispatch->now_ns);
    /* Relaxed: it is the duty's while the hold is free. */
    uint64_t generation = (fw_load_relaxed(&hold->word) >> STATE_BITS) + 1;
    uint64_t lease = lease_of(hold, generation & GENERATION_MASK);
    /* [hold-word] release: what is held. */
    fw_store_release(&hold->word, word_of(lease, HELD));
    /* [task-lease] release: the hold. */
    fw_store_release(&task->lease, lease);
    fw_count(&place->in_hand, 1);
    fw_count(&place->given, 1);
    fw_count(&dispatch->in_hand, 1);
    fw_count(&dispatch->given, 1);
    place->hand[hold->level]++;
    list_out(place, hold);
    fw_place_settle(place);
}

static void send_from(fw_place *place)
{
    fw_dispatch *dispatch = place->dispatch;
    fw_handout handouts[SEND_MAX];
    while (place->out_first) {
        size_t count = 0;
        for (; place->out_first && count < SEND_MAX;
             place->out_first = place->out_first->next_out) {
            const fw_hold *hold = place->out_first;
            /* Relaxed: we gave it. */
            uint64_t word = fw_load_relaxed(&hold->word);
            fw_task *task = fw_load_relaxed(&hold->task);
            if (word % (1 << STATE_BITS) == HELD)
                handouts[count++] = (fw_handout){task, lease_of(hold, word >> STATE_BITS),
                                                 fw_load_relaxed(&task->attempt)};
        }
        if (count > 0)
            dispatch->ops.send(dispatch->ops.context, place->owner, handouts, count);
    }
}

void fw_holds_send(fw_dispatch *dispatch)
{
    while (dispatch->out_first) {
        fw_place *place = dispatch->out_first;
        dispatch->out_first = place->next_out;
        send_from(place);
    }
}

/* --- Claiming, and what follows --- */

fw_task *fw_dispatch_claim(fw_engine *engine, uint32_t place, uint64_t lease)
{
    fw_dispatch *dispatch = fw_engine_dispatcher(engine);
    fw_hold *hold = place_of(lease) == place ? hold_of(dispatch, lease) : NULL;
    uint64_t expected = word_of(lease, HELD);
    /* [hold-word] acquire: what is held. */
    if (hold && fw_cas_acquire(&hold->word, &expected, word_of(lease, CLAIMED))) {
        /* Relaxed: the word brought it. */
        return fw_load_relaxed(&hold->task);
    }
    /* Relaxed: a figure. */
    fw_add_relaxed(&dispatch->late, 1);
    return NULL;
}

/* The hold of a lease that the caller has claimed. */
static fw_hold *claimed(const fw_dispatch *dispatch, const fw_task *task, uint64_t lease)
{
    fw_hold *hold = hold_of(dispatch, lease);
    /* Relaxed: our claim wrote it. */
    FW_ASSERT(hold && fw_load_relaxed(&hold->word) == word_of(lease, CLAIMED));
    FW_ASSERT(fw_load_relaxed(&hold->task) == task);
    hold->ran_ns = 0;
    hold->again = false;
    return hold;
}

static void give_up(fw_engine *engine, fw_task *task)
{
    fw_task_release(engine, task);
    fw_task_release(engine, task);
}

static void come_back(fw_dispatch *dispatch, fw_hold *hold, fw_verdict verdict)
{
    hold->verdict = (uint8_t)verdict;
    /* Relaxed: the swap checks it. */
    fw_hold *first = fw_load_relaxed(&dispatch->back);
    do
        hold->next = first;
    /* [hold-back] release: what became of it. */
    while (!fw_cas_release(&dispatch->back, &first, hold));
}

void fw_dispatch_end(fw_engine *engine, fw_task *task, uint64_t lease, bool success, int64_t ran_ns)
{
    fw_hold *hold = claimed(fw_engine_dispatcher(engine), task, lease);
    /* Relaxed: the claim brought it. */
    unsigned run = fw_load_relaxed(&hold->run);
    hold->ran_ns = ran_ns;
    if (success || !fw_engine_try_again(engine, task, run, 2, FW_ENDED_BY_RUN)) {
        if (fw_task_end_run(task, run, success) == FW_DUTY_END)
            fw_engine_end_run(engine, task, FW_ENDED_BY_RUN, FW_TASK_REFERENCES);
        else
            give_up(engine, task);
    }
    come_back(fw_engine_dispatcher(engine), hold, FW_VERDICT_ENDED);
}

/* The run is over without an end: as `lost` says, or by a cancel. True: it is to be queued. */
static bool leave_run(fw_engine *engine, fw_task *task, unsigned run, bool again, bool lost)
{
    if (again && fw_task_requeue(task, run, lost) == FW_DUTY_QUEUE) {
        fw_counters_add(&engine->counters, FW_COUNT_RETRIED, 1);
        return true;
    }
    if (fw_task_end_run(task, run, false) == FW_DUTY_END)
        fw_engine_end_run(engine, task, FW_ENDED_BY_LOSS, FW_TASK_REFERENCES);
    else
        give_up(engine, task);
    return false;
}

void fw_dispatch_return(fw_engine *engine, fw_task *task, uint64_t lease, bool refused)
{
    fw_hold *hold = claimed(fw_engine_dispatcher(engine), task, lease);
    /* Relaxed: the claim brought it. */
    hold->again = leave_run(engine, task, fw_load_relaxed(&hold->run), true, false);
    come_back(fw_engine_dispatcher(engine), hold,
              refused ? FW_VERDICT_REFUSED : FW_VERDICT_RETURNED);
}

void fw_dispatch_lose(fw_engine *engine, fw_task *task, uint64_t lease)
{
    come_back(fw_engine_dispatcher(engine), claimed(fw_engine_dispatcher(engine), task, lease),
              FW_VERDICT_LOST);
}

/* --- Under the duty --- */

static void lose(fw_place *place, fw_hold *hold)
{
    fw_dispatch *dispatch = place->dispatch;
    fw_task *task = fw_load_relaxed(&hold->task); /* relaxed, both: they came with the claim */
    unsigned run = fw_load_relaxed(&hold->run);
    fw_loss loss = fw_task_runs(task, run) ? FW_LOSS_AGAIN : FW_LOSS_ENDS;
    if (loss != FW_LOSS_ENDS && dispatch->ops.lost)
        loss = dispatch->ops.lost(dispatch->ops.context, task, place->owner);
    bool began = loss == FW_LOSS_AGAIN;
    hold->again = leave_run(dispatch->engine, task, run, began || loss == FW_LOSS_UNRUN, began);
    if (hold->again && began) {
        /* Relaxed: one writer at a time, by the transition that brought us here. */
        unsigned attempt = fw_load_relaxed(&task->attempt);
        fw_store_relaxed(&task->attempt, (uint16_t)(attempt + 1));
    }
}

/* Nothing of it is left with anybody else. */
static void take_in(fw_place *place, fw_hold *hold)
{
    fw_dispatch *dispatch = place->dispatch;
    /* Relaxed, all: the duty's own now. */
    fw_task *task = fw_load_relaxed(&hold->task);
    if (hold->again) {
        fw_store_relaxed(&task->lease, hold->order);
        fw_store_relaxed(&task->node.next, (fw_work_node *)(void *)dispatch->homecoming.first);
        dispatch->homecoming.first = task;
        if (dispatch->homecoming.count++ == 0)
            dispatch->homecoming.last = task;
    }
    if (FW_UNLIKELY(hold->counted))
        fw_limit_come_back(dispatch, hold->name, hold->line,
                           hold->verdict == FW_VERDICT_RETURNED ||
                               hold->verdict == FW_VERDICT_REFUSED);
    hold->again = false;
    fw_store_relaxed(&hold->word, fw_load_relaxed(&hold->word) & ~(uint64_t)CLAIMED);
    hold->next = place->free_holds;
    place->free_holds = hold;
    FW_ASSERT(place->hand[hold->level] > 0 && fw_place_in_hand(place) > 0);
    place->hand[hold->level]--;
    fw_count(&place->in_hand, (uint32_t)-1);
    fw_count(&dispatch->in_hand, (size_t)-1);
    fw_place_touch(place);
}

static void note(fw_place *place, const fw_hold *hold)
{
    if (hold->verdict == FW_VERDICT_ENDED)
        fw_count(&place->ended, 1);
    else if (hold->verdict == FW_VERDICT_LOST)
        fw_count(&place->lost, 1);
    else
        fw_count(&place->returned, 1);
    if (hold->verdict == FW_VERDICT_RETURNED)
        fw_place_slow(place);
    fw_place_measure(place, hold->ran_ns);
}

void fw_holds_collect(fw_dispatch *dispatch)
{
    /* Relaxed: only whether there are any; whoever put them in calls after that. */
    if (fw_load_relaxed(&dispatch->back) == NULL)
        return;
    /* [hold-back] acquire: what became of them. */
    fw_hold *list = fw_swap_acq_rel(&dispatch->back, NULL);
    while (list) {
        fw_hold *hold = list;
        list = hold->next;
        __builtin_prefetch(list, 1);
        fw_place *place = fw_place_of(dispatch, hold->place);
        note(place, hold);
        if (hold->verdict == FW_VERDICT_LOST)
            lose(place, hold);
        else if (hold->verdict == FW_VERDICT_REFUSED)
            fw_class_refuse(place, hold->name);
        take_in(place, hold);
    }
}

void fw_holds_lose(fw_place *place, bool stop)
{
    fw_dispatch *dispatch = place->dispatch;
    for (unsigned index = 0; index < place->holds; index++) {
        fw_hold *hold = hold_at(place, index);
        /* Relaxed: only whether it is worth trying. */
        uint64_t word = fw_load_relaxed(&hold->word);
        if (word % (1 << STATE_BITS) != HELD)
            continue;
        /* [hold-word] acquire: nobody else claims it any more. */
        if (!fw_cas_acquire(&hold->word, &word, word + CLAIMED - HELD))
            continue;
        hold->ran_ns = 0;
        hold->again = false;
        hold->verdict = FW_VERDICT_LOST;
        if (stop) {
            fw_task *task = fw_load_relaxed(&hold->task);
            fw_rcu_read_lock();
            fw_engine_stop_task(dispatch->engine, task);
            fw_rcu_read_unlock();
            give_up(dispatch->engine, task);
        } else {
            lose(place, hold);
        }
        note(place, hold);
        take_in(place, hold);
    }
}

void fw_holds_free(fw_place *place)
{
    for (unsigned chunk = 0; chunk < FW_CHUNKS; chunk++)
        /* Relaxed: nobody else is left. */
        free(fw_load_relaxed(&place->chunks[chunk]));
}

/* --- Looking on --- */

/* What is in hand. */
typedef struct sight {
    fw_task *task;
    unsigned run;
    int64_t given_ns;
} sight;

/* False: not held under that word. Otherwise the task was alive in this read section, and is to its
 * end. In a read section. */
static bool look_at(const fw_hold *hold, uint64_t word, sight *out)
{
    /* [hold-word] acquire: what is held. */
    if (word % (1 << STATE_BITS) != HELD || fw_load_acquire(&hold->word) != word)
        return false;
    /* [hold-fields] acquire: if one is of a later lease, the word below is later as well. */
    out->task = fw_load_acquire(&hold->task);
    out->run = fw_load_acquire(&hold->run);
    out->given_ns = fw_load_acquire(&hold->given_ns);
    /* Relaxed: after the above. */
    return fw_load_relaxed(&hold->word) == word;
}

uint64_t fw_dispatch_lease_of(const fw_task *task, uint32_t *place)
{
    sight seen;
    /* [task-lease] acquire: the hold. */
    uint64_t lease = fw_load_acquire(&task->lease);
    if (!(lease & FW_LEASE_BIT))
        return 0;
    const fw_hold *hold = hold_of(fw_engine_dispatcher(fw_engine_of(task)), lease);
    if (!hold || !look_at(hold, word_of(lease, HELD), &seen) || seen.task != task)
        return 0;
    *place = place_of(lease);
    return lease;
}

fw_task *fw_dispatch_peek(fw_engine *engine, uint32_t place, uint64_t lease)
{
    sight seen = {0};
    const fw_hold *hold = hold_of(fw_engine_dispatcher(engine), lease);
    bool held = hold && place_of(lease) == place && look_at(hold, word_of(lease, HELD), &seen);
    return held ? seen.task : NULL;
}

void fw_dispatch_expire(fw_engine *engine, fw_task *task, uint64_t lease)
{
    sight seen;
    const fw_hold *hold = hold_of(fw_engine_dispatcher(engine), lease);
    if (hold && look_at(hold, word_of(lease, HELD), &seen) && seen.task == task)
        fw_engine_expire(engine, task, seen.run);
}

/* False: enough. */
static bool visit_hold(const fw_hold *hold,
                       bool (*visit)(void *context, fw_task *task, uint64_t lease,
                                     int64_t given_ns),
                       void *context)
{
    sight seen;
    /* Relaxed: looked at again. */
    uint64_t word = fw_load_relaxed(&hold->word);
    if (!look_at(hold, word, &seen))
        return true;
    return visit(context, seen.task, lease_of(hold, word >> STATE_BITS), seen.given_ns);
}

void fw_dispatch_each(fw_engine *engine, uint32_t number,
                      bool (*visit)(void *context, fw_task *task, uint64_t lease, int64_t given_ns),
                      void *context)
{
    const fw_place *place = fw_place_of(fw_engine_dispatcher(engine), number);
    bool more = place != NULL;
    for (unsigned chunk = 0; more && chunk < FW_CHUNKS; chunk++) {
        /* [hold-chunk] acquire: the holds as they were made. */
        const fw_hold *holds = fw_load_acquire(&place->chunks[chunk]);
        if (!holds)
            return;
        for (unsigned i = 0; more && i < chunk_size(chunk); i++) {
            fw_rcu_read_lock();
            more = visit_hold(&holds[i], visit, context);
            fw_rcu_read_unlock();
        }
    }
}
