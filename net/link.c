/* net/link.c - see net/link.h and net/link_state.h.
 *
 * backlog-note: what waits to be sent to a subworker is not bounded here but by its window: whoever
 * assigns has at most so many leases open, and each is sent once, so the bytes that wait are at
 * most those of the tasks in the window, and an order for each. A subworker that stops reading is
 * given up after stalled_ns, unless results still come from it: then it reads again when they have
 * left (net/connection_pause). SPDX-License-Identifier: Apache-2.0 */
#include "net/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "net/frame_pipe.h"
#include "net/link_state.h"
#include "net/sp.h"

enum {
    HELLO_BYTES = 8 * 1024,
    FEW = 8 /* tasks: their size is told beforehand, so that a small parcel is enough */
};
#define DIAL_NS (5 * FW_NS_PER_S)

/* ---- The pipe that we dial ---- */

static bool say_hello(fw_link *link, fw_connection *connection)
{
    static const char software[] = "fastworker/" FW_VERSION;
    const fw_net *net = link->net;
    unsigned char bytes[HELLO_BYTES];
    fw_hello hello = {.software = {software, sizeof software - 1},
                      .token = {net->token, strlen(net->token)},
                      .message_max = net->exchange.limits.message_max,
                      .items_max = FW_FRAME_ITEMS_MAX,
                      .worker = {net->worker_id, strlen(net->worker_id)},
                      .epoch = {net->epoch, strlen(net->epoch)},
                      .expects = {link->epoch, strlen(link->epoch)}};
    fw_span message = {(const char *)bytes, fw_frame_write_hello(bytes, sizeof bytes, &hello)};
    FW_ASSERT(message.len > 0);
    return fw_egress_post(&link->net->exchange, fw_connection_number(connection), &message, 1);
}

static void on_ready(void *context, fw_connection *connection)
{
    fw_link *link = context;
    pthread_mutex_t *lock = &link->net->links->lock;
    /* What the peer sends because of our greeting finds the link in its table, matched with the
     * peer's own greeting if that has come, and a way back. Nobody else writes before that, so the
     * greeting is the first word. */
    pthread_mutex_lock(lock); /* until the link has been opened */
    pthread_mutex_unlock(lock);
    /* [link-push] release: the connection is ready. */
    fw_store_release(&link->push, fw_connection_number(connection));
    if (!say_hello(link, connection)) {
        fw_connection_close(connection, FW_CLOSED_BY_US);
        return;
    }
    pthread_mutex_lock(lock);
    link->ready = true;
    pthread_mutex_unlock(lock);
    fw_link_rise(link);
}

static void on_closed(void *context, const char *why)
{
    fw_link *link = context;
    char text[sizeof link->why];
    snprintf(text, sizeof text, why ? "cannot connect: %s" : "our pipe to it was closed", why);
    pthread_mutex_lock(&link->net->links->lock);
    link->pipe = NULL;
    fw_link_lose(link, text);
    fw_link_drop_part(link);
    pthread_mutex_unlock(&link->net->links->lock);
}

static bool is_patient(void *context)
{
    fw_link *link = context;
    /* Relaxed: only has to change. */
    uint64_t now = fw_load_relaxed(&link->progress);
    bool moved = now != link->progress_then;
    link->progress_then = now;
    return moved;
}

/* ---- Life ---- */

void fw_net_set_link_ops(fw_net *net, const fw_link_ops *ops)
{
    FW_ASSERT(ops->up && ops->down && (net->kind == FW_NET_SUBWORKER || ops->results));
    net->link_ops = *ops;
}

static bool copy(char out[FW_ID_MAX + 1], fw_span text)
{
    if (text.len > FW_ID_MAX)
        return false;
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = 0;
    return true;
}

/* => NULL: not something to dial. */
static const char *read_address(char out[FW_TCP_ADDRESS_MAX], fw_span text)
{
    fw_tcp_address address;
    if (fw_tcp_address_parse(&address, text) < 0 || address.port == 0)
        return NULL;
    fw_tcp_address_format(out, &address);
    return out;
}

