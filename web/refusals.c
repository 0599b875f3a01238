/* web/refusals.c - see web/refusals.h. A body that is much too large is cut off while it comes, and
 * what is no HTTP at all never reaches a handler; the library answers both in plain text, as if of
 * the host's fallback path. There a filter puts our words in the place of those. Covered by
 * server_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "web/refusals.h"

#include <stdbool.h>
#include <string.h>

#include <h2o.h>

#include "web/routes.h"
#include "web/web.h"

typedef struct refusals {
    h2o_filter_t super;
    size_t body_max;
} refusals;

typedef struct replacement {
    h2o_ostream_t super;
    h2o_iovec_t body;
} replacement;

/* The library's text is one piece, and so is ours. */
static void send_ours(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                      h2o_send_state_t state)
{
    replacement *r = (void *)self;
    (void)bufs;
    h2o_ostream_send_next(self, req, &r->body, count > 0 && r->body.len > 0 ? 1 : 0, state);
    r->body.len = 0;
}

static void replace(h2o_filter_t *filter, h2o_req_t *req, h2o_ostream_t **slot)
{
    const refusals *own = (void *)filter;
    static const char below[] = "/api/v1/";
    int status = req->res.status;
    if (status != 400 && status != 413) {
        h2o_setup_next_ostream(req, slot);
        return;
    }
    fw_web_answer answer = fw_web_answer_begin();
    answer.is_problem = req->input.path.len >= sizeof below - 1 &&
                        memcmp(req->input.path.base, below, sizeof below - 1) == 0;
    if (status == 413)
        fw_web_problem(&answer, 413, NULL, "a body has at most %zu bytes", own->body_max);
    else
        fw_web_problem(&answer, 400, NULL, "this is no request of HTTP/1.1");
    replacement *r = (void *)h2o_add_ostream(req, sizeof *r, slot);
    r->super.do_send = send_ours;
    r->body = h2o_strdup(&req->pool, answer.body.len > 0 ? answer.body.data : "{}",
                         answer.body.len > 0 ? answer.body.len : 2);
    req->res.content_length = r->body.len;
    h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, answer.content_type,
                   strlen(answer.content_type), 1);
    fw_web_answer_fini(&answer);
    h2o_setup_next_ostream(req, &r->super.next);
}

void fw_web_refusals_register(struct st_h2o_hostconf_t *host, size_t body_max)
{
    refusals *own = (void *)h2o_create_filter(&host->fallback_path, sizeof *own);
    own->super.on_setup_ostream = replace;
    own->body_max = body_max;
}
