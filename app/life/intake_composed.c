/* app/life/intake_composed.c - admission of tasks with options: alone, and in batches.
 *
 * A batch is looked through as a whole before the first of its members is admitted; then all are
 * admitted; then groups, what follows them, and the edges of `after` are made, so that the order of
 * the members does not matter; and only then does any of them begin.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/then_task.h"
#include "app/life/intake_chunk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

/* --- unique keys --- */

static fw_span id_of(const fw_submission *s, char buffer[FW_UUID_TEXT])
{
    if (s->id.len > 0)
        return s->id;
    fw_key_format(buffer, s->key);
    return (fw_span){buffer, FW_UUID_TEXT};
}

static void tell_end(fw_lifecycle *life, const fw_chunk *c, const fw_submission *s)
{
    static const char gone[] =
        "the task that had the unique key has ended, and its result is no longer kept";
    fw_cache_item item;
    if (fw_cache_get(life->cache, s->key, c->now_ns, false, &item) == FW_CACHE_FOUND) {
        fw_intake_answer(life, c, s, &item);
        return;
    }
    fw_result_view view = {
        .key = s->key, .id = s->id, .status = FW_FAILURE, .error = {gone, sizeof gone - 1}};
    if (s->reply.form == FW_REPLY_FRAME && !c->batch)
        fw_net_answer_accepted(life->net, &s->reply, &view);
    if (fw_reply_wants_result(&s->reply))
        fw_net_answer_result(life->net, &s->reply, &view);
}

/* The key is another task's, and its shard is locked: this asker gets that task's id, and waits
 * with the others if it wants to know the end. */
static fw_fate join_holder(fw_lifecycle *life, const fw_chunk *c, const fw_submission *s,
                           const fw_holder *holder)
{
    char buffer[FW_UUID_TEXT];
    fw_submission other = *s;
    other.key = holder->task;
    other.id = holder->id;
    other.reply.flags |= FW_OTHER_ID;
    fw_task *live = fw_engine_find(life->engine, holder->task);
    fw_result_view view = live ? fw_view_of_task(live, buffer) : (fw_result_view){0};
    int joined = live ? fw_intake_join(life, c, &other, live) : -1;
    if (joined < 0)
        tell_end(life, c, &other);
    else if (joined == FATE_JOINED && !c->batch && other.reply.form != FW_REPLY_NONE &&
             (other.reply.form == FW_REPLY_FRAME || other.accept_only))
        fw_net_answer_accepted(life->net, &other.reply, &view);
    return FATE_ENDED;
}

static bool is_ours(fw_fate fate)
{
    return fate == FATE_QUEUED || fate == FATE_SCHEDULED || fate == FATE_HELD;
}

/* The task becomes visible while its key is locked: whoever has to wait for the key finds it. */
static fw_fate admit_unique(fw_lifecycle *life, fw_chunk *c, size_t i, fw_task *spare,
                            const fw_wishes *w, fw_batch *batch)
{
    char buffer[FW_UUID_TEXT];
    fw_unique_key key;
    fw_fate fate = FATE_ENDED;
    const fw_submission *s = &c->items[i];
    fw_unique_open(life->compose->unique, &key, w->options->unique, c->now_ns);
    const fw_holder *holder = key.holder;
    if (holder && !fw_key_equal(holder->task, s->key)) {
        if (spare)
            fw_engine_abandon(life->engine, spare);
        if (batch)
            fw_batch_stand_in(batch, s, holder);
        if (c->again)
            fate = FATE_REFUSED;
        else if (!batch || fw_reply_wants_result(&s->reply))
            fate = join_holder(life, c, s, holder);
    } else {
        fate = fw_intake_admit(life, c, i, spare, w);
        if (is_ours(fate))
            (void)fw_unique_take(&key, s->key, id_of(s, buffer), c->now_ns + w->options->unique_ns,
                                 w->options->unique_while == FW_UNIQUE_TIME);
    }
    fw_unique_close(&key);
    return fate;
}

/* --- one member --- */

