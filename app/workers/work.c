/* app/workers/work.c - tasks on their way to subworkers, and their results on the way back.
 *
 * Out: on whatever thread has the dispatcher's duty. A task goes as name, arguments, level, limit
 * and id; retries, callbacks and delays stay with the control plane, which decides about them.
 * Back: on NNG's threads. A result is taken only by who claims its lease, so it is stored and told
 * once, whatever else arrives.
 *
 * loss-note: a task whose worker went away may have been what killed it, or just have been there.
 * It is queued again, marked, and its next run is isolated: in a process of its own at the
 * subworker. So the next crash costs that process only and names the task without doubt; after
 * losses_max of them it is given up. A native subworker says when such a run begins, so that those
 * which only waited there are not counted once more, however many workers go away.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/compose.h"
#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "app/workers/poller_unit.h"
#include "app/workers/worker_unit.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

enum { SEND_MAX = 128, TAKE_MAX = 64, ORDERS_MAX = FW_WINDOW_MAX };

/* Native subworkers watch the limit themselves; this is for one that does not answer. */
static const int64_t native_margin_ns = 30 * FW_NS_PER_S;
static const int64_t python_margin_ns = 15 * FW_NS_PER_S;
/* Without a single result for so long, a worker with more than its slots in hand is stuck. */
static const int64_t quiet_max_ns = 100 * FW_NS_PER_MS;

/* --- out --- */

static bool is_isolated(const fw_name *name)
{
    const fw_task_policy *policy = fw_name_policy(name);
    return policy && policy->isolate;
}

/* id: for the text of an id that is a UUID; NULL where the key is enough. */
static fw_assignment assignment_of(fw_workers *workers, const fw_handout *handout, char *id)
{
    fw_task *task = handout->task;
    const fw_name *name = fw_names_at(workers->life->names, task->name);
    return (fw_assignment){
        .lease = handout->lease,
        .attempt = handout->attempt,
        .task =
            {
                .key = task->key,
                .id = id || fw_record_of(task)->has_id ? fw_record_id(task, id) : (fw_span){0},
                .name = fw_name_text(name),
                .args = fw_record_args(task),
                .kwargs = fw_record_kwargs(task),
                .options = fw_record_options(task),
                /* The subworker has the module's limit, or its own default. */
                .timeout_ns = fw_record_of(task)->limited ? task->timeout_ns : 0,
                .level = task->level,
                /* Relaxed: written under the duty, which we have. */
                .isolate = fw_load_relaxed(&fw_record_of(task)->losses) > 0 || is_isolated(name),
            },
    };
}

void fw_post_starts(const fw_unit *unit, const fw_handout *handouts, size_t count)
{
    fw_lifecycle *life = unit->workers->life;
    for (size_t i = 0; i < count; i++) {
        if (FW_UNLIKELY(fw_record_of(handouts[i].task)->composed))
            fw_compose_begun(life, handouts[i].task);
        if (fw_is_heard(life))
            fw_post_started(life, handouts[i].task, handouts[i].attempt, unit->id);
    }
}

static void count_starts(const fw_unit *unit, const fw_handout *handouts, size_t count)
{
    fw_lifecycle *life = unit->workers->life;
    for (size_t i = 0; i < count; i++)
        fw_run_counts_add(life->counts, handouts[i].task->name, handouts[i].task->level,
                          FW_COUNT_STARTED, 1, life->threads);
    /* A poller takes them, or not. */
    if (!unit->poller)
        fw_post_starts(unit, handouts, count);
}

/* It would close the link, and cost everything that is in its hands. */
static void refuse_size(fw_unit *unit, const fw_assignment *item, size_t most)
{
    fw_engine *engine = unit->workers->engine;
    char text[128];
    fw_result_view view = {.status = FW_FAILURE};
    fw_task *task = fw_dispatch_claim(engine, unit->place, item->lease);
    if (!task)
        return;
    int len = snprintf(text, sizeof text,
                       "the arguments of %zu bytes are over the subworker's limit of %zu",
                       item->task.args.len + item->task.kwargs.len, most);
    view.error = (fw_span){text, (size_t)len};
    fw_lifecycle_note_result(&view, 0);
    fw_dispatch_end(engine, task, item->lease, false, 0);
    fw_net_flush(unit->workers->life->net);
}

