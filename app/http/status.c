/* app/http/status.c - see app/http/status.h. Covered by control_plane_test.py.
 *
 * Every figure comes from counters that are read without a lock; figures of
 * one answer need not belong to one moment. Shapes are upstream's (protocol 15.2).
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/status.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "app/life/record.h"
#include "app/manage/manage_text.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

/* A naive local datetime as upstream's API writes it, or null. */
static void add_time(fw_buffer *out, int64_t wall_ns)
{
    /* The last second that was asked for: all want the present one. */
    static _Thread_local time_t my_second = -1;
    static _Thread_local char my_text[32];
    time_t seconds = (time_t)(wall_ns / FW_NS_PER_S);
    if (wall_ns == 0) {
        fw_buffer_text(out, "null");
        return;
    }
    if (seconds != my_second) {
        struct tm parts;
        localtime_r(&seconds, &parts);
        strftime(my_text, sizeof my_text, "\"%Y-%m-%dT%H:%M:%S.", &parts);
        my_second = seconds;
    }
    fw_buffer_text(out, my_text);
    fw_buffer_digits(out, (uint64_t)(wall_ns % FW_NS_PER_S / FW_NS_PER_US), 6);
    fw_buffer_text(out, "\"");
}

static void add_number(fw_buffer *out, const char *before, uint64_t number)
{
    fw_buffer_text(out, before);
    fw_buffer_unsigned(out, number);
}

void fw_show_status(const fw_control_plane *plane, fw_buffer *out)
{
    fw_engine_stats engine;
    fw_cache_stats cache;
    fw_engine_snapshot(plane->house.engine, &engine);
    fw_cache_snapshot(plane->house.cache, &cache);
    fw_buffer_text(out, "{\"worker_id\": ");
    fw_buffer_json_string(out, fw_text_span(plane->house.settings->worker_id));
    /* Relaxed: a flag to be shown. */
    fw_buffer_text(out, fw_load_relaxed(&plane->house.draining)
                            ? ", \"running\": false, \"base_address\": "
                            : ", \"running\": true, \"base_address\": ");
    fw_buffer_json_string(out, fw_text_span(plane->house.settings->base_address));
    fw_buffer_text(out, ", \"discovery_address\": ");
    fw_buffer_json_string(out, fw_text_span(plane->house.settings->discovery_address));
    /* No printf: it would be half of what the answer costs. */
    uint64_t uptime_ns = (uint64_t)(fw_now_ns() - plane->house.started_ns);
    add_number(out, ", \"uptime_seconds\": ", uptime_ns / FW_NS_PER_S);
    fw_buffer_text(out, ".");
    fw_buffer_digits(out, uptime_ns % FW_NS_PER_S / FW_NS_PER_US, 6);
    size_t total, active;
    fw_workers_count(plane->workers, &total, &active);
    add_number(out, ", \"subworkers\": {\"total\": ", total);
    add_number(out, ", \"active\": ", active);
    add_number(out, ", \"inactive\": ", total - active);
    add_number(out, "}, \"tasks\": {\"queued\": ", engine.queued + engine.scheduled);
    add_number(out, ", \"active\": ", engine.running);
    add_number(out, ", \"cached_results\": ", cache.entries);
    add_number(out, "}, \"cache\": {\"max_size\": ", cache.entries_max);
    add_number(out, ", \"current_size\": ", cache.entries);
    add_number(out, ", \"ttl_seconds\": ", (uint64_t)(cache.ttl_ns / FW_NS_PER_S));
    fw_buffer_text(out, "}, \"timestamp\": ");
    add_time(out, fw_wall_ns());
    fw_buffer_text(out, "}");
}

typedef struct worker_list {
    fw_buffer *out;
    size_t count;
} worker_list;

