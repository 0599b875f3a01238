/* expiry_test.c - the wheel: dead entries are handed out at their second, never before, whatever
 * steps time takes. SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include "cache/body.h"
#include "cache/expiry.h"

enum { NODES = 2000 };

typedef struct wheel {
    fw_expiry expiry;
    fw_nodes nodes;
    fw_table table; /* in which nodes find their entries */
} wheel;

static void make(wheel *w)
{
    fw_expiry_init(&w->expiry);
    assert_true(fw_nodes_init(&w->nodes, 8));
    w->table = fw_table_create(NODES);
    w->nodes.buckets = fw_table_buckets(w->table);
}

static void add(wheel *w, uint64_t number, int64_t expires_ns, int64_t now_ns)
{
    fw_cache_item item = item_of(number, "x");
    assert_true(fw_nodes_has_free(&w->nodes) || fw_nodes_grow(&w->nodes, NODES));
    uint32_t index = fw_node_take(&w->nodes);
    fw_entry *entry = create_entry(&item, expires_ns, 0);
    assert_non_null(entry);
    w->nodes.at[index].place =
        fw_table_insert(w->table, UINT64_C(1) << 32 | (uint32_t)(number << 20), entry);
    w->nodes.at[index].hash = (uint32_t)(number << 20);
    fw_expiry_add(&w->expiry, &w->nodes, index, expires_ns, now_ns);
}

/* Takes out all that is due. => how many. */
static size_t take_due(wheel *w, int64_t now_s, size_t work)
{
    size_t taken = 0;
    for (;;) {
        uint32_t index = fw_expiry_due(&w->expiry, &w->nodes, now_s, &work);
        if (index == FW_NODE_NONE)
            return taken;
        fw_entry *entry = fw_node_entry(&w->nodes, index);
        int64_t expires = entry->expires_ns;
        assert_true(expires < now_s * SECOND);
        fw_expiry_remove(&w->expiry, &w->nodes, index);
        fw_table_remove(w->table, w->nodes.at[index].place,
                        UINT64_C(1) << 32 | w->nodes.at[index].hash);
        fw_entry_free(entry);
        fw_node_give(&w->nodes, index);
        taken++;
    }
}

/* Time goes on in steps of `step` seconds; after each, exactly what is dead must be gone. */
static void run(uint64_t *random, int64_t start_s, int64_t span_s, int64_t step)
{
    wheel w;
    int64_t due[NODES];
    make(&w);
    for (uint64_t i = 0; i < NODES; i++) {
        int64_t after = (int64_t)(next_random(random) % (uint64_t)(span_s * SECOND));
        due[i] = start_s * SECOND + after;
        add(&w, i, due[i], start_s * SECOND);
    }
    size_t gone = 0;
    for (int64_t now_s = start_s; gone < NODES; now_s += step) {
        gone += take_due(&w, now_s, SIZE_MAX);
        size_t dead = 0;
        for (uint64_t i = 0; i < NODES; i++)
            dead += due[i] < now_s * SECOND;
        assert_int_equal(gone, dead);
        assert_true(now_s < start_s + span_s + 2 * step);
    }
    assert_int_equal(w.expiry.count, 0);
    fw_nodes_fini(&w.nodes);
    fw_table_destroy(w.table);
}

static void each_goes_at_its_second(void **state)
{
    (void)state;
    uint64_t random = seed_of_run();
    run(&random, 0, 60, 1);
    run(&random, 1000003, 60, 1);
    run(&random, 4095, 5000, 1);
    run(&random, 123456, 5000, 7);
    run(&random, 77, 40000, 61);
    run(&random, 262143, 700000, 3600);
}

/* The wheel hangs behind (nobody swept for long); what comes meanwhile goes in time all the same.
 */
static void a_wheel_that_hangs_behind_catches_up(void **state)
{
    (void)state;
    wheel w;
    make(&w);
    add(&w, 1, 10 * SECOND, 0);
    add(&w, 2, 90000 * SECOND, 0);
    add(&w, 3, 5005 * SECOND, 5000 * SECOND);
    add(&w, 4, 5 * SECOND, 5000 * SECOND);
    assert_int_equal(take_due(&w, 5005, SIZE_MAX), 2);
    assert_int_equal(take_due(&w, 5006, SIZE_MAX), 1);
    assert_int_equal(take_due(&w, 90000, SIZE_MAX), 0);
    assert_int_equal(take_due(&w, 90001, SIZE_MAX), 1);
    fw_nodes_fini(&w.nodes);
    fw_table_destroy(w.table);
}

/* With little work at a time, nothing is lost and nothing comes early. */
static void work_is_bounded(void **state)
{
    (void)state;
    wheel w;
    make(&w);
    for (uint64_t i = 0; i < NODES; i++)
        add(&w, i, 10000 * SECOND + (int64_t)i, 0);
    assert_int_equal(take_due(&w, 10000, SIZE_MAX), 0);
    size_t gone = 0;
    unsigned calls = 0;
    for (; gone < NODES; calls++) {
        gone += take_due(&w, 10001, 100);
        assert_true(calls < 100);
    }
    fw_nodes_fini(&w.nodes);
    fw_table_destroy(w.table);
}

static void far_times_do_not_overflow(void **state)
{
    (void)state;
    fw_cache *cache = cache_of(10, 1);
    fw_cache_item item = item_of(1, "x");
    assert_int_equal(fw_cache_put(cache, &item, INT64_MAX, 5 * SECOND), 0);
    assert_int_equal(fw_cache_sweep(cache, 1000000 * SECOND), 0);
    assert_int_equal(get_of(cache, 1, 1000000 * SECOND), FW_CACHE_FOUND);
    assert_true(fw_shard_is_valid(&cache->shards[0]));
    fw_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_goes_at_its_second),
        cmocka_unit_test(a_wheel_that_hangs_behind_catches_up),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(far_times_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
