/* app/manage/overview.c - see app/manage/overview.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/overview.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "app/manage/thread_times.h"
#include "app/workers/workers.h"
#include "base/clock.h"
#include "engine/dispatch.h"
#include "engine/limits.h"

void fw_overview_queues(fw_engine *engine, fw_queue_view out[FW_LEVELS])
{
    fw_engine_stats stats;
    fw_dispatch_stats dispatch;
    int64_t now_ns = fw_wall_ns();
    fw_engine_snapshot(engine, &stats);
    fw_dispatch_snapshot(engine, &dispatch);
    for (int level = 0; level < FW_LEVELS; level++) {
        out[level].depth = stats.pool.ring_depth[level] + stats.pool.overflow_depth[level] +
                           dispatch.waiting[level];
        int64_t oldest_ns = stats.pool.oldest_ns[level];
        if (dispatch.oldest_wall_ns[level] > 0 &&
            now_ns - dispatch.oldest_wall_ns[level] > oldest_ns)
            oldest_ns = now_ns - dispatch.oldest_wall_ns[level];
        out[level].oldest_s = (double)oldest_ns / 1e9;
    }
}

static void write_tasks(const fw_engine_stats *engine, fw_buffer *out)
{
    fw_buffer_format(out,
                     ", \"tasks\": {\"admitted\": %" PRIu64 ", \"live\": %zu, \"queued\": %zu, "
                     "\"scheduled\": %zu, \"running\": %zu, \"success\": %" PRIu64
                     ", \"failure\": %" PRIu64 ", \"cancelled\": %" PRIu64 ", \"late\": %" PRIu64
                     ", \"bytes\": %zu, \"bytes_max\": %zu, \"max\": %zu}",
                     engine->admitted, engine->live, engine->queued, engine->scheduled,
                     engine->running, engine->finished[FW_SUCCESS], engine->finished[FW_FAILURE],
                     engine->finished[FW_CANCELLED], engine->deadline_missed, engine->bytes_used,
                     engine->bytes_max, engine->tasks_max);
}

/* [[up to ns, how many], ...] of the buckets that hold any. */
static void write_counts(const char *name, const uint64_t counts[FW_LATENCY_BUCKETS],
                         fw_buffer *out)
{
    bool any = false;
    fw_buffer_format(out, ", \"%s\": [", name);
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
        if (counts[i] == 0)
            continue;
        fw_buffer_format(out, "%s[%" PRId64 ", %" PRIu64 "]", any ? ", " : "",
                         fw_latency_bucket_ns(i + 1), counts[i]);
        any = true;
    }
    fw_buffer_text(out, "]");
}

static void write_queues(const fw_lifecycle *life, const fw_engine_stats *engine, fw_buffer *out)
{
    fw_queue_view queues[FW_LEVELS];
    fw_pause_view pauses;
    fw_latency_counts times;
    fw_latency_read(life->latency, &times);
    fw_overview_queues(life->engine, queues);
    fw_limit_pauses(life->engine, &pauses);
    fw_buffer_text(out, ", \"queues\": [");
    for (int i = 0; i < FW_LEVELS; i++) {
        bool paused = pauses.all_until_ns != 0 || pauses.level_until_ns[i] != 0;
        fw_buffer_format(out,
                         "%s{\"priority\": \"%s\", \"waiting\": %zu, \"oldest_seconds\": %.3f, "
                         "\"held\": %zu, \"paused\": %s, \"ran\": %" PRIu64
                         ", \"ring_full\": %" PRIu64,
                         i ? ", " : "", fw_prio_name((fw_prio)i), queues[i].depth,
                         queues[i].oldest_s, pauses.held[i], paused ? "true" : "false",
                         engine->pool.ran[i], engine->pool.ring_full[i]);
        write_counts("waits", times.wait[i], out);
        write_counts("runs", times.run[i], out);
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "]");
}

