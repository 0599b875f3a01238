/* perf/cache_bench.c - one case of the suite `cache` for one contestant: cache_bench <case> <who>
 * <threads>.
 *
 *   get          a million entries of 64 bytes, all look-ups hit, keys drawn evenly
 *   mixed-95-5   19 look-ups to one store, keys drawn from a quarter more than fit, so that stores
 * evict mixed-50-50  the same, one to one put-10k      ten thousand entries, and stores of ever new
 * keys: what a control plane does memory       what the process has grown by per entry, beyond the
 * 64 bytes Prints JSON lines. Time is taken once per 64 operations and handed to the cache, as a
 * server's loop does. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "cache/cache.h"
#include "cache_case.h"

enum { MILLION = 1 << 20, SMALL = 10000, ROUND = 64, THREADS_MAX = 64, SAMPLES = 1 << 15 };

typedef struct workload {
    const char *name;
    size_t entries, keys;
    unsigned puts_of_100; /* operations that store */
    bool fresh;           /* keys are new each time */
} workload;

static const workload workloads[] = {
    {"get", MILLION, MILLION, 0, false},
    {"mixed-95-5", MILLION, MILLION + MILLION / 4, 5, false},
    {"mixed-50-50", MILLION, MILLION + MILLION / 4, 50, false},
    {"put-10k", SMALL, 0, 100, true},
    {"memory", MILLION, MILLION, 0, false},
};

typedef struct runner {
    _Alignas(FW_APART) const fw_cache_case *contestant;
    const workload *load;
    void *cache;
    uint64_t random, operations, sum;
    size_t sample_count;
    uint32_t samples[SAMPLES]; /* ns of single look-ups */
} runner;

static fw_atomic(int) going;
static _Thread_local int64_t now_ns;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* A key as random as a UUID is, the same for the same number. */
static void make_key(uint64_t key[2], uint64_t number)
{
    uint64_t h = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    key[0] = h ^ h >> 27;
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    key[1] = h ^ h >> 31;
}

static void *ours_create(size_t entries)
{
    fw_cache_config config = {
        .entries_max = entries, .bytes_max = (size_t)1 << 32, .ttl_ns = 3600 * FW_NS_PER_S};
    fw_cache *cache = NULL;
    return fw_cache_create(&cache, &config) == 0 ? cache : NULL;
}

static void ours_destroy(void *cache)
{
    fw_cache_destroy(cache);
}

static void ours_put(void *cache, const uint64_t key[2], const uint64_t value[8])
{
    fw_cache_item item = {.key = {key[0], key[1]}, .status = FW_SUCCESS};
    item.result = (fw_span){(const char *)value, FW_CASE_VALUE_BYTES};
    if (fw_cache_put(cache, &item, 0, now_ns) != 0)
        abort();
}

static uint64_t ours_get(void *cache, const uint64_t key[2])
{
    uint64_t sum = 0, words[8];
    fw_cache_item item;
    fw_rcu_read_lock();
    if (fw_cache_get(cache, (fw_key){key[0], key[1]}, now_ns, false, &item) == FW_CACHE_FOUND) {
        memcpy(words, item.result.ptr, sizeof words);
        for (int i = 0; i < 8; i++)
            sum += words[i];
    }
    fw_rcu_read_unlock();
    return sum;
}

static size_t ours_count(void *cache)
{
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    return stats.entries;
}

static const fw_cache_case ours = {"ours",   ours_create, ours_destroy,
                                   ours_put, ours_get,    ours_count};

static void fill(const fw_cache_case *contestant, void *cache, size_t keys)
{
    uint64_t key[2], value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (uint64_t i = 0; i < keys; i++) {
        make_key(key, i);
        now_ns = fw_now_ns();
        contestant->put(cache, key, value);
    }
}

static void one_round(runner *r, uint64_t *fresh)
{
    uint64_t key[2], value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int i = 0; i < ROUND; i++) {
        uint64_t draw = next_random(&r->random);
        make_key(key, r->load->fresh ? (*fresh)++ : (draw >> 32) * r->load->keys >> 32);
        if ((draw & 0xffff) * 100 >> 16 < r->load->puts_of_100) {
            value[0] = draw | 1;
            r->contestant->put(r->cache, key, value);
        } else {
            r->sum += r->contestant->get(r->cache, key);
        }
    }
}

