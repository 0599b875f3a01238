/* net/client_stream.c - see net/client_stream.h.
 *
 * A chunk is moved into only while nobody else holds it; otherwise the unread tail is copied to a
 * fresh one. So a reader of a message never sees it change. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/client_tls.h"
#include "net/sp.h"

/* One read takes the answers of about sixteen full frames. */
enum { CHUNK_BYTES = 128 * 1024 };
/* The first byte of what a peer that wants TLS says to one that does not. */
enum { TLS_ALERT = 21 };

void fw_chunk_hold(fw_chunk *chunk)
{
    FW_ASSERT(chunk->holders > 0);
    chunk->holders++;
}

void fw_chunk_drop(fw_chunk *chunk)
{
    if (chunk == NULL)
        return;
    FW_ASSERT(chunk->holders > 0);
    if (--chunk->holders == 0)
        free(chunk);
}

static fw_chunk *chunk_create(size_t capacity)
{
    fw_chunk *chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk != NULL)
        *chunk = (fw_chunk){.holders = 1, .capacity = capacity};
    return chunk;
}

/* --- TCP --- */

static int tcp_open(const fw_endpoint *to)
{
    int one = 1;
    int fd = socket(to->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)&to->socket, to->len) == 0 || errno == EINPROGRESS)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static int tcp_finish(int fd)
{
    int reason = 0;
    socklen_t len = sizeof(reason);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &len) != 0)
        return errno;
    return reason;
}

static int tcp_greet(fw_stream *stream)
{
    (void)stream;
    return 1;
}