/* *node: to be armed when its ends are known; NULL: none. */
static fw_fate admit_one(fw_lifecycle *life, fw_chunk *c, size_t i, fw_task *spare,
                         const fw_task_options *options, fw_batch *batch, fw_node **node)
{
    const fw_submission *s = &c->items[i];
    fw_wishes w = {.options = options, .is_unique = options->unique.len > 0};
    int64_t wait_ns = s->eta_wall_ns > c->wall_ns ? s->eta_wall_ns - c->wall_ns : 0;
    *node = NULL;
    if (options->after.len > 0) {
        w.node = fw_node_create(options->on_failure, c->now_ns + wait_ns);
        if (!w.node)
            return FATE_REFUSED;
    }
    if (options->expires_ns != 0) {
        w.begin_by_ns = c->now_ns + options->expires_ns;
        (void)fw_expiries_add(life->compose->expiries, s->key, w.begin_by_ns);
    }
    fw_fate fate = w.is_unique ? admit_unique(life, c, i, spare, &w, batch)
                               : fw_intake_admit(life, c, i, spare, &w);
    if (!w.node)
        return fate;
    /* A cancel may have been faster than the answer from the cache. */
    if (fate == FATE_KNOWN && !fw_node_take(w.node))
        fate = FATE_JOINED;
    else if (fate != FATE_HELD && fate != FATE_KNOWN)
        fw_node_let_go(w.node);
    *node = w.node;
    return fate;
}

static void follow(fw_lifecycle *life, fw_node *node, const fw_task_options *options,
                   const fw_batch *batch)
{
    char room[6 * FW_ID_MAX + 2];
    fw_span id;
    for (fw_json_cursor at = fw_after_open(options); fw_after_next(&at, room, &id);)
        fw_node_follow(life, node, fw_batch_key(batch, fw_key_from_text(id)));
}

static size_t then_size(const fw_then_task *then)
{
    return fw_record_size(&then->submission);
}

/* What follows the group is admitted and held by it. Sent again, it is there already. */
static void seal(fw_lifecycle *life, const fw_task_options *options, const fw_submission *s,
                 fw_task *spare)
{
    fw_then_task then;
    char error[FW_TASK_OPTIONS_ERROR];
    fw_task_options of_then;
    fw_node *node =
        fw_named_groups_seal(life->compose->groups, options->group, options->on_failure);
    if (!node || !fw_then_task_read(&then, error, options->then, s)) {
        fw_engine_abandon(life->engine, spare);
        return;
    }
    fw_chunk c = {.items = &then.submission,
                  .count = 1,
                  .batch = true,
                  .now_ns = fw_now_ns(),
                  .wall_ns = fw_wall_ns()};
    fw_wishes w = {.options = &of_then, .node = node};
    if (fw_task_options_read(&of_then, then.submission.options, error) && of_then.expires_ns != 0) {
        w.begin_by_ns = c.now_ns + of_then.expires_ns;
        (void)fw_expiries_add(life->compose->expiries, then.submission.key, w.begin_by_ns);
    }
    c.fates[0] = fw_intake_admit(life, &c, 0, spare, &w);
    if (c.fates[0] == FATE_HELD || (c.fates[0] == FATE_KNOWN && fw_node_take(node)))
        fw_intake_hand_over(life, &c);
    else if (c.fates[0] != FATE_KNOWN)
        fw_node_let_go(node);
    fw_node_arm(life, node);
}

/* --- alone --- */

/* Which of them is not known? */
static bool after_is_known(fw_lifecycle *life, const fw_task_options *options, char *error)
{
    char room[6 * FW_ID_MAX + 2];
    fw_span id;
    for (fw_json_cursor at = fw_after_open(options); fw_after_next(&at, room, &id);) {
        if (fw_compose_knows(life, fw_key_from_text(id)))
            continue;
        snprintf(error, FW_TASK_OPTIONS_ERROR, "options: after: there is no task '%.*s' here",
                 (int)(id.len < 64 ? id.len : 64), id.ptr);
        return false;
    }
    return true;
}

/* => false: refused. */
static bool read_options(fw_lifecycle *life, const fw_chunk *c, const fw_submission *s,
                         fw_task_options *options, fw_refusal *reason,
                         char error[FW_TASK_OPTIONS_ERROR])
{
    *reason = FW_REFUSED_MALFORMED;
    if (!fw_task_options_read(options, s->options, error) ||
        !fw_options_agree(life, options, s, error))
        return false;
    if (c->again) {
        options->after = options->group = options->then = (fw_span){NULL, 0};
        return true;
    }
    if (!life->compose)
        return true;
    fw_asked asked = {0};
    const char *full = fw_compose_refusal(life, options, &asked);
    if (full) {
        *reason = FW_REFUSED_FULL;
        snprintf(error, FW_TASK_OPTIONS_ERROR, "%s, try again later", full);
        return false;
    }
    /* One that is here already has had its ends looked at. */
    return options->after.len == 0 || fw_compose_knows(life, s->key) ||
           after_is_known(life, options, error);
}

