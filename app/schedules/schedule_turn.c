/* app/schedules/schedule_turn.c - what happens when a time has come: runs are started, wait or are
 * skipped; what was missed is caught up with; ends are noted. See app/schedules/schedules.h.
 * Covered by schedules_test.c.
 *
 * Order: decide under the lock, submit and cancel after it. A run is in the table before its task
 * is submitted, so its end finds it; one that was not accepted is found by asking.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/schedules/schedules_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/life/record.h"
#include "base/clock.h"

static const int64_t late_ns = 60 * FW_NS_PER_S;
static const int64_t step_ns = 2 * FW_NS_PER_S;
static const int64_t set_back_ns = 3 * 3600 * FW_NS_PER_S;
enum { TICKS_PER_TURN = 1000, TICKS_COUNTED = 100000, STARTS_PER_TURN = 256 };

static size_t bucket_of(fw_key key)
{
    return fw_key_hash(key) % FW_RUN_BUCKETS;
}

/* --- orders --- */

static bool add_order(fw_orders *orders, fw_key key, fw_definition *definition)
{
    if (orders->count == orders->capacity) {
        size_t capacity = orders->capacity ? orders->capacity * 2 : 16;
        fw_schedule_order *items = realloc(orders->items, capacity * sizeof *items);
        if (!items)
            return false;
        orders->items = items;
        orders->capacity = capacity;
    }
    orders->items[orders->count++] = (fw_schedule_order){key, definition};
    if (definition)
        definition->uses++;
    return true;
}

static void submit(fw_schedules *schedules, fw_key key, const fw_definition *definition)
{
    char id[FW_UUID_TEXT];
    const fw_plan *plan = &definition->plan;
    fw_key_format(id, key);
    fw_submission submission = {
        .key = key,
        .id = {id, FW_UUID_TEXT},
        .name = plan->task,
        .args = plan->args,
        .kwargs = plan->kwargs,
        .timeout_ns = plan->timeout_ns,
        .max_retries = plan->max_retries,
        .retry_delay_s = plan->retry_delay_s,
        .retry_backoff = plan->retry_backoff,
        .retry_backoff_max_s = plan->retry_backoff_max_s,
        .level = plan->level,
        .reply = {.form = FW_REPLY_NONE, .flags = FW_FOR_SCHEDULE},
    };
    if (plan->jitter_ns > 0)
        submission.eta_wall_ns =
            fw_wall_ns() + (int64_t)(fw_key_random().low % (uint64_t)plan->jitter_ns);
    const fw_schedule_ops *ops = &schedules->config.ops;
    if (ops->ran)
        ops->ran(ops->context, plan->name, plan->task, key);
    ops->submit(ops->context, &submission);
    /* What has ended has come back here already. */
    static const char refused[] = "not accepted: no such task, or the queue is full";
    if (!ops->alive(ops->context, key))
        fw_schedules_ended(schedules, key, FW_FAILURE, (fw_span){refused, sizeof refused - 1},
                           fw_wall_ns());
}

void fw_orders_run(fw_schedules *schedules, fw_orders *orders)
{
    for (size_t i = 0; i < orders->count; i++) {
        const fw_schedule_order *order = &orders->items[i];
        if (order->definition)
            submit(schedules, order->key, order->definition);
        else
            schedules->config.ops.cancel(schedules->config.ops.context, order->key);
    }
    pthread_mutex_lock(&schedules->lock);
    for (size_t i = 0; i < orders->count; i++) {
        if (orders->items[i].definition)
            fw_definition_release(orders->items[i].definition);
    }
    pthread_mutex_unlock(&schedules->lock);
    free(orders->items);
    *orders = (fw_orders){0};
}

/* --- one time --- */

static const char *reason_name(fw_reason reason)
{
    static const char *const names[] = {"schedule", "catchup", "trigger", "backfill"};
    return names[reason];
}

static bool start(fw_schedules *schedules, fw_entry *entry, fw_pending pending, fw_orders *orders,
                  int64_t now_ns, fw_key *key)
{
    fw_live_run *live = calloc(1, sizeof *live);
    fw_key id = fw_key_random();
    if (!live || !add_order(orders, id, entry->definition)) {
        free(live);
        return false;
    }
    *live = (fw_live_run){.next_in_bucket = schedules->buckets[bucket_of(id)],
                          .next = entry->live,
                          .entry = entry,
                          .run = {.key = id,
                                  .reason = reason_name(pending.reason),
                                  .planned_ns = pending.planned_ns,
                                  .submitted_ns = now_ns,
                                  .status = FW_QUEUED}};
    schedules->buckets[bucket_of(id)] = live;
    entry->live = live;
    entry->live_count++;
    entry->started++;
    if (pending.reason == FW_BY_CATCHUP)
        entry->caught_up++;
    if (key)
        *key = id;
    return true;
}

