/* net/uplink_seek.c - where the control plane is: as told, or by discovery.
 *
 * Two ways are tried at once, and the first answer wins: the bus at the discovery address, where
 * every control plane announces itself (a Python one every 2 s), and one port above it, where those
 * of this project publish. A port that is closed, or used for something else, is no obstacle.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/client_core.h"
#include "net/sp.h"
#include "net/uplink_state.h"

enum { MESSAGE_MAX = 64 * 1024, WAYS = 2 };
/* More than the time between two announcements. */
static const int64_t look_ns = 2500 * FW_NS_PER_MS;

static bool begins_with(fw_span *text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (text->len < n || memcmp(text->ptr, prefix, n) != 0)
        return false;
    text->ptr += n;
    text->len -= n;
    return true;
}

static bool read_text(fw_address *out, fw_span text)
{
    if (begins_with(&text, "WORKER_ANNOUNCE:"))
        return fw_client_read_announcement(out, text);
    return begins_with(&text, "fw1/announce\n") && fw_client_read_capabilities(out, text);
}

/* Takes what has arrived. True: an address. A way that leads nowhere is closed. */
static bool hear(fw_stream *way, fw_address *out)
{
    fw_span message;
    if (way->state != FW_STREAM_READY &&
        (fw_stream_advance(way) < 0 || way->state != FW_STREAM_READY))
        return false;
    do {
        fw_stream_message got;
        while ((got = fw_stream_next(way, &message)) == FW_STREAM_MESSAGE) {
            if (read_text(out, message))
                return true;
        }
        if (got == FW_STREAM_BAD)
            fw_stream_close(way);
    } while (fw_stream_fill(way) > 0);
    return false;
}

static bool hear_any(fw_stream ways[WAYS], fw_address *out)
{
    for (int i = 0; i < WAYS; i++) {
        if (ways[i].fd >= 0 && hear(&ways[i], out))
            return true;
    }
    return false;
}

static bool is_any_open(const fw_stream ways[WAYS])
{
    return ways[0].fd >= 0 || ways[1].fd >= 0;
}

static void explain(fw_uplink *uplink, const char *reason)
{
    snprintf(uplink->why, sizeof uplink->why, "no control plane found by discovery at %.60s: %.60s",
             uplink->config.discovery, reason);
}

static bool look(fw_uplink *uplink, const fw_address *discovery)
{
    static const unsigned protocols[WAYS] = {FW_SP_BUS0, FW_SP_SUB0};
    fw_stream ways[WAYS];
    fw_stream *const both[WAYS] = {&ways[0], &ways[1]};
    int64_t until_ns = fw_now_ns() + look_ns;
    const char *reason = "";
    bool found = false;
    for (unsigned i = 0; i < WAYS; i++) {
        fw_endpoint endpoint;
        fw_address to = *discovery;
        to.port += i;
        fw_stream_init(&ways[i], protocols[i], MESSAGE_MAX);
        if (fw_address_resolve(&endpoint, &reason, &to) == 0)
            (void)fw_stream_connect(&ways[i], &endpoint);
    }
    while (!(found = hear_any(ways, &uplink->peer)) && is_any_open(ways) &&
           fw_uplink_wait(uplink, both, WAYS, until_ns))
        ;
    if (is_any_open(ways))
        reason = "nobody has announced itself";
    else if (ways[0].error[0])
        reason = ways[0].error;
    if (!found)
        explain(uplink, reason);
    for (unsigned i = 0; i < WAYS; i++)
        fw_stream_close(&ways[i]);
    return found;
}

int fw_uplink_seek(fw_uplink *uplink)
{
    const fw_uplink_config *config = &uplink->config;
    const char *text = config->control_plane ? config->control_plane : config->discovery;
    fw_address given;
    if (fw_address_parse(&given, (fw_span){text, strlen(text)}) < 0) {
        snprintf(uplink->why, sizeof uplink->why, "%.100s: not a tcp://host:port address", text);
        return -FW_EINVAL;
    }
    if (config->control_plane) {
        uplink->peer = given;
        return 0;
    }
    if (!look(uplink, &given))
        return -FW_ENOCONN;
    /* "0.0.0.0" is where it listens; it can be reached where discovery was. */
    if (fw_address_is_wildcard(&uplink->peer))
        memcpy(uplink->peer.host, given.host, sizeof uplink->peer.host);
    return 0;
}
