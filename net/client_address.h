/* net/client_address.h - where a control plane is: "tcp://host:port" or
 * "tls+tcp://host:port" as text and as something to
 * dial.
 *
 * As Python splits addresses: the scheme may be left out, the host defaults to 127.0.0.1, the port
 * to 5555 (an explicit 0 too). IPv6 hosts stand in brackets. Numbers are resolved without the
 * system's name service, which keeps the start of a client short. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_ADDRESS_H
#define FW_NET_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "fastworker/types.h"

enum { FW_HOST_MAX = 255, FW_ADDRESS_MAX = FW_HOST_MAX + 24 };

typedef struct fw_address {
    char host[FW_HOST_MAX + 1]; /* without brackets */
    unsigned port;
    bool tls;
} fw_address;

/* For TLS the name that the certificate has to bear comes along. */
typedef struct fw_endpoint {
    bool tls;
    char host[FW_HOST_MAX + 1];
    struct sockaddr_storage socket;
    socklen_t len;
} fw_endpoint;

/* 0; -FW_EINVAL: not such an address. */
int fw_address_parse(fw_address *out, fw_span text);
/* "tcp://host:port", cut to capacity; always NUL-ended. */
void fw_address_format(char *out, size_t capacity, const fw_address *address);
/* The host says "every interface": fine to listen at, no place to dial from another machine. */
int fw_address_is_wildcard(const fw_address *address);
/* 0; -FW_ENOCONN: no such host, with *reason a static text. Blocks while a name is looked up. */
int fw_address_resolve(fw_endpoint *out, const char **reason, const fw_address *address);

#endif