static fw_link *create(fw_net *net, const fw_link_config *config)
{
    fw_link *link = aligned_alloc(FW_CACHE_LINE, (sizeof *link + FW_CACHE_LINE - 1) /
                                                     FW_CACHE_LINE * FW_CACHE_LINE);
    if (!link)
        return NULL;
    *link = (fw_link){.net = net,
                      .owner = config->owner,
                      .silence_ns = config->silence_ns,
                      .heard_ns = fw_now_ns(),
                      .parts = 1};
    if (copy(link->id, config->id) && copy(link->epoch, config->epoch))
        return link;
    free(link);
    return NULL;
}

fw_link *fw_link_open(fw_net *net, const fw_link_config *config)
{
    FW_ASSERT(net->link_ops.up != NULL);
    char address[FW_TCP_ADDRESS_MAX];
    fw_pipe_ops ops = {
        .ready = on_ready, .closed = on_closed, .patient = is_patient, .context = NULL};
    fw_link *link = read_address(address, config->address) ? create(net, config) : NULL;
    if (!link)
        return NULL;
    ops.context = link;
    /* Under the lock, so that the pipe's first word finds it in its place. */
    pthread_mutex_lock(&net->links->lock);
    bool dialing = (link->pipe = fw_pipe_dial(&net->exchange, address, DIAL_NS, &ops)) != NULL;
    if (dialing)
        fw_links_add(net->links, link);
    pthread_mutex_unlock(&net->links->lock);
    if (dialing)
        return link;
    free(link);
    return NULL;
}

static void reclaim(void *link)
{
    free(link);
}

void fw_link_close(fw_link *link)
{
    fw_links *links = link->net->links;
    pthread_mutex_lock(&links->lock);
    link->closing = true;
    fw_link_lose(link, "closed");
    while (!link->finished)
        pthread_cond_wait(&links->changed, &links->lock);
    fw_links_remove(links, link);
    pthread_mutex_unlock(&links->lock);
    fw_rcu_retire(link, reclaim);
    fw_rcu_flush();
}

void fw_link_hang_up(fw_link *link)
{
    fw_links *links = link->net->links;
    pthread_mutex_lock(&links->lock);
    fw_link_lose(link, "hung up");
    pthread_mutex_unlock(&links->lock);
}

/* ---- Frames, gathered into a chain of parcels ---- */

typedef struct packer {
    fw_exchange *exchange;
    fw_frame_type type;
    fw_parcel *newest, *oldest; /* complete, but for the newest while open */
    size_t bytes;               /* of the complete ones */
    bool open;
    fw_frame_writer writer;
} packer;

enum { PREFIX = FW_SP_LENGTH_BYTES };

static void close_frame(packer *p)
{
    if (!p->open)
        return;
    fw_parcel *parcel = p->newest;
    size_t len = fw_frame_end(&p->writer);
    p->open = false;
    if (p->writer.count == 0) { /* the first item did not fit */
        p->newest = parcel->next;
        p->oldest = p->newest ? p->oldest : NULL;
        fw_parcel_destroy(parcel);
        return;
    }
    fw_sp_length_write(parcel->bytes, len);
    parcel->len = PREFIX + len;
    parcel->messages = 1;
    p->bytes += parcel->len;
}

/* A frame of its own parcel, with room for `size` bytes of items at least. */
static bool open_frame(packer *p, size_t size)
{
    close_frame(p);
    fw_parcel *parcel = fw_parcel_create(&p->exchange->parcels, PREFIX + FW_FRAME_HEADER + size);
    if (!parcel)
        return false;
    parcel->next = p->newest;
    p->newest = parcel;
    if (!p->oldest)
        p->oldest = parcel;
    p->open = true;
    fw_frame_begin(&p->writer, parcel->bytes + PREFIX, parcel->capacity - PREFIX, p->type, 0);
    return true;
}

