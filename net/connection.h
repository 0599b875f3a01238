/* net/connection.h - one peer: bytes in, parcels out, and when to stop listening to it.
 *
 * Roles: one thread at a time has the duty to read (NNG's, in the receive callback); one has the
 * duty to send (who found the outbox idle, then NNG's send callback); any thread posts.
 *
 * Reading: one receive fills the buffer, everything complete in it is delivered in one call, then
 * the next receive is started. It is not, while the peer has open_requests_max requests unanswered
 * or unsent_bytes_max bytes unread: TCP then holds back this peer and nobody else. Whoever answers
 * or sends enough starts the reading again (pause-note in connection.c).
 *
 * Guarantees: (a) deliver is called by one thread at a time, in the order of the bytes;
 *             (b) parcels of one thread leave in the order of posting, whole or not at all;
 *             (c) a connection that was found in the exchange stays valid until the read section
 * ends; (d) a peer that does not read costs its own buffers, for stalled_ns at most.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CONNECTION_H
#define FW_NET_CONNECTION_H

#include <sys/types.h>

#include <nng/nng.h>

#include "net/detour.h"
#include "net/exchange.h"
#include "net/peer.h"

/* What stands behind a listening port. Immutable while connections use it. */
typedef struct fw_port fw_port;
struct fw_port {
    fw_exchange *exchange;
    void *context;
    fw_role role;
    unsigned protocol; /* our SP number */
    unsigned bound;    /* TCP port number, for people */
    /* The peer has shaken hands. May be NULL. On the reading thread; must not block. */
    void (*ready)(const fw_port *port, fw_connection *connection);
    /* What has arrived, never empty. How many bytes were used (whole messages; none, if none is
     * complete, or the connection is choked), or -1: the peer breaks the rules, close. On the
     * reading thread; must not block. */
    ssize_t (*deliver)(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                       size_t len);
};

typedef enum fw_closed_by {
    FW_CLOSED_BY_PEER,
    FW_CLOSED_BY_US,
    FW_CLOSED_BY_HANDSHAKE,
    FW_CLOSED_BY_PROTOCOL,
    FW_CLOSED_BY_STALL
} fw_closed_by;

/* Takes the stream in any case. 0; -FW_EFULL: connections_max; -FW_ENOMEM. */
int fw_connection_open(const fw_port *port, nng_stream *stream);
uint64_t fw_connection_number(const fw_connection *connection);
const fw_port *fw_connection_port(const fw_connection *connection);
/* Takes the parcel; counts its answers. Inside an RCU read section, or a callback of this
 * connection. */
void fw_connection_post(fw_connection *connection, fw_parcel *parcel);
/* The first call closes, any thread, where post is allowed. */
void fw_connection_close(fw_connection *connection, fw_closed_by why);
/* "10.1.2.3:5555", for people. */
void fw_connection_peer(const fw_connection *connection, char out[FW_PEER_MAX]);

/* deliver only: so many more answers are due. */
void fw_connection_expect(fw_connection *connection, uint32_t answers);
/* deliver only: leave the rest of the bytes for later. */
bool fw_connection_is_choked(const fw_connection *connection);
/* So many answers will not be sent after all. */
void fw_connection_forgive(fw_connection *connection, uint32_t answers);
/* Posted and not yet taken by the kernel. Any thread. */
size_t fw_connection_unsent(const fw_connection *connection);
/* Requests without an answer. Any thread. */
size_t fw_connection_unanswered(const fw_connection *connection);
fw_detours *fw_connection_detours(fw_connection *connection);

/* The reaper's. quiesce blocks until no callback runs any more; destroy needs a grace period after
 * it. */
fw_connection **fw_connection_link(fw_connection *connection);
void fw_connection_quiesce(fw_connection *connection);
void fw_connection_destroy(fw_connection *connection);

#endif
