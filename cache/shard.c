/* cache/shard.c - what happens to a shard's entries: they come, are replaced, evicted, removed,
 * they expire.
 *
 * Key invariant, whenever the lock is free: each node that is not free has one entry, at the node's
 * place in the table, and stands in one era and in one slot of the wheel; the counters tell the
 * truth about them. While the table grows, the entries of nodes below `moved` stand in the next
 * table too, and readers look into the present one, where all are. An entry that leaves is
 * remembered as departed before it leaves the table, so that no reader sees neither. Entries are
 * retired after the lock is given back. SPDX-License-Identifier: Apache-2.0 */
#include "cache/shard.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "cache/hash.h"
#include "cache/shard_parts.h"

/* A shard has room for so many at first, and grows as it fills. */
enum { START_ENTRIES = 256 };

/* Entries that have left the table and wait for the lock to be given back. */
typedef struct victims {
    fw_entry *entries[FW_SHARD_VICTIMS];
    size_t count;
} victims;

/* Relaxed: a sum that bounds what is kept; nothing is published by it. */
static inline void send_bytes(fw_shard *shard)
{
    fw_add_relaxed(&shard->bounds->bytes, shard->unsent_bytes);
    shard->unsent_bytes = 0;
}

static inline void send_lump(fw_shard *shard)
{
    /* Relaxed: a setting. */
    if (FW_UNLIKELY((uint64_t)llabs(shard->unsent_bytes) >=
                    fw_load_relaxed(&shard->bounds->lump_bytes)))
        send_bytes(shard);
}

bool fw_shard_init(fw_shard *shard, fw_bounds *bounds, size_t likely, size_t remembered)
{
    size_t start = likely < START_ENTRIES ? likely : START_ENTRIES;
    *shard = (fw_shard){.bounds = bounds};
    fw_table table = fw_table_create(start + start / 8);
    bool ready = table != 0;
    ready = fw_nodes_init(&shard->nodes, (uint32_t)(start / 4 + 8)) && ready;
    ready = fw_departed_init(&shard->departed, remembered) && ready;
    fw_recency_init(&shard->recency);
    fw_expiry_init(&shard->expiry);
    fw_shard_put_table(shard, table);
    /* Relaxed: the cache is private until it is created. */
    fw_store_relaxed(&shard->began, UINT64_MAX);
    if (!ready) {
        fw_shard_fini(shard);
        return false;
    }
    fw_shard_count_bytes(shard, (int64_t)(sizeof *shard + fw_table_bytes(table) +
                                          shard->nodes.capacity * sizeof(fw_node) +
                                          fw_departed_bytes(&shard->departed)));
    send_bytes(shard);
    return true;
}

void fw_shard_fini(fw_shard *shard)
{
    for (uint32_t i = FW_NODE_SENTINELS; shard->nodes.at && i < shard->nodes.made; i++) {
        if (shard->nodes.at[i].place != FW_PLACE_NONE)
            fw_entry_free(fw_node_entry(&shard->nodes, i));
    }
    fw_table_destroy(shard->next);
    free(shard->next_places);
    fw_nodes_fini(&shard->nodes);
    fw_departed_fini(&shard->departed);
    fw_table_destroy(fw_shard_table(shard));
}

static bool make_nodes(fw_shard *shard)
{
    uint32_t capacity = shard->nodes.capacity;
    if (!fw_nodes_grow(&shard->nodes, (uint32_t)fw_likely_entries(shard)))
        return false;
    fw_shard_count_bytes(shard,
                         (int64_t)(shard->nodes.capacity - capacity) * (int64_t)sizeof(fw_node));
    return true;
}

/* Under the lock: room for one more. => false: no memory. */
static inline bool reserve(fw_shard *shard)
{
    if (FW_UNLIKELY(fw_shard_entries(shard) >= fw_table_places(fw_shard_table(shard))))
        return false;
    return FW_LIKELY(fw_nodes_has_free(&shard->nodes)) || make_nodes(shard);
}

/* What a put or a departure changes in the figures. `gone` and `entry` may be NULL. The usual put
 * changes little, as it evicts one of the same kind. */
