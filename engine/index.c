/* engine/index.c - chains that grow at the head and lose members by a mark.
 *
 * A chain runs from its bucket through index_next, newest first; the order of two members never
 * changes.
 * Inserting swings the bucket from the head that was seen to the new task. Whoever inserted an
 * equal key meanwhile has changed the bucket, so the swing fails and the chain is looked
 * through again: that is I1.
 * Removing sets the low bit of the task's own index_next (the mark: it is out from now on, and
 * its index_next never changes again), then unlinks it. Walkers on their way to unlink help:
 * they unlink every marked task that they meet. A marked predecessor makes the unlinking swing
 * fail, since its index_next holds the mark; the walk then starts again and unlinks the
 * predecessor first.
 *
 * walk-note: a walk from the bucket to the end that did not meet task T, marked before the walk
 * began, proves T unlinked. Let X be the last member it passed that is newer than T (or the
 * bucket). X was unmarked, hence linked, when its index_next was read, and that led to
 * something older than T: T was not between them then, and nothing links a marked task in
 * again, because a marked index_next is frozen and the swing that follows it expects a
 * predecessor that has not changed.
 * Sources: Harris 2001, Michael 2002; without their sorting, which the insertion at the head
 * replaces.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/index.h"

#include "base/assert.h"
#include "base/rcu.h"
#include "engine/pages.h"

enum { BUCKETS_MIN = 16 };

static fw_task *unmarked(fw_task *next)
{
    return (fw_task *)((uintptr_t)next & ~(uintptr_t)1);
}

static size_t table_bytes(const fw_index *index)
{
    return index->count * sizeof *index->buckets;
}

/* Half as many buckets as tasks at most: a table that is seldom full should be small enough to stay
 * in a cache, and a full one has two tasks in a chain. */
int fw_index_init(fw_index *index, size_t tasks_max)
{
    FW_ASSERT(tasks_max > 0 && tasks_max <= SIZE_MAX / 2 / sizeof *index->buckets);
    index->count = BUCKETS_MIN;
    while (index->count < tasks_max / 2)
        index->count *= 2;
    index->shift = 64 - (unsigned)__builtin_ctzll(index->count);
    index->buckets = fw_pages_map(table_bytes(index));
    return index->buckets ? 0 : -FW_ENOMEM;
}

void fw_index_fini(fw_index *index)
{
    fw_pages_unmap(index->buckets, table_bytes(index));
    index->buckets = NULL;
}

/* The live task of that key from `task` on, or NULL. */
static fw_task *find_from(fw_task *task, fw_key key)
{
    while (task) {
        /* [index-chain] acquire: the fields of the task that follows. */
        fw_task *next = fw_load_acquire(&task->index_next);
        if (fw_key_equal(task->key, key) && !fw_index_is_marked(next))
            return task;
        task = unmarked(next);
    }
    return NULL;
}

fw_task *fw_index_insert_before(fw_bucket *bucket, fw_task *task)
{
    for (;;) {
        /* [index-chain] acquire: the fields of the task at the head. */
        fw_task *head = fw_load_acquire(bucket);
        fw_task *other = find_from(head, task->key);
        if (other)
            return other;
        /* Relaxed: published by the release below. */
        fw_store_relaxed(&task->index_next, head);
        /* [index-chain] release: the task's fields, to who finds it. */
        if (fw_cas_release(bucket, &head, task))
            return task;
    }
}

fw_task *fw_index_find(const fw_index *index, fw_key key)
{
    /* [index-chain] acquire: the fields of the task at the head. */
    return find_from(fw_load_acquire(fw_index_bucket(index, key)), key);
}

/* One walk through a chain, unlinking what is marked. False: it met a change, start again. */
static bool sweep(fw_bucket *bucket)
{
    fw_bucket *link = bucket;
    /* [index-chain] acquire: the fields of the task at the head. */
    fw_task *task = fw_load_acquire(link);
    while (task) {
        /* [index-chain] acquire: the fields of the task that follows. */
        fw_task *next = fw_load_acquire(&task->index_next);
        if (!fw_index_is_marked(next)) {
            link = &task->index_next;
            task = next;
            continue;
        }
        fw_task *expected = task;
        /* Fails also when the link's own task was marked meanwhile.
         * [index-chain] release: the successor's fields, to who follows the link. */
        if (!fw_cas_release(link, &expected, unmarked(next)))
            return false;
        task = unmarked(next);
    }
    return true;
}

void fw_index_unlink(fw_bucket *bucket)
{
    fw_rcu_read_lock();
    while (!sweep(bucket))
        continue;
    fw_rcu_read_unlock();
}

bool fw_index_walk(const fw_index *index, size_t *bucket, size_t buckets,
                   bool (*visit)(void *context, fw_task *task), void *context)
{
    for (; buckets > 0 && *bucket < index->count; buckets--, ++*bucket) {
        /* [index-chain] acquire: the fields of the task at the head. */
        fw_task *task = fw_load_acquire(&index->buckets[*bucket]);
        while (task) {
            /* [index-chain] acquire: the fields of the task that follows. */
            fw_task *next = fw_load_acquire(&task->index_next);
            if (!fw_index_is_marked(next) && !visit(context, task))
                return false;
            task = unmarked(next);
        }
    }
    return *bucket < index->count;
}
