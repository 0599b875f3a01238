/* engine/index.c - buckets of one line: a word with the tags of the tasks in it, and seven places.
 *
 * A task is in the index when its tag is in the word of its bucket. Coming takes two steps: the
 * task reserves an empty place by compare and swap; then one of the word sets the tag of that place
 * and moves the word's count on. If anybody came to the bucket since the word was read, that swap
 * fails, and the tags are looked through again: that is I1. Going: the tag is cleared, then the
 * place. Key invariant: a place whose tag is set belongs to the task in it and does not change
 * until the tag is cleared.
 *
 * came-note: a reader that found its key in a place looks at the word again, because the task it
 * read may have reserved the place after the one of the tag had gone, and may still find that it is
 * not the first of its key. The count tells: it moves on when somebody comes. It would have to go
 * round, 2^15 tasks of one bucket within a read section, which keeps each of them from being
 * used again.
 *
 * full-note: a task whose bucket is full goes on to the next that has room, and counts in each
 * that it passes. Such keys are looked for under a lock of their home bucket, as two of them could
 * stand in different ones; so are keys of a bucket that others went past. A table has a quarter
 * more places than tasks, and a bucket is full when seven of its, on average, 5.6 at most are
 * there: with a table that is full to a half, one in a hundred. The lock is held for some hundred
 * instructions; who waits for it yields. A count that has reached its maximum stays there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/index.h"

#include <sched.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "engine/pages.h"

enum { BUCKETS_MIN = 16 };

_Static_assert(sizeof(fw_bucket) == FW_CACHE_LINE, "a bucket is a cache line");
_Static_assert(__builtin_popcountll(FW_TAG_ONES) == FW_BUCKET_TASKS, "one for each");

static size_t table_bytes(const fw_index *index)
{
    return index->count * sizeof *index->buckets;
}

int fw_index_init(fw_index *index, size_t tasks_max)
{
    FW_ASSERT(tasks_max > 0 && tasks_max <= UINT32_MAX);
    index->count = tasks_max / (FW_BUCKET_TASKS * 4) * 5 + BUCKETS_MIN;
    index->buckets = fw_pages_map_scattered(table_bytes(index));
    return index->buckets ? 0 : -FW_ENOMEM;
}

void fw_index_fini(fw_index *index)
{
    fw_pages_unmap(index->buckets, table_bytes(index));
    index->buckets = NULL;
}

static size_t after(const fw_index *index, size_t bucket)
{
    return bucket + 1 < index->count ? bucket + 1 : 0;
}

/* The task of that key in one bucket, or NULL; *seen: the bucket's word at that moment. */
static fw_task *find_in(fw_bucket *bucket, fw_key key, uint64_t tag, uint64_t *seen)
{
    /* [index-word] acquire: tags that are set. */
    uint64_t word = fw_load_acquire(&bucket->word);
    uint64_t matches = fw_bucket_matches(word, tag);
    while (matches) {
        unsigned place = (unsigned)__builtin_ctzll(matches) / FW_TAG_BITS;
        /* [index-place] acquire: the task's fields. */
        fw_task *task = fw_load_acquire(&bucket->tasks[place]);
        matches &= matches - 1;
        if (!task || !fw_key_equal(task->key, key) || fw_bucket_tag(word, place) != tag)
            continue;
        /* [index-word] acquire: as above; see came-note. */
        uint64_t now = fw_load_acquire(&bucket->word);
        if (now >> FW_BUCKET_CAME_SHIFT == word >> FW_BUCKET_CAME_SHIFT &&
            fw_bucket_tag(now, place) == tag)
            return task;
        word = now;
        matches = fw_bucket_matches(word, tag);
    }
    *seen = word;
    return NULL;
}

/* From a bucket on. */
static fw_task *find_from(const fw_index *index, size_t at, fw_key key, uint64_t tag)
{
    for (size_t looked = 0; looked < index->count; looked++, at = after(index, at)) {
        uint64_t seen;
        fw_task *task = find_in(&index->buckets[at], key, tag, &seen);
        if (task)
            return task;
        if (FW_LIKELY((seen & FW_BUCKET_GONE) == 0))
            return NULL;
    }
    return NULL;
}

fw_task *fw_index_find(const fw_index *index, fw_key key)
{
    uint64_t hash = fw_index_hash(key);
    return find_from(index, fw_index_home(index, hash), key, fw_index_tag(hash));
}

/* --- Full buckets --- */

static void lock(fw_bucket *bucket)
{
    for (;;) {
        /* Relaxed: the swap decides. */
        uint64_t word = fw_load_relaxed(&bucket->word);
        /* [index-lock] acquire: what the last holder did. */
        if (!(word & FW_BUCKET_LOCK) && fw_cas_acq_rel(&bucket->word, &word, word | FW_BUCKET_LOCK))
            return;
        if (word & FW_BUCKET_LOCK)
            sched_yield();
    }
}

static void unlock(fw_bucket *bucket)
{
    /* [index-lock] seq_cst: release of what was done. */
    fw_and_seq_cst(&bucket->word, ~FW_BUCKET_LOCK);
}

