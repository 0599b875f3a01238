/* app/compose/compose_batch.c - the options of a batch, which is taken as a whole or not at all.
 *
 * Members may name each other in `after` in any order, so everything is looked at before the first
 * is admitted: whether all ids are known, here or in the batch, and that no member waits for itself
 * over others. SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/compose/then_task.h"

/* A task; or a group: that comes after its members, and what follows it after the group; or a
 * unique key: the first that asks for it stands for the others, so these come after it. */
typedef struct member {
    fw_key key;
    size_t missing, follower; /* ends to come; the first in the list of those that follow it */
    bool sealed;              /* a group that something follows, a unique key that is taken */
    fw_key holder;            /* of a unique key: who takes it */
} member;

typedef struct stand_in {
    size_t index;
    fw_key key, other;
    char id[FW_ID_MAX + 1];
} stand_in;

/* One follows another. */
typedef struct edge {
    size_t follower, next; /* next: among those that follow the same one; 0: none */
} edge;

struct fw_batch {
    const fw_submission *items;
    size_t count;
    member *members; /* by key */
    size_t member_count;
    edge *edges; /* the first is not used */
    size_t edge_count, edge_capacity;
    stand_in *stand_ins;
    size_t stand_in_count;
    fw_asked asked;
    int rc; /* why it is refused */
};

static int by_key(const void *a, const void *b)
{
    const member *left = a, *right = b;
    if (left->key.high != right->key.high)
        return left->key.high < right->key.high ? -1 : 1;
    if (left->key.low != right->key.low)
        return left->key.low < right->key.low ? -1 : 1;
    return 0;
}

static member *find(const fw_batch *batch, fw_key key)
{
    member wanted = {.key = key};
    return bsearch(&wanted, batch->members, batch->member_count, sizeof(member), by_key);
}

static bool out_of_memory(fw_batch *batch, char *error)
{
    batch->rc = -FW_EFULL;
    snprintf(error, FW_TASK_OPTIONS_ERROR, "no memory for the batch, try again later");
    return false;
}

static fw_key unique_key(fw_span name)
{
    fw_key key = fw_key_from_text(name);
    key.high ^= UINT64_C(0x9e3779b97f4a7c15);
    return key;
}

static fw_key group_key(fw_span name)
{
    fw_key key = fw_key_from_text(name);
    key.low ^= UINT64_C(0x9e3779b97f4a7c15);
    return key;
}

static void add_key(fw_batch *batch, fw_key key)
{
    batch->members[batch->member_count++] = (member){.key = key};
}

static bool take_keys_of(fw_lifecycle *life, fw_batch *batch, const fw_submission *s, char *error)
{
    fw_task_options options;
    fw_then_task then;
    add_key(batch, s->key);
    if (s->options.len == 0)
        return true;
    if (!fw_task_options_read(&options, s->options, error) ||
        !fw_options_agree(life, &options, s, error))
        return false;
    const char *full = life->compose ? fw_compose_refusal(life, &options, &batch->asked) : NULL;
    if (full) {
        batch->rc = -FW_EFULL;
        snprintf(error, FW_TASK_OPTIONS_ERROR, "%s, try again later", full);
        return false;
    }
    if (options.group.len > 0)
        add_key(batch, group_key(options.group));
    if (options.unique.len > 0)
        add_key(batch, unique_key(options.unique));
    if (options.then.len > 0 && fw_then_task_read(&then, error, options.then, s))
        add_key(batch, then.submission.key);
    return true;
}

/* The keys of all members, of their groups and unique keys, and of what follows; each once. */
static bool take_keys(fw_lifecycle *life, fw_batch *batch, char *error)
{
    size_t kept = 0;
    batch->members = calloc(4 * batch->count + 1, sizeof(member));
    if (!batch->members)
        return out_of_memory(batch, error);
    for (size_t i = 0; i < batch->count; i++)
        if (!take_keys_of(life, batch, &batch->items[i], error))
            return false;
    qsort(batch->members, batch->member_count, sizeof(member), by_key);
    for (size_t i = 0; i < batch->member_count; i++)
        if (kept == 0 || by_key(&batch->members[kept - 1], &batch->members[i]) != 0)
            batch->members[kept++] = batch->members[i];
    batch->member_count = kept;
    return true;
}

static bool add_edge(fw_batch *batch, member *before, member *follower, char *error)
{
    if (batch->edge_count + 1 >= batch->edge_capacity) {
        size_t capacity = batch->edge_capacity ? 2 * batch->edge_capacity : 64;
        edge *edges = realloc(batch->edges, capacity * sizeof *edges);
        if (!edges)
            return out_of_memory(batch, error);
        batch->edges = edges;
        batch->edge_capacity = capacity;
    }
    size_t at = ++batch->edge_count;
    batch->edges[at] = (edge){(size_t)(follower - batch->members), before->follower};
    before->follower = at;
    follower->missing++;
    return true;
}

static bool unknown(char *error, fw_span id)
{
    snprintf(error, FW_TASK_OPTIONS_ERROR,
             "options: after: there is no task '%.*s' here or in the batch",
             (int)(id.len < 64 ? id.len : 64), id.ptr);
    return false;
}

