/* app/life/latency.c - see app/life/latency.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/latency.h"

#include <stdlib.h>

#include "base/assert.h"

/* Buckets are numbered by the leading three bits of the time in units of 128 ns: four an octave. */
enum { UNIT_BITS = 7, NAME_BITS = 14, WAIT_BITS = 32 };

typedef struct row {
    fw_atomic(uint64_t) wait[FW_LEVELS][FW_LATENCY_BUCKETS], run[FW_LEVELS][FW_LATENCY_BUCKETS];
    fw_atomic(uint64_t) wait_ns[FW_LEVELS], run_ns[FW_LEVELS];
    fw_atomic(uint64_t) behind[FW_LEVELS][FW_LEVELS], behind_ns[FW_LEVELS][FW_LEVELS];
    /* Microseconds, both names and both levels in one word, so that they belong together; the
     * microseconds lead, so that the larger word is the worse wait. */
    fw_atomic(uint64_t) worst;
    /* The thread's own: what it ran last. */
    int64_t last_end_ns;
    uint32_t last_name;
    uint8_t last_level;
    char apart[FW_APART];
} row;

struct fw_latency {
    unsigned threads;
    row rows[]; /* threads + 1 */
};

fw_latency *fw_latency_create(unsigned threads)
{
    fw_latency *latency = calloc(1, sizeof *latency + (threads + 1) * sizeof(row));
    if (latency)
        latency->threads = threads;
    return latency;
}

void fw_latency_destroy(fw_latency *latency)
{
    free(latency);
}

unsigned fw_latency_bucket(int64_t ns)
{
    uint64_t units = ns > 0 ? (uint64_t)ns >> UNIT_BITS : 0;
    if (units < 4)
        return (unsigned)units;
    unsigned octave = 63 - (unsigned)__builtin_clzll(units);
    unsigned bucket = (octave - 1) * 4 + (unsigned)(units >> (octave - 2) & 3);
    return bucket < FW_LATENCY_BUCKETS ? bucket : FW_LATENCY_BUCKETS - 1;
}

int64_t fw_latency_bucket_ns(unsigned bucket)
{
    if (bucket < 4)
        return (int64_t)bucket << UNIT_BITS;
    return (int64_t)(4 + bucket % 4) << (bucket / 4 - 1) << UNIT_BITS;
}

int64_t fw_latency_quantile(const uint64_t counts[FW_LATENCY_BUCKETS], double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++)
        total += counts[i];
    double wanted = share * (double)total;
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
        if (counts[i] > 0 && (double)(seen + counts[i]) >= wanted) {
            int64_t low = fw_latency_bucket_ns(i), width = fw_latency_bucket_ns(i + 1) - low;
            return low + (int64_t)((double)width * (wanted - (double)seen) / (double)counts[i]);
        }
        seen += counts[i];
    }
    return 0;
}

static void count(fw_atomic(uint64_t) * place, uint64_t by, bool shared)
{
    if (!shared) {
        fw_count(place, by);
        return;
    }
    /* Relaxed: a count. */
    fw_add_relaxed(place, by);
}

static uint64_t pack(const fw_latency_sample *sample, int64_t wait_ns, const row *r)
{
    uint64_t us = (uint64_t)wait_ns / 1000, most = (UINT64_C(1) << WAIT_BITS) - 1;
    us = us < most ? us : most;
    return us << (2 * NAME_BITS + 4) |
           (uint64_t)(sample->name & ((1 << NAME_BITS) - 1)) << (NAME_BITS + 4) |
           (uint64_t)(r->last_name & ((1 << NAME_BITS) - 1)) << 4 | (uint64_t)sample->level << 2 |
           r->last_level;
}

/* inversion-note: on the thread that ran both. */
static void note_inversion(row *r, const fw_latency_sample *sample, int64_t wait_ns)
{
    if (r->last_level <= sample->level || r->last_end_ns <= sample->ready_ns)
        return;
    fw_count(&r->behind[sample->level][r->last_level], 1);
    fw_count(&r->behind_ns[sample->level][r->last_level], (uint64_t)wait_ns);
    uint64_t word = pack(sample, wait_ns, r);
    /* Relaxed: one word that stands for itself; if the reader takes the one before just now, this
     * one stays. */
    if (word > fw_load_relaxed(&r->worst))
        fw_store_relaxed(&r->worst, word);
}

void fw_latency_note(fw_latency *latency, const fw_latency_sample *sample, unsigned thread)
{
    FW_ASSERT(thread <= latency->threads && sample->level < FW_LEVELS);
    bool shared = thread == latency->threads;
    row *r = &latency->rows[thread];
    count(&r->run[sample->level][fw_latency_bucket(sample->run_ns)], 1, shared);
    count(&r->run_ns[sample->level], (uint64_t)sample->run_ns, shared);
    if (sample->ready_ns > 0) {
        int64_t wait_ns = sample->start_ns - sample->ready_ns;
        wait_ns = wait_ns > 0 ? wait_ns : 0;
        count(&r->wait[sample->level][fw_latency_bucket(wait_ns)], 1, shared);
        count(&r->wait_ns[sample->level], (uint64_t)wait_ns, shared);
        if (!shared)
            note_inversion(r, sample, wait_ns);
    }
    if (shared)
        return;
    r->last_end_ns = sample->start_ns + sample->run_ns;
    r->last_name = sample->name;
    r->last_level = sample->level;
}

void fw_latency_read(const fw_latency *latency, fw_latency_counts *out)
{
    *out = (fw_latency_counts){.wait = {{0}}};
    for (unsigned t = 0; t <= latency->threads; t++) {
        const row *r = &latency->rows[t];
        for (int level = 0; level < FW_LEVELS; level++) {
            for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
                out->wait[level][i] += fw_count_read(&r->wait[level][i]);
                out->run[level][i] += fw_count_read(&r->run[level][i]);
            }
            out->wait_ns[level] += fw_count_read(&r->wait_ns[level]);
            out->run_ns[level] += fw_count_read(&r->run_ns[level]);
            for (int behind = 0; behind < FW_LEVELS; behind++) {
                out->behind[level][behind] += fw_count_read(&r->behind[level][behind]);
                out->behind_ns[level][behind] += fw_count_read(&r->behind_ns[level][behind]);
            }
        }
    }
}

void fw_latency_take_worst(fw_latency *latency, fw_latency_worst *out)
{
    uint64_t worst = 0;
    for (unsigned t = 0; t < latency->threads; t++) {
        /* Relaxed: as in note_inversion. */
        uint64_t word = fw_load_relaxed(&latency->rows[t].worst);
        worst = word > worst ? word : worst;
        if (word > 0)
            fw_store_relaxed(&latency->rows[t].worst, 0);
    }
    const uint32_t name_mask = (1 << NAME_BITS) - 1;
    *out = (fw_latency_worst){
        .wait_ns = (int64_t)(worst >> (2 * NAME_BITS + 4)) * 1000,
        .name = (uint32_t)(worst >> (NAME_BITS + 4)) & name_mask,
        .behind = (uint32_t)(worst >> 4) & name_mask,
        .level = (uint8_t)(worst >> 2 & 3),
        .behind_level = (uint8_t)(worst & 3),
    };
}
