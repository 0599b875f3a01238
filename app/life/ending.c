/* app/life/ending.c - the second crossing: a task ran, or was ended otherwise; its result is
 * stored, its askers are told.
 *
 * Runs on the thread that ended the task: a task thread, NNG's for a cancel, the engine's timer
 * thread for a deadline. A result's bytes are borrowed from the call that made them until this
 * returns. SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/compose.h"
#include "app/events/event_posts.h"
#include "app/http/long_poll.h"
#include "app/life/kept.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "app/life/queue_line.h"
#include "app/life/webhooks.h"
#include "app/schedules/schedules.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/rcu.h"
#include "net/link.h"

/* What this thread is ending. */
static _Thread_local bool my_recall; /* what this thread ends, it gives back */
static _Thread_local char my_loss[256];
/* Of a task that this thread ends unrun, and why; NULL: none, or that is behind us. */
typedef struct verdict {
    enum { FAILED, GIVEN_UP, EXPIRED, SKIPPED } kind;
    const char *words;
} verdict;
static _Thread_local const verdict *my_verdict;

static bool is_my_verdict(int kind)
{
    return my_verdict && (int)my_verdict->kind == kind;
}

/* flush-note: answers are gathered per thread and leave in one write when the thread has a pause.
 * Behind long tasks that would be late, so they also leave when the last write is long enough ago;
 * a critical answer, nearly at once. */
static const int64_t flush_after_ns = 50 * FW_NS_PER_US;
static const int64_t flush_critical_after_ns = 10 * FW_NS_PER_US;
static _Thread_local int64_t my_flush_ns, my_critical_flush_ns;

/* Near enough for what is kept by the second, and a clock is not read for each end. */
static int64_t about_now_ns(int64_t wall_ns)
{
    static _Thread_local int64_t my_wall_ns, my_now_ns;
    int64_t since_ns = wall_ns - my_wall_ns;
    if (since_ns < 0 || since_ns >= FW_NS_PER_MS) {
        my_wall_ns = wall_ns;
        my_now_ns = fw_now_ns();
    }
    return my_now_ns;
}

static void flush_in_time(fw_lifecycle *life, bool critical, int64_t now_ns)
{
    int64_t since_ns = now_ns - (critical ? my_critical_flush_ns : my_flush_ns);
    /* A wall clock that was set back just makes one more write. */
    if (since_ns >= 0 && since_ns < (critical ? flush_critical_after_ns : flush_after_ns))
        return;
    my_flush_ns = now_ns;
    if (critical)
        my_critical_flush_ns = now_ns;
    fw_net_flush(life->net);
}

static const fw_name *name_of(const fw_lifecycle *life, const fw_task *task)
{
    return fw_names_at(life->names, task->name);
}

static bool withdraw(void *context, fw_task *task)
{
    fw_lifecycle *life = context;
    if (fw_record_of(task)->form == FW_REPLY_LEASE)
        (void)fw_engine_withdraw(life->engine, task);
    return true;
}

void fw_lifecycle_give_back(fw_lifecycle *life)
{
    my_recall = true;
    fw_rcu_read_lock();
    fw_engine_each(life->engine, withdraw, life);
    fw_rcu_read_unlock();
    my_recall = false;
    fw_net_flush(life->net);
}

void fw_lifecycle_orders(void *context, const fw_order *orders, size_t count)
{
    fw_lifecycle *life = context;
    fw_rcu_read_lock();
    for (size_t i = 0; i < count; i++) {
        fw_task *task = fw_engine_find(life->engine, orders[i].key);
        if (task && orders[i].kind == FW_ORDER_CANCEL) {
            if (fw_engine_cancel(life->engine, task) == FW_CANCEL_RUNNING)
                fw_modules_wake(life->modules);
        } else if (task) {
            my_recall = true;
            withdraw(life, task);
            my_recall = false;
        }
    }
    fw_rcu_read_unlock();
    fw_net_flush(life->net);
}

/* An end may have others follow, each with a verdict of its own. */
static bool end_unrun(fw_lifecycle *life, fw_task *task, verdict mine)
{
    const verdict *before = my_verdict;
    my_verdict = &mine;
    bool ended = mine.kind == SKIPPED ? fw_engine_withdraw(life->engine, task)
                                      : fw_engine_fail(life->engine, task);
    my_verdict = before;
    return ended;
}

bool fw_lifecycle_fail(fw_lifecycle *life, fw_task *task, const char *words)
{
    return end_unrun(life, task, (verdict){FAILED, words});
}

