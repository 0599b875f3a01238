/* web/events.c - see web/events.h.
 *
 * While somebody listens, and for a minute after, a timer turns the feed twenty times a second.
 * What a turn gives is one batch for each set of kinds, shared by all clients that want it: they
 * differ only in what they have not got yet. h2o wants one piece of an answer at a time, so a
 * client has a queue of batches; all of it goes out in one write. Who does not take it in is cut
 * off; who has left is noticed (web/watch.h). SPDX-License-Identifier: Apache-2.0 */
#include "web/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <h2o.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "web/watch.h"

enum {
    TURN_MS = 50,
    QUEUE_MAX = 128,
    QUEUE_BYTES_MAX = 1 << 20,
    VECTORS_MAX = 32,
    HEARTBEAT_MS = 15000,
    STALLED_MS = 10000,
    LINGER_MS = 60000, /* a client that comes back soon misses nothing */
    SWEEP_MS = 1000
};

/* Bytes that go to some clients; counted by them, on the web thread. */
typedef struct batch {
    unsigned references;
    fw_buffer bytes;
} batch;

/* Lives in the request's pool and dies with it. */
typedef struct client {
    h2o_generator_t super;
    struct client *next, **link;
    fw_web_audience *audience;
    h2o_req_t *req;
    h2o_socket_t *socket; /* NULL: not watched */
    unsigned kinds;
    bool in_flight, is_leaving;
    batch *queue[QUEUE_MAX]; /* the first `sending` of them are in flight */
    unsigned queued, sending;
    size_t bytes;
    int64_t wrote_ms;
} client;

struct fw_web_audience {
    /* Immutable. */
    unsigned clients_max;
    void (*second)(void *context);
    void *second_context;
    fw_event_feed *feed;
    /* Written by the web thread. */
    fw_atomic(unsigned) count;
    /* The web thread's own. */
    h2o_context_t *context;
    h2o_timeout_t timeout, second_timeout;
    h2o_timeout_entry_t timer, second_timer;
    client *clients;
    bool is_open;
    int64_t until_ms[FW_EVENT_KINDS]; /* by kind: it is wanted so long at least */
    int64_t swept_ms;
};

/* What a request asks for, until it is taken. */
typedef struct wish {
    fw_web_audience *audience;
    unsigned kinds;
    bool resumes;
    uint64_t last_id;
} wish;

/* The web thread's: a socket's callback is told nothing of ours. */
static _Thread_local fw_web_audience *my_audience;

static int64_t now_ms(void)
{
    return fw_now_ns() / FW_NS_PER_MS;
}

/* --- batches --- */

static void release(batch *b)
{
    FW_ASSERT(b->references > 0);
    if (--b->references > 0)
        return;
    fw_buffer_fini(&b->bytes);
    free(b);
}

/* Takes the bytes. NULL: there is nothing in them, or no memory. */
static batch *batch_of(fw_buffer *bytes)
{
    batch *b = bytes->len > 0 && !bytes->failed ? malloc(sizeof *b) : NULL;
    if (b)
        *b = (batch){1, *bytes};
    else
        fw_buffer_fini(bytes);
    *bytes = (fw_buffer){0};
    return b;
}

static batch *batch_of_text(const char *text)
{
    fw_buffer bytes = {0};
    fw_buffer_text(&bytes, text);
    return batch_of(&bytes);
}

/* --- one client --- */

static void stop_watching(client *c)
{
    if (!c->socket)
        return;
    fw_web_watch_stop(c->socket);
    c->socket = NULL;
}

/* Its end comes back as the end of the request. */
static void cut(client *c)
{
    h2o_socket_t *socket = c->req->conn->callbacks->get_socket(c->req->conn);
    shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
}

static void finish(client *c, h2o_send_state_t state)
{
    stop_watching(c);
    c->in_flight = true; /* nothing more is sent */
    h2o_send(c->req, NULL, 0, state);
}

