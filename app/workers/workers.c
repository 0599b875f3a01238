/* app/workers/workers.c - registrations become units; what the main thread and people do with them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/workers/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/manage/limits.h"
#include "app/workers/poller_unit.h"
#include "app/workers/worker_unit.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

/* Three beats of a native subworker. */
static const int64_t silence_ns = 6 * FW_NS_PER_S;
static const fw_registry_config registry_config = {
    .workers_max = 10000, .stale_ns = 30 * FW_NS_PER_S, .gone_ns = 600 * FW_NS_PER_S};

/* --- registrations --- */

/* What it says that it can run, as numbers. Names beyond what we keep are left out. */
static bool take_names(fw_unit *unit, const fw_native_offer *offer)
{
    fw_names *names = unit->workers->life->names;
    size_t count = 0;
    fw_span text;
    unit->names = malloc((offer->task_count + 1) * sizeof *unit->names);
    if (!unit->names)
        return false;
    fw_native_tasks walk = fw_native_tasks_of(offer);
    while (count < offer->task_count && fw_native_tasks_next(&walk, &text)) {
        const fw_name *name = fw_names_add(names, text);
        if (!name)
            continue;
        fw_name_announce(name);
        unit->names[count++] = name->index;
    }
    unit->name_count = fw_unit_sort_names(unit->names, count);
    return true;
}

static void copy_text(char *out, size_t capacity, fw_span text)
{
    snprintf(out, capacity, "%.*s", (int)(text.len < capacity ? text.len : capacity - 1), text.ptr);
}

static fw_unit *create_unit(fw_workers *workers, const fw_registration *r)
{
    fw_unit *unit = calloc(1, sizeof *unit);
    if (!unit)
        return NULL;
    unit->workers = workers;
    copy_text(unit->id, sizeof unit->id, r->id);
    copy_text(unit->address, sizeof unit->address, r->address);
    unit->native = r->offer.present;
    unit->any = !unit->native;
    if (!unit->native) {
        unit->slots = r->concurrency < 1           ? 1
                      : r->concurrency < FW_LEVELS ? r->concurrency
                                                   : FW_LEVELS;
        return unit;
    }
    copy_text(unit->epoch, sizeof unit->epoch, r->offer.epoch);
    copy_text(unit->software, sizeof unit->software, r->offer.impl);
    unit->slots = r->offer.slots < 1               ? 1
                  : r->offer.slots < FW_WINDOW_MAX ? r->offer.slots
                                                   : FW_WINDOW_MAX;
    if (take_names(unit, &r->offer))
        return unit;
    fw_unit_free(unit);
    return NULL;
}

/* Opens the wires; a native one is up when its link says so. In a read section. */
static const char *open_unit(fw_workers *workers, const fw_registration *r)
{
    /* Before anybody may send tasks of its names: the own threads can't run them. */
    fw_dispatch_begin(workers->engine);
    fw_unit *unit = create_unit(workers, r);
    if (!unit)
        return "no memory";
    pthread_mutex_lock(&workers->lock);
    /* Whoever registers twice at once opens one; and at the end none is opened any more. */
    bool late = fw_unit_find(workers, r->id) || fw_load_relaxed(&workers->closing);
    if (late) {
        pthread_mutex_unlock(&workers->lock);
        fw_unit_free(unit);
        return "busy with this id, try again";
    }
    if (unit->native) {
        fw_link_config config = {.id = {unit->id, strlen(unit->id)},
                                 .epoch = {unit->epoch, strlen(unit->epoch)},
                                 .address = r->offer.pull,
                                 .owner = unit,
                                 .silence_ns = silence_ns};
        unit->link = fw_link_open(workers->life->net, &config);
    } else {
        unit->pylink = fw_pylink_open(workers->life->net, r->address, unit);
    }
    bool open = unit->link || unit->pylink;
    if (open)
        fw_unit_publish(workers, unit);
    pthread_mutex_unlock(&workers->lock);
    if (!open) {
        fw_unit_free(unit);
        return "address: not one that can be dialed";
    }
    if (!unit->native)
        fw_unit_begin(unit, "a Python subworker");
    return NULL;
}

