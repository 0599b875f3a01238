/* net/peer.h - what a stream's other end is called: "10.1.2.3:5555", for people.
 * Any thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PEER_H
#define FW_NET_PEER_H

#include <nng/nng.h>

enum { FW_PEER_MAX = 64 };

/* "?" when the stream does not know any more. */
void fw_peer_describe(char out[FW_PEER_MAX], nng_stream *stream);

/* It comes from 127.0.0.0/8 or ::1. */
bool fw_peer_is_local(nng_stream *stream);

/* The same of a socket. */
void fw_peer_name(char out[FW_PEER_MAX], int fd);
bool fw_peer_is_near(int fd);

#endif
