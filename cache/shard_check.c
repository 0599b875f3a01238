/* cache/shard_check.c - looks for broken invariants of a shard. SPDX-License-Identifier: Apache-2.0
 */
#include "cache/hash.h"
#include "cache/shard_parts.h"

/* Counts the nodes of every ring that starts at a sentinel, by one pair of links. */
static size_t count_rings(const fw_shard *shard, bool wheel)
{
    const fw_node *at = shard->nodes.at;
    size_t count = 0;
    for (uint32_t s = 0; s < FW_NODE_SENTINELS; s++) {
        for (uint32_t i = wheel ? at[s].later : at[s].newer; i != s;
             i = wheel ? at[i].later : at[i].newer) {
            if (at[i].place == FW_PLACE_NONE || count++ > shard->nodes.made)
                return SIZE_MAX;
        }
    }
    return count;
}

static size_t bytes_beside_entries(const fw_shard *shard)
{
    size_t growing = shard->next ? fw_table_bytes(shard->next) + fw_places_bytes(shard->next) : 0;
    return sizeof *shard + fw_table_bytes(fw_shard_table(shard)) + growing +
           shard->nodes.capacity * sizeof(fw_node) + fw_departed_bytes(&shard->departed);
}

static bool node_is_valid(fw_shard *shard, uint32_t index)
{
    const fw_node *node = &shard->nodes.at[index];
    const fw_entry *entry = fw_node_entry(&shard->nodes, index);
    uint64_t hash = fw_hash(entry->key);
    bool valid = entry->node == index && node->hash == (uint32_t)hash;
    valid &= fw_table_place(fw_shard_table(shard), hash, entry->key) == node->place;
    valid &= fw_shard_find(shard, hash, entry->key) == entry;
    uint32_t next = shard->next ? fw_table_place(shard->next, hash, entry->key) : FW_PLACE_NONE;
    if (!fw_shard_stands_in_next(shard, index))
        return valid && next == FW_PLACE_NONE;
    return valid && next == shard->next_places[index] && fw_table_entry(shard->next, next) == entry;
}

bool fw_shard_is_valid(fw_shard *shard)
{
    fw_lock_acquire(&shard->lock);
    size_t entries = 0, bytes = bytes_beside_entries(shard);
    bool valid = true;
    for (uint32_t i = FW_NODE_SENTINELS; i < shard->nodes.made; i++) {
        if (shard->nodes.at[i].place == FW_PLACE_NONE)
            continue;
        entries++;
        bytes += fw_entry_bytes(fw_node_entry(&shard->nodes, i));
        valid &= node_is_valid(shard, i);
    }
    size_t states = 0;
    for (unsigned i = 0; i < FW_UNKNOWN; i++)
        states += fw_load_relaxed(&shard->by_status[i]);
    valid &= entries == fw_shard_entries(shard) && entries == states;
    valid &= bytes == fw_load_relaxed(&shard->bytes) && entries == shard->expiry.count;
    valid &= count_rings(shard, false) == entries && count_rings(shard, true) == entries;
    fw_lock_release(&shard->lock);
    return valid;
}
