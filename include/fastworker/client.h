/* fastworker/client.h - submitting tasks, asking for results, cancelling.
 *
 *     fw_client *c; fw_result *r; int64_t v;
 *     if (fw_client_open(&c, NULL) < 0) errx(69, "%s", fw_client_errmsg());
 *     if (fw_callf(c, "add", &r, "ii", 5, 3) == 0 && fw_result_int(r, &v) == 0) printf("%lld\n",
 * (long long)v); fw_result_free(r); fw_client_close(c);
 *
 * The client speaks to a control plane of this project by binary frames over one connection, many
 * requests in flight; to a Python FastWorker control plane by its JSON, one request at a time per
 * port. Which it is, it finds out by itself.
 *
 * OWNERSHIP  inputs are copied before the call returns. A fw_result is immutable and freed once;
 * NULL is accepted. THREADS    a fw_client may be used by any thread; calls on one client take
 * turns inside. Callbacks run inside fw_dispatch (or another blocking call on the same client), on
 * that thread. FORK       the child may only exec or _exit. SIGPIPE is never raised. Nothing is
 * printed, no signal handler installed. SPDX-License-Identifier: Apache-2.0 */
#ifndef FASTWORKER_CLIENT_H
#define FASTWORKER_CLIENT_H

#include "fastworker/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fw_client fw_client;
typedef struct fw_result fw_result;

/* Zero or NULL: from FASTWORKER_*, then the default. */
typedef struct fw_client_options {
    size_t size;               /* sizeof(fw_client_options) */
    const char *control_plane; /* tcp:// or tls+tcp://host:port; skips discovery */
    const char *discovery;     /* tcp://host:port */
    int64_t timeout_ms;        /* of every blocking call; default 30000 */
    int32_t retries;           /* of a refused or broken connection; default 3 */
    int32_t in_flight;         /* most unanswered requests; default 4096 */
    const char *token;         /* the control plane's, if it asks for one */
    const char *tls_ca; /* for tls+tcp://: authorities, a file in PEM; default: the system's */
    const char *tls_cert, *tls_key; /* who we are, files in PEM; the key may be in the first */
    const char *tls_verify; /* "server" (the default), "none", or "mutual": not without tls_cert */
} fw_client_options;

typedef struct fw_submit {
    size_t size; /* sizeof(fw_submit) */
    const char *task;
    fw_span args, kwargs; /* JSON; empty: [] and {} */
    fw_prio prio;
    int8_t has_prio;                   /* 0: FW_NORMAL */
    const char *id;                    /* own id, the idempotency key; NULL: a new UUID */
    int64_t countdown_ms, eta_unix_ms; /* at most one of them; 0: now */
    int64_t timeout_ms, result_ttl_ms;
    int32_t max_retries;
    const char *callback;  /* tcp:// address of a Pair0 listener */
    fw_span callback_data; /* JSON object, or empty */
    fw_span options;       /* JSON object with rarer wishes (docs/OPTIONS.md), or empty; not for a
                            * Python control plane */
} fw_submit;
#define FW_SUBMIT(name, ...)                                                                       \
    (&(const fw_submit){.size = sizeof(fw_submit), .task = (name), __VA_ARGS__})

FW_API int fw_client_open(fw_client **out, const fw_client_options *options) FW_MUST;
/* Callbacks not yet run get FW_ECLOSED first, on this thread. */
FW_API void fw_client_close(fw_client *c);
/* Text of this thread's last failure: what, where, what next. */
FW_API const char *fw_client_errmsg(void);
/* The control plane's address in use. Borrowed until close. */
FW_API const char *fw_client_address(const fw_client *c);
/* 1: a control plane of this project; 0: a Python one. */
FW_API int fw_client_is_native(const fw_client *c);

/* Returns once accepted; id may be NULL. */
FW_API int fw_send(fw_client *c, const fw_submit *s, fw_id *id) FW_MUST;
/* All or none; ids may be NULL. -FW_EBIG: more than the control plane takes at once (1024, or its
 * limit of bytes). A Python control plane loses the results of such tasks. */
FW_API int fw_send_many(fw_client *c, const fw_submit *s, size_t n, fw_id *ids) FW_MUST;
/* Submits and waits for the end, whichever it is: fw_result_state tells. wait_ms 0: the client's
 * timeout; -1: without limit. -FW_ETIME leaves the task alive. A Python control plane never tells
 * the end of a delayed task: the state is FW_SCHEDULED. */
FW_API int fw_call_task(fw_client *c, const fw_submit *s, int64_t wait_ms, fw_result **r) FW_MUST;
/* format: i int, I int64_t, d double, b int, s const char*, j const char* (JSON), one per
 * positional argument. */
FW_API int fw_callf(fw_client *c, const char *task, fw_result **r, const char *format, ...) FW_MUST;

/* r is borrowed for the call; err is 0 or -FW_E... with r NULL. Exactly once per accepted call. */
typedef void (*fw_done_fn)(void *user, int err, const fw_result *r);
/* Queues without waiting; the answer (the end, or with accept_only the acceptance) comes through
 * fn. id may be NULL. -FW_EFULL: in_flight is reached, dispatch first. */
FW_API int fw_send_async(fw_client *c, const fw_submit *s, int accept_only, fw_done_fn fn,
                         void *user, fw_id *id) FW_MUST;
/* Writes what is queued without waiting for a full frame. */
FW_API int fw_flush(fw_client *c);
/* Readable when fw_dispatch has something to do. */
FW_API int fw_fd(fw_client *c);
/* Writes, reads, and runs callbacks; waits at most wait_ms for the first (0: not at all, -1:
 * without limit). How many ran, or -FW_E.... */
FW_API int fw_dispatch(fw_client *c, int64_t wait_ms);
FW_API size_t fw_in_flight(fw_client *c);

/* The state now. -FW_EUNKNOWN never seen, -FW_EEXPIRED gone. A Python control plane cannot tell
 * these two and PENDING apart: -FW_EUNKNOWN. */
FW_API int fw_get(fw_client *c, const char *id, fw_result **r) FW_MUST;
/* Waits for the end on the server's side (-1: without limit). -FW_ETIME: r holds the present state,
 * or NULL when there was no answer. */
FW_API int fw_wait(fw_client *c, const char *id, int64_t wait_ms, fw_result **r) FW_MUST;
/* 0: accepted. -FW_EUNKNOWN: unknown or already over. */
FW_API int fw_cancel(fw_client *c, const char *id) FW_MUST;

/* A question to the management port: JSON there and back (docs/PROTOCOL.md). Blocks up to the
 * client's timeout. *answer is the caller's, to be freed. */
FW_API int fw_manage(fw_client *c, const char *request, char **answer) FW_MUST;

FW_API fw_state fw_result_state(const fw_result *r);
FW_API const char *fw_result_id(const fw_result *r);
FW_API fw_span fw_result_json(const fw_result *r); /* "null" when there is none */
FW_API int fw_result_int(const fw_result *r, int64_t *v);
FW_API const char *fw_result_error(const fw_result *r);  /* NULL: none */
FW_API int64_t fw_result_started_ns(const fw_result *r); /* Unix time; 0: never */
FW_API int64_t fw_result_finished_ns(const fw_result *r);
/* How far a running task is; total 0: it does not know; note (may be NULL): borrowed from the
 * result. -FW_EUNKNOWN: it has not said, or does not run. */
FW_API int fw_result_progress(const fw_result *r, uint64_t *done, uint64_t *total,
                              const char **note);
FW_API void fw_result_free(fw_result *r);

#ifdef __cplusplus
}
#endif
#endif
