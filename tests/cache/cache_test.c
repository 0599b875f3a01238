/* cache_test.c - the door: what is stored is found, for as long and as many as was agreed. Names
 * with a number C-0xx are the parity list's. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

static void a_full_item_comes_back(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    fw_cache_item item = item_of(7, "{\"a\":1}"), found;
    item.id = text_of("my own key");
    item.status = FW_FAILURE;
    item.level = FW_CRITICAL;
    item.attempt = 3;
    item.created_wall_ns = 100;
    item.started_wall_ns = 200;
    item.finished_wall_ns = 300;
    item.error = text_of("it broke");
    item.callback = text_of("{\"address\":\"tcp://x\"}");
    item.request = text_of("request bytes");
    assert_int_equal(fw_cache_put(cache, &item, 0, SECOND), 0);
    fw_rcu_read_lock();
    assert_int_equal(fw_cache_get(cache, key_of(7), SECOND, false, &found), FW_CACHE_FOUND);
    assert_true(fw_key_equal(found.key, item.key));
    assert_int_equal(found.status, FW_FAILURE);
    assert_int_equal(found.level, FW_CRITICAL);
    assert_int_equal(found.attempt, 3);
    assert_int_equal(found.created_wall_ns, 100);
    assert_int_equal(found.started_wall_ns, 200);
    assert_int_equal(found.finished_wall_ns, 300);
    const fw_span *given[] = {&item.id,    &item.name,     &item.result,
                              &item.error, &item.callback, &item.request};
    const fw_span *got[] = {&found.id,    &found.name,     &found.result,
                            &found.error, &found.callback, &found.request};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(got[i]->len, given[i]->len);
        assert_memory_equal(got[i]->ptr, given[i]->ptr, given[i]->len);
    }
    fw_rcu_read_unlock();
    fw_cache_destroy(cache);
}

static void no_error_differs_from_an_empty_one(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    fw_cache_item item = item_of(1, "1"), found;
    assert_int_equal(fw_cache_put(cache, &item, 0, 0), 0);
    item = item_of(2, "2");
    item.error = text_of("");
    assert_int_equal(fw_cache_put(cache, &item, 0, 0), 0);
    fw_rcu_read_lock();
    assert_int_equal(fw_cache_get(cache, key_of(1), 0, false, &found), FW_CACHE_FOUND);
    assert_null(found.error.ptr);
    assert_int_equal(fw_cache_get(cache, key_of(2), 0, false, &found), FW_CACHE_FOUND);
    assert_non_null(found.error.ptr);
    assert_int_equal(found.error.len, 0);
    fw_rcu_read_unlock();
    fw_cache_destroy(cache);
}

static void c080_least_recently_queried_or_stored_goes_first(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(3, 0);
    put_text(cache, 1, "1", 1 * STEP);
    put_text(cache, 2, "2", 2 * STEP);
    put_text(cache, 3, "3", 3 * STEP);
    assert_int_equal(get_of(cache, 1, 4 * STEP), FW_CACHE_FOUND);
    put_text(cache, 2, "2 again", 5 * STEP);
    put_text(cache, 4, "4", 6 * STEP);
    assert_int_equal(peek_of(cache, 3, 7 * STEP), FW_CACHE_EXPIRED);
    put_text(cache, 5, "5", 8 * STEP);
    assert_int_equal(peek_of(cache, 1, 9 * STEP), FW_CACHE_EXPIRED);
    assert_int_equal(peek_of(cache, 2, 9 * STEP), FW_CACHE_FOUND);
    assert_int_equal(peek_of(cache, 4, 9 * STEP), FW_CACHE_FOUND);
    assert_int_equal(peek_of(cache, 5, 9 * STEP), FW_CACHE_FOUND);
    fw_cache_destroy(cache);
}

/* As a client does that stores, asks and stores within microseconds. */
static void c080_holds_within_a_millisecond(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(2, 0);
    put_text(cache, 1, "1", 1000);
    put_text(cache, 2, "2", 2000);
    assert_int_equal(get_of(cache, 1, 3000), FW_CACHE_FOUND);
    put_text(cache, 3, "3", 4000);
    assert_int_equal(peek_of(cache, 1, 5000), FW_CACHE_FOUND);
    assert_int_equal(peek_of(cache, 2, 5000), FW_CACHE_EXPIRED);
    fw_cache_destroy(cache);
}

