/* app/life/intake.c - the first crossing: requests become tasks, or an answer that is known
 * already.
 *
 * A read's worth of requests is handled together: what the tables will touch is fetched ahead,
 * tasks of one level enter the engine with one claim. Runs on NNG's threads and never waits.
 *
 * journal-note: between admission and acknowledgement is the one place where a record of the
 * accepted tasks has to be written for durability; accept_chunk marks it. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/events/event_posts.h"
#include "app/life/intake_chunk.h"
#include "app/life/queue_line.h"
#include "app/life/task_options.h"
#include "app/life/unknown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

/* So many requests ahead the tables are fetched: as much as a processor has on its way at once. */
enum { CHUNK = FW_CHUNK, AHEAD = 6 };
typedef fw_chunk chunk;

static int64_t due_of(const fw_submission *s, const chunk *c)
{
    return s->eta_wall_ns > c->wall_ns ? c->now_ns + (s->eta_wall_ns - c->wall_ns) : 0;
}

/* Due so late that its asker is not kept waiting. */
static bool is_held_back(const fw_lifecycle *life, const fw_submission *s, const chunk *c)
{
    return s->eta_wall_ns != 0 && s->eta_wall_ns - c->wall_ns > life->hold_ns;
}

void fw_intake_answer(fw_lifecycle *life, const chunk *c, const fw_submission *s,
                      const fw_cache_item *item)
{
    fw_result_view view = fw_view_of_item(item);
    /* Relaxed: a count. */
    fw_add_relaxed(&life->from_cache, 1);
    if (s->reply.form == FW_REPLY_FRAME && !c->batch)
        fw_net_answer_accepted(life->net, &s->reply, &view);
    if (fw_reply_wants_result(&s->reply))
        fw_net_answer_result(life->net, &s->reply, &view);
}

/* The id is alive: this asker waits with the others (JOINED), or can't (ENDED, it was told). -1:
 * the id has just ended, look again. */
int fw_intake_join(fw_lifecycle *life, const chunk *c, const fw_submission *s, fw_task *live)
{
    /* Relaxed: a count. */
    fw_add_relaxed(&life->resent, 1);
    if (!fw_reply_wants_result(&s->reply) || s->accept_only)
        return FATE_JOINED;
    if (s->reply.form != FW_REPLY_FRAME && is_held_back(life, s, c)) {
        fw_result_view view = {.key = s->key, .id = s->id, .status = FW_SCHEDULED};
        fw_net_answer_accepted(life->net, &s->reply, &view);
        return FATE_ENDED;
    }
    fw_waiter *waiter = fw_waiter_create(&life->waiters, &s->reply, s->key, 0, false);
    if (!waiter) {
        fw_net_answer_refusal(life->net, &s->reply, s->id, FW_REFUSED_FULL,
                              "too many wait already");
        return FATE_ENDED;
    }
    return fw_waiters_attach(&life->waiters, live, waiter) ? FATE_JOINED : -1;
}

static void prepare(fw_lifecycle *life, const chunk *c, fw_task *task, const fw_submission *s,
                    const fw_name *name)
{
    fw_record_write(task, s, name, c->wall_ns);
    const fw_task_policy *policy = fw_name_policy(name);
    if (task->timeout_ns == 0 && policy)
        task->timeout_ns = policy->timeout_ns;
    if (task->timeout_ns == 0 && name->entry)
        task->timeout_ns = name->entry->def->timeout_ms * FW_NS_PER_MS;
    fw_record *record = fw_record_of(task);
    record->limited = task->timeout_ns > 0;
    if (!record->limited)
        task->timeout_ns = life->task_timeout_ns;
    if (s->accept_only || (record->form != FW_REPLY_FRAME && is_held_back(life, s, c)))
        record->form = FW_REPLY_NONE;
}

/* Somebody may run tasks of that name, now or when he comes back. NULL: nobody. */
static const fw_name *runnable(fw_lifecycle *life, fw_span text, const fw_name **last)
{
    const fw_name *name = fw_names_find_again(life->names, text, last);
    if (FW_LIKELY(name && name->entry))
        return name;
    /* [name-announced] acquire: its tasks do not go to the own threads. */
    if (name && fw_load_acquire(&name->announced))
        return name;
    /* Relaxed, both: whoever comes or goes at this moment was early or late. */
    bool any = fw_load_relaxed(&life->wildcards) > 0;
    if (!any && !fw_load_relaxed(&life->waits))
        return NULL;
    /* Half of the places stay for names that somebody has. */
    if (!name && fw_names_count(life->names) < FW_NAMES_KEPT_MAX / 2)
        name = fw_names_add(life->names, text);
    if (name && !any)
        fw_unknown_waits(life, name);
    return name;
}

