/* web/web.h - the HTTP door: h2o in its own thread, knowing nothing of what it serves.
 *
 * What is served is in tables of routes that the caller hands over. A request is matched against
 * them, its role is asked for, its parameters are decoded and checked, and its handler is called
 * on the web thread; so a handler never blocks and takes no lock of the engine (one that takes
 * long says so in its route, see FW_WEB_ASIDE). Whoever can't
 * answer at once keeps the request's ticket and answers later, from any thread.
 *
 *   static void read_one(void *context, const fw_web_request *request, fw_web_answer *answer)
 *   {
 *       fw_span id = fw_web_param(request, "id");
 *       if (!write_thing(context, id, &answer->body))
 *           fw_web_problem(answer, 404, "unknown-thing", "nothing is called %.*s", ...);
 *   }
 *   static const fw_web_route things[] = {
 *       {"GET", "/api/v1/things/{id}", FW_WEB_READ, read_one},
 *       {"POST", "/api/v1/things", FW_WEB_SUBMIT, add, .types = FW_WEB_JSON},
 *   };
 *
 * The router itself answers: 400 for text that is not decodable, 401 and 403 for who may not, 404
 * and 405 (with Allow), 413, 415, OPTIONS, HEAD (as GET, without the body), and 429 when a route
 * wants a ticket and none is free. Errors are application/problem+json (RFC 9457) below /api/v1,
 * and {"error": text} elsewhere, as upstream has it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_WEB_H
#define FW_WEB_WEB_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/json.h"
#include "fastworker/types.h"

typedef struct fw_web fw_web;

enum { FW_WEB_PARAMS_MAX = 4, FW_WEB_QUERY_MAX = 32, FW_WEB_PEER_TEXT = 64 };

/* What a route asks for; also the set of what a key grants. */
typedef enum fw_web_role {
    FW_WEB_ANYBODY = 0, /* no key is asked for */
    FW_WEB_READ = 1,    /* open unless a key for reading is set */
    FW_WEB_SUBMIT = 2,
    FW_WEB_WORKER = 4, /* the worker API */
    FW_WEB_ADMIN = 8,
    FW_WEB_ALL = 15
} fw_web_role;

/* --- a request --- */

typedef struct fw_web_pair {
    fw_span name, value;
} fw_web_pair;

/* For one answer that comes later; copied freely, used once. */
typedef struct fw_web_ticket {
    struct fw_web_later *later; /* NULL: too many wait already */
    uint32_t place;
} fw_web_ticket;

/* Spans are borrowed for the call; texts are not NUL-ended; a header that was not sent is {NULL,
 * 0}.
 */
typedef struct fw_web_request {
    fw_span method, path, query; /* as they were sent */
    fw_span body;                /* whole; at most config.body_max */
    fw_span authorization, origin, sec_fetch_site, host, if_none_match, accept, content_type;
    fw_span idempotency_key, prefer, last_event_id;
    bool takes_gzip;             /* accept-encoding */
    char peer[FW_WEB_PEER_TEXT]; /* "127.0.0.1:4711" */
    fw_web_ticket ticket;
    /* Filled by the router: decoded, in UTF-8, without control characters. See fw_web_param and
     * fw_web_query. */
    fw_web_pair params[FW_WEB_PARAMS_MAX], queries[FW_WEB_QUERY_MAX];
    size_t param_count, query_count;
    unsigned roles;  /* what the key grants; a set of fw_web_role */
    const char *who; /* for the log: "admin", "submit", "read", "worker", "anybody" */
} fw_web_request;

/* The part of the path that the pattern calls {name}; it has at least one byte. */
fw_span fw_web_param(const fw_web_request *request, const char *name);
/* The value of "?name=value", the first of that name. False: absent. */
bool fw_web_query(const fw_web_request *request, const char *name, fw_span *value);
/* "30", "2.5", "30s", "250ms", "5m", "2h", "1d" at most most_ns. False: something else. */
bool fw_web_read_duration(fw_span text, int64_t most_ns, int64_t *out_ns);
/* A whole number, at most `most` (more is cut). False: something else. */
bool fw_web_read_number(fw_span text, size_t most, size_t *out);

/* --- an answer --- */

struct st_h2o_req_t;

/* Handed to a handler as 200, application/json, empty. Threads that answer later begin one too. */
typedef struct fw_web_answer {
    int status;
    const char *content_type; /* static text */
    fw_buffer body;
    fw_span fixed;          /* a body that outlives the server, instead of `body` */
    const char *etag;       /* with quotes, static; NULL: none. The handler makes the 304. */
    unsigned retry_after_s; /* 0: none */
    fw_buffer headers;      /* see fw_web_header */
    /* The ticket was kept: nothing is sent now. What is answered later replaces all of this. */
    bool is_later;
    /* For files of web/ that go on answering themselves (event streams): called on the web thread
     * instead of sending, when status and headers have been set on the request. */
    void (*take)(void *taker, struct st_h2o_req_t *req);
    void *taker;
    /* The router's own. */
    char allow_origin[256], allow_methods[64];
    bool is_problem; /* errors are problem+json */
} fw_web_answer;

#define FW_WEB_JSON   "application/json"
#define FW_WEB_NDJSON "application/x-ndjson"

/* Adds a header. Text with control characters in it is not added. name: lower case. */
void fw_web_header(fw_web_answer *answer, const char *name, fw_span value);
/* location: prefix, then text percent-encoded. */
void fw_web_location(fw_web_answer *answer, const char *prefix, fw_span text);
/* Makes it an error: throws away what was written. type: the end of "urn:fastworker:...", stable,
 * for programs; NULL: the usual one of the status. detail: a sentence for people; NULL: none. */
