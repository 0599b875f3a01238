/* app/http/http_stats.c - see app/http/http_stats.h. Covered by stats_test.py.
 *
 * A point is what is kept of a second: short, for charts. The event "stats" is the point and what
 * else the overview shows, and is made only when somebody listens. Both speak of the second that
 * has passed: differences of counters that only grow. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/manage/manage_text.h"
#include "base/clock.h"
#include "engine/dispatch.h"
#include "engine/limits.h"

enum { POINTS_KEPT = 900, ENDS = 4 };

static const fw_run_count ends[ENDS] = {FW_COUNT_SUCCESS, FW_COUNT_FAILURE, FW_COUNT_CANCELLED,
                                        FW_COUNT_TIMEOUT};
static const char *const end_names[ENDS] = {"success", "failure", "cancelled", "timeout"};

/* Counters at one moment. */
typedef struct reading {
    int64_t at_ns; /* monotonic */
    uint64_t submitted, finished[ENDS];
    fw_latency_counts latency;
} reading;

struct fw_http_stats {
    fw_control_plane *plane;
    reading before, now;
    fw_latency_counts passed; /* between the two */
    fw_engine_stats engine;
    fw_queue_view queues[FW_LEVELS];
    char *points[POINTS_KEPT]; /* a ring */
    uint64_t point_count;
    fw_buffer event; /* the last one */
};

fw_http_stats *fw_http_stats_create(fw_control_plane *plane)
{
    fw_http_stats *stats = calloc(1, sizeof *stats);
    if (stats) {
        stats->plane = plane;
        stats->now.at_ns = plane->house.started_ns;
    }
    return stats;
}

void fw_http_stats_destroy(fw_http_stats *stats)
{
    if (!stats)
        return;
    for (size_t i = 0; i < POINTS_KEPT; i++)
        free(stats->points[i]);
    fw_buffer_fini(&stats->event);
    free(stats);
}

/* --- measuring --- */

static void count_ends(const fw_lifecycle *life, uint64_t out[ENDS])
{
    size_t count = fw_names_count(life->names), places = fw_run_counts_places(life->counts);
    count = count < places ? count : places;
    for (int end = 0; end < ENDS; end++) {
        out[end] = 0;
        for (size_t i = 0; i < count; i++)
            for (int level = 0; level < FW_LEVELS; level++)
                out[end] += fw_run_counts_read(life->counts, i, (fw_prio)level, ends[end]);
    }
}

static void subtract(fw_latency_counts *out, const fw_latency_counts *now,
                     const fw_latency_counts *before)
{
    for (int level = 0; level < FW_LEVELS; level++) {
        for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
            out->wait[level][i] = now->wait[level][i] - before->wait[level][i];
            out->run[level][i] = now->run[level][i] - before->run[level][i];
        }
        for (int behind = 0; behind < FW_LEVELS; behind++) {
            out->behind[level][behind] = now->behind[level][behind] - before->behind[level][behind];
            out->behind_ns[level][behind] =
                now->behind_ns[level][behind] - before->behind_ns[level][behind];
        }
    }
}

static void measure(fw_http_stats *stats)
{
    fw_control_plane *plane = stats->plane;
    const fw_lifecycle *life = &plane->house.life;
    stats->before = stats->now;
    fw_engine_snapshot(plane->house.engine, &stats->engine);
    fw_control_plane_queues(plane, stats->queues);
    stats->now.at_ns = fw_now_ns();
    /* Relaxed: a count. */
    stats->now.submitted = stats->engine.admitted - fw_load_relaxed(&life->known_again);
    count_ends(life, stats->now.finished);
    fw_latency_read(life->latency, &stats->now.latency);
    subtract(&stats->passed, &stats->now.latency, &stats->before.latency);
}

static double seconds_passed(const fw_http_stats *stats)
{
    double s = (double)(stats->now.at_ns - stats->before.at_ns) / 1e9;
    return s > 0 ? s : 1;
}

static double rate(const fw_http_stats *stats, uint64_t now, uint64_t before)
{
    return (double)(now - before) / seconds_passed(stats);
}

/* --- writing --- */

typedef uint64_t histogram[FW_LATENCY_BUCKETS];

