/* app/http/metrics.c - the Prometheus text, written from snapshots. Names and labels:
 * docs/METRICS.md; no label is unbounded: tasks are the registered ones, priorities four, reasons
 * an enum. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "app/control_plane.h"
#include "app/events/events.h"
#include "app/http/exec_metrics.h"
#include "app/http/process_metrics.h"
#include "app/life/queue_line.h"
#include "app/schedules/schedules.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "engine/limits.h"

static void head(fw_buffer *out, const char *name, const char *type, const char *help)
{
    fw_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label(fw_buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fw_buffer_add(out, "\\", 1);
        fw_buffer_add(out, text, 1);
    }
}

static void one(fw_buffer *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    fw_buffer_format(out, "%s %.17g\n", name, value);
}

static void by_level(fw_buffer *out, const char *name, const char *type, const char *help,
                     const double values[FW_LEVELS])
{
    head(out, name, type, help);
    for (int level = 0; level < FW_LEVELS; level++)
        fw_buffer_format(out, "%s{priority=\"%s\"} %.17g\n", name, fw_prio_name((fw_prio)level),
                         values[level]);
}

/* One line per registered task and priority that has counted something. */
static void by_task(fw_buffer *out, const fw_control_plane *plane, const char *name,
                    const char *status, fw_run_count kind)
{
    size_t count = fw_names_count(plane->house.life.names);
    size_t places = fw_run_counts_places(plane->house.life.counts);
    if (count > places)
        count = places;
    for (size_t i = 0; i < count; i++) {
        for (int level = 0; level < FW_LEVELS; level++) {
            uint64_t value = fw_run_counts_read(plane->house.life.counts, i, (fw_prio)level, kind);
            if (value == 0)
                continue;
            fw_buffer_format(out, "%s{task=\"", name);
            add_label(out,
                      i + 1 < places ? fw_names_at(plane->house.life.names, i)->text : "(other)");
            fw_buffer_format(out, "\",priority=\"%s\"", fw_prio_name((fw_prio)level));
            if (status)
                fw_buffer_format(out, ",status=\"%s\"", status);
            fw_buffer_format(out, "} %" PRIu64 "\n", value);
        }
    }
}

/* Queued tasks that a limit or a pause keeps from starting. */
static size_t count_held(const fw_control_plane *plane)
{
    size_t held = 0;
    fw_pause_view pauses;
    fw_limit_pauses(plane->house.engine, &pauses);
    for (int level = 0; level < FW_LEVELS; level++)
        held += pauses.held[level];
    return held;
}

static void write_line(fw_buffer *out, const fw_control_plane *plane)
{
    fw_queue_line_stats line;
    fw_queue_line_snapshot(&plane->house.life, &line);
    one(out, "fastworker_queue_line", "gauge", "Submissions that wait for room in the queue.",
        (double)line.waiting);
    head(out, "fastworker_queue_line_total", "counter", "What became of those that waited.");
    fw_buffer_format(out, "fastworker_queue_line_total{outcome=\"accepted\"} %" PRIu64 "\n",
                     line.accepted);
    fw_buffer_format(out, "fastworker_queue_line_total{outcome=\"refused\"} %" PRIu64 "\n",
                     line.refused);
    fw_buffer_format(out, "fastworker_queue_line_total{outcome=\"gone\"} %" PRIu64 "\n", line.gone);
    one(out, "fastworker_tasks_shed_total", "counter",
        "Tasks that gave way to others of higher priority.", (double)line.shed);
}

