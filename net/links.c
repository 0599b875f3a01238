/* net/links.c - see net/links.h and net/link_state.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "net/link_state.h"

enum { PATROL_MIN_MS = 5, PATROL_MAX_MS = 500 };
#define COMPLAINT_NS (60 * FW_NS_PER_S) /* between two lines about refused greetings */

/* ---- Ends ---- */

static void close_number(fw_net *net, uint64_t number)
{
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(&net->exchange, number);
    if (connection)
        fw_connection_close(connection, FW_CLOSED_BY_US);
    fw_rcu_read_unlock();
}

void fw_link_lose(fw_link *link, const char *why)
{
    /* Relaxed: under the lock; readers without it only stop earlier. */
    if (fw_load_relaxed(&link->over))
        return;
    fw_store_relaxed(&link->over, true);
    snprintf(link->why, sizeof link->why, "%s", why);
    if (link->pipe)
        fw_pipe_close(link->pipe);
    if (link->pulled != 0)
        close_number(link->net, link->pulled);
}

void fw_link_drop_part(fw_link *link)
{
    fw_links *links = link->net->links;
    FW_ASSERT(link->parts > 0);
    if (--link->parts > 0)
        return;
    if (!link->closing) {
        const fw_link_ops *ops = &link->net->link_ops;
        pthread_mutex_unlock(&links->lock);
        ops->down(ops->context, link->owner, link->why);
        pthread_mutex_lock(&links->lock);
    }
    link->finished = true;
    pthread_cond_broadcast(&links->changed);
}

/* ---- Greetings ---- */

static bool is_text(fw_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.ptr, text, span.len) == 0;
}

/* Counted each time, told once a minute. Under lock. */
static bool refuse(fw_links *links, fw_connection *connection, const fw_hello *hello,
                   const char *why)
{
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&links->net->exchange.traffic.greetings_refused, 1);
    int64_t now = fw_now_ns();
    if (links->complained_ns != 0 && now - links->complained_ns < COMPLAINT_NS)
        return false;
    links->complained_ns = now;
    char peer[FW_PEER_MAX];
    int shown = hello->worker.len < 64 ? (int)hello->worker.len : 64;
    fw_connection_peer(connection, peer);
    fw_log(FW_LOG_WARN, "net.greeting", "closed the pipe of %s, \"%.*s\": %s", peer, shown,
           shown > 0 ? hello->worker.ptr : "", why);
    return false;
}

static bool is_of(const fw_link *link, fw_span worker, fw_span epoch)
{
    return is_text(epoch, link->epoch) && (link->id[0] == 0 || is_text(worker, link->id));
}

/* The newest one that still waits for its peer. Under lock. */
static fw_link *find(fw_links *links, const fw_hello *hello)
{
    for (fw_link *link = links->first; link; link = link->next)
        if (link->pulled == 0 && !fw_load_relaxed(&link->over) && /* under the lock */
            is_of(link, hello->worker, hello->epoch))
            return link;
    return NULL;
}

static void join(fw_link *link, fw_connection *connection, uint64_t takes)
{
    /* Relaxed, both: numbers that stand alone; nothing is sent before both pipes have greeted. */
    fw_store_relaxed(&link->takes, takes);
    fw_store_relaxed(&link->net->peer_takes, takes);
    link->pulled = fw_connection_number(connection);
    link->parts++;
    fw_connection_introduce(connection, link);
}

