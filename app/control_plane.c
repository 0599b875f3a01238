/* app/control_plane.c - one page on which every room meets.
 *
 * Order: modules, cache, lifecycle, engine, network, dashboard. The network comes last but one
 * because the first request may arrive the moment it stands. SPDX-License-Identifier: Apache-2.0 */
#include "app/control_plane.h"

#include "app/local_subworkers.h"

#include <stdlib.h>
#include <string.h>

#include "app/compose/compose.h"
#include "app/config_apply.h"
#include "app/events/event_posts.h"
#include "app/exposure.h"
#include "app/http/http.h"
#include "app/http/http_stats.h"
#include "app/life/queue_line.h"
#include "app/life/unknown.h"
#include "app/life/webhooks.h"
#include "app/reload.h"
#include "app/schedules/schedule_manage.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

/* --- build --- */

int fw_control_plane_build_engine(fw_control_plane *plane)
{
    const fw_settings *s = plane->house.settings;
    fw_cache_config cache = {.entries_max = (size_t)s->cache_size,
                             .bytes_max = (size_t)s->cache_bytes,
                             .ttl_ns = s->cache_ttl_ns,
                             .shards = (unsigned)s->cache_shards};
    int rc = fw_house_build_engine(&plane->house, &cache);
    if (rc != 0)
        return rc;
    if (fw_post_begin(&plane->house.life, s->worker_id) < 0)
        return fw_house_refuse(1, "start.memory", "out of memory");
    rc = fw_workers_create(&plane->workers, &plane->house);
    if (rc < 0)
        return fw_house_refuse(1, "start.workers", fw_strerror(rc));
    plane->house.life.workers = plane->workers;
    if (fw_compose_create(&plane->house.life, (size_t)s->queue_max) < 0)
        return fw_house_refuse(1, "start.memory", "out of memory");
    fw_dead_config dead = {.tasks_max = (size_t)s->dead_max,
                           .bytes_max = (size_t)s->dead_bytes,
                           .age_max_ns = s->dead_ttl_ns};
    plane->house.life.dead = fw_dead_create(&dead);
    if (!plane->house.life.dead)
        return fw_house_refuse(1, "start.memory", "out of memory");
    char error[512];
    rc = fw_schedules_start(&plane->house.life, error, sizeof error, s);
    if (rc < 0)
        return fw_house_refuse(rc == -FW_ENOMEM ? 1 : FW_EXIT_CONFIG, "start.schedules", error);
    rc = fw_config_apply_tasks(&plane->house.life, error, sizeof error, &s->sections);
    if (rc == 0)
        rc = fw_config_apply_schedules(&plane->house.life, error, sizeof error, &s->sections);
    if (rc < 0)
        return fw_house_refuse(rc == -FW_ENOMEM ? 1 : FW_EXIT_CONFIG, "start.sections", error);
    /* Relaxed: no task is there yet. */
    fw_store_relaxed(&plane->house.life.waits, !s->local);
    if (s->queue_full != FW_FULL_REJECT) {
        const fw_queue_line_config line = {(fw_queue_full)s->queue_full, s->queue_wait_ns,
                                           (size_t)s->queue_max_bytes / 16};
        if (fw_queue_line_create(&plane->house.life, &line) < 0)
            return fw_house_refuse(1, "start.memory", "out of memory");
    }
    plane->house.life.dedup_ns = s->dedup_ns;
    plane->house.life.unknown_hold_ns = s->unknown_hold_ns;
    plane->house.life.keep_args = (int)s->keep_args;
    plane->house.life.keep_args_max = (size_t)s->keep_args_max;
    plane->house.life.losses_max = (unsigned)s->losses_max;
    return 0;
}

int fw_control_plane_check(const fw_settings *settings)
{
    fw_control_plane plane = {0};
    fw_log_configure(FW_LOG_ERROR, FW_LOG_TEXT);
    int rc = fw_house_begin(&plane.house, settings, settings->local);
    if (rc == 0)
        rc = fw_control_plane_build_engine(&plane);
    fw_control_plane_tear_down(&plane);
    return rc;
}

static int build_net(fw_control_plane *plane)
{
    const fw_settings *s = plane->house.settings;
    fw_net_config config;
    fw_tls_config tls;
    fw_net_config_default(&config);
    config.worker_id = s->worker_id;
    config.epoch = plane->house.epoch;
    config.listeners = &plane->house.life.listeners;
    config.base_address = s->base_address;
    config.discovery_address = s->discovery_address;
    config.advertise_address = s->advertise_address;
    config.management_port = (unsigned)s->subworker_port;
    config.message_max = (size_t)s->payload_max;
    config.connections_max = (size_t)s->connections_max;
    fw_exposure_configure(&config, &tls, s);
    fw_webhook_config webhooks = fw_webhooks_of(s);
    config.webhooks = &webhooks;
    int rc = fw_house_build_net(&plane->house, &config);
    if (rc == 0)
        fw_workers_open(plane->workers);
    return rc;
}

static void publish(void *context, const char *name, uint64_t number, fw_span json)
{
    const fw_control_plane *plane = context;
    (void)number;
    fw_web_publish(plane->web, name, json);
}

