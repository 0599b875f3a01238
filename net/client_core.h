/* net/client_core.h - inside of a client: what the door (net/client) and the two ways of speaking
 * share.
 *
 * The door checks and copies arguments, takes turns among threads and waits. A mode knows one kind
 * of control plane: client_native speaks frames, client_python JSON. A mode never waits: it queues,
 * writes what the sockets take, reads what they have, and says when it wants to be called again.
 *
 * turn-note: one lock guards everything in a client. It is released while a thread sleeps in epoll
 * (one at a time does: the leader; the others wait for their turn) and while callbacks of users
 * run. Whoever is inside counts in `users`; a close from within a callback is carried out by the
 * last one to leave. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_CORE_H
#define FW_NET_CLIENT_CORE_H

#include <pthread.h>
#include <stdbool.h>

#include "net/client_result.h"
#include "net/client_stream.h"
#include "net/frame.h"
#include "net/message.h"

/* A thread that waits for answers. On its stack; touched under the lock. */
typedef struct fw_waiter {
    size_t left;       /* answers still to come */
    bool wants_result; /* of the last answer */
    int err;           /* of the first that failed, positive; 0 */
    char text[256];    /* about err; may be empty */
    fw_result *result; /* NULL: none */
    fw_id *ids;        /* of a batch's items, or of one; where to write what they really are */
    bool batch;
} fw_waiter;

/* Who gets the answers of a request: a waiter, or a callback. */
typedef struct fw_taker {
    fw_done_fn fn;
    void *user;
    fw_waiter *waiter;
} fw_taker;

/* An answer on its way to a callback. */
typedef struct fw_completion {
    fw_done_fn fn;
    void *user;
    int err;
    char *text;  /* about err; owned; NULL: the error's general text */
    char *error; /* the result's, owned, or NULL */
    char *id;    /* a text id, owned, or NULL */
    bool has_result;
    char uuid[FW_UUID_TEXT + 1];
    fw_result result;
} fw_completion;

/* Gathered under the lock, run without it. */
enum { FW_COMPLETIONS = 64 };
typedef struct fw_completions {
    size_t count; /* waiting here */
    size_t ran;   /* callbacks run so far */
    fw_completion items[FW_COMPLETIONS];
} fw_completions;

typedef struct fw_answer {
    int err; /* 0 or FW_E..., positive */
    fw_span text;
    const fw_result_view *view; /* NULL: none */
    fw_key key;
    fw_span id;    /* empty: made from key */
    uint32_t item; /* its place in the frame */
} fw_answer;

typedef struct fw_client_mode {
    /* Takes the answers of n items (n > 1: all or none, accepted only). items are copied. 0 or
     * -FW_E.... */
    int (*submit)(fw_client *c, const fw_submission *items, size_t n, const fw_taker *taker);
    int (*query)(fw_client *c, const fw_query *query, const fw_taker *taker);
    /* Sends what is queued as far as the sockets take it. */
    void (*flush)(fw_client *c);
    /* Reads what is there and hands answers on; may release the lock to run callbacks. */
    void (*pump)(fw_client *c, fw_completions *out);
    /* The alarm went off. */
    void (*tick)(fw_client *c, fw_completions *out);
    /* The waiter goes away; answers for it are dropped. */
    void (*abandon)(fw_client *c, fw_waiter *waiter);
    /* Everything unanswered ends with err. */
    void (*end)(fw_client *c, int err, fw_completions *out);
    void (*destroy)(fw_client *c);
} fw_client_mode;
extern const fw_client_mode fw_client_native_mode, fw_client_python_mode;

struct fw_client {
    /* immutable after open */
    fw_address address;
    char address_text[FW_ADDRESS_MAX];
    int64_t timeout_ns;
    int retries;
    size_t in_flight_max;
    const fw_client_mode *mode;
    fw_tls *tls; /* NULL: not needed, so far */
    char *token; /* owned; NULL: none */
    int epoll, timer;
    pthread_mutex_t lock;
    pthread_cond_t turn; /* the leader's place is free, or somebody was answered */
    /* under lock */
    void *peer; /* the mode's own */
    bool closing, led;
    unsigned users, sleepers;
    size_t in_flight;
    int64_t alarm_ns; /* monotonic; 0: not set */
};

