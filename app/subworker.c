/* app/subworker.c - a house without registry, discovery and dashboard, and with a way up.
 *
 *   control plane ─tasks─▶ net ─▶ intake ─▶ engine ─▶ task function ─▶ ending ─▶ net ─results─▶
 *
 * Tasks come under leases from a native control plane, or as requests from a Python one; both walk
 * through the same lifecycle as in a control plane. Results are kept for two minutes, so that a
 * task that is sent again is answered and not run again. SPDX-License-Identifier: Apache-2.0 */
#include "app/subworker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/config_apply.h"
#include "app/exposure.h"
#include "app/house.h"
#include "app/life/notes.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rcu.h"
#include "net/uplink.h"

static const int64_t kept_ns = 120 * FW_NS_PER_S;
static const int64_t beat_ns = 2 * FW_NS_PER_S;
static const int64_t goodbye_ns = FW_NS_PER_S;
static const char any_address[] = "tcp://127.0.0.1:0";

typedef struct subworker {
    fw_house house;
    fw_uplink *uplink;
    char id[160];
    fw_atomic(bool) told_to_drain;
    fw_buffer tasks; /* JSON array of the names */
} subworker;

/* "host-1234", as unlike others as a name can be that people still read. */
static void choose_id(subworker *sub)
{
    const fw_settings *s = sub->house.settings;
    char host[128] = "subworker";
    if (fw_settings_is_set(s, "worker-id")) {
        snprintf(sub->id, sizeof sub->id, "%s", s->worker_id);
        return;
    }
    gethostname(host, sizeof host - 1);
    for (char *at = host; *at; at++) {
        if (*at == ':')
            *at = '-';
    }
    snprintf(sub->id, sizeof sub->id, "%s-%ld", host, (long)getpid());
}

static void list_tasks(subworker *sub)
{
    const fw_modules *modules = sub->house.modules;
    fw_buffer_text(&sub->tasks, "[");
    for (size_t i = 0; i < fw_modules_count(modules); i++) {
        const char *name = fw_modules_at(modules, i)->def->name;
        fw_buffer_text(&sub->tasks, i ? ", " : "");
        fw_buffer_json_string(&sub->tasks, (fw_span){name, strlen(name)});
    }
    fw_buffer_text(&sub->tasks, "]");
}

static int apply_sections(subworker *sub)
{
    char error[512];
    int rc = fw_config_apply_tasks(&sub->house.life, error, sizeof error,
                                   &sub->house.settings->sections);
    return rc < 0 ? fw_house_refuse(FW_EXIT_CONFIG, "start.sections", error) : 0;
}

static int build_net(subworker *sub)
{
    const fw_settings *s = sub->house.settings;
    fw_net_config config;
    fw_tls_config tls;
    fw_net_config_default(&config);
    config.kind = FW_NET_SUBWORKER;
    config.worker_id = sub->id;
    config.epoch = sub->house.epoch;
    config.base_address = fw_settings_is_set(s, "base-address") ? s->base_address : any_address;
    config.discovery_address = s->discovery_address;
    config.advertise_address = s->advertise_address;
    config.message_max = (size_t)s->payload_max;
    config.connections_max = (size_t)s->connections_max;
    fw_exposure_configure(&config, &tls, s);
    const char *address = config.base_address;
    int rc = fw_exposure_check(s, &address, 1);
    return rc ? rc : fw_house_build_net(&sub->house, &config);
}

static void changed(void *context, fw_uplink_state state, const char *what)
{
    static const char *const events[] = {"uplink.seeking", "uplink.registered", "uplink.up"};
    const subworker *sub = context;
    fw_log(state == FW_UPLINK_SEEKING ? FW_LOG_WARN : FW_LOG_INFO, events[state], "%s: %s", sub->id,
           what);
}

static void write_beat(void *context, fw_beat *out)
{
    subworker *sub = context;
    fw_engine_stats engine;
    fw_engine_snapshot(sub->house.engine, &engine);
    *out = (fw_beat){
        .slots = sub->house.threads,
        .running = (unsigned)engine.running,
        .queued = (unsigned)engine.queued,
        /* Relaxed: flags to be shown. */
        .draining =
            fw_load_relaxed(&sub->house.draining) != 0 || fw_load_relaxed(&sub->told_to_drain),
        .done = engine.finished[FW_SUCCESS] + engine.finished[FW_FAILURE],
    };
}

