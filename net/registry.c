/* net/registry.c - a list in the order of registration, and a hash table over it.
 *
 * Key invariants: R1 an entry is in the list exactly while it is in its bucket; R2 readers only
 * follow `next` and `next_in_bucket`, which are published after the entry is complete; R3 an entry
 * that was unlinked keeps its links until its readers have left. SPDX-License-Identifier:
 * Apache-2.0
 */
#include "net/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/key.h"
#include "base/rcu.h"

enum { BUCKETS = 4096 };

typedef fw_atomic(fw_worker_entry *) entry_link;

struct fw_registry {
    fw_registry_config config;
    pthread_mutex_t lock; /* of writers */
    /* Under the lock. */
    fw_worker_entry *last;
    size_t count;
    /* Shared, atomic. */
    entry_link first;
    entry_link buckets[BUCKETS];
};

fw_registry *fw_registry_create(const fw_registry_config *config)
{
    FW_ASSERT(config->workers_max > 0 && config->stale_ns <= config->gone_ns);
    fw_registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return NULL;
    registry->config = *config;
    FW_ASSERT(pthread_mutex_init(&registry->lock, NULL) == 0);
    return registry;
}

static fw_worker_entry *follow(const entry_link *link)
{
    /* [registry-link] acquire: the entry and what it leads to. */
    return fw_load_acquire(link);
}

static void set(entry_link *link, fw_worker_entry *entry)
{
    /* [registry-link] release: the entry is complete. */
    fw_store_release(link, entry);
}