/* It could not be sent: to be given out again. */
static void take_back(fw_unit *unit, uint64_t lease)
{
    fw_task *task = fw_dispatch_claim(unit->workers->engine, unit->place, lease);
    if (task)
        fw_dispatch_return(unit->workers->engine, task, lease, false);
}

static void send_native(fw_unit *unit, const fw_handout *handouts, size_t count)
{
    fw_assignment items[SEND_MAX];
    char ids[SEND_MAX][FW_UUID_TEXT];
    size_t most = fw_link_takes(unit->link);
    for (size_t at = 0; at < count;) {
        size_t n = 0;
        for (; n < SEND_MAX && at < count; at++) {
            items[n] = assignment_of(unit->workers, &handouts[at], ids[n]);
            if (FW_UNLIKELY(items[n].task.args.len + items[n].task.kwargs.len > most))
                refuse_size(unit, &items[n], most);
            else
                n++;
        }
        size_t sent = n > 0 ? fw_link_assign(unit->link, items, n) : 0;
        /* The link is down, and its place will be detached; or there is no memory now. */
        for (size_t i = sent; i < n; i++)
            take_back(unit, items[i].lease);
    }
}

/* One request a port, so any that is free will do: the task says its priority itself. */
static bool send_to_a_port(fw_unit *unit, const fw_assignment *item)
{
    for (unsigned i = 0; i < FW_LEVELS; i++) {
        fw_prio port = (fw_prio)((item->task.level + i) % FW_LEVELS);
        if (fw_pylink_assign(unit->pylink, port, item))
            return true;
    }
    return false;
}

static void send_python(fw_unit *unit, const fw_handout *handouts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char id[FW_UUID_TEXT];
        fw_assignment item = assignment_of(unit->workers, &handouts[i], id);
        if (!send_to_a_port(unit, &item))
            take_back(unit, handouts[i].lease);
    }
}

static void send(void *context, void *place_owner, const fw_handout *handouts, size_t count)
{
    fw_unit *unit = place_owner;
    (void)context;
    count_starts(unit, handouts, count);
    if (unit->native)
        send_native(unit, handouts, count);
    else if (unit->poller)
        fw_poller_send(unit, handouts, count);
    else
        send_python(unit, handouts, count);
}

/* --- losses --- */

/* It is queued again at once, at the front. */
static fw_loss lost_once(fw_lifecycle *life, const fw_unit *unit, fw_task *task)
{
    static const char text[] = "worker lost";
    if (fw_is_heard(life)) {
        fw_post_from(unit->id);
        fw_post_retried(life, task, (fw_span){text, sizeof text - 1}, 0);
        fw_post_from(NULL);
    }
    return FW_LOSS_AGAIN;
}

/* See loss-note. Under the dispatcher's duty. */
static fw_loss lost(void *context, fw_task *task, void *place_owner)
{
    fw_workers *workers = context;
    fw_unit *unit = place_owner;
    fw_record *record = fw_record_of(task);
    /* Relaxed: one writer at a time, who has the duty. */
    unsigned losses = fw_load_relaxed(&record->losses);
    if (losses > 0 && unit->native && !fw_notes_has_begun(task))
        return FW_LOSS_UNRUN;
    if (losses < FW_LOSSES_COUNTED)
        fw_store_relaxed(&record->losses, (uint8_t)++losses);
    /* Relaxed: a flag that only shortens the way. */
    if (!fw_load_relaxed(&workers->closing) && losses < workers->life->losses_max)
        return lost_once(workers->life, unit, task);
    char why[sizeof unit->why];
    pthread_mutex_lock(&workers->lock);
    memcpy(why, unit->why, sizeof why);
    pthread_mutex_unlock(&workers->lock);
    fw_lifecycle_note_loss(losses, unit->id, why);
    return FW_LOSS_ENDS;
}

static void gone(void *context, void *place_owner)
{
    (void)context;
    fw_unit *unit = place_owner;
    /* [unit-attached] release: the dispatcher is through with the unit. */
    fw_sub_acq_rel(&unit->attached, 1);
}