static void send_queue(client *c)
{
    h2o_iovec_t vectors[VECTORS_MAX];
    if (c->in_flight)
        return;
    if (c->queued == 0) {
        if (c->is_leaving)
            finish(c, H2O_SEND_STATE_FINAL);
        return;
    }
    c->sending = c->queued < VECTORS_MAX ? c->queued : VECTORS_MAX;
    for (unsigned i = 0; i < c->sending; i++)
        vectors[i] = h2o_iovec_init(c->queue[i]->bytes.data, c->queue[i]->bytes.len);
    c->in_flight = true;
    c->wrote_ms = now_ms();
    h2o_send(c->req, vectors, c->sending, H2O_SEND_STATE_IN_PROGRESS);
}

static void on_sent(h2o_generator_t *self, h2o_req_t *req)
{
    client *c = (client *)(void *)self;
    (void)req;
    for (unsigned i = 0; i < c->sending; i++) {
        c->bytes -= c->queue[i]->bytes.len;
        release(c->queue[i]);
    }
    c->queued -= c->sending;
    memmove(c->queue, c->queue + c->sending, c->queued * sizeof c->queue[0]);
    c->sending = 0;
    c->in_flight = false;
    send_queue(c);
}

static void on_gone(h2o_generator_t *self, h2o_req_t *req)
{
    (void)req;
    ((client *)(void *)self)->in_flight = true;
}

static void give(client *c, batch *b)
{
    if (!b || c->is_leaving)
        return;
    if (c->queued == QUEUE_MAX || c->bytes > QUEUE_BYTES_MAX) {
        c->is_leaving = true;
        cut(c);
        return;
    }
    b->references++;
    c->queue[c->queued++] = b;
    c->bytes += b->bytes.len;
    send_queue(c);
}

static void give_text(client *c, const char *text)
{
    batch *b = batch_of_text(text);
    give(c, b);
    if (b)
        release(b);
}

static void on_readable(h2o_socket_t *socket, const char *error)
{
    client *c = my_audience->clients;
    while (c && c->socket != socket)
        c = c->next;
    FW_ASSERT(c);
    fw_web_seen seen = fw_web_watch_look(socket, error);
    if (seen == FW_WEB_MORE)
        stop_watching(c); /* the next request has no use: this answer ends with the connection */
    if (seen != FW_WEB_GONE)
        return;
    c->is_leaving = true;
    cut(c);
    if (c->in_flight)
        stop_watching(c);
    else
        finish(c, H2O_SEND_STATE_ERROR);
}

static void on_request_end(void *object)
{
    client *c = object;
    fw_web_audience *audience = c->audience;
    for (unsigned i = 0; i < c->queued; i++)
        release(c->queue[i]);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    /* Relaxed: one writer; to be shown. */
    fw_count(&audience->count, (unsigned)-1);
}

/* --- the timer --- */

static void sweep(fw_web_audience *audience, int64_t now)
{
    batch *heartbeat = batch_of_text(": heartbeat\n\n");
    for (client *c = audience->clients, *next; c; c = next) {
        next = c->next;
        if (c->in_flight && now - c->wrote_ms >= STALLED_MS)
            cut(c);
        else if (!c->in_flight && now - c->wrote_ms >= HEARTBEAT_MS)
            give(c, heartbeat);
    }
    if (heartbeat)
        release(heartbeat);
}

static void give_all(fw_web_audience *audience, fw_buffer frames[FW_EVENT_KINDS])
{
    batch *batches[FW_EVENT_KINDS] = {NULL};
    for (unsigned kinds = 1; kinds < FW_EVENT_KINDS; kinds++)
        batches[kinds] = batch_of(&frames[kinds]);
    for (client *c = audience->clients, *next; c; c = next) {
        next = c->next;
        give(c, batches[c->kinds]);
    }
    for (unsigned kinds = 1; kinds < FW_EVENT_KINDS; kinds++)
        if (batches[kinds])
            release(batches[kinds]);
}

static void arm(fw_web_audience *audience)
{
    if (audience->is_open && !h2o_timeout_is_linked(&audience->timer))
        h2o_timeout_link(audience->context->loop, &audience->timeout, &audience->timer);
}