static inline void count_change(fw_shard *shard, const fw_entry *entry, const fw_entry *gone)
{
    int64_t change = entry ? (int64_t)fw_entry_bytes(entry) : 0;
    change -= gone ? (int64_t)fw_entry_bytes(gone) : 0;
    if (FW_UNLIKELY(change != 0))
        fw_shard_count_bytes(shard, change);
    if (entry && gone && FW_LIKELY(entry->status == gone->status))
        return;
    if (entry)
        fw_count(&shard->by_status[entry->status], 1);
    if (gone)
        fw_count(&shard->by_status[gone->status], -(size_t)1);
}

/* Under the lock: the entry of a node leaves; not yet counted. => the entry, to be retired. */
static inline fw_entry *unlink_entry(fw_shard *shard, uint32_t index)
{
    fw_entry *entry = fw_node_entry(&shard->nodes, index);
    uint64_t hash = fw_hash(entry->key);
    /* Relaxed: readers move it, and any of the times will do. */
    fw_departed_add(&shard->departed, hash, (int64_t)(fw_load_relaxed(&entry->mark) / 2));
    fw_table_remove(fw_shard_table(shard), shard->nodes.at[index].place, hash);
    if (FW_UNLIKELY(fw_shard_stands_in_next(shard, index)))
        fw_table_remove(shard->next, shard->next_places[index], hash);
    fw_recency_remove(&shard->nodes, index);
    fw_expiry_remove(&shard->expiry, &shard->nodes, index);
    fw_node_give(&shard->nodes, index);
    return entry;
}

static fw_entry *take_out(fw_shard *shard, uint32_t index)
{
    fw_entry *entry = unlink_entry(shard, index);
    count_change(shard, NULL, entry);
    fw_count(&shard->entries, -(size_t)1);
    return entry;
}

/* Tells other shards how old the oldest entry of this one may be: when the oldest era began, or,
 * after an eviction by another shard's writer, when its first entry was used. */
static inline void show_age(fw_shard *shard)
{
    uint64_t began = fw_recency_began(&shard->recency);
    /* Relaxed: a hint where to evict; written seldom, so that the line stays shared. */
    uint64_t shown = fw_load_relaxed(&shard->began);
    if (FW_UNLIKELY(shown < began || shown == UINT64_MAX))
        fw_store_relaxed(&shard->began, began);
}

/* When the oldest entry was last used. */
static uint64_t oldest_mark(fw_shard *shard)
{
    uint32_t index = fw_recency_oldest(&shard->recency, &shard->nodes);
    /* Relaxed: a hint. */
    return index == FW_NODE_NONE ? UINT64_MAX
                                 : fw_load_relaxed(&fw_node_entry(&shard->nodes, index)->mark);
}

static void show_exact_age(fw_shard *shard)
{
    /* Relaxed: a hint where to evict. */
    fw_store_relaxed(&shard->began, oldest_mark(shard));
}

/* Tells, and starts loading, what the next eviction will touch: in a large cache what was used
 * least recently is in nobody's near memory, in a small one it may be in another processor's. */
static inline void show_next(fw_shard *shard, uint32_t next)
{
    const fw_node *at = shard->nodes.at;
    const fw_node *node = &at[next];
    if (FW_UNLIKELY(node->place == FW_PLACE_NONE))
        return;
    const fw_bucket *bucket = &shard->nodes.buckets[node->place / 8];
    /* Relaxed, all: addresses to load early. */
    fw_store_relaxed(&shard->next_entry, node->hint);
    fw_store_relaxed(&shard->next_bucket, bucket);
    fw_store_relaxed(&shard->next_node, node);
    __builtin_prefetch(node->hint);
    __builtin_prefetch(bucket);
    __builtin_prefetch(&at[node->newer]);
    __builtin_prefetch(&at[node->later]);
    __builtin_prefetch(&at[node->sooner]);
}

/* Under the lock: evicts the entry used least recently. => it, or NULL. */
static fw_entry *evict_oldest(fw_shard *shard, fw_eviction why)
{
    uint32_t index = fw_recency_oldest(&shard->recency, &shard->nodes);
    if (index == FW_NODE_NONE)
        return NULL;
    fw_count(&shard->evicted[why], 1);
    show_next(shard, shard->nodes.at[index].newer);
    return take_out(shard, index);
}

