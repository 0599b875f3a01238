/* dispatch_case.h - an engine under test with places elsewhere, which do what the test says.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_ENGINE_DISPATCH_CASE_H
#define FW_TESTS_ENGINE_DISPATCH_CASE_H

#include "engine/dispatch.h"
#include "probe.h"

enum { DESK_MAX = 20000, EVERY_LEVEL = (1 << FW_LEVELS) - 1 };

/* A place: what it was given, in order. */
typedef struct desk {
    uint32_t number;
    fw_handout *got;
    fw_atomic(unsigned) count, gone;
    fw_atomic(bool) broken; /* what is sent comes back, and the place pauses */
    unsigned next;          /* the first that the test has not dealt with */
} desk;

typedef struct hall {
    probe p;
    fw_atomic(unsigned) lost;
    fw_atomic(fw_loss) loss; /* what becomes of what is lost; at first AGAIN */
    uint64_t submitted;
} hall;

static inline void hall_send(void *context, void *place_owner, const fw_handout *handouts,
                             size_t count)
{
    hall *h = context;
    desk *d = place_owner;
    unsigned at = fw_load_seq_cst(&d->count);
    for (size_t i = 0; fw_load_seq_cst(&d->broken) && i < count; i++) {
        fw_task *task = fw_dispatch_claim(h->p.engine, d->number, handouts[i].lease);
        fw_dispatch_return(h->p.engine, task, handouts[i].lease, false);
        fw_dispatch_pause(h->p.engine, d->number, true);
    }
    if (fw_load_seq_cst(&d->broken))
        return;
    assert_true(at + count <= DESK_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(handouts[i].attempt, fw_load_relaxed(&handouts[i].task->attempt));
        d->got[at + i] = handouts[i];
    }
    fw_store_seq_cst(&d->count, at + (unsigned)count);
}

static inline fw_loss hall_lost(void *context, fw_task *task, void *place_owner)
{
    hall *h = context;
    assert_non_null(task);
    assert_non_null(place_owner);
    fw_add_seq_cst(&h->lost, 1);
    return fw_load_seq_cst(&h->loss);
}

static inline void hall_gone(void *context, void *place_owner)
{
    (void)context;
    desk *d = place_owner;
    fw_add_seq_cst(&d->gone, 1);
}

static inline void hall_open_with(hall *h, unsigned threads, const fw_dispatch_config *config)
{
    *h = (hall){.loss = FW_LOSS_AGAIN};
    probe_open(&h->p, threads);
    fw_dispatch_ops ops = {h, hall_send, hall_lost, hall_gone};
    assert_int_equal(fw_dispatch_init(h->p.engine, config, &ops), 0);
}

static inline void hall_open(hall *h, bool local)
{
    fw_dispatch_config config = {.local = local, .prefetch = -1, .window_max = FW_WINDOW_MAX};
    hall_open_with(h, 2, &config);
}

static inline void hall_close(hall *h)
{
    probe_close(&h->p);
}

static inline void desk_open(hall *h, desk *d, const fw_place_config *config)
{
    *d = (desk){.got = calloc(DESK_MAX, sizeof(fw_handout))};
    assert_non_null(d->got);
    fw_place_config mine = *config;
    mine.owner = d;
    assert_int_equal(fw_dispatch_attach(h->p.engine, &d->number, &mine), 0);
    assert_in_range(d->number, 1, FW_PLACES_MAX);
}

/* Runs anything at every level, so much at once. */
static inline void desk_open_any(hall *h, desk *d, unsigned slots)
{
    fw_place_config config = {.any = true, .levels = EVERY_LEVEL, .slots = slots};
    desk_open(h, d, &config);
}

static inline void desk_close(desk *d)
{
    free(d->got);
    d->got = NULL;
}

static inline unsigned desk_count(desk *d)
{
    return fw_load_seq_cst(&d->count);
}

static inline probe_record *desk_record(const desk *d, unsigned i)
{
    return probe_record_of(d->got[i].task);
}

/* Claims the i-th of what it was given. */
static inline fw_task *desk_claim(hall *h, desk *d, unsigned i)
{
    return fw_dispatch_claim(h->p.engine, d->number, d->got[i].lease);
}

static inline void desk_end(hall *h, desk *d, unsigned i, bool success)
{
    fw_task *task = desk_claim(h, d, i);
    assert_ptr_equal(task, d->got[i].task);
    fw_dispatch_end(h->p.engine, task, d->got[i].lease, success, 0);
    fw_dispatch_flush(h->p.engine);
}

/* The next one, whichever it is; its record. */
static inline probe_record *desk_end_next(hall *h, desk *d)
{
    assert_true(desk_count(d) > d->next);
    probe_record *record = desk_record(d, d->next);
    desk_end(h, d, d->next++, true);
    return record;
}

static inline void desk_return(hall *h, desk *d, unsigned i, bool refused)
{
    fw_task *task = desk_claim(h, d, i);
    assert_ptr_equal(task, d->got[i].task);
    fw_dispatch_return(h->p.engine, task, d->got[i].lease, refused);
    fw_dispatch_flush(h->p.engine);
}

/* A task of that level and name goes in. */
static inline fw_task *hall_submit(hall *h, probe_record *record, fw_prio level, uint32_t name)
{
    fw_task *task = probe_task(&h->p, record, ++h->submitted, WAY_SUCCEED);
    assert_non_null(task);
    task->level = (uint8_t)level;
    task->name = name;
    probe_submit(&h->p, task);
    return task;
}

static inline fw_dispatch_stats hall_stats(hall *h)
{
    fw_dispatch_stats stats;
    fw_dispatch_snapshot(h->p.engine, &stats);
    return stats;
}

static inline fw_place_stats desk_stats(hall *h, const desk *d)
{
    fw_place_stats stats = {0};
    assert_true(fw_dispatch_place_snapshot(h->p.engine, d->number, &stats));
    return stats;
}

#endif