static ssize_t tcp_read(fw_stream *stream, void *into, size_t capacity)
{
    ssize_t n = recv(stream->fd, into, capacity, 0);
    if (n > 0)
        return n;
    if (n == 0) {
        errno = ECONNRESET;
        return -1;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static ssize_t tcp_write(fw_stream *stream, const struct iovec *parts, int count)
{
    /* sendmsg only reads the parts; its type does not say so. */
    struct msghdr message = {.msg_iovlen = (size_t)count};
    memcpy(&message.msg_iov, &parts, sizeof(parts));
    ssize_t n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static ssize_t tcp_flush(fw_stream *stream)
{
    (void)stream;
    return 0;
}

static void tcp_close(fw_stream *stream)
{
    (void)stream;
}

const fw_transport fw_transport_tcp = {.greet = tcp_greet,
                                       .read = tcp_read,
                                       .write = tcp_write,
                                       .flush = tcp_flush,
                                       .close = tcp_close};

/* --- the stream --- */

void fw_stream_init(fw_stream *stream, unsigned protocol, size_t message_max)
{
    FW_ASSERT(fw_sp_peer_of(protocol) != 0);
    *stream = (fw_stream){
        .transport = &fw_transport_tcp, .fd = -1, .protocol = protocol, .message_max = message_max};
}

/* Ends the connection but keeps what was read. */
static int fail(fw_stream *stream, int err, const char *what)
{
    if (what != NULL)
        snprintf(stream->error, sizeof(stream->error), "%s", what);
    stream->transport->close(stream);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream->watched = 0;
    stream->write_blocked = false;
    stream->state = FW_STREAM_CLOSED;
    return err;
}

static int fail_errno(fw_stream *stream, int reason)
{
    char text[96];
    const char *words = strerror_r(reason, text, sizeof(text));
    if (reason == ECONNREFUSED)
        words = "connection refused";
    else if (reason == ECONNRESET || reason == EPIPE)
        words = "the connection was closed";
    return fail(stream, -FW_ENOCONN, words);
}

/* What the transport says, or else errno. */
static int fail_transport(fw_stream *stream)
{
    return stream->fault ? fail(stream, -stream->fault, NULL) : fail_errno(stream, errno);
}

void fw_stream_close(fw_stream *stream)
{
    fail(stream, 0, NULL);
    fw_chunk_drop(stream->in);
    stream->in = NULL;
    stream->in_at = stream->in_end = 0;
}

int fw_stream_connect(fw_stream *stream, const fw_endpoint *to)
{
    FW_ASSERT(stream->state == FW_STREAM_CLOSED && stream->fd < 0);
    fw_stream_close(stream);
    stream->fault = 0;
    stream->error[0] = '\0';
    if (to->tls) {
        int rc = fw_client_tls_begin(stream, to->host);
        if (rc < 0)
            return fail(stream, rc, NULL);
    }
    stream->transport = to->tls ? &fw_transport_tls : &fw_transport_tcp;
    stream->fd = tcp_open(to);
    if (stream->fd < 0)
        return fail_errno(stream, errno);
    stream->state = FW_STREAM_CONNECTING;
    return 0;
}

static int send_greeting(fw_stream *stream)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    fw_sp_handshake_write(hello, stream->protocol);
    struct iovec part = {.iov_base = hello, .iov_len = sizeof(hello)};
    ssize_t n = stream->transport->write(stream, &part, 1);
    if (n < 0)
        return fail_transport(stream);
    /* Eight bytes on a fresh connection always fit. */
    if (n != (ssize_t)sizeof(hello))
        return fail(stream, -FW_ENOCONN, "the handshake could not be sent");
    stream->state = FW_STREAM_GREETING;
    return 0;
}

static int read_greeting(fw_stream *stream)
{
    int rc = fw_stream_fill(stream);
    if (rc < 0)
        return rc;
    size_t have = stream->in_end - stream->in_at;
    const unsigned char *bytes = stream->in == NULL ? NULL : stream->in->data + stream->in_at;
    if (have > 0 && bytes[0] == TLS_ALERT)
        return fail(stream, -FW_EPROTO, "it speaks TLS: its address begins with tls+tcp://");
    if (have > 0 && !fw_sp_handshake_may_become(bytes, have))
        return fail(stream, -FW_EPROTO, "the peer does not speak SP");
    if (have < FW_SP_HANDSHAKE_BYTES)
        return 0;
    if (fw_sp_handshake_read(bytes) != (int)fw_sp_peer_of(stream->protocol))
        return fail(stream, -FW_EPROTO, "the peer speaks another SP protocol");
    stream->in_at += FW_SP_HANDSHAKE_BYTES;
    stream->state = FW_STREAM_READY;
    return 0;
}

int fw_stream_advance(fw_stream *stream)
{
    if (stream->state == FW_STREAM_CONNECTING) {
        struct pollfd ready = {.fd = stream->fd, .events = POLLOUT};
        if (poll(&ready, 1, 0) == 0)
            return 0;
        int reason = tcp_finish(stream->fd);
        if (reason != 0)
            return fail_errno(stream, reason);
        stream->state = FW_STREAM_SECURING;
    }
    if (stream->state == FW_STREAM_SECURING) {
        int done = stream->transport->greet(stream);
        if (done < 0)
            return fail_transport(stream);
        int rc = done == 0 ? 0 : send_greeting(stream);
        if (done == 0 || rc < 0)
            return rc;
    }
    return stream->state == FW_STREAM_GREETING ? read_greeting(stream) : 0;
}

short fw_stream_wants(const fw_stream *stream)
{
    switch (stream->state) {
    case FW_STREAM_CLOSED:
        return 0;
    case FW_STREAM_CONNECTING:
        return POLLOUT;
    default:
        return (short)(POLLIN | (stream->write_blocked ? POLLOUT : 0));
    }
}

/* Room for the rest of a message of `needed` bytes, or for some of it. */
static bool make_room(fw_stream *stream, size_t needed)
{
    size_t have = stream->in_end - stream->in_at;
    fw_chunk *old = stream->in;
    if (old != NULL && have == 0 && old->holders == 1)
        stream->in_at = stream->in_end = 0;
    if (old != NULL && old->capacity - stream->in_at >= needed && stream->in_end < old->capacity)
        return true;
    size_t capacity = needed > CHUNK_BYTES ? needed : CHUNK_BYTES;
    if (old != NULL && old->holders == 1 && old->capacity >= capacity) {
        memmove(old->data, old->data + stream->in_at, have);
    } else {
        fw_chunk *fresh = chunk_create(capacity);
        if (fresh == NULL)
            return false;
        if (have > 0)
            memcpy(fresh->data, old->data + stream->in_at, have);
        fw_chunk_drop(old);
        stream->in = fresh;
    }
    stream->in_at = 0;
    stream->in_end = have;
    return true;
}

/* One read, with room for `needed` bytes of the message that begins the input. */
static ssize_t read_once(fw_stream *stream, size_t needed)
{
    if (!make_room(stream, needed))
        return fail(stream, -FW_ENOCONN, "out of memory");
    FW_ASSERT(stream->in_end < stream->in->capacity);
    ssize_t n = stream->transport->read(stream, stream->in->data + stream->in_end,
                                        stream->in->capacity - stream->in_end);
    if (n < 0)
        return fail_transport(stream);
    stream->in_end += (size_t)n;
    return n;
}

int fw_stream_fill(fw_stream *stream)
{
    if (stream->fd < 0)
        return -FW_ENOCONN;
    fw_span message;
    size_t needed = FW_SP_HANDSHAKE_BYTES, have = stream->in_end - stream->in_at;
    if (stream->state == FW_STREAM_READY && have > 0)
        fw_sp_next(&message, &needed, stream->in->data + stream->in_at, have, stream->message_max);
    if (needed > stream->message_max + FW_SP_LENGTH_BYTES)
        return fail(stream, -FW_ENOCONN, "a message over the size limit");
    ssize_t left = stream->transport->flush(stream);
    if (left < 0)
        return fail_transport(stream);
    if (stream->secret != NULL)
        stream->write_blocked = left > 0;
    ssize_t n = read_once(stream, needed);
    size_t total = n > 0 ? (size_t)n : 0;
    while (n > 0 && fw_client_tls_holds(stream)) {
        have = stream->in_end - stream->in_at;
        n = read_once(stream, have + 1);
        total += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? (int)n : total > 0;
}

fw_stream_message fw_stream_next(fw_stream *stream, fw_span *message)
{
    if (stream->in == NULL || stream->in_at == stream->in_end)
        return FW_STREAM_NONE;
    size_t size;
    switch (fw_sp_next(message, &size, stream->in->data + stream->in_at,
                       stream->in_end - stream->in_at, stream->message_max)) {
    case FW_SP_MESSAGE:
        stream->in_at += size;
        FW_ASSERT(stream->in_at <= stream->in_end);
        return FW_STREAM_MESSAGE;
    case FW_SP_MORE:
        return FW_STREAM_NONE;
    default:
        return FW_STREAM_BAD;
    }
}

ssize_t fw_stream_write(fw_stream *stream, const struct iovec *parts, int count)
{
    FW_ASSERT(stream->state == FW_STREAM_READY);
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    ssize_t n = stream->transport->write(stream, parts, count);
    ssize_t left = n < 0 ? -1 : stream->transport->flush(stream);
    if (left < 0)
        return fail_transport(stream);
    stream->write_blocked = (size_t)n < total || left > 0;
    return n;
}

size_t fw_stream_unconfirmed(const fw_stream *stream)
{
    int bytes = 0;
    if (stream->fd < 0 || ioctl(stream->fd, SIOCOUTQ, &bytes) != 0 || bytes < 0)
        return 0;
    return (size_t)bytes + fw_client_tls_waiting(stream);
}
