/* engine/index.h - finds a live task by its key: a lock-free hash table whose buckets are lines.
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
 * caller may have met is reused before it leaves, so what a bucket was seen to hold it holds
 * still, or its word has changed. Remove looks at no other task and needs none.
 * Finding and removing wait for nobody; inserting is lock-free, except of a key whose bucket is
 * full or was when others came, which excludes others of that bucket (full-note in index.c).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_INDEX_H
#define FW_ENGINE_INDEX_H

#include "base/assert.h"
#include "engine/engine.h"

enum { FW_BUCKET_TASKS = 7 };

/* One cache line, so that coming, being found and going touch one line and no other task's. */
typedef struct fw_bucket {
    /* From the low end: 7 tags of 6 bits, 0 where no task is; 1 bit lock; 6 bits how many went
     * on to a later bucket; 15 bits, moved on by each that came. */
    _Alignas(FW_CACHE_LINE) fw_atomic(uint64_t) word;
    fw_atomic(fw_task *) tasks[FW_BUCKET_TASKS];
} fw_bucket;

typedef struct fw_index {
    /* Immutable after init. */
    fw_bucket *buckets;
    size_t count;
} fw_index;

/* Room for so many tasks, and no more; memory is touched as buckets are used. 0 or -FW_ENOMEM. */
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
static inline uint64_t fw_index_hash(fw_key key)
{
    return (key.high ^ key.low * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
}

static inline size_t fw_index_home(const fw_index *index, uint64_t hash)
{
    return (size_t)((hash >> 32) * index->count >> 32);
}

/* Fetches what insert, find and remove of that key will touch first. */
static inline void fw_index_prefetch(const fw_index *index, fw_key key)
{
    __builtin_prefetch(&index->buckets[fw_index_home(index, fw_index_hash(key))], 1);
}

/* --- What nearly every task needs of it: a place in its own bucket, where no tag is its own. ---
 */

enum {
    FW_TAG_BITS = 6,
    FW_TAG_MASK = (1 << FW_TAG_BITS) - 1,
    FW_BUCKET_LOCK_SHIFT = FW_BUCKET_TASKS * FW_TAG_BITS,
    FW_BUCKET_GONE_SHIFT = FW_BUCKET_LOCK_SHIFT + 1,
    FW_BUCKET_GONE_BITS = 6,
    FW_BUCKET_CAME_SHIFT = FW_BUCKET_GONE_SHIFT + FW_BUCKET_GONE_BITS
};
#define FW_BUCKET_LOCK (UINT64_C(1) << FW_BUCKET_LOCK_SHIFT)
#define FW_BUCKET_GONE (((UINT64_C(1) << FW_BUCKET_GONE_BITS) - 1) << FW_BUCKET_GONE_SHIFT)
#define FW_BUCKET_CAME (UINT64_C(1) << FW_BUCKET_CAME_SHIFT)
#define FW_BUCKET_TAGS (FW_BUCKET_LOCK - 1)
#define FW_TAG_ONES    UINT64_C(0x1041041041) /* the lowest bit of each tag */

/* 1 to 63, of bits of the hash that do not choose the bucket. */
static inline uint64_t fw_index_tag(uint64_t hash)
{
    return 1 + ((hash >> 16 & 0xffff) * FW_TAG_MASK >> 16);
}

static inline uint64_t fw_bucket_tag(uint64_t word, unsigned place)
{
    return word >> place * FW_TAG_BITS & FW_TAG_MASK;
}

/* The top bit of each tag that is equal; and of some above such a one, which costs a look. */
static inline uint64_t fw_bucket_matches(uint64_t word, uint64_t tag)
{
    uint64_t differs = (word & FW_BUCKET_TAGS) ^ tag * FW_TAG_ONES;
    return (differs - FW_TAG_ONES) & ~differs & (FW_TAG_ONES << (FW_TAG_BITS - 1));
}

/* Reserves a place for the task; FW_BUCKET_TASKS: none is free. */
static inline unsigned fw_bucket_reserve(fw_bucket *bucket, uint64_t word, fw_task *task)
{
    for (unsigned place = 0; place < FW_BUCKET_TASKS; place++) {
        if (fw_bucket_tag(word, place) != 0)
            continue;
        fw_task *none = NULL;
        /* [index-place] acq_rel: the tag of whoever had it was gone before; the task's fields, to
         * who finds it. */
        if (fw_cas_acq_rel(&bucket->tasks[place], &none, task))
            return place;
    }
    return FW_BUCKET_TASKS;
}

/* The same when the bucket has to be looked at closer. */
fw_task *fw_index_insert_otherwise(fw_index *index, fw_task *task, uint64_t hash);
/* The same for a task that stands in a later bucket. */
void fw_index_remove_further(fw_index *index, fw_task *task, size_t home);

static inline fw_task *fw_index_insert(fw_index *index, fw_task *task)
{
    FW_ASSERT(task);
    uint64_t hash = fw_index_hash(task->key), tag = fw_index_tag(hash);
    fw_bucket *bucket = &index->buckets[fw_index_home(index, hash)];
    /* [index-word] acquire: tags that are set; the places of those that are not. */
    uint64_t word = fw_load_acquire(&bucket->word);
    if (FW_UNLIKELY((word & (FW_BUCKET_LOCK | FW_BUCKET_GONE)) | fw_bucket_matches(word, tag)))
        return fw_index_insert_otherwise(index, task, hash);
    unsigned place = fw_bucket_reserve(bucket, word, task);
    if (FW_UNLIKELY(place == FW_BUCKET_TASKS))
        return fw_index_insert_otherwise(index, task, hash);
    uint64_t next = (word | tag << place * FW_TAG_BITS) + FW_BUCKET_CAME;
    /* [index-word] acq_rel: the task in its place, to who finds the tag. */
    if (FW_LIKELY(fw_cas_acq_rel(&bucket->word, &word, next)))
        return task;
    /* [index-place] release: it was never told of. */
    fw_store_release(&bucket->tasks[place], NULL);
    return fw_index_insert_otherwise(index, task, hash);
}

/* False: it does not stand in this bucket. */
static inline bool fw_bucket_remove(fw_bucket *bucket, const fw_task *task)
{
    for (unsigned place = 0; place < FW_BUCKET_TASKS; place++) {
        /* Relaxed: nobody else puts it in or takes it out. */
        if (fw_load_relaxed(&bucket->tasks[place]) != task)
            continue;
        /* [index-word] seq_cst: it is out, before its place is free; less would do. */
        fw_and_seq_cst(&bucket->word, ~((uint64_t)FW_TAG_MASK << place * FW_TAG_BITS));
        /* [index-place] release: the tag is gone. */
        fw_store_release(&bucket->tasks[place], NULL);
        return true;
    }
    return false;
}

static inline void fw_index_remove(fw_index *index, fw_task *task)
{
    FW_ASSERT(task);
    size_t home = fw_index_home(index, fw_index_hash(task->key));
    if (FW_UNLIKELY(!fw_bucket_remove(&index->buckets[home], task)))
        fw_index_remove_further(index, task, home);
}

#endif