/* => how many; out: over all levels. */
static uint64_t add_up(uint64_t *out, const histogram levels[FW_LEVELS])
{
    uint64_t total = 0;
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
        out[i] = 0;
        for (int level = 0; level < FW_LEVELS; level++)
            out[i] += levels[level][i];
        total += out[i];
    }
    return total;
}

/* [bucket, count, bucket, count...] */
static void write_pairs(fw_buffer *out, const uint64_t *counts)
{
    bool any = false;
    fw_buffer_text(out, "[");
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
        if (counts[i] == 0)
            continue;
        fw_buffer_format(out, "%s%u,%" PRIu64, any ? "," : "", i, counts[i]);
        any = true;
    }
    fw_buffer_text(out, "]");
}

/* Microseconds: [p50, p90, p99, p99.9]. */
static void write_quantiles(fw_buffer *out, const uint64_t *counts)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999};
    for (int i = 0; i < 4; i++)
        fw_buffer_format(out, "%s%.1f", i ? "," : "[",
                         (double)fw_latency_quantile(counts, shares[i]) / 1e3);
    fw_buffer_text(out, "]");
}

static void write_point(const fw_http_stats *stats, fw_buffer *out)
{
    histogram wait, run;
    const reading *now = &stats->now, *before = &stats->before;
    fw_buffer_format(out, "{\"t\":%.1f,\"submitted\":%.1f,\"running\":%zu,\"queued\":%zu",
                     (double)fw_wall_ns() / 1e9, rate(stats, now->submitted, before->submitted),
                     stats->engine.running, stats->engine.queued);
    for (int i = 0; i < ENDS; i++)
        fw_buffer_format(out, ",\"%s\":%.1f", end_names[i],
                         rate(stats, now->finished[i], before->finished[i]));
    fw_buffer_text(out, ",\"depth\":[");
    for (int i = 0; i < FW_LEVELS; i++)
        fw_buffer_format(out, "%s%zu", i ? "," : "", stats->queues[i].depth);
    fw_buffer_text(out, "],\"oldest\":[");
    for (int i = 0; i < FW_LEVELS; i++)
        fw_buffer_format(out, "%s%.3f", i ? "," : "",
                         stats->queues[i].depth ? stats->queues[i].oldest_s : 0.0);
    fw_buffer_text(out, "]");
    if (add_up(wait, stats->passed.wait) > 0) {
        fw_buffer_text(out, ",\"wait\":");
        write_quantiles(out, wait);
        fw_buffer_text(out, ",\"wait_counts\":");
        write_pairs(out, wait);
    }
    if (add_up(run, stats->passed.run) > 0) {
        fw_buffer_text(out, ",\"run\":");
        write_quantiles(out, run);
        fw_buffer_text(out, ",\"run_counts\":");
        write_pairs(out, run);
    }
    fw_buffer_text(out, "}");
}

static void write_tasks(const fw_http_stats *stats, fw_buffer *out)
{
    const fw_engine_stats *engine = &stats->engine;
    fw_dead_stats dead;
    fw_cache_stats cache;
    fw_dead_snapshot(stats->plane->house.life.dead, &dead);
    fw_cache_snapshot(stats->plane->house.cache, &cache);
    fw_buffer_format(out,
                     ", \"tasks\": {\"submitted\": %" PRIu64 ", \"queued\": %zu, \"scheduled\": "
                     "%zu, \"running\": %zu, \"dead\": %zu, \"kept\": %zu, \"bytes\": %zu, "
                     "\"bytes_max\": %zu",
                     stats->now.submitted, engine->queued, engine->scheduled, engine->running,
                     dead.tasks, cache.entries, engine->bytes_used, engine->bytes_max);
    for (int i = 0; i < ENDS; i++)
        fw_buffer_format(out, ", \"%s\": %" PRIu64, end_names[i], stats->now.finished[i]);
    fw_buffer_text(out, "}");
}

