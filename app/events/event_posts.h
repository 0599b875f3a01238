/* app/events/event_posts.h - the life of a task as events, in words of the lifecycle.
 *
 * Each of these is called only where fw_is_heard has just said so; what they read is the caller's.
 * Covered by tests/app/events_test.py. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EVENT_POSTS_H
#define FW_APP_EVENT_POSTS_H

#include "app/events/events.h"
#include "app/life/lifecycle_parts.h"
#include "base/assert.h"

/* Somebody wants to hear of it. */
static inline bool fw_is_heard(const fw_lifecycle *life)
{
    /* Relaxed: who begins to listen at this moment may miss this event. */
    return FW_UNLIKELY(fw_load_relaxed(&life->listeners) > 0) && life->events;
}

/* The room, with the PUB port as its first listener. 0 or -FW_ENOMEM. */
int fw_post_begin(fw_lifecycle *life, const char *worker_id);

/* Before the engine has it: afterwards it may be gone. */
void fw_post_accepted(fw_lifecycle *life, const fw_submission *submission, bool scheduled,
                      int64_t delay_ns);
/* worker NULL: here. */
void fw_post_started(fw_lifecycle *life, fw_task *task, unsigned attempt, const char *worker);
/* It will run again after delay_ns. */
void fw_post_retried(fw_lifecycle *life, fw_task *task, fw_span error, int64_t delay_ns);
/* ran_ns: how long it ran, where somebody else has measured it; 0: by our clocks. */
void fw_post_ended(fw_lifecycle *life, const fw_cache_item *item, int64_t ran_ns);
void fw_post_dead(fw_lifecycle *life, const fw_dead_task *dead);
void fw_post_worker(fw_lifecycle *life, bool joined, const char *id, fw_span why);
void fw_post_schedule_ran(fw_lifecycle *life, fw_span name, fw_span task, fw_key key);
/* key, value: which tasks, as in the request: "all": true, "task": "resize". */
void fw_post_pause(fw_lifecycle *life, bool paused, const char *key, fw_span value);
/* fields: further members of a task's event, such as `"done": 3, "total": 10`. */
void fw_post_progress(fw_lifecycle *life, fw_task *task, fw_span fields);

/* What ends on this thread until it is said otherwise ran there. NULL: here. Borrowed. */
void fw_post_from(const char *worker);
const char *fw_post_whose(void);

#endif