fw_fate fw_intake_admit_composed(fw_lifecycle *life, fw_chunk *c, size_t i, fw_task *spare)
{
    const fw_submission *s = &c->items[i];
    fw_task_options options;
    fw_then_task then;
    fw_refusal reason;
    fw_node *node;
    fw_task *then_spare = NULL;
    char error[FW_TASK_OPTIONS_ERROR];
    if (!read_options(life, c, s, &options, &reason, error)) {
        if (spare)
            fw_engine_abandon(life->engine, spare);
        fw_net_answer_refusal(life->net, &s->reply, s->id, reason, error);
        return FATE_ENDED;
    }
    if (options.then.len > 0 && fw_then_task_read(&then, error, options.then, s)) {
        then_spare = fw_engine_alloc(life->engine, then_size(&then));
        if (!then_spare)
            return FATE_REFUSED;
    }
    fw_fate fate = admit_one(life, c, i, spare, &options, NULL, &node);
    bool joins =
        options.group.len > 0 && fate != FATE_REFUSED &&
        fw_named_groups_join(life, life->compose->groups, options.group, s->key, c->now_ns);
    if (then_spare && joins)
        seal(life, &options, s, then_spare);
    else if (then_spare)
        fw_engine_abandon(life->engine, then_spare);
    if (node) {
        if (fate == FATE_HELD)
            follow(life, node, &options, NULL);
        fw_node_arm(life, node);
    }
    return fate;
}

/* --- batches --- */

bool fw_intake_is_composed(const fw_submission *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].options.len > 0)
            return true;
    return false;
}

/* A batch on its way in; arrays as long as it is. */
typedef struct work {
    fw_lifecycle *life;
    const fw_submission *items;
    size_t count;
    fw_batch *batch;
    fw_task **spares, **thens;
    fw_node **nodes;
    fw_span *ids;
    fw_chunk *chunks;
} work;

static void options_of(const work *w, size_t i, fw_task_options *options)
{
    char error[FW_TASK_OPTIONS_ERROR];
    (void)fw_task_options_read(options, w->items[i].options, error);
}

static bool reserve_thens(work *w)
{
    fw_task_options options;
    fw_then_task then;
    char error[FW_TASK_OPTIONS_ERROR];
    for (size_t i = 0; i < w->count; i++) {
        if (w->items[i].options.len == 0)
            continue;
        options_of(w, i, &options);
        if (options.then.len == 0 || !fw_then_task_read(&then, error, options.then, &w->items[i]))
            continue;
        w->thens[i] = fw_engine_alloc(w->life->engine, then_size(&then));
        if (w->thens[i])
            continue;
        while (i-- > 0)
            if (w->thens[i])
                fw_engine_abandon(w->life->engine, w->thens[i]);
        return false;
    }
    return true;
}

static bool reserve(work *w)
{
    size_t count = w->count + 1;
    w->spares = calloc(count, sizeof(fw_task *));
    w->thens = calloc(count, sizeof(fw_task *));
    w->nodes = calloc(count, sizeof(fw_node *));
    w->ids = calloc(count, sizeof(fw_span));
    w->chunks = calloc(w->count / FW_CHUNK + 1, sizeof(fw_chunk));
    if (!w->spares || !w->thens || !w->nodes || !w->ids || !w->chunks || !reserve_thens(w))
        return false;
    if (fw_intake_reserve(w->life, w->items, w->count, w->spares))
        return true;
    for (size_t i = 0; i < w->count; i++)
        if (w->thens[i])
            fw_engine_abandon(w->life->engine, w->thens[i]);
    return false;
}

static void free_work(work *w)
{
    fw_batch_close(w->batch);
    free(w->spares);
    free(w->thens);
    free(w->nodes);
    free(w->ids);
    free(w->chunks);
}

