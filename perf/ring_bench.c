/* perf/ring_bench.c - the suite `ring`: ring_bench WHO prints items per second through one queue.
 *
 * mpmc-2p2c       two producers and two consumers, pieces one by one
 * mpmc-2p2c-bulk  the same, 64 at a time
 * Queues stand behind one table: ours (engine/ring), and ck_ring by value, both with 65536 slots.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "engine/ring.h"

enum { SLOTS = 65536, BULK = 64, PRODUCERS = 2, CONSUMERS = 2, ITEMS = 1500000 };

typedef struct queue {
    const char *who;
    void *(*create)(void);
    void (*destroy)(void *queue);
    size_t (*push)(void *queue, const fw_work *work, size_t count); /* how many were taken */
    size_t (*pop)(void *queue, fw_work *out, size_t max);
} queue;

static void *ours_create(void)
{
    void *ring = NULL;
    if (posix_memalign(&ring, FW_APART, sizeof(fw_ring)) != 0 || fw_ring_init(ring, SLOTS) != 0)
        abort();
    return ring;
}

static void ours_destroy(void *ring)
{
    fw_ring_fini(ring);
    free(ring);
}

static size_t ours_push(void *ring, const fw_work *work, size_t count)
{
    return fw_ring_push(ring, work, count);
}

static size_t ours_pop(void *ring, fw_work *out, size_t max)
{
    return fw_ring_pop(ring, out, max);
}

CK_RING_PROTOTYPE(work, fw_work)

typedef struct ck_queue {
    _Alignas(FW_APART) ck_ring_t ring;
    fw_work buffer[SLOTS];
} ck_queue;

static void *ck_create(void)
{
    void *memory = NULL;
    if (posix_memalign(&memory, FW_APART, sizeof(ck_queue)) != 0)
        abort();
    memset(memory, 0, sizeof(ck_queue));
    ck_ring_init(&((ck_queue *)memory)->ring, SLOTS);
    return memory;
}

static size_t ck_push(void *memory, const fw_work *work, size_t count)
{
    ck_queue *q = memory;
    size_t n = 0;
    while (n < count) {
        fw_work item = work[n];
        if (!CK_RING_ENQUEUE_MPMC(work, &q->ring, q->buffer, &item))
            break;
        n++;
    }
    return n;
}

static size_t ck_pop(void *memory, fw_work *out, size_t max)
{
    ck_queue *q = memory;
    size_t n = 0;
    while (n < max && CK_RING_DEQUEUE_MPMC(work, &q->ring, q->buffer, &out[n]))
        n++;
    return n;
}

static const queue queues[] = {{"ours", ours_create, ours_destroy, ours_push, ours_pop},
                               {"ck_ring", ck_create, free, ck_push, ck_pop}};

typedef struct run {
    const queue *under_test;
    void *memory;
    size_t bulk;
    _Alignas(FW_APART) fw_atomic(size_t) popped;
} run;

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void *produce(void *argument)
{
    run *r = argument;
    fw_work work[BULK];
    for (size_t i = 0; i < BULK; i++)
        work[i] = (fw_work){nothing, r};
    for (size_t done = 0; done < ITEMS;) {
        size_t want = ITEMS - done < r->bulk ? ITEMS - done : r->bulk;
        size_t taken = r->under_test->push(r->memory, work, want);
        done += taken;
        if (taken == 0)
            sched_yield();
    }
    return NULL;
}

static void *consume(void *argument)
{
    run *r = argument;
    fw_work out[BULK];
    size_t mine = 0;
    for (;;) {
        size_t n = r->under_test->pop(r->memory, out, r->bulk);
        mine += n;
        if (n > 0 && mine < 1000)
            continue;
        /* Relaxed, both: a count. */
        fw_add_relaxed(&r->popped, mine);
        mine = 0;
        if (fw_load_relaxed(&r->popped) == (size_t)PRODUCERS * ITEMS)
            return NULL;
        if (n == 0)
            sched_yield();
    }
}

static void measure(const queue *under_test, const char *name, size_t bulk)
{
    static run r;
    pthread_t threads[PRODUCERS + CONSUMERS];
    r.under_test = under_test;
    r.memory = under_test->create();
    r.bulk = bulk;
    /* Relaxed: before the threads. */
    fw_store_relaxed(&r.popped, 0);
    int64_t start_ns = fw_now_ns();
    for (unsigned i = 0; i < PRODUCERS + CONSUMERS; i++)
        pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, &r);
    for (unsigned i = 0; i < PRODUCERS + CONSUMERS; i++)
        pthread_join(threads[i], NULL);
    double rate = (double)PRODUCERS * ITEMS * 1e3 / (double)(fw_now_ns() - start_ns);
    printf("{\"suite\":\"ring\",\"name\":\"%s\",\"who\":\"%s\",\"value\":%.6g,\"unit\":\"M/s\"}\n",
           name, under_test->who, rate);
    under_test->destroy(r.memory);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(queues) / sizeof(queues[0]); i++) {
        if (strcmp(argv[1], queues[i].who) != 0)
            continue;
        measure(&queues[i], "mpmc-2p2c", 1);
        measure(&queues[i], "mpmc-2p2c-bulk", BULK);
        return 0;
    }
    fprintf(stderr, "usage: ring_bench ours|ck_ring\n");
    return 2;
}