static void retire_all(victims *out)
{
    for (size_t i = 0; i < out->count; i++)
        fw_entry_retire(out->entries[i]);
}

/* Under the lock: an entry of a new key; not yet counted. */
static inline void enter(fw_shard *shard, fw_entry *entry, uint64_t hash, int64_t now_ns)
{
    uint32_t index = fw_node_take(&shard->nodes);
    fw_node *node = &shard->nodes.at[index];
    entry->node = index;
    node->hash = (uint32_t)hash;
    node->hint = entry;
    fw_recency_add(&shard->recency, &shard->nodes, index, entry, (uint32_t)fw_shard_entries(shard));
    fw_expiry_add(&shard->expiry, &shard->nodes, index, entry->expires_ns, now_ns);
    node->place = fw_table_insert(fw_shard_table(shard), hash, entry);
    if (FW_UNLIKELY(fw_shard_stands_in_next(shard, index)))
        fw_shard_enter_next(shard, index, entry, fw_table_tag(hash));
}

/* Under the lock: an entry of a key that is here. It takes over the node where it stands, as used
 * now, and is moved when its turn comes, as one that a reader used. => the one it replaces. */
static fw_entry *replace(fw_shard *shard, uint32_t place, fw_entry *entry, int64_t now_ns)
{
    fw_entry *old = fw_table_entry(fw_shard_table(shard), place);
    uint32_t index = old->node;
    FW_DEBUG_ASSERT(shard->nodes.at[index].place == place);
    count_change(shard, entry, old);
    entry->node = index;
    /* Relaxed: private until the table publishes it. */
    fw_store_relaxed(&entry->mark, fw_mark_of(now_ns) | FW_MARK_USED);
    if (FW_UNLIKELY(entry->expires_ns < old->expires_ns)) {
        fw_expiry_remove(&shard->expiry, &shard->nodes, index);
        fw_expiry_add(&shard->expiry, &shard->nodes, index, entry->expires_ns, now_ns);
    }
    fw_table_replace(fw_shard_table(shard), place, entry);
    if (FW_UNLIKELY(fw_shard_stands_in_next(shard, index)))
        fw_table_replace(shard->next, shard->next_places[index], entry);
    return old;
}

/* Whether this shard's oldest entry may go rather than the other's. Shards let go of entries of
 * about the same age; an eighth of difference is not worth a second lock. */
static inline bool is_oldest(const fw_shard *shard, const fw_shard *other, int64_t now_ns)
{
    uint64_t mine = fw_recency_began(&shard->recency);
    /* Relaxed: a hint. */
    uint64_t theirs = fw_load_relaxed(&other->began), now = fw_mark_of(now_ns);
    return theirs >= mine || now <= mine || mine - theirs <= (now - mine) / 8;
}

/* Under the lock: whether an entry that comes drives out the oldest one of this shard. */
static inline bool drives_out(const fw_shard *shard, const fw_shard *other, int64_t now_ns)
{
    fw_bounds *bounds = shard->bounds;
    /* Relaxed, all: bounds. */
    bool full = fw_load_relaxed(&bounds->entries) >= fw_load_relaxed(&bounds->entries_max);
    return FW_LIKELY(full && fw_shard_entries(shard) > 0) && is_oldest(shard, other, now_ns);
}

/* Under the lock: an entry of a new key, after the one that has to go for it, if any. => that one.
 */
static inline fw_entry *enter_for_oldest(fw_shard *shard, fw_entry *entry, uint64_t hash,
                                         int64_t now_ns, const fw_shard *other)
{
    fw_entry *gone = NULL;
    if (drives_out(shard, other, now_ns)) {
        uint32_t index = fw_recency_oldest(&shard->recency, &shard->nodes);
        FW_ASSERT(index != FW_NODE_NONE);
        show_next(shard, shard->nodes.at[index].newer);
        gone = unlink_entry(shard, index);
        fw_count(&shard->evicted[FW_EVICTED_BY_COUNT], 1);
    } else {
        /* Relaxed: a count that bounds. */
        fw_add_relaxed(&shard->bounds->entries, 1);
        fw_count(&shard->entries, 1);
    }
    enter(shard, entry, hash, now_ns);
    count_change(shard, entry, gone);
    return gone;
}