static void write_tasks(fw_buffer *out, const fw_control_plane *plane,
                        const fw_engine_stats *engine)
{
    head(out, "fastworker_tasks_started_total", "counter", "Runs started.");
    by_task(out, plane, "fastworker_tasks_started_total", NULL, FW_COUNT_STARTED);
    head(out, "fastworker_tasks_finished_total", "counter", "Tasks ended, by how.");
    by_task(out, plane, "fastworker_tasks_finished_total", "success", FW_COUNT_SUCCESS);
    by_task(out, plane, "fastworker_tasks_finished_total", "failure", FW_COUNT_FAILURE);
    by_task(out, plane, "fastworker_tasks_finished_total", "cancelled", FW_COUNT_CANCELLED);
    by_task(out, plane, "fastworker_tasks_finished_total", "timeout", FW_COUNT_TIMEOUT);
    by_task(out, plane, "fastworker_tasks_finished_total", "expired", FW_COUNT_EXPIRED);
    /* Relaxed: a count. An id that had ended is admitted for a moment, but it is no new task. */
    double known_again = (double)fw_load_relaxed(&plane->house.life.known_again);
    one(out, "fastworker_tasks_submitted_total", "counter", "Tasks accepted.",
        (double)engine->admitted - known_again);
    fw_dead_stats dead;
    fw_dead_snapshot(plane->house.life.dead, &dead);
    one(out, "fastworker_tasks_dead_total", "counter", "Tasks given up after several tries.",
        (double)dead.total);
    one(out, "fastworker_tasks_dead", "gauge", "Those of them that are kept.", (double)dead.tasks);
    head(out, "fastworker_tasks", "gauge", "Tasks now, by state.");
    fw_buffer_format(out, "fastworker_tasks{state=\"queued\"} %zu\n", engine->queued);
    fw_buffer_format(out, "fastworker_tasks{state=\"scheduled\"} %zu\n", engine->scheduled);
    fw_buffer_format(out, "fastworker_tasks{state=\"running\"} %zu\n", engine->running);
    fw_buffer_format(out, "fastworker_tasks{state=\"held\"} %zu\n", count_held(plane));
    head(out, "fastworker_tasks_deduplicated_total", "counter",
         "Requests that started nothing new.");
    /* Relaxed: counts. */
    fw_buffer_format(out, "fastworker_tasks_deduplicated_total{reason=\"resend\"} %" PRIu64 "\n",
                     fw_load_relaxed(&plane->house.life.resent));
    fw_buffer_format(out, "fastworker_tasks_deduplicated_total{reason=\"same_id\"} %" PRIu64 "\n",
                     fw_load_relaxed(&plane->house.life.from_cache));
    write_line(out, plane);
    one(out, "fastworker_queue_limit_tasks", "gauge", "Most unfinished tasks.",
        (double)engine->tasks_max);
    one(out, "fastworker_queue_limit_bytes", "gauge", "Most memory for them.",
        (double)engine->bytes_max);
    one(out, "fastworker_queue_bytes", "gauge", "Memory of unfinished tasks.",
        (double)engine->bytes_used);
}

static void write_workers(fw_buffer *out, const fw_control_plane *plane)
{
    static const char *const states[] = {"active", "draining", "stale"};
    fw_workers_stats workers;
    fw_workers_snapshot(plane->workers, &workers);
    head(out, "fastworker_workers", "gauge", "Subworkers, by state.");
    for (int i = 0; i < 3; i++)
        fw_buffer_format(out, "fastworker_workers{state=\"%s\"} %zu\n", states[i],
                         workers.by_state[i]);
    one(out, "fastworker_worker_slots", "gauge", "Tasks that subworkers can run at once.",
        (double)workers.slots);
    one(out, "fastworker_tasks_in_hand", "gauge", "Tasks that subworkers have.",
        (double)workers.in_hand);
    one(out, "fastworker_worker_lost_total", "counter", "Connections to subworkers that ended.",
        (double)workers.lost);
    one(out, "fastworker_results_late_total", "counter",
        "Results of runs that had been given up; dropped.", (double)workers.late);
    one(out, "fastworker_leases_expired_total", "counter",
        "Tasks ended because their subworker did not answer in time.", (double)workers.expired);
    one(out, "fastworker_tasks_recalled_total", "counter",
        "Tasks asked back from a subworker that was busy for too long.", (double)workers.recalled);
}

