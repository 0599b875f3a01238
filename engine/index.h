/* engine/index.h - finds a live task by its key: a lock-free hash table of intrusive chains.
 *
 * I1 at most one task of a key is in the index: an insert that meets another one returns that.
 * I2 a task found in a read section stays readable until the section ends.
 * I3 after fw_index_remove returned, no later read section finds the task.
 *
 *             | insert | find | remove other | remove same
 *   insert    |   -    |  -   |      -       |      X
 *   find      |   -    |  -   |      -       |      -
 *   remove    |   -    |  -   |      -       |      X        X: the caller excludes it
 *
 * Insert, find and walk are called inside an RCU read section (base/rcu.h): no task that the
 * caller may have met is reused before it leaves, so a compare and swap never takes one task
 * for another. Remove opens one itself where it needs it.
 * Finding waits for nobody; inserting and removing are lock-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_INDEX_H
#define FW_ENGINE_INDEX_H

#include "base/assert.h"
#include "engine/engine.h"

typedef fw_atomic(fw_task *) fw_bucket;

typedef struct fw_index {
    /* Immutable after init. */
    fw_bucket *buckets;
    size_t count;   /* a power of two */
    unsigned shift; /* of the product whose top bits number a bucket */
} fw_index;

/* Sized for so many tasks; memory is touched as buckets are used. 0 or -FW_ENOMEM. */
int fw_index_init(fw_index *index, size_t tasks_max);
/* The tasks are the caller's. */
void fw_index_fini(fw_index *index);

/* The task itself, now in the index; or the one that has its key. */
static inline fw_task *fw_index_insert(fw_index *index, fw_task *task);
/* NULL: no such task. */
fw_task *fw_index_find(const fw_index *index, fw_key key);
/* Once per inserted task, by one caller. It may be retired (fw_rcu_retire) afterwards. */
static inline void fw_index_remove(fw_index *index, fw_task *task);

/* Visits the tasks of buckets from *bucket on, at most `buckets` of them, and moves *bucket on;
 * false: the visitor returned false, or the end was reached. */
bool fw_index_walk(const fw_index *index, size_t *bucket, size_t buckets,
                   bool (*visit)(void *context, fw_task *task), void *context);

/* The top bits of a product depend on all bits below: good for random and for counted keys. */
static inline fw_bucket *fw_index_bucket(const fw_index *index, fw_key key)
{
    uint64_t product =
        (key.high ^ key.low * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return &index->buckets[product >> index->shift];
}
/* Fetches what insert, find and remove of that key will touch first. */
static inline void fw_index_prefetch(const fw_index *index, fw_key key)
{
    __builtin_prefetch(fw_index_bucket(index, key), 1);
}

/* --- What nearly every task needs of it: its bucket is empty, its chain is itself alone. --- */

/* The same when the chain has members. */
fw_task *fw_index_insert_before(fw_bucket *bucket, fw_task *task);
/* The same when the task, which is marked, is not the newest of its chain. */
void fw_index_unlink(fw_bucket *bucket);

/* The low bit of index_next: the task is out, and its index_next will not change any more. */
static inline bool fw_index_is_marked(const fw_task *next)
{
    return (uintptr_t)next & 1;
}

static inline fw_task *fw_index_insert(fw_index *index, fw_task *task)
{
    FW_ASSERT(task);
    fw_bucket *bucket = fw_index_bucket(index, task->key);
    fw_task *head = NULL;
    /* Relaxed: published by the release below. */
    fw_store_relaxed(&task->index_next, NULL);
    /* [index-chain] release: the task's fields, to who finds it. */
    if (FW_LIKELY(fw_cas_release(bucket, &head, task)))
        return task;
    return fw_index_insert_before(bucket, task);
}

/* Outside a read section as long as no other member is looked at: the successor is only passed on,
 * and nothing could make it wrong but its own removal, which has to help this task out first. */
static inline void fw_index_remove(fw_index *index, fw_task *task)
{
    FW_ASSERT(task);
    fw_bucket *bucket = fw_index_bucket(index, task->key);
    /* Relaxed: the swap decides. */
    fw_task *next = fw_load_relaxed(&task->index_next);
    bool marked;
    do {
        FW_ASSERT(!fw_index_is_marked(next));
        /* [index-chain] acq_rel: the successor may be passed on below; the mark is before that. */
        marked = fw_cas_acq_rel(&task->index_next, &next, (fw_task *)((uintptr_t)next | 1));
    } while (FW_UNLIKELY(!marked));
    fw_task *expected = task;
    /* [index-chain] release: the successor's fields, to who follows the bucket. */
    if (FW_UNLIKELY(!fw_cas_release(bucket, &expected, next)))
        fw_index_unlink(bucket);
}

#endif
