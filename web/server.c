/* web/server.c - h2o on a thread of its own.
 *
 * Roles: the caller starts and stops; the web thread owns the loop, the context, the listeners and
 * every connection (h2o keeps per-thread recyclers, so all of it is made and unmade there). The
 * only word between them is one message through h2o's own inbox: stop. HTTP/1.1 without TLS, so
 * that the HTTP/2 attacks that this version of h2o does not withstand have nothing to attack.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <h2o.h>

#include "base/assert.h"
#include "web/later.h"
#include "web/routes.h"

enum {
    CONNECTIONS_MAX = 256,
    LISTENERS_MAX = 8,
    ACCEPTS_PER_TURN = 16,
    BODY_MAX = 64 * 1024,
    REQUEST_TIMEOUT_MS = 15000,
    UNACKED_TIMEOUT_MS = 20000
};

struct fw_web {
    /* Immutable after start. */
    fw_web_config config;
    char *host, *api_key, *cors_origin;
    fw_web_ops ops;
    int listen_fds[LISTENERS_MAX];
    unsigned listener_count, port;
    pthread_t thread;
    sem_t started;
    /* The web thread's own. */
    h2o_globalconf_t globals;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_multithread_receiver_t inbox;
    h2o_socket_t *listeners[LISTENERS_MAX];
    struct connection *connections;
    unsigned connection_count;
    bool stopping;
    struct fw_web_later *later; /* shared; see there */
    /* Handed to the thread through its inbox. */
    h2o_multithread_message_t stop_message;
};

/* Hangs on a socket until it closes: the one reliable sign that a connection is gone. */
typedef struct connection {
    struct connection *next, **link;
    fw_web *web;
    h2o_socket_t *socket;
} connection;

typedef struct route_handler {
    h2o_handler_t super;
    fw_web *web;
} route_handler;

/* --- answering --- */

static fw_span span_of(h2o_iovec_t text)
{
    return (fw_span){text.base, text.len};
}

static fw_span header_of(h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&req->headers, token, -1);
    return at < 0 ? (fw_span){NULL, 0} : span_of(req->headers.entries[at].value);
}

static fw_span origin_of(h2o_req_t *req)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, "origin", 6, -1);
    return at < 0 ? (fw_span){NULL, 0} : span_of(req->headers.entries[at].value);
}

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
    size_t len = strlen(value);
    char *copy = h2o_mem_alloc_pool(&req->pool, len + 1);
    memcpy(copy, value, len + 1);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 1, NULL, copy, len);
}

