/* web/routes.h - what is served at which path; knows requests and answers, not sockets or loops.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ROUTES_H
#define FW_WEB_ROUTES_H

#include "web/web.h"

/* One request, as the server room's library saw it. Spans are borrowed for the call. */
typedef struct fw_web_request {
    fw_span method, path, query, authorization, origin, if_none_match;
    fw_web_ticket ticket; /* for an answer that comes later */
} fw_web_request;

/* The answer: body is either static (asset) or in buffer. */
typedef struct fw_web_answer {
    int status;
    const char *reason, *content_type;
    const char *etag;       /* NULL: none */
    char allow_origin[256]; /* empty: none */
    fw_span body;           /* of static content */
    fw_buffer buffer;       /* of written content; the receiver frees it */
    bool is_later;          /* the request's ticket was kept: nothing is sent now */
} fw_web_answer;

/* Fills answer; web thread only. */
void fw_web_route(const fw_web_config *config, const fw_web_ops *ops, const fw_web_request *request,
                  fw_web_answer *answer);

/* The end of an answer that came late: its status, and for an error the body. */
void fw_web_finish(fw_web_answer *answer, int status);

/* Files embedded at build. */
typedef struct fw_web_asset {
    const char *path, *content_type;
    const char *etag, *gzip_etag; /* with their quotes */
    const unsigned char *bytes, *gzip_bytes;
    size_t len, gzip_len;
} fw_web_asset;
extern const fw_web_asset fw_web_assets[];
extern const size_t fw_web_asset_count;

#endif
