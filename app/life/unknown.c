/* app/life/unknown.c - see app/life/unknown.h.
 *
 * A name remembers since when tasks of it may be waiting. Only when that is longer ago than the
 * hold is the engine walked through, and then the name remembers the oldest that is left: so the
 * walk is made about once in a hold for each unknown name, whatever comes in.
 * Covered by tests/interop/unknown_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/unknown.h"

#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/record.h"

#include <stdio.h>
#include <string.h>

#include "app/commands/suggest.h"
#include "app/life/webhooks.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

enum { CANDIDATES = 4096 };

/* The nearest name that somebody has, or NULL. */
static const char *nearest(const fw_names *names, const fw_name *name)
{
    const char *known[CANDIDATES];
    size_t count = 0, all = fw_names_count(names);
    for (size_t i = 0; i < all && count < CANDIDATES; i++) {
        const fw_name *other = fw_names_at(names, i);
        /* [name-announced] acquire: as in app/life/intake. */
        if (other->entry || fw_load_acquire(&other->announced))
            known[count++] = other->text;
    }
    return fw_suggest(name->text, known, count);
}

static void describe(const fw_lifecycle *life, const fw_name *name, const char *before, char *out,
                     size_t capacity)
{
    const char *near = nearest(life->names, name);
    snprintf(out, capacity, "%s knows the task '%.200s'%s%.200s%s", before, name->text,
             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

void fw_unknown_waits(fw_lifecycle *life, const fw_name *name)
{
    fw_atomic(int64_t) *since = &((fw_name *)(uintptr_t)name)->waits_since_ns;
    int64_t none = 0;
    char text[512];
    /* [unknown-since] seq_cst: one of many warns. A later sweep sees it, if not this one. */
    if (FW_LIKELY(fw_load_relaxed(since) != 0) || !fw_cas_seq_cst(since, &none, fw_wall_ns()))
        return;
    describe(life, name, "no worker", text, sizeof text);
    fw_log(FW_LOG_WARN, "task.unknown", "%s Its tasks wait for one.", text);
}

typedef struct walk {
    fw_lifecycle *life;
    const fw_name *name;
    int64_t before_ns;      /* waits since before that: ended */
    int64_t oldest_left_ns; /* 0: none is left */
    size_t ended;
    char text[512];
} walk;

static bool visit(void *context, fw_task *task)
{
    walk *w = context;
    if (task->name != w->name->index || fw_task_state(task) != FW_QUEUED)
        return true;
    const fw_record_extras *extras = fw_record_extras_of(task);
    int64_t since_ns = task->created_wall_ns;
    if (extras && extras->eta_wall_ns > since_ns)
        since_ns = extras->eta_wall_ns;
    if (since_ns < w->before_ns)
        w->ended += fw_lifecycle_give_up(w->life, task, w->text);
    else if (w->oldest_left_ns == 0 || since_ns < w->oldest_left_ns)
        w->oldest_left_ns = since_ns;
    return true;
}

static void end_old_ones(fw_lifecycle *life, const fw_name *name, int64_t now_wall_ns)
{
    walk w = {.life = life, .name = name, .before_ns = now_wall_ns - life->unknown_hold_ns};
    char before[64];
    /* Relaxed: what comes now is found by the walk, or sets it again. */
    fw_store_relaxed(&((fw_name *)(uintptr_t)name)->waits_since_ns, (int64_t)0);
    snprintf(before, sizeof before, "within %g s no worker came that",
             (double)life->unknown_hold_ns / 1e9);
    describe(life, name, before, w.text, sizeof w.text);
    fw_rcu_read_lock();
    fw_engine_each(life->engine, visit, &w);
    fw_rcu_read_unlock();
    int64_t none = 0;
    /* [unknown-since] seq_cst: unless a new one has set it already. */
    if (w.oldest_left_ns != 0)
        (void)fw_cas_seq_cst(&((fw_name *)(uintptr_t)name)->waits_since_ns, &none,
                             w.oldest_left_ns);
    if (w.ended > 0)
        fw_log(FW_LOG_WARN, "task.unknown", "%s %zu given up.", w.text, w.ended);
}

void fw_unknown_sweep(fw_lifecycle *life, int64_t now_wall_ns)
{
    size_t count = fw_names_count(life->names);
    /* Relaxed: a wildcard that comes now takes them, or is late. */
    if (life->unknown_hold_ns == 0 || fw_load_relaxed(&life->wildcards) > 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const fw_name *name = fw_names_at(life->names, i);
        int64_t since_ns = fw_load_relaxed(&name->waits_since_ns);
        if (FW_LIKELY(since_ns == 0) || now_wall_ns - since_ns < life->unknown_hold_ns)
            continue;
        /* [name-announced] acquire: as in app/life/intake. */
        if (!fw_load_acquire(&name->announced))
            end_old_ones(life, name, now_wall_ns);
    }
}

void fw_lifecycle_end_unknown(fw_lifecycle *life, const fw_submission *s, bool acknowledge)
{
    char text[384];
    int64_t wall = fw_wall_ns();
    int len = snprintf(text, sizeof text, "Task %.*s not found",
                       (int)(s->name.len > 300 ? 300 : s->name.len), s->name.ptr);
    fw_cache_item item = {
        .key = s->key,
        .id = fw_key_is_uuid(s->key) ? (fw_span){0} : s->id,
        .status = FW_FAILURE,
        .level = s->level,
        .attempt = 1,
        .created_wall_ns = wall,
        .started_wall_ns = wall,
        .finished_wall_ns = wall,
        .name = s->name,
        .error = {text, (size_t)len},
        .callback = s->callback,
    };
    fw_cache_put(life->cache, &item, s->result_ttl_ns, fw_now_ns());
    if (fw_is_heard(life))
        fw_post_ended(life, &item, 0);
    fw_result_view view = fw_view_of_item(&item);
    view.id = s->id;
    if (s->reply.form == FW_REPLY_FRAME && acknowledge)
        fw_net_answer_accepted(life->net, &s->reply, &view);
    if (fw_reply_wants_result(&s->reply))
        fw_net_answer_result(life->net, &s->reply, &view);
    fw_notify_ended(life, s->name, &view, s->options);
}