void fw_web_problem(fw_web_answer *answer, int status, const char *type, const char *detail, ...)
    FW_FMT(4, 5);
/* The same for a part of the body or the query that is wrong; "field" names it. */
void fw_web_problem_field(fw_web_answer *answer, int status, const char *field, const char *detail,
                          ...) FW_FMT(4, 5);

/* Answers a request that waits, exactly once for a ticket that was kept; a client that has left
 * gets nothing. The answer's buffers are taken. Any thread. */
void fw_web_answer_later(const fw_web_ticket *ticket, fw_web_answer *answer);
/* 200 and JSON, as handlers get it. */
fw_web_answer fw_web_answer_begin(void);

/* --- routes --- */

typedef void (*fw_web_handler)(void *context, const fw_web_request *request, fw_web_answer *answer);

typedef enum fw_web_pace {
    FW_WEB_AT_ONCE = 0,
    FW_WEB_TICKET = 1, /* needs a ticket, to answer later: 429 when too many wait */
    /* Takes long, such as a walk over all tasks: the handler is called on a thread of its own, one
     * at a time, so others are answered meanwhile; on the web thread when too many wait. It answers
     * when it returns. */
    FW_WEB_ASIDE = 2
} fw_web_pace;

typedef struct fw_web_route {
    const char *method; /* GET, POST, PUT, PATCH, DELETE; GET is HEAD too */
    /* {name} stands for one or more bytes up to the next '/', or up to the text that follows it
     * there: "/api/v1/tasks/{id}:retry". A '/' in a name is sent as %2F. Of several patterns that
     * fit, the one with the most fixed text counts: a name that ends in ":retry" is sent with
     * %3A. What follows a '?' are the parameters of the query that it knows, with ',' between:
     * "/api/v1/tasks?name,limit". Below /api/v1 others are 400. */
    const char *path;
    fw_web_role role;
    fw_web_handler handler;
    const char *types; /* of bodies, separated by spaces; NULL: JSON or none at all */
    fw_web_pace pace;
} fw_web_route;

/* One per file that has routes. */
typedef struct fw_web_table {
    const fw_web_route *routes; /* static */
    size_t count;
    void *context; /* of the handlers */
} fw_web_table;
#define FW_WEB_TABLE(routes, context)                                                              \
    {                                                                                              \
        (routes), sizeof(routes) / sizeof *(routes), (context)                                     \
    }

/* --- the server --- */

typedef struct fw_web_config {
    const char *host;
    unsigned port; /* 0: any free one */
    /* Keys, shown as "Authorization: Bearer KEY". NULL: none. With none at all everything is open.
     * With any, what no key grants is closed, but for reading, which is open until it has a key. */
    const char *admin_key, *submit_key, *worker_key, *read_key;
    const char *cors_origin; /* "*", or origins separated by commas; NULL: same origin only */
    /* Whether only these names are served (and localhost, and addresses), against pages whose name
     * leads here: others are 421. */
    bool checks_host;
    const char *hosts;        /* separated by commas; may be NULL */
    size_t body_max;          /* bytes; 0: 1 MiB */
    unsigned connections_max; /* 0: 2048 */
    /* For a request to come whole, between two, and for the greeting of TLS; 0: 15000. */
    unsigned request_ms;
    /* Files in PEM. With a certificate TLS is spoken, and nothing else. NULL: none; of the key: it
     * is in the same file; ca: with it who asks has to show a certificate by one of these. */
    const char *tls_cert, *tls_key, *tls_ca;
    /* Called on the web thread about every second, from the start to the stop. NULL: nothing. */
    void (*second)(void *context);
    void *second_context;
} fw_web_config;

/* Serves until fw_web_stop. Tables are looked at in order, and copied; their routes are not.
 * -FW_EPERM: cannot bind; -FW_EINVAL: a file of TLS cannot be used; error says which and why. */
int fw_web_start(fw_web **out, char *error, size_t error_capacity, const fw_web_config *config,
                 const fw_web_table *tables, size_t table_count);
/* Ends the thread; answers that were due are 503. */
void fw_web_stop(fw_web *web);
/* After fw_web_stop, when nobody has a ticket any more. */
void fw_web_free(fw_web *web);
/* The port in use. */
unsigned fw_web_port(const fw_web *web);
/* Reads the files of TLS again, for connections that come from now on; those that there are go on.
 * Nothing when there is no TLS. As fw_web_start, and nothing is changed then. By one thread at a
 * time, which is the one that stops. */
int fw_web_renew_tls(fw_web *web, char *error, size_t error_capacity);

typedef struct fw_web_stats {
    uint64_t accepted;
    uint64_t starved; /* times that nobody could be accepted: no descriptor, or no memory */
} fw_web_stats;
void fw_web_snapshot(const fw_web *web, fw_web_stats *out);

/* --- events --- */

/* To everybody who listens at /api/events or /api/v1/events (the event "stats" only there). Never
 * waits: what finds no room is dropped, what is too often is coalesced. name: static text; json:
 * one value, copied. web may be NULL. Any thread, until fw_web_free. */
void fw_web_publish(fw_web *web, const char *name, fw_span json);
/* Whether somebody listens, or did a minute ago: if not, no event needs to be made. One load. */
bool fw_web_is_watched(const fw_web *web);
/* The same for all events but "stats": who wants figures only follows no tasks. */
bool fw_web_is_followed(const fw_web *web);
typedef struct fw_web_event_stats {
    unsigned clients;
    uint64_t posted, dropped, coalesced;
} fw_web_event_stats;
void fw_web_events_snapshot(const fw_web *web, fw_web_event_stats *out);

#endif