static void add_headers(h2o_req_t *req, const fw_web_answer *answer)
{
    add_header(req, "content-type", answer->content_type);
    add_header(req, "cache-control", "no-cache");
    add_header(req, "x-content-type-options", "nosniff");
    add_header(req, "x-frame-options", "DENY");
    add_header(req, "referrer-policy", "no-referrer");
    add_header(
        req, "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src "
        "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    if (answer->etag)
        add_header(req, "etag", answer->etag);
    if (answer->allow_origin[0]) {
        add_header(req, "access-control-allow-origin", answer->allow_origin);
        add_header(req, "access-control-allow-methods", "GET, POST, OPTIONS");
        add_header(req, "access-control-allow-headers", "Content-Type, Authorization");
    }
    if (answer->status == 401)
        add_header(req, "www-authenticate", "Bearer");
}

static void send_answer(h2o_req_t *req, const fw_web_answer *answer)
{
    static h2o_generator_t generator = {NULL, NULL};
    fw_span body =
        answer->buffer.len ? (fw_span){answer->buffer.data, answer->buffer.len} : answer->body;
    req->res.status = answer->status;
    req->res.reason = answer->reason;
    req->compress_hint = H2O_COMPRESS_HINT_DISABLE;
    if (answer->status != 304)
        req->res.content_length = body.len;
    add_headers(req, answer);
    char *copy = h2o_mem_alloc_pool(&req->pool, body.len + 1);
    if (body.len > 0)
        memcpy(copy, body.ptr, body.len);
    h2o_iovec_t vector = h2o_iovec_init(copy, body.len);
    bool head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    h2o_start_response(req, &generator);
    if (head || body.len == 0)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(req, &vector, 1, H2O_SEND_STATE_FINAL);
}

static void send_and_free(h2o_req_t *req, fw_web_answer *answer)
{
    send_answer(req, answer);
    fw_buffer_fini(&answer->buffer);
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    fw_web *web = ((route_handler *)(void *)handler)->web;
    fw_web_answer answer;
    fw_web_request request = {
        .method = span_of(req->method),
        .path = span_of(req->path_normalized),
        .authorization = header_of(req, H2O_TOKEN_AUTHORIZATION),
        .origin = origin_of(req),
        .if_none_match = header_of(req, H2O_TOKEN_IF_NONE_MATCH),
        .ticket = fw_web_later_ticket(web->later),
    };
    if (req->query_at != SIZE_MAX && req->query_at + 1 <= req->path.len)
        request.query =
            (fw_span){req->path.base + req->query_at + 1, req->path.len - req->query_at - 1};
    fw_web_route(&web->config, &web->ops, &request, &answer);
    if (answer.is_later)
        fw_web_later_park(web->later, request.ticket, req, &answer);
    else
        send_and_free(req, &answer);
    return 0;
}

/* --- connections --- */

static void on_accept(h2o_socket_t *listener, const char *error);

static void listen_again(fw_web *web)
{
    for (unsigned i = 0; i < web->listener_count; i++)
        h2o_socket_read_start(web->listeners[i], on_accept);
}

static void on_connection_close(void *data)
{
    connection *c = data;
    fw_web *web = c->web;
    FW_ASSERT(web->connection_count > 0);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
    if (web->connection_count-- == CONNECTIONS_MAX && !web->stopping)
        listen_again(web);
}

/* => false: at the limit, or no memory; the socket is closed. */
static bool keep_connection(fw_web *web, h2o_socket_t *socket)
{
    connection *c = calloc(1, sizeof *c);
    if (!c) {
        h2o_socket_close(socket);
        return false;
    }
    *c = (connection){web->connections, &web->connections, web, socket};
    if (c->next)
        c->next->link = &c->next;
    web->connections = c;
    web->connection_count++;
    socket->on_close.cb = on_connection_close;
    socket->on_close.data = c;
    int limit = UNACKED_TIMEOUT_MS;
    setsockopt(h2o_socket_get_fd(socket), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    h2o_accept(&web->accept, socket);
    return true;
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    fw_web *web = listener->data;
    if (error)
        return;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (web->connection_count == CONNECTIONS_MAX) {
            /* Level-triggered: a listener that is not read would spin; a close starts it again. */
            for (unsigned j = 0; j < web->listener_count; j++)
                h2o_socket_read_stop(web->listeners[j]);
            return;
        }
        h2o_socket_t *socket = h2o_evloop_socket_accept(listener);
        if (!socket || !keep_connection(web, socket))
            return;
    }
}

/* --- the thread --- */

static void on_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    fw_web *web = FW_CONTAINER_OF(receiver, fw_web, inbox);
    while (!h2o_linklist_is_empty(messages))
        h2o_linklist_unlink(messages->next);
    web->stopping = true;
}

static void build(fw_web *web)
{
    h2o_config_init(&web->globals);
    web->globals.server_name = h2o_iovec_init("", 0);
    web->globals.max_request_entity_size = BODY_MAX;
    web->globals.http1.req_timeout = REQUEST_TIMEOUT_MS;
    web->globals.http1.upgrade_to_http2 = 0;
    h2o_hostconf_t *host =
        h2o_config_register_host(&web->globals, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
    route_handler *handler = (void *)h2o_create_handler(root, sizeof *handler);
    handler->super.on_req = on_request;
    handler->web = web;
    h2o_context_init(&web->context, h2o_evloop_create(), &web->globals);
    web->accept = (h2o_accept_ctx_t){.ctx = &web->context, .hosts = web->globals.hosts};
    h2o_multithread_register_receiver(web->context.queue, &web->inbox, on_messages);
    fw_web_later_open(web->later, web->context.queue);
    for (unsigned i = 0; i < web->listener_count; i++) {
        web->listeners[i] = h2o_evloop_socket_create(web->context.loop, web->listen_fds[i],
                                                     H2O_SOCKET_FLAG_DONT_READ);
        web->listeners[i]->data = web;
        h2o_socket_read_start(web->listeners[i], on_accept);
    }
}

static void shut_connections(fw_web *web, int how)
{
    for (connection *c = web->connections; c; c = c->next)
        shutdown(h2o_socket_get_fd(c->socket), how);
}

static void tear_down(fw_web *web)
{
    h2o_loop_t *loop = web->context.loop;
    h2o_multithread_queue_t *queue = web->context.queue;
    for (unsigned i = 0; i < web->listener_count; i++)
        h2o_socket_close(web->listeners[i]);
    fw_web_later_close(web->later);
    h2o_context_request_shutdown(&web->context);
    shut_connections(web, SHUT_RD);
    for (int turn = 0; turn < 20 && web->connection_count > 0; turn++)
        h2o_evloop_run(loop, 100);
    shut_connections(web, SHUT_RDWR);
    while (web->connection_count > 0)
        h2o_evloop_run(loop, 100);
    /* Answers that were on their way when the door closed have been taken in by the turns above, or
     * are by this one. */
    h2o_evloop_run(loop, 0);
    fw_web_later_leave(web->later, queue);
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
    }
    tear_down(web);
    return NULL;
}

