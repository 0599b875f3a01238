/* app/compose/unique.c - see app/compose/unique.h: chains in shards that double.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "app/compose/unique.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"

enum { SHARDS = 64, CHAINS_MIN = 16 };

typedef struct entry {
    struct entry *next;
    fw_key name;
    fw_holder holder;
    char id[];
} entry;

typedef struct fw_unique_shard {
    fw_unique *unique;
    pthread_mutex_t lock;
    /* under lock */
    entry **chains;
    size_t chain_count, count;
} fw_unique_shard;

struct fw_unique {
    size_t keys_max;
    fw_atomic(size_t) count;
    unsigned swept; /* the sweeper's */
    fw_unique_shard shards[SHARDS];
};

fw_unique *fw_unique_create(size_t keys_max)
{
    fw_unique *unique = calloc(1, sizeof *unique);
    if (!unique)
        return NULL;
    unique->keys_max = keys_max;
    bool made = true;
    for (unsigned i = 0; i < SHARDS; i++) {
        fw_unique_shard *shard = &unique->shards[i];
        shard->unique = unique;
        shard->chain_count = CHAINS_MIN;
        shard->chains = calloc(CHAINS_MIN, sizeof(entry *));
        made = made && shard->chains;
        FW_ASSERT(pthread_mutex_init(&shard->lock, NULL) == 0);
    }
    if (made)
        return unique;
    fw_unique_destroy(unique);
    return NULL;
}

void fw_unique_destroy(fw_unique *unique)
{
    if (!unique)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        fw_unique_shard *shard = &unique->shards[i];
        for (size_t c = 0; shard->chains && c < shard->chain_count; c++) {
            while (shard->chains[c]) {
                entry *gone = shard->chains[c];
                shard->chains[c] = gone->next;
                free(gone);
            }
        }
        free(shard->chains);
        pthread_mutex_destroy(&shard->lock);
    }
    free(unique);
}

static fw_unique_shard *shard_of(fw_unique *unique, fw_key name)
{
    return &unique->shards[fw_key_hash(name) % SHARDS];
}

static entry **chain_of(fw_unique_shard *shard, fw_key name)
{
    return &shard->chains[fw_key_hash(name) / SHARDS & (shard->chain_count - 1)];
}

static entry **find(fw_unique_shard *shard, fw_key name)
{
    entry **link = chain_of(shard, name);
    while (*link && !fw_key_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

static bool is_over(const entry *e, int64_t now_ns)
{
    return (!e->holder.live || e->holder.timed) && e->holder.until_ns <= now_ns;
}

static void remove_at(fw_unique_shard *shard, entry **link)
{
    entry *gone = *link;
    *link = gone->next;
    shard->count--;
    /* Relaxed: a limit, not a promise. */
    fw_sub_relaxed(&shard->unique->count, 1);
    free(gone);
}

/* Without memory the chains just become longer. */
static void grow(fw_unique_shard *shard)
{
    size_t before = shard->chain_count;
    entry **chains = calloc(before * 2, sizeof(entry *)), **old = shard->chains;
    if (!chains)
        return;
    shard->chains = chains;
    shard->chain_count = before * 2;
    for (size_t i = 0; i < before; i++) {
        while (old[i]) {
            entry *e = old[i];
            old[i] = e->next;
            entry **chain = chain_of(shard, e->name);
            e->next = *chain;
            *chain = e;
        }
    }
    free(old);
}

void fw_unique_open(fw_unique *unique, fw_unique_key *out, fw_span name, int64_t now_ns)
{
    *out = (fw_unique_key){.name = fw_key_from_text(name)};
    out->shard = shard_of(unique, out->name);
    pthread_mutex_lock(&out->shard->lock);
    entry **link = find(out->shard, out->name);
    if (*link && is_over(*link, now_ns))
        remove_at(out->shard, link);
    else if (*link)
        out->holder = &(*link)->holder;
}

bool fw_unique_take(fw_unique_key *key, fw_key task, fw_span id, int64_t until_ns, bool timed)
{
    fw_unique_shard *shard = key->shard;
    FW_ASSERT(id.len <= FW_ID_MAX);
    if (key->holder) {
        /* It had ended, and the same id runs once more. */
        entry *own = *find(shard, key->name);
        FW_ASSERT(fw_key_equal(own->holder.task, task));
        own->holder.live = true;
        own->holder.until_ns = until_ns;
        own->holder.timed = timed;
        return true;
    }
    entry *e = malloc(sizeof *e + id.len);
    if (!e)
        return false;
    *e = (entry){.name = key->name, .holder = {task, {e->id, id.len}, true, timed, until_ns}};
    memcpy(e->id, id.ptr, id.len);
    if (shard->count++ >= shard->chain_count)
        grow(shard);
    entry **chain = chain_of(shard, key->name);
    e->next = *chain;
    *chain = e;
    key->holder = &e->holder;
    /* Relaxed: a limit, not a promise. */
    fw_add_relaxed(&shard->unique->count, 1);
    return true;
}

void fw_unique_close(fw_unique_key *key)
{
    pthread_mutex_unlock(&key->shard->lock);
}

void fw_unique_release(fw_unique *unique, fw_span name, fw_key task, bool keep, int64_t now_ns)
{
    fw_key hashed = fw_key_from_text(name);
    fw_unique_shard *shard = shard_of(unique, hashed);
    pthread_mutex_lock(&shard->lock);
    entry **link = find(shard, hashed);
    if (*link && (*link)->holder.live && fw_key_equal((*link)->holder.task, task)) {
        (*link)->holder.live = false;
        if ((!keep && !(*link)->holder.timed) || is_over(*link, now_ns))
            remove_at(shard, link);
    }
    pthread_mutex_unlock(&shard->lock);
}

bool fw_unique_is_full(const fw_unique *unique, size_t more)
{
    return fw_unique_count(unique) + more > unique->keys_max;
}

size_t fw_unique_count(const fw_unique *unique)
{
    /* Relaxed: a figure. */
    return fw_load_relaxed(&unique->count);
}

void fw_unique_sweep(fw_unique *unique, int64_t now_ns)
{
    fw_unique_shard *shard = &unique->shards[unique->swept++ % SHARDS];
    pthread_mutex_lock(&shard->lock);
    for (size_t i = 0; shard->count > 0 && i < shard->chain_count; i++) {
        for (entry **link = &shard->chains[i]; *link;) {
            if (is_over(*link, now_ns))
                remove_at(shard, link);
            else
                link = &(*link)->next;
        }
    }
    pthread_mutex_unlock(&shard->lock);
}
