/* age_test.c - no reader ever sees a freed or foreign entry: a stress in the manner of rcutorture.
 *
 * Every result carries its key, a version and a checksum of both over its whole length. Writers
 * store ever newer versions under pressure of count and bytes, remove, sweep and resize; readers
 * check what they found, and check it again at the end of their read section. Ages (versions behind
 * the newest) are counted and shown. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <pthread.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"

enum { KEYS = 512, WRITERS = 2, READERS = 2, AGES = 16, WORDS_MAX = 400 };

static fw_cache *cache;
static fw_atomic(uint64_t) newest[KEYS]; /* version whose put has returned */
static fw_atomic(int) stop;
static fw_atomic(int64_t) now_ns;

typedef struct reader_report {
    uint64_t found, expired, unknown, ages[AGES + 1];
} reader_report;

static uint64_t check_word(uint64_t key, uint64_t version, uint64_t i)
{
    return (key * 1000003 + version) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

static size_t words_of(uint64_t key, uint64_t version)
{
    uint64_t draw = check_word(key, version, 77) >> 40;
    return 3 + (draw % 16 == 0 ? draw % WORDS_MAX : draw % 24);
}

static void *write_versions(void *argument)
{
    unsigned writer = *(unsigned *)argument;
    uint64_t random = seed_of_run() + writer, words[3 + WORDS_MAX];
    for (uint64_t step = 1; !fw_load_relaxed(&stop); step++) {
        /* A key has one writer, so that versions of a key only grow. */
        uint64_t key = next_random(&random) % (KEYS / WRITERS) * WRITERS + writer;
        uint64_t version = fw_load_relaxed(&newest[key]) + 1;
        size_t count = words_of(key, version);
        words[0] = key;
        words[1] = version;
        for (size_t i = 2; i < count; i++)
            words[i] = check_word(key, version, i);
        fw_cache_item item = item_of(key, "");
        item.result = (fw_span){(const char *)words, count * sizeof *words};
        int64_t now = fw_add_relaxed(&now_ns, 1000);
        FW_ASSERT(fw_cache_put(cache, &item, (int64_t)(step % 5 + 1) * SECOND / 1000, now) == 0);
        /* [age-put] release: the put has returned. */
        fw_store_release(&newest[key], version);
        if (step % 16 == 0)
            fw_cache_remove(cache, key_of(key));
        if (writer == 0 && step % 64 == 0)
            fw_cache_sweep(cache, now);
        if (step % 4096 == 0)
            fw_cache_resize(cache, step % 8192 ? 100 : 300, 1 << 20, SECOND);
    }
    fw_rcu_flush();
    return NULL;
}

/* => the version, after every word was checked. */
static uint64_t check(const fw_cache_item *item, uint64_t key)
{
    uint64_t words[3 + WORDS_MAX];
    FW_ASSERT(item->result.len >= 3 * sizeof *words && item->result.len <= sizeof words);
    memcpy(words, item->result.ptr, item->result.len);
    FW_ASSERT(fw_key_equal(item->key, key_of(key)));
    FW_ASSERT(words[0] == key);
    FW_ASSERT(item->result.len == words_of(key, words[1]) * sizeof *words);
    for (size_t i = 2; i < item->result.len / sizeof *words; i++)
        FW_ASSERT(words[i] == check_word(key, words[1], i));
    return words[1];
}

static void read_one(uint64_t key, uint64_t *seen, reader_report *report)
{
    fw_cache_item item;
    /* [age-put] acquire: a version this new was stored before the look began. */
    uint64_t before = fw_load_acquire(&newest[key]);
    fw_rcu_read_lock();
    fw_cache_answer answer =
        fw_cache_get(cache, key_of(key), fw_load_relaxed(&now_ns), key % 3 == 0, &item);
    report->expired += answer == FW_CACHE_EXPIRED;
    report->unknown += answer == FW_CACHE_UNKNOWN;
    if (answer == FW_CACHE_FOUND) {
        uint64_t version = check(&item, key);
        FW_ASSERT(version >= before);
        FW_ASSERT(version >= *seen);
        *seen = version;
        report->found++;
        /* Writers go on meanwhile; what was found stays as it is. */
        for (int i = 0; i < 3; i++)
            FW_ASSERT(check(&item, key) == version);
        uint64_t after = fw_load_relaxed(&newest[key]);
        uint64_t age = after > version ? after - version : 0;
        report->ages[age < AGES ? age : AGES]++;
    }
    fw_rcu_read_unlock();
}

static bool check_listed(void *context, const fw_cache_item *item)
{
    check(item, item->key.low);
    ++*(uint64_t *)context;
    return true;
}

static void *read_versions(void *argument)
{
    reader_report *report = argument;
    uint64_t random = (uint64_t)(uintptr_t)argument | 1, listed = 0;
    static _Thread_local uint64_t seen[KEYS];
    while (!fw_load_relaxed(&stop)) {
        uint64_t key = next_random(&random) % KEYS;
        read_one(key, &seen[key], report);
        if (next_random(&random) % 1024 == 0) {
            uint64_t cursor = 0;
            fw_rcu_read_lock();
            fw_cache_each(cache, &cursor, 0, check_listed, &listed);
            fw_rcu_read_unlock();
        }
    }
    return NULL;
}

static void wait_for(double seconds)
{
    int64_t end = fw_now_ns() + (int64_t)(seconds * 1e9);
    while (fw_now_ns() < end) {
        fw_cache_stats stats;
        fw_cache_snapshot(cache, &stats);
        assert_true(stats.entries <= 300 + WRITERS);
        sched_yield();
    }
}

static void readers_never_see_the_dead(void **state)
{
    (void)state;
    static reader_report reports[READERS];
    pthread_t writers[WRITERS], readers[READERS];
    unsigned numbers[WRITERS];
    fw_cache_config config = {
        .entries_max = 300, .bytes_max = 1 << 20, .ttl_ns = SECOND, .shards = 2};
    assert_int_equal(fw_cache_create(&cache, &config), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&writers[i], NULL, write_versions, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_versions, &reports[i]), 0);
    wait_for(stress_seconds(3));
    fw_store_relaxed(&stop, 1);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    for (unsigned i = 1; i < READERS; i++) {
        reports[0].found += reports[i].found;
        reports[0].expired += reports[i].expired;
        reports[0].unknown += reports[i].unknown;
        for (unsigned a = 0; a <= AGES; a++)
            reports[0].ages[a] += reports[i].ages[a];
    }
    fprintf(stderr,
            "found %llu expired %llu unknown %llu, by age:", (unsigned long long)reports[0].found,
            (unsigned long long)reports[0].expired, (unsigned long long)reports[0].unknown);
    for (unsigned a = 0; a <= AGES; a++)
        fprintf(stderr, " %llu", (unsigned long long)reports[0].ages[a]);
    fprintf(stderr, "\n");
    assert_true(reports[0].found > 0 && reports[0].expired > 0);
    fw_cache_destroy(cache);
    fw_rcu_barrier();
    assert_int_equal(fw_rcu_backlog(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_see_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
