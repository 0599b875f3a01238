/* app/workers/unit.c - units: attached when their wires are up, ended once, freed by the main
 * thread.
 *
 * Key invariants: U1 a unit that is not DOWN is in its bucket; U2 a unit is freed, and its link
 * closed, when it is DOWN, the dispatcher has none of its places, and a grace period has passed
 * since it left its bucket;
 * U3 dispatcher and links are not called with the lock held where they could call back.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/events/event_posts.h"
#include "app/workers/poller_unit.h"
#include "app/workers/worker_unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

/* --- the table --- */

static fw_atomic(fw_unit *) * bucket_of(fw_workers *workers, fw_span id)
{
    return &workers->buckets[fw_key_from_text(id).low % FW_UNIT_BUCKETS];
}

/* In a read section, or under the lock. */
fw_unit *fw_unit_find(fw_workers *workers, fw_span id)
{
    /* Operators ask for whatever they like. */
    if (id.len == 0 || id.len > FW_WORKER_TEXT_MAX)
        return NULL;
    /* [unit-bucket] acquire: the unit's immutable parts. */
    fw_unit *unit = fw_load_acquire(bucket_of(workers, id));
    while (unit && (strlen(unit->id) != id.len || memcmp(unit->id, id.ptr, id.len) != 0)) {
        /* [unit-bucket] acquire: as above. */
        unit = fw_load_acquire(&unit->next);
    }
    return unit;
}

/* Under the lock. */
void fw_unit_publish(fw_workers *workers, fw_unit *unit)
{
    fw_atomic(fw_unit *) *bucket = bucket_of(workers, (fw_span){unit->id, strlen(unit->id)});
    /* Relaxed: who changes a bucket has the lock. */
    fw_store_relaxed(&unit->next, fw_load_relaxed(bucket));
    /* [unit-bucket] release: the unit's immutable parts. */
    fw_store_release(bucket, unit);
}

/* Under the lock. */
static void unpublish(fw_workers *workers, fw_unit *unit)
{
    fw_atomic(fw_unit *) *link = bucket_of(workers, (fw_span){unit->id, strlen(unit->id)});
    /* Relaxed: who changes a bucket has the lock. */
    while (fw_load_relaxed(link) != unit) {
        FW_ASSERT(fw_load_relaxed(link));
        link = &fw_load_relaxed(link)->next;
    }
    /* [unit-bucket] release: the one behind it. */
    fw_store_release(link, fw_load_relaxed(&unit->next));
}

static int compare_names(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t fw_unit_sort_names(uint32_t *names, size_t count)
{
    size_t kept = 0;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || names[i] != names[i - 1])
            names[kept++] = names[i];
    }
    return kept;
}

/* --- up and down --- */

/* Nothing new goes there; what is in hand is asked about as lost. Once per unit that was attached.
 */
static void detach(fw_unit *unit)
{
    fw_workers *workers = unit->workers;
    if (unit->place == 0)
        return;
    /* [unit-place] release: nothing; who looks from now on finds nobody. */
    fw_store_release(&workers->by_place[unit->place], (fw_unit *)NULL);
    fw_dispatch_detach(workers->engine, unit->place);
    fw_dispatch_flush(workers->engine);
}

/* A Python subworker runs whatever it is given, and as much at once as it says, or one. */
static int attach_place(fw_unit *unit)
{
    fw_workers *workers = unit->workers;
    fw_place_config config = {
        .owner = unit,
        .names = unit->names,
        .name_count = unit->name_count,
        .any = unit->any,
        .levels = (1u << FW_LEVELS) - 1,
        .slots = unit->slots,
        .prefetch = unit->native,
    };
    /* Relaxed: who attached takes it back, or the dispatcher does when it is through. */
    fw_add_relaxed(&unit->attached, 1);
    int rc = fw_dispatch_attach(workers->engine, &unit->place, &config);
    if (rc < 0) {
        unit->place = 0;
        fw_add_relaxed(&unit->attached, UINT_MAX);
        fw_log(FW_LOG_ERROR, "worker.place", "%s: %s", unit->id, fw_strerror(rc));
        return rc;
    }
    /* [unit-attached-as] release: it is attached. */
    fw_store_release(&unit->attached_as, unit->place);
    /* [unit-place] release: the unit, to who cancels. */
    fw_store_release(&workers->by_place[unit->place], unit);
    return 0;
}