/* --- for modes; all under the lock --- */

/* Hands an answer on. A full `out` runs, so the lock may be released inside. */
void fw_client_answer(fw_client *c, fw_completions *out, const fw_taker *taker,
                      const fw_answer *answer);
/* Runs what is gathered, without the lock. */
void fw_client_run(fw_client *c, fw_completions *out);
/* tick is wanted at that time; an earlier alarm stays. */
void fw_client_alarm(fw_client *c, int64_t at_ns);
/* Registers what the stream waits for, when that has changed. */
void fw_client_watch(fw_client *c, fw_stream *stream);
/* After how long the n-th try in a row (from 0) is due. */
int64_t fw_client_backoff_ns(int tries);

/* --- for the door --- */

/* 0: inside, with the lock; -FW_ECLOSED. Each enter has its leave. */
int fw_client_enter(fw_client *c);
void fw_client_leave(fw_client *c);
/* Until when to sleep. */
typedef struct fw_until {
    fw_waiter *waiter; /* NULL, or until it has its answers */
    size_t room;       /* not 0: until so many more requests may be in flight */
    size_t ran; /* out: callbacks run meanwhile; without waiter and room the end of waiting */
} fw_until;
/* Under the lock, which it gives away while it sleeps. 0, -FW_ETIME, -FW_ECLOSED. */
int fw_client_wait(fw_client *c, fw_until *until, int64_t deadline_ns);
/* Ends everything with FW_ECLOSED; under the lock. */
void fw_client_shut(fw_client *c);
/* Nobody is inside any more. */
void fw_client_destroy(fw_client *c);

/* --- opening; each blocks until the deadline (monotonic) --- */

/* Connects and shakes hands. 0 or -FW_E... with the error text set. */
int fw_client_dial(fw_stream *stream, const fw_address *address, int64_t deadline_ns);
/* Exchanges one request on a stream that is ready; *reply lies in the stream's input. */
int fw_client_ask(fw_stream *stream, fw_span *reply, fw_span body, int64_t deadline_ns);
/* net/client_secrets.c. The token that is to be told. 0 or -FW_EINVAL. */
int fw_client_take_token(fw_client *c, const fw_client_options *options);
/* Sets up TLS, if c->address asks for it. 0 or -FW_E.... */
int fw_client_secure(fw_client *c, const fw_client_options *options);
/* A HELLO with the token. Its length; 0: no room (2 KiB will do). */
size_t fw_client_write_hello(const fw_client *c, unsigned char *out, size_t capacity,
                             uint64_t message_max);
/* Says HELLO to a control plane that understands it, and waits for the answer, whose texts are not
 * kept. where: the address, for people. */
int fw_client_introduce(const fw_client *c, fw_stream *stream, const char *where, fw_hello *hello,
                        uint64_t message_max, int64_t deadline_ns);
/* Listens for announcements. *native: 1 told so, -1 not known. */
int fw_client_discover(fw_address *out, int *native, const fw_address *discovery,
                       int64_t deadline_ns);
/* The base address in an announcement (behind "WORKER_ANNOUNCE:"), and in the JSON of a capability
 * text. False: none that we understand. */
bool fw_client_read_announcement(fw_address *base, fw_span text);
bool fw_client_read_capabilities(fw_address *base, fw_span json);
/* Opens the connection over which frames go; *native: in -1 to find out, out 0 for a control plane
 * that does not speak frames (then nothing is kept). */
int fw_client_native_open(fw_client *c, int *native, int64_t deadline_ns);
int fw_client_python_open(fw_client *c, int64_t deadline_ns);

#endif