bool fw_lifecycle_give_up(fw_lifecycle *life, fw_task *task, const char *words)
{
    return end_unrun(life, task, (verdict){GIVEN_UP, words});
}

bool fw_lifecycle_expire(fw_lifecycle *life, fw_task *task, const char *words)
{
    return end_unrun(life, task, (verdict){EXPIRED, words});
}

bool fw_lifecycle_skip(fw_lifecycle *life, fw_task *task, const char *words)
{
    return end_unrun(life, task, (verdict){SKIPPED, words});
}

void fw_lifecycle_note_loss(unsigned losses, const char *worker, const char *why)
{
    snprintf(my_loss, sizeof my_loss, "Task lost its worker %u time%s, the last was %.100s: %.100s",
             losses, losses == 1 ? "" : "s", worker, why);
}

static fw_span literal(const char *text)
{
    return (fw_span){text, strlen(text)};
}

/* What happened, in the words that the wire expects. */
static void describe(fw_cache_item *item, const fw_task *task, int why, char *text, size_t capacity)
{
    if (why == FW_ENDED_BY_DEADLINE || (why == FW_ENDED_BY_RUN && fw_my_run.late))
        item->error = fw_timeout_text(task, text, capacity);
    else if (why == FW_ENDED_BY_STOP)
        item->error = literal("control plane is shutting down");
    else if (why == FW_ENDED_BY_LOSS)
        item->error = literal(my_loss);
    else if (why == FW_ENDED_BY_SHED)
        item->error = literal("gave way to a task of higher priority: the queue is full");
    else if (why == FW_ENDED_BY_OWNER)
        item->error = literal(my_verdict ? my_verdict->words : "");
    else if (why == FW_ENDED_BY_CANCEL)
        item->error = literal(is_my_verdict(SKIPPED) ? my_verdict->words : "Task cancelled");
    else if (item->status == FW_CANCELLED)
        item->error = literal("Task cancelled after execution");
    else if (fw_my_run.output.success)
        item->result = fw_my_run.output.result;
    else
        item->error = fw_my_run.output.error;
}

/* When it could have started; 0: not known. */
static int64_t ready_ns(fw_task *task)
{
    const fw_record_extras *extras = fw_record_extras_of(task);
    /* Relaxed: changed between runs only. */
    if (fw_load_relaxed(&task->attempt) > 1)
        return 0;
    return extras && extras->eta_wall_ns > task->created_wall_ns ? extras->eta_wall_ns
                                                                 : task->created_wall_ns;
}

static void count_end(fw_lifecycle *life, fw_task *task, int why, const fw_cache_item *item)
{
    fw_run_count kind = FW_COUNT_FAILURE;
    if (why == FW_ENDED_BY_DEADLINE || (why == FW_ENDED_BY_RUN && fw_my_run.late))
        kind = FW_COUNT_TIMEOUT;
    else if (why == FW_ENDED_BY_OWNER && is_my_verdict(EXPIRED))
        kind = FW_COUNT_EXPIRED;
    else if (item->status == FW_SUCCESS)
        kind = FW_COUNT_SUCCESS;
    else if (item->status == FW_CANCELLED)
        kind = FW_COUNT_CANCELLED;
    unsigned thread = life->threads;
    if (why == FW_ENDED_BY_RUN && fw_my_run.thread < thread)
        thread = fw_my_run.thread;
    size_t place = task->name;
    fw_run_counts_add(life->counts, place, task->level, kind, 1, thread);
    int64_t ran_ns = item->finished_wall_ns - item->started_wall_ns;
    if (fw_my_run.ran_ns > 0)
        ran_ns = fw_my_run.ran_ns;
    if (why == FW_ENDED_BY_RUN && ran_ns > 0) {
        fw_run_counts_add(life->counts, place, task->level, FW_COUNT_RUN_NS, (uint64_t)ran_ns,
                          thread);
        const fw_latency_sample sample = {task->level, task->name, ready_ns(task),
                                          item->started_wall_ns, ran_ns};
        fw_latency_note(life->latency, &sample, thread);
    }
}

