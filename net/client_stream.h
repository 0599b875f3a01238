/* net/client_stream.h - one connection of a client: SP over TCP, non-blocking, no thread of its
 * own.
 *
 *   CLOSED --connect--> CONNECTING --advance--> (SECURING) --> GREETING --advance--> READY
 *      ^------------------------- close, or any failure ------------------------------'
 *
 * Nothing here waits; the owner polls the descriptor for fw_stream_wants and calls advance, fill
 * and write. What a failure was is kept in `error`, for people.
 *
 * Input lies in a counted chunk: spans handed out by fw_stream_next stay valid as long as the chunk
 * is held, also while the stream reads on or is closed. How bytes travel is behind a small table:
 * plainly, or by TLS (net/client_tls.c).
 *
 * Owner only (the client's lock). SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_STREAM_H
#define FW_NET_CLIENT_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/client_address.h"
#include "net/tls.h"

typedef enum fw_stream_state {
    FW_STREAM_CLOSED = 0,
    FW_STREAM_CONNECTING,
    FW_STREAM_SECURING, /* TLS */
    FW_STREAM_GREETING,
    FW_STREAM_READY
} fw_stream_state;

/* Bytes that were read, kept by who holds them. */
typedef struct fw_chunk {
    unsigned holders;
    size_t capacity;
    unsigned char data[];
} fw_chunk;
void fw_chunk_hold(fw_chunk *chunk);
void fw_chunk_drop(fw_chunk *chunk);

typedef struct fw_stream fw_stream;
/* How bytes travel once the connection stands. -1: broken; stream->fault and error tell, or else
 * errno (ECONNRESET for an end). */
typedef struct fw_transport {
    int (*greet)(fw_stream *stream); /* 1: bytes may travel; 0: not yet */
    ssize_t (*read)(fw_stream *stream, void *into, size_t capacity);           /* 0: not now */
    ssize_t (*write)(fw_stream *stream, const struct iovec *parts, int count); /* 0: not now */
    ssize_t (*flush)(fw_stream *stream); /* bytes taken that the kernel does not take yet */
    void (*close)(fw_stream *stream);
} fw_transport;
extern const fw_transport fw_transport_tcp, fw_transport_tls;

struct fw_stream {
    const fw_tls *tls; /* for addresses tls+tcp://; the owner's; NULL: none */
    const fw_transport *transport;
    int fd; /* -1: none */
    fw_stream_state state;
    unsigned protocol; /* our SP number */
    size_t message_max;
    size_t in_at, in_end;     /* unread bytes of the chunk */
    fw_chunk *in;             /* NULL: nothing was read yet */
    uint32_t watched;         /* the owner's: events registered for fd */
    bool write_blocked;       /* the last write could not take all, or not all has left */
    int fault;                /* FW_E... of the transport; 0: none */
    struct fw_secret *secret; /* the transport's own; NULL: none */
    char error[192];
};

void fw_stream_init(fw_stream *stream, unsigned protocol, size_t message_max);
/* Starts a connection. 0, or -FW_ENOCONN with error. The stream must be closed. */
int fw_stream_connect(fw_stream *stream, const fw_endpoint *to);
/* Goes on with connection and handshake as far as it can. 0 or -FW_E...; a failure closes. */
int fw_stream_advance(fw_stream *stream);
/* poll(2) events to wait for. */
short fw_stream_wants(const fw_stream *stream);
/* Reads once what is there, and writes what has been left. 1 something, 0 nothing now, -FW_E... the
 * connection is over (and closed; what was read before stays readable). */
int fw_stream_fill(fw_stream *stream);
typedef enum fw_stream_message {
    FW_STREAM_NONE,    /* not complete yet */
    FW_STREAM_MESSAGE, /* taken out; it lies in stream->in */
    FW_STREAM_BAD      /* over the limit: the owner has to close */
} fw_stream_message;
fw_stream_message fw_stream_next(fw_stream *stream, fw_span *message);
/* Bytes taken (0: none now), or -FW_E...: broken, and closed. */
ssize_t fw_stream_write(fw_stream *stream, const struct iovec *parts, int count);
/* Bytes written that the peer's machine has not confirmed. */
size_t fw_stream_unconfirmed(const fw_stream *stream);
/* Forgets input as well. Any state. */
void fw_stream_close(fw_stream *stream);

#endif