/* --- start and stop --- */

static int listen_on(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void learn_port(fw_web *web)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    FW_ASSERT(getsockname(web->listen_fds[0], (struct sockaddr *)&address, &length) == 0);
    if (address.ss_family == AF_INET)
        web->port = ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
    else
        web->port = ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
}

static int bind_all(fw_web *web, char *error, size_t error_capacity)
{
    char port[16];
    struct addrinfo *found,
        hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", web->config.port);
    int rc = getaddrinfo(web->config.host, port, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_capacity, "dashboard address %s: %s", web->config.host,
                 gai_strerror(rc));
        return -FW_EINVAL;
    }
    for (struct addrinfo *a = found; a && web->listener_count < LISTENERS_MAX; a = a->ai_next) {
        int fd = listen_on(a);
        if (fd < 0) {
            snprintf(error, error_capacity,
                     "dashboard address http://%s:%u: %s. Choose another --gui-port, or --no-gui.",
                     web->config.host, web->config.port, strerror(errno));
            while (web->listener_count > 0)
                close(web->listen_fds[--web->listener_count]);
            break;
        }
        web->listen_fds[web->listener_count++] = fd;
    }
    freeaddrinfo(found);
    if (web->listener_count == 0)
        return -FW_EPERM;
    learn_port(web);
    return 0;
}

static char *copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

void fw_web_free(fw_web *web)
{
    fw_web_later_destroy(web->later);
    sem_destroy(&web->started);
    free(web->host);
    free(web->api_key);
    free(web->cors_origin);
    free(web);
}

int fw_web_start(fw_web **out, char *error, size_t error_capacity, const fw_web_config *config,
                 const fw_web_ops *ops)
{
    sigset_t all, before;
    fw_web *web = calloc(1, sizeof *web);
    if (!web)
        return -FW_ENOMEM;
    sem_init(&web->started, 0, 0);
    web->later = fw_web_later_create(send_and_free);
    FW_ASSERT(web->later);
    web->ops = *ops;
    web->host = copy_text(config->host);
    web->api_key = copy_text(config->api_key);
    web->cors_origin = copy_text(config->cors_origin);
    web->config = (fw_web_config){web->host, config->port, web->api_key, web->cors_origin};
    int rc = bind_all(web, error, error_capacity);
    if (rc < 0) {
        fw_web_free(web);
        return rc;
    }
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    rc = pthread_create(&web->thread, NULL, run_web, web);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        snprintf(error, error_capacity, "dashboard thread: %s", strerror(rc));
        while (web->listener_count > 0)
            close(web->listen_fds[--web->listener_count]);
        fw_web_free(web);
        return -FW_ENOMEM;
    }
    pthread_setname_np(web->thread, "fw-web");
    while (sem_wait(&web->started) != 0)
        ;
    *out = web;
    return 0;
}

void fw_web_stop(fw_web *web)
{
    h2o_multithread_send_message(&web->inbox, &web->stop_message);
    pthread_join(web->thread, NULL);
}

unsigned fw_web_port(const fw_web *web)
{
    return web->port;
}
