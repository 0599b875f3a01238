/* tests/cache/items.h - keys, items and numbers that the cache's tests are made of.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_CACHE_ITEMS_H
#define FW_TESTS_CACHE_ITEMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rcu.h"
#include "cache/cache.h"

#define SECOND INT64_C(1000000000)
/* More than the grain of a mark, so that each step counts. */
#define STEP (INT64_C(2) << 20)

static inline fw_span text_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static inline fw_key key_of(uint64_t number)
{
    return (fw_key){UINT64_C(0x1122334455667788), number};
}

static inline fw_cache_item item_of(uint64_t number, const char *result)
{
    return (fw_cache_item){.key = key_of(number),
                           .status = FW_SUCCESS,
                           .level = FW_NORMAL,
                           .attempt = 1,
                           .name = text_of("add"),
                           .result = text_of(result)};
}

static inline fw_cache *cache_of(size_t entries_max, unsigned shards)
{
    fw_cache_config config = {.entries_max = entries_max,
                              .bytes_max = (size_t)1 << 30,
                              .ttl_ns = 3600 * SECOND,
                              .shards = shards};
    fw_cache *cache = NULL;
    assert_int_equal(fw_cache_create(&cache, &config), 0);
    return cache;
}

static inline void put_text(fw_cache *cache, uint64_t number, const char *result, int64_t now_ns)
{
    fw_cache_item item = item_of(number, result);
    assert_int_equal(fw_cache_put(cache, &item, 0, now_ns), 0);
}

static inline fw_cache_answer get_of(fw_cache *cache, uint64_t number, int64_t now_ns)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    fw_cache_answer answer = fw_cache_get(cache, key_of(number), now_ns, false, &item);
    fw_rcu_read_unlock();
    return answer;
}

static inline fw_cache_answer peek_of(fw_cache *cache, uint64_t number, int64_t now_ns)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    fw_cache_answer answer = fw_cache_get(cache, key_of(number), now_ns, true, &item);
    fw_rcu_read_unlock();
    return answer;
}

/* xorshift64*: the state is the seed, and must not be 0. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* The seed of a run: from FW_SEED, or fixed. Shown, so that a failure can be had again. */
static inline uint64_t seed_of_run(void)
{
    const char *given = getenv("FW_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : UINT64_C(0x5eed5eed);
    fprintf(stderr, "FW_SEED=%#llx\n", (unsigned long long)seed);
    return seed ? seed : 1;
}

/* How long a stress may last in all. */
static inline double stress_seconds(double usual)
{
    const char *given = getenv("FW_STRESS_SECONDS");
    return given ? strtod(given, NULL) : usual;
}

#endif
