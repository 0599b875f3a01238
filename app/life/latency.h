/* app/life/latency.h - how long tasks waited and ran, and behind what: counted where they end.
 *
 * Histograms with four buckets an octave, from 128 ns to some hours. One row per task thread,
 * written by that thread alone, and a shared one for runs elsewhere; readers add up, no lock.
 *
 * inversion-note: a task that waited behind a less urgent one is what priorities are there to
 * prevent, and cannot wholly: what runs is not interrupted. A task thread knows: what it ran
 * before, if it was less urgent and ended after the task had come, is what the task waited behind.
 * Of runs in subworkers only the wait is known. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LATENCY_H
#define FW_APP_LATENCY_H

#include "base/atomic.h"
#include "fastworker/types.h"

enum { FW_LATENCY_BUCKETS = 144 };

typedef struct fw_latency fw_latency;

/* One run that ended. Wall times. */
typedef struct fw_latency_sample {
    uint8_t level;    /* fw_prio */
    uint32_t name;    /* its place among the names */
    int64_t ready_ns; /* when it could have started; 0: not known, as with retries */
    int64_t start_ns;
    int64_t run_ns;
} fw_latency_sample;

/* The worst wait behind something less urgent of late. */
typedef struct fw_latency_worst {
    int64_t wait_ns; /* 0: there was none */
    uint32_t name, behind;
    uint8_t level, behind_level;
} fw_latency_worst;

typedef struct fw_latency_counts {
    uint64_t wait[FW_LEVELS][FW_LATENCY_BUCKETS], run[FW_LEVELS][FW_LATENCY_BUCKETS];
    uint64_t wait_ns[FW_LEVELS], run_ns[FW_LEVELS]; /* sums */
    /* [level that waited][level it waited behind] */
    uint64_t behind[FW_LEVELS][FW_LEVELS], behind_ns[FW_LEVELS][FW_LEVELS];
} fw_latency_counts;

/* NULL: no memory. */
fw_latency *fw_latency_create(unsigned threads);
void fw_latency_destroy(fw_latency *latency);

/* thread < threads: its own thread; thread == threads: anybody, a run elsewhere. */
void fw_latency_note(fw_latency *latency, const fw_latency_sample *sample, unsigned thread);

/* Any thread. */
void fw_latency_read(const fw_latency *latency, fw_latency_counts *out);
/* The worst since it was asked for last; one caller. */
void fw_latency_take_worst(fw_latency *latency, fw_latency_worst *out);

/* The bucket of a time, and where buckets begin; bucket may be FW_LATENCY_BUCKETS. */
unsigned fw_latency_bucket(int64_t ns);
int64_t fw_latency_bucket_ns(unsigned bucket);
/* The time that a share of those counted did not exceed, between bucket bounds; 0: none counted. */
int64_t fw_latency_quantile(const uint64_t counts[FW_LATENCY_BUCKETS], double share);

#endif
