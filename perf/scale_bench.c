/* perf/scale_bench.c - the engine with a great many tasks: scale_bench WHAT [N]
 *
 * depth [N [FROM]]
 *             from FROM (1000) to N (10,000,000) tasks wait while the task thread is held: ns to
 *             queue one (-fill), ns to run one (-run), at each depth over at least a million tasks
 * timers N    N tasks wait for a time in an hour: ns to put one there, bytes, and what the process
 *             uses a second with nothing to do
 * lateness N  the same N wait, and a thousand tasks a second come that are due 20 ms later: how
 *             much later they begin
 * threads     full tasks a second by 2, 4, 8, 16, 32 and 64 task threads
 * delayed N   N tasks that are due within 50 ms; for counting instructions
 *
 * One JSON line a figure. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "engine/engine.h"

enum { PAYLOAD = 64, BATCH = 64, ENOUGH = 1000000, PROBES = 3000, PROBE_GAP_MS = 1, DELAY_MS = 20 };

typedef struct bench {
    fw_engine *engine;
    uint64_t number;
    fw_atomic(bool) hold;
    fw_atomic(uint64_t) probes;
    int64_t late_ns[PROBES];
} bench;

static void pause_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * FW_NS_PER_MS};
    nanosleep(&t, NULL);
}

static fw_run run(void *context, fw_task *task, unsigned thread)
{
    bench *b = context;
    (void)thread;
    if (task->name == 1) /* holds the thread */
        while (fw_load_seq_cst(&b->hold))
            pause_ms(1);
    if (task->name == 2) { /* a probe: its due time is in its payload */
        int64_t due_ns;
        memcpy(&due_ns, task->payload, sizeof due_ns);
        /* Relaxed: a place of one's own, read after the last one has ended. */
        b->late_ns[fw_add_relaxed(&b->probes, 1) % PROBES] = fw_now_ns() - due_ns;
    }
    return FW_RUN_SUCCESS;
}

static void done(void *context, fw_task *task, int why, int64_t ended_ns)
{
    (void)context;
    (void)task;
    (void)why;
    (void)ended_ns;
}

static bench *open_bench(unsigned threads, size_t tasks_max)
{
    bench *b = calloc(1, sizeof *b);
    fw_engine_config config = {
        .pool = {.threads = threads, .ring_size = 65536, .batch = 32},
        .tasks_max = tasks_max + ENOUGH,
        .bytes_max = (size_t)64 << 30,
        .tick_ns = FW_NS_PER_MS,
    };
    fw_engine_ops ops = {.context = b, .run = run, .done = done};
    FW_ASSERT(b && fw_engine_create(&b->engine, &config, &ops) == 0);
    return b;
}

static void close_bench(bench *b)
{
    fw_engine_destroy(b->engine);
    free(b);
}

static fw_task *make(bench *b, uint32_t name, bool scheduled)
{
    fw_task *task;
    while (!(task = fw_engine_alloc(b->engine, PAYLOAD)))
        sched_yield();
    uint64_t number = ++b->number;
    task->key = (fw_key){number * UINT64_C(0x9e3779b97f4a7c15),
                         (number ^ number >> 7) * UINT64_C(0xd6e8feb86659fd93)};
    task->level = FW_NORMAL;
    task->name = name;
    task->created_wall_ns = 1;
    memset(task->payload, 'x', PAYLOAD);
    fw_rcu_read_lock();
    FW_ASSERT(fw_engine_admit(b->engine, task, scheduled) == task);
    fw_rcu_read_unlock();
    return task;
}

static uint64_t finished(bench *b)
{
    fw_engine_stats stats;
    fw_engine_snapshot(b->engine, &stats);
    return stats.finished[FW_SUCCESS];
}

static void await_finished(bench *b, uint64_t wanted)
{
    while (finished(b) < wanted)
        pause_ms(1);
}

