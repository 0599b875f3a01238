/* web/web.h - the dashboard's door: h2o in its own thread, knowing nothing of what it shows.
 *
 * Everything it serves comes through the table below, called on the web thread; nothing there takes
 * a lock of the engine. JSON is written by the caller into the buffer it is handed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_WEB_H
#define FW_WEB_WEB_H

#include <stdbool.h>

#include "base/json.h"
#include "fastworker/types.h"

typedef struct fw_web fw_web;

typedef struct fw_web_task_filter {
    size_t limit, offset;
    fw_span status, name, priority; /* empty: all */
} fw_web_task_filter;

/* For one answer that comes later; copied freely, used once. */
typedef struct fw_web_ticket {
    struct fw_web_later *later; /* NULL: too many wait already */
    uint32_t place;
} fw_web_ticket;

typedef struct fw_web_ops {
    void *context;
    /* Bodies of upstream's GET routes (protocol 15.2). */
    void (*status)(void *context, fw_buffer *out);
    void (*workers)(void *context, fw_buffer *out);
    void (*tasks)(void *context, const fw_web_task_filter *filter, fw_buffer *out);
    void (*queues)(void *context, fw_buffer *out);
    void (*cache)(void *context, fw_buffer *out);
    void (*registered_tasks)(void *context, fw_buffer *out);
    void (*metrics)(void *context, fw_buffer *out); /* Prometheus text */
    bool (*ready)(void *context);
    /* GET /api/v1/tasks/{id}: writes what is known and returns 200, or 404 (never seen) or 410 (its
     * result is gone). 0: it has not ended, and fw_web_answer_later will tell, at the latest after
     * wait_ns (which is 0 if there is no ticket). */
    int (*task)(void *context, fw_span id, int64_t wait_ns, const fw_web_ticket *ticket,
                fw_buffer *out);
    /* 0 done, 404 unknown or terminal. */
    int (*cancel)(void *context, fw_span id);
} fw_web_ops;

typedef struct fw_web_config {
    const char *host;
    unsigned port;           /* 0: any free one */
    const char *api_key;     /* NULL: POST is open */
    const char *cors_origin; /* "*", or origins separated by commas; NULL: same origin only */
} fw_web_config;

/* Serves until fw_web_stop. -FW_EPERM: cannot bind; error says where and why. */
int fw_web_start(fw_web **out, char *error, size_t error_capacity, const fw_web_config *config,
                 const fw_web_ops *ops);
/* Ends the thread; answers that were due are 503. */
void fw_web_stop(fw_web *web);
/* After fw_web_stop, when nobody has a ticket any more. */
void fw_web_free(fw_web *web);
/* Answers a request that waits, exactly once for a ticket that was kept; a client that has left
 * gets nothing. The body is taken; with 400 or more it is written here. Any thread. */
void fw_web_answer_later(const fw_web_ticket *ticket, int status, fw_buffer *body);
/* The port in use. */
unsigned fw_web_port(const fw_web *web);

#endif