/* The kinds that those who listen want, or wanted a moment ago. */
static unsigned wanted(fw_web_audience *audience, int64_t now)
{
    unsigned present = 0, kinds = 0;
    for (const client *c = audience->clients; c; c = c->next)
        present |= c->kinds;
    for (unsigned kind = 1; audience->is_open && kind < FW_EVENT_KINDS; kind *= 2) {
        if (present & kind)
            audience->until_ms[kind] = now + LINGER_MS;
        if (now < audience->until_ms[kind])
            kinds |= kind;
    }
    return kinds;
}

static void on_time(h2o_timeout_entry_t *timer)
{
    fw_web_audience *audience = FW_CONTAINER_OF(timer, fw_web_audience, timer);
    fw_buffer frames[FW_EVENT_KINDS] = {{0}};
    int64_t now = now_ms();
    fw_event_feed_turn(audience->feed, now, fw_web_audience_clients(audience), frames);
    give_all(audience, frames);
    if (now - audience->swept_ms >= SWEEP_MS) {
        audience->swept_ms = now;
        sweep(audience, now);
    }
    unsigned kinds = wanted(audience, now);
    fw_event_feed_want(audience->feed, kinds);
    if (kinds || audience->clients)
        arm(audience);
}

static void on_second(h2o_timeout_entry_t *timer)
{
    fw_web_audience *audience = FW_CONTAINER_OF(timer, fw_web_audience, second_timer);
    audience->second(audience->second_context);
    if (audience->is_open)
        h2o_timeout_link(audience->context->loop, &audience->second_timeout, timer);
}

/* --- coming --- */

/* The first bytes: how soon to come back, where it stands, and what it missed. */
static void greet(client *c, const wish *w)
{
    fw_buffer first = {0};
    fw_event_feed *feed = c->audience->feed;
    uint64_t last_id = fw_event_feed_last_id(feed);
    fw_buffer_format(&first, "retry: 2000\nid: %" PRIu64 "\nevent: hello\ndata: {}\n\n",
                     w->resumes && w->last_id < last_id ? w->last_id : last_id);
    size_t here = first.len;
    if (w->resumes && !fw_event_feed_since(feed, w->last_id, w->kinds, &first) && w->last_id > 0) {
        fw_buffer missed = {0};
        fw_buffer_add(&missed, first.data, here);
        fw_buffer_text(&missed, "event: gap\ndata: {}\n\n");
        fw_buffer_add(&missed, first.data + here, first.len - here);
        fw_buffer_fini(&first);
        first = missed;
    }
    batch *b = batch_of(&first);
    give(c, b);
    if (b)
        release(b);
}

static void take(void *taker, h2o_req_t *req)
{
    wish w = *(wish *)taker;
    free(taker);
    fw_web_audience *audience = w.audience;
    req->http1_is_persistent = 0;
    client *c = h2o_mem_alloc_shared(&req->pool, sizeof *c, on_request_end);
    *c = (client){.super = {on_sent, on_gone},
                  .next = audience->clients,
                  .link = &audience->clients,
                  .audience = audience,
                  .req = req,
                  .socket = req->conn->callbacks->get_socket(req->conn),
                  .kinds = w.kinds,
                  .wrote_ms = now_ms()};
    if (c->next)
        c->next->link = &c->next;
    audience->clients = c;
    fw_count(&audience->count, 1);
    h2o_start_response(req, &c->super);
    if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"))) {
        c->socket = NULL;
        c->is_leaving = true;
        finish(c, H2O_SEND_STATE_FINAL);
        return;
    }
    fw_web_watch_start(c->socket, on_readable);
    fw_event_feed_want(audience->feed, wanted(audience, now_ms()));
    arm(audience);
    greet(c, &w);
}