static int build_web(fw_control_plane *plane)
{
    char error[512];
    const fw_settings *s = plane->house.settings;
    if (!s->gui_enabled)
        return 0;
    int rc = fw_http_start(plane, error, sizeof error);
    if (rc < 0)
        return fw_house_refuse(rc == -FW_EINVAL ? FW_EXIT_CONFIG : FW_EXIT_BIND, "start.dashboard",
                               error);
    fw_events_add_sink(plane->house.life.events, publish, plane);
    return 0;
}

static int start_subworkers(fw_control_plane *plane)
{
    const fw_house *house = &plane->house;
    if (house->settings->local_subworkers == 0)
        return 0;
    if (fw_local_subworkers_start(&plane->local, house->settings, fw_net_address(house->net)) < 0)
        return fw_house_refuse(1, "start.memory", "out of memory");
    return 0;
}

void fw_control_plane_tear_down(fw_control_plane *plane)
{
    fw_supervisor_stop(plane->local, plane->house.settings->shutdown_timeout_ns);
    if (plane->web)
        fw_web_stop(plane->web);
    if (plane->workers)
        fw_workers_close(plane->workers);
    fw_house_tear_down(&plane->house);
    fw_workers_destroy(plane->workers);
    if (plane->web)
        fw_web_free(plane->web);
    fw_http_stats_destroy(plane->stats);
    fw_compose_destroy(&plane->house.life);
    fw_dead_destroy(plane->house.life.dead);
    fw_queue_line_destroy(&plane->house.life);
    fw_schedules_destroy(plane->house.life.schedules);
    fw_rcu_barrier();
}

/* --- serve --- */

static void announce(const fw_control_plane *plane)
{
    char page[128] = "no dashboard";
    const fw_settings *s = plane->house.settings;
    bool tls = s->gui_tls_cert && s->gui_tls_cert[0];
    if (plane->web)
        snprintf(page, sizeof page, "dashboard http%s://%s:%u", tls ? "s" : "",
                 s->gui_host ? s->gui_host : "127.0.0.1", fw_web_port(plane->web));
    fw_log(FW_LOG_INFO, "ready", "%s at %s, %zu tasks, %u threads, %s",
           plane->house.settings->worker_id, fw_net_address(plane->house.net),
           fw_names_count(plane->house.names), plane->house.runs ? plane->house.threads : 0, page);
}

/* The dashboard's listeners count as one; those to figures do not. */
static void follow_the_web(fw_control_plane *plane)
{
    bool followed = fw_web_is_followed(plane->web);
    if (followed != plane->followed)
        fw_events_listen(plane->house.life.events, followed ? 1 : -1);
    plane->followed = followed;
}

static void turn(void *context, unsigned count, int64_t now_ns)
{
    fw_control_plane *plane = context;
    fw_workers_turn(plane->workers, count, now_ns);
    follow_the_web(plane);
    fw_events_turn(plane->house.life.events);
    fw_compose_turn(&plane->house.life, now_ns);
    if (count % 20 == 0) {
        fw_dead_sweep(plane->house.life.dead, fw_wall_ns());
        fw_unknown_sweep(&plane->house.life, fw_wall_ns());
    }
    if (fw_reload_if_asked(plane->house.settings, &plane->house.life))
        fw_http_renew(plane);
}

static int64_t due(void *context, int64_t now_ns)
{
    fw_control_plane *plane = context;
    int64_t wall_ns = fw_wall_ns();
    int64_t due_ns = fw_schedules_turn(plane->house.life.schedules, wall_ns, now_ns);
    int64_t line_ns = fw_queue_line_turn(&plane->house.life, now_ns);
    return line_ns < due_ns - wall_ns ? wall_ns + line_ns : due_ns;
}

/* Whoever has subworkers of his own wants the code of tasks there, unless he says otherwise. */
static bool runs_tasks(const fw_settings *s)
{
    return s->local && (s->local_subworkers == 0 || fw_settings_is_set(s, "local"));
}

int fw_control_plane_run(const fw_settings *settings)
{
    static fw_control_plane plane;
    plane = (fw_control_plane){.web = NULL};
    /* Subworkers of our own inherit it, wherever we have it from. There are no threads yet. */
    if (settings->local_subworkers > 0 && settings->token)
        setenv("FASTWORKER_TOKEN", settings->token, 1);
    int rc = fw_house_begin(&plane.house, settings, runs_tasks(settings));
    if (rc == 0)
        rc = fw_exposure_check_control_plane(settings);
    if (rc == 0)
        rc = fw_control_plane_build_engine(&plane);
    if (rc == 0)
        rc = build_net(&plane);
    if (rc == 0)
        rc = build_web(&plane);
    if (rc == 0)
        rc = start_subworkers(&plane);
    if (rc == 0) {
        announce(&plane);
        fw_house_drain(&plane.house, fw_house_serve(&plane.house, turn, due, &plane));
    }
    fw_control_plane_tear_down(&plane);
    if (rc == 0)
        fw_log(FW_LOG_INFO, "stopped", "bye");
    return rc;
}
