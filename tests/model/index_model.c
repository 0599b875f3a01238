/* Every order of threads on one bucket: I1 and I3 of engine/index.h, came-note and full-note of
 * engine/index.c. Tasks are never reused here, which is what read sections give the real callers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/index.h"

enum { TASKS = 12, FULL = FW_BUCKET_TASKS };

static fw_index table;
static fw_task tasks[TASKS];
static fw_key keys[TASKS];
static fw_task *returned[FW_MODEL_THREADS_MAX];
static bool gone[TASKS];

/* Keys of one bucket and one tag, so that only the tasks tell them apart. */
static void choose_keys(void)
{
    uint64_t first = fw_index_hash(keys[0]);
    fw_key key = {0, 0};
    for (unsigned i = 1; i < TASKS; i++) {
        do
            key.low++;
        while (fw_index_home(&table, fw_index_hash(key)) != fw_index_home(&table, first) ||
               fw_index_tag(fw_index_hash(key)) != fw_index_tag(first));
        keys[i] = key;
    }
}

static void begin_empty(void)
{
    if (!table.buckets) {
        FW_ASSERT(fw_index_init(&table, 1) == 0);
        choose_keys();
    }
    memset(table.buckets, 0, table.count * sizeof *table.buckets);
    memset(tasks, 0, sizeof tasks);
    memset(returned, 0, sizeof returned);
    memset(gone, 0, sizeof gone);
    for (unsigned i = 0; i < TASKS; i++)
        tasks[i].key = keys[i];
}

static void begin_with(unsigned count)
{
    begin_empty();
    for (unsigned i = 0; i < count; i++)
        FW_ASSERT(fw_index_insert(&table, &tasks[i]) == &tasks[i]);
}

/* 0, 1 and 2 are in. */
static void begin_chain(void)
{
    begin_with(3);
}

/* Whether a task is in any bucket; reads without steps. */
static bool is_linked(const fw_task *task)
{
    for (size_t i = 0; i < table.count; i++)
        for (unsigned place = 0; place < FW_BUCKET_TASKS; place++)
            if (table.buckets[i].tasks[place] == task &&
                fw_bucket_tag(table.buckets[i].word, place) != 0)
                return true;
    return false;
}

static bool is_empty(void)
{
    for (size_t i = 0; i < table.count; i++) {
        if (table.buckets[i].word % FW_BUCKET_CAME != 0)
            return false;
        for (unsigned place = 0; place < FW_BUCKET_TASKS; place++)
            if (table.buckets[i].tasks[place])
                return false;
    }
    return true;
}

static void take_out(unsigned number)
{
    fw_index_remove(&table, &tasks[number]);
    gone[number] = true;
    fw_model_check(!is_linked(&tasks[number]));
    fw_model_check(fw_index_find(&table, tasks[number].key) != &tasks[number]);
}

static void put_in(unsigned number)
{
    fw_model_check(fw_index_insert(&table, &tasks[number]) == &tasks[number]);
    fw_model_check(fw_index_find(&table, tasks[number].key) == &tasks[number]);
}

static void end_all(void)
{
    for (unsigned i = 0; i < TASKS; i++)
        if (gone[i])
            fw_model_check(!is_linked(&tasks[i]));
}

/* Two tasks of one key, and a reader. */
static void run_equal(unsigned thread)
{
    if (thread < 2)
        returned[thread] = fw_index_insert(&table, &tasks[4 + thread]);
    else
        returned[thread] = fw_index_find(&table, tasks[4].key);
}

static void begin_equal(void)
{
    begin_chain();
    tasks[5].key = tasks[4].key;
}

static void end_equal(void)
{
    fw_model_check(returned[0] == returned[1]);
    fw_model_check(returned[0] == &tasks[4] || returned[0] == &tasks[5]);
    fw_model_check(returned[2] == NULL || returned[2] == returned[0]);
    fw_model_check(is_linked(&tasks[4]) != is_linked(&tasks[5]));
}

