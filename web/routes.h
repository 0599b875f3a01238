/* web/routes.h - what is served at which path; knows requests and answers, not sockets or loops.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ROUTES_H
#define FW_WEB_ROUTES_H

#include "web/web.h"

enum { FW_WEB_TABLES_MAX = 32, FW_WEB_ROUTES_MAX = 256, FW_WEB_PATH_BYTES = 8192 };

/* A route, and what of its path can be told without looking at it. */
typedef struct fw_web_entry {
    const fw_web_route *route;
    void *context;
    size_t head;    /* bytes before the first '{' or '?', or all */
    size_t fixed;   /* bytes that are no names */
    bool has_names; /* has '{' */
    unsigned method;
} fw_web_entry;

typedef struct fw_web_router {
    fw_web_config config;
    struct fw_web_aside *aside; /* NULL: all is done by who asks */
    fw_web_table tables[FW_WEB_TABLES_MAX];
    size_t table_count;
    /* Of all tables, in order; filled by fw_web_router_prepare. */
    fw_web_entry entries[FW_WEB_ROUTES_MAX];
    size_t entry_count;
} fw_web_router;

/* Once, when configuration and tables are there. */
void fw_web_router_prepare(fw_web_router *router);

/* Fills the rest of request, and answer, which the caller frees. What request has to have: method,
 * path, query, body, headers, peer, ticket. Web thread only. */
void fw_web_route_request(const fw_web_router *router, fw_web_request *request,
                          fw_web_answer *answer);

/* The line of the log that an answer may leave. */
void fw_web_route_audit(const fw_web_route *route, const fw_web_request *request,
                        const fw_web_answer *answer);

/* The reason phrase. */
const char *fw_web_reason(int status);
/* When an answer is about to be sent: what every one of them has. */
void fw_web_answer_settle(fw_web_answer *answer);
void fw_web_answer_fini(fw_web_answer *answer);

#endif
