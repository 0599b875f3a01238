/* cache/recency.c - eras, and moving what readers have marked.
 *
 * Key invariant: of two neighbouring eras, what was placed in the older one was last used before
 * the younger one began; a marked entry may stand in an older era than its mark belongs to, never
 * in a younger one. A sentinel's `newer` is the oldest node of its era, its `older` the newest.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/recency.h"

#include "base/assert.h"

void fw_recency_init(fw_recency *recency)
{
    *recency = (fw_recency){.oldest = 0};
}

static inline uint32_t sentinel_of(uint32_t era)
{
    return era % FW_ERAS;
}

static inline bool era_is_empty(const fw_nodes *nodes, uint32_t era)
{
    return nodes->at[sentinel_of(era)].newer == sentinel_of(era);
}

static inline void append(fw_nodes *nodes, uint32_t sentinel, uint32_t index)
{
    fw_node *at = nodes->at;
    uint32_t last = at[sentinel].older;
    at[index].older = last;
    at[index].newer = sentinel;
    at[last].newer = index;
    at[sentinel].older = index;
}

static void skip_empty_eras(fw_recency *recency, const fw_nodes *nodes)
{
    while (recency->oldest != recency->newest && era_is_empty(nodes, recency->oldest)) {
        recency->unsorted &= ~(UINT64_C(1) << sentinel_of(recency->oldest));
        recency->oldest++;
    }
}

/* All sentinels are in use: the two oldest eras become one. */
static void join_oldest_eras(fw_recency *recency, fw_nodes *nodes)
{
    fw_node *at = nodes->at;
    uint32_t from = sentinel_of(recency->oldest), to = sentinel_of(recency->oldest + 1);
    FW_ASSERT(recency->newest - recency->oldest == FW_ERAS - 1);
    FW_ASSERT(at[from].newer != from);
    uint32_t first = at[from].newer, last = at[from].older;
    at[last].newer = at[to].newer;
    at[at[to].newer].older = last;
    at[to].newer = first;
    at[first].older = to;
    at[from].newer = at[from].older = from;
    if (recency->unsorted >> from & 1)
        recency->unsorted |= UINT64_C(1) << to;
    recency->unsorted &= ~(UINT64_C(1) << from);
    recency->began[to] = recency->began[from];
    recency->oldest++;
}

static void begin_era(fw_recency *recency, fw_nodes *nodes, uint64_t mark)
{
    skip_empty_eras(recency, nodes);
    if (recency->newest - recency->oldest == FW_ERAS - 1)
        join_oldest_eras(recency, nodes);
    recency->newest++;
    recency->began[sentinel_of(recency->newest)] = mark;
    recency->placed = 0;
    recency->newest_mark = mark;
    FW_DEBUG_ASSERT(era_is_empty(nodes, recency->newest));
    FW_DEBUG_ASSERT(!(recency->unsorted >> sentinel_of(recency->newest) & 1));
}

static inline void place_in_newest(fw_recency *recency, fw_nodes *nodes, uint32_t index,
                                   uint64_t mark)
{
    uint32_t sentinel = sentinel_of(recency->newest);
    if (FW_LIKELY(mark >= recency->newest_mark))
        recency->newest_mark = mark;
    else
        recency->unsorted |= UINT64_C(1) << sentinel;
    recency->placed++;
    append(nodes, sentinel, index);
}

void fw_recency_add(fw_recency *recency, fw_nodes *nodes, uint32_t index, fw_entry *entry,
                    uint32_t count)
{
    /* Relaxed: marks are hints; see fw_entry_mark. */
    uint64_t mark = fw_load_relaxed(&entry->mark) & ~(uint64_t)FW_MARK_USED;
    FW_DEBUG_ASSERT(index >= FW_NODE_SENTINELS);
    /* Threads' clocks differ a little: what is placed later counts as used later. */
    if (FW_UNLIKELY(mark < recency->newest_mark)) {
        mark = recency->newest_mark;
        fw_store_relaxed(&entry->mark, mark);
    }
    if (recency->placed > count / FW_ERAS_WANTED && mark > recency->newest_mark)
        begin_era(recency, nodes, mark);
    place_in_newest(recency, nodes, index, mark);
}

/* The youngest era that began at or before the mark; the oldest one if none did. */
static uint32_t era_of(const fw_recency *recency, uint64_t mark)
{
    uint32_t low = 0, high = recency->newest - recency->oldest;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (recency->began[sentinel_of(recency->oldest + middle)] <= mark)
            low = middle;
        else
            high = middle - 1;
    }
    return recency->oldest + low;
}

/* Takes note of a reader's mark. => the clean mark. */
static uint64_t clean_mark(fw_entry *entry)
{
    /* Relaxed, all: a mark that comes in between is found at the next look. */
    uint64_t mark = fw_load_relaxed(&entry->mark);
    while ((mark & FW_MARK_USED) && !fw_cas_relaxed(&entry->mark, &mark, mark - FW_MARK_USED))
        ;
    return mark & ~(uint64_t)FW_MARK_USED;
}

static void move(fw_recency *recency, fw_nodes *nodes, uint32_t index, uint32_t era, uint64_t mark)
{
    fw_recency_remove(nodes, index);
    nodes->at[index].hint = fw_node_entry(nodes, index);
    if (era == recency->newest) {
        place_in_newest(recency, nodes, index, mark);
        return;
    }
    append(nodes, sentinel_of(era), index);
    recency->unsorted |= UINT64_C(1) << sentinel_of(era);
}