static bool is_same(const fw_unit *unit, const fw_registration *r)
{
    if (unit->native != r->offer.present)
        return false;
    const char *mine = unit->native ? unit->epoch : unit->address;
    fw_span theirs = unit->native ? r->offer.epoch : r->address;
    return strlen(mine) == theirs.len && memcmp(mine, theirs.ptr, theirs.len) == 0;
}

/* Two live processes under one id would throw each other out for ever, and the tasks with them. One
 * that has died or gone silent is ended by its link. In a read section. */
static bool is_taken(fw_workers *workers, const fw_registration *r)
{
    const fw_unit *unit = fw_unit_find(workers, r->id);
    if (!unit || !unit->native || is_same(unit, r))
        return false;
    pthread_mutex_lock(&workers->lock);
    bool up = unit->state == FW_UNIT_UP;
    pthread_mutex_unlock(&workers->lock);
    return up;
}

/* => what is wrong, or NULL. In a read section. */
static const char *admit(fw_workers *workers, const fw_registration *r)
{
    bool active = r->status.len == 6 && memcmp(r->status.ptr, "active", 6) == 0;
    fw_unit *unit = fw_unit_find(workers, r->id);
    if (unit && !is_same(unit, r)) {
        fw_unit_end(unit, "registered anew: another process");
        unit = NULL;
    }
    if (!unit)
        return active ? open_unit(workers, r) : NULL;
    /* Relaxed: a flag; a native one says it by its beats as well. */
    bool paused = !active || fw_load_relaxed(&unit->held);
    if (!unit->native && paused != fw_load_relaxed(&unit->draining))
        fw_unit_pause(unit, paused);
    return NULL;
}

void fw_workers_note(fw_workers *workers, const fw_registration *r)
{
    char error[128];
    const char *wrong = NULL;
    fw_transport transport = (fw_transport)workers->house->settings->transport;
    fw_registration registration = *r;
    if (transport == FW_TRANSPORT_COMPAT)
        registration.offer.present = false;
    fw_rcu_read_lock();
    if (transport == FW_TRANSPORT_NATIVE && !r->offer.present)
        wrong = "this control plane takes native subworkers only (FASTWORKER_TRANSPORT)";
    /* [workers-open] acquire: what the network calls. */
    else if (!fw_load_acquire(&workers->open))
        wrong = "control plane is starting, try again";
    /* Relaxed: whoever registers at this moment is early or late. */
    else if (fw_load_relaxed(&workers->closing))
        wrong = "control plane is shutting down";
    else if (is_taken(workers, &registration))
        wrong = "another process of this id is connected";
    else if (fw_registry_note(workers->registry, error, sizeof error, &registration, fw_now_ns()) <
             0)
        wrong = error;
    if (!wrong)
        wrong = admit(workers, &registration);
    fw_rcu_read_unlock();
    fw_net_answer_registration(workers->life->net, &r->reply, r->id, wrong,
                               registration.offer.present);
}

/* --- the main thread --- */

static void each_unit(fw_workers *workers, void (*visit)(fw_unit *unit, int64_t now_ns),
                      int64_t now_ns)
{
    for (unsigned i = 0; i < FW_UNIT_BUCKETS; i++) {
        /* [unit-bucket] acquire: the unit's immutable parts. */
        for (fw_unit *unit = fw_load_acquire(&workers->buckets[i]); unit;
             unit = fw_load_acquire(&unit->next))
            visit(unit, now_ns);
    }
}

/* A Python subworker stops beating while a task blocks it: one that has a task in hand is not
 * silent as long as its connection stands. */
static void check_beat(fw_unit *unit, int64_t now_ns)
{
    fw_place_stats stats;
    fw_span id = {unit->id, strlen(unit->id)};
    if (unit->native)
        return;
    uint32_t place = unit->poller ? 0 : fw_unit_place(unit);
    if (place != 0 && fw_dispatch_place_snapshot(unit->workers->engine, place, &stats) &&
        stats.in_hand > 0)
        fw_registry_touch(unit->workers->registry, id, now_ns);
    fw_worker_state state = fw_registry_state(unit->workers->registry, id, now_ns);
    if (state == FW_WORKER_GONE)
        fw_unit_end(unit, "not heard of for too long");
    /* Relaxed: a flag. */
    else if (state == FW_WORKER_STALE && !fw_load_relaxed(&unit->draining))
        fw_unit_pause(unit, true);
}

