/* app/manage.c - see app/manage.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage.h"

#include <inttypes.h>
#include <string.h>

#include "app/cancel_where.h"
#include "app/limits.h"
#include "app/manage_text.h"
#include "app/overview.h"
#include "app/schedule_manage.h"
#include "base/clock.h"
#include "net/registry.h"

typedef struct listing {
    fw_buffer *out;
    bool any;
} listing;

static bool list_worker(void *context, const fw_worker_view *w)
{
    listing *l = context;
    fw_buffer_text(l->out, l->any ? ", {\"id\": " : "{\"id\": ");
    l->any = true;
    fw_buffer_json_string(l->out, fw_text_span(w->id));
    fw_buffer_text(l->out, ", \"address\": ");
    fw_buffer_json_string(l->out, fw_text_span(w->address));
    fw_buffer_text(l->out, ", \"software\": ");
    fw_buffer_json_string(l->out, fw_text_span(w->software));
    fw_buffer_format(l->out,
                     ", \"state\": \"%s\", \"native\": %s, \"slots\": %u, \"in_hand\": %u, "
                     "\"window\": %u, \"tasks\": %zu, \"seen_seconds\": %.1f, "
                     "\"given\": %" PRIu64 ", \"ended\": %" PRIu64 ", \"returned\": %" PRIu64
                     ", \"lost\": %" PRIu64 "}",
                     w->state, w->native ? "true" : "false", w->slots, w->in_hand, w->window,
                     w->names, (double)(fw_wall_ns() - w->last_seen_wall_ns) / 1e9, w->given,
                     w->ended, w->returned, w->lost);
    return true;
}

static void drain(fw_workers *workers, fw_json request, bool drain, fw_buffer *out)
{
    char id[FW_WORKER_TEXT_MAX + 1];
    fw_span worker;
    fw_json value = fw_json_get(request, "worker");
    if (!fw_json_string(value, id, sizeof id, &worker) || worker.len == 0) {
        fw_manage_fail(out, "invalid", "worker: a subworker's id is wanted");
        return;
    }
    if (fw_workers_drain(workers, worker, drain) < 0) {
        fw_manage_fail(out, "unknown", "no such subworker is connected");
        return;
    }
    fw_buffer_text(out, "{\"worker\": ");
    fw_buffer_json_string(out, worker);
    fw_buffer_format(out, ", \"state\": \"%s\"}", drain ? "draining" : "active");
}

/* --- the dead --- */

typedef struct burial {
    fw_buffer *out;
    size_t limit, seen;
} burial;

static bool list_dead(void *context, const fw_dead_task *d)
{
    burial *b = context;
    fw_buffer *out = b->out;
    if (b->seen++ >= b->limit)
        return true;
    fw_buffer_text(out, b->seen > 1 ? ", {\"task_id\": " : "{\"task_id\": ");
    fw_buffer_json_string(out, d->id);
    fw_buffer_text(out, ", \"name\": ");
    fw_buffer_json_string(out, d->name);
    fw_buffer_text(out, ", \"args\": ");
    fw_buffer_add(out, d->args.ptr, d->args.len);
    fw_buffer_text(out, ", \"kwargs\": ");
    fw_buffer_add(out, d->kwargs.ptr, d->kwargs.len);
    fw_buffer_format(out, ", \"priority\": \"%s\", \"attempts\": %u, \"losses\": %u, \"error\": ",
                     fw_prio_name((fw_prio)d->level), d->attempts, d->losses);
    fw_buffer_json_string(out, d->error);
    fw_buffer_format(out, ", \"created_unix\": %.3f, \"died_unix\": %.3f}",
                     (double)d->created_wall_ns / 1e9, (double)d->died_wall_ns / 1e9);
    return true;
}

static void write_dead(fw_lifecycle *life, fw_json request, fw_buffer *out)
{
    int64_t limit = 100;
    burial b = {.out = out};
    if (fw_json_get(request, "limit").type != FW_JSON_INVALID &&
        (!fw_json_int(fw_json_get(request, "limit"), &limit) || limit < 0)) {
        fw_manage_fail(out, "invalid", "limit: a count is wanted");
        return;
    }
    b.limit = (size_t)limit;
    fw_buffer_text(out, "{\"tasks\": [");
    fw_dead_each(life->dead, list_dead, &b);
    fw_buffer_format(out, "], \"total\": %zu}", b.seen);
}

static void forget(void *context, const fw_dead_task *task)
{
    (void)context;
    (void)task;
}

static void change_dead(fw_lifecycle *life, fw_json request, bool again, fw_buffer *out)
{
    char text[FW_ID_MAX + 1];
    fw_buffer unknown = {0};
    fw_json ids = fw_json_get(request, "task_ids"), value;
    fw_span id;
    size_t done = 0, missing = 0;
    if (ids.type != FW_JSON_ARRAY) {
        fw_manage_fail(out, "invalid", "task_ids: an array of ids is wanted");
        return;
    }
    fw_buffer_text(out, "{\"done\": [");
    fw_json_cursor cursor = fw_json_open(ids);
    while (fw_json_next(&cursor, &value)) {
        bool known =
            fw_json_string(value, text, sizeof text, &id) && id.len > 0 && id.len <= FW_ID_MAX;
        fw_key key = known ? fw_key_from_text(id) : (fw_key){0, 0};
        known = known && (again ? fw_lifecycle_revive(life, key)
                                : fw_dead_take(life->dead, key, forget, NULL));
        size_t *count = known ? &done : &missing;
        fw_buffer *list = known ? out : &unknown;
        fw_buffer_text(list, (*count)++ ? ", " : "");
        fw_buffer_add(list, value.text.ptr, value.text.len);
    }
    fw_buffer_text(out, "], \"unknown\": [");
    if (unknown.len > 0)
        fw_buffer_add(out, unknown.data, unknown.len);
    fw_buffer_text(out, "]}");
    fw_buffer_fini(&unknown);
}

void fw_manage_answer(fw_lifecycle *life, fw_span action, fw_span text, fw_buffer *out)
{
    fw_json request = fw_json_parse(text);
    if (fw_text_is(action, "workers")) {
        listing l = {out, false};
        fw_buffer_text(out, "{\"workers\": [");
        fw_workers_each(life->workers, list_worker, &l);
        fw_buffer_text(out, "]}");
    } else if (fw_text_is(action, "stats")) {
        fw_overview_answer(life, out);
    } else if (fw_text_is(action, "drain") || fw_text_is(action, "resume")) {
        drain(life->workers, request, fw_text_is(action, "drain"), out);
    } else if (fw_text_is(action, "dead")) {
        write_dead(life, request, out);
    } else if (fw_text_is(action, "dead_retry") || fw_text_is(action, "dead_delete")) {
        change_dead(life, request, fw_text_is(action, "dead_retry"), out);
    } else if (!fw_limits_answer(life, action, request, out) &&
               !fw_cancel_where_answer(life, action, request, out) &&
               !fw_schedule_manage(life->schedules, action, request, out)) {
        fw_manage_fail(out, "invalid",
                       "action: workers, stats, drain, resume, dead, dead_retry, dead_delete, "
                       "cancel_where, limits, limit_set, "
                       "pause, resume_queue, schedules or schedule_... (docs/PROTOCOL.md)");
    }
}