static void c081_time_to_live_counts_from_storing(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    fw_cache_item item = item_of(1, "1");
    int64_t stored = 50 * SECOND + 123;
    assert_int_equal(fw_cache_put(cache, &item, 10 * SECOND, stored), 0);
    assert_int_equal(get_of(cache, 1, stored + 9 * SECOND), FW_CACHE_FOUND);
    /* Strictly greater: at the limit it is still there, and asking did not prolong it. */
    assert_int_equal(get_of(cache, 1, stored + 10 * SECOND), FW_CACHE_FOUND);
    assert_int_equal(get_of(cache, 1, stored + 10 * SECOND + 1), FW_CACHE_EXPIRED);
    assert_int_equal(fw_cache_sweep(cache, stored + 10 * SECOND), 0);
    assert_int_equal(fw_cache_sweep(cache, stored + 11 * SECOND), 1);
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.evicted_ttl, 1);
    assert_int_equal(get_of(cache, 1, stored + 12 * SECOND), FW_CACHE_EXPIRED);
    fw_cache_destroy(cache);
}

static void c081_default_time_to_live_is_that_of_storing(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    put_text(cache, 1, "1", 0);
    fw_cache_resize(cache, 10, (size_t)1 << 30, 5 * SECOND);
    put_text(cache, 2, "2", 0);
    assert_int_equal(get_of(cache, 1, 5 * SECOND + 1), FW_CACHE_FOUND);
    assert_int_equal(get_of(cache, 2, 5 * SECOND + 1), FW_CACHE_EXPIRED);
    fw_cache_destroy(cache);
}

static bool count_visit(void *context, const fw_cache_item *item)
{
    assert_int_equal(item->status, FW_SUCCESS);
    ++*(int *)context;
    return true;
}

static void c082_listing_does_not_change_the_order(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(2, 0);
    uint64_t cursor = 0;
    int seen = 0;
    put_text(cache, 1, "1", 1 * STEP);
    put_text(cache, 2, "2", 2 * STEP);
    assert_int_equal(peek_of(cache, 1, 3 * STEP), FW_CACHE_FOUND);
    fw_rcu_read_lock();
    fw_cache_each(cache, &cursor, 4 * STEP, count_visit, &seen);
    fw_rcu_read_unlock();
    assert_int_equal(seen, 2);
    put_text(cache, 3, "3", 5 * STEP);
    assert_int_equal(peek_of(cache, 1, 6 * STEP), FW_CACHE_EXPIRED);
    assert_int_equal(peek_of(cache, 2, 6 * STEP), FW_CACHE_FOUND);
    fw_cache_destroy(cache);
}

static void c083_storing_again_replaces_and_refreshes(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(2, 0);
    fw_cache_item found;
    put_text(cache, 1, "old", 0);
    put_text(cache, 2, "2", STEP);
    put_text(cache, 1, "a new and longer one", 100 * SECOND);
    put_text(cache, 3, "3", 101 * SECOND);
    /* It became the newest, and its time began anew. */
    assert_int_equal(peek_of(cache, 2, 102 * SECOND), FW_CACHE_EXPIRED);
    fw_rcu_read_lock();
    assert_int_equal(fw_cache_get(cache, key_of(1), 3700 * SECOND, false, &found), FW_CACHE_FOUND);
    assert_memory_equal(found.result.ptr, "a new and longer one", found.result.len);
    fw_rcu_read_unlock();
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 2);
    fw_cache_destroy(cache);
}

