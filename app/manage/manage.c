/* app/manage/manage.c - see app/manage/manage.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/manage.h"

#include <inttypes.h>
#include <string.h>

#include "app/manage/cancel_where.h"
#include "app/manage/dead_manage.h"
#include "app/manage/limits.h"
#include "app/manage/manage_text.h"
#include "app/manage/overview.h"
#include "app/schedules/schedule_manage.h"
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
    } else if (!fw_dead_answer(life, action, request, out) &&
               !fw_limits_answer(life, action, request, out) &&
               !fw_cancel_where_answer(life, action, request, out) &&
               !fw_schedule_manage(life->schedules, action, request, out)) {
        fw_manage_fail(
            out, "invalid",
            "action: workers, stats, drain, resume, dead, dead_retry, dead_delete, dead_edit, "
            "cancel_where, limits, limit_set, "
            "pause, resume_queue, schedules or schedule_... (docs/PROTOCOL.md)");
    }
}