static bool write_worker(void *context, const fw_worker_view *worker)
{
    worker_list *list = context;
    fw_buffer *out = list->out;
    bool active = strcmp(worker->state, "active") == 0;
    list->count++;
    fw_buffer_text(out, ", {\"id\": ");
    fw_buffer_json_string(out, fw_text_span(worker->id));
    fw_buffer_text(out, ", \"address\": ");
    fw_buffer_json_string(out, fw_text_span(worker->address));
    fw_buffer_format(out, ", \"status\": \"%s\", \"load\": %u, \"last_seen\": ",
                     active ? "active" : "inactive", worker->in_hand);
    add_time(out, worker->last_seen_wall_ns);
    fw_buffer_text(out, ", \"registered_at\": ");
    add_time(out, worker->registered_wall_ns);
    fw_buffer_format(
        out,
        ", \"is_control_plane\": false, \"state\": \"%s\", \"native\": %s, "
        "\"slots\": %u, \"window\": %u, \"tasks\": %zu, \"given\": %" PRIu64 ", \"ended\": %" PRIu64
        ", \"returned\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"software\": ",
        worker->state, worker->native ? "true" : "false", worker->slots, worker->window,
        worker->names, worker->given, worker->ended, worker->returned, worker->lost);
    fw_buffer_json_string(out, fw_text_span(worker->software));
    fw_buffer_text(out, "}");
    return true;
}

void fw_show_workers(const fw_control_plane *plane, fw_buffer *out)
{
    fw_engine_stats engine;
    fw_engine_snapshot(plane->house.engine, &engine);
    fw_buffer_text(out, "{\"workers\": [{\"id\": ");
    fw_buffer_json_string(out, fw_text_span(plane->house.settings->worker_id));
    fw_buffer_text(out, ", \"address\": ");
    fw_buffer_json_string(out, fw_text_span(fw_net_address(plane->house.net)));
    fw_buffer_format(out,
                     ", \"status\": \"active\", \"load\": %zu, \"last_seen\": ", engine.running);
    add_time(out, fw_wall_ns());
    fw_buffer_text(out, ", \"registered_at\": ");
    add_time(out, plane->house.started_wall_ns);
    fw_buffer_text(out, ", \"is_control_plane\": true}");
    worker_list list = {out, 1};
    fw_workers_each(plane->workers, write_worker, &list);
    fw_buffer_format(out, "], \"count\": %zu}", list.count);
}

/* --- /api/tasks --- */

typedef struct task_page {
    fw_buffer *out;
    const fw_task_filter *filter;
    size_t matched, written;
} task_page;

/* The first hundred bytes, not cutting a character. */
static fw_span cut(fw_span text)
{
    if (text.len > 100) {
        text.len = 100;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
            text.len--;
    }
    return text;
}

static bool is_wanted(const fw_task_filter *filter, const fw_cache_item *item)
{
    if (filter->status.len > 0 && fw_state_parse(filter->status) != (int)item->status)
        return false;
    if (filter->priority.len > 0 && fw_prio_parse(filter->priority) != item->level)
        return false;
    return filter->name.len == 0 || (filter->name.len == item->name.len &&
                                     memcmp(filter->name.ptr, item->name.ptr, item->name.len) == 0);
}

static bool write_task(void *context, const fw_cache_item *item)
{
    task_page *page = context;
    const fw_task_filter *filter = page->filter;
    char id[FW_UUID_TEXT];
    if (!is_wanted(filter, item))
        return true;
    size_t place = page->matched++;
    if (place < filter->offset || page->written >= filter->limit)
        return true;
    fw_buffer *out = page->out;
    fw_span text = item->id;
    if (text.len == 0) {
        fw_key_format(id, item->key);
        text = (fw_span){id, sizeof id};
    }
    fw_buffer_text(out, page->written++ ? ", {\"task_id\": " : "{\"task_id\": ");
    fw_buffer_json_string(out, text);
    fw_buffer_text(out, ", \"name\": ");
    fw_buffer_json_string(out, item->name);
    fw_buffer_format(out, ", \"priority\": \"%s\", \"status\": \"%s\", \"result\": ",
                     fw_prio_name((fw_prio)item->level), fw_state_name(item->status));
    if (item->result.len > 0)
        fw_buffer_json_string(out, cut(item->result));
    else
        fw_buffer_text(out, "null");
    fw_buffer_text(out, ", \"error\": ");
    if (item->error.ptr)
        fw_buffer_json_string(out, item->error);
    else
        fw_buffer_text(out, "null");
    fw_buffer_text(out, ", \"started_at\": ");
    add_time(out, item->started_wall_ns);
    fw_buffer_text(out, ", \"completed_at\": ");
    add_time(out, item->finished_wall_ns);
    fw_buffer_text(out, "}");
    return true;
}