fw_dispatch_ops fw_work_dispatch_ops(fw_workers *workers)
{
    return (fw_dispatch_ops){.context = workers, .send = send, .lost = lost, .gone = gone};
}

/* --- back --- */

/* task: claimed under the item's lease. */
static void take(fw_workers *workers, fw_task *task, const fw_lease_result *item)
{
    if (item->returned) {
        fw_dispatch_return(workers->engine, task, item->lease,
                           item->why == FW_REFUSED_UNKNOWN_NAME);
        return;
    }
    bool success = item->view.status == FW_SUCCESS;
    fw_lifecycle_note_result(&item->view, item->ran_ns);
    fw_dispatch_end(workers->engine, task, item->lease, success, item->ran_ns);
}

/* It goes on, and its lease stays. Without progress: it has begun. */
static void note_progress(fw_workers *workers, uint32_t place, const fw_lease_result *item)
{
    const fw_progress_view *progress = item->view.progress;
    fw_rcu_read_lock();
    fw_task *task = fw_dispatch_peek(workers->engine, place, item->lease);
    /* Relaxed: it was marked before this lease. */
    if (task && !progress && fw_load_relaxed(&fw_record_of(task)->losses) > 0)
        fw_notes_begun(task);
    else if (task && progress)
        (void)fw_notes_progress(workers->life, task, progress->done, progress->total,
                                progress->note);
    fw_rcu_read_unlock();
}

