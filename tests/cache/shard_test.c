/* shard_test.c - random histories of everything a cache can be asked, against a plain model, with
 * the whole structure looked through again and again; covers cache/node.c, cache/growing.c and
 * cache/shard_check.c too. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include "cache/body.h"

enum { KEYS = 2000 };

typedef struct kept {
    bool here;
    uint64_t version;
    int64_t expires_ns;
} kept;

static void check_version(fw_cache *cache, uint64_t key, const kept *k, int64_t now)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    fw_cache_answer answer = fw_cache_get(cache, key_of(key), now, false, &item);
    if (k->here && now <= k->expires_ns) {
        assert_int_equal(answer, FW_CACHE_FOUND);
        assert_int_equal(item.result.len, k->version % 700);
        assert_int_equal(item.created_wall_ns, (int64_t)k->version);
    } else {
        assert_int_equal(answer, k->version ? FW_CACHE_EXPIRED : FW_CACHE_UNKNOWN);
    }
    fw_rcu_read_unlock();
}

static void check_whole(fw_cache *cache)
{
    size_t entries = 0;
    int64_t bytes = sizeof *cache;
    for (unsigned i = 0; i < cache->shard_count; i++) {
        assert_true(fw_shard_is_valid(&cache->shards[i]));
        /* Relaxed: no other thread is at work. */
        entries += fw_load_relaxed(&cache->shards[i].entries);
        bytes += (int64_t)fw_load_relaxed(&cache->shards[i].bytes) - cache->shards[i].unsent_bytes;
    }
    assert_int_equal(entries, fw_load_relaxed(&cache->bounds.entries));
    assert_int_equal(bytes, fw_load_relaxed(&cache->bounds.bytes));
}

/* The cache is large enough for all: what is gone was removed, or its time was up. */
static void nothing_is_lost_while_there_is_room(void **state)
{
    (void)state;
    static kept model[KEYS];
    static char text[700];
    uint64_t random = seed_of_run();
    for (unsigned shards = 1; shards <= 4; shards *= 4) {
        memset(model, 0, sizeof model);
        fw_cache *cache = cache_of(100000, shards);
        int64_t now = SECOND;
        for (uint64_t step = 1; step <= 60000; step++) {
            uint64_t key = next_random(&random) % KEYS;
            unsigned what = next_random(&random) % 8;
            now += (int64_t)(next_random(&random) % (SECOND / 20));
            if (what < 4) {
                fw_cache_item item = item_of(key, "");
                item.created_wall_ns = (int64_t)step;
                item.result = (fw_span){text, step % 700};
                int64_t ttl = (int64_t)(next_random(&random) % 300 + 1) * SECOND;
                assert_int_equal(fw_cache_put(cache, &item, ttl, now), 0);
                model[key] = (kept){true, step, now + ttl};
            } else if (what == 4) {
                bool removed = fw_cache_remove(cache, key_of(key));
                /* What is dead may have been swept or not. */
                if (now <= model[key].expires_ns || !model[key].here)
                    assert_int_equal(removed, model[key].here);
                model[key].here = false;
            } else {
                check_version(cache, key, &model[key], now);
            }
            if (step % 100 == 0)
                fw_cache_sweep(cache, now);
            if (step % 5000 == 0)
                check_whole(cache);
        }
        fw_cache_destroy(cache);
    }
}

/* Small and under pressure by count and bytes at once: the structure and the sums stay right. */
static void sums_stay_right_under_pressure(void **state)
{
    (void)state;
    static char text[4000];
    uint64_t random = seed_of_run();
    fw_cache_config config = {.entries_max = 300, .bytes_max = 300000, .ttl_ns = 3 * SECOND};
    for (config.shards = 1; config.shards <= 4; config.shards *= 2) {
        fw_cache *cache = NULL;
        assert_int_equal(fw_cache_create(&cache, &config), 0);
        for (uint64_t step = 1; step <= 20000; step++) {
            int64_t now = (int64_t)step * SECOND / 100;
            fw_cache_item item = item_of(next_random(&random) % KEYS, "");
            item.result = (fw_span){text, next_random(&random) % (step % 3 ? 300 : 4000)};
            assert_int_equal(fw_cache_put(cache, &item, 0, now), 0);
            get_of(cache, next_random(&random) % KEYS, now);
            if (step % 10 == 0)
                fw_cache_remove(cache, key_of(next_random(&random) % KEYS));
            if (step % 50 == 0)
                fw_cache_sweep(cache, now);
            if (step % 1000 == 0)
                fw_cache_resize(cache, step % 2000 ? 100 : 300, 300000, 3 * SECOND);
            if (step % 500 == 0)
                check_whole(cache);
        }
        fw_cache_destroy(cache);
    }
}

