/* cache/departed.c - making and searching the memory of keys that are gone.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/departed.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

bool fw_departed_init(fw_departed *departed, size_t keys)
{
    size_t count = (keys + FW_DEPARTED_WAYS - 1) / FW_DEPARTED_WAYS;
    FW_ASSERT(keys > 0 && count < UINT32_MAX);
    size_t bytes = count * sizeof *departed->sets;
    *departed = (fw_departed){aligned_alloc(sizeof *departed->sets, bytes), (uint32_t)count};
    if (!departed->sets)
        return false;
    memset(departed->sets, 0, bytes);
    return true;
}

void fw_departed_fini(fw_departed *departed)
{
    free(departed->sets);
    departed->sets = NULL;
}

size_t fw_departed_bytes(const fw_departed *departed)
{
    return departed->count * sizeof *departed->sets;
}

bool fw_departed_has(const fw_departed *departed, uint64_t hash)
{
    fw_departed_set *set = fw_departed_set_of(departed, hash);
    uint64_t print = fw_departed_print(hash);
    bool has = false;
    /* Relaxed: the look into the table that missed came first and acquired. */
    for (unsigned i = 0; i < FW_DEPARTED_WAYS; i++)
        has |= (fw_load_relaxed(&set->prints[i]) ^ print) >> FW_DEPARTED_TIME_BITS == 0;
    return has;
}

bool fw_departed_within(const fw_departed *departed, uint64_t hash, int64_t now_ns,
                        int64_t window_ns)
{
    const uint64_t mask = (1u << FW_DEPARTED_TIME_BITS) - 1;
    fw_departed_set *set = fw_departed_set_of(departed, hash);
    uint64_t print = fw_departed_print(hash), now = fw_departed_time(now_ns);
    bool within = false;
    /* Relaxed: as above. */
    for (unsigned i = 0; i < FW_DEPARTED_WAYS; i++) {
        uint64_t one = fw_load_relaxed(&set->prints[i]);
        uint64_t ago_s = (now - (one & mask)) & mask;
        within |= (one ^ print) >> FW_DEPARTED_TIME_BITS == 0 &&
                  ago_s <= (uint64_t)window_ns / 1000000000u;
    }
    return within;
}