/* C-084 and C-085 are the control plane's (what it stores, and when); here: every final status is
 * kept as given. */
static void c084_c085_every_final_status_is_kept(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    const fw_state all[] = {FW_SUCCESS, FW_FAILURE, FW_CANCELLED};
    for (unsigned i = 0; i < 3; i++) {
        fw_cache_item item = item_of(i, "x"), found;
        item.status = all[i];
        assert_int_equal(fw_cache_put(cache, &item, 0, 0), 0);
        fw_rcu_read_lock();
        assert_int_equal(fw_cache_get(cache, key_of(i), 0, false, &found), FW_CACHE_FOUND);
        assert_int_equal(found.status, all[i]);
        fw_rcu_read_unlock();
    }
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(stats.by_status[all[i]], 1);
    fw_cache_destroy(cache);
}

static void size_zero_keeps_nothing(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(0, 0);
    put_text(cache, 1, "1", 0);
    assert_int_equal(get_of(cache, 1, 0), FW_CACHE_UNKNOWN);
    fw_cache_destroy(cache);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    fw_cache *cache = NULL;
    fw_cache_config config = {.entries_max = 10, .bytes_max = 1 << 20, .ttl_ns = 0};
    assert_int_equal(fw_cache_create(&cache, &config), -FW_EINVAL);
    config = (fw_cache_config){10, 1 << 20, SECOND, 3};
    assert_int_equal(fw_cache_create(&cache, &config), -FW_EINVAL);
    assert_null(cache);
}

static void unknown_expired_and_removed_are_told_apart(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 0);
    assert_int_equal(get_of(cache, 1, 0), FW_CACHE_UNKNOWN);
    put_text(cache, 1, "1", 0);
    assert_true(fw_cache_remove(cache, key_of(1)));
    assert_false(fw_cache_remove(cache, key_of(1)));
    assert_int_equal(get_of(cache, 1, 0), FW_CACHE_EXPIRED);
    put_text(cache, 1, "1", 0);
    assert_int_equal(get_of(cache, 1, 0), FW_CACHE_FOUND);
    assert_int_equal(get_of(cache, 2, 0), FW_CACHE_UNKNOWN);
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.misses, 3);
    assert_int_equal(stats.expired_answers, 1);
    assert_int_equal(stats.puts, 2);
    fw_cache_destroy(cache);
}

/* Nothing goes before the cache is full, and it is never too full, whatever the shards are. */
static void the_count_is_exact_over_all_shards(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= 8; shards *= 2) {
        fw_cache *cache = cache_of(500, shards);
        fw_cache_stats stats;
        for (uint64_t i = 0; i < 500; i++)
            put_text(cache, i, "x", (int64_t)i * STEP);
        for (uint64_t i = 0; i < 500; i++)
            assert_int_equal(peek_of(cache, i, 500 * STEP), FW_CACHE_FOUND);
        for (uint64_t i = 500; i < 3000; i++) {
            put_text(cache, i, "x", (int64_t)i * STEP);
            fw_cache_snapshot(cache, &stats);
            assert_int_equal(stats.entries, 500);
        }
        assert_int_equal(stats.evicted_count, 2500);
        /* The order of use is exact within a shard; shards differ in age by some eighth. */
        for (uint64_t i = shards == 1 ? 2500 : 2750; i < 3000; i++)
            assert_int_equal(peek_of(cache, i, 3000 * STEP), FW_CACHE_FOUND);
        fw_cache_destroy(cache);
    }
}

