/* net/peer.c - see net/peer.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

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

bool fw_peer_is_local(nng_stream *stream)
{
    nng_sockaddr address;
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &address) != 0)
        return false;
    if (address.s_family == NNG_AF_INET)
        return ntohl(address.s_in.sa_addr) >> 24 == IN_LOOPBACKNET;
    struct in6_addr six;
    if (address.s_family != NNG_AF_INET6)
        return false;
    memcpy(&six, address.s_in6.sa_addr, sizeof six);
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}
