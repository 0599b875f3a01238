/* app/life/lifecycle.c - set-up, and what does not belong to one end of the story.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/lifecycle.h"

#include "app/http/long_poll.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "app/life/retry.h"
#include "app/manage/manage.h"
#include "app/workers/workers.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

/* Names that only subworkers know and that have counters of their own. */
static const size_t foreign_names_counted = 1024;

int fw_lifecycle_init(fw_lifecycle *life)
{
    FW_ASSERT(life->cache && life->modules && life->names && life->threads > 0);
    life->counts = fw_run_counts_create(fw_modules_count(life->modules) + foreign_names_counted,
                                        life->threads);
    life->latency = fw_latency_create(life->threads);
    int rc = life->counts && life->latency ? fw_waiters_init(&life->waiters) : -FW_ENOMEM;
    if (rc < 0) {
        fw_run_counts_destroy(life->counts);
        fw_latency_destroy(life->latency);
    }
    return rc;
}

void fw_lifecycle_fini(fw_lifecycle *life)
{
    fw_lifecycle_tick(life, INT64_MAX);
    fw_waiters_fini(&life->waiters);
    fw_run_counts_destroy(life->counts);
    fw_latency_destroy(life->latency);
    fw_retry_forget(life);
}

static void pause_thread(void *context, unsigned thread)
{
    fw_lifecycle *life = context;
    (void)thread;
    if (life->net)
        fw_net_flush(life->net);
}

static void start_thread(void *context, unsigned thread)
{
    fw_lifecycle *life = context;
    fw_modules_thread_start(life->modules, thread);
}

static void stop_thread(void *context, unsigned thread)
{
    fw_lifecycle *life = context;
    fw_modules_thread_stop(life->modules, thread);
}

static void reclaim(void *context, fw_task *task)
{
    (void)context;
    fw_notes_drop(task);
}

fw_engine_ops fw_lifecycle_engine_ops(fw_lifecycle *life)
{
    return (fw_engine_ops){
        .context = life,
        .run = fw_lifecycle_run,
        .done = fw_lifecycle_done,
        .again = fw_lifecycle_again,
        .reclaim = reclaim,
        .pause = pause_thread,
        .thread_start = start_thread,
        .thread_stop = stop_thread,
    };
}

static void note_registration(void *context, const fw_registration *registration)
{
    fw_lifecycle *life = context;
    fw_buffer answer = {0};
    if (life->workers && registration->action.len > 0) {
        fw_manage_answer(life, registration->action, registration->request, &answer);
        fw_net_answer_text(life->net, &registration->reply,
                           (fw_span){answer.data, answer.failed ? 0 : answer.len});
        fw_buffer_fini(&answer);
    } else if (life->workers)
        fw_workers_note(life->workers, registration);
    else
        fw_net_answer_registration(life->net, &registration->reply, registration->id,
                                   "this is a subworker, not a control plane", false);
}

fw_net_ops fw_lifecycle_net_ops(fw_lifecycle *life)
{
    return (fw_net_ops){
        .context = life,
        .submit = fw_lifecycle_submit,
        .submit_batch = fw_lifecycle_submit_batch,
        .batch_refused = fw_lifecycle_batch_refused,
        .query = fw_lifecycle_query,
        .registration = note_registration,
        .orders = fw_lifecycle_orders,
        .drain = life->drain,
    };
}

fw_result_view fw_view_of_item(const fw_cache_item *item)
{
    return (fw_result_view){
        .key = item->key,
        .id = item->id,
        .status = item->status,
        .result = item->result,
        .error = item->error,
        .callback = item->callback,
        .started_wall_ns = item->started_wall_ns,
        .finished_wall_ns = item->finished_wall_ns,
    };
}

fw_result_view fw_view_of_task(fw_task *task, char buffer[FW_UUID_TEXT])
{
    fw_state state = fw_task_state(task);
    /* Its end is not told before it is stored: until then it counts as running. */
    if (fw_state_is_over(state))
        state = FW_RUNNING;
    static _Thread_local fw_progress_copy progress;
    return (fw_result_view){
        .key = task->key,
        .id = fw_record_id(task, buffer),
        .status = state,
        .started_wall_ns = state == FW_RUNNING ? fw_load_relaxed(&task->started_wall_ns) : 0,
        .progress = state == FW_RUNNING ? fw_notes_read_progress(task, &progress) : NULL,
    };
}

fw_cancel fw_lifecycle_try_cancel(fw_lifecycle *life, fw_key key)
{
    fw_cancel outcome = FW_CANCEL_UNKNOWN;
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(life->engine, key);
    if (task) {
        outcome = fw_engine_cancel(life->engine, task);
        if (outcome == FW_CANCEL_RUNNING)
            fw_modules_wake(life->modules);
        if (outcome == FW_CANCEL_RUNNING && life->workers)
            fw_workers_cancel(life->workers, task);
    }
    fw_rcu_read_unlock();
    return outcome;
}

bool fw_lifecycle_cancel(fw_lifecycle *life, fw_key key)
{
    fw_cancel outcome = fw_lifecycle_try_cancel(life, key);
    return outcome == FW_CANCEL_QUEUED || outcome == FW_CANCEL_RUNNING;
}

/* A wait whose time is over is told the present state. */
static void answer_expired(fw_lifecycle *life, fw_waiter *waiter, int64_t now_ns)
{
    char buffer[FW_UUID_TEXT];
    fw_cache_item item;
    fw_rcu_read_lock();
    fw_task *task = fw_engine_find(life->engine, waiter->key);
    if (fw_cache_get(life->cache, waiter->key, now_ns, false, &item) == FW_CACHE_FOUND) {
        fw_result_view view = fw_view_of_item(&item);
        fw_net_answer_query(life->net, &waiter->reply, FW_FOUND, waiter->native, &view);
    } else if (task) {
        fw_result_view view = fw_view_of_task(task, buffer);
        fw_net_answer_query(life->net, &waiter->reply, FW_NOT_FINISHED, waiter->native, &view);
    } else {
        fw_result_view view = {.key = waiter->key};
        fw_net_answer_query(life->net, &waiter->reply, FW_WAS_EXPIRED, waiter->native, &view);
    }
    fw_rcu_read_unlock();
}

void fw_lifecycle_tick(fw_lifecycle *life, int64_t now_ns)
{
    fw_backpressure_tick(life, now_ns);
    fw_waiter *expired = fw_waiters_expired(&life->waiters, now_ns, now_ns == INT64_MAX);
    if (!expired)
        return;
    while (expired) {
        fw_waiter *waiter = expired;
        expired = waiter->next_wait;
        if (fw_waiter_claim(waiter) && life->net) {
            if (waiter->ticket.later)
                fw_long_poll_answer(life, waiter, NULL);
            else
                answer_expired(life, waiter, now_ns);
        }
        fw_waiter_release(&life->waiters, waiter);
    }
    if (life->net)
        fw_net_flush(life->net);
}
