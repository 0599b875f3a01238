/* net/registry.c - a copy-on-write table of workers.
 *
 * Key invariant: a table that readers may hold never changes; entries are shared between successive
 * tables and are retired with the first table that lacks them. SPDX-License-Identifier: Apache-2.0
 */
#include "net/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

typedef struct table {
    size_t count;
    fw_worker_entry *entries[];
} table;

struct fw_registry {
    fw_registry_config config;
    fw_atomic(table *) current;
    pthread_mutex_t lock; /* of writers */
};

static table *new_table(size_t count)
{
    table *t = calloc(1, sizeof *t + count * sizeof t->entries[0]);
    if (t)
        t->count = count;
    return t;
}

static void reclaim(void *object)
{
    free(object);
}

/* Under the lock. */
static table *present(fw_registry *registry)
{
    /* Relaxed: only writers change it, and we are the writer. */
    return fw_load_relaxed(&registry->current);
}

/* Under the lock. */
static void publish(fw_registry *registry, table *next)
{
    table *before = present(registry);
    /* [registry-table] release: the new table and its entries. */
    fw_store_release(&registry->current, next);
    fw_rcu_retire(before, reclaim);
    fw_rcu_flush();
}

fw_registry *fw_registry_create(const fw_registry_config *config)
{
    FW_ASSERT(config->workers_max > 0 && config->stale_ns <= config->gone_ns);
    fw_registry *registry = calloc(1, sizeof *registry);
    table *empty = new_table(0);
    if (!registry || !empty) {
        free(registry);
        free(empty);
        return NULL;
    }
    registry->config = *config;
    FW_ASSERT(pthread_mutex_init(&registry->lock, NULL) == 0);
    /* Relaxed: not shared yet. */
    fw_store_relaxed(&registry->current, empty);
    return registry;
}

void fw_registry_destroy(fw_registry *registry)
{
    if (!registry)
        return;
    table *t = present(registry);
    for (size_t i = 0; i < t->count; i++)
        free(t->entries[i]);
    free(t);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static bool same(const char *text, fw_span span)
{
    return strlen(text) == span.len && memcmp(text, span.ptr, span.len) == 0;
}

static size_t find(const table *t, fw_span id)
{
    size_t i = 0;
    while (i < t->count && !same(t->entries[i]->id, id))
        i++;
    return i;
}

static void touch(fw_worker_entry *entry, const fw_registration *registration, int64_t now_ns)
{
    /* Relaxed: figures that stand alone. */
    fw_store_relaxed(&entry->last_seen_ns, now_ns);
    fw_store_relaxed(&entry->last_seen_wall_ns, fw_wall_ns());
    fw_store_relaxed(&entry->active, same("active", registration->status));
}

static fw_worker_entry *new_entry(const fw_registration *registration, int64_t now_ns)
{
    fw_worker_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(entry->id, registration->id.ptr, registration->id.len);
    memcpy(entry->address, registration->address.ptr, registration->address.len);
    entry->registered_wall_ns = fw_wall_ns();
    touch(entry, registration, now_ns);
    return entry;
}

/* Under the lock. Puts entry at place: over the one there, or behind the last. */
static int put(fw_registry *registry, size_t place, const fw_registration *registration,
               int64_t now_ns)
{
    table *t = present(registry);
    bool replaces = place < t->count;
    if (!replaces && t->count == registry->config.workers_max)
        return -FW_EFULL;
    table *next = new_table(t->count + (replaces ? 0 : 1));
    fw_worker_entry *entry = new_entry(registration, now_ns);
    if (!next || !entry) {
        free(next);
        free(entry);
        return -FW_ENOMEM;
    }
    memcpy(next->entries, t->entries, t->count * sizeof t->entries[0]);
    next->entries[place] = entry;
    if (replaces)
        fw_rcu_retire(t->entries[place], reclaim);
    publish(registry, next);
    return 0;
}

static int check(char *error, size_t capacity, const fw_registration *r)
{
    const char *what = NULL;
    if (r->id.len == 0 || r->id.len > FW_WORKER_TEXT_MAX)
        what = "subworker_id";
    else if (r->address.len == 0 || r->address.len > FW_WORKER_TEXT_MAX)
        what = "address";
    if (!what)
        return 0;
    snprintf(error, capacity, "%s is missing, empty or longer than %d bytes", what,
             FW_WORKER_TEXT_MAX);
    return -FW_EINVAL;
}

int fw_registry_note(fw_registry *registry, char *error, size_t error_capacity,
                     const fw_registration *registration, int64_t now_ns)
{
    int rc = check(error, error_capacity, registration);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&registry->lock);
    table *t = present(registry);
    size_t place = find(t, registration->id);
    if (place < t->count && same(t->entries[place]->address, registration->address))
        touch(t->entries[place], registration, now_ns);
    else
        rc = put(registry, place, registration, now_ns);
    pthread_mutex_unlock(&registry->lock);
    if (rc < 0)
        snprintf(error, error_capacity, "%s",
                 rc == -FW_EFULL ? "too many subworkers" : "no memory");
    return rc;
}

void fw_registry_sweep(fw_registry *registry, int64_t now_ns)
{
    pthread_mutex_lock(&registry->lock);
    table *t = present(registry);
    size_t gone = 0;
    for (size_t i = 0; i < t->count; i++) {
        /* Relaxed: figures that stand alone. */
        int64_t silence = now_ns - fw_load_relaxed(&t->entries[i]->last_seen_ns);
        if (silence > registry->config.stale_ns)
            fw_store_relaxed(&t->entries[i]->active, 0);
        gone += silence > registry->config.gone_ns;
    }
    table *next = gone > 0 ? new_table(t->count - gone) : NULL;
    if (next) {
        size_t kept = 0;
        for (size_t i = 0; i < t->count; i++) {
            /* Relaxed: as above. */
            int64_t silence = now_ns - fw_load_relaxed(&t->entries[i]->last_seen_ns);
            if (silence > registry->config.gone_ns && gone-- > 0)
                fw_rcu_retire(t->entries[i], reclaim);
            else
                next->entries[kept++] = t->entries[i];
        }
        FW_ASSERT(kept == next->count);
        publish(registry, next);
    }
    pthread_mutex_unlock(&registry->lock);
}

void fw_registry_each(fw_registry *registry,
                      bool (*visit)(void *context, const fw_worker_entry *worker), void *context)
{
    fw_rcu_read_lock();
    /* [registry-table] acquire: the table and its entries. */
    table *t = fw_load_acquire(&registry->current);
    for (size_t i = 0; i < t->count && visit(context, t->entries[i]); i++)
        ;
    fw_rcu_read_unlock();
}

typedef struct sums {
    size_t total, active;
} sums;

static bool add_up(void *context, const fw_worker_entry *worker)
{
    sums *s = context;
    s->total++;
    /* Relaxed: a figure to be shown. */
    s->active += fw_load_relaxed(&worker->active) != 0;
    return true;
}

void fw_registry_count(fw_registry *registry, size_t *total, size_t *active)
{
    sums s = {0, 0};
    fw_registry_each(registry, add_up, &s);
    *total = s.total;
    *active = s.active;
}