void fw_registry_destroy(fw_registry *registry)
{
    if (!registry)
        return;
    fw_worker_entry *entry = follow(&registry->first);
    while (entry) {
        fw_worker_entry *next = follow(&entry->next);
        free(entry);
        entry = next;
    }
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static bool same(const char *text, fw_span span)
{
    return strlen(text) == span.len && memcmp(text, span.ptr, span.len) == 0;
}

static entry_link *bucket_of(fw_registry *registry, fw_span id)
{
    return &registry->buckets[fw_key_from_text(id).low % BUCKETS];
}

/* In a read section, or under the lock. */
static fw_worker_entry *find(fw_registry *registry, fw_span id)
{
    if (id.len == 0 || id.len > FW_WORKER_TEXT_MAX)
        return NULL;
    fw_worker_entry *entry = follow(bucket_of(registry, id));
    while (entry && !same(entry->id, id))
        entry = follow(&entry->next_in_bucket);
    return entry;
}

static void touch(fw_worker_entry *entry, int willing, int64_t now_ns)
{
    /* Relaxed: figures that stand alone. */
    fw_store_relaxed(&entry->last_seen_ns, now_ns);
    fw_store_relaxed(&entry->last_seen_wall_ns, fw_wall_ns());
    fw_store_relaxed(&entry->willing, willing);
    fw_store_relaxed(&entry->active, willing);
}

static fw_worker_entry *new_entry(const fw_registration *registration, int64_t now_ns)
{
    fw_worker_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(entry->id, registration->id.ptr, registration->id.len);
    memcpy(entry->address, registration->address.ptr, registration->address.len);
    entry->registered_wall_ns = fw_wall_ns();
    touch(entry, same("active", registration->status), now_ns);
    return entry;
}

/* --- under the lock --- */

static entry_link *link_before(fw_registry *registry, const fw_worker_entry *entry)
{
    return entry->before ? &entry->before->next : &registry->first;
}

static void append(fw_registry *registry, fw_worker_entry *entry)
{
    entry_link *bucket = bucket_of(registry, (fw_span){entry->id, strlen(entry->id)});
    entry->before = registry->last;
    set(&entry->next_in_bucket, follow(bucket));
    set(link_before(registry, entry), entry);
    set(bucket, entry);
    registry->last = entry;
    registry->count++;
}

static entry_link *link_in_bucket(fw_registry *registry, const fw_worker_entry *entry)
{
    entry_link *link = bucket_of(registry, (fw_span){entry->id, strlen(entry->id)});
    while (follow(link) != entry)
        link = &follow(link)->next_in_bucket;
    return link;
}

/* Readers see the one or the other, and never neither. */
static void replace(fw_registry *registry, fw_worker_entry *entry, fw_worker_entry *fresh)
{
    fw_worker_entry *next = follow(&entry->next);
    fresh->before = entry->before;
    set(&fresh->next, next);
    set(&fresh->next_in_bucket, follow(&entry->next_in_bucket));
    set(link_in_bucket(registry, entry), fresh);
    set(link_before(registry, entry), fresh);
    if (next)
        next->before = fresh;
    else
        registry->last = fresh;
    fw_rcu_retire(entry, free);
}

static void take_out(fw_registry *registry, fw_worker_entry *entry)
{
    fw_worker_entry *next = follow(&entry->next);
    set(link_in_bucket(registry, entry), follow(&entry->next_in_bucket));
    set(link_before(registry, entry), next);
    if (next)
        next->before = entry->before;
    else
        registry->last = entry->before;
    registry->count--;
    fw_rcu_retire(entry, free);
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
    fw_worker_entry *entry = find(registry, registration->id);
    if (entry && same(entry->address, registration->address)) {
        touch(entry, same("active", registration->status), now_ns);
    } else if (!entry && registry->count == registry->config.workers_max) {
        rc = -FW_EFULL;
    } else {
        fw_worker_entry *fresh = new_entry(registration, now_ns);
        if (!fresh)
            rc = -FW_ENOMEM;
        else if (entry)
            replace(registry, entry, fresh);
        else
            append(registry, fresh);
    }
    pthread_mutex_unlock(&registry->lock);
    fw_rcu_flush();
    if (rc < 0)
        snprintf(error, error_capacity, "%s",
                 rc == -FW_EFULL ? "too many subworkers" : "no memory");
    return rc;
}

static int64_t silence_of(const fw_worker_entry *entry, int64_t now_ns)
{
    /* Relaxed: a figure that stands alone. */
    return now_ns - fw_load_relaxed(&entry->last_seen_ns);
}

void fw_registry_sweep(fw_registry *registry, int64_t now_ns)
{
    pthread_mutex_lock(&registry->lock);
    fw_worker_entry *entry = follow(&registry->first);
    while (entry) {
        fw_worker_entry *next = follow(&entry->next);
        int64_t silence = silence_of(entry, now_ns);
        if (silence > registry->config.stale_ns) {
            /* Relaxed: a figure that stands alone. */
            fw_store_relaxed(&entry->active, 0);
        }
        if (silence > registry->config.gone_ns)
            take_out(registry, entry);
        entry = next;
    }
    pthread_mutex_unlock(&registry->lock);
    fw_rcu_flush();
}

/* --- readers --- */

void fw_registry_touch(fw_registry *registry, fw_span id, int64_t now_ns)
{
    fw_rcu_read_lock();
    fw_worker_entry *entry = find(registry, id);
    if (entry) {
        /* Relaxed: its own word stays as it is. */
        touch(entry, fw_load_relaxed(&entry->willing), now_ns);
    }
    fw_rcu_read_unlock();
}

fw_worker_state fw_registry_state(fw_registry *registry, fw_span id, int64_t now_ns)
{
    fw_worker_state state = FW_WORKER_GONE;
    fw_rcu_read_lock();
    const fw_worker_entry *entry = find(registry, id);
    if (entry && silence_of(entry, now_ns) > registry->config.stale_ns)
        state = FW_WORKER_STALE;
    else if (entry) {
        /* Relaxed: a figure that stands alone. */
        state = fw_load_relaxed(&entry->willing) ? FW_WORKER_ACTIVE : FW_WORKER_DRAINING;
    }
    fw_rcu_read_unlock();
    return state;
}

const char *fw_worker_state_name(fw_worker_state state)
{
    static const char *const names[] = {"active", "draining", "stale", "gone"};
    FW_ASSERT((unsigned)state < sizeof names / sizeof names[0]);
    return names[state];
}

void fw_registry_each(fw_registry *registry,
                      bool (*visit)(void *context, const fw_worker_entry *worker), void *context)
{
    fw_rcu_read_lock();
    const fw_worker_entry *entry = follow(&registry->first);
    while (entry && visit(context, entry))
        entry = follow(&entry->next);
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