static void write_threads(const fw_lifecycle *life, const fw_pool_stats *pool, fw_buffer *out)
{
    fw_buffer_format(out,
                     ", \"pool\": {\"threads\": %u, \"parked\": %u, \"searching\": %u, \"wakes\": "
                     "%" PRIu64 ", \"ring_size\": %zu}, \"threads\": [",
                     pool->threads, pool->parked, pool->searching, pool->wakes, pool->ring_size);
    for (unsigned i = 0; i < pool->threads; i++) {
        fw_thread_stats thread;
        fw_engine_thread_snapshot(life->engine, i, &thread);
        fw_buffer_format(out,
                         "%s{\"ran\": %" PRIu64 ", \"stolen\": %" PRIu64 ", \"spawned\": %" PRIu64
                         ", \"parks\": %" PRIu64 ", \"spins\": %" PRIu64 ", \"parked\": %s}",
                         i ? ", " : "", thread.ran, thread.stolen, thread.spawned, thread.parks,
                         thread.spins, thread.parked ? "true" : "false");
    }
    fw_buffer_text(out, "]");
}

static void write_cpu(fw_buffer *out)
{
    fw_thread_time times[FW_THREAD_TIMES_MAX];
    struct rusage usage;
    size_t count = fw_thread_times(times);
    getrusage(RUSAGE_SELF, &usage);
    double used = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    fw_buffer_format(out,
                     ", \"cpu\": {\"seconds\": %.6f, \"sleeps\": %ld, \"preempted\": %ld, "
                     "\"resident_max\": %ld, \"threads\": [",
                     used, usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_maxrss * 1024);
    for (size_t i = 0; i < count; i++) {
        fw_buffer_text(out, i ? ", {\"name\": " : "{\"name\": ");
        fw_buffer_json_string(out, (fw_span){times[i].name, strlen(times[i].name)});
        fw_buffer_format(out, ", \"threads\": %u, \"ran\": %.6f, \"waited\": %.6f}",
                         times[i].threads, (double)times[i].ran_ns / 1e9,
                         (double)times[i].waited_ns / 1e9);
    }
    fw_buffer_text(out, "]}");
}

static void write_net(const fw_lifecycle *life, fw_buffer *out)
{
    fw_net_stats net;
    uint64_t refused = 0;
    fw_net_snapshot(life->net, &net);
    for (int i = 0; i < FW_REFUSALS; i++)
        refused += net.refused[i];
    fw_buffer_format(
        out,
        ", \"net\": {\"connections\": %zu, \"messages_in\": %" PRIu64 ", \"messages_out\": %" PRIu64
        ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"refused\": %" PRIu64 "}",
        net.connections, net.messages_in, net.messages_out, net.bytes_in, net.bytes_out, refused);
}

void fw_overview_answer(const fw_lifecycle *life, fw_buffer *out)
{
    fw_engine_stats engine;
    fw_cache_stats cache;
    fw_workers_stats workers;
    fw_engine_snapshot(life->engine, &engine);
    fw_cache_snapshot(life->cache, &cache);
    fw_buffer_format(out, "{\"version\": \"%s\", \"at_seconds\": %.6f, \"up_seconds\": %.6f",
                     fw_version(), (double)fw_now_ns() / 1e9, (double)fw_process_age_ns() / 1e9);
    write_tasks(&engine, out);
    write_queues(life, &engine, out);
    write_threads(life, &engine.pool, out);
    write_cpu(out);
    write_net(life, out);
    fw_workers_snapshot(life->workers, &workers);
    fw_buffer_format(out,
                     ", \"workers\": {\"active\": %zu, \"draining\": %zu, \"stale\": %zu, "
                     "\"slots\": %" PRIu64 ", \"in_hand\": %" PRIu64 ", \"lost\": %" PRIu64 "}",
                     workers.by_state[0], workers.by_state[1], workers.by_state[2], workers.slots,
                     workers.in_hand, workers.lost);
    fw_buffer_format(out,
                     ", \"cache\": {\"entries\": %zu, \"bytes\": %zu, \"hits\": %" PRIu64
                     ", \"misses\": %" PRIu64 ", \"evicted\": %" PRIu64 "}}",
                     cache.entries, cache.bytes, cache.hits, cache.misses,
                     cache.evicted_count + cache.evicted_bytes + cache.evicted_ttl);
}
