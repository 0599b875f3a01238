/* net/registry.c - a list in the order of registration, and a hash table over it.
 *
 * Key invariants: R1 an entry is in the list exactly while it is in its bucket; R2 readers only
 * follow `next` and `next_in_bucket`, which are published after the entry is complete; R3 an entry
 * that was unlinked keeps its links until its readers have left.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/key.h"
#include "base/rcu.h"

typedef fw_atomic(fw_worker_entry *) entry_link;

struct fw_registry {
    /* Immutable. */
    fw_registry_config config;
    size_t bucket_count; /* a power of two */
    entry_link *buckets;
    pthread_mutex_t lock; /* of writers */
    /* Under the lock. */
    fw_worker_entry *last;
    size_t count;
    /* Shared, atomic. */
    entry_link first;
};

fw_registry *fw_registry_create(const fw_registry_config *config)
{
    FW_ASSERT(config->workers_max > 0 && config->stale_ns <= config->gone_ns);
    fw_registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return NULL;
    registry->config = *config;
    registry->bucket_count = 16;
    while (registry->bucket_count < config->workers_max / 2)
        registry->bucket_count *= 2;
    registry->buckets = calloc(registry->bucket_count, sizeof *registry->buckets);
    if (!registry->buckets) {
        free(registry);
        return NULL;
    }
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
    free(registry->buckets);
    free(registry);
}

/* ---- Entries ---- */

static bool is_text(const char *text, fw_span span)
{
    return strlen(text) == span.len && memcmp(text, span.ptr, span.len) == 0;
}

static bool equal(fw_span a, fw_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool is_willing(const fw_registration *registration)
{
    return is_text("active", registration->status);
}

static bool is_same_process(const fw_worker_entry *entry, const fw_registration *r)
{
    return is_text(entry->address, r->address) && entry->offer.present == r->offer.present &&
           (!r->offer.present || equal(entry->offer.epoch, r->offer.epoch));
}

static bool is_same_offer(const fw_native_offer *a, const fw_native_offer *b)
{
    if (!a->present)
        return true;
    return a->version == b->version && a->slots == b->slots && a->beat_ns == b->beat_ns &&
           equal(a->impl, b->impl) && equal(a->pull, b->pull) && equal(a->tasks, b->tasks);
}

/* Copies text to *room, with a NUL, and moves on. */
static const char *put(char **room, fw_span text)
{
    char *start = *room;
    if (text.len > 0)
        memcpy(start, text.ptr, text.len);
    start[text.len] = 0;
    *room += text.len + 1;
    return start;
}

static fw_span put_span(char **room, fw_span text)
{
    return (fw_span){put(room, text), text.len};
}

static fw_worker_entry *new_entry(const fw_registration *r)
{
    static const fw_native_offer none = {.present = false};
    const fw_native_offer *offer = r->offer.present ? &r->offer : &none;
    size_t texts = r->id.len + r->address.len + offer->impl.len + offer->epoch.len +
                   offer->pull.len + offer->tasks.len + 6;
    fw_worker_entry *entry = calloc(1, sizeof *entry + texts);
    if (!entry)
        return NULL;
    char *room = (char *)(entry + 1);
    entry->id = put(&room, r->id);
    entry->address = put(&room, r->address);
    entry->offer = *offer;
    entry->offer.impl = put_span(&room, offer->impl);
    entry->offer.epoch = put_span(&room, offer->epoch);
    entry->offer.pull = put_span(&room, offer->pull);
    entry->offer.tasks = put_span(&room, offer->tasks);
    entry->offer.token = entry->offer.results = (fw_span){NULL, 0};
    FW_ASSERT(room == (char *)(entry + 1) + texts);
    return entry;
}

static void see(fw_worker_entry *entry, int64_t now_ns)
{
    /* Relaxed: figures that stand alone. */
    fw_store_relaxed(&entry->last_seen_ns, now_ns);
    fw_store_relaxed(&entry->last_seen_wall_ns, fw_wall_ns());
}

/* ---- Finding ---- */

static entry_link *bucket_of(fw_registry *registry, fw_span id)
{
    return &registry->buckets[fw_key_hash(fw_key_from_text(id)) & (registry->bucket_count - 1)];
}

/* In a read section, or under the lock. */
static fw_worker_entry *find(fw_registry *registry, fw_span id)
{
    if (id.len == 0 || id.len > FW_WORKER_TEXT_MAX)
        return NULL;
    fw_worker_entry *entry = follow(bucket_of(registry, id));
    while (entry && !is_text(entry->id, id))
        entry = follow(&entry->next_in_bucket);
    return entry;
}

/* ---- Linking, under the lock ---- */

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

/* ---- Writers ---- */

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

/* Its own word, and a sign of life. */
static void hear(fw_worker_entry *entry, const fw_registration *r, int64_t now_ns)
{
    bool willing = is_willing(r);
    see(entry, now_ns);
    /* Relaxed: words that stand alone; the state is turned last, see touch. */
    fw_store_relaxed(&entry->willing, willing);
    fw_store_relaxed(&entry->state, willing ? FW_WORKER_ACTIVE : FW_WORKER_DRAINING);
}

/* An entry with these words in the place of the other one, or of none. Under the lock. */
static int renew(fw_registry *registry, fw_worker_entry *entry, const fw_registration *r,
                 int64_t now_ns)
{
    if (!entry && registry->count == registry->config.workers_max)
        return -FW_EFULL;
    fw_worker_entry *fresh = new_entry(r);
    if (!fresh)
        return -FW_ENOMEM;
    fresh->registered_wall_ns = fw_wall_ns();
    hear(fresh, r, now_ns);
    if (!entry) {
        append(registry, fresh);
        return 0;
    }
    if (is_same_process(entry, r))
        fresh->registered_wall_ns = entry->registered_wall_ns;
    replace(registry, entry, fresh);
    return 0;
}

int fw_registry_note(fw_registry *registry, char *error, size_t error_capacity,
                     const fw_registration *r, int64_t now_ns)
{
    int rc = check(error, error_capacity, r);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&registry->lock);
    fw_worker_entry *entry = find(registry, r->id);
    if (entry && is_same_process(entry, r) && is_same_offer(&entry->offer, &r->offer))
        hear(entry, r, now_ns);
    else
        rc = renew(registry, entry, r, now_ns);
    pthread_mutex_unlock(&registry->lock);
    fw_rcu_flush();
    if (rc < 0)
        snprintf(error, error_capacity, "%s",
                 rc == -FW_EFULL ? "too many subworkers" : "no memory");
    return rc;
}