static void write_queues(fw_buffer *out, const fw_control_plane *plane,
                         const fw_engine_stats *engine)
{
    double depth[FW_LEVELS], oldest[FW_LEVELS], full[FW_LEVELS], paused[FW_LEVELS];
    fw_pause_view pauses;
    fw_limit_pauses(plane->house.engine, &pauses);
    fw_queue_view queues[FW_LEVELS];
    fw_control_plane_queues(plane, queues);
    for (int i = 0; i < FW_LEVELS; i++) {
        depth[i] = (double)queues[i].depth;
        oldest[i] = queues[i].oldest_s;
        paused[i] = pauses.all_until_ns != 0 || pauses.level_until_ns[i] != 0;
        full[i] = (double)engine->pool.ring_full[i];
    }
    by_level(out, "fastworker_queue_tasks", "gauge", "Tasks waiting.", depth);
    by_level(out, "fastworker_queue_oldest_seconds", "gauge",
             "About how long the oldest has waited.", oldest);
    by_level(out, "fastworker_queue_paused", "gauge", "1: its tasks do not start.", paused);
    by_level(out, "fastworker_ring_full_total", "counter", "Pushes that found the ring full.",
             full);
    head(out, "fastworker_threads", "gauge", "Threads.");
    fw_buffer_format(out, "fastworker_threads{kind=\"task\"} %u\n", engine->pool.threads);
    one(out, "fastworker_stuck_threads", "gauge",
        "Own task threads in a run whose deadline has passed.", engine->stuck);
    head(out, "fastworker_thread_steals_total", "counter", "Work taken from other threads.");
    for (unsigned i = 0; i < engine->pool.threads; i++) {
        fw_thread_stats thread;
        fw_engine_thread_snapshot(plane->house.engine, i, &thread);
        fw_buffer_format(out, "fastworker_thread_steals_total{thread=\"%u\"} %" PRIu64 "\n", i,
                         thread.stolen);
    }
}

static void write_cache(fw_buffer *out, const fw_control_plane *plane)
{
    fw_cache_stats cache;
    fw_cache_snapshot(plane->house.cache, &cache);
    one(out, "fastworker_result_cache_entries", "gauge", "Results kept.", (double)cache.entries);
    one(out, "fastworker_result_cache_bytes", "gauge", "Memory of results.", (double)cache.bytes);
    one(out, "fastworker_result_cache_limit_bytes", "gauge", "Most of it.",
        (double)cache.bytes_max);
    one(out, "fastworker_result_cache_limit_entries", "gauge", "Most results.",
        (double)cache.entries_max);
    one(out, "fastworker_result_cache_retired_bytes", "gauge",
        "Let go of, and kept for readers of the moment.", (double)cache.retired_bytes);
    head(out, "fastworker_result_cache_shard_entries", "gauge", "Results in one part.");
    fw_buffer_format(out, "fastworker_result_cache_shard_entries{part=\"least\"} %zu\n",
                     cache.shard_entries_min);
    fw_buffer_format(out, "fastworker_result_cache_shard_entries{part=\"most\"} %zu\n",
                     cache.shard_entries_max);
    one(out, "fastworker_result_cache_puts_total", "counter", "Results stored.",
        (double)cache.puts);
    one(out, "fastworker_result_cache_expired_total", "counter",
        "Look-ups for a result that is no longer kept.", (double)cache.expired_answers);
    one(out, "fastworker_result_cache_hits_total", "counter", "Look-ups that found one.",
        (double)cache.hits);
    one(out, "fastworker_result_cache_misses_total", "counter", "Look-ups that did not.",
        (double)cache.misses);
    head(out, "fastworker_result_cache_evictions_total", "counter", "Results dropped, by why.");
    fw_buffer_format(out, "fastworker_result_cache_evictions_total{reason=\"lru\"} %" PRIu64 "\n",
                     cache.evicted_count);
    fw_buffer_format(out, "fastworker_result_cache_evictions_total{reason=\"bytes\"} %" PRIu64 "\n",
                     cache.evicted_bytes);
    fw_buffer_format(out, "fastworker_result_cache_evictions_total{reason=\"ttl\"} %" PRIu64 "\n",
                     cache.evicted_ttl);
}

/* --- schedules --- */

typedef struct by_schedule {
    fw_buffer *out;
    int family; /* 0: count states, 1: runs, 2: next, 3: last success */
    size_t active, paused;
} by_schedule;

static void add_schedule(by_schedule *b, const fw_schedule_view *view, const char *name,
                         const char *outcome, double value)
{
    fw_buffer_format(b->out, "%s{schedule=\"", name);
    add_label(b->out, view->name);
    if (outcome)
        fw_buffer_format(b->out, "\",outcome=\"%s", outcome);
    fw_buffer_format(b->out, "\"} %.17g\n", value);
}