/* The cache has the answer. A control plane that tries again after a failure wants another run. */
static bool is_known(fw_lifecycle *life, const chunk *c, const fw_submission *s, bool peek,
                     fw_cache_item *item)
{
    if (fw_cache_get(life->cache, s->key, c->now_ns, peek, item) != FW_CACHE_FOUND)
        return false;
    return s->reply.form != FW_REPLY_LEASE || item->status == FW_SUCCESS ||
           item->attempt > s->retry_count;
}

/* The id has ended before: it is in the cache, or gone from there for not so long that it may run
 * again. */
static bool has_ended(fw_lifecycle *life, const chunk *c, const fw_submission *s)
{
    fw_cache_item item;
    fw_cache_answer stored = fw_cache_get(life->cache, s->key, c->now_ns, true, &item);
    if (FW_LIKELY(stored == FW_CACHE_UNKNOWN))
        return false;
    if (stored == FW_CACHE_FOUND)
        return is_known(life, c, s, true, &item);
    return life->dedup_ns > 0 && !c->again && s->reply.form != FW_REPLY_LEASE &&
           fw_cache_gone_within(life->cache, s->key, c->now_ns, life->dedup_ns);
}

/* One request. The caller is in a read section. */
fw_fate fw_intake_admit(fw_lifecycle *life, chunk *c, size_t i, fw_task *spare,
                        const fw_wishes *wishes)
{
    const fw_submission *s = &c->items[i];
    fw_cache_item item;
    const fw_name *name = runnable(life, s->name, &c->name);
    if (!name) {
        if (spare)
            fw_engine_abandon(life->engine, spare);
        if (is_known(life, c, s, false, &item))
            fw_intake_answer(life, c, s, &item);
        else if (s->reply.form == FW_REPLY_LEASE)
            fw_net_answer_refusal(life->net, &s->reply, s->id, FW_REFUSED_UNKNOWN_NAME, NULL);
        else
            fw_lifecycle_end_unknown(life, s, !c->batch);
        return FATE_ENDED;
    }
    fw_task *task = spare ? spare : fw_engine_alloc(life->engine, fw_record_size(s));
    if (!task)
        return FATE_REFUSED;
    int64_t due_ns = due_of(s, c);
    bool held = wishes && wishes->node;
    prepare(life, c, task, s, name);
    if (wishes)
        fw_wishes_mark(wishes, task);
    for (;;) {
        fw_task *live = fw_engine_admit(life->engine, task, due_ns != 0 || held);
        if (live == task)
            break;
        int joined = fw_intake_join(life, c, s, live);
        if (joined >= 0) {
            fw_engine_abandon(life->engine, task);
            return (fw_fate)joined;
        }
        if (is_known(life, c, s, false, &item)) {
            fw_intake_answer(life, c, s, &item);
            fw_engine_abandon(life->engine, task);
            return FATE_ENDED;
        }
        fw_cpu_relax(); /* its end is stored nowhere and its id free in a moment */
    }
    c->tasks[i] = task;
    if (has_ended(life, c, s)) {
        /* Relaxed: it goes to no queue. */
        fw_store_relaxed(&fw_record_of(task)->losses, FW_RECORD_KNOWN);
        return FATE_KNOWN;
    }
    return held ? FATE_HELD : due_ns != 0 ? FATE_SCHEDULED : FATE_QUEUED;
}

/* What comes under a lease was looked at by who gave it. */
static inline fw_fate admit(fw_lifecycle *life, chunk *c, size_t i, fw_task *spare)
{
    const fw_submission *s = &c->items[i];
    if (FW_LIKELY(s->options.len == 0) || s->reply.form == FW_REPLY_LEASE)
        return fw_intake_admit(life, c, i, spare, NULL);
    return fw_intake_admit_composed(life, c, i, spare);
}

static void post_accepted(fw_lifecycle *life, const chunk *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const fw_submission *s = &c->items[i];
        bool later = c->fates[i] == FATE_SCHEDULED || c->fates[i] == FATE_HELD;
        if (later || c->fates[i] == FATE_QUEUED)
            fw_post_accepted(life, s, later, s->eta_wall_ns - c->wall_ns);
    }
}

/* Hands accepted tasks to the engine; one claim per run of equal levels. */
void fw_intake_hand_over(fw_lifecycle *life, chunk *c)
{
    fw_task *run[CHUNK];
    if (fw_is_heard(life))
        post_accepted(life, c);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        size_t n = 0;
        for (size_t i = 0; i < c->count; i++) {
            if (c->fates[i] == FATE_QUEUED && c->items[i].level == level)
                run[n++] = c->tasks[i];
        }
        if (n > 0)
            fw_engine_enqueue(life->engine, (fw_prio)level, run, n);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->fates[i] == FATE_SCHEDULED)
            fw_engine_schedule(life->engine, c->tasks[i], due_of(&c->items[i], c));
        else if (c->fates[i] == FATE_KNOWN)
            fw_engine_drop(life->engine, c->tasks[i], true);
    }
}

