/* app/workers/workers.h - the control plane's subworkers: from a registration to tasks there and
 * back.
 *
 *   registration ─▶ registry ─▶ unit ─▶ link (or Python's four ports) ─up─▶ place of the dispatcher
 *   task ─▶ dispatcher ─send─▶ link ─▶ subworker ─result─▶ lease claimed ─▶ the task's end
 *
 * A unit is one life of a connection to one subworker. It owns its link and its places, and ends
 * as a whole: link down, places detached (what was in hand there is queued again), link closed,
 * freed. The subworker registers again and gets another unit. Leases make late results harmless.
 *
 * Roles: registrations and results come on NNG's threads, tasks on whatever thread has the
 * dispatcher's duty; the main thread closes and frees. Units change state under one mutex, rarely;
 * tasks and results take no lock. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_WORKERS_H
#define FW_APP_WORKERS_H

#include "app/house.h"
#include "net/registry.h"

typedef struct fw_workers fw_workers;

/* After the engine, before the network. 0 or -FW_E.... */
int fw_workers_create(fw_workers **out, fw_house *house);
/* Once the network stands. */
void fw_workers_open(fw_workers *workers);
/* Closes all links; what is in hand is asked about as lost. Main thread, before the engine halts.
 */
void fw_workers_close(fw_workers *workers);
/* After fw_workers_close and the engine's end. */
void fw_workers_destroy(fw_workers *workers);

/* A registration or a beat came; answers it. Any thread. */
void fw_workers_note(fw_workers *workers, const fw_registration *registration);
/* About every 50 ms: stale ones, deadlines, recalls, closing of what is down. Main thread. */
void fw_workers_turn(fw_workers *workers, unsigned count, int64_t now_ns);
/* A task that runs elsewhere was cancelled: tells who runs it. In a read section. Any thread. */
void fw_workers_cancel(fw_workers *workers, fw_task *task);
/* Takes nothing new and gives back what does not run, or goes on. -FW_EUNKNOWN: no such worker.
 * Any thread. */
int fw_workers_drain(fw_workers *workers, fw_span id, bool drain);

/* What is shown of a worker. Borrowed inside the call. */
typedef struct fw_worker_view {
    const char *id, *address, *state, *software; /* state: active, draining, stale, ... */
    bool native;
    unsigned slots, in_hand, window;
    int64_t last_seen_wall_ns, registered_wall_ns;
    uint64_t given, ended, returned, lost;
    size_t names;
} fw_worker_view;
/* Any thread; blocks nobody. */
void fw_workers_count(fw_workers *workers, size_t *total, size_t *active);
/* Totals for the metrics; each exact, together no snapshot. Any thread; blocks nobody. */
typedef struct fw_workers_stats {
    size_t by_state[3]; /* active, draining, stale */
    uint64_t slots, in_hand;
    uint64_t lost; /* connections that went away */
    uint64_t late, recalled, expired;
} fw_workers_stats;
void fw_workers_snapshot(fw_workers *workers, fw_workers_stats *out);
/* In the order of registration. Any thread; blocks nobody. */
void fw_workers_each(fw_workers *workers,
                     bool (*visit)(void *context, const fw_worker_view *worker), void *context);

#endif
