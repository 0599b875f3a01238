/* app/events/events.h - what happens, told to who listens: subscribers at the PUB port, the
 * dashboard.
 *
 *   any thread ─post─▶ ring ─▶ fw-events (nice 10) ─JSON once─▶ PUB port, and who else was added
 *
 * Nobody listens most of the time, and then an event costs one relaxed load of `listeners` where it
 * would be posted. Whoever wants to hear is counted there: the network's subscribers by the network
 * itself, others by fw_events_listen. The ring is bounded: what finds no room is dropped, counted,
 * and told as the event events.dropped. Events are hints; results and counters are the truth.
 * Names and members: docs/EVENTS.md. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EVENTS_H
#define FW_APP_EVENTS_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/key.h"
#include "fastworker/types.h"

typedef struct fw_events fw_events;

typedef enum fw_event_kind {
    FW_EVENT_SUBMITTED = 0,
    FW_EVENT_SCHEDULED,
    FW_EVENT_STARTED,
    FW_EVENT_PROGRESS,
    FW_EVENT_RETRIED,
    FW_EVENT_SUCCEEDED,
    FW_EVENT_FAILED,
    FW_EVENT_CANCELLED,
    FW_EVENT_DEAD,
    FW_EVENT_WORKER_JOINED,
    FW_EVENT_WORKER_LOST,
    FW_EVENT_SCHEDULE_RAN,
    FW_EVENT_QUEUE_PAUSED,
    FW_EVENT_QUEUE_RESUMED,
    FW_EVENT_DROPPED, /* told by the room itself */
    FW_EVENTS
} fw_event_kind;

/* "task.submitted" and so on. */
const char *fw_event_name(fw_event_kind kind);

/* Spans are copied; what is empty or zero is left away. */
typedef struct fw_event {
    fw_event_kind kind;
    bool is_task; /* key or id name a task */
    bool has_level;
    uint8_t level; /* fw_prio */
    unsigned attempt;
    fw_key key;
    fw_span id; /* empty: the key is a UUID */
    fw_span task, worker, error;
    fw_span more;   /* further members: `"delay_s": 1.5, "reason": "x"`; at most 400 bytes */
    int64_t dur_ns; /* -1: none */
} fw_event;

/* Who is told, on the room's thread. json: an object, borrowed. */
typedef void fw_event_sink(void *context, const char *name, uint64_t number, fw_span json);

/* listeners: how many listen now, changed by whoever has them; must outlive the room. 0 or
 * -FW_ENOMEM. worker_id is copied: who runs what runs here. */
int fw_events_start(fw_events **out, fw_atomic(unsigned) * listeners, const char *worker_id);
/* Further sinks, at most four in all. Before the first event, or at least before its own listener.
 */
void fw_events_add_sink(fw_events *events, fw_event_sink *sink, void *context);
/* Tells what is there, then ends the thread; sinks are not called any more. */
void fw_events_stop(fw_events *events);
/* When nobody posts any more. NULL is accepted. */
void fw_events_destroy(fw_events *events);

/* One listener more (1) or less (-1), who is no subscriber of the network. Any thread. */
void fw_events_listen(fw_events *events, int change);
/* Any thread; never waits. Only worth it when somebody listens. */
void fw_events_post(fw_events *events, const fw_event *event);
/* About every 50 ms: wakes the thread when there is somebody to talk to. One caller. */
void fw_events_turn(fw_events *events);

typedef struct fw_events_stats {
    unsigned listeners;
    uint64_t told, dropped;
} fw_events_stats;
void fw_events_snapshot(fw_events *events, fw_events_stats *out);
/* Of this program. Borrowed. */
const char *fw_events_worker_id(const fw_events *events);

#endif
