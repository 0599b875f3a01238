/* net/connection.h - one peer: bytes in, parcels out, and when to stop listening to it.
 *
 * Roles: one thread at a time has the duty to read (the loop's, or NNG's in the receive callback);
 * one has the duty to send (who found the outbox idle; when the kernel takes no more, the loop's
 * thread or NNG's); any thread posts.
 *
 * Reading: one receive fills the buffer, everything complete in it is delivered in one call, then
 * the next receive is started. It is not, while the peer has open_requests_max requests unanswered
 * or unsent_bytes_max bytes unread: TCP then holds back this peer and nobody else. Whoever answers
 * or sends enough starts the reading again (pause-note in connection_pause.c).
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
    unsigned protocol;    /* our SP number */
    unsigned bound;       /* TCP port number, for people */
    bool guarded;         /* a peer has handshake_ns to be introduced (fw_connection_introduce) */
    size_t message_extra; /* a message may be longer than message_max by so much */
    const fw_tls *tls;    /* NULL: bytes travel as they are */
    const char *host;     /* who was dialed, for TLS; NULL: we were */
    /* The peer has shaken hands. May be NULL. On the reading thread; must not block. */
    void (*ready)(const fw_port *port, fw_connection *connection);
    /* What has arrived, never empty. How many bytes were used (whole messages; none, if none is
     * complete, or the connection is choked), or -1: the peer breaks the rules, close. On the
     * reading thread; must not block. */
    ssize_t (*deliver)(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                       size_t len);
    /* Its output has not moved for stalled_ns: true if it may take that long once more. NULL: no.
     * On a thread of NNG. */
    bool (*patient)(const fw_port *port, fw_connection *connection);
    /* It is closed, and no other function of this table is called for it any more. May be NULL. On
     * the reaper's thread; once; the port may be freed after it. */
    void (*gone)(const fw_port *port, fw_connection *connection);
};

typedef enum fw_closed_by {
    FW_CLOSED_BY_PEER,
    FW_CLOSED_BY_US,
    FW_CLOSED_BY_HANDSHAKE,
    FW_CLOSED_BY_PROTOCOL,
    FW_CLOSED_BY_STALL
} fw_closed_by;

/* Takes the stream, or the socket (non-blocking), in any case. 0; -FW_EFULL: connections_max;
 * -FW_ENOMEM. number may be NULL; it is set before the first callback. */
int fw_connection_open(uint64_t *number, const fw_port *port, nng_stream *stream);
int fw_connection_open_socket(const fw_port *port, int fd);
uint64_t fw_connection_number(const fw_connection *connection);
const fw_port *fw_connection_port(const fw_connection *connection);
/* Takes the parcel; counts its answers. Inside an RCU read section, or a callback of this
 * connection. */
void fw_connection_post(fw_connection *connection, fw_parcel *parcel);
/* The same for a chain (fw_outbox_post_chain) of so many bytes, which answers nothing. */
void fw_connection_post_chain(fw_connection *connection, fw_parcel *newest, fw_parcel *oldest,
                              size_t bytes);
/* The first call closes, any thread, where post is allowed. */
void fw_connection_close(fw_connection *connection, fw_closed_by why);
/* What a peer may do where a token is asked for (net/gate). */
typedef enum fw_standing {
    FW_STANDING_NONE = 0,
    FW_STANDING_REFUSED, /* and complained of */
    FW_STANDING_EXEMPT,  /* may speak JSON */
    FW_STANDING_ADMITTED
} fw_standing;
/* deliver only. */
fw_standing fw_connection_standing(const fw_connection *connection);
void fw_connection_set_standing(fw_connection *connection, fw_standing standing);
/* The peer is on this machine. */
bool fw_connection_is_local(const fw_connection *connection);
/* "10.1.2.3:5555", for people. */
void fw_connection_peer(const fw_connection *connection, char out[FW_PEER_MAX]);

/* A guarded peer has said who he is, and belongs to this owner (not NULL). Where post is allowed,
 * once. */
void fw_connection_introduce(fw_connection *connection, void *owner);
/* NULL: not introduced. */
void *fw_connection_owner(const fw_connection *connection);
/* Reading has stopped, because the peer is owed too much. */
bool fw_connection_is_paused(const fw_connection *connection);
/* From now on reading from this one also stops while that other one has too many bytes unsent. */
void fw_connection_follow(fw_connection *connection, uint64_t other);

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
