/* Every order of threads on one chain: I1 and I3 of engine/index.h, and walk-note of
 * engine/index.c. Tasks are never reused here, which is what read sections give the real callers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/index.h"

enum { TASKS = 8 };

static fw_index table;
static fw_task tasks[TASKS];
static fw_task *returned[FW_MODEL_THREADS_MAX];
static bool gone[TASKS];

/* The number-th key that falls into the bucket of key 0. */
static fw_key chain_key(unsigned number)
{
    fw_key key = {0, 0};
    const fw_bucket *bucket = fw_index_bucket(&table, key);
    for (; number > 0; number--) {
        do
            key.low++;
        while (fw_index_bucket(&table, key) != bucket);
    }
    return key;
}

static void begin_empty(void)
{
    if (!table.buckets)
        FW_ASSERT(fw_index_init(&table, 1) == 0);
    memset(table.buckets, 0, table.count * sizeof *table.buckets);
    memset(tasks, 0, sizeof tasks);
    memset(returned, 0, sizeof returned);
    memset(gone, 0, sizeof gone);
    for (unsigned i = 0; i < TASKS; i++)
        tasks[i].key = chain_key(i);
}

/* A chain of three: 2, 1, 0. */
static void begin_chain(void)
{
    begin_empty();
    for (unsigned i = 0; i < 3; i++)
        FW_ASSERT(fw_index_insert(&table, &tasks[i]) == &tasks[i]);
}

/* Whether a task can still be reached, marked or not; reads without steps. */
static bool is_linked(const fw_task *task)
{
    uintptr_t at = (uintptr_t)*fw_index_bucket(&table, task->key);
    while (at & ~(uintptr_t)1) {
        const fw_task *member = (const fw_task *)(at & ~(uintptr_t)1);
        if (member == task)
            return true;
        at = (uintptr_t)member->index_next;
    }
    return false;
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
    fw_model_check(*fw_index_bucket(&table, tasks[0].key) == NULL);
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

int main(void)
{
    const fw_model models[] = {
        {"index: two of one key, one reader", 3, begin_equal, run_equal, end_equal},
        {"index: neighbours leave, one comes", 3, begin_chain, run_neighbours, end_neighbours},
        {"index: two leave, the last is found", 3, begin_chain, run_finder, end_finder},
        {"index: all leave", 3, begin_chain, run_leaving, end_leaving},
        {"index: a key is taken again", 2, begin_again, run_again, end_again},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 3);
}