bool fw_entry_wait(fw_entry *entry, fw_pending pending)
{
    if (entry->waiting_count == FW_SCHEDULE_WAITING_MAX)
        return false;
    if (!entry->waiting) {
        entry->waiting = calloc(FW_SCHEDULE_WAITING_MAX, sizeof *entry->waiting);
        if (!entry->waiting)
            return false;
    }
    size_t place = (entry->waiting_first + entry->waiting_count++) % FW_SCHEDULE_WAITING_MAX;
    entry->waiting[place] = pending;
    return true;
}

static bool is_busy(const fw_entry *entry)
{
    return entry->live_count > 0 && entry->definition->plan.overlap != FW_OVERLAP_ALLOW;
}

static bool waits(fw_entry *entry, fw_pending pending, fw_orders *orders)
{
    switch ((fw_overlap)entry->definition->plan.overlap) {
    case FW_OVERLAP_QUEUE_ONE:
        return entry->waiting_count == 0 && fw_entry_wait(entry, pending);
    case FW_OVERLAP_QUEUE_ALL:
        return fw_entry_wait(entry, pending);
    case FW_OVERLAP_CANCEL_OLD:
        for (fw_live_run *live = entry->live; live; live = live->next)
            (void)add_order(orders, live->run.key, NULL);
        /* The latest counts; those before it will not run. */
        entry->skipped += entry->waiting_count;
        entry->waiting_count = 0;
        return fw_entry_wait(entry, pending);
    case FW_OVERLAP_SKIP:
    case FW_OVERLAP_ALLOW:
        break;
    }
    return false;
}

const char *fw_entry_fire(fw_schedules *schedules, fw_entry *entry, fw_pending pending,
                          fw_orders *orders, int64_t now_ns, fw_key *key)
{
    if (!is_busy(entry) && entry->live_count < FW_SCHEDULE_WAITING_MAX &&
        start(schedules, entry, pending, orders, now_ns, key))
        return "started";
    if (is_busy(entry) && waits(entry, pending, orders))
        return "waiting";
    entry->skipped++;
    return "skipped";
}

/* --- the clock --- */

int64_t fw_entry_after(const fw_entry *entry, int64_t after_ns)
{
    const fw_definition *d = entry->definition;
    if (d->plan.count >= 0 && entry->fired >= d->plan.count)
        return FW_SCHEDULE_NEVER;
    int64_t next_ns = fw_schedule_next(&d->when, d->zone, after_ns, entry->anchor_ns);
    return next_ns > d->until_ns ? FW_SCHEDULE_NEVER : next_ns;
}

/* What is further back is not worth a step each. */
static int64_t skip_far(fw_entry *entry, int64_t until_ns)
{
    const fw_definition *d = entry->definition;
    int64_t from_ns = d->plan.catchup == FW_CATCHUP_ALL ? until_ns - d->plan.window_ns : until_ns;
    if (d->when.kind != FW_SCHEDULE_EVERY || entry->next_ns >= from_ns)
        return entry->next_ns;
    int64_t count = (from_ns - entry->next_ns) / d->when.every_ns;
    entry->missed += (uint64_t)count;
    return entry->next_ns + count * d->when.every_ns;
}

void fw_entry_catch_up(fw_entry *entry, int64_t until_ns)
{
    const fw_definition *d = entry->definition;
    int64_t at_ns = skip_far(entry, until_ns), latest_ns = 0;
    if (until_ns > d->until_ns)
        until_ns = d->until_ns;
    for (int i = 0; at_ns <= until_ns; i++) {
        bool wanted = d->plan.catchup == FW_CATCHUP_ALL && at_ns >= until_ns - d->plan.window_ns;
        if (wanted && fw_entry_wait(entry, (fw_pending){at_ns, FW_BY_CATCHUP}))
            entry->fired++;
        else
            entry->missed++;
        latest_ns = at_ns;
        at_ns = i < TICKS_COUNTED ? fw_entry_after(entry, at_ns) : fw_entry_after(entry, until_ns);
    }
    if (latest_ns != 0 && d->plan.catchup == FW_CATCHUP_ONE &&
        fw_entry_wait(entry, (fw_pending){latest_ns, FW_BY_CATCHUP})) {
        entry->missed--;
        entry->fired++;
        at_ns = fw_entry_after(entry, latest_ns);
    }
    if (latest_ns != 0)
        entry->last_ns = latest_ns;
    entry->next_ns = at_ns;
}