static void turn_poller(fw_unit *unit, int64_t now_ns)
{
    if (unit->poller)
        fw_poller_turn(unit, now_ns);
}

/* Says what it wants of each native subworker, so that both ends notice a cut wire by its silence.
 */
static void speak(fw_unit *unit, int64_t now_ns)
{
    (void)now_ns;
    /* [unit-heard] acquire: until its first word nobody knows whether it is to drain.
     * Relaxed: a flag. */
    if (unit->native && fw_load_acquire(&unit->heard))
        fw_link_drain(unit->link, fw_load_relaxed(&unit->held));
}

void fw_workers_turn(fw_workers *workers, unsigned count, int64_t now_ns)
{
    fw_unit_reap(workers);
    fw_rcu_read_lock();
    each_unit(workers, fw_work_recall, now_ns);
    each_unit(workers, turn_poller, now_ns);
    if (count % 20 == 0) {
        fw_registry_sweep(workers->registry, now_ns);
        each_unit(workers, fw_work_check_deadlines, now_ns);
        each_unit(workers, check_beat, now_ns);
    }
    if (count % 40 == 0)
        each_unit(workers, speak, now_ns);
    fw_rcu_read_unlock();
    fw_dispatch_flush(workers->engine);
    fw_net_flush(workers->life->net);
}

/* --- people --- */

int fw_workers_drain(fw_workers *workers, fw_span id, bool drain)
{
    fw_rcu_read_lock();
    fw_unit *unit = fw_unit_find(workers, id);
    if (unit) {
        /* Relaxed: a flag. */
        fw_store_relaxed(&unit->held, drain);
        fw_unit_pause(unit, drain);
        if (unit->native)
            fw_link_drain(unit->link, drain);
    }
    fw_rcu_read_unlock();
    return unit ? 0 : -FW_EUNKNOWN;
}

typedef struct showing {
    fw_workers *workers;
    bool (*visit)(void *context, const fw_worker_view *worker);
    void *context;
    int64_t now_ns;
} showing;

static void add_places(fw_worker_view *view, fw_unit *unit)
{
    fw_place_stats stats;
    uint32_t place = fw_unit_place(unit);
    if (place == 0 || !fw_dispatch_place_snapshot(unit->workers->engine, place, &stats))
        return;
    view->in_hand = stats.in_hand;
    view->window = stats.window;
    view->given = stats.given;
    view->ended = stats.ended;
    view->returned = stats.returned;
    view->lost = stats.lost;
}

static bool show(void *context, const fw_worker_entry *entry)
{
    const showing *s = context;
    fw_span id = {entry->id, strlen(entry->id)};
    fw_unit *unit = fw_unit_find(s->workers, id);
    fw_worker_state state = fw_registry_state(s->workers->registry, id, s->now_ns);
    fw_worker_view view = {
        .id = entry->id,
        .address = entry->address,
        .state = fw_worker_state_name(state),
        .native = entry->offer.present,
        .software = entry->offer.present ? entry->offer.impl.ptr : "python",
        /* Relaxed: figures to be shown. */
        .last_seen_wall_ns = fw_load_relaxed(&entry->last_seen_wall_ns),
        .registered_wall_ns = entry->registered_wall_ns,
    };
    if (unit) {
        view.native = unit->native;
        view.software = unit->software[0] ? unit->software : "python";
        view.slots = unit->slots;
        view.names = unit->name_count;
        /* Relaxed: a flag to be shown. */
        if (fw_load_relaxed(&unit->draining) && state == FW_WORKER_ACTIVE)
            view.state = fw_worker_state_name(FW_WORKER_DRAINING);
        add_places(&view, unit);
    }
    /* Registered, and its pipes are not up, or not any more. */
    if (state == FW_WORKER_ACTIVE && (!unit || fw_unit_place(unit) == 0))
        view.state = fw_worker_state_name(FW_WORKER_STALE);
    return s->visit(s->context, &view);
}

void fw_workers_each(fw_workers *workers,
                     bool (*visit)(void *context, const fw_worker_view *worker), void *context)
{
    showing s = {workers, visit, context, fw_now_ns()};
    fw_rcu_read_lock();
    fw_registry_each(workers->registry, show, &s);
    fw_rcu_read_unlock();
}