static void admit_all(work *w)
{
    fw_task_options options;
    for (size_t at = 0; at < w->count; at += FW_CHUNK) {
        fw_chunk *c = &w->chunks[at / FW_CHUNK];
        c->items = w->items + at;
        c->count = w->count - at < FW_CHUNK ? w->count - at : FW_CHUNK;
        c->batch = true;
        c->wall_ns = fw_wall_ns();
        c->now_ns = fw_now_ns();
        fw_rcu_read_lock();
        for (size_t i = 0; i < c->count; i++) {
            if (c->items[i].options.len > 0) {
                options_of(w, at + i, &options);
                c->fates[i] = admit_one(w->life, c, i, w->spares[at + i], &options, w->batch,
                                        &w->nodes[at + i]);
            } else {
                c->fates[i] = fw_intake_admit(w->life, c, i, w->spares[at + i], NULL);
            }
        }
        fw_rcu_read_unlock();
    }
}

typedef void step(work *w, size_t i, const fw_task_options *options);

static void join_group(work *w, size_t i, const fw_task_options *options)
{
    if (options->group.len > 0)
        (void)fw_named_groups_join(w->life, w->life->compose->groups, options->group,
                                   fw_batch_key(w->batch, w->items[i].key), fw_now_ns());
}

static void seal_group(work *w, size_t i, const fw_task_options *options)
{
    if (w->thens[i])
        seal(w->life, options, &w->items[i], w->thens[i]);
}

static void follow_others(work *w, size_t i, const fw_task_options *options)
{
    if (w->nodes[i] && w->chunks[i / FW_CHUNK].fates[i % FW_CHUNK] == FATE_HELD)
        follow(w->life, w->nodes[i], options, w->batch);
}

static void each(work *w, step *take)
{
    fw_task_options options;
    for (size_t i = 0; i < w->count; i++) {
        if (w->items[i].options.len == 0)
            continue;
        options_of(w, i, &options);
        fw_rcu_read_lock();
        take(w, i, &options);
        fw_rcu_read_unlock();
    }
}

static void let_all_begin(work *w)
{
    for (size_t at = 0; at < w->count; at += FW_CHUNK) {
        fw_rcu_read_lock();
        fw_intake_hand_over(w->life, &w->chunks[at / FW_CHUNK]);
        fw_rcu_read_unlock();
    }
    for (size_t i = 0; i < w->count; i++)
        if (w->nodes[i])
            fw_node_arm(w->life, w->nodes[i]);
}

/* Native peers are told each id that is another one; in JSON there are all ids. */
static void tell(work *w, const fw_reply_to *reply)
{
    bool others = false;
    for (size_t i = 0; i < w->count; i++) {
        w->ids[i] = fw_batch_id(w->batch, i);
        others |= w->ids[i].ptr != w->items[i].id.ptr;
    }
    if (reply->form != FW_REPLY_FRAME || !others) {
        fw_net_answer_batch(w->life->net, reply, w->ids, w->count, 0, NULL);
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        fw_reply_to one = *reply;
        fw_result_view view = {.key = w->items[i].key, .id = w->ids[i], .status = FW_QUEUED};
        one.item = (uint16_t)i;
        if (w->ids[i].ptr != w->items[i].id.ptr)
            one.flags |= FW_OTHER_ID;
        fw_net_answer_accepted(w->life->net, &one, &view);
    }
}

/* One that asks for a single task and is told nothing else. */
static int check_stand_in(const work *w, char *error)
{
    fw_span id = fw_batch_id(w->batch, 0);
    if (w->count != 1 || id.ptr == w->items[0].id.ptr)
        return 0;
    snprintf(error, FW_TASK_OPTIONS_ERROR, "the unique key is taken by the task %.*s",
             (int)(id.len < 100 ? id.len : 100), id.ptr);
    return -FW_EDUP;
}

int fw_intake_composed(fw_lifecycle *life, const fw_submission *items, size_t count,
                       const fw_reply_to *reply, char error[FW_TASK_OPTIONS_ERROR])
{
    int rc = 0;
    work w = {.life = life, .items = items, .count = count};
    fw_rcu_read_lock();
    w.batch = fw_batch_open(life, items, count, &rc, error);
    fw_rcu_read_unlock();
    if (!w.batch) {
        FW_ASSERT(rc < 0);
    } else if (!reserve(&w)) {
        rc = -FW_EFULL;
        (void)fw_full_text(life, error);
    } else {
        admit_all(&w);
        each(&w, join_group);
        each(&w, seal_group);
        each(&w, follow_others);
        let_all_begin(&w);
        if (reply)
            tell(&w, reply);
        else
            rc = check_stand_in(&w, error);
    }
    free_work(&w);
    return rc;
}
