/* app/compose/graph.c - nodes; groups are in app/compose/named_groups.c. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/compose/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/compose/graph_node.h"
#include "app/life/lifecycle_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

fw_node *fw_node_create(fw_after_failure on_failure, int64_t due_ns)
{
    fw_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->on_failure = on_failure;
    node->due_ns = due_ns;
    /* Relaxed, both: nobody else knows it yet. */
    fw_store_relaxed(&node->pending, 1);
    fw_store_relaxed(&node->owners, 1);
    return node;
}

static void disown(fw_node *node)
{
    /* [node-owners] acq_rel: both owners' uses come before the free. */
    if (fw_sub_acq_rel(&node->owners, 1) == 1)
        free(node);
}

void fw_node_hold(fw_node *node, fw_task *task)
{
    /* Relaxed, both: published with the task, or by the ends that are counted. */
    fw_store_relaxed(&node->owners, 2);
    fw_store_relaxed(&node->task, task);
}

void fw_node_let_go(fw_node *node)
{
    /* Relaxed, both: nobody else has seen the task. */
    fw_store_relaxed(&node->task, NULL);
    fw_store_relaxed(&node->owners, 1);
}

fw_task *fw_node_take(fw_node *node)
{
    /* [node-task] acq_rel: the runner's reference goes to one of two. */
    return fw_swap_acq_rel(&node->task, NULL);
}

void fw_node_left(fw_lifecycle *life, fw_node *node, fw_task *task)
{
    /* It is over, so this only gives the reference back. */
    if (fw_node_take(node))
        fw_engine_drop(life->engine, task, false);
    disown(node);
}

/* --- the last end --- */

static void describe(const fw_node *node, char *out, size_t capacity)
{
    if (node->gone)
        snprintf(
            out, capacity,
            "not run: the result of %s is no longer kept, so whether it succeeded is not known",
            node->first);
    else
        snprintf(out, capacity, "not run: %s, which it was to follow, did not succeed",
                 node->first);
}

/* The task, if it is held still, runs or ends. */
static void resolve(fw_lifecycle *life, fw_node *node)
{
    char words[160];
    fw_task *task = fw_node_take(node);
    /* Relaxed: all ends came before the last, which brought us here. */
    bool failed = fw_load_relaxed(&node->failures) > 0;
    if (task && (!failed || node->on_failure == FW_AFTER_RUN)) {
        int64_t now_ns = fw_now_ns();
        fw_engine_schedule(life->engine, task, node->due_ns > now_ns ? node->due_ns : now_ns);
    } else if (task) {
        describe(node, words, sizeof words);
        fw_rcu_read_lock();
        if (node->on_failure == FW_AFTER_SKIP)
            (void)fw_lifecycle_skip(life, task, words);
        else
            (void)fw_lifecycle_fail(life, task, words);
        /* Whoever has ended it: the reference goes back. */
        fw_engine_drop(life->engine, task, false);
        fw_rcu_read_unlock();
    }
    disown(node);
}

static void arrive(fw_lifecycle *life, fw_node *node)
{
    static _Thread_local fw_node *my_due;
    static _Thread_local bool my_turn;
    /* [node-pending] acq_rel: what the others noted, to the last. */
    if (fw_sub_acq_rel(&node->pending, 1) != 1)
        return;
    node->next = my_due;
    my_due = node;
    if (my_turn)
        return;
    my_turn = true;
    while (my_due) {
        fw_node *due = my_due;
        my_due = due->next;
        resolve(life, due);
    }
    my_turn = false;
}

void fw_node_arm(fw_lifecycle *life, fw_node *node)
{
    arrive(life, node);
}

/* --- ends --- */

static void note_failure(fw_node *node, fw_span id, bool gone)
{
    /* Relaxed: the first one writes; the last end publishes it. */
    if (fw_add_relaxed(&node->failures, 1) > 0)
        return;
    node->gone = gone;
    snprintf(node->first, sizeof node->first, "%.*s", (int)id.len, id.ptr);
}

void fw_node_note(fw_lifecycle *life, fw_node *node, fw_state state, fw_span id)
{
    if (state != FW_SUCCESS)
        note_failure(node, id, false);
    arrive(life, node);
}

/* The end that it has had. */
static void count_end(fw_lifecycle *life, fw_node *node, fw_key key)
{
    char uuid[FW_UUID_TEXT];
    fw_cache_item item;
    fw_span id = {"a task", 6};
    fw_cache_answer stored = fw_cache_get(life->cache, key, fw_now_ns(), true, &item);
    if (fw_key_is_uuid(key)) {
        fw_key_format(uuid, key);
        id = (fw_span){uuid, sizeof uuid};
    } else if (stored == FW_CACHE_FOUND && item.id.len > 0) {
        id = item.id;
    }
    if (stored != FW_CACHE_FOUND)
        note_failure(node, id, true);
    else if (item.status != FW_SUCCESS)
        note_failure(node, id, false);
}

void fw_node_follow(fw_lifecycle *life, fw_node *node, fw_key key)
{
    static const fw_reply_to nobody = {.form = FW_REPLY_NONE};
    fw_task *task = fw_engine_find(life->engine, key);
    fw_waiter *waiter = task ? fw_waiter_create(&life->waiters, &nobody, key, 0, true) : NULL;
    if (waiter) {
        waiter->node = node;
        /* Relaxed: we count as an end ourselves. */
        fw_add_relaxed(&node->pending, 1);
        if (fw_waiters_attach(&life->waiters, task, waiter))
            return;
        fw_sub_relaxed(&node->pending, 1);
    }
    count_end(life, node, key);
}
