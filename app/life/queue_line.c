/* app/life/queue_line.c - see app/life/queue_line.h. Covered by tests/app/queue_line_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/queue_line.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/life/intake_chunk.h"
#include "base/assert.h"
#include "base/clock.h"

/* A number of whole packs (engine/memory.h) comes back only if about one is given. */
enum { PACK_MAX = 32, PACKS = 1024, PAD = 16, SPANS = 6 };
static const int64_t turn_ns = 5 * FW_NS_PER_MS;
/* Memory of those that gave way has come back by then, or they were too small. */
static const int64_t shed_again_ns = 200 * FW_NS_PER_MS;

typedef struct entry {
    struct entry *next;
    fw_line_ask ask; /* what it points to is here, or NULL */
    fw_reply_to reply;
    fw_web_ticket ticket;
    int64_t until_ns, shed_ns;
    size_t bytes;
    unsigned level;
    fw_submission items[]; /* and their texts */
} entry;

typedef struct list {
    entry *first, **end;
} list;

typedef struct fw_queue_line {
    /* Immutable after create. */
    fw_queue_line_config config;
    /* Who takes turns. */
    list lists[FW_LEVELS];
    /* Under lock. */
    pthread_mutex_t lock;
    list incoming;
    size_t bytes;
    bool closed;
    size_t levels[FW_LEVELS];
    /* Shared, atomic. */
    fw_atomic(unsigned) busy; /* a bit for each level that waits */
    fw_atomic(size_t) waiting;
    fw_atomic(uint64_t) accepted, refused, gone, shed;
} fw_queue_line;

int fw_queue_line_create(fw_lifecycle *life, const fw_queue_line_config *config)
{
    fw_queue_line *line = calloc(1, sizeof *line);
    if (!line)
        return -FW_ENOMEM;
    FW_ASSERT(config->mode != FW_FULL_REJECT);
    line->config = *config;
    pthread_mutex_init(&line->lock, NULL);
    line->incoming.end = &line->incoming.first;
    for (unsigned level = 0; level < FW_LEVELS; level++)
        line->lists[level].end = &line->lists[level].first;
    life->line = line;
    return 0;
}

static void append(list *to, entry *e)
{
    e->next = NULL;
    *to->end = e;
    to->end = &e->next;
}

/* --- to wait --- */

static const size_t span_at[SPANS] = {
    offsetof(fw_submission, id),       offsetof(fw_submission, name),
    offsetof(fw_submission, args),     offsetof(fw_submission, kwargs),
    offsetof(fw_submission, callback), offsetof(fw_submission, options)};

static fw_span *span_of(fw_submission *s, unsigned i)
{
    return (fw_span *)(void *)((char *)s + span_at[i]);
}

static size_t text_bytes(const fw_submission *s)
{
    return s->id.len + s->name.len + s->args.len + s->kwargs.len + s->callback.len + s->options.len;
}

static entry *copy(const fw_line_ask *ask)
{
    size_t bytes = sizeof(entry) + ask->count * sizeof(fw_submission) + PAD;
    for (size_t i = 0; i < ask->count; i++)
        bytes += text_bytes(&ask->items[i]);
    entry *e = malloc(bytes);
    if (!e)
        return NULL;
    char *at = (char *)&e->items[ask->count];
    *e = (entry){.ask = *ask, .bytes = bytes};
    for (size_t i = 0; i < ask->count; i++) {
        e->items[i] = ask->items[i];
        if (ask->items[i].level > e->level)
            e->level = ask->items[i].level;
        for (unsigned k = 0; k < SPANS; k++) {
            fw_span *span = span_of(&e->items[i], k);
            if (!span->ptr)
                continue;
            memcpy(at, span->ptr, span->len);
            span->ptr = at;
            at += span->len;
        }
    }
    memset(at, 0, PAD);
    e->ask.items = e->items;
    if (ask->reply) {
        e->reply = *ask->reply;
        e->ask.reply = &e->reply;
    }
    if (ask->ticket) {
        e->ticket = *ask->ticket;
        e->ask.ticket = &e->ticket;
    }
    return e;
}

/* A group of a batch, or what follows it, may be what has no room: nobody gives way for that. */
static bool may_wait(fw_lifecycle *life, const fw_line_ask *ask)
{
    unsigned level = 0;
    if (life->line->config.mode != FW_FULL_SHED)
        return true;
    if (ask->count > 1 && fw_intake_is_composed(ask->items, ask->count))
        return false;
    for (size_t i = 0; i < ask->count; i++)
        level = ask->items[i].level > level ? ask->items[i].level : level;
    return fw_engine_waits_below(life->engine, (fw_prio)level);
}

