/* soak_test.c - the cache for as long as one likes: what is read is right, and memory stays level.
 *
 * Two threads store, read, remove, sweep and resize at a modest rate for FW_SOAK_SECONDS (a few by
 * default). Each result carries its key, a version and a checksum over its whole
 * length. The resident size is printed from time to time; it must not grow by more than a twentieth
 * in the second half. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <pthread.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"

enum { THREADS = 2, ENTRIES = 40000, KEYS = 50000, WORDS_MAX = 4096, BURST = 64, LINES = 60 };

/* Rounds without a pause at first, so that a short run is level as well. */
#ifdef FW_SANITIZED
enum { WARM_ROUNDS = 512 };
#else
enum { WARM_ROUNDS = 8192 };
#endif

static fw_cache *cache;
static fw_atomic(int) stop, warm;
/* The cache's clock goes by operations, so that a slow machine has the same load of live results.
 */
static fw_atomic(int64_t) clock_ns = SECOND;
enum { BURST_NS = 500000 };

typedef struct worker {
    uint64_t random, puts, found, expired, unknown, removed, swept;
    int number;
} worker;

static double soak_seconds(void)
{
    const char *given = getenv("FW_SOAK_SECONDS");
    return given ? strtod(given, NULL) : 4;
}

/* A clock that ticks: a soak takes its time and little of the processor. */
static int ticks_of(long interval_ns)
{
    struct itimerspec every = {{0, interval_ns}, {0, interval_ns}};
    int ticks = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    FW_ASSERT(ticks >= 0 && timerfd_settime(ticks, 0, &every, NULL) == 0);
    return ticks;
}

static void next_tick(int ticks)
{
    uint64_t missed;
    FW_ASSERT(read(ticks, &missed, sizeof missed) == sizeof missed);
}

static uint64_t check_word(uint64_t key, uint64_t version, uint64_t i)
{
    return (key * 1000003 + version) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

/* Most are small, a few are of every size up to 32 KiB. */
static size_t words_of(uint64_t key, uint64_t version)
{
    uint64_t draw = check_word(key, version, 77) >> 32;
    size_t extra = draw % 24;
    if (draw % 16 == 1)
        extra = draw / 16 % 256;
    if (draw % 512 == 2)
        extra = draw / 512 % WORDS_MAX;
    return 3 + extra;
}

static void store(worker *w, uint64_t key, int64_t now)
{
    uint64_t words[3 + WORDS_MAX], version = next_random(&w->random);
    size_t count = words_of(key, version);
    words[0] = key;
    words[1] = version;
    for (size_t i = 2; i < count; i++)
        words[i] = check_word(key, version, i);
    fw_cache_item item = item_of(key, "");
    item.result = (fw_span){(const char *)words, count * sizeof *words};
    item.created_wall_ns = version % 2 ? 1 : 0;
    int64_t ttl = (int64_t)(version % 8) * SECOND / 2;
    FW_ASSERT(fw_cache_put(cache, &item, ttl, now) == 0);
    w->puts++;
}

static void check(const fw_cache_item *item, uint64_t key)
{
    uint64_t words[3 + WORDS_MAX];
    FW_ASSERT(item->result.len >= 3 * sizeof *words && item->result.len <= sizeof words);
    memcpy(words, item->result.ptr, item->result.len);
    FW_ASSERT(fw_key_equal(item->key, key_of(key)) && words[0] == key);
    FW_ASSERT(item->result.len == words_of(key, words[1]) * sizeof *words);
    for (size_t i = 2; i < item->result.len / sizeof *words; i++)
        FW_ASSERT(words[i] == check_word(key, words[1], i));
}

static void look(worker *w, uint64_t key, int64_t now)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    fw_cache_answer answer = fw_cache_get(cache, key_of(key), now, false, &item);
    if (answer == FW_CACHE_FOUND)
        check(&item, key);
    fw_rcu_read_unlock();
    w->found += answer == FW_CACHE_FOUND;
    w->expired += answer == FW_CACHE_EXPIRED;
    w->unknown += answer == FW_CACHE_UNKNOWN;
}

