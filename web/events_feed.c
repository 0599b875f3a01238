/* web/events_feed.c - see web/events_feed.h.
 *
 * The list is a stack that posters push on and the web thread takes whole, so nothing is ever
 * popped singly and no address comes back while somebody compares with it. A thread posts at most
 * so many events between two turns; beyond that it only counts, for itself, so that many threads
 * with many events do not meet at one counter. SPDX-License-Identifier: Apache-2.0 */
#include "web/events_feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"

enum {
    PENDING_MAX = 8192,
    POSTS_PER_TURN = 512, /* of one thread */
    NAMES_MAX = 32,
    WINDOW_MS = 100
};

typedef struct event {
    struct event *next;
    const char *name;
    size_t len;
    char json[];
} event;

/* One name of events; web thread. */
typedef struct stream {
    const char *name;
    unsigned kind, sent; /* sent: in this window */
    int64_t window_ms;   /* when it began */
    event *held;         /* the newest that found no room in the window */
    uint64_t held_count;
} stream;

typedef struct frame {
    uint64_t id;
    unsigned kind;
    size_t len;
    char *text;
} frame;

struct fw_event_feed {
    /* Shared. */
    fw_atomic(event *) head;
    fw_atomic(unsigned) pending;
    fw_atomic(unsigned) turn;
    fw_atomic(unsigned) wanted; /* kinds */
    fw_atomic(uint64_t) posted, dropped, coalesced;
    /* The web thread's own. */
    stream streams[NAMES_MAX];
    size_t stream_count;
    frame ring[FW_EVENTS_KEPT];
    uint64_t first_id, next_id;
};

fw_event_feed *fw_event_feed_create(uint64_t first_id)
{
    fw_event_feed *feed = calloc(1, sizeof *feed);
    if (feed)
        feed->first_id = feed->next_id = first_id;
    return feed;
}

static void free_all(event *list)
{
    while (list) {
        event *next = list->next;
        free(list);
        list = next;
    }
}

void fw_event_feed_destroy(fw_event_feed *feed)
{
    if (!feed)
        return;
    /* [feed-post] acquire: the events that were posted. */
    free_all(fw_swap_acquire(&feed->head, NULL));
    for (size_t i = 0; i < feed->stream_count; i++)
        free(feed->streams[i].held);
    for (size_t i = 0; i < FW_EVENTS_KEPT; i++)
        free(feed->ring[i].text);
    free(feed);
}

/* --- posting --- */

/* => whether this thread may post another one before the next turn. */
static bool may_post(fw_event_feed *feed)
{
    static _Thread_local unsigned my_turn, my_posts, my_drops;
    /* Relaxed: a number that changes now and then. */
    unsigned turn = fw_load_relaxed(&feed->turn);
    if (turn != my_turn) {
        if (my_drops > 0) {
            /* Relaxed: a count. */
            fw_add_relaxed(&feed->dropped, my_drops);
        }
        my_turn = turn;
        my_posts = my_drops = 0;
    }
    if (my_posts == POSTS_PER_TURN) {
        my_drops++;
        return false;
    }
    my_posts++;
    return true;
}

static bool drop(fw_event_feed *feed)
{
    /* Relaxed: a count. */
    fw_add_relaxed(&feed->dropped, 1);
    return false;
}

bool fw_event_feed_post(fw_event_feed *feed, const char *name, fw_span json)
{
    if (!fw_event_feed_is_wanted(feed, ~0u) || !may_post(feed))
        return false;
    if (json.len > FW_EVENT_BYTES_MAX)
        return drop(feed);
    /* Relaxed: a bound, and that may be passed by as many as there are threads. */
    if (fw_load_relaxed(&feed->pending) >= PENDING_MAX)
        return drop(feed);
    event *e = malloc(sizeof *e + json.len);
    if (!e)
        return drop(feed);
    e->name = name;
    e->len = json.len;
    for (size_t i = 0; i < json.len; i++)
        e->json[i] = (unsigned char)json.ptr[i] < ' ' ? ' ' : json.ptr[i];
    /* Relaxed: counts. */
    fw_add_relaxed(&feed->pending, 1);
    fw_add_relaxed(&feed->posted, 1);
    e->next = fw_load_relaxed(&feed->head);
    /* [feed-post] release: the event's bytes and its link. */
    while (!fw_cas_release(&feed->head, &e->next, e))
        ;
    return true;
}

bool fw_event_feed_is_wanted(const fw_event_feed *feed, unsigned kinds)
{
    /* Relaxed: whoever comes a moment too early is not missed. */
    return (fw_load_relaxed(&feed->wanted) & kinds) != 0;
}

void fw_event_feed_snapshot(const fw_event_feed *feed, fw_event_stats *out)
{
    /* Relaxed: counts to be shown. */
    *out = (fw_event_stats){.posted = fw_load_relaxed(&feed->posted),
                            .dropped = fw_load_relaxed(&feed->dropped),
                            .coalesced = fw_load_relaxed(&feed->coalesced)};
}

void fw_event_feed_want(fw_event_feed *feed, unsigned kinds)
{
    /* Relaxed: see fw_event_feed_is_wanted. */
    fw_store_relaxed(&feed->wanted, kinds);
}

/* --- frames --- */