/* Tells everybody who waits for this task. */
static void answer_all(fw_lifecycle *life, fw_task *task, const fw_result_view *view)
{
    fw_reply_to first = fw_record_first(task);
    fw_waiter *waiter = fw_waiters_close(task);
    if (fw_reply_wants_result(&first))
        fw_net_answer_result(life->net, &first, view);
    while (waiter) {
        fw_waiter *next = waiter->next;
        if (FW_UNLIKELY(waiter->node)) {
            /* What they meant is behind us, and others may end now. */
            my_verdict = NULL;
            fw_node_note(life, waiter->node, view->status, view->id);
        } else if (fw_waiter_claim(waiter)) {
            if (waiter->ticket.later)
                fw_long_poll_answer(life, waiter, view);
            else if (waiter->until_ns != 0)
                fw_net_answer_query(life->net, &waiter->reply, FW_FOUND, waiter->native, view);
            else
                fw_net_answer_result(life->net, &waiter->reply, view);
        }
        fw_waiter_release(&life->waiters, waiter);
        waiter = next;
    }
}

/* A subworker's: it has not run, and its control plane gets it back. Others who asked for it here
 * are told so. */
static void give_back(fw_lifecycle *life, fw_task *task, fw_refusal reason)
{
    char buffer[FW_UUID_TEXT];
    fw_reply_to first = fw_record_first(task);
    fw_waiter *waiter = fw_waiters_close(task);
    fw_result_view view = {.key = task->key,
                           .id = fw_record_id(task, buffer),
                           .status = FW_FAILURE,
                           .error = literal("the subworker gave the task back")};
    fw_net_answer_refusal(life->net, &first, view.id, reason, NULL);
    while (waiter) {
        fw_waiter *next = waiter->next;
        if (fw_waiter_claim(waiter)) {
            if (waiter->reply.form == FW_REPLY_LEASE)
                fw_net_answer_refusal(life->net, &waiter->reply, view.id, reason, NULL);
            else if (waiter->until_ns != 0)
                fw_net_answer_query(life->net, &waiter->reply, FW_NEVER_SEEN, waiter->native,
                                    &view);
            else
                fw_net_answer_result(life->net, &waiter->reply, &view);
        }
        fw_waiter_release(&life->waiters, waiter);
        waiter = next;
    }
}

/* A task that came under a lease and did not come to its end here. */
static bool is_given_back(fw_lifecycle *life, fw_task *task, int why)
{
    if (fw_record_of(task)->form != FW_REPLY_LEASE || !(my_recall || why == FW_ENDED_BY_STOP))
        return false;
    give_back(life, task, my_recall ? FW_REFUSED_RECALLED : FW_REFUSED_DRAINING);
    return true;
}

/* The id had ended before it was asked for again: everybody gets the stored end. */
static void answer_known(fw_lifecycle *life, fw_task *task)
{
    char buffer[FW_UUID_TEXT];
    fw_cache_item item;
    fw_result_view view = {
        .key = task->key,
        .id = fw_record_id(task, buffer),
        .status = FW_FAILURE,
        .error = literal("expired: this id has ended, and its result is no longer kept")};
    fw_rcu_read_lock();
    if (fw_cache_get(life->cache, task->key, 0, false, &item) == FW_CACHE_FOUND)
        view = fw_view_of_item(&item);
    /* Relaxed: a count. */
    fw_add_relaxed(&life->from_cache, 1);
    fw_add_relaxed(&life->known_again, 1);
    answer_all(life, task, &view);
    fw_rcu_read_unlock();
}

/* A cancel may come before admission has noticed that the id had ended already: the end stands. */
static bool is_stored(fw_lifecycle *life, fw_task *task)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    bool stored = fw_cache_get(life->cache, task->key, fw_now_ns(), true, &item) == FW_CACHE_FOUND;
    fw_rcu_read_unlock();
    return stored;
}

/* Tried more than once and given up, or given up for good. */
static void bury(fw_lifecycle *life, fw_task *task, const fw_cache_item *item, int why)
{
    char buffer[FW_UUID_TEXT];
    /* Relaxed: it has ended. */
    unsigned losses = fw_load_relaxed(&fw_record_of(task)->losses);
    if (!life->dead || item->status != FW_FAILURE ||
        (item->attempt <= 1 && losses == 0 && !is_my_verdict(GIVEN_UP) && why != FW_ENDED_BY_SHED))
        return;
    const fw_record_extras *extras = fw_record_extras_of(task);
    fw_buffer errors = {0};
    if (!fw_notes_write_attempts(&errors, task) || errors.failed)
        errors.len = 0;
    fw_dead_task dead = {
        .key = task->key,
        .id = fw_record_id(task, buffer),
        .name = item->name,
        .args = fw_record_args(task),
        .kwargs = fw_record_kwargs(task),
        .callback = item->callback,
        .options = fw_record_options(task),
        .error = item->error,
        .attempt_errors = {errors.data, errors.len},
        .level = task->level,
        .attempts = item->attempt,
        .losses = losses,
        .timeout_ns = fw_record_of(task)->limited ? task->timeout_ns : 0,
        .created_wall_ns = item->created_wall_ns,
        .died_wall_ns = item->finished_wall_ns,
    };
    if (extras) {
        dead.max_retries = extras->max_retries - extras->retry_count;
        dead.retry_delay_s = extras->retry_delay_s;
        dead.retry_backoff = extras->retry_backoff;
        dead.retry_backoff_max_s = extras->retry_backoff_max_s;
    }
    if (fw_dead_add(life->dead, &dead) && fw_is_heard(life))
        fw_post_dead(life, &dead);
    fw_buffer_fini(&errors);
}

