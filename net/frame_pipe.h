/* net/frame_pipe.h - the binary frames on the pipes between a control plane and a subworker.
 *
 * Each is the body of one SP message without request words. Header and reading rules are those of
 * net/frame.h; docs/PROTOCOL.md has every byte.
 *
 *   to the subworker      TASKS, items: lease, limit, attempt, and an item of SUBMIT
 *                         ORDERS, items: cancel or recall a lease     DRAIN: take nothing new
 *   to the control plane  RESULTS, records: lease, and the task's end or why it comes back
 *                         BEAT: what the subworker has to do
 *   both                  HELLO: who speaks, which run, and the token; the first message of a pipe
 *
 * No shared state: any thread, one at a time per struct. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_FRAME_PIPE_H
#define FW_NET_FRAME_PIPE_H

#include "net/frame.h"
#include "net/link.h"

/* ---- Reading, after fw_frame_open ---- */

/* Next item of TASKS. 1: filled; its reply is the lease, at the connection of frame->reply;
 * timeout_ns is the limit, retry_count the attempts before this one. 0: no more. -FW_EINVAL: wrong,
 * but its reply is good (net/frame.h); -FW_ENOMEM: likewise. */
int fw_frame_next_task(fw_frame *frame, fw_submission *out, fw_scratch *scratch);
/* Next item of ORDERS: 1; 0: no more; -FW_EINVAL: its id is none. */
int fw_frame_next_order(fw_frame *frame, fw_order *out);
/* Next record of RESULTS: 1; 0: no more. */
int fw_frame_next_result(fw_frame *frame, fw_lease_result *out);
bool fw_frame_drain(const fw_frame *frame);
void fw_frame_beat(fw_beat *out, const fw_frame *frame);

/* ---- Writing: as in net/frame.h ---- */

bool fw_frame_add_task(fw_frame_writer *writer, const fw_assignment *assignment);
size_t fw_frame_task_size(const fw_assignment *assignment);
bool fw_frame_add_order(fw_frame_writer *writer, const fw_order *order);
enum { FW_FRAME_ORDER_SIZE = 12 + FW_ID_MAX };
/* How long it ran: from started to finished, if it has both. */
bool fw_frame_add_lease_result(fw_frame_writer *writer, uint64_t lease,
                               const fw_result_view *result);
size_t fw_frame_lease_result_size(const fw_result_view *result);
bool fw_frame_add_return(fw_frame_writer *writer, uint64_t lease, fw_refusal why);
enum { FW_FRAME_RETURN_SIZE = 16 };
/* Whole frames of their own; the length, or 0 when there is no room. */
size_t fw_frame_write_drain(void *data, size_t capacity, bool drain);
size_t fw_frame_write_beat(void *data, size_t capacity, const fw_beat *beat);

#endif
