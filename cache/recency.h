/* cache/recency.h - the order of use of a shard's entries: readers mark, writers move.
 *
 * Entries stand in eras, oldest first; an era holds what was placed between its beginning and the
 * next one's, by time of use. A reader only marks the entry. When a writer looks for the oldest
 * entry and finds it marked, it moves it to the era of its mark; an era that received such
 * late-comers is sorted once, when it has become the oldest. So the entry handed out is the least
 * recently used one, as marks tell.
 *
 * G1 If times of use differ and no reader is at work meanwhile, the oldest entry is exactly that of
 * a true LRU. G2 Marks of one entry within FW_MARK_GRAIN_NS of its first mark since it was placed
 * may not count. G3 An era of more than FW_ERA_SORT_MAX entries keeps the order in which they were
 * placed. G4 The work is amortised: an entry is moved at most once per use that was marked.
 *
 * All functions: under the shard's lock. A clean mark (FW_MARK_USED not set) is the time of
 * placing. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_RECENCY_H
#define FW_CACHE_RECENCY_H

#include "base/assert.h"
#include "cache/node.h"

enum { FW_ERAS = 64, FW_ERA_SORT_MAX = 4096, FW_ERAS_WANTED = 32 };
_Static_assert((int)FW_ERAS <= (int)FW_NODE_SENTINELS, "each era has a sentinel");

typedef struct fw_recency {
    uint32_t oldest, newest; /* eras; they only go up, modulo FW_ERAS is the sentinel */
    uint32_t placed;         /* nodes placed in the newest era since it began */
    uint64_t newest_mark;    /* the last one placed in the newest era */
    uint64_t unsorted;       /* bit per sentinel */
    uint64_t began[FW_ERAS]; /* clean marks */
} fw_recency;

void fw_recency_init(fw_recency *recency);
/* A node enters with its entry's clean mark as the latest use; the entry is private yet. count: of
 * entries now, it sets the size of an era. */
void fw_recency_add(fw_recency *recency, fw_nodes *nodes, uint32_t index, fw_entry *entry,
                    uint32_t count);

static inline void fw_recency_remove(fw_nodes *nodes, uint32_t index)
{
    fw_node *at = nodes->at;
    FW_DEBUG_ASSERT(index >= FW_NODE_SENTINELS && at[at[index].newer].older == index);
    at[at[index].older].newer = at[index].newer;
    at[at[index].newer].older = at[index].older;
}

/* The same as fw_recency_oldest, when the oldest era is empty, unsorted or begins with a marked
 * entry. */
uint32_t fw_recency_find_oldest(fw_recency *recency, fw_nodes *nodes);

/* The node whose entry was used least recently; FW_NODE_NONE: there is none. */
static inline uint32_t fw_recency_oldest(fw_recency *recency, fw_nodes *nodes)
{
    uint32_t sentinel = recency->oldest % FW_ERAS, first = nodes->at[sentinel].newer;
    /* Relaxed: marks are hints; see fw_entry_mark. */
    if (FW_LIKELY(first != sentinel && !(recency->unsorted >> sentinel & 1) &&
                  !(fw_load_relaxed(&fw_node_entry(nodes, first)->mark) & FW_MARK_USED)))
        return first;
    return fw_recency_find_oldest(recency, nodes);
}

/* When the oldest era began: no entry was placed in the order of use before that. */
static inline uint64_t fw_recency_began(const fw_recency *recency)
{
    return recency->began[recency->oldest % FW_ERAS];
}

#endif