/* Neighbours leave while a third comes. */
static void run_neighbours(unsigned thread)
{
    if (thread < 2)
        take_out(thread);
    else
        put_in(4);
}

static void end_neighbours(void)
{
    end_all();
    fw_model_check(is_linked(&tasks[2]) && is_linked(&tasks[4]));
}

/* The head and its neighbour leave; the last is found throughout. */
static void run_finder(unsigned thread)
{
    if (thread < 2)
        take_out(1 + thread);
    else
        fw_model_check(fw_index_find(&table, tasks[0].key) == &tasks[0]);
}

static void end_finder(void)
{
    end_all();
    fw_model_check(is_linked(&tasks[0]));
}

/* All three leave at once. */
static void run_leaving(unsigned thread)
{
    take_out(thread);
}

static void end_leaving(void)
{
    end_all();
    fw_model_check(is_empty());
}

/* A key is given up and taken again, while somebody else wants it. */
static void begin_again(void)
{
    begin_chain();
    tasks[4].key = tasks[5].key = tasks[1].key;
}

static void run_again(unsigned thread)
{
    if (thread == 0) {
        take_out(1);
        returned[0] = fw_index_insert(&table, &tasks[4]);
    } else {
        returned[1] = fw_index_insert(&table, &tasks[5]);
    }
}

static void end_again(void)
{
    end_all();
    unsigned in = (unsigned)is_linked(&tasks[4]) + (unsigned)is_linked(&tasks[5]);
    fw_model_check(in == 1);
    fw_model_check(is_linked(returned[0]));
    fw_model_check(returned[1] == returned[0] || returned[1] == &tasks[1]);
}

/* The bucket is full: two of one key go past it, while a place becomes free. */
static void begin_full(void)
{
    begin_with(FULL);
    tasks[FULL + 1].key = tasks[FULL].key;
}

static void run_full(unsigned thread)
{
    if (thread < 2)
        returned[thread] = fw_index_insert(&table, &tasks[FULL + thread]);
    else
        take_out(3);
}

static void end_full(void)
{
    end_all();
    fw_model_check(returned[0] == returned[1]);
    fw_model_check(is_linked(returned[0]));
    fw_model_check(is_linked(&tasks[FULL]) != is_linked(&tasks[FULL + 1]));
    fw_index_remove(&table, returned[0]);
    for (unsigned i = 0; i < FULL; i++)
        if (!gone[i])
            fw_index_remove(&table, &tasks[i]);
    fw_model_check(is_empty());
}

/* One that went past leaves, another comes, and the third beside it is found throughout. */
static void begin_past(void)
{
    begin_with(FULL + 2);
}

static void run_past(unsigned thread)
{
    if (thread == 0)
        take_out(FULL);
    else if (thread == 1)
        put_in(FULL + 2);
    else
        fw_model_check(fw_index_find(&table, tasks[FULL + 1].key) == &tasks[FULL + 1]);
}

static void end_past(void)
{
    end_all();
    fw_model_check(is_linked(&tasks[FULL + 1]) && is_linked(&tasks[FULL + 2]));
}

int main(void)
{
    const fw_model models[] = {
        {"index: two of one key, one reader", 3, begin_equal, run_equal, end_equal},
        {"index: neighbours leave, one comes", 3, begin_chain, run_neighbours, end_neighbours},
        {"index: two leave, the last is found", 3, begin_chain, run_finder, end_finder},
        {"index: all leave", 3, begin_chain, run_leaving, end_leaving},
        {"index: a key is taken again", 2, begin_again, run_again, end_again},
    };
    /* With three preemptions these are a million and a half schedules, all right. */
    const fw_model full[] = {
        {"index: two of one key past a full bucket", 3, begin_full, run_full, end_full},
        {"index: behind a full bucket", 3, begin_past, run_past, end_past},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 3) ||
           fw_model_main(full, sizeof full / sizeof full[0], 2);
}