/* It has come before its link. => false: it may not wait. */
static bool wait_for_link(fw_links *links, fw_connection *connection, const fw_hello *hello)
{
    uint64_t number = fw_connection_number(connection);
    size_t free_place = FW_GREETINGS_WAITING;
    if (links->net->kind != FW_NET_SUBWORKER || hello->worker.len > FW_ID_MAX ||
        hello->epoch.len > FW_ID_MAX)
        return false;
    for (size_t i = 0; i < FW_GREETINGS_WAITING; i++) {
        if (links->waiting[i].number == number)
            return false;
        if (links->waiting[i].number == 0)
            free_place = i;
    }
    if (free_place == FW_GREETINGS_WAITING)
        return false;
    links->waiting[free_place].number = number;
    links->waiting[free_place].takes = hello->message_max;
    snprintf(links->waiting[free_place].worker, FW_ID_MAX + 1, "%.*s", (int)hello->worker.len,
             hello->worker.ptr);
    snprintf(links->waiting[free_place].epoch, FW_ID_MAX + 1, "%.*s", (int)hello->epoch.len,
             hello->epoch.ptr);
    return true;
}

bool fw_links_greet(fw_links *links, fw_connection *connection, const fw_hello *hello)
{
    const fw_net *net = links->net;
    bool good = true;
    pthread_mutex_lock(&links->lock);
    fw_link *link = NULL;
    if (!fw_token_is(&net->asked, hello->token))
        good = refuse(links, connection, hello, "not permitted: token");
    else if (hello->expects.len > 0 && !is_text(hello->expects, net->epoch))
        good = refuse(links, connection, hello, "it means another run of ours");
    else if ((link = find(links, hello)) != NULL)
        join(link, connection, hello->message_max);
    else if (!wait_for_link(links, connection, hello))
        good = refuse(links, connection, hello, "no such peer, or another run of it");
    pthread_mutex_unlock(&links->lock);
    if (link)
        fw_link_rise(link);
    return good;
}

/* A link has been opened: its peer may have greeted already. Under lock. */
static void adopt(fw_links *links, fw_link *link)
{
    for (size_t i = 0; i < FW_GREETINGS_WAITING; i++) {
        fw_span worker = {links->waiting[i].worker, strlen(links->waiting[i].worker)};
        fw_span epoch = {links->waiting[i].epoch, strlen(links->waiting[i].epoch)};
        uint64_t number = links->waiting[i].number;
        if (number == 0 || !is_of(link, worker, epoch))
            continue;
        links->waiting[i].number = 0;
        fw_rcu_read_lock();
        fw_connection *connection = fw_exchange_find(&links->net->exchange, number);
        if (connection)
            join(link, connection, links->waiting[i].takes);
        fw_rcu_read_unlock();
        if (connection)
            return;
    }
}

void fw_links_gone(fw_links *links, fw_connection *connection)
{
    uint64_t number = fw_connection_number(connection);
    pthread_mutex_lock(&links->lock);
    for (size_t i = 0; i < FW_GREETINGS_WAITING; i++)
        if (links->waiting[i].number == number)
            links->waiting[i].number = 0;
    fw_link *link = fw_connection_owner(connection);
    if (link) {
        fw_link_lose(link, "the peer closed its pipe");
        fw_link_drop_part(link);
    }
    pthread_mutex_unlock(&links->lock);
}

void fw_link_rise(fw_link *link)
{
    fw_links *links = link->net->links;
    const fw_link_ops *ops = &link->net->link_ops;
    pthread_mutex_lock(&links->lock);
    /* Relaxed: under the lock. */
    bool up = link->ready && link->pulled != 0 && !fw_load_relaxed(&link->over) &&
              fw_load_relaxed(&link->state) == FW_LINK_OPENING;
    uint64_t push = fw_load_relaxed(&link->push), pulled = link->pulled;
    if (up) {
        fw_store_relaxed(&link->state, FW_LINK_RISING);
        link->heard_ns = fw_now_ns();
    }
    pthread_mutex_unlock(&links->lock);
    if (!up)
        return;
    if (link->net->kind == FW_NET_SUBWORKER) {
        /* Tasks wait while results cannot leave. */
        fw_rcu_read_lock();
        fw_connection *tasks = fw_exchange_find(&link->net->exchange, pulled);
        if (tasks)
            fw_connection_follow(tasks, push);
        fw_rcu_read_unlock();
    }
    ops->up(ops->context, link->owner);
    /* Relaxed: a beat that is read at this moment may be told or not. */
    fw_store_relaxed(&link->state, FW_LINK_UP);
}

