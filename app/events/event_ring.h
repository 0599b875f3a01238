/* app/events/event_ring.h - what happened, on its way from the threads where it happened to the one
 * that tells it.
 *
 * Many writers, one reader, bounded, no locks: a writer takes a place with one compare and swap and
 * never waits; when there is no place, the record is dropped and counted. A place is free or full
 * of a lap: its `lap` is 2n when it may be written in lap n, 2n + 1 when it may be read in it.
 * Zeroed memory is an empty ring, so a ring that nobody uses costs addresses only. A writer that is
 * interrupted between its two steps holds up the reader, not the other writers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EVENT_RING_H
#define FW_APP_EVENT_RING_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/key.h"
#include "fastworker/types.h"

enum { FW_EVENT_PLACES = 8192, FW_EVENT_TEXT = 936 };

/* Texts lie back to back in `text`: id (none: the key is it), task, worker, error, more. */
typedef struct fw_event_record {
    fw_atomic(uint64_t) lap; /* the ring's */
    fw_key key;
    int64_t wall_ns, dur_ns; /* dur_ns < 0: it has none */
    uint32_t attempt;        /* 0: none */
    uint8_t kind;            /* fw_event_kind */
    uint8_t level;           /* FW_LEVELS: none */
    uint8_t has_id;          /* the key, or a text, is a task's */
    uint16_t id_len, task_len, worker_len, error_len, more_len;
    char text[FW_EVENT_TEXT];
} fw_event_record;

typedef struct fw_event_ring {
    fw_event_record *places;
    _Alignas(FW_APART) fw_atomic(uint64_t) tail; /* next to be written */
    _Alignas(FW_APART) uint64_t head;            /* the reader's */
    _Alignas(FW_APART) fw_atomic(uint64_t) dropped;
} fw_event_ring;

/* 0 or -FW_ENOMEM. */
int fw_event_ring_init(fw_event_ring *ring);
void fw_event_ring_fini(fw_event_ring *ring);

/* A place to fill, to be given to fw_event_ring_push; NULL: full, and counted. Any thread. */
fw_event_record *fw_event_ring_claim(fw_event_ring *ring);
void fw_event_ring_push(fw_event_record *record);

/* The oldest record, to be given to fw_event_ring_pop; NULL: none. The reader only. */
const fw_event_record *fw_event_ring_peek(fw_event_ring *ring);
void fw_event_ring_pop(fw_event_ring *ring);

#endif
