/* net/server.h - what is inside an fw_net, for the files of this room.
 *
 *   listener --bytes--> connection --whole reads--> intake --structs--> the owner's table
 * (fw_net_ops) ^                                                |
 *                           +---- parcels -- egress <--- answers <-----------+
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_SERVER_H
#define FW_NET_SERVER_H

#include "net/address.h"
#include "net/egress.h"
#include "net/link.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/notice.h"
#include "net/token.h"
#include "net/pylink.h"

typedef struct fw_discovery fw_discovery;
typedef struct fw_links fw_links;

/* Four for tasks, one for queries, one for registrations, and perhaps another one for those; last
 * the one for pipes. A subworker has those for tasks and the last one. */
enum {
    FW_QUERY_PORT = 4,
    FW_REGISTRATION_PORT = 5,
    FW_OTHER_REGISTRATION_PORT = 6,
    FW_PULL_PORT = 7,
    FW_PORTS_MAX = 8
};
enum { FW_TOKEN_MAX = 1024 };

struct fw_net {
    /* Immutable after start. */
    fw_net_kind kind;
    fw_net_ops ops;
    fw_link_ops link_ops; /* set before the first link */
    fw_pylink_ops pylink_ops;
    char worker_id[FW_ID_MAX + 1], epoch[FW_ID_MAX + 1];
    char token[FW_TOKEN_MAX + 1]; /* as told to those we dial; "": none */
    fw_token asked;               /* of those who connect */
    fw_net_exempt token_exempt;
    fw_port ports[FW_PORTS_MAX];
    fw_listener *listeners[FW_PORTS_MAX];
    char address[FW_TCP_ADDRESS_MAX];      /* as announced */
    char pull_address[FW_TCP_ADDRESS_MAX]; /* as told to peers */
    fw_exchange exchange;
    fw_discovery *discovery;
    fw_notices notices;
    fw_links *links;
    /* Shared, atomic. */
    fw_atomic(bool) draining;
    fw_atomic(uint64_t)
        peer_takes; /* bytes of a message, a subworker's control plane; 0: not told */
    fw_atomic(int64_t) complained_ns; /* net/gate */
    fw_atomic(uint64_t) refused[FW_REFUSALS];
};

/* Counts a refusal. */
static inline void fw_net_count_refusal(fw_net *net, fw_refusal reason)
{
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&net->refused[reason], 1);
}

/* answers.c: refusals with a sentence that names what is wrong. `batch`: the shape of a batch's
 * answer. */
void fw_net_refuse_json(fw_net *net, const fw_reply_to *reply, fw_span id, fw_refusal reason,
                        const char *sentence, bool batch);
/* A run of items of a native frame, from reply->item on. */
void fw_net_refuse_items(fw_net *net, const fw_reply_to *reply, uint16_t count, int err,
                         const char *text);
void fw_net_answer_ping(fw_net *net, const fw_reply_to *reply, fw_span bytes);
void fw_net_answer_hello(fw_net *net, const fw_reply_to *reply);

#endif
