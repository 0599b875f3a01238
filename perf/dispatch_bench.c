/* perf/dispatch_bench.c - what the dispatcher costs: dispatch_bench WHAT ...; without: all of them.
 *
 * decision PLACES NAMES: places of one slot, half of them busy; a task comes, is given to a place
 * and sent (`enqueue`), its run ends and the slot is free again (`end`).
 *
 * backlog PLACES NAMES: all are busy and tasks wait; a task comes behind them (`enqueue-behind`), a
 * run ends, and the slot has the next task at once (`refill`).
 *
 * limits [counted|rated|past-held|bound|keyed]: decisions where the name, or each of a thousand
 * keys, has a limit that nobody reaches, many tasks of another name are held, or the limit is
 * reached.
 *
 * local direct|engaged|counted: tasks that do nothing, in batches of 64 from one producer, run by
 * two task threads, straight from the lanes, by way of the dispatcher, or that with a limit.
 *
 * elsewhere: tasks per second through one place of two slots, whose results come back in batches
 * from the thread that submits.
 *
 * regroup: ms until a place is attached that knows one of eight names, of which many tasks wait in
 * one line, and until it is detached. recall: ms until what waits in the pool's lanes has been
 * taken back because the first place came.
 *
 * One JSON line a figure; instructions where the system counts them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "engine/dispatch.h"
#include "engine/limits.h"

enum { ROUNDS = 200000, BATCH = 64, TASKS = 2000000, WAITING = 100000, BACKLOG = 900032 };

typedef struct bench {
    fw_engine *engine;
    uint64_t number;
    /* Ring of what was sent and not yet ended. */
    fw_handout sent[1 << 15];
    uint32_t places[1 << 15];
    unsigned first, last;
} bench;

static fw_run run(void *context, fw_task *task, unsigned thread)
{
    (void)context;
    (void)task;
    (void)thread;
    return FW_RUN_SUCCESS;
}

static void done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    (void)context;
    (void)task;
    (void)why;
    (void)ended_ns;
}

static void send(void *context, void *owner, const fw_handout *handouts, size_t count)
{
    bench *b = context;
    for (size_t i = 0; i < count; i++, b->last++) {
        b->sent[b->last % (1 << 15)] = handouts[i];
        b->places[b->last % (1 << 15)] = *(const uint32_t *)owner;
    }
}