static bool add(fw_queue_line *line, entry *e)
{
    pthread_mutex_lock(&line->lock);
    /* Relaxed, all: the lock orders them; others take them for hints. */
    size_t waiting = fw_load_relaxed(&line->waiting);
    bool fits =
        !line->closed && waiting < FW_LINE_MAX && e->bytes <= line->config.bytes_max - line->bytes;
    if (fits) {
        append(&line->incoming, e);
        line->bytes += e->bytes;
        line->levels[e->level]++;
        fw_store_relaxed(&line->waiting, waiting + 1);
        fw_store_relaxed(&line->busy, fw_load_relaxed(&line->busy) | 1u << e->level);
    }
    pthread_mutex_unlock(&line->lock);
    return fits;
}

bool fw_queue_line_wait(fw_lifecycle *life, const fw_line_ask *ask)
{
    fw_queue_line *line = life->line;
    if (!line || ask->count == 0 || !may_wait(life, ask))
        return false;
    entry *e = copy(ask);
    if (!e)
        return false;
    e->until_ns = fw_now_ns() + line->config.wait_ns;
    if (add(line, e))
        return true;
    free(e);
    return false;
}

bool fw_queue_line_wait_alone(fw_lifecycle *life, const fw_submission *s)
{
    const fw_line_ask ask = {.items = s, .count = 1};
    /* What comes under a lease has its place. */
    return s->reply.form != FW_REPLY_LEASE && fw_queue_line_wait(life, &ask);
}

void fw_refuse_full(fw_lifecycle *life, const fw_submission *s)
{
    char text[FW_FULL_TEXT];
    fw_net_answer_refusal(life->net, &s->reply, s->id, FW_REFUSED_FULL, fw_full_text(life, text));
}

bool fw_queue_line_is_before(const fw_lifecycle *life, unsigned level)
{
    /* Relaxed: whoever comes at this moment was early or late. */
    return FW_UNLIKELY(life->line != NULL) &&
           (fw_load_relaxed(&life->line->busy) & ((2u << level) - 1)) != 0;
}

bool fw_queue_line_goes_behind(const fw_lifecycle *life, const fw_submission *items, size_t count)
{
    unsigned level = 0;
    if (!life->line)
        return false;
    for (size_t i = 0; i < count; i++)
        level = items[i].level > level ? items[i].level : level;
    return fw_queue_line_is_before(life, level);
}

/* --- turns --- */

static void take_in(fw_queue_line *line)
{
    pthread_mutex_lock(&line->lock);
    entry *e = line->incoming.first;
    line->incoming = (list){.end = &line->incoming.first};
    pthread_mutex_unlock(&line->lock);
    while (e) {
        entry *next = e->next;
        append(&line->lists[e->level], e);
        e = next;
    }
}

/* It has been answered. */
static void leave(fw_queue_line *line, entry *e, fw_atomic(uint64_t) * count)
{
    /* Relaxed, all: as in add; a count. */
    fw_add_relaxed(count, 1);
    pthread_mutex_lock(&line->lock);
    line->bytes -= e->bytes;
    fw_store_relaxed(&line->waiting, fw_load_relaxed(&line->waiting) - 1);
    if (--line->levels[e->level] == 0)
        fw_store_relaxed(&line->busy, fw_load_relaxed(&line->busy) & ~(1u << e->level));
    pthread_mutex_unlock(&line->lock);
    free(e);
}

/* => false: there is no room. Otherwise it was answered. */
static bool try(fw_lifecycle *life, const fw_line_ask *ask)
{
    char error[FW_TASK_OPTIONS_ERROR] = "";
    int rc;
    if (ask->ticket) {
        rc = fw_lifecycle_submit_all(life, ask->items, ask->count, error);
        if (rc != -FW_EFULL)
            ask->told(ask->context, ask, rc, error);
        return rc != -FW_EFULL;
    }
    if (!ask->reply)
        return fw_intake_retry(life, ask->items);
    rc = fw_intake_batch(life, ask->items, ask->count, ask->reply, error);
    if (rc < 0 && rc != -FW_EFULL)
        fw_net_answer_batch(life->net, ask->reply, NULL, 0, -rc, error);
    return rc != -FW_EFULL;
}

static void refuse(fw_lifecycle *life, const fw_line_ask *ask, bool stopping)
{
    static const char bye[] = "control plane is shutting down";
    char text[FW_FULL_TEXT];
    const char *words = stopping ? bye : fw_full_text(life, text);
    if (ask->ticket)
        ask->told(ask->context, ask, -FW_EFULL, words);
    else if (ask->reply)
        fw_net_answer_batch(life->net, ask->reply, NULL, 0, FW_EFULL, words);
    else if (stopping)
        fw_net_answer_refusal(life->net, &ask->items->reply, ask->items->id, FW_REFUSED_DRAINING,
                              NULL);
    else
        fw_refuse_full(life, ask->items);
}

