/* app/house.c - see app/house.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/house.h"

#include "app/events/events.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/config_apply.h"
#include "app/exec_tasks.h"
#include "app/life/queue_line.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/rcu.h"

static const int64_t tick_ns = 50 * FW_NS_PER_MS;
static const int64_t flush_limit_ns = 2 * FW_NS_PER_S;

/* SIGTERM and SIGINT; blocked on all threads since before there were any. */
static sigset_t ending_signals;

int fw_house_refuse(int code, const char *event, const char *text)
{
    fw_log(FW_LOG_ERROR, event, "%s", text);
    return code;
}

/* --- build --- */

/* Loads one for running; or, in a house that runs no tasks, reads its names and none of its code.
 */
static int take_module(fw_house *house, const char *name, char *error, size_t capacity)
{
    char path[4096];
    fw_module_info info;
    const char *module_path = house->settings->module_path;
    if (house->runs)
        return fw_modules_load(house->modules, error, capacity, name, module_path);
    int rc = fw_module_locate(path, sizeof path, error, capacity, name, module_path);
    if (rc == 0)
        rc = fw_module_read(&info, error, capacity, path);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < info.count; i++) {
        fw_span text = {info.tasks[i].name, strlen(info.tasks[i].name)};
        const fw_name *task = fw_names_add(house->names, text);
        if (task)
            fw_name_announce(task);
    }
    fw_module_info_fini(&info);
    return 0;
}

/* Names are separated by spaces or commas. */
static int take_modules(fw_house *house)
{
    char error[512], name[1024];
    const char *at = house->settings->task_modules;
    const fw_module *own = house->settings->own_module;
    if (own && house->runs &&
        fw_modules_add(house->modules, error, sizeof error, own, "this program") < 0)
        return fw_house_refuse(FW_EXIT_CONFIG, "start.module", error);
    while (at && *(at += strspn(at, " ,"))) {
        size_t len = strcspn(at, " ,");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        if (take_module(house, name, error, sizeof error) < 0)
            return fw_house_refuse(FW_EXIT_CONFIG, "start.module", error);
    }
    return 0;
}

static int take_programs(fw_house *house)
{
    char error[512];
    int rc = fw_exec_tasks_load(&house->exec, error, sizeof error, house->settings, house->modules,
                                house->threads);
    return rc < 0 ? fw_house_refuse(FW_EXIT_CONFIG, "start.exec", error) : 0;
}

