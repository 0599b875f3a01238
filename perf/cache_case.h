/* perf/cache_case.h - what a cache must offer to be measured in the suite `cache`: ours and its
 * peers behind one table, so that the same loop drives all of them. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_PERF_CACHE_CASE_H
#define FW_PERF_CACHE_CASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FW_CASE_VALUE_BYTES = 64 };

typedef struct fw_cache_case {
    const char *who;
    void *(*create)(size_t entries);
    void (*destroy)(void *cache);
    /* Stores a copy of 64 bytes under a key of 16; the cache evicts as it likes best. */
    void (*put)(void *cache, const uint64_t key[2], const uint64_t value[8]);
    /* The sum of the value's words, so that it was read; 0: not found. */
    uint64_t (*get)(void *cache, const uint64_t key[2]);
    size_t (*count)(void *cache);
} fw_cache_case;

/* The peers; ends with an entry without a name. */
extern const fw_cache_case fw_cache_case_peers[];

#ifdef __cplusplus
}
#endif
#endif