/* The control plane says every few seconds whether it wants us to: what does not run goes back. */
static void drain_by_order(void *context, bool drain)
{
    subworker *sub = FW_CONTAINER_OF((fw_lifecycle *)context, subworker, house.life);
    /* Relaxed: a flag; one pipe, so one order at a time. */
    if (drain == fw_load_relaxed(&sub->told_to_drain))
        return;
    fw_store_relaxed(&sub->told_to_drain, drain);
    fw_log(FW_LOG_INFO, "drain", drain ? "asked to take nothing new" : "asked to go on");
    if (drain)
        fw_lifecycle_give_back(&sub->house.life);
}

static int connect_up(subworker *sub)
{
    char error[256];
    const fw_settings *s = sub->house.settings;
    fw_uplink_config config = {
        .worker_id = sub->id,
        .control_plane = s->control_plane_address,
        .discovery = s->discovery_address,
        .advertise = fw_net_address(sub->house.net),
        .slots = sub->house.threads,
        .tasks = {sub->tasks.data, sub->tasks.len},
        .token = s->token,
        .compat = s->transport == FW_TRANSPORT_COMPAT,
        .beat_ns = beat_ns,
    };
    fw_uplink_ops ops = {.context = sub, .changed = changed, .beat = write_beat};
    int rc = fw_uplink_start(&sub->uplink, error, sizeof error, sub->house.net, &config, &ops);
    return rc < 0 ? fw_house_refuse(FW_EXIT_CONFIG, "start.uplink", error) : 0;
}

static void turn(void *context, unsigned count, int64_t now_ns)
{
    subworker *sub = context;
    (void)now_ns;
    if (count % 2 != 0)
        return;
    fw_notes_forward(&sub->house.life);
    fw_net_flush(sub->house.net);
}

/* Nothing new, also from a Python control plane; then back what does not run; then the rest. */
static void leave(subworker *sub, int signal_number)
{
    /* Relaxed: said in the next beat. */
    fw_store_relaxed(&sub->house.draining, 1);
    fw_uplink_drain(sub->uplink);
    fw_net_drain(sub->house.net);
    fw_lifecycle_give_back(&sub->house.life);
    fw_house_drain(&sub->house, signal_number);
}

int fw_subworker_run(const fw_settings *settings)
{
    static subworker sub;
    sub = (subworker){.uplink = NULL};
    fw_cache_config cache = {.entries_max = (size_t)settings->cache_size,
                             .bytes_max = (size_t)settings->cache_bytes,
                             .ttl_ns = settings->cache_ttl_ns < kept_ns ? settings->cache_ttl_ns
                                                                        : kept_ns};
    int rc = fw_house_begin(&sub.house, settings, true);
    if (rc == 0)
        rc = fw_house_build_engine(&sub.house, &cache);
    sub.house.life.drain = drain_by_order;
    if (rc == 0)
        rc = apply_sections(&sub);
    if (rc == 0) {
        choose_id(&sub);
        list_tasks(&sub);
        rc = sub.tasks.failed ? fw_house_refuse(1, "start.memory", "out of memory")
                              : build_net(&sub);
    }
    if (rc == 0)
        rc = connect_up(&sub);
    if (rc == 0) {
        fw_log(FW_LOG_INFO, "ready", "subworker %s at %s, %zu tasks, %u threads", sub.id,
               fw_net_address(sub.house.net), fw_modules_count(sub.house.modules),
               sub.house.threads);
        leave(&sub, fw_house_serve(&sub.house, turn, NULL, &sub));
        fw_uplink_stop(sub.uplink, goodbye_ns);
    }
    fw_house_tear_down(&sub.house);
    fw_buffer_fini(&sub.tasks);
    fw_rcu_barrier();
    if (rc == 0)
        fw_log(FW_LOG_INFO, "stopped", "%s: bye", sub.id);
    return rc;
}
