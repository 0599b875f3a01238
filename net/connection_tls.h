/* net/connection_tls.h - what TLS adds to a connection; for the files of the connection only.
 *
 * Between the plain stream of bytes and the connection's buffers stands a session (net/tls). The
 * reader feeds it what came and fills the connection's buffer from it; the sender has it encrypt
 * parcels. Both do so under the session's lock, never while they wait for anything.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CONNECTION_TLS_H
#define FW_NET_CONNECTION_TLS_H

#include "net/connection.h"

typedef struct fw_connection_tls fw_connection_tls;

/* NULL: no memory. */
fw_connection_tls *fw_connection_tls_create(const fw_port *port);
void fw_connection_tls_destroy(fw_connection_tls *tls);
/* Why it failed; "" if it did not. Any thread. */
enum { FW_TLS_ERROR_MAX = 192 };
void fw_connection_tls_error(fw_connection_tls *tls, char out[FW_TLS_ERROR_MAX]);

/* The reader's. Where the stream's bytes go. */
nng_iov fw_connection_tls_room(fw_connection_tls *tls);
/* So many came. False: no memory. */
bool fw_connection_tls_feed(fw_connection_tls *tls, size_t count);
/* Moves what they mean into the connection's buffer. 1: ask again when it is digested; 0: nothing
 * more now; -1: it is over, and the connection closes, or will when the last word is sent. */
int fw_connection_tls_fill(fw_connection *connection);

/* The sender's. What is to be sent now. Empty: nothing, and the duty has ended, or is the reader's
 * while the two have not greeted, or the connection closes. */
fw_span fw_connection_tls_next(fw_connection *connection);
/* So many bytes of the wire left. => so many bytes of parcels. */
size_t fw_connection_tls_sent(fw_connection_tls *tls, size_t count);

#endif
