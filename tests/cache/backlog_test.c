/* backlog_test.c - what was let go of and still waits for its readers is bounded by bytes: whoever
 * stores waits for them. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <pthread.h>
#include <sched.h>

#include "base/assert.h"
#include "base/atomic.h"

enum { RESULT = 100000, PUTS = 400 };
#define LIMIT ((size_t)4 << 20)

static fw_cache *cache;
static fw_atomic(size_t) puts_done, most_retired;

static size_t retired(void)
{
    fw_cache_stats stats;
    fw_cache_snapshot(cache, &stats);
    return stats.retired_bytes;
}

static void *store(void *unused)
{
    static char text[RESULT];
    (void)unused;
    for (uint64_t i = 0; i < PUTS; i++) {
        fw_cache_item item = item_of(i % 4, "");
        item.result = (fw_span){text, sizeof text};
        FW_ASSERT(fw_cache_put(cache, &item, 0, (int64_t)i) == 0);
        size_t now = retired();
        /* Relaxed: figures, read after the thread was joined. */
        if (now > fw_load_relaxed(&most_retired))
            fw_store_relaxed(&most_retired, now);
        fw_add_relaxed(&puts_done, 1);
    }
    return NULL;
}

static void a_reader_that_stays_stops_who_stores(void **state)
{
    (void)state;
    pthread_t writer;
    cache = cache_of(100, 0);
    fw_cache_resize(cache, 100, LIMIT, SECOND);
    fw_rcu_read_lock();
    assert_int_equal(pthread_create(&writer, NULL, store, NULL), 0);
    while (retired() <= LIMIT)
        sched_yield();
    /* Not all of it can have been stored: forty fill the bound. */
    assert_true(fw_load_relaxed(&puts_done) < PUTS / 2);
    fw_rcu_read_unlock();
    pthread_join(writer, NULL);
    fprintf(stderr, "most retired: %zu of %zu\n", fw_load_relaxed(&most_retired), LIMIT);
    assert_true(fw_load_relaxed(&most_retired) < LIMIT + 4 * (size_t)RESULT);
    fw_rcu_barrier();
    assert_true(retired() < (size_t)64 << 10);
    fw_cache_destroy(cache);
}

/* A reader that stores does not wait for itself. */
static void a_reader_may_store(void **state)
{
    (void)state;
    cache = cache_of(100, 0);
    fw_cache_resize(cache, 100, LIMIT, SECOND);
    fw_rcu_read_lock();
    store(NULL);
    assert_true(retired() > LIMIT);
    fw_rcu_read_unlock();
    fw_rcu_barrier();
    assert_true(retired() < (size_t)64 << 10);
    fw_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_stays_stops_who_stores),
        cmocka_unit_test(a_reader_may_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
