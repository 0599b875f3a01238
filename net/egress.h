/* net/egress.h - gathers the answers of a thread, so that many leave in one write.
 *
 * Each thread keeps a few open parcels, one per connection that it answered lately. JSON answers
 * are one SP message each; records for a native peer join the frame that is open at the parcel's
 * end. A parcel goes to its connection when it is full, when the thread flushes, or when its place
 * is needed for another connection; a short one is copied into a small parcel first, so that an
 * idle server's answers move little memory.
 *
 * A gather is its thread's own; nobody else touches it before fw_egress_fini. A thread flushes
 * before it ends; what it did not flush is lost when the exchange ends, at the latest. Any thread;
 * lock-free except for a thread's first answer. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_EGRESS_H
#define FW_NET_EGRESS_H

#include "base/json.h"
#include "net/exchange.h"
#include "net/frame.h"
#include "net/message.h"
#include "net/scratch.h"

/* What belongs to this thread in this exchange. NULL: no memory. */
fw_gather *fw_egress_mine(fw_exchange *exchange);
/* Hands over everything that this thread has gathered, if it has anything. */
void fw_egress_flush(fw_exchange *exchange);
/* Frees all gathers; no thread uses them any more. */
void fw_egress_fini(fw_exchange *exchange);
/* Whole messages for one connection, together and not gathered: announcements, events. False: the
 * connection is gone, would have more than unsent_bytes_max waiting, or there is no memory. */
bool fw_egress_post(fw_exchange *exchange, uint64_t connection, const fw_span *messages,
                    size_t count);

/* An empty text to write an answer into, valid until the next call. */
fw_buffer *fw_gather_text(fw_gather *gather);
/* The thread's memory for decoding. */
fw_scratch *fw_gather_scratch(fw_gather *gather);
/* One SP message: the request's words and then body. finishes: 1, if this is the last answer to the
 * reply; else 0. */
void fw_gather_message(fw_gather *gather, const fw_reply_to *reply, fw_span body,
                       uint32_t finishes);
/* The writer of a native answer frame with room for size more bytes, at least. The caller adds one
 * record and then calls fw_gather_recorded. NULL: no memory, or the way back is unknown; the answer
 * is dropped. */
fw_frame_writer *fw_gather_frame(fw_gather *gather, const fw_reply_to *reply, size_t size);
/* The writer of a RESULTS frame to that connection, a pipe to a control plane: no request words.
 * NULL: no memory, and the connection is closed. */
fw_frame_writer *fw_gather_leases(fw_gather *gather, uint64_t connection, size_t size);
/* The record is complete; it finishes so many items. */
void fw_gather_recorded(fw_gather *gather, const fw_reply_to *reply, uint32_t finishes);
/* An answer that could not be written (no memory): counted, and its connection closed, so that the
 * peer knows. */
void fw_gather_give_up(fw_gather *gather, const fw_reply_to *reply);
void fw_gather_flush(fw_gather *gather);

#endif