static void acknowledge(fw_lifecycle *life, const chunk *c, size_t i)
{
    const fw_submission *s = &c->items[i];
    fw_result_view view = {.key = s->key, .id = s->id, .status = FW_QUEUED};
    if (c->fates[i] == FATE_REFUSED) {
        if (!c->in_line && !fw_queue_line_wait_alone(life, s))
            fw_refuse_full(life, s);
        return;
    }
    if (c->fates[i] == FATE_ENDED)
        return;
    bool later = c->fates[i] == FATE_SCHEDULED || c->fates[i] == FATE_HELD;
    if (later)
        view.status = FW_SCHEDULED;
    if (s->reply.form == FW_REPLY_FRAME)
        fw_net_answer_accepted(life->net, &s->reply, &view);
    else if (s->reply.form != FW_REPLY_NONE &&
             (s->accept_only || (later && is_held_back(life, s, c))))
        fw_net_answer_accepted(life->net, &s->reply, &view);
}

/* What the tables will touch. */
static inline void fetch(const fw_lifecycle *life, const fw_submission *s)
{
    fw_engine_prefetch(life->engine, s->key);
    fw_cache_prefetch_get(life->cache, s->key);
}

static void accept_chunk(fw_lifecycle *life, chunk *c, fw_task *const *spares)
{
    FW_ASSERT(c->count <= CHUNK);
    fw_rcu_read_lock();
    for (size_t i = 0; i < c->count; i++) {
        if (i + AHEAD < c->count)
            fetch(life, &c->items[i + AHEAD]);
        c->fates[i] = admit(life, c, i, spares ? spares[i] : NULL);
    }
    /* journal-note: a durable record of c->tasks would be written here. */
    fw_intake_hand_over(life, c);
    for (size_t i = 0; i < c->count && !c->batch; i++)
        acknowledge(life, c, i);
    fw_rcu_read_unlock();
}

/* spares: tasks that were reserved for a batch, or NULL. */
static void accept_all(fw_lifecycle *life, const fw_submission *items, size_t count,
                       fw_task *const *spares)
{
    for (size_t at = 0; at < count; at += CHUNK) {
        chunk c;
        c.again = c.in_line = false;
        c.name = NULL;
        c.items = items + at;
        c.count = count - at < CHUNK ? count - at : CHUNK;
        c.batch = spares != NULL;
        c.wall_ns = fw_wall_ns();
        c.now_ns = fw_now_ns();
        for (size_t i = 0; i < c.count && i < AHEAD; i++)
            fetch(life, &c.items[i]);
        accept_chunk(life, &c, spares ? spares + at : NULL);
    }
}

/* Others of their level, or above it, wait for room already. */
static void accept_behind(fw_lifecycle *life, const fw_submission *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!fw_queue_line_is_before(life, items[i].level))
            accept_all(life, &items[i], 1, NULL);
        else if (!fw_queue_line_wait_alone(life, &items[i]))
            fw_refuse_full(life, &items[i]);
    }
}

void fw_lifecycle_submit(void *context, const fw_submission *items, size_t count)
{
    fw_lifecycle *life = context;
    if (FW_UNLIKELY(fw_queue_line_is_before(life, FW_LEVELS - 1)))
        accept_behind(life, items, count);
    else
        accept_all(life, items, count, NULL);
}

bool fw_intake_retry(fw_lifecycle *life, const fw_submission *s)
{
    chunk c = {
        .items = s, .count = 1, .in_line = true, .wall_ns = fw_wall_ns(), .now_ns = fw_now_ns()};
    accept_chunk(life, &c, NULL);
    return c.fates[0] != FATE_REFUSED;
}

typedef struct revival {
    fw_lifecycle *life;
    bool done;
} revival;

/* What finds no room, or nobody to run it, stays among the dead. */
static void submit_again(void *context, const fw_dead_task *dead)
{
    revival *r = context;
    fw_lifecycle *life = r->life;
    fw_submission s = {
        .key = dead->key,
        .id = dead->id,
        .name = dead->name,
        .args = dead->args,
        .kwargs = dead->kwargs,
        .callback = dead->callback,
        .options = dead->options,
        .timeout_ns = dead->timeout_ns,
        /* Runs are counted on: a subworker may still know the earlier ones. */
        .retry_count = (int32_t)dead->attempts,
        .max_retries = (int32_t)dead->attempts + dead->max_retries,
        .retry_delay_s = dead->retry_delay_s,
        .retry_backoff = dead->retry_backoff,
        .retry_backoff_max_s = dead->retry_backoff_max_s,
        .level = dead->level,
        .reply = {.form = FW_REPLY_NONE},
    };
    /* A name that nobody knows any more would end it at once. */
    const fw_name *name = NULL;
    bool may = runnable(life, s.name, &name) && fw_compose_may_revive(life, &s);
    fw_task *task = may ? fw_engine_alloc(life->engine, fw_record_size(&s)) : NULL;
    if (!task) {
        (void)fw_dead_add(life->dead, dead);
        return;
    }
    /* Its old end would be its answer. */
    fw_rcu_read_lock();
    fw_cache_remove(life->cache, s.key);
    fw_rcu_read_unlock();
    chunk c = {.items = &s,
               .count = 1,
               .batch = true,
               .again = true,
               .wall_ns = fw_wall_ns(),
               .now_ns = fw_now_ns()};
    accept_chunk(life, &c, &task);
    r->done = c.fates[0] != FATE_REFUSED;
    if (!r->done)
        (void)fw_dead_add(life->dead, dead);
}

