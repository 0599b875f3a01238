/* engine/index.h - finds a live task by its key: a lock-free hash table of intrusive chains.
 *
 * I1 at most one task of a key is in the index: an insert that meets another one returns that
 * instead. I2 a task found in a read section stays readable until the section ends. I3 after
 * fw_index_remove returned, no later read section finds the task.
 *
 *             | insert | find | remove other | remove same
 *   insert    |   -    |  -   |      -       |      X
 *   find      |   -    |  -   |      -       |      -
 *   remove    |   -    |  -   |      -       |      X        X: the caller excludes it
 *
 * Every call is made inside an RCU read section (base/rcu.h), also by writers: no task that a
 * caller may have met is reused before it leaves, so a compare and swap never takes one task for
 * another. Finding waits for nobody; inserting and removing are lock-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_INDEX_H
#define FW_ENGINE_INDEX_H

#include "engine/engine.h"

typedef fw_atomic(fw_task *) fw_bucket;

typedef struct fw_index {
    /* Immutable after init. */
    fw_bucket *buckets;
    uint64_t mask;
} fw_index;

/* Sized for so many tasks; memory is touched as buckets are used. 0 or -FW_ENOMEM. */
int fw_index_init(fw_index *index, size_t tasks_max);
/* The tasks are the caller's. */
void fw_index_fini(fw_index *index);

/* The task itself, now in the index; or the one that has its key. */
fw_task *fw_index_insert(fw_index *index, fw_task *task);
/* NULL: no such task. */
fw_task *fw_index_find(const fw_index *index, fw_key key);
/* Once per inserted task. The task may be retired (fw_rcu_retire) afterwards. */
void fw_index_remove(fw_index *index, fw_task *task);

/* Visits the tasks of buckets from *bucket on, at most `buckets` of them, and moves *bucket on;
 * false: the visitor returned false, or the end was reached. */
bool fw_index_walk(const fw_index *index, size_t *bucket, size_t buckets,
                   bool (*visit)(void *context, fw_task *task), void *context);

static inline fw_bucket *fw_index_bucket(const fw_index *index, fw_key key)
{
    return &index->buckets[fw_key_hash(key) & index->mask];
}
/* Fetches what insert, find and remove of that key will touch first. */
static inline void fw_index_prefetch(const fw_index *index, fw_key key)
{
    __builtin_prefetch(fw_index_bucket(index, key), 1);
}

#endif
