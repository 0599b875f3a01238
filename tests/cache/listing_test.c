/* listing_test.c - visiting all entries by pages, in order of use, while others come and go; and
 * figures. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

enum { KEYS = 3000 };

typedef struct page {
    uint64_t seen[KEYS * 2];
    size_t count, most;
} page;

static bool take(void *context, const fw_cache_item *item)
{
    page *p = context;
    assert_true(p->count < KEYS * 2);
    p->seen[p->count++] = item->key.low;
    return p->count % p->most != 0;
}

static void list_all(fw_cache *cache, page *p, int64_t now_ns)
{
    uint64_t cursor = 0;
    do {
        fw_rcu_read_lock();
        fw_cache_each(cache, &cursor, now_ns, take, p);
        fw_rcu_read_unlock();
    } while (cursor != 0);
}

static void oldest_use_comes_first(void **state)
{
    (void)state;
    static page p;
    p = (page){.most = SIZE_MAX};
    fw_cache *cache = cache_of(KEYS, 1);
    for (uint64_t i = 0; i < 100; i++)
        put_text(cache, i, "x", (int64_t)(i + 1) * STEP);
    get_of(cache, 10, 200 * STEP);
    get_of(cache, 5, 201 * STEP);
    list_all(cache, &p, 300 * STEP);
    assert_int_equal(p.count, 100);
    assert_int_equal(p.seen[0], 0);
    assert_int_equal(p.seen[5], 6);
    assert_int_equal(p.seen[98], 10);
    assert_int_equal(p.seen[99], 5);
    fw_cache_destroy(cache);
}

/* Pages of every size show each entry once, also when all were used at the same moment. */
static void pages_cover_everything_once(void **state)
{
    (void)state;
    static page p;
    static unsigned times[KEYS];
    const size_t sizes[] = {1, 3, 50, 1000};
    for (int same_time = 0; same_time < 2; same_time++) {
        for (unsigned shards = 1; shards <= 8; shards *= 8) {
            fw_cache *cache = cache_of(KEYS, shards);
            for (uint64_t i = 0; i < KEYS; i++)
                put_text(cache, i, "x", same_time ? STEP : (int64_t)i * 1000);
            for (unsigned i = 0; i < 4; i++) {
                p = (page){.most = sizes[i]};
                memset(times, 0, sizeof times);
                list_all(cache, &p, STEP);
                assert_int_equal(p.count, KEYS);
                for (size_t k = 0; k < p.count; k++)
                    assert_int_equal(++times[p.seen[k]], 1);
            }
            fw_cache_destroy(cache);
        }
    }
}

/* Between pages entries come, go and are used; those that stay and are not used are seen once. */
static void what_stays_is_seen_though_others_move(void **state)
{
    (void)state;
    static page p;
    static unsigned times[KEYS * 2];
    p = (page){.most = 20};
    memset(times, 0, sizeof times);
    fw_cache *cache = cache_of(KEYS * 2, 2);
    uint64_t random = seed_of_run(), cursor = 0;
    int64_t now = KEYS;
    for (uint64_t i = 0; i < KEYS; i++)
        put_text(cache, i, "x", (int64_t)i * STEP);
    do {
        fw_rcu_read_lock();
        fw_cache_each(cache, &cursor, now * STEP, take, &p);
        fw_rcu_read_unlock();
        /* Odd ones are used, removed, or new; even ones stay as they are. */
        for (int i = 0; i < 3; i++) {
            get_of(cache, next_random(&random) % KEYS | 1, now++ * STEP);
            fw_cache_remove(cache, key_of(next_random(&random) % KEYS | 1));
        }
    } while (cursor != 0);
    for (size_t i = 0; i < p.count; i++)
        times[p.seen[i]]++;
    for (uint64_t i = 0; i < KEYS; i += 2)
        assert_int_equal(times[i], 1);
    fw_cache_destroy(cache);
}

static void the_dead_are_not_shown(void **state)
{
    (void)state;
    static page p;
    p = (page){.most = SIZE_MAX};
    fw_cache *cache = cache_of(KEYS, 0);
    for (uint64_t i = 0; i < 10; i++) {
        fw_cache_item item = item_of(i, "x");
        assert_int_equal(fw_cache_put(cache, &item, (int64_t)(i + 1) * SECOND, 0), 0);
    }
    list_all(cache, &p, 4 * SECOND + 1);
    assert_int_equal(p.count, 6);
    fw_cache_destroy(cache);
}

static void an_empty_cache_has_nothing_to_show(void **state)
{
    (void)state;
    static page p;
    p = (page){.most = SIZE_MAX};
    fw_cache *cache = cache_of(10, 0);
    list_all(cache, &p, 0);
    assert_int_equal(p.count, 0);
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.shards, 1);
    assert_int_equal(stats.shard_entries_max, 0);
    assert_int_equal(stats.entries_max, 10);
    assert_true(stats.bytes > 0);
    fw_cache_destroy(cache);
}

static void figures_follow_every_change(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(4000, 4);
    fw_cache_stats empty, full, stats;
    fw_cache_snapshot(cache, &empty);
    for (uint64_t i = 0; i < 4000; i++)
        put_text(cache, i, "0123456789", 0);
    fw_cache_snapshot(cache, &full);
    assert_int_equal(full.entries, 4000);
    assert_int_equal(full.puts, 4000);
    assert_int_equal(full.by_status[FW_SUCCESS], 4000);
    assert_in_range(full.shard_entries_min, 800, 1000);
    assert_in_range(full.shard_entries_max, 1000, 1200);
    assert_true(full.bytes >= empty.bytes + 4000 * 64);
    for (uint64_t i = 0; i < 4000; i++) {
        fw_cache_item item = item_of(i, "0123456789");
        item.status = FW_FAILURE;
        assert_int_equal(fw_cache_put(cache, &item, 0, 0), 0);
    }
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.bytes, full.bytes);
    assert_int_equal(stats.by_status[FW_SUCCESS], 0);
    assert_int_equal(stats.by_status[FW_FAILURE], 4000);
    for (uint64_t i = 0; i < 4000; i++)
        fw_cache_remove(cache, key_of(i));
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.by_status[FW_FAILURE], 0);
    fw_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_use_comes_first),
        cmocka_unit_test(pages_cover_everything_once),
        cmocka_unit_test(what_stays_is_seen_though_others_move),
        cmocka_unit_test(the_dead_are_not_shown),
        cmocka_unit_test(an_empty_cache_has_nothing_to_show),
        cmocka_unit_test(figures_follow_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
