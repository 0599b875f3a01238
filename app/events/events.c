/* app/events/events.c - see app/events/events.h.
 *
 * The thread looks every few milliseconds while somebody listens, so that nobody who posts has to
 * wake it, and sleeps otherwise. SPDX-License-Identifier: Apache-2.0 */
#include "app/events/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "app/events/event_ring.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"

enum { SINKS_MAX = 4, ID_MAX = 255, NICE = 10, MORE_MAX = 400 };
static const int64_t look_ns = 5 * FW_NS_PER_MS;

struct fw_events {
    /* Immutable while there are events. */
    fw_atomic(unsigned) * listeners;
    char worker_id[ID_MAX + 1];
    struct {
        fw_event_sink *tell;
        void *context;
    } sinks[SINKS_MAX];
    fw_atomic(unsigned) sink_count;
    pthread_t thread;
    bool started;
    /* Shared. */
    fw_event_ring ring;
    fw_atomic(uint64_t) told;
    fw_atomic(bool) sleeps; /* until somebody rings */
    /* The thread's. */
    fw_buffer text;
    uint64_t dropped_before;
    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t rang;
    bool stops, bell;
};

const char *fw_event_name(fw_event_kind kind)
{
    static const char *const names[FW_EVENTS] = {
        "task.submitted", "task.scheduled", "task.started",   "task.progress", "task.retried",
        "task.succeeded", "task.failed",    "task.cancelled", "task.dead",     "worker.joined",
        "worker.lost",    "schedule.ran",   "queue.paused",   "queue.resumed", "events.dropped"};
    FW_ASSERT(kind < FW_EVENTS);
    return names[kind];
}

/* --- posting --- */