/* The table and the nodes grow while a reader holds what it found before. */
static void readers_keep_what_they_found_while_it_grows(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(100000, 1);
    fw_cache_item found;
    put_text(cache, 0, "the first", 0);
    fw_rcu_read_lock();
    assert_int_equal(fw_cache_get(cache, key_of(0), 0, false, &found), FW_CACHE_FOUND);
    for (uint64_t i = 1; i < 20000; i++)
        put_text(cache, i, "x", 0);
    put_text(cache, 0, "the second", 0);
    fw_cache_remove(cache, key_of(0));
    assert_memory_equal(found.result.ptr, "the first", found.result.len);
    fw_rcu_read_unlock();
    for (uint64_t i = 1; i < 20000; i++)
        assert_int_equal(peek_of(cache, i, 0), FW_CACHE_FOUND);
    check_whole(cache);
    fw_cache_destroy(cache);
    fw_rcu_barrier();
}

/* Whatever happens between two steps of a table that grows, both tables are right. */
static void a_growing_table_stays_whole(void **state)
{
    (void)state;
    enum { NUMBERS = 40000, STEPS = 120000 };
    static bool here[NUMBERS];
    uint64_t random = seed_of_run();
    fw_cache *cache = cache_of(100000, 1);
    unsigned looks = 0, grown = 0;
    uintptr_t last = fw_load_relaxed(&cache->shards[0].table);
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t number = next_random(&random) % (step / 3 + 1);
        if (next_random(&random) % 5 == 0) {
            assert_int_equal(fw_cache_remove(cache, key_of(number)), here[number]);
            here[number] = false;
        } else {
            put_text(cache, number, step % 7 ? "x" : "another length", (int64_t)step);
            here[number] = true;
        }
        uintptr_t table = fw_load_relaxed(&cache->shards[0].table);
        if ((cache->shards[0].next && step % 40 == 0) || table != last) {
            assert_true(fw_shard_is_valid(&cache->shards[0]));
            looks++;
        }
        grown += table != last;
        last = table;
    }
    for (uint64_t i = 0; i < NUMBERS; i++)
        assert_int_equal(peek_of(cache, i, STEPS) == FW_CACHE_FOUND, here[i]);
    assert_true(grown >= 4 && looks > grown);
    check_whole(cache);
    fw_cache_destroy(cache);
    fw_rcu_barrier();
}

/* Whatever it may do, also when bringing entries nearer takes exactly all of it. */
static void a_sweep_does_no_more_than_it_may(void **state)
{
    (void)state;
    enum { ENTRIES = 20, LIVE_S = 3600 };
    for (size_t may = 1; may <= 3 * ENTRIES; may++) {
        fw_cache *cache = cache_of(1000, 1);
        fw_shard *shard = &cache->shards[0];
        size_t gone = 0;
        for (uint64_t i = 0; i < ENTRIES; i++)
            put_text(cache, i, "x", SECOND);
        for (unsigned sweeps = 0; gone < ENTRIES; sweeps++) {
            size_t work = may, took = fw_shard_sweep(shard, (LIVE_S + 100) * SECOND, &work);
            assert_true(work < may && took <= may - work);
            assert_true(sweeps <= 3 * ENTRIES);
            gone += took;
        }
        check_whole(cache);
        fw_cache_destroy(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_does_no_more_than_it_may),
        cmocka_unit_test(nothing_is_lost_while_there_is_room),
        cmocka_unit_test(sums_stay_right_under_pressure),
        cmocka_unit_test(readers_keep_what_they_found_while_it_grows),
        cmocka_unit_test(a_growing_table_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
