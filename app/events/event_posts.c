/* app/events/event_posts.c - see app/events/event_posts.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/events/event_posts.h"

#include <stdio.h>
#include <string.h>

static _Thread_local const char *my_worker;

static void publish(void *context, const char *name, uint64_t number, fw_span json)
{
    const fw_lifecycle *life = context;
    (void)number;
    if (life->net)
        fw_net_publish(life->net, name, json);
}

int fw_post_begin(fw_lifecycle *life, const char *worker_id)
{
    int rc = fw_events_start(&life->events, &life->listeners, worker_id);
    if (rc == 0)
        fw_events_add_sink(life->events, publish, life);
    return rc;
}

void fw_post_from(const char *worker)
{
    my_worker = worker;
}

const char *fw_post_whose(void)
{
    return my_worker;
}

static fw_span text_of(const char *text)
{
    return text ? (fw_span){text, strlen(text)} : (fw_span){0};
}

static fw_span here_or(const fw_lifecycle *life, const char *worker)
{
    return text_of(worker ? worker : fw_events_worker_id(life->events));
}

/* An id that is a UUID is made from the key, by who writes the text. */
static fw_event event_of(fw_lifecycle *life, fw_task *task, fw_event_kind kind)
{
    return (fw_event){
        .kind = kind,
        .is_task = true,
        .has_level = true,
        .level = task->level,
        /* Relaxed: between runs, or of the run that we are in. */
        .attempt = fw_load_relaxed(&task->attempt),
        .key = task->key,
        .id = fw_record_of(task)->has_id ? fw_record_id(task, NULL) : (fw_span){0},
        .task = fw_name_text(fw_names_at(life->names, task->name)),
        .dur_ns = -1,
    };
}

static fw_span delay_text(char *buffer, size_t capacity, int64_t delay_ns)
{
    int len = snprintf(buffer, capacity, "\"delay_s\": %.3f", (double)delay_ns / 1e9);
    return (fw_span){buffer, (size_t)len};
}

void fw_post_accepted(fw_lifecycle *life, const fw_submission *s, bool scheduled, int64_t delay_ns)
{
    char delay[64];
    fw_event event = {
        .kind = scheduled ? FW_EVENT_SCHEDULED : FW_EVENT_SUBMITTED,
        .is_task = true,
        .has_level = true,
        .level = s->level,
        .key = s->key,
        .id = fw_key_is_uuid(s->key) ? (fw_span){0} : s->id,
        .task = s->name,
        .dur_ns = -1,
    };
    if (scheduled)
        event.more = delay_text(delay, sizeof delay, delay_ns > 0 ? delay_ns : 0);
    fw_events_post(life->events, &event);
}

void fw_post_started(fw_lifecycle *life, fw_task *task, unsigned attempt, const char *worker)
{
    fw_event event = event_of(life, task, FW_EVENT_STARTED);
    if (life->observer)
        life->observer->begun(life->observer->context, task, event.task, attempt);
    event.attempt = attempt;
    event.worker = here_or(life, worker);
    fw_events_post(life->events, &event);
}

void fw_post_retried(fw_lifecycle *life, fw_task *task, fw_span error, int64_t delay_ns)
{
    char delay[64];
    if (life->observer)
        life->observer->failed(life->observer->context, task, error, delay_ns);
    fw_event event = event_of(life, task, FW_EVENT_RETRIED);
    event.error = error;
    event.worker = here_or(life, my_worker);
    event.more = delay_text(delay, sizeof delay, delay_ns > 0 ? delay_ns : 0);
    fw_events_post(life->events, &event);
}

void fw_post_ended(fw_lifecycle *life, const fw_cache_item *item, int64_t ran_ns)
{
    int64_t dur_ns = -1;
    if (life->observer)
        life->observer->ended(life->observer->context, item);
    if (item->started_wall_ns > 0 && item->finished_wall_ns >= item->started_wall_ns)
        dur_ns = item->finished_wall_ns - item->started_wall_ns;
    if (ran_ns > 0)
        dur_ns = ran_ns;
    fw_event event = {
        .kind = item->status == FW_SUCCESS     ? FW_EVENT_SUCCEEDED
                : item->status == FW_CANCELLED ? FW_EVENT_CANCELLED
                                               : FW_EVENT_FAILED,
        .is_task = true,
        .has_level = true,
        .level = item->level,
        .attempt = item->attempt,
        .key = item->key,
        .id = item->id,
        .task = item->name,
        .worker = dur_ns < 0 ? (fw_span){0} : here_or(life, my_worker),
        .error = item->status == FW_SUCCESS ? (fw_span){0} : item->error,
        .dur_ns = dur_ns,
    };
    fw_events_post(life->events, &event);
}

void fw_post_dead(fw_lifecycle *life, const fw_dead_task *dead)
{
    char losses[48];
    int len = snprintf(losses, sizeof losses, "\"losses\": %u", dead->losses);
    fw_event event = {
        .kind = FW_EVENT_DEAD,
        .is_task = true,
        .has_level = true,
        .level = dead->level,
        .attempt = dead->attempts,
        .key = dead->key,
        .id = fw_key_is_uuid(dead->key) ? (fw_span){0} : dead->id,
        .task = dead->name,
        .error = dead->error,
        .more = {losses, (size_t)len},
        .dur_ns = -1,
    };
    fw_events_post(life->events, &event);
}

void fw_post_worker(fw_lifecycle *life, bool joined, const char *id, fw_span why)
{
    fw_event event = {.kind = joined ? FW_EVENT_WORKER_JOINED : FW_EVENT_WORKER_LOST,
                      .worker = text_of(id),
                      .error = why,
                      .dur_ns = -1};
    fw_events_post(life->events, &event);
}

/* Members with a text of somebody's; too long a one is left away. */
static void post_with(fw_lifecycle *life, fw_event *event, const char *key, fw_span json)
{
    char text[384];
    int len = snprintf(text, sizeof text, "\"%s\": %.*s", key, (int)json.len, json.ptr);
    if (json.len < sizeof text && len > 0 && (size_t)len < sizeof text)
        event->more = (fw_span){text, (size_t)len};
    fw_events_post(life->events, event);
}

void fw_post_schedule_ran(fw_lifecycle *life, fw_span name, fw_span task, fw_key key)
{
    fw_buffer json = {0};
    fw_event event = {
        .kind = FW_EVENT_SCHEDULE_RAN, .is_task = true, .key = key, .task = task, .dur_ns = -1};
    fw_buffer_json_string(&json, name);
    post_with(life, &event, "schedule", (fw_span){json.data, json.failed ? 0 : json.len});
    fw_buffer_fini(&json);
}

void fw_post_pause(fw_lifecycle *life, bool paused, const char *key, fw_span value)
{
    fw_event event = {.kind = paused ? FW_EVENT_QUEUE_PAUSED : FW_EVENT_QUEUE_RESUMED,
                      .dur_ns = -1};
    post_with(life, &event, key, value);
}

void fw_post_progress(fw_lifecycle *life, fw_task *task, fw_span fields)
{
    fw_event event = event_of(life, task, FW_EVENT_PROGRESS);
    event.worker = here_or(life, my_worker);
    event.more = fields.len <= 400 ? fields : (fw_span){0};
    fw_events_post(life->events, &event);
}
