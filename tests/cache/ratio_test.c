/* ratio_test.c - hit ratios of usual traces against an exact LRU: no more than a hundredth below.
 *
 * A million requests a second, so that marks meet their grain; as many shards as the cache chooses.
 * A miss stores. Where the cache may do better than LRU (shards let go of entries a little apart)
 * that is no fault. SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <math.h>

enum { SIZE = 4000, KEYS = 40000, REQUESTS = 400000, PACE_NS = 1000, NONE = KEYS };

/* An exact LRU of KEYS possible keys: a list through arrays, its head in KEYS. */
static struct {
    uint32_t newer[KEYS + 1], older[KEYS + 1];
    bool here[KEYS];
    size_t count;
} lru;

static void exact_unlink(uint32_t key)
{
    lru.newer[lru.older[key]] = lru.newer[key];
    lru.older[lru.newer[key]] = lru.older[key];
}

/* => whether it hit. */
static bool exact_request(uint32_t key)
{
    bool hit = lru.here[key];
    if (hit) {
        exact_unlink(key);
    } else if (lru.count == SIZE) {
        uint32_t oldest = lru.newer[NONE];
        exact_unlink(oldest);
        lru.here[oldest] = false;
    } else {
        lru.count++;
    }
    uint32_t newest = lru.older[NONE];
    lru.newer[newest] = key;
    lru.older[key] = newest;
    lru.newer[key] = NONE;
    lru.older[NONE] = key;
    lru.here[key] = true;
    return hit;
}

static void run_trace(uint32_t (*draw)(uint64_t i, uint64_t *random), const char *name)
{
    uint64_t random = seed_of_run(), hits = 0, exact_hits = 0;
    fw_cache *cache = cache_of(SIZE, 0);
    memset(&lru, 0, sizeof lru);
    lru.newer[NONE] = lru.older[NONE] = NONE;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        uint32_t key = draw(i, &random);
        exact_hits += exact_request(key);
        if (get_of(cache, key, (int64_t)i * PACE_NS) == FW_CACHE_FOUND)
            hits++;
        else
            put_text(cache, key, "x", (int64_t)i * PACE_NS);
    }
    double ratio = (double)hits / REQUESTS, exact = (double)exact_hits / REQUESTS;
    fprintf(stderr, "%-10s %.4f, exact LRU %.4f\n", name, ratio, exact);
    assert_true(ratio >= exact - 0.01);
    fw_cache_destroy(cache);
}

static double cumulated[KEYS];

static void prepare_zipf(double exponent)
{
    double sum = 0;
    for (int i = 0; i < KEYS; i++)
        cumulated[i] = sum += 1 / pow(i + 1, exponent);
    for (int i = 0; i < KEYS; i++)
        cumulated[i] /= sum;
}

static uint32_t draw_zipf(uint64_t i, uint64_t *random)
{
    (void)i;
    double u = (double)(next_random(random) >> 11) / 9007199254740992.0;
    uint32_t low = 0, high = KEYS - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cumulated[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One request in ten walks over all keys. */
static uint32_t draw_scan_mixed(uint64_t i, uint64_t *random)
{
    return i % 10 == 0 ? (uint32_t)(i / 10 % KEYS) : draw_zipf(i, random);
}

static uint32_t draw_loop_that_fits(uint64_t i, uint64_t *random)
{
    (void)random;
    return (uint32_t)(i % SIZE);
}

static uint32_t draw_loop_too_large(uint64_t i, uint64_t *random)
{
    (void)random;
    return (uint32_t)(i % (SIZE + SIZE / 5));
}

static void zipf_traces(void **state)
{
    (void)state;
    prepare_zipf(0.7);
    run_trace(draw_zipf, "zipf 0.7");
    prepare_zipf(0.9);
    run_trace(draw_zipf, "zipf 0.9");
    prepare_zipf(1.1);
    run_trace(draw_zipf, "zipf 1.1");
}

static void scan_mixed_trace(void **state)
{
    (void)state;
    prepare_zipf(0.9);
    run_trace(draw_scan_mixed, "scan mixed");
}

static void loop_traces(void **state)
{
    (void)state;
    run_trace(draw_loop_that_fits, "loop 1.0");
    run_trace(draw_loop_too_large, "loop 1.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_traces),
        cmocka_unit_test(scan_mixed_trace),
        cmocka_unit_test(loop_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
