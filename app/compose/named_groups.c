/* app/compose/named_groups.c - groups that nobody follows yet, by name; see app/compose/graph.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "app/compose/graph_node.h"
#include "base/assert.h"
#include "base/key.h"

enum { CHAINS = 4096 };

struct fw_named_groups {
    size_t groups_max;
    int64_t idle_ns;
    pthread_mutex_t lock;
    /* under lock */
    size_t count, swept;
    fw_node *chains[CHAINS];
};

fw_named_groups *fw_named_groups_create(size_t groups_max, int64_t idle_ns)
{
    fw_named_groups *groups = calloc(1, sizeof *groups);
    if (!groups)
        return NULL;
    groups->groups_max = groups_max;
    groups->idle_ns = idle_ns;
    FW_ASSERT(pthread_mutex_init(&groups->lock, NULL) == 0);
    return groups;
}

static fw_node **find(fw_named_groups *groups, fw_key name)
{
    fw_node **link = &groups->chains[fw_key_hash(name) % CHAINS];
    while (*link && !fw_key_equal((*link)->name, name))
        link = &(*link)->next_group;
    return link;
}

static fw_node *unlink_at(fw_named_groups *groups, fw_node **link)
{
    fw_node *node = *link;
    *link = node->next_group;
    groups->count--;
    return node;
}

void fw_named_groups_destroy(struct fw_lifecycle *life, fw_named_groups *groups)
{
    if (!groups)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        while (groups->chains[i])
            fw_node_arm(life, unlink_at(groups, &groups->chains[i]));
    pthread_mutex_destroy(&groups->lock);
    free(groups);
}

static fw_node *add(fw_named_groups *groups, fw_node **link, fw_key name)
{
    fw_node *node = groups->count < groups->groups_max ? fw_node_create(FW_AFTER_RUN, 0) : NULL;
    if (!node)
        return NULL;
    node->name = name;
    *link = node;
    groups->count++;
    return node;
}

bool fw_named_groups_join(struct fw_lifecycle *life, fw_named_groups *groups, fw_span name,
                          fw_key member, int64_t now_ns)
{
    fw_key key = fw_key_from_text(name);
    pthread_mutex_lock(&groups->lock);
    fw_node **link = find(groups, key);
    fw_node *node = *link ? *link : add(groups, link, key);
    if (node) {
        node->idle_since_ns = now_ns;
        /* Under the lock: nobody seals or forgets the group before the member counts. */
        fw_node_follow(life, node, member);
    }
    pthread_mutex_unlock(&groups->lock);
    return node != NULL;
}

fw_node *fw_named_groups_seal(fw_named_groups *groups, fw_span name, fw_after_failure on_failure)
{
    pthread_mutex_lock(&groups->lock);
    fw_node **link = find(groups, fw_key_from_text(name));
    fw_node *node = *link ? unlink_at(groups, link) : NULL;
    if (node)
        node->on_failure = on_failure;
    pthread_mutex_unlock(&groups->lock);
    return node;
}

bool fw_named_groups_is_full(fw_named_groups *groups, size_t more)
{
    return fw_named_groups_count(groups) + more > groups->groups_max;
}

bool fw_named_groups_has(fw_named_groups *groups, fw_key name)
{
    pthread_mutex_lock(&groups->lock);
    bool has = *find(groups, name) != NULL;
    pthread_mutex_unlock(&groups->lock);
    return has;
}

size_t fw_named_groups_count(fw_named_groups *groups)
{
    pthread_mutex_lock(&groups->lock);
    size_t count = groups->count;
    pthread_mutex_unlock(&groups->lock);
    return count;
}

/* Members that live, and nobody else. */
static bool is_idle(fw_named_groups *groups, fw_node *node, int64_t now_ns)
{
    /* Relaxed: one that has just come to its end is found the next time. */
    if (fw_load_relaxed(&node->pending) > 1)
        node->idle_since_ns = now_ns;
    return now_ns - node->idle_since_ns >= groups->idle_ns;
}

void fw_named_groups_sweep(struct fw_lifecycle *life, fw_named_groups *groups, int64_t now_ns)
{
    fw_node *idle = NULL;
    pthread_mutex_lock(&groups->lock);
    for (size_t i = 0; groups->count > 0 && i < CHAINS / 16; i++) {
        fw_node **link = &groups->chains[groups->swept++ % CHAINS];
        while (*link) {
            if (!is_idle(groups, *link, now_ns)) {
                link = &(*link)->next_group;
                continue;
            }
            fw_node *node = unlink_at(groups, link);
            node->next_group = idle;
            idle = node;
        }
    }
    pthread_mutex_unlock(&groups->lock);
    while (idle) {
        fw_node *node = idle;
        idle = node->next_group;
        fw_node_arm(life, node);
    }
}
