/* app/life/dead.c - a list by age and a hash table by key, under one lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/dead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { BUCKETS = 1024 };

typedef struct entry {
    struct entry *older, *newer, *next; /* next: in its bucket */
    size_t bytes;
    fw_dead_task task;
    char texts[];
} entry;

struct fw_dead {
    fw_dead_config config;
    pthread_mutex_t lock;
    /* Under the lock. */
    entry *oldest, *newest;
    entry *buckets[BUCKETS];
    fw_dead_stats stats;
};

fw_dead *fw_dead_create(const fw_dead_config *config)
{
    fw_dead *dead = calloc(1, sizeof *dead);
    if (!dead)
        return NULL;
    dead->config = *config;
    FW_ASSERT(pthread_mutex_init(&dead->lock, NULL) == 0);
    return dead;
}

/* --- under the lock --- */

static entry **place_of(fw_dead *dead, fw_key key)
{
    entry **at = &dead->buckets[fw_key_hash(key) % BUCKETS];
    while (*at && !fw_key_equal((*at)->task.key, key))
        at = &(*at)->next;
    return at;
}

static void unlink_entry(fw_dead *dead, entry *e)
{
    *place_of(dead, e->task.key) = e->next;
    *(e->older ? &e->older->newer : &dead->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &dead->newest) = e->older;
    dead->stats.tasks--;
    dead->stats.bytes -= e->bytes;
}

static void link_entry(fw_dead *dead, entry *e)
{
    entry **at = place_of(dead, e->task.key);
    FW_ASSERT(!*at);
    *at = e;
    e->older = dead->newest;
    *(dead->newest ? &dead->newest->newer : &dead->oldest) = e;
    dead->newest = e;
    dead->stats.tasks++;
    dead->stats.bytes += e->bytes;
}

static void drop_oldest(fw_dead *dead)
{
    entry *e = dead->oldest;
    unlink_entry(dead, e);
    dead->stats.dropped++;
    free(e);
}

static void make_room(fw_dead *dead, size_t bytes)
{
    while (dead->oldest && (dead->stats.tasks >= dead->config.tasks_max ||
                            dead->stats.bytes + bytes > dead->config.bytes_max))
        drop_oldest(dead);
}

/* --- the door --- */

void fw_dead_destroy(fw_dead *dead)
{
    if (!dead)
        return;
    while (dead->oldest)
        drop_oldest(dead);
    pthread_mutex_destroy(&dead->lock);
    free(dead);
}

static void copy(char **at, fw_span *text)
{
    if (text->len > 0)
        memcpy(*at, text->ptr, text->len);
    text->ptr = *at;
    *at += text->len;
}

static entry *create(const fw_dead_task *task)
{
    size_t texts = task->id.len + task->name.len + task->args.len + task->kwargs.len +
                   task->callback.len + task->options.len + task->error.len +
                   task->attempt_errors.len;
    entry *e = calloc(1, sizeof *e + texts);
    if (!e)
        return NULL;
    e->bytes = sizeof *e + texts;
    e->task = *task;
    char *at = e->texts;
    copy(&at, &e->task.id);
    copy(&at, &e->task.name);
    copy(&at, &e->task.args);
    copy(&at, &e->task.kwargs);
    copy(&at, &e->task.callback);
    copy(&at, &e->task.options);
    copy(&at, &e->task.error);
    copy(&at, &e->task.attempt_errors);
    return e;
}

bool fw_dead_add(fw_dead *dead, const fw_dead_task *task)
{
    entry *e = create(task);
    pthread_mutex_lock(&dead->lock);
    dead->stats.total++;
    entry *before = *place_of(dead, task->key);
    if (before)
        unlink_entry(dead, before);
    bool kept = e && dead->config.tasks_max > 0 && e->bytes <= dead->config.bytes_max;
    if (kept) {
        make_room(dead, e->bytes);
        link_entry(dead, e);
    }
    pthread_mutex_unlock(&dead->lock);
    free(before);
    if (!kept)
        free(e);
    return kept;
}

void fw_dead_each(fw_dead *dead, bool (*visit)(void *context, const fw_dead_task *task),
                  void *context)
{
    pthread_mutex_lock(&dead->lock);
    const entry *e = dead->newest;
    while (e && visit(context, &e->task))
        e = e->older;
    pthread_mutex_unlock(&dead->lock);
}

bool fw_dead_has(fw_dead *dead, fw_key key)
{
    pthread_mutex_lock(&dead->lock);
    bool has = *place_of(dead, key) != NULL;
    pthread_mutex_unlock(&dead->lock);
    return has;
}

bool fw_dead_take(fw_dead *dead, fw_key key, void (*show)(void *context, const fw_dead_task *task),
                  void *context)
{
    pthread_mutex_lock(&dead->lock);
    entry *e = *place_of(dead, key);
    if (e)
        unlink_entry(dead, e);
    pthread_mutex_unlock(&dead->lock);
    if (e)
        show(context, &e->task);
    free(e);
    return e != NULL;
}

/* Under the lock: at the same place in both lists. */
static void replace(fw_dead *dead, entry *old, entry *e)
{
    e->older = old->older;
    e->newer = old->newer;
    e->next = old->next;
    *place_of(dead, old->task.key) = e;
    *(e->older ? &e->older->newer : &dead->oldest) = e;
    *(e->newer ? &e->newer->older : &dead->newest) = e;
    dead->stats.bytes += e->bytes - old->bytes;
}

int fw_dead_edit(fw_dead *dead, fw_key key, bool (*edit)(void *context, fw_dead_task *task),
                 void *context)
{
    int rc = 0;
    entry *e = NULL;
    pthread_mutex_lock(&dead->lock);
    entry *old = *place_of(dead, key);
    fw_dead_task task = old ? old->task : (fw_dead_task){.level = 0};
    if (!old)
        rc = -FW_EUNKNOWN;
    else if (!edit(context, &task))
        rc = -FW_EINVAL;
    else if (!(e = create(&task)))
        rc = -FW_ENOMEM;
    else if (dead->stats.bytes - old->bytes + e->bytes > dead->config.bytes_max)
        rc = -FW_EFULL;
    if (rc == 0)
        replace(dead, old, e);
    pthread_mutex_unlock(&dead->lock);
    free(rc == 0 ? old : e);
    return rc;
}

void fw_dead_sweep(fw_dead *dead, int64_t now_wall_ns)
{
    pthread_mutex_lock(&dead->lock);
    while (dead->oldest && now_wall_ns - dead->oldest->task.died_wall_ns > dead->config.age_max_ns)
        drop_oldest(dead);
    pthread_mutex_unlock(&dead->lock);
}

void fw_dead_snapshot(fw_dead *dead, fw_dead_stats *out)
{
    pthread_mutex_lock(&dead->lock);
    *out = dead->stats;
    pthread_mutex_unlock(&dead->lock);
}