/* Ends a unit: whoever is first. Any thread; in a read section; without the lock. */
void fw_unit_end(fw_unit *unit, const char *why)
{
    fw_workers *workers = unit->workers;
    pthread_mutex_lock(&workers->lock);
    fw_unit_state before = unit->state;
    if (before != FW_UNIT_DOWN) {
        unit->state = FW_UNIT_DOWN;
        snprintf(unit->why, sizeof unit->why, "%s", why);
        unpublish(workers, unit);
        unit->next_dead = workers->dead;
        workers->dead = unit;
    }
    pthread_mutex_unlock(&workers->lock);
    if (before == FW_UNIT_DOWN)
        return;
    /* Relaxed: a count. */
    fw_add_relaxed(&workers->downs, 1);
    fw_log(FW_LOG_INFO, "worker.down", "%s at %s: %s", unit->id, unit->address, why);
    if (fw_is_heard(workers->life))
        fw_post_worker(workers->life, false, unit->id, (fw_span){why, strlen(why)});
    /* Relaxed: a hint for names that nobody has told. */
    if (unit->any)
        fw_add_relaxed(&workers->life->wildcards, UINT_MAX);
    if (unit->poller)
        fw_poller_close(unit);
    /* One that is not up yet is attached at this moment, or never: attach sees to it. */
    if (before == FW_UNIT_UP)
        detach(unit);
    if (unit->link)
        fw_link_hang_up(unit->link);
}

/* One of app/local_subworkers, which knows what we know. */
static bool is_own(const fw_unit *unit)
{
    char own[sizeof unit->id];
    int len = snprintf(own, sizeof own, "%s-local-", unit->workers->house->settings->worker_id);
    return len > 0 && strncmp(unit->id, own, (size_t)len) == 0;
}

/* In a read section. */
void fw_unit_attach(fw_unit *unit)
{
    fw_workers *workers = unit->workers;
    pthread_mutex_lock(&workers->lock);
    bool down = unit->state == FW_UNIT_DOWN;
    /* Relaxed: under the lock. Ours until we are through: it is not reaped meanwhile. */
    if (!down)
        fw_add_relaxed(&unit->attached, 1);
    pthread_mutex_unlock(&workers->lock);
    if (down)
        return;
    /* Relaxed: a hint for names that nobody has told. */
    if (!is_own(unit))
        fw_store_relaxed(&workers->life->waits, true);
    int rc = attach_place(unit);
    pthread_mutex_lock(&workers->lock);
    down = unit->state == FW_UNIT_DOWN;
    if (!down)
        unit->state = FW_UNIT_UP;
    pthread_mutex_unlock(&workers->lock);
    if (down)
        detach(unit);
    else if (rc < 0)
        fw_unit_end(unit, fw_strerror(rc));
    else if (fw_is_heard(workers->life))
        fw_post_worker(workers->life, true, unit->id, (fw_span){0});
    /* Relaxed: a flag. It may have been set while there was no place yet. */
    if (!down && rc == 0 && fw_load_relaxed(&unit->held))
        fw_unit_pause(unit, true);
    /* [unit-attached] release: we are through with the unit. */
    fw_sub_acq_rel(&unit->attached, 1);
}

void fw_unit_begin(fw_unit *unit, const char *kind)
{
    fw_log(FW_LOG_INFO, "worker.up", "%s at %s: %s", unit->id, unit->address, kind);
    /* Relaxed: a hint for names that nobody has told. */
    if (unit->any)
        fw_add_relaxed(&unit->workers->life->wildcards, 1);
    fw_unit_attach(unit);
}