/* The wall clock was set. */
static void follow_clock(fw_entry *entry, int64_t wall_ns, int64_t moved_ns)
{
    const fw_definition *d = entry->definition;
    if (entry->next_ns == FW_SCHEDULE_NEVER)
        return;
    if (d->when.kind == FW_SCHEDULE_EVERY) {
        entry->anchor_ns += moved_ns;
        entry->next_ns += moved_ns;
    } else if (d->when.kind == FW_SCHEDULE_CRON && moved_ns < 0) {
        bool again = entry->last_ns <= wall_ns || entry->last_ns - wall_ns > set_back_ns;
        entry->next_ns = fw_entry_after(entry, again ? wall_ns : entry->last_ns);
    }
}

static void look(fw_schedules *schedules, fw_entry *entry, fw_orders *orders, int64_t wall_ns)
{
    const fw_definition *d = entry->definition;
    int64_t patience_ns = late_ns;
    if (d->when.kind == FW_SCHEDULE_EVERY && d->when.every_ns < late_ns)
        patience_ns = d->when.every_ns;
    if (!entry->paused && entry->next_ns < wall_ns - patience_ns)
        fw_entry_catch_up(entry, wall_ns - patience_ns - 1);
    for (int i = 0; i < TICKS_PER_TURN && !entry->paused && entry->next_ns <= wall_ns; i++) {
        fw_pending pending = {entry->next_ns, FW_BY_CLOCK};
        if (strcmp(fw_entry_fire(schedules, entry, pending, orders, wall_ns, NULL), "skipped") != 0)
            entry->fired++;
        entry->last_ns = entry->next_ns;
        entry->next_ns = fw_entry_after(entry, entry->next_ns);
    }
    for (int i = 0; i < STARTS_PER_TURN && entry->waiting_count > 0 && !is_busy(entry); i++) {
        if (entry->live_count >= FW_SCHEDULE_WAITING_MAX ||
            !start(schedules, entry, entry->waiting[entry->waiting_first], orders, wall_ns, NULL))
            break;
        entry->waiting_first = (entry->waiting_first + 1) % FW_SCHEDULE_WAITING_MAX;
        entry->waiting_count--;
    }
}

int64_t fw_schedules_turn(fw_schedules *schedules, int64_t wall_ns, int64_t now_ns)
{
    fw_orders orders = {0};
    int64_t next_ns = INT64_MAX;
    pthread_mutex_lock(&schedules->lock);
    int64_t moved_ns = (wall_ns - schedules->last_wall_ns) - (now_ns - schedules->last_now_ns);
    bool was_set = schedules->last_now_ns != 0 && (moved_ns > step_ns || moved_ns < -step_ns);
    schedules->last_wall_ns = wall_ns;
    schedules->last_now_ns = now_ns;
    for (fw_entry *entry = schedules->entries; entry; entry = entry->next) {
        if (was_set)
            follow_clock(entry, wall_ns, moved_ns);
        if (!entry->orphan && (entry->next_ns <= wall_ns || entry->waiting_count > 0))
            look(schedules, entry, &orders, wall_ns);
        /* What is behind although it was looked at has its reasons: the next turn. */
        if (!entry->orphan && !entry->paused && entry->next_ns > wall_ns &&
            entry->next_ns < next_ns)
            next_ns = entry->next_ns;
    }
    pthread_mutex_unlock(&schedules->lock);
    if (orders.count > 0)
        fw_orders_run(schedules, &orders);
    return next_ns;
}

/* --- ends --- */

static void note(fw_entry *entry, const fw_live_run *live)
{
    fw_live_run **link = &entry->live;
    while (*link != live)
        link = &(*link)->next;
    *link = live->next;
    entry->live_count--;
    entry->history[entry->history_next] = live->run;
    entry->history_next = (entry->history_next + 1) % FW_SCHEDULE_RUNS_KEPT;
    if (entry->history_count < FW_SCHEDULE_RUNS_KEPT)
        entry->history_count++;
    if (live->run.status == FW_SUCCESS)
        entry->last_success_ns = live->run.ended_ns;
}

void fw_schedules_ended(fw_schedules *schedules, fw_key key, fw_state status, fw_span error,
                        int64_t ended_wall_ns)
{
    pthread_mutex_lock(&schedules->lock);
    fw_live_run **link = &schedules->buckets[bucket_of(key)];
    while (*link && !fw_key_equal((*link)->run.key, key))
        link = &(*link)->next_in_bucket;
    fw_live_run *live = *link;
    if (live) {
        *link = live->next_in_bucket;
        live->run.status = status;
        live->run.ended_ns = ended_wall_ns;
        if (error.ptr)
            snprintf(
                live->run.error, sizeof live->run.error, "%.*s",
                (int)(error.len < sizeof live->run.error ? error.len : sizeof live->run.error - 1),
                error.ptr);
        if (live->entry)
            note(live->entry, live);
        free(live);
    }
    pthread_mutex_unlock(&schedules->lock);
}