static void *run(void *argument)
{
    runner *r = argument;
    uint64_t fresh = r->random << 32;
    /* Relaxed: a flag. */
    while (fw_load_relaxed(&going)) {
        now_ns = fw_now_ns();
        one_round(r, &fresh);
        r->operations += ROUND;
        if (r->load->puts_of_100 == 0 && r->sample_count < SAMPLES) {
            uint64_t key[2];
            make_key(key, (next_random(&r->random) >> 32) * r->load->keys >> 32);
            int64_t start = fw_now_ns();
            r->sum += r->contestant->get(r->cache, key);
            r->samples[r->sample_count++] = (uint32_t)(fw_now_ns() - start);
        }
    }
    fw_rcu_flush();
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print(const char *name, unsigned threads, const char *what, const char *who,
                  double value, const char *unit)
{
    printf("{\"suite\":\"cache\",\"name\":\"%s-%ut%s\",\"who\":\"%s\",\"value\":%.1f,"
           "\"unit\":\"%s\"}\n",
           name, threads, what, who, value, unit);
}

/* Of all threads of this process, those that only clean up included. */
static int64_t processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * FW_NS_PER_S + t.tv_nsec;
}

static size_t resident_bytes(void)
{
    unsigned long whole = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &whole, &resident) != 2)
        abort();
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void measure(const fw_cache_case *contestant, const workload *load, unsigned threads,
                    double seconds)
{
    static runner runners[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    void *cache = contestant->create(load->entries);
    fill(contestant, cache, load->fresh ? load->entries : load->keys);
    fw_store_relaxed(&going, 1);
    int64_t start = fw_now_ns(), spent = processor_ns();
    for (unsigned i = 0; i < threads; i++) {
        runners[i].contestant = contestant;
        runners[i].load = load;
        runners[i].cache = cache;
        runners[i].random = 88172645463325252u + i * 77u;
        if (pthread_create(&ids[i], NULL, run, &runners[i]) != 0)
            abort();
    }
    while (fw_now_ns() - start < (int64_t)(seconds * 1e9))
        usleep(10000);
    /* Relaxed: a flag. */
    fw_store_relaxed(&going, 0);
    uint64_t operations = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        operations += runners[i].operations;
    }
    double took = (double)(fw_now_ns() - start) / 1e9;
    spent = processor_ns() - spent;
    print(load->name, threads, "", contestant->who, (double)operations / took, "/s");
    print(load->name, threads, "-cpu", contestant->who, (double)spent / (double)operations, "ns");
    if (runners[0].sample_count > 0) {
        qsort(runners[0].samples, runners[0].sample_count, sizeof(uint32_t), compare);
        print(load->name, threads, "-p99", contestant->who,
              runners[0].samples[runners[0].sample_count * 99 / 100], "ns");
    }
    contestant->destroy(cache);
}

static void measure_memory(const fw_cache_case *contestant, const workload *load)
{
    size_t before = resident_bytes();
    void *cache = contestant->create(load->entries);
    fill(contestant, cache, load->keys);
    fw_rcu_barrier();
    double grown = (double)(resident_bytes() - before);
    print(load->name, 1, "-beyond-value", contestant->who,
          grown / (double)contestant->count(cache) - FW_CASE_VALUE_BYTES, "bytes");
    contestant->destroy(cache);
}

static const fw_cache_case *contestant_of(const char *who)
{
    if (strcmp(who, ours.who) == 0)
        return &ours;
#ifdef FW_CACHE_PEERS
    for (const fw_cache_case *c = fw_cache_case_peers; c->who; c++) {
        if (strcmp(who, c->who) == 0)
            return c;
    }
#endif
    return NULL;
}

int main(int count, char **arguments)
{
    const fw_cache_case *contestant = count > 2 ? contestant_of(arguments[2]) : NULL;
    long threads = count > 3 ? strtol(arguments[3], NULL, 10) : 1;
    const char *seconds = getenv("FW_PERF_SECONDS");
    if (threads < 1 || threads > THREADS_MAX || !contestant) {
        fprintf(stderr, "usage: cache_bench <case> <who> [threads]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        const workload *load = &workloads[i];
        if (strcmp(arguments[1], load->name) != 0)
            continue;
        if (strcmp(load->name, "memory") == 0)
            measure_memory(contestant, load);
        else
            measure(contestant, load, (unsigned)threads, seconds ? strtod(seconds, NULL) : 1.0);
        return 0;
    }
    fprintf(stderr, "cache_bench: no such case\n");
    return 2;
}