static void visit_schedule(void *context, const fw_schedule_view *view)
{
    by_schedule *b = context;
    if (b->family == 0) {
        b->active += view->state[0] == 'a';
        b->paused += view->state[0] == 'p';
    } else if (b->family == 1) {
        static const char name[] = "fastworker_schedule_runs_total";
        add_schedule(b, view, name, "started", (double)view->started);
        add_schedule(b, view, name, "skipped_overlap", (double)view->skipped);
        add_schedule(b, view, name, "missed", (double)view->missed);
        add_schedule(b, view, name, "caught_up", (double)view->caught_up);
    } else if (b->family == 2 && view->next_ns != FW_SCHEDULE_NEVER) {
        add_schedule(b, view, "fastworker_schedule_next_timestamp_seconds", NULL,
                     (double)view->next_ns / 1e9);
    } else if (b->family == 3 && view->last_success_ns != 0) {
        add_schedule(b, view, "fastworker_schedule_last_success_timestamp_seconds", NULL,
                     (double)view->last_success_ns / 1e9);
    }
}

static void write_schedules(fw_buffer *out, const fw_control_plane *plane)
{
    by_schedule b = {.out = out};
    fw_schedules *schedules = plane->house.life.schedules;
    const fw_span all = {0};
    fw_schedules_each(schedules, all, visit_schedule, &b);
    head(out, "fastworker_schedules", "gauge", "Schedules, by state.");
    fw_buffer_format(out, "fastworker_schedules{state=\"active\"} %zu\n", b.active);
    fw_buffer_format(out, "fastworker_schedules{state=\"paused\"} %zu\n", b.paused);
    head(out, "fastworker_schedule_runs_total", "counter", "Times of schedules, by what became.");
    b.family = 1;
    fw_schedules_each(schedules, all, visit_schedule, &b);
    head(out, "fastworker_schedule_next_timestamp_seconds", "gauge", "When a schedule is due.");
    b.family = 2;
    fw_schedules_each(schedules, all, visit_schedule, &b);
    head(out, "fastworker_schedule_last_success_timestamp_seconds", "gauge",
         "When a run of it last succeeded.");
    b.family = 3;
    fw_schedules_each(schedules, all, visit_schedule, &b);
}