static void print(const char *what, uint64_t n, const char *more, double value, const char *unit)
{
    printf("{\"suite\":\"scale\",\"name\":\"%s-%" PRIu64 "%s\",\"who\":\"ours\",\"value\":%.6g,"
           "\"unit\":\"%s\"}\n",
           what, n, more, value, unit);
    fflush(stdout);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- depth --- */

static void fill(bench *b, size_t n)
{
    fw_task *tasks[BATCH];
    for (size_t i = 0; i < n;) {
        size_t count = 0;
        for (; count < BATCH && i < n; count++, i++)
            tasks[count] = make(b, 0, false);
        fw_engine_enqueue(b->engine, FW_NORMAL, tasks, count);
    }
}

/* CPU time of the process: others use the machine as well. */
static void depth(size_t n)
{
    bench *b = open_bench(1, n);
    double fill_ns = 0, run_ns = 0;
    size_t rounds = n < ENOUGH ? ENOUGH / n : 1;
    for (size_t i = 0; i <= rounds; i++) {
        fw_store_seq_cst(&b->hold, true);
        fw_task *holder = make(b, 1, false);
        fw_engine_enqueue(b->engine, FW_CRITICAL, &holder, 1);
        double start = cpu_ns();
        fill(b, n);
        double filled = cpu_ns();
        fw_store_seq_cst(&b->hold, false);
        await_finished(b, b->number);
        double ran = cpu_ns();
        if (i == 0) /* memory is new */
            continue;
        fill_ns += filled - start;
        run_ns += ran - filled;
    }
    print("depth", n, "-fill", fill_ns / (double)(rounds * n), "ns");
    print("depth", n, "-run", run_ns / (double)(rounds * n), "ns");
    close_bench(b);
}

/* --- timers --- */

static size_t resident_bytes(void)
{
    unsigned long whole = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &whole, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void wait_in_an_hour(bench *b, size_t n)
{
    int64_t hour_ns = fw_now_ns() + 3600 * FW_NS_PER_S;
    for (size_t i = 0; i < n; i++)
        fw_engine_schedule(b->engine, make(b, 0, true), hour_ns + (int64_t)(i % 60000) * 1000000);
}

static void timers(size_t n)
{
    bench *b = open_bench(1, n);
    wait_in_an_hour(b, 1000);
    pause_ms(200);
    size_t before = resident_bytes();
    double start = cpu_ns();
    wait_in_an_hour(b, n);
    print("timers", n, "-put", (cpu_ns() - start) / (double)n, "ns");
    pause_ms(500);
    print("timers", n, "-memory", (double)(resident_bytes() - before) / (double)n, "bytes");
    start = cpu_ns();
    pause_ms(2000);
    print("timers", n, "-idle-cpu", (cpu_ns() - start) / 2e3, "us/s");
    close_bench(b);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void lateness(size_t n)
{
    bench *b = open_bench(2, n);
    wait_in_an_hour(b, n);
    pause_ms(2000); /* until the wheel has them all */
    for (int i = 0; i < PROBES; i++) {
        int64_t due_ns = fw_now_ns() + DELAY_MS * FW_NS_PER_MS;
        fw_task *task = make(b, 2, true);
        memcpy(task->payload, &due_ns, sizeof due_ns);
        fw_engine_schedule(b->engine, task, due_ns);
        pause_ms(PROBE_GAP_MS);
    }
    await_finished(b, PROBES);
    qsort(b->late_ns, PROBES, sizeof b->late_ns[0], by_size);
    print("lateness", n, "-p50", (double)b->late_ns[PROBES / 2] / 1e3, "us");
    print("lateness", n, "-p99", (double)b->late_ns[PROBES * 99 / 100] / 1e3, "us");
    close_bench(b);
}

static void delayed(size_t n)
{
    bench *b = open_bench(1, n);
    for (size_t i = 0; i < n; i++)
        fw_engine_schedule(b->engine, make(b, 0, true),
                           fw_now_ns() + (int64_t)(i % 50) * FW_NS_PER_MS);
    await_finished(b, n);
    close_bench(b);
}

/* --- threads --- */

static void threads(unsigned count)
{
    bench *b = open_bench(count, ENOUGH);
    fill(b, 100000);
    await_finished(b, b->number);
    int64_t start = fw_now_ns();
    fill(b, 2 * ENOUGH);
    await_finished(b, b->number);
    print("threads", count, "", 2 * ENOUGH / ((double)(fw_now_ns() - start) / 1e9), "1/s");
    close_bench(b);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (strcmp(what, "depth") == 0) {
        size_t from = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000;
        for (size_t at = from; at <= (n > 0 ? n : 10000000); at *= 10)
            depth(at);
    } else if (strcmp(what, "timers") == 0 && n > 0) {
        timers(n);
    } else if (strcmp(what, "lateness") == 0 && n > 0) {
        lateness(n);
    } else if (strcmp(what, "delayed") == 0 && n > 0) {
        delayed(n);
    } else if (strcmp(what, "threads") == 0) {
        for (unsigned count = 2; count <= 64; count *= 2)
            threads(count);
    } else {
        fprintf(stderr, "usage: scale_bench depth [N]|timers N|lateness N|threads|delayed N\n");
        return 2;
    }
    return 0;
}
