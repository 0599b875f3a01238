/* net/net.h - the network's door, server side: request ports, discovery, answers, and the PULL port
 * of the pipes between control plane and subworkers (net/link.h).
 *
 * Every listening port is SP spoken over nng_stream: NNG's own listeners of Debian's 1.5.2 stop
 * when clients leave at the wrong moment (docs/decisions). One read yields many requests, which go
 * up in one call; answers are gathered per thread and leave in one write. The room knows no engine
 * and no cache: it calls the table it was given, on NNG's threads, and nothing in that table may
 * block. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_NET_H
#define FW_NET_NET_H

#include "base/atomic.h"
#include "net/message.h"
#include "net/tls.h"
#include "net/webhook.h"

typedef struct fw_net fw_net;
struct fw_order; /* net/link.h */

typedef struct fw_net_ops {
    void *context;
    /* Requests for single tasks, each with its own answer, in the order of arrival. */
    void (*submit)(void *context, const fw_submission *items, size_t count);
    /* All or none; one answer for all: fw_net_answer_batch with the same reply. */
    void (*submit_batch)(void *context, const fw_submission *items, size_t count,
                         const fw_reply_to *reply);
    /* A batch was refused because of a member: these are the ids that could be read, and the answer
     * that was given. May be NULL. */
    void (*batch_refused)(void *context, const fw_span *ids, size_t count, const char *error);
    /* These three and batches may be NULL in a subworker: what asks for them is refused. */
    void (*query)(void *context, const fw_query *query);
    void (*registration)(void *context, const fw_registration *registration);
    /* A subworker's: its control plane wants these ended, or back if they do not run. May be NULL
     * in a control plane. */
    void (*orders)(void *context, const struct fw_order *orders, size_t count);
    /* A subworker's: take nothing new and return what does not run, or go on. */
    void (*drain)(void *context, bool drain);
} fw_net_ops;

/* Which ports there are. A control plane has six (tasks, queries, registrations), discovery, and a
 * PULL port for results; a subworker four task ports and a PULL port for tasks. */
typedef enum fw_net_kind { FW_NET_CONTROL_PLANE = 0, FW_NET_SUBWORKER } fw_net_kind;

/* Who needs no token, though there is one: Python's clients and subworkers cannot tell it. */
typedef enum fw_net_exempt {
    FW_EXEMPT_LOOPBACK = 0, /* who speaks JSON and comes from this machine */
    FW_EXEMPT_NONE,
    FW_EXEMPT_ALL_JSON /* who speaks JSON */
} fw_net_exempt;

typedef struct fw_net_config {
    fw_net_kind kind;
    const char *worker_id; /* no ':' */
    /* tcp://host:port; ports +0..+5 are taken, port 0: any. Of a subworker +0..+3; port 0, or
     * "auto": the first four in a row that are free from 5561 on, at that host, or loopback. */
    const char *base_address;
    const char *discovery_address;   /* tcp://host:port */
    const char *advertise_address;   /* NULL: derived from base_address */
    unsigned management_port;        /* 0: base + 5; another one is served beside it */
    unsigned native_pub_port;        /* 0: discovery + 1, or a free one */
    unsigned pull_port;              /* 0: discovery + 2 or a free one; of a subworker: any */
    const char *epoch;               /* names this run; NULL: made up */
    fw_atomic(unsigned) * listeners; /* kept at how many subscribe to events; or NULL */
    const char *token;               /* asked of whoever connects, told to those we dial; or NULL */
    fw_net_exempt token_exempt;
    const fw_tls_config *tls;          /* of addresses tls+tcp://; NULL: there are none */
    const fw_webhook_config *webhooks; /* NULL: notices go to Pair0 listeners of this machine */
    size_t message_max;                /* bytes of one SP message */
    size_t connections_max;
    size_t open_requests_max; /* per connection, before its reading stops */
    size_t unsent_bytes_max;  /* per connection, before its reading stops */
    int64_t stalled_ns;       /* a connection whose output does not move for this long is closed */
    int64_t handshake_ns;
} fw_net_config;
void fw_net_config_default(fw_net_config *config);

/* Binds everything or nothing. On failure error holds "tcp://...: address in use" and so on;
 * -FW_EPERM: cannot bind. *out is set before the first call of the table. */
int fw_net_start(fw_net **out, char *error, size_t error_capacity, const fw_net_config *config,
                 const fw_net_ops *ops);