int fw_shard_put(fw_shard *shard, fw_entry *entry, uint64_t hash, int64_t now_ns,
                 const fw_shard *other)
{
    FW_DEBUG_ASSERT(hash == fw_hash(entry->key));
    fw_entry *gone = NULL;
    fw_lock_acquire(&shard->lock);
    uint32_t place = fw_table_place(fw_shard_table(shard), hash, entry->key);
    if (place != FW_PLACE_NONE) {
        gone = replace(shard, place, entry, now_ns);
    } else {
        if (FW_UNLIKELY(!reserve(shard))) {
            fw_lock_release(&shard->lock);
            return -FW_ENOMEM;
        }
        gone = enter_for_oldest(shard, entry, hash, now_ns, other);
    }
    fw_count(&shard->puts, 1);
    if (FW_UNLIKELY(shard->next))
        fw_shard_go_on_growing(shard);
    bool is_crowded = FW_UNLIKELY(fw_shard_entries(shard) >= shard->table_room) && !shard->next;
    send_lump(shard);
    show_age(shard);
    fw_lock_release(&shard->lock);
    if (gone)
        fw_entry_retire(gone);
    if (is_crowded)
        fw_shard_begin_growing(shard);
    return 0;
}

size_t fw_shard_evict(fw_shard *shard, size_t entries, size_t bytes, size_t leave, uint64_t until,
                      fw_eviction why)
{
    victims out = {.count = 0};
    fw_lock_acquire(&shard->lock);
    /* Relaxed: only the lock's holder writes. */
    size_t before = fw_load_relaxed(&shard->bytes);
    while ((out.count < entries || before - fw_load_relaxed(&shard->bytes) < bytes) &&
           out.count < FW_SHARD_VICTIMS && fw_shard_entries(shard) > leave) {
        if (out.count > 0 && oldest_mark(shard) > until)
            break;
        fw_entry *entry = evict_oldest(shard, why);
        FW_ASSERT(entry);
        out.entries[out.count++] = entry;
    }
    /* Relaxed: a count that bounds. */
    fw_sub_relaxed(&shard->bounds->entries, out.count);
    send_bytes(shard);
    show_exact_age(shard);
    fw_lock_release(&shard->lock);
    retire_all(&out);
    return out.count;
}

bool fw_shard_remove(fw_shard *shard, uint64_t hash, fw_key key)
{
    fw_entry *gone = NULL;
    fw_lock_acquire(&shard->lock);
    uint32_t place = fw_table_place(fw_shard_table(shard), hash, key);
    if (place != FW_PLACE_NONE) {
        gone = fw_table_entry(fw_shard_table(shard), place);
        take_out(shard, gone->node);
        /* Relaxed: a count that bounds. */
        fw_sub_relaxed(&shard->bounds->entries, 1);
        send_lump(shard);
        show_exact_age(shard);
    }
    fw_lock_release(&shard->lock);
    if (gone)
        fw_entry_retire(gone);
    return gone != NULL;
}

size_t fw_shard_sweep(fw_shard *shard, int64_t now_ns, size_t *work)
{
    victims out = {.count = 0};
    fw_lock_acquire(&shard->lock);
    while (out.count < FW_SHARD_VICTIMS) {
        uint32_t index = fw_expiry_due(&shard->expiry, &shard->nodes, now_ns / FW_NS_PER_S, work);
        /* Moving others nearer may have taken all the work; who is due then stays for next time. */
        if (index == FW_NODE_NONE || *work == 0)
            break;
        FW_ASSERT(fw_node_entry(&shard->nodes, index)->expires_ns < now_ns);
        --*work;
        fw_count(&shard->evicted[FW_EVICTED_BY_TTL], 1);
        out.entries[out.count++] = take_out(shard, index);
    }
    /* Relaxed: a count that bounds. */
    fw_sub_relaxed(&shard->bounds->entries, out.count);
    send_bytes(shard);
    if (out.count > 0)
        show_exact_age(shard);
    fw_lock_release(&shard->lock);
    retire_all(&out);
    return out.count;
}
