/* net/client_tls.h - a client's stream over TLS: the transport of addresses tls+tcp://.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_TLS_H
#define FW_NET_CLIENT_TLS_H

#include "net/client_stream.h"

/* Before the stream connects. 0, or -FW_E... with stream->error. */
int fw_client_tls_begin(fw_stream *stream, const char *host);
/* The last read filled its buffer, and there may be more that poll(2) does not tell of. */
bool fw_client_tls_holds(const fw_stream *stream);
/* Bytes that were taken and that the kernel does not have; 0 without TLS. */
size_t fw_client_tls_waiting(const fw_stream *stream);

#endif