bool fw_lifecycle_revive(fw_lifecycle *life, fw_key key)
{
    revival r = {life, false};
    return life->dead && fw_dead_take(life->dead, key, submit_again, &r) && r.done;
}

/* Memory for all, or for none. */
bool fw_intake_reserve(fw_lifecycle *life, const fw_submission *items, size_t count,
                       fw_task **spares)
{
    for (size_t i = 0; i < count; i++) {
        spares[i] = fw_engine_alloc(life->engine, fw_record_size(&items[i]));
        if (spares[i])
            continue;
        while (i > 0)
            fw_engine_abandon(life->engine, spares[--i]);
        return false;
    }
    return true;
}

int fw_lifecycle_submit_all(fw_lifecycle *life, const fw_submission *items, size_t count,
                            char error[FW_TASK_OPTIONS_ERROR])
{
    if (fw_intake_is_composed(items, count))
        return fw_intake_composed(life, items, count, NULL, error);
    fw_task **spares = calloc(count ? count : 1, sizeof *spares);
    bool reserved = spares && fw_intake_reserve(life, items, count, spares);
    if (reserved)
        accept_all(life, items, count, spares);
    else
        (void)fw_full_text(life, error);
    free(spares);
    return reserved ? 0 : -FW_EFULL;
}

int fw_intake_batch(fw_lifecycle *life, const fw_submission *items, size_t count,
                    const fw_reply_to *reply, char error[FW_TASK_OPTIONS_ERROR])
{
    if (fw_intake_is_composed(items, count))
        return fw_intake_composed(life, items, count, reply, error);
    fw_span *ids = malloc((count ? count : 1) * sizeof *ids);
    int rc = -FW_EFULL;
    if (!ids) {
        (void)fw_full_text(life, error);
        return rc;
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = items[i].id;
    rc = fw_lifecycle_submit_all(life, items, count, error);
    if (rc == 0)
        fw_net_answer_batch(life->net, reply, ids, count, 0, NULL);
    free(ids);
    return rc;
}

void fw_lifecycle_submit_batch(void *context, const fw_submission *items, size_t count,
                               const fw_reply_to *reply)
{
    fw_lifecycle *life = context;
    char error[FW_TASK_OPTIONS_ERROR] = "";
    const fw_line_ask ask = {.items = items, .count = count, .reply = reply};
    int rc = fw_queue_line_goes_behind(life, items, count)
                 ? -FW_EFULL
                 : fw_intake_batch(life, items, count, reply, error);
    if (rc == 0 || (rc == -FW_EFULL && fw_queue_line_wait(life, &ask)))
        return;
    fw_net_answer_batch(life->net, reply, NULL, 0, -rc,
                        error[0] ? error : fw_full_text(life, error));
}

/* Who asks for a member of a refused batch later learns why it did not run. */
void fw_lifecycle_batch_refused(void *context, const fw_span *ids, size_t count, const char *error)
{
    fw_lifecycle *life = context;
    int64_t wall_ns = fw_wall_ns(), now_ns = fw_now_ns();
    fw_cache_item before;
    fw_rcu_read_lock();
    for (size_t i = 0; i < count; i++) {
        if (ids[i].len == 0 || ids[i].len > FW_ID_MAX)
            continue;
        fw_key key = fw_key_from_text(ids[i]);
        if (fw_engine_find(life->engine, key) ||
            fw_cache_get(life->cache, key, now_ns, true, &before) == FW_CACHE_FOUND)
            continue;
        fw_cache_item item = {.key = key,
                              .id = fw_key_is_uuid(key) ? (fw_span){0} : ids[i],
                              .status = FW_FAILURE,
                              .level = FW_NORMAL,
                              .created_wall_ns = wall_ns,
                              .finished_wall_ns = wall_ns,
                              .error = {error, strlen(error)}};
        fw_cache_put(life->cache, &item, 0, now_ns);
    }
    fw_rcu_read_unlock();
}