bool fw_unit_open(fw_workers *workers, fw_unit *unit)
{
    fw_span id = {unit->id, strlen(unit->id)};
    pthread_mutex_lock(&workers->lock);
    bool late = fw_unit_find(workers, id) || fw_load_relaxed(&workers->closing);
    if (!late)
        fw_unit_publish(workers, unit);
    pthread_mutex_unlock(&workers->lock);
    if (!late)
        fw_unit_begin(unit, "it asks over HTTP");
    return !late;
}

bool fw_unit_is_down(fw_unit *unit)
{
    pthread_mutex_lock(&unit->workers->lock);
    bool down = unit->state == FW_UNIT_DOWN;
    pthread_mutex_unlock(&unit->workers->lock);
    return down;
}

void fw_unit_up(void *context, void *owner)
{
    fw_unit *unit = owner;
    (void)context;
    fw_log(FW_LOG_INFO, "worker.up", "%s at %s: %u slots, %zu tasks", unit->id, unit->address,
           unit->slots, unit->name_count);
    fw_rcu_read_lock();
    fw_unit_attach(unit);
    fw_rcu_read_unlock();
}

void fw_unit_down(void *context, void *owner, const char *why)
{
    (void)context;
    fw_rcu_read_lock();
    fw_unit_end(owner, why);
    fw_rcu_read_unlock();
}

void fw_unit_pause(fw_unit *unit, bool paused)
{
    /* Relaxed: a flag to be shown. */
    fw_store_relaxed(&unit->draining, paused);
    uint32_t place = fw_unit_place(unit);
    if (place != 0)
        fw_dispatch_pause(unit->workers->engine, place, paused);
    fw_dispatch_flush(unit->workers->engine);
}

void fw_unit_beat(void *context, void *owner, const fw_beat *beat)
{
    fw_workers *workers = context;
    fw_unit *unit = owner;
    fw_registry_touch(workers->registry, (fw_span){unit->id, strlen(unit->id)}, fw_now_ns());
    /* Relaxed, all: flags; one pipe, so one beat at a time. Whoever was asked to drain still does
     * after a cut wire, or when we have been started again. */
    if (!fw_load_relaxed(&unit->heard) && beat->draining)
        fw_store_relaxed(&unit->held, true);
    /* [unit-heard] release: whether it drains. */
    fw_store_release(&unit->heard, true);
    /* A beat that was on its way when it was asked says that it does not. */
    bool paused = beat->draining || fw_load_relaxed(&unit->held);
    if (paused != fw_load_relaxed(&unit->draining))
        fw_unit_pause(unit, paused);
}

/* --- the end --- */

void fw_unit_free(fw_unit *unit)
{
    fw_poller_free(unit->poller);
    free(unit->names);
    free(unit);
}

/* Frees what is down and out of everybody's hands. A link is closed only then, too: until the
 * dispatcher has seen that the place is gone it may still send there. Nobody attaches any more. */
void fw_unit_reap(fw_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    fw_unit *unit = workers->dead;
    workers->dead = NULL;
    pthread_mutex_unlock(&workers->lock);
    if (!unit)
        return;
    fw_rcu_barrier();
    while (unit) {
        fw_unit *next = unit->next_dead;
        /* [unit-attached] acquire: the dispatcher is through with it. */
        if (fw_load_acquire(&unit->attached) == 0) {
            if (unit->link)
                fw_link_close(unit->link);
            if (unit->pylink)
                fw_pylink_close(unit->pylink);
            fw_unit_free(unit);
        } else {
            pthread_mutex_lock(&workers->lock);
            unit->next_dead = workers->dead;
            workers->dead = unit;
            pthread_mutex_unlock(&workers->lock);
        }
        unit = next;
    }
}