static void subscribe(fw_web_audience *audience, unsigned kinds, const fw_web_request *request,
                      fw_web_answer *answer)
{
    if (!audience->is_open || fw_web_audience_clients(audience) >= audience->clients_max) {
        fw_web_problem(answer, 503, NULL, "too many listen already");
        answer->retry_after_s = 10;
        return;
    }
    wish *w = malloc(sizeof *w);
    if (!w) {
        fw_web_problem(answer, 503, NULL, NULL);
        return;
    }
    *w = (wish){.audience = audience, .kinds = kinds};
    w->resumes = fw_event_id_read(request->last_event_id, &w->last_id);
    answer->content_type = "text/event-stream";
    answer->take = take;
    answer->taker = w;
}

static void get_upstream(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    subscribe(context, FW_EVENT_OTHER, request, answer);
}

static void get_events(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_span only;
    unsigned kinds = FW_EVENT_OTHER | FW_EVENT_STATS;
    if (fw_web_query(request, "only", &only)) {
        bool stats = only.len == 5 && memcmp(only.ptr, "stats", 5) == 0;
        bool tasks = only.len == 5 && memcmp(only.ptr, "tasks", 5) == 0;
        if (!stats && !tasks) {
            fw_web_problem_field(answer, 400, "only", "stats or tasks is wanted");
            return;
        }
        kinds = stats ? FW_EVENT_STATS : FW_EVENT_OTHER;
    }
    subscribe(context, kinds, request, answer);
}

fw_web_table fw_web_events_table(fw_web_audience *audience)
{
    static const fw_web_route routes[] = {
        {"GET", "/api/events", FW_WEB_READ, get_upstream, NULL, FW_WEB_AT_ONCE},
        {"GET", "/api/v1/events?only", FW_WEB_READ, get_events, NULL, FW_WEB_AT_ONCE},
    };
    return (fw_web_table)FW_WEB_TABLE(routes, audience);
}

/* --- life --- */

fw_web_audience *fw_web_audience_create(const fw_web_config *config, unsigned clients_max)
{
    fw_web_audience *audience = calloc(1, sizeof *audience);
    if (!audience)
        return NULL;
    audience->clients_max = clients_max;
    audience->second = config->second;
    audience->second_context = config->second_context;
    /* Ids grow from one run of the program to the next, by a million for each second. */
    audience->feed = fw_event_feed_create((uint64_t)(fw_wall_ns() / FW_NS_PER_S) * 1000000);
    if (!audience->feed) {
        free(audience);
        return NULL;
    }
    return audience;
}

void fw_web_audience_destroy(fw_web_audience *audience)
{
    if (!audience)
        return;
    FW_ASSERT(!audience->clients);
    fw_event_feed_destroy(audience->feed);
    free(audience);
}

fw_event_feed *fw_web_audience_feed(fw_web_audience *audience)
{
    return audience->feed;
}

unsigned fw_web_audience_clients(const fw_web_audience *audience)
{
    return fw_count_read(&audience->count);
}

void fw_web_audience_open(fw_web_audience *audience, h2o_context_t *context)
{
    my_audience = audience;
    audience->context = context;
    audience->is_open = true;
    h2o_timeout_init(context->loop, &audience->timeout, TURN_MS);
    h2o_timeout_init(context->loop, &audience->second_timeout, 1000);
    audience->timer.cb = on_time;
    audience->second_timer.cb = on_second;
    if (audience->second)
        h2o_timeout_link(context->loop, &audience->second_timeout, &audience->second_timer);
}

void fw_web_audience_close(fw_web_audience *audience)
{
    audience->is_open = false;
    fw_event_feed_want(audience->feed, 0);
    for (client *c = audience->clients, *next; c; c = next) {
        next = c->next;
        stop_watching(c);
        give_text(c, "event: bye\ndata: {}\n\n");
        c->is_leaving = true;
        send_queue(c);
    }
}

void fw_web_audience_leave(fw_web_audience *audience)
{
    h2o_timeout_unlink(&audience->timer);
    h2o_timeout_unlink(&audience->second_timer);
    h2o_timeout_dispose(audience->context->loop, &audience->timeout);
    h2o_timeout_dispose(audience->context->loop, &audience->second_timeout);
}