static void burst(worker *w, uint64_t round)
{
    /* Relaxed: a clock. */
    int64_t now = fw_add_relaxed(&clock_ns, BURST_NS);
    for (int i = 0; i < BURST; i++) {
        uint64_t draw = next_random(&w->random), key = (draw >> 32) % KEYS;
        if (draw % 128 == 0)
            w->removed += fw_cache_remove(cache, key_of(key));
        else if (draw % 2)
            store(w, key, now);
        else
            look(w, key, now);
    }
    if (w->number == 0 && round % 64 == 0)
        w->swept += fw_cache_sweep(cache, now);
    /* To a half and back, and the same with bytes. */
    if (w->number == 1 && round % 2048 == 0)
        fw_cache_resize(cache, round % 4096 ? ENTRIES : ENTRIES / 2,
                        round % 8192 ? (size_t)24 << 20 : (size_t)6 << 20, 2 * SECOND);
}

static void *work(void *argument)
{
    worker *w = argument;
    int ticks = ticks_of(1000000);
    uint64_t round = 1;
    for (; round < WARM_ROUNDS; round++)
        burst(w, round);
    /* Relaxed: a count. */
    fw_add_relaxed(&warm, 1);
    /* Relaxed: a flag. */
    for (; !fw_load_relaxed(&stop); round++) {
        burst(w, round);
        next_tick(ticks);
    }
    close(ticks);
    fw_rcu_flush();
    return NULL;
}

static size_t resident_bytes(void)
{
    unsigned long whole = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    FW_ASSERT(file && fscanf(file, "%lu %lu", &whole, &resident) == 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void print_line(double second, size_t resident)
{
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    fprintf(stderr, "%7.1f s: resident %zu KiB, %zu entries, %zu KiB counted, backlog %zu\n",
            second, resident / 1024, stats.entries, stats.bytes / 1024, fw_rcu_backlog());
}

/* Looks at the resident size all the time. => the most in the second half over the most in the
 * first. */
static double watch(double seconds)
{
    size_t most[2] = {1, 0};
    int ticks = ticks_of(20000000);
    /* Relaxed: a count. */
    while (fw_load_relaxed(&warm) < THREADS)
        next_tick(ticks);
    int64_t begun = fw_now_ns();
    double next = 0;
    for (double at = 0; at < seconds; at = (double)(fw_now_ns() - begun) / 1e9) {
        size_t resident = resident_bytes();
        int half = at >= seconds / 2;
        if (resident > most[half])
            most[half] = resident;
        if (at >= next) {
            print_line(at, resident);
            next += seconds / LINES;
        }
        next_tick(ticks);
    }
    close(ticks);
    return (double)most[1] / (double)most[0];
}

static void memory_stays_level(void **state)
{
    (void)state;
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    fw_cache_config config = {
        .entries_max = ENTRIES, .bytes_max = (size_t)24 << 20, .ttl_ns = 2 * SECOND};
    assert_int_equal(fw_cache_create(&cache, &config), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.random = seed_of_run() + (uint64_t)i, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    double growth = watch(soak_seconds());
    /* Relaxed: a flag. */
    fw_store_relaxed(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    for (int i = 0; i < THREADS; i++)
        fprintf(stderr, "puts %llu found %llu expired %llu unknown %llu removed %llu swept %llu\n",
                (unsigned long long)workers[i].puts, (unsigned long long)workers[i].found,
                (unsigned long long)workers[i].expired, (unsigned long long)workers[i].unknown,
                (unsigned long long)workers[i].removed, (unsigned long long)workers[i].swept);
    fprintf(stderr, "most resident, second half over first: %.4f; %.1f s of processor time\n",
            growth, (double)spent.tv_sec + (double)spent.tv_nsec / 1e9);
    assert_true(workers[0].found > 0 && workers[0].expired > 0 && workers[0].swept > 0);
    fw_cache_destroy(cache);
    fw_rcu_barrier();
    assert_int_equal(fw_rcu_backlog(), 0);
#ifndef FW_SANITIZED
    assert_true(growth <= 1.05);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stays_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
