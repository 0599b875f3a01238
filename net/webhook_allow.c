/* net/webhook_allow.c - see net/webhook_allow.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/webhook_allow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/key.h"

enum { PART_MAX = 255, ADDRESS_MAX = 2048, PATTERNS_MAX = 256 };

typedef struct parts {
    char scheme[8];
    char host[PART_MAX + 1]; /* in small letters, IPv6 in brackets */
    unsigned port;
} parts;

typedef struct pattern {
    parts parts;
    bool any_port;
    bool by_name;
} pattern;

struct fw_allow {
    size_t count;
    pattern patterns[PATTERNS_MAX];
};

static bool is_scheme(const char *text)
{
    return strcmp(text, "tcp") == 0 || strcmp(text, "http") == 0 || strcmp(text, "https") == 0;
}

static unsigned usual_port(const char *scheme)
{
    return strcmp(scheme, "http") == 0 ? 80 : strcmp(scheme, "https") == 0 ? 443 : 0;
}

static void to_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* --- patterns --- */

static bool read_port(pattern *p, const char *text)
{
    char *end;
    if (strcmp(text, "*") == 0) {
        p->any_port = true;
        return true;
    }
    long port = strtol(text, &end, 10);
    p->parts.port = (unsigned)port;
    return *text >= '0' && *text <= '9' && *end == '\0' && port >= 1 && port <= 65535;
}

static bool read_pattern(pattern *p, char *text)
{
    *p = (pattern){.any_port = false};
    char *host = strstr(text, "://");
    if (!host || (size_t)(host - text) >= sizeof p->parts.scheme)
        return false;
    *host = '\0';
    host += 3;
    to_lower(text);
    snprintf(p->parts.scheme, sizeof p->parts.scheme, "%.7s", text);
    if (!is_scheme(p->parts.scheme))
        return false;
    char *from = host[0] == '[' ? strchr(host, ']') : host;
    if (!from || strchr(host, '/') || strchr(host, '@'))
        return false;
    char *colon = strchr(from, ':');
    if (colon)
        *colon = '\0';
    if (*host == '\0' || strlen(host) > PART_MAX)
        return false;
    snprintf(p->parts.host, sizeof p->parts.host, "%s", host);
    to_lower(p->parts.host);
    p->by_name = strchr(host, '*') == NULL;
    p->parts.port = usual_port(p->parts.scheme);
    return colon ? read_port(p, colon + 1) : p->parts.port != 0;
}

static int fill(fw_allow *allow, char *error, size_t capacity, const char *at)
{
    char text[PART_MAX + 32];
    while (*(at += strspn(at, " ,"))) {
        size_t len = strcspn(at, " ,");
        snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), at);
        bool none = strcmp(text, "none") == 0;
        if (!none && (allow->count == PATTERNS_MAX || len >= sizeof text ||
                      !read_pattern(&allow->patterns[allow->count], text))) {
            snprintf(error, capacity,
                     "callback-allow: '%.*s' is not tcp://host:port, http://host:port or "
                     "https://host:port, with * in host or port",
                     (int)(len < 200 ? len : 200), at);
            return -FW_EINVAL;
        }
        allow->count += !none;
        at += len;
    }
    return 0;
}

int fw_allow_create(fw_allow **out, char *error, size_t error_capacity, const char *patterns)
{
    fw_allow *allow = calloc(1, sizeof *allow);
    if (!allow) {
        snprintf(error, error_capacity, "no memory");
        return -FW_ENOMEM;
    }
    int rc = fill(allow, error, error_capacity, patterns ? patterns : "");
    if (rc < 0)
        free(allow);
    else
        *out = allow;
    return rc;
}

void fw_allow_destroy(fw_allow *allow)
{
    free(allow);
}

bool fw_allow_has_http(const fw_allow *allow)
{
    for (size_t i = 0; i < allow->count; i++)
        if (allow->patterns[i].parts.scheme[0] == 'h')
            return true;
    return false;
}

