/* net/connection_state.h - what is inside a connection, for its own files only (net/connection*).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CONNECTION_STATE_H
#define FW_NET_CONNECTION_STATE_H

#include "net/connection_tls.h"
#include "net/loop.h"

/* What moves bytes: a socket, or a stream of NNG's. */
typedef union fw_handle {
    int fd;
    nng_stream *stream;
} fw_handle;

typedef struct fw_mover {
    /* The handle is the connection's from then on. False: no memory, and it is not. */
    bool (*take)(fw_connection *c, fw_handle handle);
    /* Reading begins; the caller is in a read section. */
    void (*start)(fw_connection *c);
    /* Who has the duty to read says that it goes on: not on this thread. */
    void (*resume)(fw_connection *c);
    /* The sender's; the duty may go on elsewhere before this returns. */
    void (*transmit)(fw_connection *c);
    /* Nothing is read or written any more. Any thread, once. */
    void (*shut)(fw_connection *c);
    /* The reaper's: blocks until nobody reads and nobody sends. */
    void (*quiesce)(fw_connection *c);
    void (*release)(fw_connection *c);
    void (*describe)(const fw_connection *c, char out[FW_PEER_MAX]);
    bool (*is_local)(const fw_connection *c);
} fw_mover;

enum { FW_READING_ON = 0, FW_READING_PAUSED = 1 };

struct fw_connection {
    /* Immutable after open. */
    const fw_port *port;
    fw_exchange *exchange;
    uint64_t number;
    const fw_mover *mover;
    nng_stream *stream; /* net/connection_stream's */
    nng_aio *receive, *send;
    fw_connection_tls *tls; /* NULL: none is spoken */
    int64_t handshake_until_ns;
    /* The reader's. */
    unsigned char *in;
    size_t in_capacity, in_at, in_end; /* unread bytes: [in_at, in_end) */
    bool greeted;
    fw_standing standing;
    /* The sender's. */
    fw_parcel *sending; /* oldest first */
    int64_t moved_ns;
    /* net/connection_socket's; but for `stuck` the loop's thread's. */
    fw_polled polled;
    bool more;             /* there may be something to read */
    bool halted;           /* reading pauses */
    bool hung;             /* the other end has said its last */
    bool waits;            /* the duty to send is the loop's */
    fw_atomic(bool) stuck; /* the sender leaves it to the loop */
    /* The reaper's. */
    fw_connection *link;
    /* Shared, atomic. */
    fw_atomic(bool) closed;
    fw_atomic(uint32_t) reading;
    fw_atomic(void *) owner;               /* NULL: not introduced */
    fw_atomic(uint64_t) follows, follower; /* numbers; 0: none */
    fw_atomic(uint64_t) expected;          /* written by the reader alone */
    _Alignas(FW_APART) fw_atomic(uint64_t) answered;
    fw_atomic(uint64_t) posted_bytes, sent_bytes;
    fw_outbox outbox;
    /* Under its own lock. */
    fw_detours detours;
};

/* As fw_connection_open. It takes the handle only if it succeeds. */
int fw_connection_create(uint64_t *number, const fw_port *port, const fw_mover *mover,
                         fw_handle handle);
/* He has shaken hands, and is introduced where that is asked for. */
bool fw_connection_is_known(const fw_connection *connection);
/* The reader's: so many bytes are in the buffer, or in that of TLS. False: reading is over, or
 * pauses. */
bool fw_connection_arrived(fw_connection *connection, size_t count);
/* The sender's. */
void fw_connection_transmit(fw_connection *connection);
/* The sender's: takes so many bytes off what is being sent. */
void fw_connection_mark_sent(fw_connection *connection, size_t count);

/* => true: the caller has the duty to read. */
bool fw_connection_take_up(fw_connection *connection);
/* After a counter went down. Any thread. */
void fw_connection_resume(fw_connection *connection);
/* After we have less unsent, or have gone. */
void fw_connection_resume_follower(fw_connection *connection);

#endif
