/* perf/task_bench.c - `full-task`: what a task costs in the engine when it does nothing.
 *
 * task_bench [PRODUCERS [BATCH [TASKS [THREADS]]]]: outside threads allocate, admit and enqueue
 * tasks, task threads run and end them, liburcu gives their memory back. One JSON line: tasks
 * per second from the first allocation to the last end. Without arguments: 1 and 2 producers,
 * batches of 64.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "engine/engine.h"

enum { PRODUCERS_MAX = 16, BATCH_MAX = 256, PAYLOAD = 64 };

typedef struct bench {
    fw_engine *engine;
    unsigned producers, batch;
    size_t tasks; /* of each producer */
} bench;

typedef struct producer {
    bench *b;
    unsigned number;
    size_t refused;
} producer;

static fw_run run(void *context, fw_task *task, unsigned thread)
{
    (void)context;
    (void)thread;
    return task->name ? FW_RUN_FAILURE : FW_RUN_SUCCESS;
}

static void done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    (void)context;
    (void)task;
    (void)ended_ns;
    FW_ASSERT(why == FW_ENDED_BY_RUN);
}

static fw_task *make(producer *me, size_t i)
{
    fw_task *task;
    /* Refused: as many as may live do; their end is near. */
    while (!(task = fw_engine_alloc(me->b->engine, PAYLOAD))) {
        me->refused++;
        sched_yield();
    }
    uint64_t number = (uint64_t)me->number << 40 | i;
    task->key = (fw_key){number * UINT64_C(0x9e3779b97f4a7c15),
                         (number ^ number >> 7) * UINT64_C(0xd6e8feb86659fd93)};
    task->level = FW_NORMAL;
    task->timeout_ns = 300 * FW_NS_PER_S;
    memset(task->payload, (int)i, PAYLOAD);
    return task;
}

static void *produce(void *argument)
{
    producer *me = argument;
    bench *b = me->b;
    fw_task *tasks[BATCH_MAX];
    for (size_t i = 0; i < b->tasks;) {
        size_t count = b->tasks - i < b->batch ? b->tasks - i : b->batch;
        int64_t now_ns = fw_wall_ns();
        for (size_t j = 0; j < count; j++, i++) {
            tasks[j] = make(me, i);
            tasks[j]->created_wall_ns = now_ns;
            fw_engine_prefetch(b->engine, tasks[j]->key);
        }
        fw_rcu_read_lock();
        for (size_t j = 0; j < count; j++)
            FW_ASSERT(fw_engine_admit(b->engine, tasks[j], false) == tasks[j]);
        fw_rcu_read_unlock();
        fw_engine_enqueue(b->engine, FW_NORMAL, tasks, count);
    }
    return NULL;
}

static void await_end(bench *b)
{
    fw_engine_stats stats;
    do {
        /* Not in a loop without rest: its instructions would be counted too. */
        const struct timespec rest = {0, 200000};
        nanosleep(&rest, NULL);
        fw_engine_snapshot(b->engine, &stats);
    } while (stats.finished[FW_SUCCESS] < b->producers * b->tasks);
}

static void measure(unsigned producers, unsigned batch, size_t tasks, unsigned threads)
{
    bench b = {.producers = producers, .batch = batch, .tasks = tasks / producers};
    fw_engine_config config = {
        .pool = {.threads = threads, .ring_size = 65536, .batch = 32},
        .tasks_max = 1000000,
        .bytes_max = (size_t)1 << 30,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {.run = run, .done = done};
    pthread_t ids[PRODUCERS_MAX];
    producer all[PRODUCERS_MAX];
    FW_ASSERT(fw_engine_create(&b.engine, &config, &ops) == 0);
    int64_t start_ns = fw_now_ns();
    for (unsigned i = 0; i < producers; i++) {
        all[i] = (producer){&b, i, 0};
        FW_ASSERT(pthread_create(&ids[i], NULL, produce, &all[i]) == 0);
    }
    size_t refused = 0;
    for (unsigned i = 0; i < producers; i++) {
        pthread_join(ids[i], NULL);
        refused += all[i].refused;
    }
    await_end(&b);
    double s = (double)(fw_now_ns() - start_ns) / (double)FW_NS_PER_S;
    printf("{\"suite\":\"engine\",\"name\":\"full-task%s\",\"who\":\"ours\",\"value\":%.6g,"
           "\"unit\":\"tasks/s\",\"producers\":%u,\"batch\":%u,\"threads\":%u,\"refused\":%zu}\n",
           producers == 1 ? "" : "-2p", (double)(producers * b.tasks) / s, producers, batch,
           threads, refused);
    fw_engine_destroy(b.engine);
}

static unsigned long argument_of(int argc, char **argv, int index, unsigned long otherwise,
                                 unsigned long most)
{
    unsigned long value = argc > index ? strtoul(argv[index], NULL, 10) : otherwise;
    return value < 1 ? 1 : value > most ? most : value;
}

int main(int argc, char **argv)
{
    unsigned producers = (unsigned)argument_of(argc, argv, 1, 0, PRODUCERS_MAX);
    unsigned batch = (unsigned)argument_of(argc, argv, 2, 64, BATCH_MAX);
    size_t tasks = argument_of(argc, argv, 3, 2000000, 1000000000);
    unsigned threads = (unsigned)argument_of(argc, argv, 4, 2, FW_THREADS_MAX);
    measure(producers, batch, tasks, threads);
    if (argc == 1)
        measure(2, batch, tasks, threads);
    return 0;
}
