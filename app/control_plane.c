/* app/control_plane.c - one page on which every room meets.
 *
 * Order: modules, cache, lifecycle, engine, network, dashboard. The network comes last but one
 * because the first request may arrive the moment it stands. SPDX-License-Identifier: Apache-2.0 */
#include "app/control_plane.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

static const int64_t tick_ns = 50 * FW_NS_PER_MS;
static const int64_t flush_limit_ns = 2 * FW_NS_PER_S;
static const fw_registry_config registry_config = {
    .workers_max = 10000, .stale_ns = 30 * FW_NS_PER_S, .gone_ns = 600 * FW_NS_PER_S};

static int refuse(int code, const char *event, const char *text)
{
    fw_log(FW_LOG_ERROR, event, "%s", text);
    return code;
}

/* --- build --- */

/* Names are separated by spaces or commas. */
static int load_modules(fw_control_plane *plane)
{
    char error[512], name[1024];
    const char *at = plane->settings->task_modules;
    if (fw_modules_create(&plane->modules, plane->threads) < 0)
        return refuse(1, "start.memory", "out of memory");
    while (at && *(at += strspn(at, " ,"))) {
        size_t len = strcspn(at, " ,");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        if (fw_modules_load(plane->modules, error, sizeof error, name,
                            plane->settings->module_path) < 0)
            return refuse(FW_EXIT_CONFIG, "start.module", error);
    }
    return 0;
}

static fw_engine_config engine_config(const fw_settings *s, unsigned threads)
{
    fw_engine_config config = {
        .pool =
            {
                .threads = threads,
                .ring_size = (size_t)s->ring_size,
                .spin = s->spin.kind,
                .spin_rounds = s->spin.rounds,
                .steal = (fw_steal)s->steal,
                .batch = (unsigned)s->batch,
                .affinity = s->affinity.kind,
                .affinity_count = s->affinity.count,
                .policy = (fw_policy)s->policy,
                .aging_ns = s->aging_ns,
                .stack_bytes = (size_t)s->stack_bytes,
            },
        .tasks_max = (size_t)s->queue_max,
        .bytes_max = (size_t)s->queue_max_bytes,
        .tick_ns = FW_NS_PER_MS,
    };
    memcpy(config.pool.affinity_cpus, s->affinity.cpus, sizeof config.pool.affinity_cpus);
    memcpy(config.pool.weights, s->weights, sizeof config.pool.weights);
    return config;
}

static int build_engine(fw_control_plane *plane)
{
    const fw_settings *s = plane->settings;
    fw_cache_config cache = {.entries_max = (size_t)s->cache_size,
                             .bytes_max = (size_t)s->cache_bytes,
                             .ttl_ns = s->cache_ttl_ns};
    if (fw_cache_create(&plane->cache, &cache) < 0)
        return refuse(1, "start.memory", "no memory for the result cache");
    plane->registry = fw_registry_create(&registry_config);
    if (!plane->registry)
        return refuse(1, "start.memory", "out of memory");
    int made = fw_names_create(&plane->names, plane->modules);
    if (made < 0)
        return refuse(1, "start.names",
                      made == -FW_EFULL ? "too many task names, or one is too long"
                                        : "out of memory");
    plane->life = (fw_lifecycle){.cache = plane->cache,
                                 .registry = plane->registry,
                                 .modules = plane->modules,
                                 .names = plane->names,
                                 .threads = plane->threads,
                                 .task_timeout_ns = s->task_timeout_ns,
                                 .hold_ns = s->hold_ns};
    if (fw_lifecycle_init(&plane->life) < 0)
        return refuse(1, "start.memory", "out of memory");
    fw_engine_config config = engine_config(s, plane->threads);
    fw_engine_ops ops = fw_lifecycle_engine_ops(&plane->life);
    int rc = fw_engine_create(&plane->engine, &config, &ops);
    if (rc < 0)
        return refuse(1, "start.engine", fw_strerror(rc));
    plane->life.engine = plane->engine;
    return 0;
}

static int build_net(fw_control_plane *plane)
{
    char error[512];
    const fw_settings *s = plane->settings;
    fw_net_config config;
    fw_net_config_default(&config);
    config.worker_id = s->worker_id;
    config.base_address = s->base_address;
    config.discovery_address = s->discovery_address;
    config.advertise_address = s->advertise_address;
    config.management_port = (unsigned)s->subworker_port;
    config.message_max = (size_t)s->payload_max;
    config.connections_max = (size_t)s->connections_max;
    fw_net_ops ops = fw_lifecycle_net_ops(&plane->life);
    /* The first request may come before the call returns, and it needs the net to answer. */
    int rc = fw_net_start(&plane->life.net, error, sizeof error, &config, &ops);
    plane->net = plane->life.net;
    if (rc < 0)
        return refuse(rc == -FW_EINVAL ? FW_EXIT_CONFIG : FW_EXIT_BIND, "start.network", error);
    return 0;
}

static int build_web(fw_control_plane *plane)
{
    char error[512];
    const fw_settings *s = plane->settings;
    if (!s->gui_enabled)
        return 0;
    fw_web_config config = {.host = s->gui_host ? s->gui_host : "127.0.0.1",
                            .port = (unsigned)s->gui_port,
                            .api_key = s->gui_api_key,
                            .cors_origin = s->gui_cors_origin};
    fw_web_ops ops = fw_control_plane_web_ops(plane);
    if (fw_web_start(&plane->web, error, sizeof error, &config, &ops) < 0)
        return refuse(FW_EXIT_BIND, "start.dashboard", error);
    return 0;
}