/* ---- The table ---- */

static int64_t limit_of(const fw_link *link)
{
    /* Relaxed: under the lock. */
    if (fw_load_relaxed(&link->state) != FW_LINK_OPENING)
        return link->silence_ns;
    return link->silence_ns > 0 ? link->silence_ns : link->net->exchange.limits.stalled_ns;
}

/* We do not listen, so it cannot be heard. */
static bool is_paused(const fw_link *link)
{
    fw_rcu_read_lock();
    const fw_connection *connection = fw_exchange_find(&link->net->exchange, link->pulled);
    bool paused = connection && fw_connection_is_paused(connection);
    fw_rcu_read_unlock();
    return paused;
}

/* => when to look again, in ms. Under lock. */
static nng_duration look_around(fw_links *links)
{
    int64_t now = fw_now_ns(), shortest = INT64_MAX;
    for (fw_link *link = links->first; link; link = link->next) {
        int64_t limit = limit_of(link);
        /* Relaxed: only has to change. */
        uint64_t heard = fw_load_relaxed(&link->heard);
        bool opening = fw_load_relaxed(&link->state) == FW_LINK_OPENING;
        if (!opening && (heard != link->heard_then || is_paused(link)))
            link->heard_ns = now;
        link->heard_then = heard;
        if (limit > 0 && now - link->heard_ns > limit)
            fw_link_lose(link, opening ? "no greeting in time" : "silent for too long");
        if (limit > 0 && limit < shortest)
            shortest = limit;
    }
    int64_t ms = shortest / 4 / FW_NS_PER_MS;
    return (nng_duration)(ms < PATROL_MIN_MS   ? PATROL_MIN_MS
                          : ms < PATROL_MAX_MS ? ms
                                               : PATROL_MAX_MS);
}

static void on_patrol(void *argument)
{
    fw_links *links = argument;
    if (nng_aio_result(links->patrol) != 0)
        return;
    pthread_mutex_lock(&links->lock);
    nng_duration pause = look_around(links);
    links->patrolling = links->first != NULL;
    bool again = links->patrolling;
    pthread_mutex_unlock(&links->lock);
    if (again)
        nng_sleep_aio(pause, links->patrol);
}

void fw_links_add(fw_links *links, fw_link *link)
{
    link->next = links->first;
    links->first = link;
    links->count++;
    if (!links->patrolling) {
        links->patrolling = true;
        nng_sleep_aio(PATROL_MIN_MS, links->patrol);
    }
    adopt(links, link);
}

void fw_links_remove(fw_links *links, fw_link *link)
{
    fw_link **at = &links->first;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    links->count--;
}

int fw_links_start(fw_links **out, fw_net *net)
{
    fw_links *links = calloc(1, sizeof *links);
    if (!links || nng_aio_alloc(&links->patrol, on_patrol, links) != 0) {
        free(links);
        return -FW_ENOMEM;
    }
    links->net = net;
    FW_ASSERT(pthread_mutex_init(&links->lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&links->changed, NULL) == 0);
    *out = links;
    return 0;
}

void fw_links_stop(fw_links *links)
{
    if (!links)
        return;
    FW_ASSERT(links->first == NULL);
    nng_aio_stop(links->patrol);
}

void fw_links_destroy(fw_links *links)
{
    if (!links)
        return;
    nng_aio_free(links->patrol);
    pthread_cond_destroy(&links->changed);
    pthread_mutex_destroy(&links->lock);
    free(links);
}

size_t fw_links_count(fw_links *links)
{
    pthread_mutex_lock(&links->lock);
    size_t count = links->count;
    pthread_mutex_unlock(&links->lock);
    return count;
}
