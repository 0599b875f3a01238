/* web/accept.h - who comes in: the listeners, and every connection until it is gone.
 *
 * The web thread's own, but for what says otherwise.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ACCEPT_H
#define FW_WEB_ACCEPT_H

#include "web/listen.h"
#include "web/web.h"

struct st_h2o_context_t;
struct st_h2o_hostconf_t;
struct ssl_ctx_st;

typedef struct fw_web_acceptor fw_web_acceptor;

/* NULL: no memory. Any thread. */
fw_web_acceptor *fw_web_acceptor_create(unsigned connections_max);
/* When it has been left, or was never opened. */
void fw_web_acceptor_destroy(fw_web_acceptor *acceptor);
/* Any thread. */
void fw_web_acceptor_snapshot(const fw_web_acceptor *acceptor, fw_web_stats *out);

/* Reads the listeners. papers: NULL, or what new connections speak TLS by; taken. */
void fw_web_acceptor_open(fw_web_acceptor *acceptor, struct st_h2o_context_t *context,
                          struct st_h2o_hostconf_t **hosts, struct ssl_ctx_st *papers,
                          const fw_web_listeners *listening);
/* For connections that come from now on; taken. */
void fw_web_acceptor_renew(fw_web_acceptor *acceptor, struct ssl_ctx_st *papers);
/* No more of them. */
void fw_web_acceptor_shut(fw_web_acceptor *acceptor);
/* shutdown(2) of all that there are. */
void fw_web_acceptor_shut_connections(fw_web_acceptor *acceptor, int how);
/* How many there are. */
unsigned fw_web_acceptor_connections(const fw_web_acceptor *acceptor);
/* When it is shut and no connection is left. */
void fw_web_acceptor_leave(fw_web_acceptor *acceptor);

#endif
