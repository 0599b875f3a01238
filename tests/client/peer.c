/* tests/client/peer.c - see tests/client/peer.h. SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/sp.h"

enum { CONNECTIONS_MAX = 64, INPUT_MAX = 4 * 1024 * 1024, FRAME_ROOM = 1024 * 1024 };

typedef struct connection {
    int fd;
    unsigned port;
    bool greeted;
    bool leaving; /* what it sends is thrown away */
    size_t len;
    unsigned char *input;
} connection;

static int listen_at(unsigned *port)
{
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

/* Five ports in a row; false: one is taken. */
static bool listen_row(peer *p)
{
    unsigned port = p->base;
    p->listeners[0] = listen_at(&port);
    p->base = port;
    for (unsigned i = 1; i < PEER_BUS; i++) {
        port = p->base + i;
        p->listeners[i] = p->base + 5 < 65536 ? listen_at(&port) : -1;
    }
    for (unsigned i = 0; i < PEER_BUS; i++)
        if (p->listeners[i] < 0) {
            for (unsigned k = 0; k < PEER_BUS; k++)
                close(p->listeners[k]);
            return false;
        }
    return true;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

void peer_reply(peer *p, uint32_t request, const void *body, size_t len)
{
    unsigned char prefix[FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES];
    fw_sp_length_write(prefix, FW_SP_WORD_BYTES + len);
    fw_sp_word_write(prefix + FW_SP_LENGTH_BYTES, request);
    fw_buffer_add(&p->out, prefix, sizeof(prefix));
    fw_buffer_add(&p->out, body, len);
}

void peer_reply_text(peer *p, uint32_t request, const char *json)
{
    peer_reply(p, request, json, strlen(json));
}

static void announce(const peer *p, int fd)
{
    const char *at = p->announce;
    while (at != NULL && *at != '\0') {
        const char *end = strchrnul(at, '\n');
        unsigned char length[FW_SP_LENGTH_BYTES];
        fw_sp_length_write(length, (uint64_t)(end - at));
        send_all(fd, length, sizeof(length));
        send_all(fd, at, (size_t)(end - at));
        at = *end == '\n' ? end + 1 : end;
    }
}

/* Serves what a connection has sent. False: close it. */
static bool serve(peer *p, connection *at)
{
    ssize_t n = recv(at->fd, at->input + at->len, INPUT_MAX - at->len, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (at->leaving)
        return true;
    at->len += (size_t)n;
    if (!at->greeted) {
        if (at->len < FW_SP_HANDSHAKE_BYTES)
            return true;
        memmove(at->input, at->input + FW_SP_HANDSHAKE_BYTES, at->len -= FW_SP_HANDSHAKE_BYTES);
        at->greeted = true;
    }
    bool go_on = true;
    size_t used = 0, size;
    fw_span message;
    p->fd = at->fd;
    while (go_on && fw_sp_next(&message, &size, at->input + used, at->len - used, INPUT_MAX) ==
                        FW_SP_MESSAGE) {
        fw_sp_request request;
        used += size;
        FW_ASSERT(fw_sp_request_read(&request, message));
        p->out.len = 0;
        go_on = p->script(p, at->port, request.id, request.body);
        send_all(at->fd, p->out.data, p->out.len);
    }
    memmove(at->input, at->input + used, at->len -= used);
    if (!go_on) {
        /* Closed at once, it would be reset, and what was answered would be lost with it. */
        shutdown(at->fd, SHUT_WR);
        at->leaving = true;
        at->len = 0;
    }
    return true;
}

static void welcome(peer *p, connection *at, unsigned port)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    int one = 1;
    *at = (connection){.fd = accept4(p->listeners[port], NULL, NULL, SOCK_CLOEXEC), .port = port};
    FW_ASSERT(at->fd >= 0 && (at->input = malloc(INPUT_MAX)) != NULL);
    setsockopt(at->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fw_sp_handshake_write(hello, port == PEER_BUS ? FW_SP_BUS0 : FW_SP_REP0);
    send_all(at->fd, hello, sizeof(hello));
    if (port == PEER_BUS)
        announce(p, at->fd);
    p->connections++;
}

static void *peer_run(void *argument)
{
    peer *p = argument;
    connection all[CONNECTIONS_MAX];
    struct pollfd polled[1 + PEER_PORTS + CONNECTIONS_MAX];
    nfds_t count = 0;
    for (;;) {
        polled[0] = (struct pollfd){.fd = p->wake[0], .events = POLLIN};
        for (nfds_t i = 0; i < PEER_PORTS; i++)
            polled[1 + i] = (struct pollfd){.fd = p->listeners[i], .events = POLLIN};
        for (nfds_t i = 0; i < count; i++)
            polled[1 + PEER_PORTS + i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
        poll(polled, 1 + PEER_PORTS + count, -1);
        if (polled[0].revents != 0)
            break;
        nfds_t kept = 0;
        for (nfds_t i = 0; i < count; i++) {
            if (polled[1 + PEER_PORTS + i].revents != 0 && !serve(p, &all[i])) {
                close(all[i].fd);
                free(all[i].input);
                continue;
            }
            all[kept++] = all[i];
        }
        count = kept;
        for (unsigned i = 0; i < PEER_PORTS; i++)
            if (polled[1 + i].revents != 0 && count < CONNECTIONS_MAX)
                welcome(p, &all[count++], i);
    }
    for (nfds_t i = 0; i < count; i++) {
        close(all[i].fd);
        free(all[i].input);
    }
    return NULL;
}

static void begin(peer *p)
{
    unsigned none = p->discovery;
    for (int tries = 0; !listen_row(p); tries++) {
        FW_ASSERT(tries < 1000);
        p->base = 0;
    }
    p->listeners[PEER_BUS] = listen_at(&none);
    FW_ASSERT(p->listeners[PEER_BUS] >= 0 && pipe(p->wake) == 0);
    p->discovery = none;
    snprintf(p->address, sizeof(p->address), "tcp://127.0.0.1:%u", p->base);
    snprintf(p->discovery_address, sizeof(p->discovery_address), "tcp://127.0.0.1:%u", none);
    FW_ASSERT(pthread_create(&p->thread, NULL, peer_run, p) == 0);
}

void peer_start(peer *p, peer_script script, void *context)
{
    *p = (peer){.script = script, .context = context};
    begin(p);
}

void peer_restart(peer *p)
{
    begin(p);
}

void peer_stop(peer *p)
{
    FW_ASSERT(write(p->wake[1], "", 1) == 1);
    pthread_join(p->thread, NULL);
    for (int i = 0; i < PEER_PORTS; i++)
        close(p->listeners[i]);
    close(p->wake[0]);
    close(p->wake[1]);
    fw_buffer_fini(&p->out);
}

/* --- the native control plane --- */

bool peer_greets(peer *p, uint32_t request, fw_span body)
{
    static unsigned char room[4096];
    fw_frame frame;
    if (!fw_frame_is(body)) {
        peer_reply_text(p, request, "{\"found\": false, \"cancelled\": false, \"error\": \"x\"}");
        return true;
    }
    FW_ASSERT(fw_frame_open(&frame, body, NULL) == 0);
    if (frame.type != FW_FRAME_HELLO)
        return false;
    const fw_hello hello = {.software = {"test/1", 6}, .message_max = 1024 * 1024};
    fw_frame_writer writer;
    fw_frame_begin(&writer, room, sizeof(room), FW_FRAME_ANSWER, 0);
    FW_ASSERT(fw_frame_add_hello(&writer, request, &hello));
    peer_reply(p, request, room, fw_frame_end(&writer));
    return true;
}

static void answer_submit(fw_frame *frame, uint32_t request, fw_frame_writer *writer)
{
    fw_scratch scratch = {.first = NULL};
    fw_submission task;
    while (fw_frame_next_submission(frame, &task, &scratch) == 1) {
        const fw_result_view result = {
            .status = FW_SUCCESS, .result = task.args, .started_wall_ns = 1, .finished_wall_ns = 2};
        FW_ASSERT(fw_frame_add_accepted(writer, request, task.reply.item, FW_QUEUED, NULL));
        if (task.reply.flags & FW_WANTS_RESULT)
            FW_ASSERT(fw_frame_add_result(writer, request, task.reply.item, &result));
    }
    fw_scratch_fini(&scratch);
}

bool peer_native(peer *p, unsigned port, uint32_t request, fw_span body)
{
    static unsigned char room[FRAME_ROOM];
    (void)port;
    if (peer_greets(p, request, body))
        return true;
    fw_frame frame;
    fw_frame_writer writer;
    const fw_reply_to reply = {.request = request};
    FW_ASSERT(fw_frame_open(&frame, body, &reply) == 0);
    fw_frame_begin(&writer, room, sizeof(room), FW_FRAME_ANSWER, 0);
    if (frame.type == FW_FRAME_SUBMIT)
        answer_submit(&frame, request, &writer);
    fw_query query;
    while (frame.type == FW_FRAME_QUERY && fw_frame_next_query(&frame, &query) == 1) {
        const fw_result_view running = {.status = FW_RUNNING, .started_wall_ns = 1};
        if (query.kind == FW_QUERY_CANCEL)
            FW_ASSERT(
                fw_frame_add_accepted(&writer, request, query.reply.item, FW_CANCELLED, NULL));
        else
            FW_ASSERT(fw_frame_add_result(&writer, request, query.reply.item, &running));
    }
    peer_reply(p, request, room, fw_frame_end(&writer));
    return true;
}
