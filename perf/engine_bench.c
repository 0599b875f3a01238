/* perf/engine_bench.c - the suite `engine`: engine_bench CASE WHO [THREADS] prints one JSON line
 * per figure.
 *
 * inject, inject-bulk  one outside thread submits empty pieces, one by one or 64 at a time
 * tree                 a binary tree of pieces, each spawned by its parent
 * wake                 one piece per millisecond for an idle pool: submit to start
 * critical             one critical piece per millisecond over a flood of 10 us low ones: submit to
 * start SPDX-License-Identifier: Apache-2.0 */
#include "engine_case.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "engine/pool.h"

enum {
    INJECTED = 3000000,
    BULK = 64,
    DEPTH = 20,
    SAMPLES = 1000,
    BACKLOG = 20000, /* low pieces kept waiting */
    LOW_NS = 10000,
    THREADS_MAX = 64
};

/* ---- our pool as a case ---- */

static void *ours_create(unsigned threads)
{
    fw_pool_config config = {.threads = threads, .ring_size = 65536, .batch = 32};
    fw_pool *pool = NULL;
    if (fw_pool_create(&pool, &config) != 0)
        abort();
    return pool;
}

static void ours_destroy(void *pool)
{
    fw_pool_destroy(pool);
}

static void ours_submit(void *pool, unsigned level, fw_case_fn run, void *argument)
{
    while (fw_pool_submit(pool, (fw_prio)level, (fw_work){run, argument}) != FW_OK)
        sched_yield();
}

static void ours_submit_bulk(void *pool, fw_case_fn run, void *argument, size_t count)
{
    fw_work work[BULK];
    for (size_t i = 0; i < count; i++)
        work[i] = (fw_work){run, argument};
    for (size_t done = 0; done < count;) {
        size_t taken = fw_pool_submit_many(pool, FW_NORMAL, work + done, count - done);
        done += taken;
        if (taken == 0)
            sched_yield();
    }
}

static void ours_spawn(void *pool, fw_worker *self, fw_case_fn run, void *argument)
{
    (void)pool;
    fw_worker_spawn(self, FW_NORMAL, (fw_work){run, argument});
}

static const fw_case ours = {"ours",           ours_create, ours_destroy, ours_submit,
                             ours_submit_bulk, ours_spawn,  NULL};

/* ---- counting what has run: a cell per thread, one writer each ---- */

typedef struct cell {
    _Alignas(FW_APART) fw_atomic(uint64_t) count;
} cell;

static cell cells[THREADS_MAX];
static fw_atomic(unsigned) cells_used;
static _Thread_local cell *my_cell;

static inline void count_one(void)
{
    if (FW_UNLIKELY(my_cell == NULL))
        /* Relaxed: only to be alone. */
        my_cell = &cells[fw_add_relaxed(&cells_used, 1) % THREADS_MAX];
    fw_count(&my_cell->count, 1);
}

static void await_count(uint64_t wanted)
{
    for (;;) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < THREADS_MAX; i++)
            /* Relaxed: figures. */
            sum += fw_load_relaxed(&cells[i].count);
        if (sum >= wanted)
            return;
        sched_yield();
    }
}

static void print(const char *name, const char *who, double value, const char *unit)
{
    printf("{\"suite\":\"engine\",\"name\":\"%s\",\"who\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n",
           name, who, value, unit);
}

static const fw_case *under_test;
static void *pool;

static void print_rate(const char *name, uint64_t count, int64_t start_ns)
{
    print(name, under_test->who, (double)count * 1e3 / (double)(fw_now_ns() - start_ns), "M/s");
}

/* ---- inject, inject-bulk, tree ---- */

static void run_empty(fw_worker *self, void *argument)
{
    (void)self;
    (void)argument;
    count_one();
}

static void case_inject(void)
{
    int64_t start_ns = fw_now_ns();
    for (unsigned i = 0; i < INJECTED; i++)
        under_test->submit(pool, FW_NORMAL, run_empty, NULL);
    await_count(INJECTED);
    print_rate("inject", INJECTED, start_ns);
}

static void case_inject_bulk(void)
{
    enum { COUNT = 4 * INJECTED / BULK * BULK };
    int64_t start_ns = fw_now_ns();
    for (unsigned i = 0; i < COUNT; i += BULK)
        under_test->submit_bulk(pool, run_empty, NULL, BULK);
    await_count(COUNT);
    print_rate("inject-bulk", COUNT, start_ns);
}

static void run_tree(fw_worker *self, void *argument)
{
    uintptr_t depth = (uintptr_t)argument;
    count_one();
    if (depth == 0)
        return;
    under_test->spawn(pool, self, run_tree, (void *)(depth - 1));
    under_test->spawn(pool, self, run_tree, (void *)(depth - 1));
}

