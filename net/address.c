/* net/address.c - see net/address.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

static const char scheme[] = "tcp://", tls_scheme[] = "tls+tcp://";

/* 1 to 5 digits, at most 65535. */
static bool read_port(unsigned *out, const char *at, const char *end)
{
    unsigned port = 0;
    if (at == end || end - at > 5)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        port = port * 10 + (unsigned)(*at - '0');
    }
    *out = port;
    return port <= 65535;
}

/* Letters, digits and the few marks of names and addresses: nothing that changes what a URL means.
 */
static bool is_host(const char *at, const char *end)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*";
    for (const char *c = at; c < end; c++)
        if (!memchr(allowed, *c, sizeof allowed - 1))
            return false;
    return at < end;
}

static bool begins_with(fw_span text, const char *start)
{
    size_t len = strlen(start);
    return text.len > len && memcmp(text.ptr, start, len) == 0;
}

int fw_tcp_address_parse(fw_tcp_address *out, fw_span text)
{
    FW_ASSERT(text.ptr != NULL || text.len == 0);
    fw_tcp_address parsed = {.tls = begins_with(text, tls_scheme)};
    if (!parsed.tls && !begins_with(text, scheme))
        return -FW_EINVAL;
    size_t scheme_len = strlen(parsed.tls ? tls_scheme : scheme);
    const char *at = text.ptr + scheme_len, *end = text.ptr + text.len;
    const char *colon = memrchr(at, ':', (size_t)(end - at));
    if (!colon || !read_port(&parsed.port, colon + 1, end))
        return -FW_EINVAL;
    if (*at == '[' && colon[-1] == ']' && colon - at > 2) {
        char host[INET6_ADDRSTRLEN] = "";
        struct in6_addr ignored;
        size_t len = (size_t)(colon - at) - 2;
        if (len >= sizeof host)
            return -FW_EINVAL;
        memcpy(host, at + 1, len);
        if (inet_pton(AF_INET6, host, &ignored) != 1)
            return -FW_EINVAL;
        at++;
        colon--;
    } else if (!is_host(at, colon)) {
        return -FW_EINVAL;
    }
    size_t len = (size_t)(colon - at);
    if (len > FW_TCP_HOST_MAX)
        return -FW_EINVAL;
    memcpy(parsed.host, at, len);
    *out = parsed;
    return 0;
}

void fw_tcp_address_format(char out[FW_TCP_ADDRESS_MAX], const fw_tcp_address *address)
{
    bool brackets = strchr(address->host, ':') != NULL;
    int len = snprintf(out, FW_TCP_ADDRESS_MAX, "%s%s%s%s:%u", address->tls ? tls_scheme : scheme,
                       brackets ? "[" : "", address->host, brackets ? "]" : "", address->port);
    FW_ASSERT(len > 0 && len < FW_TCP_ADDRESS_MAX);
}

bool fw_tcp_address_is_wildcard(const fw_tcp_address *address)
{
    return strcmp(address->host, "0.0.0.0") == 0 || strcmp(address->host, "*") == 0 ||
           strcmp(address->host, "::") == 0;
}

bool fw_tcp_address_is_loopback(const fw_tcp_address *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, address->host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcasecmp(address->host, "localhost") == 0;
}

bool fw_tcp_address_make_reachable(fw_tcp_address *address)
{
    if (!fw_tcp_address_is_wildcard(address))
        return false;
    struct ifaddrs *all = NULL;
    struct in_addr chosen = {.s_addr = htonl(INADDR_LOOPBACK)};
    if (getifaddrs(&all) == 0) {
        for (struct ifaddrs *one = all; one; one = one->ifa_next) {
            if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET ||
                !(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK))
                continue;
            struct sockaddr_in found;
            memcpy(&found, one->ifa_addr, sizeof found);
            chosen = found.sin_addr;
            break;
        }
        freeifaddrs(all);
    }
    FW_ASSERT(inet_ntop(AF_INET, &chosen, address->host, sizeof address->host) != NULL);
    return true;
}