static stream *stream_of(fw_event_feed *feed, const char *name)
{
    for (size_t i = 0; i < feed->stream_count; i++)
        if (strcmp(feed->streams[i].name, name) == 0)
            return &feed->streams[i];
    if (feed->stream_count == NAMES_MAX)
        return NULL;
    stream *s = &feed->streams[feed->stream_count++];
    *s = (stream){.name = name,
                  .kind = strcmp(name, "stats") == 0 ? FW_EVENT_STATS : FW_EVENT_OTHER,
                  .window_ms = INT64_MIN / 2};
    return s;
}

/* Gives the event its id, keeps its frame, and adds it to what goes out. */
static void emit(fw_event_feed *feed, const stream *s, const event *e, uint64_t stands_for,
                 fw_buffer frames[FW_EVENT_KINDS])
{
    fw_buffer text = {0};
    uint64_t id = feed->next_id++;
    fw_buffer_format(&text, "id: %" PRIu64 "\nevent: %s\ndata: ", id, s->name);
    if (stands_for > 1 && e->len > 2 && e->json[0] == '{') {
        fw_buffer_format(&text, "{\"coalesced\": %" PRIu64 ", ", stands_for);
        fw_buffer_add(&text, e->json + 1, e->len - 1);
    } else {
        fw_buffer_add(&text, e->json, e->len);
    }
    fw_buffer_text(&text, "\n\n");
    frame *f = &feed->ring[id % FW_EVENTS_KEPT];
    free(f->text);
    *f = (frame){.id = id, .kind = s->kind};
    if (text.failed) {
        fw_buffer_fini(&text);
        drop(feed);
        return;
    }
    f->len = text.len;
    f->text = text.data;
    for (unsigned kinds = 1; kinds < FW_EVENT_KINDS; kinds++)
        if (kinds & s->kind)
            fw_buffer_add(&frames[kinds], text.data, text.len);
}

static unsigned frames_per_window(unsigned listeners)
{
    return listeners <= 16 ? 32 : listeners <= 128 ? 4 : 1;
}

static void release_held(fw_event_feed *feed, stream *s, fw_buffer frames[FW_EVENT_KINDS])
{
    emit(feed, s, s->held, s->held_count, frames);
    /* Relaxed: a count. */
    fw_add_relaxed(&feed->coalesced, s->held_count - 1);
    free(s->held);
    s->held = NULL;
    s->held_count = 0;
}

/* coalesce-note: the window's first ones go out, the rest is held. Takes the event. */
static void pass(fw_event_feed *feed, event *e, int64_t now_ms, unsigned most,
                 fw_buffer frames[FW_EVENT_KINDS])
{
    stream *s = stream_of(feed, e->name);
    if (!s) {
        drop(feed);
        free(e);
        return;
    }
    if (now_ms - s->window_ms >= WINDOW_MS) {
        s->window_ms = now_ms;
        s->sent = 0;
    }
    if (s->sent < most && !s->held) {
        s->sent++;
        emit(feed, s, e, 1, frames);
        free(e);
        return;
    }
    free(s->held);
    s->held = e;
    s->held_count++;
}

static event *take_in_order(fw_event_feed *feed)
{
    unsigned count = 0;
    event *in_order = NULL;
    /* [feed-post] acquire: the events' bytes and their links. */
    event *taken = fw_swap_acquire(&feed->head, NULL);
    while (taken) {
        event *next = taken->next;
        taken->next = in_order;
        in_order = taken;
        taken = next;
        count++;
    }
    /* Relaxed: counts; see may_post and post. */
    fw_sub_relaxed(&feed->pending, count);
    fw_add_relaxed(&feed->turn, 1);
    return in_order;
}

void fw_event_feed_turn(fw_event_feed *feed, int64_t now_ms, unsigned listeners,
                        fw_buffer frames[FW_EVENT_KINDS])
{
    unsigned most = frames_per_window(listeners);
    for (size_t i = 0; i < feed->stream_count; i++) {
        stream *s = &feed->streams[i];
        if (!s->held || now_ms - s->window_ms < WINDOW_MS)
            continue;
        s->window_ms = now_ms;
        s->sent = 1;
        release_held(feed, s, frames);
    }
    event *e = take_in_order(feed);
    while (e) {
        event *next = e->next;
        pass(feed, e, now_ms, most, frames);
        e = next;
    }
}

bool fw_event_feed_since(const fw_event_feed *feed, uint64_t last_id, unsigned kinds,
                         fw_buffer *out)
{
    uint64_t kept = feed->next_id - feed->first_id;
    kept = kept < FW_EVENTS_KEPT ? kept : FW_EVENTS_KEPT;
    uint64_t oldest = feed->next_id - kept, from = last_id + 1;
    bool whole = from >= oldest;
    for (uint64_t id = whole ? from : oldest; id < feed->next_id; id++) {
        const frame *f = &feed->ring[id % FW_EVENTS_KEPT];
        FW_ASSERT(f->id == id);
        if (f->text && (f->kind & kinds))
            fw_buffer_add(out, f->text, f->len);
    }
    return whole;
}

uint64_t fw_event_feed_last_id(const fw_event_feed *feed)
{
    return feed->next_id - 1;
}

bool fw_event_id_read(fw_span text, uint64_t *out)
{
    uint64_t id = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        id = id * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = id;
    return text.len > 0 && text.len < 20;
}