/* Threads end before the network, which they answer through; the tables stay until nobody asks. */
static void tear_down(fw_control_plane *plane)
{
    if (plane->web)
        fw_web_stop(plane->web);
    if (plane->net)
        fw_net_drain(plane->net);
    if (plane->engine)
        fw_engine_halt(plane->engine);
    if (plane->net)
        fw_net_stop(plane->net, flush_limit_ns);
    plane->life.net = NULL;
    fw_engine_destroy(plane->engine);
    if (plane->life.counts)
        fw_lifecycle_fini(&plane->life);
    if (plane->cache)
        fw_cache_destroy(plane->cache);
    fw_names_destroy(plane->names);
    if (plane->modules)
        fw_modules_destroy(plane->modules);
    fw_registry_destroy(plane->registry);
    fw_rcu_barrier();
}

/* --- serve --- */

static void announce(const fw_control_plane *plane)
{
    char page[128] = "no dashboard";
    if (plane->web)
        snprintf(page, sizeof page, "dashboard http://%s:%u",
                 plane->settings->gui_host ? plane->settings->gui_host : "127.0.0.1",
                 fw_web_port(plane->web));
    fw_log(FW_LOG_INFO, "ready", "%s at %s, %zu tasks, %u threads, %s", plane->settings->worker_id,
           fw_net_address(plane->net), fw_modules_count(plane->modules), plane->threads, page);
}

/* Returns the signal that ends the program. */
static int serve(fw_control_plane *plane, const sigset_t *signals)
{
    const struct timespec tick = {0, tick_ns};
    for (unsigned turn = 0;; turn++) {
        int number = sigtimedwait(signals, NULL, &tick);
        if (number == SIGTERM || number == SIGINT)
            return number;
        int64_t now_ns = fw_now_ns();
        fw_lifecycle_tick(&plane->life, now_ns);
        if (turn % 4 == 0)
            fw_cache_sweep(plane->cache, now_ns);
        if (turn % 20 == 0)
            fw_registry_sweep(plane->registry, now_ns);
        fw_rcu_flush();
    }
}

/* Held while the watcher answers waits: afterwards it does not touch what is being taken down. */
static pthread_mutex_t tick_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct watch {
    fw_control_plane *plane;
    const sigset_t *signals;
} watch;

/* While the main thread drains: a second signal ends the program at once, waits keep their limits,
 * and a thread that does not come back from a task keeps nobody alive. Never returns. */
static void *watch_the_end(void *argument)
{
    const watch *w = argument;
    const struct timespec tick = {0, tick_ns};
    for (;;) {
        int number = sigtimedwait(w->signals, NULL, &tick);
        if (number == SIGTERM || number == SIGINT) {
            fw_log(FW_LOG_WARN, "stop.now", "second signal: ending at once");
            _exit(128 + number);
        }
        int64_t now_ns = fw_now_ns();
        pthread_mutex_lock(&tick_lock);
        int64_t give_up_ns = w->plane->give_up_ns;
        if (give_up_ns == 0)
            fw_lifecycle_tick(&w->plane->life, now_ns);
        pthread_mutex_unlock(&tick_lock);
        if (give_up_ns != 0 && now_ns > give_up_ns) {
            fw_log(FW_LOG_WARN, "stop.limit", "a task does not come back from its call");
            _exit(0);
        }
    }
}

static void drain(fw_control_plane *plane, sigset_t *signals, int number)
{
    static watch watched;
    pthread_t watcher;
    const fw_settings *s = plane->settings;
    int64_t until_ns = fw_now_ns() + s->shutdown_timeout_ns;
    watched = (watch){plane, signals};
    if (pthread_create(&watcher, NULL, watch_the_end, &watched) == 0)
        pthread_detach(watcher);
    /* Relaxed: shown by the readiness answer. */
    fw_store_relaxed(&plane->draining, 1);
    fw_log(FW_LOG_INFO, "stop",
           "%s: finishing what runs and waits, at most %lld s; once more ends at once",
           strsignal(number), (long long)(s->shutdown_timeout_ns / FW_NS_PER_S));
    fw_net_drain(plane->net);
    int rc = fw_engine_drain(plane->engine, s->shutdown_timeout_ns);
    fw_net_settle(plane->net, flush_limit_ns);
    int64_t soon_ns = fw_now_ns() + FW_NS_PER_S;
    pthread_mutex_lock(&tick_lock);
    plane->give_up_ns = until_ns > soon_ns ? until_ns : soon_ns;
    pthread_mutex_unlock(&tick_lock);
    if (rc == 0)
        return;
    /* A thread that does not come back from a task can't be waited for, nor can what it uses be
     * freed. */
    fw_log(FW_LOG_WARN, "stop.limit", "the limit passed: what was left was answered as failed");
    fw_lifecycle_tick(&plane->life, INT64_MAX);
    fw_net_settle(plane->net, flush_limit_ns);
    _exit(0);
}

int fw_control_plane_run(const fw_settings *settings)
{
    static sigset_t signals;
    static fw_control_plane plane;
    plane = (fw_control_plane){.settings = settings,
                               .threads = fw_settings_threads(settings),
                               .started_ns = fw_now_ns(),
                               .started_wall_ns = fw_wall_ns()};
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    int rc = load_modules(&plane);
    if (rc == 0)
        rc = build_engine(&plane);
    if (rc == 0)
        rc = build_net(&plane);
    if (rc == 0)
        rc = build_web(&plane);
    if (rc == 0) {
        announce(&plane);
        drain(&plane, &signals, serve(&plane, &signals));
    }
    tear_down(&plane);
    if (rc == 0)
        fw_log(FW_LOG_INFO, "stopped", "bye");
    return rc;
}