/* No new tasks: those still sent are refused as DRAINING ("control plane is shutting down").
 * Connections and queries go on, announcements do not. */
void fw_net_drain(fw_net *net);
/* Waits until everything that was answered has been sent, at most limit_ns. */
void fw_net_settle(fw_net *net, int64_t limit_ns);
/* Sends what is gathered (at most limit_ns), closes everything, frees. Links are closed before. */
void fw_net_stop(fw_net *net, int64_t limit_ns);

/* Answers. Any thread; copied before they return; gathered per thread until fw_net_flush or 16 KiB.
 * Each reply is answered once. A connection that is gone swallows its answer. */
void fw_net_answer_result(fw_net *net, const fw_reply_to *reply, const fw_result_view *result);
/* Native submissions are acknowledged: accepted, or error (FW_E..., text may be NULL). */
void fw_net_answer_accepted(fw_net *net, const fw_reply_to *reply, const fw_result_view *state);
void fw_net_answer_refusal(fw_net *net, const fw_reply_to *reply, fw_span id, fw_refusal reason,
                           const char *text);
/* error NULL: all are in; otherwise none is, and err (FW_E...) says why. */
void fw_net_answer_batch(fw_net *net, const fw_reply_to *reply, const fw_span *ids, size_t count,
                         int err, const char *error);
typedef enum fw_found { FW_FOUND, FW_NOT_FINISHED, FW_WAS_EXPIRED, FW_NEVER_SEEN } fw_found;
/* result: FOUND the end, NOT_FINISHED the present state, otherwise only its id. */
void fw_net_answer_query(fw_net *net, const fw_reply_to *reply, fw_found found, bool native,
                         const fw_result_view *result);
void fw_net_answer_cancel(fw_net *net, const fw_reply_to *reply, fw_span id, bool cancelled);
/* error NULL: registered. native: with what a native subworker has to know. */
void fw_net_answer_registration(fw_net *net, const fw_reply_to *reply, fw_span id,
                                const char *error, bool native);
/* JSON of the caller's, to a question at the management port; empty: no memory. */
void fw_net_answer_text(fw_net *net, const fw_reply_to *reply, fw_span json);
/* Who asked is still there. A hint: he may go at any time. Any thread. */
bool fw_net_is_connected(fw_net *net, const fw_reply_to *reply);
/* Sends this thread's gathered answers. */
void fw_net_flush(fw_net *net);

/* Sends one completion notice (protocol 10) in the background, to a Pair0 listener or, where the
 * callback's address is http:// or https://, as a webhook; limited, retried, allow-listed
 * (net/callback.h, net/webhook.h). task: its name. Never waits. */
void fw_net_callback(fw_net *net, fw_span task, const fw_result_view *result);
/* The same to an address of http:// or https://. */
void fw_net_webhook(fw_net *net, fw_span url, fw_span task, const fw_result_view *result);
/* Event for native subscribers: topic fw1/event/<name>. Not for who would need a token to see a
 * task: a subscriber cannot tell one. */
void fw_net_publish(fw_net *net, const char *event, fw_span json);

typedef struct fw_net_stats {
    size_t connections, connections_max;
    uint64_t accepted, handshakes_failed, closed_stalled, closed_protocol;
    uint64_t messages_in, messages_out, bytes_in, bytes_out, answers_dropped;
    uint64_t refused[FW_REFUSALS];
    uint64_t callbacks_sent, callbacks_failed, callbacks_forbidden, announcements;
    uint64_t webhooks_forbidden;
    fw_webhook_stats webhooks;
    uint64_t events_missed;     /* by subscribers that read too slowly */
    uint64_t greetings_refused; /* pipes of peers with a wrong token, epoch or name */
    size_t links;
} fw_net_stats;
void fw_net_snapshot(fw_net *net, fw_net_stats *out);
/* Only this machine gets there; false also for what is no address. */
bool fw_net_is_loopback(const char *address);
/* The address that is announced. Borrowed until fw_net_stop, as are the next three. */
const char *fw_net_address(const fw_net *net);
const char *fw_net_epoch(const fw_net *net);
/* The PULL port, as others dial it: where a control plane takes results, and a subworker tasks. */
const char *fw_net_results_address(const fw_net *net);
const char *fw_net_pull_address(const fw_net *net);

#endif