static bool is_gone(fw_lifecycle *life, const fw_line_ask *ask)
{
    const fw_reply_to *reply = ask->reply ? ask->reply : &ask->items->reply;
    return !ask->ticket && reply->form != FW_REPLY_NONE && !fw_net_is_connected(life->net, reply);
}

/* One level, in order; after one that found no room only smaller ones are tried. => how many tasks
 * shall give way. */
static size_t turn_level(fw_lifecycle *life, list *l, int64_t now_ns)
{
    fw_queue_line *line = life->line;
    size_t fits_count = SIZE_MAX, fits_bytes = SIZE_MAX, wanted = 0;
    entry *left = l->first;
    *l = (list){.end = &l->first};
    while (left) {
        entry *e = left;
        left = e->next;
        if (is_gone(life, &e->ask)) {
            leave(line, e, &line->gone);
            continue;
        }
        if (e->ask.count < fits_count || e->bytes < fits_bytes) {
            if (try(life, &e->ask)) {
                leave(line, e, &line->accepted);
                continue;
            }
            fits_count = e->ask.count < fits_count ? e->ask.count : fits_count;
            fits_bytes = e->bytes < fits_bytes ? e->bytes : fits_bytes;
        }
        if (now_ns >= e->until_ns) {
            refuse(life, &e->ask, false);
            leave(line, e, &line->refused);
            continue;
        }
        if (e->shed_ns == 0 || now_ns - e->shed_ns > shed_again_ns) {
            e->shed_ns = now_ns;
            wanted += e->ask.count;
        }
        append(l, e);
    }
    return wanted;
}

static void shed(fw_lifecycle *life, unsigned level, size_t wanted)
{
    fw_engine_stats stats;
    fw_engine_snapshot(life->engine, &stats);
    size_t pack = stats.tasks_max / PACKS < PACK_MAX ? stats.tasks_max / PACKS : PACK_MAX;
    fw_engine_shed(life->engine, (fw_prio)level, wanted > pack ? wanted : pack);
}

int64_t fw_queue_line_turn(fw_lifecycle *life, int64_t now_ns)
{
    fw_queue_line *line = life->line;
    /* Relaxed: whoever comes at this moment is tried the next time. */
    if (!line || fw_load_relaxed(&line->waiting) == 0)
        return INT64_MAX;
    take_in(line);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        size_t wanted = turn_level(life, &line->lists[level], now_ns);
        if (wanted > 0 && line->config.mode == FW_FULL_SHED)
            shed(life, level, wanted);
    }
    /* What was tried in vain may have left something behind. */
    fw_engine_flush(life->engine);
    fw_net_flush(life->net);
    return turn_ns;
}

void fw_queue_line_close(fw_lifecycle *life)
{
    fw_queue_line *line = life->line;
    if (!line)
        return;
    pthread_mutex_lock(&line->lock);
    line->closed = true;
    pthread_mutex_unlock(&line->lock);
    take_in(line);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        while (line->lists[level].first) {
            entry *e = line->lists[level].first;
            line->lists[level].first = e->next;
            refuse(life, &e->ask, true);
            leave(line, e, &line->refused);
        }
        line->lists[level].end = &line->lists[level].first;
    }
    fw_net_flush(life->net);
}

void fw_queue_line_destroy(fw_lifecycle *life)
{
    fw_queue_line *line = life->line;
    if (!line)
        return;
    FW_ASSERT(fw_load_relaxed(&line->waiting) == 0); /* relaxed: nobody adds */
    pthread_mutex_destroy(&line->lock);
    free(line);
    life->line = NULL;
}

void fw_queue_line_note_shed(fw_queue_line *line)
{
    /* Relaxed: a count. */
    if (line)
        fw_add_relaxed(&line->shed, 1);
}

void fw_queue_line_snapshot(const fw_lifecycle *life, fw_queue_line_stats *out)
{
    const fw_queue_line *line = life->line;
    *out = (fw_queue_line_stats){0};
    if (!line)
        return;
    /* Relaxed, all: figures. */
    out->waiting = fw_load_relaxed(&line->waiting);
    out->accepted = fw_load_relaxed(&line->accepted);
    out->refused = fw_load_relaxed(&line->refused);
    out->gone = fw_load_relaxed(&line->gone);
    out->shed = fw_load_relaxed(&line->shed);
}
