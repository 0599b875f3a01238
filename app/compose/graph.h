/* app/compose/graph.h - tasks that wait for the ends of others: `after`, groups, and what follows a
 * group.
 *
 * A node counts ends that are still to come. For each of them a waiter of a kind of its own hangs
 * on the task's list (app/life/waiters): whoever ends the task closes that list once, and so tells
 * every node exactly once; who comes too late to hang one there finds the end in the cache. Nothing
 * is looked up and nothing polls. Tasks that nobody follows do not notice.
 *
 * A node may hold a task: admitted, SCHEDULED, on no wheel. The node has the runner's reference
 * (engine/engine_priv.h) in `task`; one of two takes it out: the last end, which has the task run,
 * or ends it if another failed; or the end of the held task itself, by a cancel for example. The
 * node goes when both are through with it.
 *
 * Who builds a node counts as one more end, so nothing happens before it is complete. A group is a
 * node without a task that counts its members, known by its name until a task that follows it comes
 * (`then`): that is held by the node, and the name is free again.
 *
 * An end may have another one follow, and that another: a thread that is at it puts the next on a
 * list instead of calling itself, so that a chain of any length needs no stack.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_GRAPH_H
#define FW_APP_GRAPH_H

#include "app/life/task_options.h"
#include "engine/engine.h"

struct fw_lifecycle;
typedef struct fw_node fw_node;
typedef struct fw_named_groups fw_named_groups;

/* --- nodes --- */

/* NULL: no memory. due_ns: when its task may run at the earliest; 0: at once. */
fw_node *fw_node_create(fw_after_failure on_failure, int64_t due_ns);
/* Before the task is admitted; its end will call fw_node_left. */
void fw_node_hold(fw_node *node, fw_task *task);
/* It was not admitted. */
void fw_node_let_go(fw_node *node);
/* The task was held by the node, if by any, and has ended. Any thread. */
void fw_node_left(struct fw_lifecycle *life, fw_node *node, fw_task *task);
/* Takes out the task, for who runs or ends it. NULL: it was taken. */
fw_task *fw_node_take(fw_node *node);
/* The node waits for the end of that task, or counts the end it has had. In a read section. */
void fw_node_follow(struct fw_lifecycle *life, fw_node *node, fw_key task);
/* The node is complete. Whoever builds it calls this once and does not touch it again. */
void fw_node_arm(struct fw_lifecycle *life, fw_node *node);
/* A task that the node waited for has ended. Any thread. */
void fw_node_note(struct fw_lifecycle *life, fw_node *node, fw_state state, fw_span id);

/* --- groups, by name --- */

/* NULL: no memory. idle_ns: a group without live members is forgotten after so long. */
fw_named_groups *fw_named_groups_create(size_t groups_max, int64_t idle_ns);
void fw_named_groups_destroy(struct fw_lifecycle *life, fw_named_groups *groups);
/* Makes it a member of the group, which begins with its first. False: too many groups, or no
 * memory. In a read section. */
bool fw_named_groups_join(struct fw_lifecycle *life, fw_named_groups *groups, fw_span name,
                          fw_key member, int64_t now_ns);
/* Takes the group away from its name, to be armed by the caller. NULL: there is none. */
fw_node *fw_named_groups_seal(fw_named_groups *groups, fw_span name, fw_after_failure on_failure);
bool fw_named_groups_is_full(fw_named_groups *groups, size_t more);
bool fw_named_groups_has(fw_named_groups *groups, fw_key name);
void fw_named_groups_sweep(struct fw_lifecycle *life, fw_named_groups *groups, int64_t now_ns);
size_t fw_named_groups_count(fw_named_groups *groups);

#endif