static uint16_t put(fw_event_record *record, size_t *at, fw_span text, size_t most)
{
    size_t room = FW_EVENT_TEXT - *at, len = text.len;
    if (len > most)
        len = most;
    if (len > room)
        len = room;
    /* Not in the midst of a character. */
    while (len > 0 && len < text.len && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    if (len > 0)
        memcpy(record->text + *at, text.ptr, len);
    *at += len;
    return (uint16_t)len;
}

void fw_events_post(fw_events *events, const fw_event *event)
{
    size_t at = 0;
    FW_ASSERT(event->kind < FW_EVENTS && event->more.len <= MORE_MAX);
    fw_event_record *record = fw_event_ring_claim(&events->ring);
    if (!record)
        return;
    record->kind = (uint8_t)event->kind;
    record->key = event->key;
    record->wall_ns = fw_wall_ns();
    record->dur_ns = event->dur_ns;
    record->attempt = event->attempt;
    record->level = event->has_level ? event->level : FW_LEVELS;
    record->has_id = event->is_task;
    /* `more` is whole or not there, so it goes in front of what may be cut. */
    record->more_len = put(record, &at, event->more, MORE_MAX);
    record->id_len = put(record, &at, event->id, ID_MAX);
    record->worker_len = put(record, &at, event->worker, 64);
    record->task_len = put(record, &at, event->task, ID_MAX);
    record->error_len = put(record, &at, event->error, 256);
    fw_event_ring_push(record);
}

/* --- telling --- */

static fw_span take(const fw_event_record *record, size_t *at, size_t len)
{
    fw_span text = {record->text + *at, len};
    *at += len;
    return text;
}

/* Formats are most of the cost of an event that is told, so there are none. */
static void add_number(fw_buffer *out, uint64_t number, int digits_min)
{
    char digits[20];
    int at = sizeof digits;
    for (; number > 0 || digits_min > 0; number /= 10, digits_min--)
        digits[--at] = (char)('0' + number % 10);
    fw_buffer_add(out, digits + at, sizeof digits - (size_t)at);
}

static void add_key(fw_buffer *out, const char *key)
{
    fw_buffer_text(out, ", \"");
    fw_buffer_text(out, key);
    fw_buffer_text(out, "\": ");
}

static void add_text(fw_buffer *out, const char *key, fw_span text)
{
    if (text.len == 0)
        return;
    add_key(out, key);
    fw_buffer_json_string(out, text);
}

static void write_head(fw_buffer *out, fw_event_kind kind, uint64_t number, int64_t wall_ns)
{
    fw_buffer_text(out, "{\"event\": \"");
    fw_buffer_text(out, fw_event_name(kind));
    fw_buffer_text(out, "\", \"id\": ");
    add_number(out, number, 1);
    fw_buffer_text(out, ", \"ts\": ");
    add_number(out, (uint64_t)(wall_ns / FW_NS_PER_S), 1);
    fw_buffer_text(out, ".");
    add_number(out, (uint64_t)(wall_ns % FW_NS_PER_S / FW_NS_PER_US), 6);
}

static void write_event(fw_buffer *out, const fw_event_record *record, uint64_t number)
{
    char uuid[FW_UUID_TEXT];
    size_t at = 0;
    fw_span more = take(record, &at, record->more_len), id = take(record, &at, record->id_len);
    fw_span worker = take(record, &at, record->worker_len);
    fw_span task = take(record, &at, record->task_len),
            error = take(record, &at, record->error_len);
    write_head(out, (fw_event_kind)record->kind, number, record->wall_ns);
    if (record->has_id && id.len == 0) {
        fw_key_format(uuid, record->key);
        id = (fw_span){uuid, FW_UUID_TEXT};
    }
    add_text(out, "task_id", id);
    add_text(out, "task", task);
    if (record->level < FW_LEVELS) {
        const char *level = fw_prio_name((fw_prio)record->level);
        add_text(out, "priority", (fw_span){level, strlen(level)});
    }
    if (record->attempt > 0) {
        add_key(out, "attempt");
        add_number(out, record->attempt, 1);
    }
    add_text(out, "worker", worker);
    if (record->dur_ns >= 0) {
        uint64_t us = (uint64_t)record->dur_ns / FW_NS_PER_US;
        add_key(out, "dur_ms");
        add_number(out, us / 1000, 1);
        fw_buffer_text(out, ".");
        add_number(out, us % 1000, 3);
    }
    add_text(out, "error", error);
    if (more.len > 0) {
        fw_buffer_text(out, ", ");
        fw_buffer_add(out, more.ptr, more.len);
    }
    fw_buffer_text(out, "}");
}

static void tell(fw_events *events, const char *name, uint64_t number)
{
    if (events->text.failed) {
        fw_buffer_fini(&events->text);
        events->text = (fw_buffer){0};
        return;
    }
    fw_span json = {events->text.data, events->text.len};
    /* [event-sink] acquire: the sinks. */
    unsigned count = fw_load_acquire(&events->sink_count);
    for (unsigned i = 0; i < count; i++)
        events->sinks[i].tell(events->sinks[i].context, name, number, json);
    events->text.len = 0;
}

static uint64_t next_number(fw_events *events)
{
    /* Relaxed: one writer, a figure to others. */
    return fw_add_relaxed(&events->told, 1) + 1;
}

static void tell_of_drops(fw_events *events)
{
    /* Relaxed: a count. */
    uint64_t dropped = fw_load_relaxed(&events->ring.dropped);
    if (dropped == events->dropped_before)
        return;
    uint64_t number = next_number(events);
    write_head(&events->text, FW_EVENT_DROPPED, number, fw_wall_ns());
    fw_buffer_format(&events->text, ", \"count\": %" PRIu64 "}", dropped - events->dropped_before);
    events->dropped_before = dropped;
    tell(events, fw_event_name(FW_EVENT_DROPPED), number);
}

static void tell_all(fw_events *events)
{
    const fw_event_record *record;
    while ((record = fw_event_ring_peek(&events->ring)) != NULL) {
        uint64_t number = next_number(events);
        const char *name = fw_event_name((fw_event_kind)record->kind);
        write_event(&events->text, record, number);
        fw_event_ring_pop(&events->ring);
        tell(events, name, number);
    }
    tell_of_drops(events);
}

/* --- the thread --- */

static bool is_heard(const fw_events *events)
{
    /* Relaxed: who begins to listen at this moment may miss this one. */
    return fw_load_relaxed(events->listeners) > 0;
}

/* False: the end. */
static bool rest(fw_events *events)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + look_ns;
    until.tv_sec += ns / FW_NS_PER_S;
    until.tv_nsec = ns % FW_NS_PER_S;
    pthread_mutex_lock(&events->lock);
    if (is_heard(events) && !events->stops) {
        pthread_cond_timedwait(&events->rang, &events->lock, &until);
    } else {
        /* Relaxed: a turn looks again soon. */
        fw_store_relaxed(&events->sleeps, true);
        while (!events->stops && !events->bell)
            pthread_cond_wait(&events->rang, &events->lock);
        fw_store_relaxed(&events->sleeps, false);
    }
    events->bell = false;
    bool goes_on = !events->stops;
    pthread_mutex_unlock(&events->lock);
    return goes_on;
}