/* All are claimed first, so that what their ends will touch is fetched meanwhile. */
static void take_some(fw_workers *workers, uint32_t place, const fw_lease_result *items,
                      size_t count)
{
    fw_task *tasks[TAKE_MAX];
    FW_ASSERT(count <= TAKE_MAX);
    for (size_t i = 0; i < count; i++) {
        tasks[i] = NULL;
        if (FW_UNLIKELY(!items[i].returned && items[i].view.status == FW_RUNNING)) {
            note_progress(workers, place, &items[i]);
            continue;
        }
        /* NULL: late; another run counts, or the end is known already. */
        tasks[i] = fw_dispatch_claim(workers->engine, place, items[i].lease);
        __builtin_prefetch(tasks[i], 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (!tasks[i])
            continue;
        fw_engine_prefetch(workers->engine, tasks[i]->key);
        fw_cache_prefetch(workers->life->cache, tasks[i]->key);
    }
    for (size_t i = 0; i < count; i++) {
        if (tasks[i])
            take(workers, tasks[i], &items[i]);
    }
}

void fw_work_results(void *context, void *owner, const fw_lease_result *items, size_t count)
{
    fw_workers *workers = context;
    fw_unit *unit = owner;
    fw_post_from(unit->id);
    for (size_t at = 0; at < count; at += TAKE_MAX)
        take_some(workers, unit->place, items + at, count - at < TAKE_MAX ? count - at : TAKE_MAX);
    fw_post_from(NULL);
    fw_dispatch_flush(workers->engine);
    fw_net_flush(workers->life->net);
}

void fw_work_python_result(void *context, void *owner, fw_prio port, const fw_lease_result *result)
{
    fw_workers *workers = context;
    fw_unit *unit = owner;
    (void)port;
    fw_post_from(unit->id);
    take_some(workers, unit->place, result, 1);
    fw_post_from(NULL);
    fw_dispatch_flush(workers->engine);
    fw_net_flush(workers->life->net);
}

void fw_work_python_failed(void *context, void *owner, fw_prio port, uint64_t lease, bool sent,
                           const char *why)
{
    fw_workers *workers = context;
    fw_unit *unit = owner;
    (void)port;
    fw_task *task = fw_dispatch_claim(workers->engine, unit->place, lease);
    pthread_mutex_lock(&workers->lock);
    snprintf(unit->why, sizeof unit->why, "%s", why);
    pthread_mutex_unlock(&workers->lock);
    /* Nothing more until it is heard of again. */
    fw_rcu_read_lock();
    fw_unit_pause(unit, true);
    fw_rcu_read_unlock();
    if (task && sent)
        fw_dispatch_lose(workers->engine, task, lease);
    else if (task)
        fw_dispatch_return(workers->engine, task, lease, false);
    fw_dispatch_flush(workers->engine);
    fw_net_flush(workers->life->net);
}

/* --- cancels, limits, recalls --- */

void fw_workers_cancel(fw_workers *workers, fw_task *task)
{
    uint32_t place;
    uint64_t lease = fw_dispatch_lease_of(task, &place);
    if (lease == 0)
        return;
    /* [unit-place] acquire: the unit; it stays while we are in a read section. */
    fw_unit *unit = fw_load_acquire(&workers->by_place[place]);
    if (!unit || !unit->native)
        return;
    char id[FW_UUID_TEXT];
    fw_order order = {
        .kind = FW_ORDER_CANCEL, .lease = lease, .key = task->key, .id = fw_record_id(task, id)};
    fw_link_order(unit->link, &order, 1);
}

typedef struct look {
    fw_unit *unit;
    int64_t before_ns; /* given before this */
    int64_t now_ns;
    size_t count;
    fw_order orders[ORDERS_MAX];
    char ids[ORDERS_MAX][FW_UUID_TEXT];
} look;

static bool add_order(look *l, fw_task *task, uint64_t lease, fw_order_kind kind)
{
    l->orders[l->count] = (fw_order){.kind = kind, .lease = lease, .key = task->key};
    /* An id that is no UUID would have to outlive the task: such a task is not recalled. */
    if (!fw_key_is_uuid(task->key))
        return true;
    l->orders[l->count].id = fw_record_id(task, l->ids[l->count]);
    return ++l->count < ORDERS_MAX;
}

static bool end_late(void *context, fw_task *task, uint64_t lease, int64_t given_ns)
{
    look *l = context;
    int64_t margin_ns = l->unit->native ? native_margin_ns : python_margin_ns;
    if (!fw_record_of(task)->limited || l->now_ns - given_ns < margin_ns ||
        l->now_ns - given_ns - margin_ns < task->timeout_ns)
        return true;
    fw_dispatch_expire(l->unit->workers->engine, task, lease);
    /* Relaxed: a count. */
    fw_add_relaxed(&l->unit->workers->expired, 1);
    return add_order(l, task, lease, FW_ORDER_CANCEL);
}

void fw_work_check_deadlines(fw_unit *unit, int64_t now_ns)
{
    static look l; /* main thread only */
    l.unit = unit;
    l.now_ns = now_ns;
    l.count = 0;
    uint32_t place = fw_unit_place(unit);
    if (place != 0)
        fw_dispatch_each(unit->workers->engine, place, end_late, &l);
    if (l.count > 0 && unit->native)
        fw_link_order(unit->link, l.orders, l.count);
}

static bool recall_one(void *context, fw_task *task, uint64_t lease, int64_t given_ns)
{
    look *l = context;
    return given_ns > l->before_ns || add_order(l, task, lease, FW_ORDER_RECALL);
}

void fw_work_recall(fw_unit *unit, int64_t now_ns)
{
    static look l; /* main thread only */
    fw_place_stats stats;
    uint32_t place = fw_unit_place(unit);
    /* Who says how much is sent ahead wants it to stay there. */
    if (unit->workers->house->settings->prefetch != 0)
        return;
    if (!unit->native || place == 0 ||
        !fw_dispatch_place_snapshot(unit->workers->engine, place, &stats))
        return;
    uint64_t ended = stats.ended + stats.returned;
    if (ended != unit->ended_before || stats.in_hand <= stats.slots) {
        unit->ended_before = ended;
        unit->quiet_since_ns = now_ns;
        return;
    }
    if (now_ns - unit->quiet_since_ns < quiet_max_ns)
        return;
    l.unit = unit;
    l.before_ns = unit->quiet_since_ns;
    l.count = 0;
    unit->quiet_since_ns = now_ns;
    fw_dispatch_each(unit->workers->engine, place, recall_one, &l);
    if (l.count > 0 && fw_link_order(unit->link, l.orders, l.count)) {
        /* Relaxed: a count. */
        fw_add_relaxed(&unit->workers->recalls, l.count);
    }
}