static bench *open_bench_with(unsigned threads, bool local,
                              fw_run (*how)(void *, fw_task *, unsigned))
{
    bench *b = calloc(1, sizeof *b);
    fw_engine_config config = {
        .pool = {.threads = threads, .ring_size = 65536, .batch = 32},
        .tasks_max = 1000000,
        .bytes_max = (size_t)1 << 30,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {.context = b, .run = how, .done = done};
    fw_dispatch_config dispatch = {.local = local, .prefetch = -1, .window_max = FW_WINDOW_MAX};
    fw_dispatch_ops places = {.context = b, .send = send};
    FW_ASSERT(b && fw_engine_create(&b->engine, &config, &ops) == 0);
    FW_ASSERT(fw_dispatch_init(b->engine, &dispatch, &places) == 0);
    return b;
}

static bench *open_bench(unsigned threads, bool local)
{
    return open_bench_with(threads, local, run);
}

static fw_task *make(bench *b, uint32_t name)
{
    fw_task *task;
    while (!(task = fw_engine_alloc(b->engine, 64)))
        sched_yield();
    uint64_t number = ++b->number;
    task->key = (fw_key){number * UINT64_C(0x9e3779b97f4a7c15),
                         (number ^ number >> 7) * UINT64_C(0xd6e8feb86659fd93)};
    task->level = FW_NORMAL;
    task->name = name;
    task->created_wall_ns = 1;
    fw_rcu_read_lock();
    FW_ASSERT(fw_engine_admit(b->engine, task, false) == task);
    fw_rcu_read_unlock();
    return task;
}

/* Of this thread; -1: the system does not count. */
static int open_instructions(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
                                   .size = sizeof attr,
                                   .config = PERF_COUNT_HW_INSTRUCTIONS,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t read_instructions(int counter)
{
    uint64_t value = 0;
    return counter >= 0 && read(counter, &value, sizeof value) == sizeof value ? value : 0;
}

static void print(const char *what, unsigned places, unsigned names, double value, const char *unit)
{
    printf("{\"suite\":\"dispatch\",\"name\":\"%s-%u-places-%u-names\",\"who\":\"ours\","
           "\"value\":%.5g,\"unit\":\"%s\"}\n",
           what, places, names, value, unit);
}

/* Ends the oldest run that is out. */
static void end_one(bench *b)
{
    unsigned at = b->first++ % (1 << 15);
    fw_task *task = fw_dispatch_claim(b->engine, b->places[at], b->sent[at].lease);
    FW_ASSERT(task);
    fw_dispatch_end(b->engine, task, b->sent[at].lease, true, FW_NS_PER_S);
}

static uint32_t *attach(bench *b, unsigned count, unsigned slots, bool prefetch)
{
    uint32_t *numbers = calloc(count, sizeof *numbers);
    FW_ASSERT(numbers);
    for (unsigned i = 0; i < count; i++) {
        fw_place_config config = {.owner = &numbers[i],
                                  .any = true,
                                  .levels = (1 << FW_LEVELS) - 1,
                                  .slots = slots,
                                  .prefetch = prefetch};
        FW_ASSERT(fw_dispatch_attach(b->engine, &numbers[i], &config) == 0);
    }
    return numbers;
}

/* Sums of one kind of step. */
typedef struct sum {
    int64_t ns;
    uint64_t instructions;
} sum;

static void measure(bench *b, int counter, sum *to, void (*step)(bench *b, fw_task *task),
                    fw_task *task)
{
    uint64_t instructions = read_instructions(counter);
    int64_t start_ns = fw_now_ns();
    step(b, task);
    to->ns += fw_now_ns() - start_ns;
    to->instructions += read_instructions(counter) - instructions;
}

static void enqueue(bench *b, fw_task *task)
{
    fw_engine_enqueue(b->engine, FW_NORMAL, &task, 1);
}

static void finish(bench *b, fw_task *task)
{
    (void)task;
    end_one(b);
    fw_dispatch_flush(b->engine);
}

static void nothing(bench *b, fw_task *task)
{
    (void)b;
    (void)task;
}

static void show(const char *what, unsigned places, unsigned names, int counter, const sum *of,
                 const sum *empty)
{
    char name[64];
    snprintf(name, sizeof name, "%s-ns", what);
    print(name, places, names, (double)(of->ns - empty->ns) / ROUNDS, "ns");
    snprintf(name, sizeof name, "%s-instructions", what);
    if (counter >= 0)
        print(name, places, names, (double)(of->instructions - empty->instructions) / ROUNDS,
              "instructions");
}

typedef enum limiting { FREE, COUNTED, RATED, HELD, BOUND, KEYED, LIMITINGS } limiting;
static const char *const limitings[] = {"", "-counted", "-rated", "-past-held", "-bound", "-keyed"};

/* COUNTED, RATED: limits that nobody reaches. HELD: many tasks of another name may not start.
 * BOUND: half of the places have a task, since there is a limit. KEYED: each key has one that
 * nobody reaches. */
static fw_span key_of(void *context, fw_task *task)
{
    static _Thread_local char text[8];
    (void)context;
    int len = snprintf(text, sizeof text, "k%u", (unsigned)(task->key.high % 1000));
    return (fw_span){text, (size_t)len};
}

static void set_limits(bench *b, limiting how, unsigned places, unsigned names)
{
    for (uint32_t name = 0; name < names; name++) {
        if (how == COUNTED)
            FW_ASSERT(fw_limit_set(b->engine, name, 1000000, 0, 0) == 0);
        if (how == RATED)
            FW_ASSERT(fw_limit_set(b->engine, name, 0, 1e8, 1000000) == 0);
        if (how == KEYED)
            FW_ASSERT(fw_limit_set_keys(b->engine, name, 1000000, 0, 0) == 0);
        if (how == BOUND)
            FW_ASSERT(fw_limit_set(b->engine, name, places / 2 / names, 0, 0) == 0);
    }
    if (how == HELD)
        FW_ASSERT(fw_limit_pause(b->engine, FW_PAUSE_NAME, names, FW_PAUSE_FOREVER) == 0);
    for (unsigned i = 0; how == HELD && i < WAITING; i++)
        enqueue(b, make(b, names));
}

static void decide(unsigned places, unsigned names, bool backlog, limiting how)
{
    char in_name[40], out_name[40];
    bench *b = open_bench(1, false);
    uint32_t *numbers = attach(b, places, 1, false);
    unsigned before = backlog ? places + WAITING : places / 2;
    unsigned in_hand = how == BOUND ? places / 2 / names * names : backlog ? places : places / 2;
    sum empty = {0}, in = {0}, out = {0};
    int counter = open_instructions();
    fw_limit_key_by(b->engine, key_of, NULL);
    set_limits(b, how, places, names);
    for (unsigned i = 0; i < before; i++)
        enqueue(b, make(b, i % names));
    for (unsigned i = 0; i < ROUNDS; i++) {
        fw_task *task = make(b, i % names);
        measure(b, counter, &empty, nothing, NULL);
        measure(b, counter, &in, enqueue, task);
        measure(b, counter, &out, finish, NULL);
        FW_ASSERT(b->last - b->first == in_hand);
    }
    snprintf(in_name, sizeof in_name, "enqueue%s%s", backlog ? "-behind" : "", limitings[how]);
    snprintf(out_name, sizeof out_name, "%s%s", backlog ? "refill" : "end", limitings[how]);
    show(in_name, places, names, counter, &in, &empty);
    show(out_name, places, names, counter, &out, &empty);
    if (counter >= 0)
        close(counter);
    fw_engine_destroy(b->engine);
    free(numbers);
    free(b);
}

static void await_end(bench *b, size_t tasks)
{
    fw_engine_stats stats;
    do {
        sched_yield();
        fw_engine_snapshot(b->engine, &stats);
    } while (stats.finished[FW_SUCCESS] < tasks);
}

static void run_local(bool engaged, bool counted)
{
    bench *b = open_bench(2, true);
    fw_task *tasks[BATCH];
    uint32_t number, owner = 0;
    FW_ASSERT(fw_dispatch_local_name(b->engine, 0) == 0);
    fw_place_config nothing_at_all = {.owner = &owner, .levels = 1, .slots = 1};
    if (engaged)
        FW_ASSERT(fw_dispatch_attach(b->engine, &number, &nothing_at_all) == 0);
    if (counted)
        FW_ASSERT(fw_limit_set(b->engine, 0, 1000000, 0, 0) == 0);
    int64_t start_ns = fw_now_ns();
    for (size_t i = 0; i < TASKS; i += BATCH) {
        for (size_t j = 0; j < BATCH; j++)
            tasks[j] = make(b, 0);
        fw_engine_enqueue(b->engine, FW_NORMAL, tasks, BATCH);
    }
    await_end(b, TASKS);
    double s = (double)(fw_now_ns() - start_ns) / (double)FW_NS_PER_S;
    printf("{\"suite\":\"dispatch\",\"name\":\"local-%s\",\"who\":\"ours\",\"value\":%.5g,"
           "\"unit\":\"tasks/s\"}\n",
           counted   ? "counted"
           : engaged ? "engaged"
                     : "direct",
           TASKS / s);
    fw_engine_destroy(b->engine);
    free(b);
}

static void show_ms(const char *what, int64_t start_ns)
{
    printf("{\"suite\":\"dispatch\",\"name\":\"%s\",\"who\":\"ours\",\"value\":%.5g,"
           "\"unit\":\"ms\"}\n",
           what, (double)(fw_now_ns() - start_ns) / (double)FW_NS_PER_MS);
}

static void fill(bench *b)
{
    fw_task *tasks[BATCH];
    for (size_t i = 0; i < BACKLOG; i += BATCH) {
        for (size_t j = 0; j < BATCH; j++)
            tasks[j] = make(b, j % 8);
        fw_engine_enqueue(b->engine, FW_NORMAL, tasks, BATCH);
    }
}

static void regroup(void)
{
    bench *b = open_bench(1, false);
    uint32_t owner = 0, number;
    const uint32_t names[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    fw_place_config all = {
        .owner = &owner, .names = names, .name_count = 8, .levels = 1 << FW_CRITICAL, .slots = 1};
    fw_place_config one = {.owner = &owner,
                           .names = names + 3,
                           .name_count = 1,
                           .levels = 1 << FW_CRITICAL,
                           .slots = 1};
    FW_ASSERT(fw_dispatch_attach(b->engine, &number, &all) == 0);
    fill(b);
    int64_t start_ns = fw_now_ns();
    FW_ASSERT(fw_dispatch_attach(b->engine, &number, &one) == 0);
    show_ms("regroup", start_ns);
    start_ns = fw_now_ns();
    fw_dispatch_detach(b->engine, number);
    show_ms("regroup-back", start_ns);
    fw_engine_destroy(b->engine);
    free(b);
}

static fw_atomic(bool) hold;

static fw_run run_held(void *context, fw_task *task, unsigned thread)
{
    while (fw_load_seq_cst(&hold))
        sched_yield();
    return run(context, task, thread);
}

static void recall(void)
{
    fw_store_seq_cst(&hold, true);
    bench *b = open_bench_with(1, true, run_held);
    uint32_t owner = 0, number;
    fill(b);
    fw_place_config place = {.owner = &owner, .levels = 1, .slots = 1};
    int64_t start_ns = fw_now_ns();
    FW_ASSERT(fw_dispatch_attach(b->engine, &number, &place) == 0);
    fw_dispatch_stats stats;
    do
        fw_dispatch_snapshot(b->engine, &stats);
    while (stats.waiting[FW_NORMAL] < BACKLOG - FW_BATCH_MAX);
    show_ms("recall", start_ns);
    fw_store_seq_cst(&hold, false);
    fw_engine_destroy(b->engine);
    free(b);
}

static void run_elsewhere(void)
{
    bench *b = open_bench(1, false);
    uint32_t *numbers = attach(b, 1, 2, true);
    fw_task *tasks[BATCH];
    int64_t start_ns = fw_now_ns();
    for (size_t i = 0; i < TASKS; i += BATCH) {
        for (size_t j = 0; j < BATCH; j++)
            tasks[j] = make(b, 0);
        fw_engine_enqueue(b->engine, FW_NORMAL, tasks, BATCH);
        for (size_t j = 0; j < BATCH && b->first < b->last; j++) {
            unsigned at = b->first++ % (1 << 15);
            fw_task *task = fw_dispatch_claim(b->engine, b->places[at], b->sent[at].lease);
            FW_ASSERT(task);
            fw_dispatch_end(b->engine, task, b->sent[at].lease, true, FW_NS_PER_US);
        }
        fw_dispatch_flush(b->engine);
    }
    double s = (double)(fw_now_ns() - start_ns) / (double)FW_NS_PER_S;
    printf("{\"suite\":\"dispatch\",\"name\":\"elsewhere\",\"who\":\"ours\",\"value\":%.5g,"
           "\"unit\":\"tasks/s\"}\n",
           TASKS / s);
    fw_engine_destroy(b->engine);
    free(numbers);
    free(b);
}

/* One of them, or all. */
static void limits(const char *which)
{
    for (limiting how = COUNTED; how < LIMITINGS; how++)
        if (!which || strcmp(which, limitings[how] + 1) == 0)
            decide(10, 1, how == BOUND, how);
}

int main(int argc, char **argv)
{
    unsigned places = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned names = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    const char *what = argc > 1 ? argv[1] : "all";
    if (strcmp(what, "decision") == 0 || strcmp(what, "backlog") == 0) {
        decide(places < 2 ? 10 : places, names < 1 ? 1 : names, what[0] == 'b', FREE);
    } else if (strcmp(what, "limits") == 0) {
        limits(argc > 2 ? argv[2] : NULL);
    } else if (strcmp(what, "local") == 0) {
        run_local(argc > 2 && strcmp(argv[2], "engaged") == 0,
                  argc > 2 && strcmp(argv[2], "counted") == 0);
    } else if (strcmp(what, "elsewhere") == 0) {
        run_elsewhere();
    } else if (strcmp(what, "regroup") == 0) {
        regroup();
    } else if (strcmp(what, "recall") == 0) {
        recall();
    } else {
        for (unsigned i = 0; i < 8; i++)
            decide(i & 1 ? 10000 : 10, i & 2 ? 8 : 1, i & 4, FREE);
        limits(NULL);
        run_local(false, false);
        run_local(true, false);
        run_local(false, true);
        run_elsewhere();
        regroup();
        recall();
    }
    return 0;
}
