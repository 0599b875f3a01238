/* web/watch.c - see web/watch.h. Covered by later_test.c, events_test.c and tls_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <h2o.h>

void fw_web_watch_start(h2o_socket_t *socket, h2o_socket_cb on_readable)
{
    h2o_socket_dont_read(socket, 1);
    h2o_socket_read_start(socket, on_readable);
}

void fw_web_watch_stop(h2o_socket_t *socket)
{
    h2o_socket_read_stop(socket);
    h2o_socket_dont_read(socket, 0);
}

/* A client that speaks TLS says goodbye before it goes: an alert, alone in its record. From TLS 1.3
 * on the record's type is that of any data, but two bytes with their padding and tag are shorter
 * than what any request begins with. */
static bool is_goodbye(const unsigned char *head, ssize_t len)
{
    enum { HEADER = 5, ALERT = 21, DATA = 23, ALERT_BYTES = 2 + 1 + 16 };
    if (len < HEADER)
        return false;
    unsigned bytes = (unsigned)head[3] << 8 | head[4];
    return head[0] == ALERT || (head[0] == DATA && bytes <= ALERT_BYTES);
}

fw_web_seen fw_web_watch_look(h2o_socket_t *socket, const char *error)
{
    unsigned char head[5];
    ssize_t got = error ? 0
                        : recv(h2o_socket_get_fd(socket), head, socket->ssl ? sizeof head : 1,
                               MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return FW_WEB_NOTHING;
    if (got <= 0 || (socket->ssl && is_goodbye(head, got)))
        return FW_WEB_GONE;
    return FW_WEB_MORE;
}