static void write_queues(const fw_http_stats *stats, fw_buffer *out)
{
    fw_pause_view pauses;
    fw_limit_pauses(stats->plane->house.engine, &pauses);
    fw_buffer_format(out, ", \"paused\": %s, \"queues\": {",
                     pauses.all_until_ns ? "true" : "false");
    for (int i = 0; i < FW_LEVELS; i++) {
        const uint64_t *waits = stats->passed.wait[i];
        fw_buffer_format(out,
                         "%s\"%s\": {\"depth\": %zu, \"oldest_seconds\": %.3f, \"held\": %zu, "
                         "\"paused\": %s, \"wait\": ",
                         i ? ", " : "", fw_prio_name((fw_prio)i), stats->queues[i].depth,
                         stats->queues[i].depth ? stats->queues[i].oldest_s : 0.0, pauses.held[i],
                         pauses.level_until_ns[i] ? "true" : "false");
        write_quantiles(out, waits);
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "}");
}

static void write_threads(const fw_http_stats *stats, fw_buffer *out)
{
    unsigned count = stats->plane->house.runs ? stats->engine.pool.threads : 0;
    fw_buffer_text(out, ", \"threads\": [");
    for (unsigned i = 0; i < count; i++) {
        fw_thread_stats thread;
        fw_engine_thread_snapshot(stats->plane->house.engine, i, &thread);
        fw_buffer_format(out,
                         "%s{\"ran\": %" PRIu64 ", \"stolen\": %" PRIu64 ", \"parks\": %" PRIu64
                         ", \"spins\": %" PRIu64 ", \"parked\": %s}",
                         i ? ", " : "", thread.ran, thread.stolen, thread.parks, thread.spins,
                         thread.parked ? "true" : "false");
    }
    fw_buffer_text(out, "]");
}

static void write_workers(const fw_http_stats *stats, fw_buffer *out)
{
    fw_workers_stats workers;
    fw_workers_snapshot(stats->plane->workers, &workers);
    fw_buffer_format(out,
                     ", \"workers\": {\"active\": %zu, \"draining\": %zu, \"stale\": %zu, "
                     "\"slots\": %" PRIu64 ", \"in_hand\": %" PRIu64 ", \"lost\": %" PRIu64 "}",
                     workers.by_state[0], workers.by_state[1], workers.by_state[2], workers.slots,
                     workers.in_hand, workers.lost);
}

static void write_name(const fw_http_stats *stats, fw_buffer *out, uint32_t name)
{
    const fw_names *names = stats->plane->house.names;
    fw_buffer_json_string(out, name < fw_names_count(names) ? fw_name_text(fw_names_at(names, name))
                                                            : fw_text_span("?"));
}

/* inversion-note in app/life/latency.h: what waited behind what in this second, and the worst of
 * it. */
static void write_inversions(const fw_http_stats *stats, fw_buffer *out)
{
    bool any = false;
    fw_latency_worst worst;
    fw_buffer_text(out, ", \"behind\": [");
    for (int level = 0; level < FW_LEVELS; level++) {
        for (int behind = level + 1; behind < FW_LEVELS; behind++) {
            uint64_t count = stats->passed.behind[level][behind];
            if (count == 0)
                continue;
            fw_buffer_format(out,
                             "%s{\"priority\": \"%s\", \"behind\": \"%s\", \"count\": %" PRIu64
                             ", \"mean_ms\": %.3f}",
                             any ? ", " : "", fw_prio_name((fw_prio)level),
                             fw_prio_name((fw_prio)behind), count,
                             (double)stats->passed.behind_ns[level][behind] / (double)count / 1e6);
            any = true;
        }
    }
    fw_latency_take_worst(stats->plane->house.life.latency, &worst);
    fw_buffer_text(out, "], \"worst\": ");
    if (worst.wait_ns == 0) {
        fw_buffer_text(out, "null");
        return;
    }
    fw_buffer_format(out,
                     "{\"wait_ms\": %.3f, \"priority\": \"%s\", \"behind_priority\": \"%s\", "
                     "\"name\": ",
                     (double)worst.wait_ns / 1e6, fw_prio_name((fw_prio)worst.level),
                     fw_prio_name((fw_prio)worst.behind_level));
    write_name(stats, out, worst.name);
    fw_buffer_text(out, ", \"behind\": ");
    write_name(stats, out, worst.behind);
    fw_buffer_text(out, "}");
}