static int make_names(fw_house *house)
{
    int rc = fw_names_create(&house->names, house->modules);
    if (rc < 0)
        return fw_house_refuse(1, "start.names",
                               rc == -FW_EFULL ? "too many task names, or one is too long"
                                               : "out of memory");
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

int fw_house_begin(fw_house *house, const fw_settings *settings, bool runs)
{
    *house = (fw_house){.settings = settings,
                        .runs = runs,
                        .threads = fw_settings_threads(settings),
                        .started_ns = fw_now_ns(),
                        .started_wall_ns = fw_wall_ns()};
    fw_key epoch = fw_key_random();
    fw_key_format(house->epoch, epoch);
    sigemptyset(&ending_signals);
    sigaddset(&ending_signals, SIGTERM);
    sigaddset(&ending_signals, SIGINT);
    /* What tasks leave behind comes to the first process of a container. */
    if (getpid() == 1)
        fw_process_adopt();
    if (fw_modules_create(&house->modules, house->threads) < 0)
        return fw_house_refuse(1, "start.memory", "out of memory");
    /* Names of modules that are loaded come with them. */
    int rc = runs ? take_modules(house) : make_names(house);
    if (rc == 0 && runs)
        rc = take_programs(house);
    if (rc == 0)
        rc = runs ? make_names(house) : take_modules(house);
    if (rc == 0 && !runs)
        fw_exec_tasks_announce(house->names, settings);
    return rc;
}

int fw_house_build_engine(fw_house *house, const fw_cache_config *cache)
{
    const fw_settings *s = house->settings;
    if (fw_cache_create(&house->cache, cache) < 0)
        return fw_house_refuse(1, "start.memory", "no memory for the result cache");
    house->life = (fw_lifecycle){.cache = house->cache,
                                 .modules = house->modules,
                                 .names = house->names,
                                 .threads = house->threads,
                                 .task_timeout_ns = s->task_timeout_ns,
                                 .hold_ns = s->hold_ns};
    if (fw_lifecycle_init(&house->life) < 0)
        return fw_house_refuse(1, "start.memory", "out of memory");
    if (fw_isolation_start(&house->life.isolation, s, house->threads) < 0)
        return fw_house_refuse(1, "start.memory", "no thread for isolated tasks");
    house->life.isolation.exec = house->exec;
    fw_engine_config config = engine_config(s, house->threads);
    fw_engine_ops ops = fw_lifecycle_engine_ops(&house->life);
    int rc = fw_engine_create(&house->engine, &config, &ops);
    if (rc == -FW_EINVAL)
        return fw_house_refuse(FW_EXIT_CONFIG, "start.engine",
                               "threads, affinity: there is no such CPU here, or one twice");
    if (rc < 0)
        return fw_house_refuse(1, "start.engine", fw_strerror(rc));
    house->life.engine = house->engine;
    return 0;
}

int fw_house_build_net(fw_house *house, const fw_net_config *config)
{
    char error[512];
    fw_net_ops ops = fw_lifecycle_net_ops(&house->life);
    /* The first request may come before the call returns, and it needs the net to answer. */
    int rc = fw_net_start(&house->life.net, error, sizeof error, config, &ops);
    house->net = house->life.net;
    if (rc < 0)
        return fw_house_refuse(rc == -FW_EINVAL ? FW_EXIT_CONFIG : FW_EXIT_BIND, "start.network",
                               error);
    return 0;
}

/* --- serve --- */

static void take_turn(fw_house *house, unsigned count, int64_t now_ns)
{
    fw_lifecycle_tick(&house->life, now_ns);
    fw_process_reap();
    if (count % 4 == 0)
        fw_cache_sweep(house->cache, now_ns);
    house->turn(house->turn_context, count, now_ns);
    fw_rcu_flush();
}

/* Until the next turn, or the time that was asked for, if that is earlier. */
static struct timespec pause_until(int64_t turn_ns, int64_t due_wall_ns, int64_t now_ns)
{
    int64_t left_ns = turn_ns - now_ns, due_ns = due_wall_ns - fw_wall_ns();
    if (due_ns < left_ns)
        left_ns = due_ns;
    return (struct timespec){0, left_ns > 0 ? left_ns : 0};
}

int fw_house_serve(fw_house *house, void (*turn)(void *context, unsigned count, int64_t now_ns),
                   int64_t (*due)(void *context, int64_t now_ns), void *context)
{
    int64_t now_ns = fw_now_ns(), turn_ns = now_ns + tick_ns, due_wall_ns = INT64_MAX;
    unsigned count = 0;
    house->turn = turn;
    house->turn_context = context;
    for (;;) {
        if (due)
            due_wall_ns = due(context, now_ns);
        const struct timespec pause = pause_until(turn_ns, due_wall_ns, now_ns);
        int number = sigtimedwait(&ending_signals, NULL, &pause);
        if (number == SIGTERM || number == SIGINT)
            return number;
        now_ns = fw_now_ns();
        if (now_ns < turn_ns)
            continue;
        take_turn(house, count++, now_ns);
        turn_ns = now_ns + tick_ns;
    }
}

/* --- end --- */

/* Held while the watcher takes its turn: afterwards it does not touch what is being taken down. */
static pthread_mutex_t tick_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct watch {
    fw_house *house;
    const sigset_t *signals;
} watch;

/* While the main thread drains: a second signal ends the program at once, turns go on (waits keep
 * their limits, subworkers hear of us while they finish what they have), and a thread that does not
 * come back from a task keeps nobody alive. Never returns. */
static void *watch_the_end(void *argument)
{
    const watch *w = argument;
    const struct timespec tick = {0, tick_ns};
    for (unsigned count = 0;; count++) {
        int number = sigtimedwait(w->signals, NULL, &tick);
        if (number == SIGTERM || number == SIGINT) {
            fw_log(FW_LOG_WARN, "stop.now", "second signal: ending at once");
            _exit(128 + number);
        }
        int64_t now_ns = fw_now_ns();
        pthread_mutex_lock(&tick_lock);
        int64_t give_up_ns = w->house->give_up_ns;
        if (give_up_ns == 0)
            take_turn(w->house, count, now_ns);
        pthread_mutex_unlock(&tick_lock);
        if (give_up_ns != 0 && now_ns > give_up_ns) {
            fw_log(FW_LOG_WARN, "stop.limit", "a task does not come back from its call");
            _exit(0);
        }
    }
}

void fw_house_drain(fw_house *house, int signal_number)
{
    static watch watched;
    pthread_t watcher;
    const fw_settings *s = house->settings;
    int64_t until_ns = fw_now_ns() + s->shutdown_timeout_ns;
    watched = (watch){house, &ending_signals};
    if (pthread_create(&watcher, NULL, watch_the_end, &watched) == 0)
        pthread_detach(watcher);
    /* Relaxed: shown by the readiness answer. */
    fw_store_relaxed(&house->draining, 1);
    fw_log(FW_LOG_INFO, "stop",
           "%s: finishing what runs and waits, at most %lld s; once more ends at once",
           strsignal(signal_number), (long long)(s->shutdown_timeout_ns / FW_NS_PER_S));
    fw_net_drain(house->net);
    fw_queue_line_close(&house->life);
    int rc = fw_engine_drain(house->engine, s->shutdown_timeout_ns);
    fw_net_settle(house->net, flush_limit_ns);
    int64_t soon_ns = fw_now_ns() + FW_NS_PER_S;
    pthread_mutex_lock(&tick_lock);
    house->give_up_ns = until_ns > soon_ns ? until_ns : soon_ns;
    pthread_mutex_unlock(&tick_lock);
    if (rc == 0)
        return;
    /* A thread that does not come back from a task can't be waited for, nor can what it uses be
     * freed. */
    fw_log(FW_LOG_WARN, "stop.limit", "the limit passed: what was left was answered as failed");
    fw_lifecycle_tick(&house->life, INT64_MAX);
    fw_net_settle(house->net, flush_limit_ns);
    _exit(0);
}

void fw_house_tear_down(fw_house *house)
{
    if (house->net)
        fw_net_drain(house->net);
    if (house->engine)
        fw_engine_halt(house->engine);
    fw_events_stop(house->life.events);
    if (house->net)
        fw_net_stop(house->net, flush_limit_ns);
    house->life.net = NULL;
    fw_engine_destroy(house->engine);
    fw_events_destroy(house->life.events);
    fw_isolation_stop(&house->life.isolation);
    if (house->life.counts)
        fw_lifecycle_fini(&house->life);
    if (house->cache)
        fw_cache_destroy(house->cache);
    fw_config_forget(&house->life);
    fw_names_destroy(house->names);
    if (house->modules)
        fw_modules_destroy(house->modules);
    fw_exec_destroy(house->exec);
}
