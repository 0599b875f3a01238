/* app/trial/trial.c - see app/trial/trial.h. Covered by tests/app/trial_test.py.
 *
 * How time goes on: `settle` is called again and again. While threads run tasks it waits, in real
 * time; when the engine is idle (fw_engine_is_idle) it moves the clock to the earliest of what the
 * engine, the expiries and the schedules wait for, and takes a turn. Nothing can come between two
 * such times, so what falls due happens in its order and at its time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/trial/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/suggest.h"
#include "app/compose/compose.h"
#include "app/control_plane.h"
#include "app/http/submission_json.h"
#include "app/life/unknown.h"
#include "app/schedules/schedules.h"
#include "app/trial/record.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/rcu.h"

static const int64_t turn_ns = 50 * FW_NS_PER_MS, look_ns = FW_NS_PER_MS / 4;
/* What waits for a limit looks like what is about to run; so long it is given. */
static const int64_t patience_ns = 20 * FW_NS_PER_MS;

struct fw_trial {
    fw_settings settings;
    bool loaded, begun;
    fw_control_plane plane;
    fw_trial_config config;
    fw_trial_record record;
    fw_observer observer;
    int64_t opened_ns;
    int64_t turn_at;     /* when the next turn is due; real time, like the next one */
    int64_t busy_since;  /* the engine has not been idle since then; 0: it was */
    int64_t schedule_at; /* wall clock; when the next one is due */
    unsigned still;      /* how often in a row there was nothing to wait for */
};

static int64_t real_ns(void)
{
    return fw_machine_ns(fw_now_ns());
}

/* --- build --- */

/* Where there is no service, what it would tell of itself is no use. */
static int load_settings(fw_trial *trial)
{
    fw_settings *s = &trial->settings;
    fw_settings_error error;
    if (!fw_settings_load(s, &error, trial->config.argc, trial->config.argv)) {
        fprintf(stderr, "fastworker: %s\n", error.text);
        return error.exit_code;
    }
    int level = fw_settings_is_set(s, "log-level") ? fw_settings_log_level(s) : FW_LOG_WARN;
    fw_log_configure((fw_log_level)level, (fw_log_format)s->log_format);
    if (!fw_settings_is_set(s, "threads"))
        s->threads = 1;
    s->local = 1;
    s->local_subworkers = 0;
    s->own_module = trial->config.own_module;
    if (trial->config.is_library)
        s->isolate = FW_ISOLATE_OFF;
    trial->loaded = true;
    return 0;
}

int fw_trial_create(fw_trial **out, const fw_trial_config *config)
{
    fw_trial *trial = calloc(1, sizeof *trial);
    if (!trial)
        return 1;
    trial->config = *config;
    trial->schedule_at = INT64_MAX;
    fw_trial_record_init(&trial->record);
    trial->observer = fw_trial_record_observer(&trial->record);
    int rc = load_settings(trial);
    if (rc == 0) {
        rc = fw_house_begin(&trial->plane.house, &trial->settings, true);
        trial->begun = true;
    }
    if (rc == 0)
        rc = fw_control_plane_build_engine(&trial->plane);
    if (rc != 0) {
        fw_trial_destroy(trial);
        return rc;
    }
    fw_lifecycle *life = &trial->plane.house.life;
    /* Nobody else will come who knows a name. Relaxed: no task is there yet. */
    fw_store_relaxed(&life->waits, false);
    life->observer = &trial->observer;
    /* Relaxed: no task is there yet. */
    fw_add_relaxed(&life->listeners, 1);
    trial->opened_ns = fw_now_ns();
    *out = trial;
    return 0;
}

void fw_trial_destroy(fw_trial *trial)
{
    if (!trial)
        return;
    if (trial->begun)
        fw_control_plane_tear_down(&trial->plane);
    if (trial->loaded)
        fw_settings_fini(&trial->settings);
    fw_trial_record_fini(&trial->record);
    free(trial);
}

const char *fw_trial_suggest(const fw_trial *trial, const char *task, bool *known)
{
    const fw_modules *modules = trial->plane.house.modules;
    size_t count = fw_modules_count(modules);
    *known = fw_modules_find(modules, (fw_span){task, strlen(task)}) != NULL;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return NULL;
    for (size_t i = 0; i < count; i++)
        names[i] = fw_modules_at(modules, i)->def->name;
    const char *near = fw_suggest(task, names, count);
    free(names);
    return near;
}

/* --- time --- */

/* What the main thread of a control plane does about every 50 ms. */
static void take_turn(fw_trial *trial)
{
    fw_house *house = &trial->plane.house;
    int64_t now_ns = fw_now_ns();
    trial->turn_at = real_ns() + turn_ns;
    fw_lifecycle_tick(&house->life, now_ns);
    fw_process_reap();
    fw_cache_sweep(house->cache, now_ns);
    fw_compose_turn(&house->life, now_ns);
    fw_dead_sweep(house->life.dead, fw_wall_ns());
    if (trial->config.schedules)
        trial->schedule_at = fw_schedules_turn(house->life.schedules, fw_wall_ns(), now_ns);
    fw_rcu_flush();
}

/* The earliest time at which something happens, if the engine's is next_ns. */
static int64_t earliest(fw_trial *trial, int64_t next_ns)
{
    int64_t expiry_ns = fw_expiries_next_ns(trial->plane.house.life.compose->expiries);
    if (expiry_ns < next_ns)
        next_ns = expiry_ns;
    if (trial->schedule_at == INT64_MAX)
        return next_ns;
    int64_t schedule_ns = trial->schedule_at - fw_wall_ns() + fw_now_ns();
    return schedule_ns < next_ns ? schedule_ns : next_ns;
}

