/* net/peer.c - see net/peer.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

/* => false: it is not known any more. */
static bool address_of(struct sockaddr_storage *out, int fd)
{
    socklen_t len = sizeof *out;
    return getpeername(fd, (struct sockaddr *)out, &len) == 0;
}

void fw_peer_name(char out[FW_PEER_MAX], int fd)
{
    struct sockaddr_storage at;
    char host[INET6_ADDRSTRLEN] = "?";
    int len;
    if (!address_of(&at, fd)) {
        len = snprintf(out, FW_PEER_MAX, "?");
    } else if (at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&at;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        len = snprintf(out, FW_PEER_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&at;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        len = snprintf(out, FW_PEER_MAX, "%s:%u", host, ntohs(four->sin_port));
    }
    FW_ASSERT(len > 0 && len < FW_PEER_MAX);
}

bool fw_peer_is_near(int fd)
{
    struct sockaddr_storage at;
    if (!address_of(&at, fd))
        return false;
    if (at.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&at)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (at.ss_family != AF_INET6)
        return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)&at)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}
