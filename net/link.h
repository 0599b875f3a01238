/* net/link.h - the wires between a control plane and one native subworker, and what goes over them.
 *
 * Two one-way pipes of SP: we push to the subworker's PULL port (tasks, cancels, recalls); it
 * pushes to ours (results, returns, beats). The same link is opened at both ends, each for the pipe
 * that it dials and the one that its peer dials: the subworker's (net/uplink) has only up and down
 * as callbacks, because tasks and orders go up through fw_net_ops. Both carry native frames of many
 * records. The pipes have no acknowledgement of their own: every task goes out under a lease, and
 * it comes back as a result, as a return, or with the loss of the link.
 *
 *   fw_link_open --dial--> greeting there and back (HELLO with epoch and token on both pipes) -->
 * up up ... results, returns, beats ... --> down (either pipe closed, or silence): once, the end
 *
 * Tasks that arrive have a reply of the form FW_REPLY_LEASE; answering it writes a result, or (a
 * refusal) a return, which is gathered and sent like any answer. While too many of these bytes
 * cannot leave, no further tasks are read. Answers of a link that is gone are dropped and counted.
 *
 * A greeting that names an unknown subworker, another epoch, or lacks the token closes its pipe.
 * Callbacks come on NNG's threads, one at a time per pipe, and must not block.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_LINK_H
#define FW_NET_LINK_H

#include "net/net.h"

typedef struct fw_link fw_link;

/* A result or a return, borrowed for the call. A view that says RUNNING is no end, but how far the
 * task is: a sign of life, its lease stays. */
typedef struct fw_lease_result {
    uint64_t lease;
    bool returned;       /* it did not run; view is empty */
    fw_refusal why;      /* of a return: FULL, DRAINING, UNKNOWN_NAME, RECALLED */
    fw_result_view view; /* otherwise: its end; without key and id */
    bool accounted;      /* the worker told how long it ran: */
    int64_t ran_ns;
    fw_progress_view progress; /* what the view points to, if it does */
} fw_lease_result;

/* What a subworker says of itself, every beat. */
typedef struct fw_beat {
    unsigned slots, running, queued;
    bool draining;
    uint64_t done; /* tasks since it started */
} fw_beat;

typedef struct fw_link_ops {
    void *context;
    void (*up)(void *context, void *owner);
    /* After up, or instead of it. Nothing follows; the link is to be closed. why: static or
     * borrowed text for people. */
    void (*down)(void *context, void *owner, const char *why);
    void (*results)(void *context, void *owner, const fw_lease_result *items, size_t count);
    void (*beat)(void *context, void *owner, const fw_beat *beat);
} fw_link_ops;

typedef struct fw_link_config {
    fw_span id;      /* of the peer; empty: any (a subworker's) */
    fw_span epoch;   /* of its run */
    fw_span address; /* tcp:// or tls+tcp://host:port of its PULL port */
    void *owner;
    int64_t silence_ns; /* no byte for so long: down; 0: for ever. Also how long up may take, or
                           fw_net_config.stalled_ns */
} fw_link_config;

/* Once per net, before the first link. */
void fw_net_set_link_ops(fw_net *net, const fw_link_ops *ops);
/* Begins to dial; up or down follows. NULL: no memory, not an address. Any thread. */
fw_link *fw_link_open(fw_net *net, const fw_link_config *config);
/* Closes the pipes and waits for callbacks that run; none begins after it returns, and `down` is
 * not called any more. Bytes that wait are not sent. The memory stays until the read sections (RCU)
 * of now have ended, so whoever found the link in one may go on to use it there. Never inside a
 * callback: use fw_link_hang_up there. Before fw_net_stop. */
void fw_link_close(fw_link *link);
/* Closes the pipes; `down` follows soon. Any thread. */
void fw_link_hang_up(fw_link *link);

/* One task on its way to a subworker. Spans are copied before the call returns. */
typedef struct fw_assignment {
    uint64_t lease;
    unsigned attempt;
    fw_submission task; /* key, id, name, args, kwargs, level, timeout_ns, isolate; the rest is not
                           sent */
} fw_assignment;
/* Packs them into as few frames as possible and posts them. How many were taken: less than count
 * only when the link is down or there is no memory. Any thread, one at a time per link. */
size_t fw_link_assign(fw_link *link, const fw_assignment *items, size_t count);
/* CANCEL: end it, running or not, its result follows. RECALL: return it if it does not run yet.
 * Any thread. */
typedef enum fw_order_kind { FW_ORDER_CANCEL = 1, FW_ORDER_RECALL = 2 } fw_order_kind;
typedef struct fw_order {
    fw_order_kind kind;
    uint64_t lease;
    fw_key key;
    fw_span id; /* text; empty: made from the key */
} fw_order;
bool fw_link_order(fw_link *link, const fw_order *orders, size_t count);
/* How many bytes of arguments a task may have, as the peer said in its greeting; SIZE_MAX: it has
 * not. A larger one would close the link. Any thread; valid as fw_link_unsent. */
size_t fw_link_takes(const fw_link *link);
/* Asks it to take nothing new, and to return what does not run (drain), or to go on. Any thread. */
bool fw_link_drain(fw_link *link, bool drain);
/* A subworker's: what it has to do. Any thread. */
bool fw_link_beat(fw_link *link, const fw_beat *beat);
/* Bytes that the peer has not taken yet. They are bounded by what the owner assigns: its window.
 * Any thread; valid while the link is, or in a read section that found it. */
size_t fw_link_unsent(const fw_link *link);

#endif