static void write_notices(fw_buffer *out, const fw_net_stats *net)
{
    const fw_webhook_stats *http = &net->webhooks;
    const struct {
        const char *kind, *outcome;
        uint64_t count;
    } rows[] = {{"nng", "sent", net->callbacks_sent},
                {"nng", "failed", net->callbacks_failed},
                {"nng", "forbidden", net->callbacks_forbidden},
                {"http", "sent", http->sent},
                {"http", "failed", http->failed},
                {"http", "retried", http->retried},
                {"http", "dropped", http->dropped},
                {"http", "forbidden", net->webhooks_forbidden}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fw_buffer_format(out,
                         "fastworker_callbacks_total{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                         rows[i].kind, rows[i].outcome, rows[i].count);
    one(out, "fastworker_webhooks_waiting", "gauge", "Notices over HTTP that are not settled.",
        (double)http->waiting);
}

static void write_net(fw_buffer *out, const fw_control_plane *plane)
{
    fw_net_stats net;
    fw_net_snapshot(plane->house.net, &net);
    one(out, "fastworker_connections", "gauge", "Connections now.", (double)net.connections);
    one(out, "fastworker_connections_limit", "gauge", "Most of them.", (double)net.connections_max);
    one(out, "fastworker_messages_received_total", "counter", "SP messages read.",
        (double)net.messages_in);
    one(out, "fastworker_messages_sent_total", "counter", "SP messages written.",
        (double)net.messages_out);
    one(out, "fastworker_bytes_received_total", "counter", "Bytes read.", (double)net.bytes_in);
    one(out, "fastworker_bytes_sent_total", "counter", "Bytes written.", (double)net.bytes_out);
    one(out, "fastworker_answers_dropped_total", "counter", "Answers whose connection was gone.",
        (double)net.answers_dropped);
    head(out, "fastworker_tasks_rejected_total", "counter", "Requests refused, by why.");
    for (int reason = 0; reason < FW_REFUSALS; reason++)
        fw_buffer_format(out, "fastworker_tasks_rejected_total{reason=\"%s\"} %" PRIu64 "\n",
                         fw_refusal_name((fw_refusal)reason), net.refused[reason]);
    head(out, "fastworker_callbacks_total", "counter", "Completion notices.");
    write_notices(out, &net);
}

/* Bounds a factor of four apart, from a microsecond to some minutes; they are bounds of buckets. */
static void write_histogram(fw_buffer *out, const char *name, const char *help,
                            const uint64_t counts[FW_LEVELS][FW_LATENCY_BUCKETS],
                            const uint64_t sums_ns[FW_LEVELS])
{
    head(out, name, "histogram", help);
    for (int level = 0; level < FW_LEVELS; level++) {
        const char *priority = fw_prio_name((fw_prio)level);
        uint64_t seen = 0;
        unsigned bucket = 0;
        for (int64_t bound_ns = 1024; bound_ns < 300 * FW_NS_PER_S; bound_ns *= 4) {
            while (fw_latency_bucket_ns(bucket) < bound_ns)
                seen += counts[level][bucket++];
            fw_buffer_format(out, "%s_bucket{priority=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", name,
                             priority, (double)bound_ns / 1e9, seen);
        }
        while (bucket < FW_LATENCY_BUCKETS)
            seen += counts[level][bucket++];
        fw_buffer_format(out,
                         "%s_bucket{priority=\"%s\",le=\"+Inf\"} %" PRIu64
                         "\n%s_sum{priority=\"%s\"} %.9g\n%s_count{priority=\"%s\"} %" PRIu64 "\n",
                         name, priority, seen, name, priority, (double)sums_ns[level] / 1e9, name,
                         priority, seen);
    }
}

static void write_latency(fw_buffer *out, const fw_control_plane *plane)
{
    fw_latency_counts counts;
    fw_latency_read(plane->house.life.latency, &counts);
    write_histogram(out, "fastworker_task_wait_seconds",
                    "Of first runs: from when a task could start to when it did.", counts.wait,
                    counts.wait_ns);
    write_histogram(out, "fastworker_task_run_seconds", "How long runs took.", counts.run,
                    counts.run_ns);
}

static void write_events(fw_buffer *out, const fw_control_plane *plane)
{
    fw_web_stats web;
    fw_web_event_stats events;
    fw_web_snapshot(plane->web, &web);
    one(out, "fastworker_dashboard_connections_total", "counter", "Connections accepted.",
        (double)web.accepted);
    one(out, "fastworker_dashboard_accept_failures_total", "counter",
        "Times that nobody could be accepted for want of descriptors or memory.",
        (double)web.starved);
    fw_web_events_snapshot(plane->web, &events);
    one(out, "fastworker_sse_clients", "gauge", "Listeners to event streams.",
        (double)events.clients);
    one(out, "fastworker_sse_events_total", "counter", "Events published while somebody listened.",
        (double)events.posted);
    one(out, "fastworker_sse_coalesced_total", "counter",
        "Events that others of their name stood for.", (double)events.coalesced);
    one(out, "fastworker_sse_dropped_total", "counter", "Events that found no room.",
        (double)events.dropped);
}

static void write_hub(fw_buffer *out, const fw_control_plane *plane)
{
    fw_events_stats events;
    fw_net_stats net;
    fw_events_snapshot(plane->house.life.events, &events);
    fw_net_snapshot(plane->house.net, &net);
    one(out, "fastworker_events_listeners", "gauge", "Who hears events.", events.listeners);
    one(out, "fastworker_events_told_total", "counter", "Events told.", (double)events.told);
    head(out, "fastworker_events_dropped_total", "counter", "Events that somebody has missed.");
    fw_buffer_format(out, "fastworker_events_dropped_total{reason=\"ring\"} %" PRIu64 "\n",
                     events.dropped);
    fw_buffer_format(out, "fastworker_events_dropped_total{reason=\"subscriber\"} %" PRIu64 "\n",
                     net.events_missed);
}

void fw_metrics_write(void *context, fw_buffer *out)
{
    const fw_control_plane *plane = context;
    fw_engine_stats engine;
    fw_engine_snapshot(plane->house.engine, &engine);
    head(out, "fastworker_build_info", "gauge", "Version.");
    fw_buffer_format(out, "fastworker_build_info{version=\"%s\",role=\"control-plane\"} 1\n",
                     fw_version());
    one(out, "fastworker_start_time_seconds", "gauge", "Unix time of the start.",
        (double)plane->house.started_wall_ns / 1e9);
    write_tasks(out, plane, &engine);
    write_workers(out, plane);
    write_queues(out, plane, &engine);
    write_schedules(out, plane);
    write_cache(out, plane);
    write_net(out, plane);
    fw_exec_metrics_write(plane->house.exec, out);
    write_latency(out, plane);
    write_events(out, plane);
    write_hub(out, plane);
    one(out, "fastworker_rcu_backlog", "gauge", "Objects that wait for their readers to leave.",
        (double)fw_rcu_backlog());
    fw_process_metrics_write(out, plane->house.started_wall_ns);
}
