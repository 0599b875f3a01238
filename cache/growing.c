/* cache/growing.c - a shard's table grows, a piece with each put; see cache/shard_parts.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "cache/shard_parts.h"

/* Nodes that one put takes over into a table to come. */
enum { MOVE_STEP = 32 };

void fw_shard_put_table(fw_shard *shard, fw_table table)
{
    size_t room = fw_table_room(table);
    shard->table_room = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
    shard->nodes.buckets = fw_table_buckets(table);
    /* [shard-table] release: the table's buckets. */
    fw_store_release(&shard->table, table);
}

static void reclaim_table(void *buckets)
{
    fw_table_destroy((fw_table)buckets);
}

void fw_shard_begin_growing(fw_shard *shard)
{
    /* Relaxed: about as many. */
    size_t entries = fw_shard_entries(shard), likely = fw_likely_entries(shard);
    size_t wanted = entries * 2 < likely ? entries * 2 : likely;
    fw_table next = fw_table_create(wanted > entries + entries / 4 ? wanted : entries / 4 * 5 + 8);
    uint32_t *places = next ? malloc(fw_places_bytes(next)) : NULL;
    fw_lock_acquire(&shard->lock);
    bool wants = places && !shard->next && fw_table_room(next) > shard->table_room;
    if (wants) {
        shard->next = next;
        shard->next_places = places;
        shard->moved = FW_NODE_SENTINELS;
        fw_shard_count_bytes(shard, (int64_t)(fw_table_bytes(next) + fw_places_bytes(next)));
    }
    fw_lock_release(&shard->lock);
    if (wants)
        return;
    fw_table_destroy(next);
    free(places);
}

/* All nodes stand in the next table: it is the table from now on. */
static void end_growing(fw_shard *shard)
{
    fw_table old = fw_shard_table(shard);
    for (uint32_t i = FW_NODE_SENTINELS; i < shard->nodes.made; i++) {
        if (shard->nodes.at[i].place != FW_PLACE_NONE)
            shard->nodes.at[i].place = shard->next_places[i];
    }
    fw_shard_put_table(shard, shard->next);
    fw_shard_count_bytes(shard, -(int64_t)(fw_table_bytes(old) + fw_places_bytes(shard->next)));
    shard->next = 0;
    free(shard->next_places);
    shard->next_places = NULL;
    fw_rcu_retire(fw_table_buckets(old), reclaim_table);
}

void fw_shard_enter_next(fw_shard *shard, uint32_t index, fw_entry *entry, uint8_t tag)
{
    FW_ASSERT(index < FW_NODE_SENTINELS + fw_table_places(shard->next));
    uint64_t hash = (uint64_t)tag << 32 | shard->nodes.at[index].hash;
    shard->next_places[index] = fw_table_insert(shard->next, hash, entry);
}

void fw_shard_go_on_growing(fw_shard *shard)
{
    uint32_t last = shard->nodes.made;
    if (last - shard->moved > MOVE_STEP)
        last = shard->moved + MOVE_STEP;
    for (; shard->moved < last; shard->moved++) {
        uint32_t index = shard->moved, place = shard->nodes.at[index].place;
        if (place != FW_PLACE_NONE)
            fw_shard_enter_next(shard, index, fw_node_entry(&shard->nodes, index),
                                fw_table_tag_at(fw_shard_table(shard), place));
    }
    if (shard->moved == shard->nodes.made)
        end_growing(shard);
}
