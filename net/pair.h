/* net/pair.h - one outgoing Pair0 connection: dial, shake hands, send, notice when the peer hangs
 * up.
 *
 * Spoken over NNG's byte streams, as everything here. The owner's thread moves it on
 * (fw_pair_advance); NNG's threads only set a mark and call wake. While it stands, a receive is
 * always posted, so that a closing peer is noticed at once; what a peer says is passed over.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PAIR_H
#define FW_NET_PAIR_H

#include "fastworker/types.h"

typedef enum fw_pair_state {
    FW_PAIR_CONNECTING, /* dialing, or shaking hands */
    FW_PAIR_READY,      /* may send */
    FW_PAIR_SENDING,    /* the bytes are still needed */
    FW_PAIR_LOST        /* nothing more will come of it */
} fw_pair_state;

typedef struct fw_pair fw_pair;

/* address: tcp://host:port. limit_ns holds for the dialing, for the handshake and for each send.
 * wake is called on
 * any thread when fw_pair_advance has something to do, until fw_pair_destroy
 * returns; it must not block. NULL: no memory, or not an address. */
fw_pair *fw_pair_dial(const char *address, int64_t limit_ns, void (*wake)(void *context),
                      void *context);
/* Does what has become possible and tells where it stands. Owner only; does not block. */
fw_pair_state fw_pair_advance(fw_pair *pair);
/* Sends a message, its length word included. State READY. The bytes stay the caller's, unchanged
 * until the state is no longer SENDING, or the pair has hung up. */
void fw_pair_send(fw_pair *pair, fw_span message);
/* Ends the connection. Blocks for a running callback; not on a thread of NNG. wake is not called
 * any more. */
void fw_pair_hang_up(fw_pair *pair);
/* After fw_pair_hang_up, and FW_PAIR_REST_MS later: NNG lets go of a failed connection on a thread
 * of its own, which still holds on to our dialer for a moment. */
enum { FW_PAIR_REST_MS = 100 };
void fw_pair_destroy(fw_pair *pair);

#endif