static void count_gone(fw_bucket *bucket, bool more)
{
    /* Relaxed: the swap decides. */
    uint64_t word = fw_load_relaxed(&bucket->word), next;
    do {
        if ((word & FW_BUCKET_GONE) == FW_BUCKET_GONE)
            return;
        FW_ASSERT(more || (word & FW_BUCKET_GONE) != 0);
        next = more ? word + (UINT64_C(1) << FW_BUCKET_GONE_SHIFT)
                    : word - (UINT64_C(1) << FW_BUCKET_GONE_SHIFT);
        /* [index-word] acq_rel: comes before the tag of the one that went on; after it has gone. */
    } while (!fw_cas_acq_rel(&bucket->word, &word, next));
}

/* The tag of a reserved place. */
static void commit(fw_bucket *bucket, unsigned place, uint64_t tag)
{
    /* Relaxed: the swap decides. */
    uint64_t word = fw_load_relaxed(&bucket->word), next;
    do {
        next = (word | tag << place * FW_TAG_BITS) + FW_BUCKET_CAME;
        /* [index-word] acq_rel: the task in its place. */
    } while (!fw_cas_acq_rel(&bucket->word, &word, next));
}

/* Holds the home bucket's lock; nobody has the key. */
static void place_from(fw_index *index, fw_task *task, size_t at, uint64_t tag)
{
    for (size_t looked = 0; looked < index->count; looked++, at = after(index, at)) {
        fw_bucket *bucket = &index->buckets[at];
        /* [index-word] acquire: the places of tags that are not set. */
        uint64_t word = fw_load_acquire(&bucket->word);
        unsigned place = fw_bucket_reserve(bucket, word, task);
        if (place < FW_BUCKET_TASKS) {
            commit(bucket, place, tag);
            return;
        }
        count_gone(bucket, true);
    }
    fw_assert_failed(__FILE__, __LINE__, "more tasks than the index was made for");
}

/* Under the lock of its home. */
static fw_task *insert_locked(fw_index *index, fw_task *task, uint64_t hash)
{
    size_t home = fw_index_home(index, hash);
    uint64_t tag = fw_index_tag(hash);
    lock(&index->buckets[home]);
    fw_task *other = find_from(index, home, task->key, tag);
    if (!other)
        place_from(index, task, home, tag);
    unlock(&index->buckets[home]);
    return other ? other : task;
}

fw_task *fw_index_insert_otherwise(fw_index *index, fw_task *task, uint64_t hash)
{
    uint64_t tag = fw_index_tag(hash), word;
    fw_bucket *bucket = &index->buckets[fw_index_home(index, hash)];
    for (;;) {
        fw_task *other = find_in(bucket, task->key, tag, &word);
        if (other)
            return other;
        if (word & (FW_BUCKET_LOCK | FW_BUCKET_GONE))
            break;
        unsigned place = fw_bucket_reserve(bucket, word, task);
        if (place == FW_BUCKET_TASKS)
            break;
        uint64_t next = (word | tag << place * FW_TAG_BITS) + FW_BUCKET_CAME;
        /* [index-word] acq_rel: the task in its place, to who finds the tag. */
        if (fw_cas_acq_rel(&bucket->word, &word, next))
            return task;
        /* [index-place] release: it was never told of. */
        fw_store_release(&bucket->tasks[place], NULL);
    }
    return insert_locked(index, task, hash);
}

void fw_index_remove_further(fw_index *index, fw_task *task, size_t home)
{
    size_t at = after(index, home), looked = 1;
    while (!fw_bucket_remove(&index->buckets[at], task)) {
        FW_ASSERT(++looked < index->count);
        at = after(index, at);
    }
    for (size_t passed = home; passed != at; passed = after(index, passed))
        count_gone(&index->buckets[passed], false);
}

bool fw_index_walk(const fw_index *index, size_t *bucket, size_t buckets,
                   bool (*visit)(void *context, fw_task *task), void *context)
{
    for (; buckets > 0 && *bucket < index->count; buckets--, ++*bucket) {
        fw_bucket *at = &index->buckets[*bucket];
        /* Relaxed: most are empty, and a task that comes now may be missed. */
        if ((fw_load_relaxed(&at->word) & FW_BUCKET_TAGS) == 0)
            continue;
        for (unsigned place = 0; place < FW_BUCKET_TASKS; place++) {
            /* [index-word] acquire: tags that are set. */
            uint64_t word = fw_load_acquire(&at->word);
            if (fw_bucket_tag(word, place) == 0)
                continue;
            /* [index-place] acquire: the task's fields. */
            fw_task *task = fw_load_acquire(&at->tasks[place]);
            /* [index-word] acquire: see came-note. */
            uint64_t now = fw_load_acquire(&at->word);
            bool same = now >> FW_BUCKET_CAME_SHIFT == word >> FW_BUCKET_CAME_SHIFT &&
                        fw_bucket_tag(now, place) != 0;
            if (task && same && !visit(context, task))
                return false;
        }
    }
    return *bucket < index->count;
}
