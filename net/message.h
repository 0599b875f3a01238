/* net/message.h - what requests and answers mean, whichever form they have on the wire.
 *
 * Two forms, one meaning: the JSON of FastWorker 0.3.0 (net/message_json) and the binary frames of
 * native peers (net/frame). Both arrive in SP messages on the same ports and are told apart by
 * their first byte. args, kwargs, result and callback data are JSON text that nobody on the way
 * interprets. Spans are borrowed: from a receive buffer for the length of a call, or from the
 * caller of an answer. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_MESSAGE_H
#define FW_NET_MESSAGE_H

#include <stdbool.h>

#include "base/json.h"
#include "base/key.h"
#include "fastworker/types.h"

/* How an answer has to look. */
typedef enum fw_reply_form {
    FW_REPLY_NONE = 0,    /* nobody waits */
    FW_REPLY_JSON,        /* a TaskResult, a query or cancel answer: the port and call decide */
    FW_REPLY_JSON_LEGACY, /* the same for FastWorker 0.1.x: only success and failure exist */
    FW_REPLY_PICKLE,      /* refusals only: a constant pickle of a dict */
    FW_REPLY_FRAME,       /* a record in a native frame */
    FW_REPLY_LEASE        /* a result for a control plane, under its lease (net/link) */
} fw_reply_form;

/* Where an answer goes. Copied by value, kept with the task; never dangles: a connection that is
 * gone just swallows the answer. */
typedef struct fw_reply_to {
    uint64_t connection; /* slot and generation */
    uint32_t request;    /* SP request id, host order */
    uint16_t item;       /* place in a native frame */
    uint8_t form;        /* fw_reply_form */
    uint8_t flags;       /* FW_WANTS_... */
    uint32_t detour;     /* not 0: the connection keeps a longer backtrace under this number */
} fw_reply_to;
/* FW_REPLY_LEASE has neither request nor detour: these words hold the lease. */
static inline uint64_t fw_reply_lease(const fw_reply_to *reply)
{
    return (uint64_t)reply->detour << 32 | reply->request;
}
static inline fw_reply_to fw_reply_for_lease(uint64_t connection, uint64_t lease)
{
    return (fw_reply_to){.connection = connection,
                         .request = (uint32_t)lease,
                         .detour = (uint32_t)(lease >> 32),
                         .form = FW_REPLY_LEASE};
}
enum {
    FW_WANTS_RESULT = 1, /* native: a result record follows the acknowledgement */
    FW_WANTS_ID = 2,     /* native: the id was made up here; the acknowledgement carries it */
    FW_WANTS_STATE = 4,  /* JSON query: unfinished states are understood (protocol 22.7) */
    FW_OTHER_ID = 8      /* native: the answer is about another id than was sent, and names it */
};

/* One task as it was asked for. */
typedef struct fw_submission {
    fw_key key;
    fw_span id; /* text; a missing one was made up. Empty only where a native peer sent a
                 * UUID as 16 bytes: fw_key_format makes the text from the key */
    fw_span name, args, kwargs; /* args "[]" and kwargs "{}" when absent */
    fw_span callback;           /* JSON text of CallbackInfo, or empty */
    fw_span options;            /* JSON text of an object with rarer wishes, or empty: the net does
                                 * not look into it (app/life/task_options does) */
    int64_t eta_wall_ns;        /* 0: now */
    int64_t timeout_ns;         /* 0: the worker's default */
    int64_t result_ttl_ns;      /* 0: the cache's default */
    int32_t retry_count, max_retries;
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
    uint8_t level;    /* fw_prio: the field, not the port */
    bool accept_only; /* answer when accepted, not when finished */
    bool isolate;     /* leases only: run it in a process of its own */
    fw_reply_to reply;
} fw_submission;

/* How far a running task is. */
typedef struct fw_progress_view {
    uint64_t done, total; /* total 0: not known */
    fw_span note;         /* text; empty: none */
} fw_progress_view;
enum { FW_NOTE_MAX = 120 };

/* A task's end, or its present state, as told to a peer. */
typedef struct fw_result_view {
    fw_key key;
    fw_span id; /* text; empty: made from the key */
    fw_state status;
    fw_span result;                            /* JSON text; empty: null */
    fw_span error;                             /* plain text; ptr NULL: none */
    fw_span callback;                          /* JSON text; empty: null */
    int64_t started_wall_ns, finished_wall_ns; /* 0: null */
    bool crashed;                              /* leases only: its own process ended under it */
    /* Leases only, what shall follow a failure: 0: what is usual; below 0: nothing; else another
     * run after so long. */
    int64_t again_ns;
    const fw_progress_view *progress; /* of what runs; NULL: it has told none */
} fw_result_view;

typedef enum fw_query_kind { FW_QUERY_GET = 0, FW_QUERY_CANCEL, FW_QUERY_WAIT } fw_query_kind;
typedef struct fw_query {
    fw_query_kind kind;
    fw_key key;
    fw_span id;
    int64_t wait_ns; /* for WAIT */
    bool native;     /* the peer understands states of unfinished tasks */
    fw_reply_to reply;
} fw_query;

/* The member `native` of a registration or its acknowledgement (protocol 22.3); absent members are
 * 0 or empty. */
typedef struct fw_native_offer {
    bool present; /* and well-formed, with v 1 or more */
    unsigned version, slots;
    fw_span impl, epoch, token;
    fw_span pull, results; /* addresses: of a subworker's, of the control plane's PULL port */
    fw_span tasks;     /* JSON text of the array of names, checked; walk it with the two below */
    size_t task_count; /* its members, at most 16,384 */
    int64_t beat_ns;
} fw_native_offer;
typedef struct fw_native_tasks {
    fw_json_cursor cursor;
    size_t left;
    char room[6 * FW_ID_MAX + 2]; /* for a name that was written with escapes */
} fw_native_tasks;
/* message_native.c: names of 1 to FW_ID_MAX bytes without NUL, each valid until the next one; what
 * is none is passed over. */
fw_native_tasks fw_native_tasks_of(const fw_native_offer *offer);
bool fw_native_tasks_next(fw_native_tasks *tasks, fw_span *name);

/* A subworker's registration or heartbeat (port R). */
typedef struct fw_registration {
    fw_span id, address, status; /* non-empty, but for a question */
    bool heartbeat;
    unsigned
        concurrency; /* of a Python subworker that says so (docs/PROTOCOL.md); 0: it does not */
    fw_span native;  /* JSON text of the native member, or empty */
    fw_native_offer offer;
    fw_span action, request; /* not empty: no registration but a question of an operator's; all of
                              * its JSON */
    fw_reply_to reply;
} fw_registration;

/* Why something was refused; each is a counter. */
typedef enum fw_refusal {
    FW_REFUSED_FULL = 0,
    FW_REFUSED_TOO_BIG,
    FW_REFUSED_MALFORMED,
    FW_REFUSED_PICKLE,
    FW_REFUSED_AUTH,
    FW_REFUSED_RATE,
    FW_REFUSED_DRAINING,
    FW_REFUSED_UNKNOWN_NAME, /* leases only: this subworker does not know the task */
    FW_REFUSED_RECALLED,     /* leases only: given back because it was asked to */
    FW_REFUSALS
} fw_refusal;
/* Static text: "full", "too_big", ... */
const char *fw_refusal_name(fw_refusal refusal);

#endif
