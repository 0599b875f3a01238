/* app/commands/durations.c - see app/commands/durations.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/durations.h"

/* Below 32 a bucket is one nanosecond; from there on the five bits below the highest one count. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < 32)
        return (unsigned)ns;
    unsigned high = 63 - (unsigned)__builtin_clzll(ns);
    unsigned bucket = (high - 4) * 32 + (unsigned)((ns >> (high - 5)) & 31);
    return bucket < FW_DURATIONS_BUCKETS ? bucket : FW_DURATIONS_BUCKETS - 1;
}

static int64_t end_of(unsigned bucket)
{
    if (bucket < 32)
        return bucket;
    unsigned high = bucket / 32 + 4;
    uint64_t first = (UINT64_C(32) | bucket % 32) << (high - 5);
    return (int64_t)(first + (UINT64_C(1) << (high - 5)) - 1);
}

void fw_durations_add(fw_durations *durations, int64_t ns)
{
    durations->buckets[bucket_of(ns < 0 ? 0 : (uint64_t)ns)]++;
    durations->count++;
}

int64_t fw_durations_quantile(const fw_durations *durations, double part)
{
    uint64_t wanted = (uint64_t)((double)durations->count * part), seen = 0;
    if (durations->count == 0)
        return 0;
    if (wanted >= durations->count)
        wanted = durations->count - 1;
    for (unsigned i = 0; i < FW_DURATIONS_BUCKETS; i++) {
        seen += durations->buckets[i];
        if (seen > wanted)
            return end_of(i);
    }
    return end_of(FW_DURATIONS_BUCKETS - 1);
}