static void *run(void *argument)
{
    fw_events *events = argument;
    pthread_setname_np(pthread_self(), "fw-events");
    /* Of this thread only, as Linux has it. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    while (rest(events))
        tell_all(events);
    tell_all(events);
    return NULL;
}

static void ring_bell(fw_events *events, bool stop)
{
    pthread_mutex_lock(&events->lock);
    events->bell = true;
    events->stops |= stop;
    pthread_cond_signal(&events->rang);
    pthread_mutex_unlock(&events->lock);
}

void fw_events_turn(fw_events *events)
{
    /* Relaxed: the next turn looks again. */
    if (fw_load_relaxed(&events->sleeps) && is_heard(events))
        ring_bell(events, false);
}

void fw_events_listen(fw_events *events, int change)
{
    /* Relaxed: who begins at this moment may miss this event. */
    fw_add_relaxed(events->listeners, (unsigned)change);
    if (change > 0)
        ring_bell(events, false);
}

/* --- life --- */

int fw_events_start(fw_events **out, fw_atomic(unsigned) * listeners, const char *worker_id)
{
    pthread_condattr_t clock;
    void *memory = NULL;
    if (posix_memalign(&memory, FW_APART, sizeof(fw_events)) != 0)
        return -FW_ENOMEM;
    fw_events *events = memory;
    memset(events, 0, sizeof *events);
    events->listeners = listeners;
    strncpy(events->worker_id, worker_id, ID_MAX);
    FW_ASSERT(pthread_mutex_init(&events->lock, NULL) == 0);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    FW_ASSERT(pthread_cond_init(&events->rang, &clock) == 0);
    pthread_condattr_destroy(&clock);
    if (fw_event_ring_init(&events->ring) < 0 ||
        pthread_create(&events->thread, NULL, run, events) != 0) {
        fw_events_destroy(events);
        return -FW_ENOMEM;
    }
    events->started = true;
    *out = events;
    return 0;
}

void fw_events_add_sink(fw_events *events, fw_event_sink *sink, void *context)
{
    /* Relaxed: one adds at a time. */
    unsigned place = fw_load_relaxed(&events->sink_count);
    FW_ASSERT(place < SINKS_MAX);
    events->sinks[place].tell = sink;
    events->sinks[place].context = context;
    /* [event-sink] release: the sinks. */
    fw_store_release(&events->sink_count, place + 1);
}

void fw_events_stop(fw_events *events)
{
    if (!events || !events->started)
        return;
    ring_bell(events, true);
    pthread_join(events->thread, NULL);
    events->started = false;
}

void fw_events_destroy(fw_events *events)
{
    if (!events)
        return;
    fw_events_stop(events);
    fw_event_ring_fini(&events->ring);
    fw_buffer_fini(&events->text);
    pthread_cond_destroy(&events->rang);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

void fw_events_snapshot(fw_events *events, fw_events_stats *out)
{
    /* Relaxed: figures to be shown. */
    out->listeners = fw_load_relaxed(events->listeners);
    out->told = fw_load_relaxed(&events->told);
    out->dropped = fw_load_relaxed(&events->ring.dropped);
}

const char *fw_events_worker_id(const fw_events *events)
{
    return events->worker_id;
}
