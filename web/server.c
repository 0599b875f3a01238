/* web/server.c - h2o on a thread of its own.
 *
 * Roles: the caller starts and stops; the web thread owns the loop, the context, the listeners and
 * every connection (h2o keeps per-thread recyclers, so all of it is made and unmade there). The
 * words between them go through h2o's own inbox: new papers, stop. HTTP/1.1 only, also in TLS, so
 * that the HTTP/2 attacks that this version of h2o does not withstand have nothing to attack.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <h2o.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "web/accept.h"
#include "web/aside.h"
#include "web/assets.h"
#include "web/compress.h"
#include "web/events.h"
#include "web/later.h"
#include "web/listen.h"
#include "web/refusals.h"
#include "web/routes.h"
#include "web/send.h"
#include "web/tls.h"

enum {
    CONNECTIONS_MAX = 2048,
    BODY_MAX = 1 << 20,
    BODY_SPARE = 64 << 10, /* what is a little too large gets our answer, not the library's */
    REQUEST_TIMEOUT_MS = 15000
};

struct fw_web {
    /* Immutable after start. */
    fw_web_router router;
    char *texts[10]; /* of its configuration */
    fw_web_listeners listening;
    unsigned connections_max;
    pthread_t thread;
    sem_t started;
    /* The web thread's own. */
    h2o_globalconf_t globals;
    h2o_context_t context;
    h2o_multithread_receiver_t inbox;
    bool stopping;
    fw_web_acceptor *acceptor;
    struct fw_web_later *later; /* shared; see there */
    fw_web_audience *audience;  /* the same */
    /* Handed to the thread: papers with its start, the message through its inbox. */
    SSL_CTX *papers;
    h2o_multithread_message_t stop_message;
};

/* Also through the inbox. */
typedef struct new_papers {
    h2o_multithread_message_t super;
    SSL_CTX *papers;
} new_papers;

typedef struct route_handler {
    h2o_handler_t super;
    fw_web *web;
} route_handler;

/* --- requests --- */

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    fw_web *web = ((route_handler *)(void *)handler)->web;
    fw_web_answer answer;
    fw_web_request request;
    fw_web_read_request(req, &request);
    request.ticket = fw_web_later_ticket(web->later);
    fw_web_route_request(&web->router, &request, &answer);
    if (answer.is_later)
        fw_web_later_park(web->later, request.ticket, req, &answer);
    else
        fw_web_send(req, &answer);
    return 0;
}

/* --- the thread --- */

static void on_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    fw_web *web = FW_CONTAINER_OF(receiver, fw_web, inbox);
    while (!h2o_linklist_is_empty(messages)) {
        h2o_linklist_t *link = messages->next;
        h2o_linklist_unlink(link);
        if (link == &web->stop_message.link) {
            web->stopping = true;
            continue;
        }
        new_papers *new = FW_CONTAINER_OF(link, new_papers, super.link);
        fw_web_acceptor_renew(web->acceptor, new->papers);
        free(new);
    }
}

static void build(fw_web *web)
{
    h2o_config_init(&web->globals);
    web->globals.server_name = h2o_iovec_init("", 0);
    web->globals.max_request_entity_size = web->router.config.body_max + BODY_SPARE;
    web->globals.http1.req_timeout = web->router.config.request_ms;
    web->globals.http1.upgrade_to_http2 = 0;
    web->globals.handshake_timeout = web->router.config.request_ms;
    h2o_hostconf_t *host =
        h2o_config_register_host(&web->globals, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    fw_web_refusals_register(host, web->router.config.body_max);
    h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
    route_handler *handler = (void *)h2o_create_handler(root, sizeof *handler);
    handler->super.on_req = on_request;
    handler->web = web;
    h2o_context_init(&web->context, h2o_evloop_create(), &web->globals);
    h2o_multithread_register_receiver(web->context.queue, &web->inbox, on_messages);
    fw_web_later_open(web->later, web->context.queue);
    fw_web_audience_open(web->audience, &web->context);
    fw_web_acceptor_open(web->acceptor, &web->context, web->globals.hosts, web->papers,
                         &web->listening);
}

static void tear_down(fw_web *web)
{
    h2o_loop_t *loop = web->context.loop;
    h2o_multithread_queue_t *queue = web->context.queue;
    fw_web_acceptor *acceptor = web->acceptor;
    fw_web_acceptor_shut(acceptor);
    fw_web_later_close(web->later);
    fw_web_audience_close(web->audience);
    h2o_context_request_shutdown(&web->context);
    fw_web_acceptor_shut_connections(acceptor, SHUT_RD);
    for (int turn = 0; turn < 20 && fw_web_acceptor_connections(acceptor) > 0; turn++)
        h2o_evloop_run(loop, 100);
    fw_web_acceptor_shut_connections(acceptor, SHUT_RDWR);
    while (fw_web_acceptor_connections(acceptor) > 0)
        h2o_evloop_run(loop, 100);
    /* Answers that were on their way when the door closed have been taken in by the turns above, or
     * are by this one. */
    h2o_evloop_run(loop, 0);
    fw_web_later_leave(web->later, queue);
    fw_web_audience_leave(web->audience);
    fw_web_acceptor_leave(acceptor);
    h2o_multithread_unregister_receiver(queue, &web->inbox);
    h2o_timeout_unlink(&web->context.http2._graceful_shutdown_timeout);
    h2o_context_dispose(&web->context);
    free(queue);
    h2o_evloop_run(loop, 0);
    h2o_evloop_destroy(loop);
    h2o_config_dispose(&web->globals);
}

static void *run_web(void *argument)
{
    fw_web *web = argument;
    build(web);
    sem_post(&web->started);
    while (!web->stopping) {
        if (h2o_evloop_run(web->context.loop, 1000) != 0 && errno != EINTR)
            break;
        /* What a handler has retired does not wait for more of it. */
        fw_rcu_flush();
    }
    tear_down(web);
    fw_web_compress_leave();
    return NULL;
}

/* --- start and stop --- */

void fw_web_free(fw_web *web)
{
    fw_web_later_destroy(web->later);
    fw_web_audience_destroy(web->audience);
    fw_web_acceptor_destroy(web->acceptor);
    sem_destroy(&web->started);
    for (size_t i = 0; i < sizeof web->texts / sizeof web->texts[0]; i++)
        free(web->texts[i]);
    free(web);
}

static void configure(fw_web *web, const fw_web_config *config)
{
    fw_web_config *own = &web->router.config;
    *own = *config;
    const char **texts[] = {&own->host,     &own->admin_key,   &own->submit_key, &own->worker_key,
                            &own->read_key, &own->cors_origin, &own->hosts,      &own->tls_cert,
                            &own->tls_key,  &own->tls_ca};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        web->texts[i] = *texts[i] ? strdup(*texts[i]) : NULL;
        FW_ASSERT(web->texts[i] || !*texts[i]);
        *texts[i] = web->texts[i];
    }
    own->body_max = own->body_max ? own->body_max : BODY_MAX;
    own->request_ms = own->request_ms ? own->request_ms : REQUEST_TIMEOUT_MS;
    web->connections_max = own->connections_max ? own->connections_max : CONNECTIONS_MAX;
}

