/* net/client_discovery.c - hears where a control plane is.
 *
 * Dials the discovery port as a Bus0 peer and returns at the first announcement; nothing is sent. A
 * control plane of this project says FASTWORKER_CAPS:{...} just before each
 * WORKER_ANNOUNCE:<id>:<address>, where Python peers ignore it. Everything else on the bus is
 * ignored, like announcements that give no address. SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/client_core.h"
#include "net/sp.h"

enum { BUS_MESSAGE_MAX = 64 * 1024 };

static bool begins_with(fw_span *text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (text->len < n || memcmp(text->ptr, prefix, n) != 0)
        return false;
    text->ptr += n;
    text->len -= n;
    return true;
}

/* How many bytes the UTF-8 sequence at p takes; 0: it is none. */
static size_t utf8_step(const unsigned char *p, size_t len)
{
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
        return 0;
    unsigned code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[n] || code > 0x10ffff || surrogate ? 0 : n;
}

static bool is_utf8(fw_span text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    for (size_t at = 0, n; at < text.len; at += n)
        if ((n = utf8_step(p + at, text.len - at)) == 0)
            return false;
    return true;
}

bool fw_client_read_capabilities(fw_address *base, fw_span json)
{
    char buffer[FW_ADDRESS_MAX];
    fw_span text;
    int64_t version;
    fw_json value = fw_json_parse(json);
    if (value.type != FW_JSON_OBJECT || !fw_json_int(fw_json_get(value, "v"), &version) ||
        version < 1)
        return false;
    return fw_json_string(fw_json_get(value, "base"), buffer, sizeof(buffer), &text) &&
           fw_address_parse(base, text) == 0;
}

bool fw_client_read_announcement(fw_address *base, fw_span text)
{
    const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL || !is_utf8(text))
        return false;
    size_t used = (size_t)(colon - text.ptr) + 1;
    return fw_address_parse(base, (fw_span){text.ptr + used, text.len - used}) == 0;
}

/* Takes what has arrived. True: *out is an address that was announced. */
static bool hear(fw_stream *bus, fw_address *capable, fw_address *out, bool *over)
{
    fw_span message;
    fw_stream_message got;
    while ((got = fw_stream_next(bus, &message)) == FW_STREAM_MESSAGE) {
        if (begins_with(&message, "FASTWORKER_CAPS:"))
            fw_client_read_capabilities(capable, message);
        else if (begins_with(&message, "WORKER_ANNOUNCE:") &&
                 fw_client_read_announcement(out, message))
            return true;
    }
    *over = got == FW_STREAM_BAD;
    return false;
}

static int listen_to(fw_stream *bus, fw_address *out, fw_address *capable, int64_t deadline_ns)
{
    bool over = false;
    while (!hear(bus, capable, out, &over)) {
        int64_t left = deadline_ns - fw_now_ns();
        struct pollfd ready = {.fd = bus->fd, .events = POLLIN};
        int filled = over ? -FW_ENOCONN : fw_stream_fill(bus);
        if (filled < 0)
            return -FW_ENOCONN;
        if (left <= 0)
            return -FW_ETIME;
        if (filled == 0)
            poll(&ready, 1, (int)(left / FW_NS_PER_MS) + 1);
    }
    return 0;
}

int fw_client_discover(fw_address *out, int *native, const fw_address *discovery,
                       int64_t deadline_ns)
{
    char text[FW_ADDRESS_MAX];
    fw_stream bus;
    fw_address capable = {.port = 0}, found;
    FW_ASSERT(out != NULL && native != NULL);
    fw_stream_init(&bus, FW_SP_BUS0, BUS_MESSAGE_MAX);
    int rc = fw_client_dial(&bus, discovery, deadline_ns);
    if (rc == 0 && (rc = listen_to(&bus, &found, &capable, deadline_ns)) < 0) {
        fw_address_format(text, sizeof(text), discovery);
        fw_client_fail(rc,
                       rc == -FW_ETIME ? "no control plane announced itself at %s in time"
                                       : "discovery at %s ended early",
                       text);
    }
    fw_stream_close(&bus);
    if (rc < 0)
        return rc;
    *native = capable.port == found.port && strcmp(capable.host, found.host) == 0 ? 1 : -1;
    /* "0.0.0.0" is where it listens; it can be reached where discovery was. */
    if (fw_address_is_wildcard(&found))
        memcpy(found.host, discovery->host, sizeof(found.host));
    *out = found;
    return 0;
}