static void bytes_are_bounded(void **state)
{
    (void)state;
    enum { LARGE = 100 * 1000 };
    fw_cache_config config = {.entries_max = 100000, .bytes_max = 4 << 20, .ttl_ns = SECOND};
    fw_cache *cache = NULL;
    assert_int_equal(fw_cache_create(&cache, &config), 0);
    char *text = malloc(5 << 20);
    assert_non_null(text);
    memset(text, 'x', 5 << 20);
    fw_cache_stats stats;
    uint64_t random = seed_of_run();
    for (uint64_t i = 0; i < 2000; i++) {
        fw_cache_item item = item_of(i, "");
        item.result = (fw_span){text, next_random(&random) % LARGE};
        assert_int_equal(fw_cache_put(cache, &item, 0, (int64_t)i), 0);
        fw_cache_snapshot(cache, &stats);
        /* Shards send their bytes in lumps, a 64th of the bound in all. */
        assert_true(stats.bytes <= stats.bytes_max + stats.bytes_max / 64);
        assert_int_equal(peek_of(cache, i, (int64_t)i), FW_CACHE_FOUND);
    }
    assert_true(stats.evicted_bytes > 0);
    assert_true(stats.bytes > stats.bytes_max / 2);
    fw_cache_item item = item_of(5000, "");
    item.result = (fw_span){text, 5 << 20};
    assert_int_equal(fw_cache_put(cache, &item, 0, 0), -FW_EBIG);
    item.result = (fw_span){text, 2 << 20};
    assert_int_equal(fw_cache_put(cache, &item, 0, 3000), 0);
    assert_int_equal(peek_of(cache, 5000, 3000), FW_CACHE_FOUND);
    free(text);
    fw_cache_destroy(cache);
}

static void a_smaller_size_takes_effect_bit_by_bit(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(20000, 0);
    fw_cache_stats stats;
    for (uint64_t i = 0; i < 20000; i++)
        put_text(cache, i, "x", (int64_t)i);
    fw_cache_resize(cache, 100, (size_t)1 << 30, SECOND);
    put_text(cache, 20000, "x", 20000);
    fw_cache_snapshot(cache, &stats);
    assert_true(stats.entries > 19000);
    for (int i = 0; i < 4; i++)
        fw_cache_sweep(cache, 20001);
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 100);
    assert_int_equal(peek_of(cache, 20000, 20001), FW_CACHE_FOUND);
    fw_cache_resize(cache, 0, (size_t)1 << 30, SECOND);
    fw_cache_sweep(cache, 20001);
    fw_cache_snapshot(cache, &stats);
    assert_int_equal(stats.entries, 0);
    fw_cache_destroy(cache);
}

static void a_sweep_is_bounded_and_goes_on(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(100000, 0);
    for (uint64_t i = 0; i < 50000; i++)
        put_text(cache, i, "x", SECOND);
    size_t gone = 0;
    int sweeps = 0;
    for (; gone < 50000; sweeps++) {
        size_t now = fw_cache_sweep(cache, 3700 * SECOND);
        assert_true(now <= 1 << 14);
        gone += now;
        assert_true(sweeps < 20);
    }
    assert_true(sweeps > 2);
    assert_int_equal(fw_cache_sweep(cache, 3700 * SECOND), 0);
    fw_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_item_comes_back),
        cmocka_unit_test(no_error_differs_from_an_empty_one),
        cmocka_unit_test(c080_least_recently_queried_or_stored_goes_first),
        cmocka_unit_test(c080_holds_within_a_millisecond),
        cmocka_unit_test(c081_time_to_live_counts_from_storing),
        cmocka_unit_test(c081_default_time_to_live_is_that_of_storing),
        cmocka_unit_test(c082_listing_does_not_change_the_order),
        cmocka_unit_test(c083_storing_again_replaces_and_refreshes),
        cmocka_unit_test(c084_c085_every_final_status_is_kept),
        cmocka_unit_test(size_zero_keeps_nothing),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(unknown_expired_and_removed_are_told_apart),
        cmocka_unit_test(the_count_is_exact_over_all_shards),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(a_smaller_size_takes_effect_bit_by_bit),
        cmocka_unit_test(a_sweep_is_bounded_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
