/* recency_test.c - the order of use against an exact LRU, by random histories (G1 of
 * cache/recency.h), and what the order is when readers and clocks do odd things.
 * SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include "cache/body.h"
#include "cache/recency.h"

enum { KEYS = 600 };

/* An LRU as anybody would write it: the time of the last use of each key, 0: not here. */
typedef struct exact_lru {
    int64_t used[KEYS];
    size_t count, most;
} exact_lru;

static void exact_put(exact_lru *lru, uint64_t key, int64_t now)
{
    if (!lru->used[key] && lru->count++ == lru->most) {
        uint64_t oldest = KEYS;
        for (uint64_t i = 0; i < KEYS; i++) {
            if (lru->used[i] && (oldest == KEYS || lru->used[i] < lru->used[oldest]))
                oldest = i;
        }
        lru->used[oldest] = 0;
        lru->count--;
    }
    lru->used[key] = now;
}

static void check_equal(fw_cache *cache, const exact_lru *lru, int64_t now)
{
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(peek_of(cache, i, now) == FW_CACHE_FOUND, lru->used[i] != 0);
    assert_true(fw_shard_is_valid(&cache->shards[0]));
}

/* One history: keys are drawn so that some are hot; now and then there are only readers for a
 * while. */
static void one_history(uint64_t *random, size_t most, unsigned operations)
{
    exact_lru lru = {.most = most};
    fw_cache *cache = cache_of(most, 1);
    unsigned readers_only = 0;
    for (unsigned i = 1; i <= operations; i++) {
        int64_t now = (int64_t)i * STEP;
        uint64_t key = next_random(random) % KEYS;
        if (next_random(random) % 4)
            key = key * key / KEYS % KEYS;
        if (next_random(random) % 200 == 0)
            readers_only = 150;
        unsigned what = next_random(random) % 16;
        if (readers_only > 0 ? readers_only-- > 0 : what < 7) {
            bool found = get_of(cache, key, now) == FW_CACHE_FOUND;
            assert_int_equal(found, lru.used[key] != 0);
            if (found)
                lru.used[key] = now;
        } else if (what == 15) {
            bool removed = fw_cache_remove(cache, key_of(key));
            assert_int_equal(removed, lru.used[key] != 0);
            lru.count -= removed;
            lru.used[key] = 0;
        } else {
            put_text(cache, key, "x", now);
            exact_put(&lru, key, now);
        }
        if (i % 64 == 0)
            check_equal(cache, &lru, now);
    }
    check_equal(cache, &lru, (int64_t)(operations + 1) * STEP);
    fw_cache_destroy(cache);
}

static void g1_equals_an_exact_lru(void **state)
{
    (void)state;
    uint64_t random = seed_of_run();
    const size_t sizes[] = {1, 2, 3, 7, 31, 64, 65, 100, 200, 400};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        one_history(&random, sizes[i], 6000);
}

/* Reads in an order that has nothing to do with that of storing, then only puts. */
static void g1_holds_after_everything_was_read(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    fw_cache *cache = cache_of(COUNT, 1);
    for (uint64_t i = 0; i < COUNT; i++)
        put_text(cache, i, "x", (int64_t)(i + 1) * STEP);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(get_of(cache, i * 77 % COUNT, (int64_t)(COUNT + i + 1) * STEP),
                         FW_CACHE_FOUND);
    for (uint64_t i = 0; i < COUNT; i++) {
        int64_t now = (int64_t)(2 * COUNT + i + 1) * STEP;
        assert_int_equal(peek_of(cache, i * 77 % COUNT, now), FW_CACHE_FOUND);
        put_text(cache, COUNT + i, "x", now);
        assert_int_equal(peek_of(cache, i * 77 % COUNT, now), FW_CACHE_EXPIRED);
    }
    fw_cache_destroy(cache);
}

/* A clock that stands still, or goes back as those of two threads may: the order of storing counts.
 */
static void storing_order_counts_when_clocks_do_not(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(100, 1);
    for (uint64_t i = 0; i < 1000; i++) {
        put_text(cache, i, "x", 1000 * STEP - (int64_t)(i % 3) * 100);
        if (i >= 100)
            assert_int_equal(peek_of(cache, i - 100, 1000 * STEP), FW_CACHE_EXPIRED);
        if (i >= 99)
            assert_int_equal(peek_of(cache, i - 99, 1000 * STEP), FW_CACHE_FOUND);
    }
    assert_true(fw_shard_is_valid(&cache->shards[0]));
    fw_cache_destroy(cache);
}

/* More eras than there are sentinels: the oldest ones are joined, and nothing is lost. */
static void eras_are_joined_when_they_run_out(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(KEYS, 1);
    for (uint64_t i = 0; i < KEYS; i++)
        put_text(cache, i, "x", (int64_t)(i + 1) * STEP);
    /* One entry of each era stays; so many eras are left that new ones must join old ones. */
    for (uint64_t i = 0; i < KEYS; i++) {
        if (i % 8)
            fw_cache_remove(cache, key_of(i));
    }
    int64_t now = KEYS + 1;
    for (uint64_t i = 0; i < KEYS * 4; i++)
        put_text(cache, 8 * (i % (KEYS / 8)), "y", now++ * STEP);
    assert_true(fw_shard_is_valid(&cache->shards[0]));
    fw_recency *recency = &cache->shards[0].recency;
    assert_true(recency->newest > FW_ERAS);
    assert_true(recency->newest - recency->oldest < FW_ERAS);
    fw_cache_destroy(cache);
}

/* G2: a second use within the grain of a marked one leaves the mark, and the line, alone. */
static void g2_marks_have_a_grain(void **state)
{
    (void)state;
    fw_cache_item item = item_of(1, "x");
    fw_entry *entry = create_entry(&item, INT64_MAX, 0);
    assert_non_null(entry);
    fw_entry_mark(entry, 10);
    uint64_t first = fw_load_relaxed(&entry->mark);
    assert_int_equal(first, fw_mark_of(10) | FW_MARK_USED);
    fw_entry_mark(entry, 10 + FW_MARK_GRAIN_NS - 1);
    assert_int_equal(fw_load_relaxed(&entry->mark), first);
    fw_entry_mark(entry, 10 + FW_MARK_GRAIN_NS);
    assert_int_equal(fw_load_relaxed(&entry->mark),
                     fw_mark_of(10 + FW_MARK_GRAIN_NS) | FW_MARK_USED);
    fw_entry_free(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g1_equals_an_exact_lru),
        cmocka_unit_test(g1_holds_after_everything_was_read),
        cmocka_unit_test(storing_order_counts_when_clocks_do_not),
        cmocka_unit_test(eras_are_joined_when_they_run_out),
        cmocka_unit_test(g2_marks_have_a_grain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