void fw_workers_count(fw_workers *workers, size_t *total, size_t *active)
{
    fw_registry_count(workers->registry, total, active);
}

static bool add_worker(void *context, const fw_worker_view *worker)
{
    fw_workers_stats *sum = context;
    for (int state = FW_WORKER_ACTIVE; state <= FW_WORKER_STALE; state++) {
        if (strcmp(worker->state, fw_worker_state_name((fw_worker_state)state)) == 0)
            sum->by_state[state]++;
    }
    sum->slots += worker->slots;
    sum->in_hand += worker->in_hand;
    return true;
}

void fw_workers_snapshot(fw_workers *workers, fw_workers_stats *out)
{
    fw_dispatch_stats dispatch;
    *out = (fw_workers_stats){.slots = 0};
    fw_workers_each(workers, add_worker, out);
    fw_dispatch_snapshot(workers->engine, &dispatch);
    out->late = dispatch.late;
    /* Relaxed: counts. */
    out->lost = fw_load_relaxed(&workers->downs);
    out->recalled = fw_load_relaxed(&workers->recalls);
    out->expired = fw_load_relaxed(&workers->expired);
}

/* --- life --- */

int fw_workers_create(fw_workers **out, fw_house *house)
{
    const fw_settings *s = house->settings;
    fw_workers *workers = calloc(1, sizeof *workers);
    if (!workers)
        return -FW_ENOMEM;
    FW_ASSERT(pthread_mutex_init(&workers->lock, NULL) == 0);
    workers->house = house;
    workers->engine = house->engine;
    workers->life = &house->life;
    workers->registry = fw_registry_create(&registry_config);
    fw_dispatch_config config = {.local = house->runs,
                                 .prefetch = s->prefetch < 0    ? 0
                                             : s->prefetch == 0 ? -1
                                                                : (int)s->prefetch,
                                 .window_max = FW_WINDOW_MAX};
    fw_dispatch_ops ops = fw_work_dispatch_ops(workers);
    int rc = workers->registry ? fw_dispatch_init(house->engine, &config, &ops) : -FW_ENOMEM;
    if (rc == 0)
        fw_limits_begin(house->engine);
    for (size_t i = 0; rc == 0 && house->runs && i < fw_modules_count(house->modules); i++)
        rc = fw_dispatch_local_name(house->engine, (uint32_t)i);
    if (rc < 0) {
        fw_workers_destroy(workers);
        return rc;
    }
    *out = workers;
    return 0;
}

void fw_workers_open(fw_workers *workers)
{
    fw_link_ops link = {.context = workers,
                        .up = fw_unit_up,
                        .down = fw_unit_down,
                        .results = fw_work_results,
                        .beat = fw_unit_beat};
    fw_pylink_ops pylink = {
        .context = workers, .result = fw_work_python_result, .failed = fw_work_python_failed};
    fw_net_set_link_ops(workers->life->net, &link);
    fw_net_set_pylink_ops(workers->life->net, &pylink);
    /* [workers-open] release: what the network calls. */
    fw_store_release(&workers->open, true);
}

static void close_one(fw_unit *unit, int64_t now_ns)
{
    (void)now_ns;
    fw_unit_end(unit, "control plane is shutting down");
}

static bool have_all_gone(fw_workers *workers)
{
    fw_dispatch_flush(workers->engine);
    fw_unit_reap(workers);
    pthread_mutex_lock(&workers->lock);
    bool gone = !workers->dead;
    pthread_mutex_unlock(&workers->lock);
    return gone;
}

void fw_workers_close(fw_workers *workers)
{
    const struct timespec pause = {0, FW_NS_PER_MS};
    pthread_mutex_lock(&workers->lock);
    /* Relaxed: who opens a unit looks at it under the lock. */
    fw_store_relaxed(&workers->closing, true);
    pthread_mutex_unlock(&workers->lock);
    fw_rcu_read_lock();
    each_unit(workers, close_one, 0);
    fw_rcu_read_unlock();
    /* Another thread may have the dispatcher's duty, and take a moment. */
    while (!have_all_gone(workers))
        nanosleep(&pause, NULL);
}

void fw_workers_destroy(fw_workers *workers)
{
    if (!workers)
        return;
    fw_unit_reap(workers);
    FW_ASSERT(!workers->dead);
    fw_registry_destroy(workers->registry);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