/* Idle, or everything that is queued has been held back by a limit for a while. */
static bool is_idle(fw_trial *trial, int64_t *next_ns)
{
    fw_engine *engine = trial->plane.house.engine;
    fw_engine_stats stats;
    bool idle = fw_engine_is_idle(engine, next_ns);
    if (idle) {
        trial->busy_since = 0;
        return true;
    }
    if (trial->busy_since == 0)
        trial->busy_since = real_ns();
    if (real_ns() - trial->busy_since < patience_ns)
        return false;
    fw_engine_snapshot(engine, &stats);
    if (stats.running > 0 || stats.queued == 0 || *next_ns == INT64_MIN || *next_ns == INT64_MAX)
        return false;
    trial->busy_since = 0;
    return true;
}

/* One step: waits, or moves the clock, but not past until_ns. False: there is nothing to wait for.
 */
static bool settle(fw_trial *trial, int64_t until_ns)
{
    int64_t next_ns, now_ns;
    if (real_ns() >= trial->turn_at)
        take_turn(trial);
    if (trial->config.real_time || !is_idle(trial, &next_ns)) {
        trial->still = 0;
        return true;
    }
    next_ns = earliest(trial, next_ns);
    now_ns = fw_now_ns();
    if (next_ns > until_ns)
        next_ns = until_ns;
    if (next_ns == INT64_MAX) {
        take_turn(trial);
        return ++trial->still < 8;
    }
    trial->still = 0;
    if (next_ns > now_ns)
        fw_clock_advance(next_ns - now_ns);
    fw_engine_clock_moved(trial->plane.house.engine);
    take_turn(trial);
    return true;
}

int fw_trial_advance(fw_trial *trial, int64_t ns)
{
    int64_t until_ns = fw_now_ns() + (ns > 0 ? ns : 0), next_ns;
    int64_t limit_ns = trial->config.limit_ns, begun_ns = real_ns();
    take_turn(trial);
    while (fw_now_ns() < until_ns || !is_idle(trial, &next_ns) || next_ns <= until_ns ||
           earliest(trial, next_ns) <= until_ns) {
        if (real_ns() - begun_ns > limit_ns)
            return -FW_ETIME;
        (void)settle(trial, until_ns);
        (void)fw_trial_record_wait(&trial->record, 0);
        const struct timespec pause = {0, look_ns};
        nanosleep(&pause, NULL);
    }
    return 0;
}

int64_t fw_trial_now_ns(const fw_trial *trial)
{
    return fw_now_ns() - trial->opened_ns;
}

/* --- one call --- */

/* It had ended before it was submitted. */
static bool is_known(fw_trial *trial, fw_key key)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    bool known =
        !fw_engine_find(trial->plane.house.engine, key) &&
        fw_cache_get(trial->plane.house.cache, key, fw_now_ns(), true, &item) == FW_CACHE_FOUND;
    if (known)
        fw_trial_record_end(&trial->record, &item);
    fw_rcu_read_unlock();
    return known;
}

/* Its id and what it held are free again. */
static bool is_gone(fw_trial *trial, fw_key key)
{
    fw_rcu_read_lock();
    bool gone = !fw_engine_find(trial->plane.house.engine, key);
    fw_rcu_read_unlock();
    return gone;
}

static int await_end(fw_trial *trial, fw_key key, char error[FW_TRIAL_ERROR])
{
    int64_t begun_ns = real_ns(), pause_ns = trial->config.real_time ? turn_ns : look_ns;
    const struct timespec moment = {0, look_ns};
    while (!fw_trial_record_wait(&trial->record, pause_ns) && !is_known(trial, key)) {
        if (real_ns() - begun_ns > trial->config.limit_ns) {
            snprintf(error, FW_TRIAL_ERROR, "it is not over in time");
            return -FW_ETIME;
        }
        if (!settle(trial, INT64_MAX)) {
            snprintf(error, FW_TRIAL_ERROR, "it waits for something that does not come here");
            return -FW_ETIME;
        }
    }
    (void)fw_trial_record_wait(&trial->record, 0);
    while (!is_gone(trial, key))
        nanosleep(&moment, NULL);
    return 0;
}

int fw_trial_call(fw_trial *trial, fw_span task, const fw_test_outcome **out,
                  char error[FW_TRIAL_ERROR])
{
    fw_submission submission;
    fw_submission_error wrong;
    char refused[FW_TASK_OPTIONS_ERROR] = "";
    char *room = malloc(task.len + 64), *at = room;
    int rc = -FW_ENOMEM;
    trial->still = 0;
    if (room && !fw_submission_read(&submission, &wrong, &at, fw_json_parse(task), fw_wall_ns())) {
        snprintf(error, FW_TRIAL_ERROR, "%s", wrong.text);
        rc = -FW_EINVAL;
    } else if (room) {
        fw_trial_record_watch(&trial->record, submission.key, submission.id);
        rc = fw_lifecycle_submit_all(&trial->plane.house.life, &submission, 1, refused);
        snprintf(error, FW_TRIAL_ERROR, "%s", refused);
        if (rc == 0)
            rc = await_end(trial, submission.key, error);
    }
    free(room);
    if (rc == 0)
        *out = &trial->record.outcome;
    return rc;
}

const fw_test_outcome *fw_trial_outcome(fw_trial *trial)
{
    (void)fw_trial_record_wait(&trial->record, 0);
    return &trial->record.outcome;
}

bool fw_trial_runs(fw_trial *trial)
{
    fw_engine_stats stats;
    fw_engine_snapshot(trial->plane.house.engine, &stats);
    return stats.running > 0 || stats.stuck > 0;
}

uint64_t fw_trial_count(fw_trial *trial, const char *task)
{
    return fw_trial_record_count(&trial->record, task);
}