static void write_event(const fw_http_stats *stats, fw_buffer *out)
{
    const fw_house *house = &stats->plane->house;
    const char *point = stats->points[(stats->point_count - 1) % POINTS_KEPT];
    fw_web_event_stats events;
    fw_web_events_snapshot(stats->plane->web, &events);
    fw_buffer_text(out, "{\"worker_id\": ");
    fw_buffer_json_string(out, fw_text_span(house->settings->worker_id));
    /* Relaxed: a flag to be shown. */
    fw_buffer_format(out, ", \"version\": \"%s\", \"state\": \"%s\", \"uptime_seconds\": %.1f",
                     fw_version(), fw_load_relaxed(&house->draining) ? "draining" : "running",
                     (double)(fw_now_ns() - house->started_ns) / 1e9);
    write_tasks(stats, out);
    write_queues(stats, out);
    write_threads(stats, out);
    write_workers(stats, out);
    write_inversions(stats, out);
    fw_buffer_format(out, ", \"listeners\": %u, \"point\": %s}", events.clients,
                     point ? point : "null");
}

/* --- every second --- */

static void keep_point(fw_http_stats *stats)
{
    fw_buffer point = {0};
    write_point(stats, &point);
    fw_buffer_add(&point, "", 1);
    char **place = &stats->points[stats->point_count++ % POINTS_KEPT];
    free(*place);
    *place = point.failed ? NULL : point.data;
    if (point.failed)
        fw_buffer_fini(&point);
}

void fw_http_stats_second(void *context)
{
    fw_http_stats *stats = context;
    measure(stats);
    keep_point(stats);
    stats->event.len = 0;
    if (!fw_web_is_watched(stats->plane->web))
        return;
    write_event(stats, &stats->event);
    if (!stats->event.failed)
        fw_web_publish(stats->plane->web, "stats", (fw_span){stats->event.data, stats->event.len});
}

/* --- routes --- */

static void get_stats(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_http_stats *stats = context;
    (void)request;
    if (stats->point_count == 0)
        fw_http_stats_second(stats);
    if (stats->event.len == 0)
        write_event(stats, &stats->event);
    fw_buffer_add(&answer->body, stats->event.data, stats->event.len);
}

static void get_history(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_http_stats *stats = context;
    fw_span text;
    size_t seconds = 300;
    if (fw_web_query(request, "seconds", &text) &&
        !fw_web_read_number(text, POINTS_KEPT, &seconds)) {
        fw_web_problem_field(answer, 400, "seconds", "a whole number is wanted");
        return;
    }
    uint64_t first = stats->point_count > seconds ? stats->point_count - seconds : 0;
    bool any = false;
    fw_buffer_format(&answer->body, "{\"buckets\": %d, \"points\": [", FW_LATENCY_BUCKETS);
    for (uint64_t i = first; i < stats->point_count; i++) {
        const char *point = stats->points[i % POINTS_KEPT];
        if (!point)
            continue;
        fw_buffer_text(&answer->body, any ? "," : "");
        fw_buffer_text(&answer->body, point);
        any = true;
    }
    fw_buffer_text(&answer->body, "]}");
}

static void get_settings(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    const fw_http_stats *stats = context;
    char *text = NULL;
    size_t len = 0;
    (void)request;
    FILE *file = open_memstream(&text, &len);
    if (!file) {
        fw_web_problem(answer, 503, NULL, NULL);
        return;
    }
    fw_settings_show(stats->plane->house.settings, file, true);
    fclose(file);
    fw_buffer_add(&answer->body, text, len);
    free(text);
}

fw_web_table fw_http_stats_table(fw_http_stats *stats)
{
    static const fw_web_route routes[] = {
        {"GET", "/api/v1/stats", FW_WEB_READ, get_stats, NULL, FW_WEB_AT_ONCE},
        {"GET", "/api/v1/stats/history?seconds", FW_WEB_READ, get_history, NULL, FW_WEB_AT_ONCE},
        {"GET", "/api/v1/settings", FW_WEB_READ, get_settings, NULL, FW_WEB_AT_ONCE},
    };
    return (fw_web_table)FW_WEB_TABLE(routes, stats);
}
