/* net/address.h - where a server listens, and what it tells others to dial.
 *
 * "tcp://host:port", or "tls+tcp://host:port" where TLS is spoken; an IPv6 host stands in brackets.
 * A wildcard host (0.0.0.0, [::], *) is fine to bind and useless to announce: then the first IPv4
 * address of an interface that is up and not loopback is taken, else 127.0.0.1 (protocol 5.3). Any
 * thread. SPDX-License-Identifier: Apache-2.0
 */
#ifndef FW_NET_ADDRESS_H
#define FW_NET_ADDRESS_H

#include <stdbool.h>

#include "fastworker/types.h"

enum { FW_TCP_HOST_MAX = 255, FW_TCP_ADDRESS_MAX = FW_TCP_HOST_MAX + 24 };

typedef struct fw_tcp_address {
    char host[FW_TCP_HOST_MAX + 1]; /* without brackets, NUL-ended */
    unsigned port;
    bool tls;
} fw_tcp_address;

/* The whole text has to be tcp://host:port or tls+tcp://host:port with a port from 0 to 65535. 0 or
 * -FW_EINVAL. */
int fw_tcp_address_parse(fw_tcp_address *out, fw_span text);
/* NUL-ended, with brackets where they belong. */
void fw_tcp_address_format(char out[FW_TCP_ADDRESS_MAX], const fw_tcp_address *address);
bool fw_tcp_address_is_wildcard(const fw_tcp_address *address);
/* Only this machine gets there: 127.0.0.0/8, ::1, localhost. */
bool fw_tcp_address_is_loopback(const fw_tcp_address *address);
/* Replaces a wildcard host by one that others can dial. True: it was replaced. */
bool fw_tcp_address_make_reachable(fw_tcp_address *address);

#endif
