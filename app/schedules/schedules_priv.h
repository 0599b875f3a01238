/* app/schedules/schedules_priv.h - what the files of the table of schedules share with each other
 * and nobody else. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SCHEDULES_PRIV_H
#define FW_APP_SCHEDULES_PRIV_H

#include <pthread.h>

#include "app/schedules/schedules.h"

enum { FW_RUN_BUCKETS = 1024 };

typedef enum fw_reason { FW_BY_CLOCK = 0, FW_BY_CATCHUP, FW_BY_TRIGGER, FW_BY_BACKFILL } fw_reason;

/* What was put, its texts NUL-ended behind it. Immutable; kept while one counts on it. */
typedef struct fw_definition {
    unsigned uses; /* under the lock */
    fw_plan plan;
    fw_schedule when;
    fw_zone *zone;
    int64_t until_ns; /* FW_SCHEDULE_NEVER: no end */
    char texts[];
} fw_definition;

typedef struct fw_pending {
    int64_t planned_ns;
    fw_reason reason;
} fw_pending;

/* A run that is not over; in its bucket and in its schedule's list. */
typedef struct fw_live_run {
    struct fw_live_run *next_in_bucket, *next;
    struct fw_entry *entry; /* NULL: its schedule was deleted */
    fw_schedule_run run;
} fw_live_run;

typedef struct fw_entry {
    struct fw_entry *next;
    fw_definition *definition;
    bool paused, orphan;
    int64_t anchor_ns, next_ns,
        last_ns;   /* last_ns: the last time by the clock that was dealt with */
    int64_t fired; /* by the clock, towards count */
    fw_live_run *live;
    size_t live_count;
    fw_pending *waiting; /* a ring of FW_SCHEDULE_WAITING_MAX */
    size_t waiting_count, waiting_first;
    fw_schedule_run history[FW_SCHEDULE_RUNS_KEPT]; /* a ring */
    size_t history_count, history_next;
    int64_t last_success_ns;
    uint64_t started, skipped, missed, caught_up;
} fw_entry;

/* What is to be done when the lock is open again: submit a run, or cancel one. */
typedef struct fw_schedule_order {
    fw_key key;
    fw_definition *definition; /* NULL: cancel */
} fw_schedule_order;
typedef struct fw_orders {
    fw_schedule_order *items;
    size_t count, capacity;
} fw_orders;

struct fw_schedules {
    fw_schedule_config config;
    fw_zone *zone;
    pthread_mutex_t lock; /* everything below */
    fw_entry *entries;    /* in the order in which they came */
    size_t count;
    fw_live_run *buckets[FW_RUN_BUCKETS];
    int64_t last_wall_ns, last_now_ns; /* of the turn before; 0: none */
};

/* All under the lock. */
fw_entry *fw_entry_find(fw_schedules *schedules, fw_span name);
void fw_definition_release(fw_definition *definition);
/* The next time after that one; NEVER also beyond the end. */
int64_t fw_entry_after(const fw_entry *entry, int64_t after_ns);
/* Starts, or lets wait or skips, as the overlap policy has it: "started", "waiting", "skipped". */
const char *fw_entry_fire(fw_schedules *schedules, fw_entry *entry, fw_pending pending,
                          fw_orders *orders, int64_t now_ns, fw_key *key);
/* False: too many wait, or no memory. */
bool fw_entry_wait(fw_entry *entry, fw_pending pending);
/* Deals with the times from next_ns to that one: they were missed. */
void fw_entry_catch_up(fw_entry *entry, int64_t until_ns);
/* Without the lock: does what was decided, and forgets it. */
void fw_orders_run(fw_schedules *schedules, fw_orders *orders);

#endif
