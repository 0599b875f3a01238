/* net/client_address.c - see net/client_address.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { PORT_DEFAULT = 5555 };

static bool take_prefix(fw_span *text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (text->len < n || strncasecmp(text->ptr, prefix, n) != 0)
        return false;
    text->ptr += n;
    text->len -= n;
    return true;
}

/* The port after the colon; -1: not a number of a port. */
static int read_port(fw_span text)
{
    int port = 0;
    if (text.len == 0 || text.len > 5)
        return text.len == 0 ? PORT_DEFAULT : -1;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.ptr[i]))
            return -1;
        port = port * 10 + (text.ptr[i] - '0');
    }
    return port > UINT16_MAX ? -1 : port == 0 ? PORT_DEFAULT : port;
}

/* Cuts the text into host and port; false: not of that form. */
static bool split(fw_span text, fw_span *host, fw_span *port)
{
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (close == NULL)
            return false;
        *host = (fw_span){text.ptr + 1, (size_t)(close - text.ptr) - 1};
        size_t used = host->len + 2;
        if (used == text.len) {
            *port = (fw_span){"", 0};
            return true;
        }
        *port = (fw_span){text.ptr + used + 1, text.len - used - 1};
        return text.ptr[used] == ':';
    }
    const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    size_t host_len = colon == NULL ? text.len : (size_t)(colon - text.ptr);
    *host = (fw_span){text.ptr, host_len};
    *port = colon == NULL ? (fw_span){"", 0} : (fw_span){colon + 1, text.len - host_len - 1};
    return true;
}

int fw_address_parse(fw_address *out, fw_span text)
{
    FW_ASSERT(out != NULL);
    fw_span host, port;
    bool tls = take_prefix(&text, "tls+tcp://");
    if (text.len > 0 && !tls && !take_prefix(&text, "tcp://") &&
        memmem(text.ptr, text.len, "://", 3))
        return -FW_EINVAL;
    if (text.len == 0 || !split(text, &host, &port) || host.len > FW_HOST_MAX)
        return -FW_EINVAL;
    for (size_t i = 0; i < host.len; i++)
        if (isspace((unsigned char)host.ptr[i]) || strchr("/@?#[]", host.ptr[i]) != NULL)
            return -FW_EINVAL;
    int number = read_port(port);
    if (number < 0)
        return -FW_EINVAL;
    out->port = (unsigned)number;
    out->tls = tls;
    if (host.len == 0)
        host = (fw_span){"127.0.0.1", 9};
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    return 0;
}

void fw_address_format(char *out, size_t capacity, const fw_address *address)
{
    FW_ASSERT(capacity > 0);
    bool six = strchr(address->host, ':') != NULL;
    snprintf(out, capacity, "%stcp://%s%s%s:%u", address->tls ? "tls+" : "", six ? "[" : "",
             address->host, six ? "]" : "", address->port);
}

int fw_address_is_wildcard(const fw_address *address)
{
    return strcmp(address->host, "0.0.0.0") == 0 || strcmp(address->host, "::") == 0 ||
           strcmp(address->host, "*") == 0;
}

static int resolve_name(fw_endpoint *out, const char **reason, const fw_address *address)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    snprintf(port, sizeof(port), "%u", address->port);
    int rc = getaddrinfo(address->host, port, &hints, &found);
    if (rc != 0) {
        *reason = gai_strerror(rc);
        return -FW_ENOCONN;
    }
    FW_ASSERT(found->ai_addrlen <= sizeof(out->socket));
    memcpy(&out->socket, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int fw_address_resolve(fw_endpoint *out, const char **reason, const fw_address *address)
{
    FW_ASSERT(address->port <= UINT16_MAX);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)address->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)address->port)};
    *out = (fw_endpoint){.tls = address->tls};
    memcpy(out->host, address->host, sizeof(out->host));
    if (inet_pton(AF_INET, address->host, &four.sin_addr) == 1) {
        memcpy(&out->socket, &four, sizeof(four));
        out->len = sizeof(four);
        return 0;
    }
    if (inet_pton(AF_INET6, address->host, &six.sin6_addr) == 1) {
        memcpy(&out->socket, &six, sizeof(six));
        out->len = sizeof(six);
        return 0;
    }
    return resolve_name(out, reason, address);
}