/* --- addresses --- */

static bool take(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t capacity)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK || !text)
        return false;
    size_t len = strlen(text);
    if (len < capacity)
        memcpy(out, text, len + 1);
    curl_free(text);
    return len < capacity;
}

static bool take_apart(parts *out, const char *address)
{
    char port[8];
    CURLU *url = curl_url();
    if (!url)
        return false;
    /* tcp is no scheme that the library speaks; it only takes it apart. */
    unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER;
    bool good = curl_url_set(url, CURLUPART_URL, address, flags) == CURLUE_OK &&
                take(url, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) &&
                take(url, CURLUPART_HOST, 0, out->host, sizeof out->host);
    out->port = 0;
    if (good && take(url, CURLUPART_PORT, 0, port, sizeof port))
        out->port = (unsigned)strtoul(port, NULL, 10);
    curl_url_cleanup(url);
    if (!good || !is_scheme(out->scheme))
        return false;
    if (out->port == 0)
        out->port = usual_port(out->scheme);
    to_lower(out->host);
    return out->port != 0;
}

/* '*' is any number of any characters. */
static bool fits(const char *wanted, const char *text)
{
    const char *star = NULL, *mark = NULL;
    while (*text) {
        if (*wanted == '*') {
            star = wanted++;
            mark = text;
        } else if (*wanted == *text) {
            wanted++;
            text++;
        } else if (star) {
            wanted = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*wanted == '*')
        wanted++;
    return *wanted == '\0';
}

fw_allowed fw_allow_judge(const fw_allow *allow, fw_span address, uint64_t *host_hash)
{
    char text[ADDRESS_MAX];
    parts a;
    fw_allowed verdict = FW_ALLOWED_NOT;
    if (address.len == 0 || address.len >= sizeof text || memchr(address.ptr, 0, address.len))
        return FW_ALLOWED_NOT;
    memcpy(text, address.ptr, address.len);
    text[address.len] = '\0';
    if (!take_apart(&a, text))
        return FW_ALLOWED_NOT;
    for (size_t i = 0; i < allow->count; i++) {
        const pattern *p = &allow->patterns[i];
        if (strcmp(p->parts.scheme, a.scheme) != 0 || !fits(p->parts.host, a.host) ||
            (!p->any_port && p->parts.port != a.port))
            continue;
        if (p->by_name)
            verdict = FW_ALLOWED_BY_NAME;
        else if (verdict == FW_ALLOWED_NOT)
            verdict = FW_ALLOWED_BY_PATTERN;
    }
    int len = snprintf(text, sizeof text, "%s://%s:%u", a.scheme, a.host, a.port);
    if (host_hash)
        *host_hash = fw_key_hash(
            fw_key_from_text((fw_span){text, len < FW_ID_MAX ? (size_t)len : FW_ID_MAX}));
    return verdict;
}

/* --- where it turns out to be --- */

static bool is_within(uint32_t address, uint32_t network, unsigned bits)
{
    return (address ^ network) >> (32 - bits) == 0;
}

static bool is_private_v4(uint32_t a)
{
    static const struct {
        uint32_t network;
        unsigned bits;
    } list[] = {{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
                {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24},
                {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24},
                {0xe0000000, 4},  {0xf0000000, 4}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (is_within(a, list[i].network, list[i].bits))
            return true;
    return false;
}

static uint32_t word_at(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Only what is given out to the public (2000::/3) is not private; some of that stands for an IPv4
 * address. */
static bool is_private_v6(const unsigned char a[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char translated[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0)
        return is_private_v4(word_at(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return is_private_v4(word_at(a + 2));
    bool teredo = word_at(a) == 0x20010000, documentation = word_at(a) == 0x20010db8;
    return (a[0] & 0xe0) != 0x20 || teredo || documentation;
}

bool fw_socket_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        return is_private_v4(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        return is_private_v6(six.sin6_addr.s6_addr);
    }
    return true;
}