/* With what is kept beside, unless only that is too much. */
static void store(fw_lifecycle *life, fw_task *task, fw_cache_item *item, int why)
{
    const fw_record_extras *extras = fw_record_extras_of(task);
    int64_t ttl_ns = extras ? extras->result_ttl_ns : 0;
    int64_t now_ns = about_now_ns(item->finished_wall_ns);
    fw_buffer beside = {0};
    if (FW_UNLIKELY(fw_kept_wanted(life, item))) {
        fw_kept_write(&beside, life, task, item, why == FW_ENDED_BY_RUN);
        if (!beside.failed)
            item->request = (fw_span){beside.data, beside.len};
    }
    if (fw_cache_put(life->cache, item, ttl_ns, now_ns) < 0 && beside.len > 0) {
        item->request = (fw_span){0};
        fw_cache_put(life->cache, item, ttl_ns, now_ns);
    }
    item->request = (fw_span){0};
    fw_buffer_fini(&beside);
}

void fw_lifecycle_done(void *context, fw_task *task, int why, int64_t ended_wall_ns)
{
    fw_lifecycle *life = context;
    char buffer[FW_UUID_TEXT], text[96];
    if (FW_UNLIKELY(fw_record_of(task)->composed))
        fw_compose_ended(life, task);
    if (fw_record_is_known(task) || (why == FW_ENDED_BY_CANCEL && is_stored(life, task))) {
        answer_known(life, task);
        return;
    }
    if (is_given_back(life, task, why))
        return;
    const fw_record_extras *extras = fw_record_extras_of(task);
    fw_cache_item item = {
        .key = task->key,
        .id = fw_record_of(task)->has_id ? fw_record_id(task, buffer) : (fw_span){0},
        .status = fw_task_state(task),
        .level = task->level,
        .attempt = fw_load_relaxed(&task->attempt),
        .created_wall_ns = task->created_wall_ns,
        .started_wall_ns = fw_load_relaxed(&task->started_wall_ns),
        .finished_wall_ns = ended_wall_ns,
        .name = fw_name_text(name_of(life, task)),
        .callback = fw_record_callback(task),
    };
    describe(&item, task, why, text, sizeof text);
    fw_result_view view = fw_view_of_item(&item);
    view.crashed = why == FW_ENDED_BY_RUN && fw_my_run.crash;
    if (why == FW_ENDED_BY_RUN)
        view.again_ns = fw_my_run_again_ns();
    else if (FW_UNLIKELY(item.started_wall_ns != 0))
        fw_modules_wake(life->modules);
    store(life, task, &item, why);
    count_end(life, task, why, &item);
    if (FW_UNLIKELY(why == FW_ENDED_BY_SHED))
        fw_queue_line_note_shed(life->line);
    if (fw_is_heard(life))
        fw_post_ended(life, &item, why == FW_ENDED_BY_RUN ? fw_my_run.ran_ns : 0);
    if (FW_UNLIKELY(item.status == FW_FAILURE))
        bury(life, task, &item, why);
    if (FW_UNLIKELY(fw_record_is_scheduled(task)))
        fw_schedules_ended(life->schedules, task->key, item.status, item.error,
                           item.finished_wall_ns);
    answer_all(life, task, &view);
    if (item.callback.len > 0 || extras)
        fw_notify_ended(life, item.name, &view, fw_record_options(task));
    if (FW_UNLIKELY(!life->net))
        return;
    if (why == FW_ENDED_BY_RUN)
        flush_in_time(life, task->level == FW_CRITICAL, ended_wall_ns);
    else
        fw_net_flush(life->net);
}
