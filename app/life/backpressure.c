/* app/life/backpressure.c - see app/life/backpressure.h. Covered by tests/app/backpressure_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/backpressure.h"

#include <stdio.h>

#include "app/life/lifecycle.h"
#include "base/clock.h"

enum { PART = 16, LEAST_MS = 50, MOST_MS = 30000, UNKNOWN_MS = 1000 };
static const int64_t sample_ns = FW_NS_PER_S / 2;

void fw_backpressure_tick(fw_lifecycle *life, int64_t now_ns)
{
    fw_backpressure *pressure = &life->pressure;
    fw_engine_stats stats;
    if (now_ns == INT64_MAX || now_ns - pressure->sampled_ns < sample_ns)
        return;
    fw_engine_snapshot(life->engine, &stats);
    uint64_t ended =
        stats.finished[FW_SUCCESS] + stats.finished[FW_FAILURE] + stats.finished[FW_CANCELLED];
    double rate = (double)(ended - pressure->ended) * 1e9 / (double)(now_ns - pressure->sampled_ns);
    /* Relaxed, both: an estimate. The first one has no time before it. */
    double before = fw_load_relaxed(&pressure->ends_per_s);
    if (pressure->sampled_ns != 0)
        fw_store_relaxed(&pressure->ends_per_s, before > 0 ? (3 * before + rate) / 4 : rate);
    pressure->ended = ended;
    pressure->sampled_ns = now_ns;
}

uint32_t fw_retry_after_ms(fw_lifecycle *life)
{
    fw_engine_stats stats;
    fw_engine_snapshot(life->engine, &stats);
    /* Relaxed: an estimate. */
    double rate = fw_load_relaxed(&life->pressure.ends_per_s);
    double wanted = (double)stats.tasks_max / PART;
    double ms = rate > 0 ? (wanted < 1 ? 1 : wanted) * 1e3 / rate : UNKNOWN_MS;
    return ms < LEAST_MS ? LEAST_MS : ms > MOST_MS ? MOST_MS : (uint32_t)ms;
}

const char *fw_full_text(fw_lifecycle *life, char out[FW_FULL_TEXT])
{
    snprintf(out, FW_FULL_TEXT, "the queue is full, try again in %u ms", fw_retry_after_ms(life));
    return out;
}