static fw_web *create(const fw_web_config *config, const fw_web_table *tables, size_t count)
{
    fw_web *web = calloc(1, sizeof *web);
    if (!web)
        return NULL;
    FW_ASSERT(count + 1 < FW_WEB_TABLES_MAX);
    sem_init(&web->started, 0, 0);
    web->later = fw_web_later_create(fw_web_send);
    configure(web, config);
    /* The others are for short requests. */
    web->audience = fw_web_audience_create(config, web->connections_max / 4 * 3);
    web->acceptor = fw_web_acceptor_create(web->connections_max);
    FW_ASSERT(web->later && web->audience && web->acceptor);
    for (size_t i = 0; i < count; i++)
        web->router.tables[i] = tables[i];
    web->router.tables[count] = fw_web_events_table(web->audience);
    web->router.tables[count + 1] = fw_web_assets_table();
    web->router.table_count = count + 2;
    fw_web_router_prepare(&web->router);
    return web;
}

int fw_web_start(fw_web **out, char *error, size_t error_capacity, const fw_web_config *config,
                 const fw_web_table *tables, size_t table_count)
{
    sigset_t all, before;
    fw_web *web = create(config, tables, table_count);
    if (!web)
        return -FW_ENOMEM;
    int rc = fw_web_tls_create(&web->papers, error, error_capacity, config);
    if (rc == 0)
        rc = fw_web_listen(&web->listening, config->host, config->port, error, error_capacity);
    if (rc < 0) {
        SSL_CTX_free(web->papers);
        fw_web_free(web);
        return rc;
    }
    /* Before the thread: what it calls may want to publish. */
    *out = web;
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    web->router.aside = fw_web_aside_create();
    rc = web->router.aside ? pthread_create(&web->thread, NULL, run_web, web) : EAGAIN;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        snprintf(error, error_capacity, "dashboard thread: %s", strerror(rc));
        fw_web_unlisten(&web->listening);
        SSL_CTX_free(web->papers);
        fw_web_aside_destroy(web->router.aside);
        fw_web_free(web);
        *out = NULL;
        return -FW_ENOMEM;
    }
    pthread_setname_np(web->thread, "fw-web");
    while (sem_wait(&web->started) != 0)
        ;
    return 0;
}

void fw_web_stop(fw_web *web)
{
    h2o_multithread_send_message(&web->inbox, &web->stop_message);
    pthread_join(web->thread, NULL);
    fw_web_aside_destroy(web->router.aside);
}

unsigned fw_web_port(const fw_web *web)
{
    return web->listening.port;
}

int fw_web_renew_tls(fw_web *web, char *error, size_t error_capacity)
{
    SSL_CTX *papers;
    int rc = fw_web_tls_create(&papers, error, error_capacity, &web->router.config);
    if (rc < 0 || !papers)
        return rc;
    new_papers *new = malloc(sizeof *new);
    if (!new) {
        SSL_CTX_free(papers);
        snprintf(error, error_capacity, "out of memory");
        return -FW_ENOMEM;
    }
    *new = (new_papers){.papers = papers};
    h2o_multithread_send_message(&web->inbox, &new->super);
    return 0;
}

/* --- figures and events --- */

void fw_web_snapshot(const fw_web *web, fw_web_stats *out)
{
    fw_web_acceptor_snapshot(web->acceptor, out);
}

void fw_web_publish(fw_web *web, const char *name, fw_span json)
{
    if (web)
        fw_event_feed_post(fw_web_audience_feed(web->audience), name, json);
}

bool fw_web_is_watched(const fw_web *web)
{
    return web && fw_event_feed_is_wanted(fw_web_audience_feed(web->audience), ~0u);
}

bool fw_web_is_followed(const fw_web *web)
{
    return web && fw_event_feed_is_wanted(fw_web_audience_feed(web->audience), FW_EVENT_OTHER);
}

void fw_web_events_snapshot(const fw_web *web, fw_web_event_stats *out)
{
    fw_event_stats stats;
    fw_event_feed_snapshot(fw_web_audience_feed(web->audience), &stats);
    *out = (fw_web_event_stats){.clients = fw_web_audience_clients(web->audience),
                                .posted = stats.posted,
                                .dropped = stats.dropped,
                                .coalesced = stats.coalesced};
}
