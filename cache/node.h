/* cache/node.h - the writers' half of an entry: its neighbours in the order of use and on the
 * wheel.
 *
 * Nodes of a shard stand in one array and name each other by index, so that moving one touches two
 * cache lines of a small array and no entry. A node knows its entry by the place in the table, so
 * an entry that is replaced leaves its node untouched. The first nodes are sentinels: the same one
 * heads an era of the order of use (cache/recency.h) and a slot of the wheel (cache/expiry.h), each
 * with its own pair of links. Everything here is under the shard's lock. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_CACHE_NODE_H
#define FW_CACHE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/table.h"

enum { FW_NODE_SENTINELS = 192 };
#define FW_NODE_NONE UINT32_MAX

typedef struct fw_node {
    uint32_t newer, older;  /* order of use; `newer` also links free nodes */
    uint32_t later, sooner; /* wheel */
    uint32_t place;         /* of the entry in the table; FW_PLACE_NONE: the node is free */
    uint32_t hash;          /* the low half: where the entry would stand in another table */
    const fw_entry *hint; /* the entry if it was not replaced since it was placed; to load early */
} fw_node;
_Static_assert(sizeof(fw_node) == 32, "two nodes to a cache line");

typedef struct fw_nodes {
    fw_node *at;
    fw_bucket *buckets; /* of the table that places are in */
    uint32_t capacity;  /* sentinels included */
    uint32_t made;      /* nodes below this were used at some time */
    uint32_t free;      /* or FW_NODE_NONE */
} fw_nodes;

/* => false: no memory. */
bool fw_nodes_init(fw_nodes *nodes, uint32_t count);
void fw_nodes_fini(fw_nodes *nodes);
/* Grows towards `likely` nodes. Moves the array. => false: no memory. */
bool fw_nodes_grow(fw_nodes *nodes, uint32_t likely);

/* The entry of a node that is not free. */
static inline fw_entry *fw_node_entry(const fw_nodes *nodes, uint32_t index)
{
    uint32_t place = nodes->at[index].place;
    FW_DEBUG_ASSERT(place != FW_PLACE_NONE);
    /* Relaxed: only the lock's holder writes. */
    return fw_load_relaxed(&nodes->buckets[place / 8].entries[place % 8]);
}

static inline bool fw_nodes_has_free(const fw_nodes *nodes)
{
    return nodes->free != FW_NODE_NONE || nodes->made < nodes->capacity;
}

/* Takes a node; there must be a free one. */
static inline uint32_t fw_node_take(fw_nodes *nodes)
{
    uint32_t index = nodes->free;
    if (index == FW_NODE_NONE)
        return nodes->made++;
    nodes->free = nodes->at[index].newer;
    return index;
}

static inline void fw_node_give(fw_nodes *nodes, uint32_t index)
{
    nodes->at[index].place = FW_PLACE_NONE;
    nodes->at[index].newer = nodes->free;
    nodes->free = index;
}

#endif