static inline uint64_t mark_at(const fw_nodes *nodes, uint32_t index)
{
    /* Relaxed: marks are hints; see fw_entry_mark. */
    return fw_load_relaxed(&fw_node_entry(nodes, index)->mark);
}

/* ahead-note: what stands in an old era was used long ago, so each node is three loads from far
 * away that need each other: node, bucket, entry. They are done for a batch at a time. */
enum { BATCH = 16 };

/* Loads the marks of up to BATCH nodes of an era, from `index` on. => how many. */
static uint32_t load_ahead(const fw_nodes *nodes, uint32_t index, uint32_t sentinel,
                           uint32_t batch[BATCH])
{
    uint32_t count = 0;
    for (; count < BATCH && index != sentinel; index = nodes->at[index].newer) {
        __builtin_prefetch(&nodes->buckets[nodes->at[index].place / 8]);
        batch[count++] = index;
    }
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&fw_node_entry(nodes, batch[i])->mark, 1);
    return count;
}

/* Of the oldest era: sends marked entries to where their marks belong, cleans those that belong
 * here.
 * => how many are left. */
static uint32_t send_on(fw_recency *recency, fw_nodes *nodes, uint32_t sentinel)
{
    uint32_t left = 0, batch[BATCH], count;
    for (uint32_t index = nodes->at[sentinel].newer; index != sentinel;) {
        count = load_ahead(nodes, index, sentinel, batch);
        index = nodes->at[batch[count - 1]].newer;
        left += count;
        for (uint32_t i = 0; i < count; i++) {
            if (!(mark_at(nodes, batch[i]) & FW_MARK_USED))
                continue;
            uint64_t mark = clean_mark(fw_node_entry(nodes, batch[i]));
            uint32_t era = era_of(recency, mark);
            if (era == recency->oldest)
                continue;
            move(recency, nodes, batch[i], era, mark);
            left--;
        }
    }
    return left;
}

/* Merges two chains linked by `newer` and ended by `end`, the first one winning ties. */
static uint32_t merge(fw_nodes *nodes, uint32_t a, uint32_t b, uint32_t end)
{
    uint32_t first = end, *link = &first;
    while (a != end && b != end) {
        uint32_t *lower = mark_at(nodes, b) < mark_at(nodes, a) ? &b : &a;
        *link = *lower;
        link = &nodes->at[*lower].newer;
        *lower = *link;
    }
    *link = a != end ? a : b;
    return first;
}

/* Merge sort from the bottom up: runs[i] is empty or a sorted chain of 2^i nodes. */
static void sort_era(fw_nodes *nodes, uint32_t sentinel)
{
    enum { RUNS = 13 };
    _Static_assert((1 << RUNS) > FW_ERA_SORT_MAX, "every era that is sorted fits");
    fw_node *at = nodes->at;
    uint32_t runs[RUNS];
    for (int i = 0; i < RUNS; i++)
        runs[i] = sentinel;
    for (uint32_t index = at[sentinel].newer, next; index != sentinel; index = next) {
        next = at[index].newer;
        at[index].newer = sentinel;
        int i = 0;
        for (; runs[i] != sentinel; i++) {
            index = merge(nodes, runs[i], index, sentinel);
            runs[i] = sentinel;
            FW_ASSERT(i + 1 < RUNS);
        }
        runs[i] = index;
    }
    uint32_t sorted = sentinel;
    for (int i = 0; i < RUNS; i++)
        sorted = merge(nodes, runs[i], sorted, sentinel);
    uint32_t last = sentinel;
    for (uint32_t index = sorted; index != sentinel; index = at[index].newer) {
        at[index].older = last;
        last = index;
    }
    at[sentinel].newer = sorted;
    at[sentinel].older = last;
}

static void put_in_order(fw_recency *recency, fw_nodes *nodes, uint32_t sentinel)
{
    uint32_t left = send_on(recency, nodes, sentinel);
    if (left <= FW_ERA_SORT_MAX)
        sort_era(nodes, sentinel);
    recency->unsorted &= ~(UINT64_C(1) << sentinel);
    if (recency->oldest == recency->newest && left > 0)
        recency->newest_mark = mark_at(nodes, nodes->at[sentinel].older) | FW_MARK_USED;
}

uint32_t fw_recency_find_oldest(fw_recency *recency, fw_nodes *nodes)
{
    /* Readers may mark faster than this thread moves; nothing is looked at more than once on
     * average. */
    uint32_t moves = nodes->made;
    for (;;) {
        skip_empty_eras(recency, nodes);
        uint32_t sentinel = sentinel_of(recency->oldest);
        uint32_t first = nodes->at[sentinel].newer;
        if (first == sentinel)
            return FW_NODE_NONE;
        if (FW_UNLIKELY(recency->unsorted >> sentinel & 1)) {
            put_in_order(recency, nodes, sentinel);
            continue;
        }
        if (FW_LIKELY(!(mark_at(nodes, first) & FW_MARK_USED)) || moves-- == 0)
            return first;
        uint64_t mark = clean_mark(fw_node_entry(nodes, first));
        move(recency, nodes, first, era_of(recency, mark), mark);
    }
}