void fw_show_tasks(const fw_control_plane *plane, const fw_task_filter *filter, fw_buffer *out)
{
    task_page page = {.out = out, .filter = filter};
    uint64_t cursor = 0;
    fw_buffer_text(out, "{\"tasks\": [");
    do {
        fw_rcu_read_lock();
        fw_cache_each(plane->house.cache, &cursor, fw_now_ns(), write_task, &page);
        fw_rcu_read_unlock();
    } while (cursor != 0);
    fw_buffer_format(out, "], \"total\": %zu, \"limit\": %zu, \"offset\": %zu}", page.matched,
                     filter->limit, filter->offset);
}

/* --- queues, cache, registered tasks --- */

void fw_control_plane_queues(const fw_control_plane *plane, fw_queue_view out[FW_LEVELS])
{
    fw_overview_queues(plane->house.engine, out);
}

void fw_show_queues(const fw_control_plane *plane, fw_buffer *out)
{
    fw_queue_view queues[FW_LEVELS];
    size_t total = 0;
    fw_control_plane_queues(plane, queues);
    fw_buffer_text(out, "{\"queues\": {");
    for (int level = 0; level < FW_LEVELS; level++) {
        total += queues[level].depth;
        fw_buffer_format(out, "%s\"%s\": {\"count\": %zu, \"oldest_seconds\": %.3f, \"tasks\": []}",
                         level ? ", " : "", fw_prio_name((fw_prio)level), queues[level].depth,
                         queues[level].oldest_s);
    }
    fw_buffer_format(out, "}, \"total_queued\": %zu}", total);
}

void fw_show_cache(const fw_control_plane *plane, fw_buffer *out)
{
    fw_cache_stats cache;
    fw_cache_snapshot(plane->house.cache, &cache);
    double used = cache.entries_max ? 100.0 * (double)cache.entries / (double)cache.entries_max : 0;
    fw_buffer_format(out,
                     "{\"max_size\": %zu, \"current_size\": %zu, \"utilization_percent\": %.2f, "
                     "\"ttl_seconds\": %lld, \"bytes\": %zu, \"max_bytes\": %zu, \"hits\": %" PRIu64
                     ", \"misses\": %" PRIu64 ", \"expired\": %" PRIu64
                     ", \"evicted\": {\"lru\": %" PRIu64 ", \"bytes\": %" PRIu64
                     ", \"ttl\": %" PRIu64 "}, \"retired_bytes\": %zu, \"shards\": {\"count\": %u, "
                     "\"least\": %zu, \"most\": %zu}, \"by_status\": {",
                     cache.entries_max, cache.entries, used,
                     (long long)(cache.ttl_ns / FW_NS_PER_S), cache.bytes, cache.bytes_max,
                     cache.hits, cache.misses, cache.expired_answers, cache.evicted_count,
                     cache.evicted_bytes, cache.evicted_ttl, cache.retired_bytes, cache.shards,
                     cache.shard_entries_min, cache.shard_entries_max);
    bool first = true;
    for (int state = 0; state < FW_UNKNOWN; state++) {
        if (cache.by_status[state] == 0)
            continue;
        fw_buffer_format(out, "%s\"%s\": %zu", first ? "" : ", ", fw_state_name((fw_state)state),
                         cache.by_status[state]);
        first = false;
    }
    fw_buffer_text(out, "}}");
}

void fw_show_registered(const fw_control_plane *plane, fw_buffer *out)
{
    size_t count = fw_names_count(plane->house.names);
    fw_buffer_text(out, "{\"tasks\": [");
    for (size_t i = 0; i < count; i++) {
        const fw_name *name = fw_names_at(plane->house.names, i);
        const char *doc = name->entry ? name->entry->def->doc : NULL;
        fw_buffer_text(out, i ? ", {\"name\": " : "{\"name\": ");
        fw_buffer_json_string(out, fw_name_text(name));
        fw_buffer_text(out, ", \"module\": ");
        fw_buffer_json_string(out,
                              fw_text_span(name->entry ? name->entry->module->name : "subworker"));
        fw_buffer_text(out, ", \"doc\": ");
        if (doc)
            fw_buffer_json_string(out, fw_text_span(doc));
        else
            fw_buffer_text(out, "null");
        fw_buffer_text(out, "}");
    }
    fw_buffer_format(out, "], \"count\": %zu}", count);
}