bool fw_registry_touch(fw_registry *registry, fw_span id, int64_t now_ns)
{
    fw_rcu_read_lock();
    fw_worker_entry *entry = find(registry, id);
    if (entry) {
        see(entry, now_ns);
        /* Relaxed: words that stand alone. If its own word changes meanwhile, whoever changes it
         * turns the state after us, or has turned it already, and then we do not. */
        int before = FW_WORKER_STALE;
        bool willing = fw_load_relaxed(&entry->willing);
        (void)fw_cas_relaxed(&entry->state, &before,
                             willing ? FW_WORKER_ACTIVE : FW_WORKER_DRAINING);
    }
    fw_rcu_read_unlock();
    return entry != NULL;
}

/* ---- The sweep ---- */

static int64_t silence_of(const fw_worker_entry *entry, int64_t now_ns)
{
    /* Relaxed: a figure that stands alone. */
    return now_ns - fw_load_relaxed(&entry->last_seen_ns);
}

static bool is_silent(const fw_registry *registry, const fw_worker_entry *entry, int64_t now_ns)
{
    return silence_of(entry, now_ns) > registry->config.stale_ns;
}

void fw_registry_sweep(fw_registry *registry, int64_t now_ns)
{
    fw_worker_entry *next;
    pthread_mutex_lock(&registry->lock);
    for (fw_worker_entry *entry = follow(&registry->first); entry; entry = next) {
        next = follow(&entry->next);
        if (silence_of(entry, now_ns) > registry->config.gone_ns)
            take_out(registry, entry);
        /* Relaxed: a word that stands alone. A beat that comes at this very moment may be
         * overlooked; the next one leads back. */
        else if (is_silent(registry, entry, now_ns))
            fw_store_relaxed(&entry->state, FW_WORKER_STALE);
    }
    pthread_mutex_unlock(&registry->lock);
    fw_rcu_flush();
}

/* ---- Readers ---- */

const fw_worker_entry *fw_registry_find(fw_registry *registry, fw_span id)
{
    return find(registry, id);
}

fw_worker_state fw_registry_state(fw_registry *registry, fw_span id, int64_t now_ns)
{
    fw_worker_state state = FW_WORKER_GONE;
    fw_rcu_read_lock();
    const fw_worker_entry *entry = find(registry, id);
    if (entry && is_silent(registry, entry, now_ns))
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
    s->active += fw_load_relaxed(&worker->state) == FW_WORKER_ACTIVE;
    return true;
}

void fw_registry_count(fw_registry *registry, size_t *total, size_t *active)
{
    sums s = {0, 0};
    fw_registry_each(registry, add_up, &s);
    *total = s.total;
    *active = s.active;
}

size_t fw_registry_depth(fw_registry *registry)
{
    size_t deepest = 0;
    fw_rcu_read_lock();
    for (size_t i = 0; i < registry->bucket_count; i++) {
        size_t depth = 0;
        for (const fw_worker_entry *entry = follow(&registry->buckets[i]); entry;
             entry = follow(&entry->next_in_bucket))
            depth++;
        deepest = depth > deepest ? depth : deepest;
    }
    fw_rcu_read_unlock();
    return deepest;
}