static bool take_after(fw_lifecycle *life, fw_batch *batch, const fw_task_options *options,
                       member *follower, char *error)
{
    char room[6 * FW_ID_MAX + 2];
    fw_span id;
    for (fw_json_cursor c = fw_after_open(options); fw_after_next(&c, room, &id);) {
        fw_key key = fw_key_from_text(id);
        member *before = find(batch, key);
        if (!before && !fw_compose_knows(life, key))
            return unknown(error, id);
        if (before && !add_edge(batch, before, follower, error))
            return false;
    }
    return true;
}

static bool take_unique(fw_batch *batch, member *self, fw_span name, char *error)
{
    member *key = find(batch, unique_key(name));
    if (key->sealed)
        return fw_key_equal(key->holder, self->key) || add_edge(batch, key, self, error);
    key->sealed = true;
    key->holder = self->key;
    return add_edge(batch, self, key, error);
}

/* What one that is here already says now about those before it is not looked at. */
static bool take_edges(fw_lifecycle *life, fw_batch *batch, const fw_submission *s, char *error)
{
    fw_task_options options;
    fw_then_task then;
    member *self = find(batch, s->key);
    if (s->options.len == 0 || !fw_task_options_read(&options, s->options, error))
        return true;
    if (options.after.len > 0 && !fw_compose_knows(life, s->key) &&
        !take_after(life, batch, &options, self, error))
        return false;
    if (options.unique.len > 0 && !take_unique(batch, self, options.unique, error))
        return false;
    member *group = options.group.len > 0 ? find(batch, group_key(options.group)) : NULL;
    if (group && !add_edge(batch, self, group, error))
        return false;
    if (options.then.len == 0 || !fw_then_task_read(&then, error, options.then, s))
        return true;
    if (group->sealed) {
        snprintf(error, FW_TASK_OPTIONS_ERROR,
                 "options: then: a group of the batch has two; what else follows comes after the "
                 "first");
        return false;
    }
    group->sealed = true;
    return add_edge(batch, group, find(batch, then.submission.key), error);
}

/* Takes out who waits for nobody, and so on; who is left waits in a circle. */
static bool has_no_circle(fw_batch *batch, char *error)
{
    size_t *free_ones = calloc(batch->member_count, sizeof *free_ones), count = 0, done = 0;
    if (!free_ones)
        return out_of_memory(batch, error);
    for (size_t i = 0; i < batch->member_count; i++)
        if (batch->members[i].missing == 0)
            free_ones[count++] = i;
    while (done < count) {
        for (size_t e = batch->members[free_ones[done++]].follower; e != 0;
             e = batch->edges[e].next) {
            member *follower = &batch->members[batch->edges[e].follower];
            if (--follower->missing == 0)
                free_ones[count++] = batch->edges[e].follower;
        }
    }
    free(free_ones);
    if (count == batch->member_count)
        return true;
    snprintf(error, FW_TASK_OPTIONS_ERROR, "options: after: members of the batch wait in a circle");
    return false;
}

fw_batch *fw_batch_open(fw_lifecycle *life, const fw_submission *items, size_t count, int *rc,
                        char error[FW_TASK_OPTIONS_ERROR])
{
    fw_batch *batch = calloc(1, sizeof *batch), none;
    if (!batch) {
        (void)out_of_memory(&none, error);
        *rc = none.rc;
        return NULL;
    }
    *batch = (fw_batch){.items = items, .count = count, .rc = -FW_EINVAL};
    bool good = take_keys(life, batch, error);
    for (size_t i = 0; good && i < count; i++)
        good = take_edges(life, batch, &items[i], error);
    if (good && batch->edge_count > 0)
        good = has_no_circle(batch, error);
    if (good)
        return batch;
    *rc = batch->rc;
    fw_batch_close(batch);
    return NULL;
}

void fw_batch_close(fw_batch *batch)
{
    if (!batch)
        return;
    free(batch->members);
    free(batch->edges);
    free(batch->stand_ins);
    free(batch);
}

/* --- those that are not run --- */

void fw_batch_stand_in(fw_batch *batch, const fw_submission *s, const fw_holder *holder)
{
    stand_in *all = realloc(batch->stand_ins, (batch->stand_in_count + 1) * sizeof *all);
    if (!all)
        return;
    batch->stand_ins = all;
    stand_in *one = &all[batch->stand_in_count++];
    *one = (stand_in){.index = (size_t)(s - batch->items), .key = s->key, .other = holder->task};
    snprintf(one->id, sizeof one->id, "%.*s", (int)holder->id.len, holder->id.ptr);
}

fw_span fw_batch_id(const fw_batch *batch, size_t index)
{
    for (size_t i = 0; i < batch->stand_in_count; i++)
        if (batch->stand_ins[i].index == index)
            return (fw_span){batch->stand_ins[i].id, strlen(batch->stand_ins[i].id)};
    return batch->items[index].id;
}

fw_key fw_batch_key(const fw_batch *batch, fw_key key)
{
    for (size_t i = 0; batch && i < batch->stand_in_count; i++)
        if (fw_key_equal(batch->stand_ins[i].key, key))
            return batch->stand_ins[i].other;
    return key;
}
