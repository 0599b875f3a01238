/* web/watch.h - whether who waits for an answer is still there.
 *
 * HTTP/1 reads nothing while an answer is due or goes on, so a client that leaves would be noticed
 * late: its socket is watched meanwhile, without taking anything off it, because headers of the
 * request lie in the same buffer. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_WATCH_H
#define FW_WEB_WATCH_H

struct st_h2o_socket_t;

typedef enum fw_web_seen {
    FW_WEB_NOTHING, /* go on watching */
    FW_WEB_MORE,    /* the next request, or the start of it: what is there hides what follows */
    FW_WEB_GONE
} fw_web_seen;

/* The web thread's. */
void fw_web_watch_start(struct st_h2o_socket_t *socket,
                        void (*on_readable)(struct st_h2o_socket_t *socket, const char *error));
void fw_web_watch_stop(struct st_h2o_socket_t *socket);
/* What on_readable was called for. */
fw_web_seen fw_web_watch_look(struct st_h2o_socket_t *socket, const char *error);

#endif
