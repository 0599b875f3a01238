/* app/manage.c - see app/manage.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "net/registry.h"

static fw_span text_span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static bool is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static void fail(fw_buffer *out, const char *code, const char *text)
{
    fw_buffer_format(out, "{\"status\": \"error\", \"error\": \"%s\", \"code\": \"%s\"}", text,
                     code);
}

typedef struct listing {
    fw_buffer *out;
    bool any;
} listing;

static bool list_worker(void *context, const fw_worker_view *w)
{
    listing *l = context;
    fw_buffer_text(l->out, l->any ? ", {\"id\": " : "{\"id\": ");
    l->any = true;
    fw_buffer_json_string(l->out, text_span(w->id));
    fw_buffer_text(l->out, ", \"address\": ");
    fw_buffer_json_string(l->out, text_span(w->address));
    fw_buffer_text(l->out, ", \"software\": ");
    fw_buffer_json_string(l->out, text_span(w->software));
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

static void drain(fw_workers *workers, fw_span request, bool drain, fw_buffer *out)
{
    char id[FW_WORKER_TEXT_MAX + 1];
    fw_span worker;
    fw_json value = fw_json_get(fw_json_parse(request), "worker");
    if (!fw_json_string(value, id, sizeof id, &worker) || worker.len == 0) {
        fail(out, "invalid", "worker: a subworker's id is wanted");
        return;
    }
    if (fw_workers_drain(workers, worker, drain) < 0) {
        fail(out, "unknown", "no such subworker is connected");
        return;
    }
    fw_buffer_text(out, "{\"worker\": ");
    fw_buffer_json_string(out, worker);
    fw_buffer_format(out, ", \"state\": \"%s\"}", drain ? "draining" : "active");
}

void fw_manage_answer(fw_workers *workers, fw_span action, fw_span request, fw_buffer *out)
{
    if (is(action, "workers")) {
        listing l = {out, false};
        fw_buffer_text(out, "{\"workers\": [");
        fw_workers_each(workers, list_worker, &l);
        fw_buffer_text(out, "]}");
    } else if (is(action, "drain") || is(action, "resume")) {
        drain(workers, request, is(action, "drain"), out);
    } else {
        fail(out, "invalid", "action: workers, drain or resume");
    }
}
