/* departed_test.c - keys that are gone are remembered for a while, others are not; with
 * cache/hash.c, whose numbers they are remembered by. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include "cache/departed.h"
#include "cache/hash.h"

enum { ROOM = 7 * 256 };

static void the_latest_are_remembered(void **state)
{
    (void)state;
    fw_departed departed;
    assert_true(fw_departed_init(&departed, ROOM));
    for (uint64_t i = 0; i < 100000; i++) {
        fw_departed_add(&departed, fw_hash(key_of(i)), 0);
        assert_true(fw_departed_has(&departed, fw_hash(key_of(i))));
        /* A set holds 7; that many younger ones of the same set would be a rare thing among 64. */
        if (i >= 64 && i % 64 == 0) {
            unsigned remembered = 0;
            for (uint64_t j = i - 64; j < i; j++)
                remembered += fw_departed_has(&departed, fw_hash(key_of(j)));
            assert_int_equal(remembered, 64);
        }
    }
    unsigned all = 0;
    for (uint64_t i = 0; i < 100000; i++)
        all += fw_departed_has(&departed, fw_hash(key_of(i)));
    assert_true(all >= ROOM && all < ROOM + 10);
    fw_departed_fini(&departed);
}

static void strangers_are_not_taken_for_departed(void **state)
{
    (void)state;
    fw_departed departed;
    assert_true(fw_departed_init(&departed, ROOM));
    for (uint64_t i = 0; i < ROOM; i++)
        fw_departed_add(&departed, fw_hash(key_of(i)), 0);
    unsigned wrong = 0;
    for (uint64_t i = ROOM; i < 1000000; i++)
        wrong += fw_departed_has(&departed, fw_hash(key_of(i)));
    assert_int_equal(wrong, 0);
    fw_departed_fini(&departed);
}

static void the_last_use_is_remembered(void **state)
{
    (void)state;
    enum { S = 1000000000 };
    fw_departed departed;
    const int64_t wrap_s = 1 << FW_DEPARTED_TIME_BITS;
    assert_true(fw_departed_init(&departed, ROOM));
    for (uint64_t i = 0; i < 100; i++)
        fw_departed_add(&departed, fw_hash(key_of(i)), (wrap_s - 50 + (int64_t)i) * S);
    for (uint64_t i = 0; i < 100; i++) {
        int64_t used_s = wrap_s - 50 + (int64_t)i;
        uint64_t hash = fw_hash(key_of(i));
        assert_true(fw_departed_within(&departed, hash, used_s * S, 0));
        assert_true(fw_departed_within(&departed, hash, (used_s + 600) * S, INT64_C(600) * S));
        assert_false(fw_departed_within(&departed, hash, (used_s + 601) * S, INT64_C(600) * S));
    }
    assert_false(fw_departed_within(&departed, fw_hash(key_of(100)), 0, INT64_C(600) * S));
    fw_departed_fini(&departed);
}

/* Keys that differ in few bits spread over buckets, tags and shards as random ones do. */
static void hashes_spread(void **state)
{
    (void)state;
    enum { CELLS = 256, KEYS = 256 * 1000 };
    static unsigned buckets[CELLS], tags[CELLS], shards[CELLS];
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t hash = fw_hash(i % 2 ? key_of(i) : (fw_key){i << 20, 5});
        buckets[(hash & UINT32_MAX) >> 24]++;
        tags[hash >> 32 & 255]++;
        shards[hash >> 56]++;
    }
    for (int i = 0; i < CELLS; i++) {
        assert_in_range(buckets[i], 750, 1250);
        assert_in_range(tags[i], 750, 1250);
        assert_in_range(shards[i], 750, 1250);
    }
}

static int draw_secret(void **state)
{
    (void)state;
    fw_hash_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_are_remembered),
        cmocka_unit_test(strangers_are_not_taken_for_departed),
        cmocka_unit_test(the_last_use_is_remembered),
        cmocka_unit_test(hashes_spread),
    };
    return cmocka_run_group_tests(tests, draw_secret, NULL);
}