static void case_tree(void)
{
    const uint64_t count = ((uint64_t)2 << DEPTH) - 1;
    int64_t start_ns = fw_now_ns();
    if (under_test->tree != NULL)
        under_test->tree(pool, DEPTH, run_empty);
    else
        under_test->submit(pool, FW_NORMAL, run_tree, (void *)(uintptr_t)DEPTH);
    await_count(count);
    print_rate("tree", count, start_ns);
}

/* ---- wake, critical ---- */

typedef struct probe {
    fw_atomic(int64_t) submitted_ns, latency_ns;
} probe;

static void run_probe(fw_worker *self, void *argument)
{
    probe *p = argument;
    (void)self;
    int64_t now_ns = fw_now_ns();
    /* Relaxed: the queue orders it. */
    int64_t latency_ns = now_ns - fw_load_relaxed(&p->submitted_ns);
    /* [bench-probe] release: the piece is over. */
    fw_store_release(&p->latency_ns, latency_ns > 0 ? latency_ns : 1);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sleep_ns(int64_t ns)
{
    struct timespec t = {ns / FW_NS_PER_S, ns % FW_NS_PER_S};
    nanosleep(&t, NULL);
}

/* Submits a probe about once a millisecond and leaves the sorted latencies. `idle`: meanwhile. */
static void take_samples(unsigned level, int64_t *latency_ns, void (*idle)(void))
{
    uint64_t random = 1;
    for (unsigned i = 0; i < SAMPLES; i++) {
        probe p;
        random = random * UINT64_C(6364136223846793005) + 1;
        sleep_ns(700000 + (int64_t)(random >> 33) % 600000);
        if (idle != NULL)
            idle();
        /* Relaxed, both: the queue publishes them. */
        fw_store_relaxed(&p.latency_ns, 0);
        fw_store_relaxed(&p.submitted_ns, fw_now_ns());
        under_test->submit(pool, level, run_probe, &p);
        /* [bench-probe] acquire: the piece is over. */
        while ((latency_ns[i] = fw_load_acquire(&p.latency_ns)) == 0)
            sleep_ns(100000);
    }
    qsort(latency_ns, SAMPLES, sizeof(latency_ns[0]), by_value);
}

static void case_wake(void)
{
    static int64_t latency_ns[SAMPLES];
    take_samples(FW_NORMAL, latency_ns, NULL);
    print("wake", under_test->who, (double)latency_ns[SAMPLES / 2], "ns");
    print("wake-p99", under_test->who, (double)latency_ns[SAMPLES * 99 / 100], "ns");
}

static uint64_t low_submitted;

static void run_low(fw_worker *self, void *argument)
{
    (void)self;
    (void)argument;
    for (int64_t until_ns = fw_now_ns() + LOW_NS; fw_now_ns() < until_ns;)
        fw_cpu_relax();
    count_one();
}

/* Keeps the backlog of low pieces about even. */
static void top_up(void)
{
    uint64_t ran = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        /* Relaxed: figures. */
        ran += fw_load_relaxed(&cells[i].count);
    for (; low_submitted < ran + BACKLOG; low_submitted++)
        under_test->submit(pool, FW_LOW, run_low, NULL);
}

static void case_critical(void)
{
    static int64_t latency_ns[SAMPLES];
    top_up();
    int64_t start_ns = fw_now_ns();
    take_samples(FW_CRITICAL, latency_ns, top_up);
    print("critical", under_test->who, (double)latency_ns[SAMPLES / 2], "ns");
    print("critical-p99", under_test->who, (double)latency_ns[SAMPLES * 99 / 100], "ns");
    print_rate("critical-low", low_submitted - BACKLOG, start_ns);
    await_count(low_submitted);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"inject", case_inject},
                 {"inject-bulk", case_inject_bulk},
                 {"tree", case_tree},
                 {"wake", case_wake},
                 {"critical", case_critical}};
    if (argc < 3) {
        fprintf(stderr, "usage: engine_bench CASE WHO [THREADS]\n");
        return 2;
    }
    if (strcmp(argv[2], "ours") == 0)
        under_test = &ours;
    for (const fw_case *peer = fw_case_peers; under_test == NULL && peer->who != NULL; peer++)
        if (strcmp(argv[2], peer->who) == 0)
            under_test = peer;
    for (size_t i = 0; under_test != NULL && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        pool = under_test->create(argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2);
        cases[i].run();
        under_test->destroy(pool);
        return 0;
    }
    fprintf(stderr, "engine_bench: no such case or peer: %s %s\n", argv[1], argv[2]);
    return 2;
}