/* Posts all of it. => false: the link is down, and nothing was sent. */
static bool post(packer *p, fw_link *link)
{
    if (!p->newest)
        return false;
    fw_rcu_read_lock();
    /* [link-push] acquire: the connection is ready. Relaxed: a link that is over sends no more. */
    uint64_t number = fw_load_acquire(&link->push);
    fw_connection *connection =
        fw_load_relaxed(&link->over) ? NULL : fw_exchange_find(p->exchange, number);
    if (connection)
        fw_connection_post_chain(connection, p->newest, p->oldest, p->bytes);
    fw_rcu_read_unlock();
    if (connection)
        return true;
    while (p->newest) {
        fw_parcel *next = p->newest->next;
        fw_parcel_destroy(p->newest);
        p->newest = next;
    }
    return false;
}

/* What one frame should have room for: all of a few tasks, else a usual parcel. */
static size_t first_size(const fw_assignment *items, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count && count <= FEW; i++)
        size += fw_frame_task_size(&items[i]);
    return count <= FEW ? size : FW_PARCEL_LARGE - PREFIX - FW_FRAME_HEADER;
}

static size_t next_size(size_t item)
{
    size_t usual = FW_PARCEL_LARGE - PREFIX - FW_FRAME_HEADER;
    return item > usual ? item : usual;
}

size_t fw_link_assign(fw_link *link, const fw_assignment *items, size_t count)
{
    packer p = {.exchange = &link->net->exchange, .type = FW_FRAME_TASKS};
    size_t packed = 0;
    if (count == 0 || !open_frame(&p, first_size(items, count)))
        return 0;
    for (; packed < count; packed++) {
        if (FW_LIKELY(fw_frame_add_task(&p.writer, &items[packed])))
            continue;
        if (!open_frame(&p, next_size(fw_frame_task_size(&items[packed]))))
            break;
        FW_ASSERT(fw_frame_add_task(&p.writer, &items[packed]));
    }
    close_frame(&p);
    return post(&p, link) ? packed : 0;
}

bool fw_link_order(fw_link *link, const fw_order *orders, size_t count)
{
    packer p = {.exchange = &link->net->exchange, .type = FW_FRAME_ORDERS};
    size_t all = count <= FEW ? count * FW_FRAME_ORDER_SIZE : next_size(0);
    bool good = count > 0 && open_frame(&p, all);
    for (size_t i = 0; good && i < count; i++) {
        if (fw_frame_add_order(&p.writer, &orders[i]))
            continue;
        good = open_frame(&p, next_size(0)) && fw_frame_add_order(&p.writer, &orders[i]);
    }
    close_frame(&p);
    return post(&p, link) && good;
}

enum { SHORT = 64 };

/* A parcel for one frame that is written as a whole. */
static bool open_short(packer *p)
{
    p->newest = p->oldest = fw_parcel_create(&p->exchange->parcels, PREFIX + SHORT);
    return p->newest != NULL;
}

static bool post_short(packer *p, fw_link *link, size_t len)
{
    FW_ASSERT(len > 0);
    fw_sp_length_write(p->newest->bytes, len);
    p->newest->len = p->bytes = PREFIX + len;
    p->newest->messages = 1;
    return post(p, link);
}

bool fw_link_drain(fw_link *link, bool drain)
{
    packer p = {.exchange = &link->net->exchange};
    return open_short(&p) &&
           post_short(&p, link, fw_frame_write_drain(p.newest->bytes + PREFIX, SHORT, drain));
}

bool fw_link_beat(fw_link *link, const fw_beat *beat)
{
    packer p = {.exchange = &link->net->exchange};
    return open_short(&p) &&
           post_short(&p, link, fw_frame_write_beat(p.newest->bytes + PREFIX, SHORT, beat));
}

size_t fw_link_takes(const fw_link *link)
{
    /* Relaxed: a number that stands alone. */
    uint64_t takes = fw_load_relaxed(&link->takes);
    return takes > 0 && takes < SIZE_MAX ? (size_t)takes : SIZE_MAX;
}

size_t fw_link_unsent(const fw_link *link)
{
    size_t unsent = 0;
    fw_rcu_read_lock();
    /* [link-push] acquire: the connection is ready. */
    const fw_connection *connection =
        fw_exchange_find(&link->net->exchange, fw_load_acquire(&link->push));
    if (connection)
        unsent = fw_connection_unsent(connection);
    fw_rcu_read_unlock();
    return unsent;
}
