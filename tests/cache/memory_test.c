/* memory_test.c - what the cache says it takes is what the heap and the slabs say, within a tenth.
 * SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <malloc.h>

#include "cache/entry.h"

static size_t heap_and_slabs(void)
{
    fw_rcu_barrier();
    struct mallinfo2 heap = mallinfo2();
    size_t bytes = heap.uordblks + heap.hblkhd;
    for (unsigned i = 0; i < fw_entry_classes(); i++)
        bytes += fw_entry_class_bytes(i);
    return bytes;
}

static size_t said(fw_cache *cache)
{
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    return stats.bytes;
}

static void compare(size_t counted, size_t taken, const char *what)
{
    fprintf(stderr, "%s: counted %zu, taken %zu\n", what, counted, taken);
    assert_true(counted > taken - taken / 10 && counted < taken + taken / 10);
}

/* Fills with results of some sizes, goes on evicting, and lets all go. */
static void follow(size_t entries, size_t shortest, size_t longest, const char *what)
{
    static char text[300000];
    uint64_t random = seed_of_run();
    size_t before = heap_and_slabs();
    fw_cache *cache = cache_of(entries, 0);
    for (uint64_t i = 0; i < entries * 2; i++) {
        fw_cache_item item = item_of(i, "");
        item.created_wall_ns = 1;
        item.result = (fw_span){text, shortest + next_random(&random) % (longest - shortest + 1)};
        assert_int_equal(fw_cache_put(cache, &item, 0, (int64_t)i), 0);
        if (i == entries)
            compare(said(cache), heap_and_slabs() - before, what);
    }
    compare(said(cache), heap_and_slabs() - before, what);
    fw_cache_destroy(cache);
}

static void what_is_counted_is_what_is_taken(void **state)
{
    (void)state;
#ifdef FW_SANITIZED
    /* The sanitizers' heaps tell nothing. */
    skip();
#endif
    follow(100000, 64, 64, "100,000 of 64 bytes");
    /* Each thread's magazines hold some free blocks of each class, 4 MB of these. */
    follow(60000, 0, 3000, "60,000 of 0 to 3,000 bytes");
    follow(300, 100000, 300000, "300 of 100,000 to 300,000 bytes");
}

static void a_small_result_costs_a_hundred_bytes_at_most(void **state)
{
    (void)state;
#ifdef FW_SANITIZED
    /* Too slow for what it tells. */
    skip();
#endif
    enum { ENTRIES = 1 << 20 };
    static const char text[64];
    fw_cache *cache = cache_of(ENTRIES, 0);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        fw_cache_item item = {.key = key_of(i), .status = FW_SUCCESS};
        item.result = (fw_span){text, sizeof text};
        assert_int_equal(fw_cache_put(cache, &item, 0, (int64_t)i), 0);
    }
    fprintf(stderr, "%zu bytes per entry beyond its 64\n", said(cache) / ENTRIES - 64);
    assert_true(said(cache) / ENTRIES - 64 <= 100);
    fw_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_counted_is_what_is_taken),
        cmocka_unit_test(a_small_result_costs_a_hundred_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
