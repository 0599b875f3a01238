/* net/connection_state.h - what is inside a connection, for its own files only: net/connection.c
 * and net/connection_pause.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CONNECTION_STATE_H
#define FW_NET_CONNECTION_STATE_H

#include "net/connection_tls.h"

enum { FW_READING_ON = 0, FW_READING_PAUSED = 1 };

struct fw_connection {
    /* Immutable after open. */
    const fw_port *port;
    fw_exchange *exchange;
    uint64_t number;
    nng_stream *stream;
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

/* => true: the caller has the duty to read. */
bool fw_connection_take_up(fw_connection *connection);
/* After a counter went down. Any thread. */
void fw_connection_resume(fw_connection *connection);
/* After we have less unsent, or have gone. */
void fw_connection_resume_follower(fw_connection *connection);

#endif
