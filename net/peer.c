/* net/peer.c - see net/peer.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/assert.h"

void fw_peer_describe(char out[FW_PEER_MAX], nng_stream *stream)
{
    nng_sockaddr address;
    char host[INET6_ADDRSTRLEN] = "?";
    int len;
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &address) != 0) {
        len = snprintf(out, FW_PEER_MAX, "?");
    } else if (address.s_family == NNG_AF_INET6) {
        inet_ntop(AF_INET6, &address.s_in6.sa_addr, host, sizeof host);
        len = snprintf(out, FW_PEER_MAX, "[%s]:%u", host, ntohs(address.s_in6.sa_port));
    } else {
        inet_ntop(AF_INET, &address.s_in.sa_addr, host, sizeof host);
        len = snprintf(out, FW_PEER_MAX, "%s:%u", host, ntohs(address.s_in.sa_port));
    }
    FW_ASSERT(len > 0 && len < FW_PEER_MAX);
}
