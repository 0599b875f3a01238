/* net/client_events.c - a subscriber: finds the PUB port by the capabilities that a control plane
 * tells at its discovery port, and reads what comes. Covered by tests/app/events_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fastworker/subscribe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "net/client_core.h"
#include "net/sp.h"

enum { MESSAGE_MAX = 1 << 20, PATIENCE_MS = 7000 };
static const char event_topic[] = "fw1/event/", caps_mark[] = "FASTWORKER_CAPS:";
static const char discovery_default[] = "tcp://127.0.0.1:5550";

struct fw_subscription {
    fw_stream stream;
};

static bool cut(fw_span *text, const char *prefix, size_t len)
{
    if (text->len < len || memcmp(text->ptr, prefix, len) != 0)
        return false;
    text->ptr += len;
    text->len -= len;
    return true;
}

/* 1: a message; 0: the time is over, or a signal came; -FW_ENOCONN. */
static int next_message(fw_stream *stream, fw_span *message, int64_t until_ns)
{
    for (;;) {
        fw_stream_message got = fw_stream_next(stream, message);
        if (got == FW_STREAM_MESSAGE)
            return 1;
        int filled = got == FW_STREAM_BAD ? -FW_EPROTO : fw_stream_fill(stream);
        if (filled < 0)
            return fw_client_fail(FW_ENOCONN, "the control plane has closed the connection");
        if (filled > 0)
            continue;
        int64_t left_ns = until_ns - fw_now_ns();
        if (left_ns <= 0)
            return 0;
        int64_t left_ms = left_ns / FW_NS_PER_MS + 1;
        struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
        if (poll(&ready, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) < 0 && errno == EINTR)
            return 0;
    }
}

static bool read_pub(fw_address *pub, fw_span json, const fw_address *discovery)
{
    char buffer[FW_ADDRESS_MAX];
    fw_span text;
    fw_json value = fw_json_parse(json);
    if (value.type != FW_JSON_OBJECT ||
        !fw_json_string(fw_json_get(value, "pub"), buffer, sizeof buffer, &text) ||
        fw_address_parse(pub, text) < 0)
        return false;
    /* "0.0.0.0" is where it listens; it can be reached where discovery was. */
    if (fw_address_is_wildcard(pub))
        memcpy(pub->host, discovery->host, sizeof pub->host);
    return true;
}

/* What follows capabilities is the announcement of the same control plane; an announcement alone
 * is a Python one's. */
static int find_pub(fw_address *pub, const fw_address *discovery, int64_t until_ns)
{
    fw_stream bus;
    fw_span message;
    fw_stream_init(&bus, FW_SP_BUS0, MESSAGE_MAX);
    int rc = fw_client_dial(&bus, discovery, until_ns);
    bool found = false, other = false;
    while (rc == 0 && !found && (rc = next_message(&bus, &message, until_ns)) > 0) {
        rc = 0;
        if (cut(&message, caps_mark, sizeof caps_mark - 1))
            found = read_pub(pub, message, discovery);
        else
            other = true;
        if (other)
            break;
    }
    fw_stream_close(&bus);
    if (rc < 0 || found)
        return rc;
    return other ? fw_client_fail(FW_EPROTO, "that control plane tells no events (a Python one?)")
                 : fw_client_fail(FW_ETIME, "no control plane announced itself in time");
}

int fw_subscribe(fw_subscription **out, const char *where, int64_t wait_ms)
{
    fw_address discovery, pub;
    int64_t until_ns = fw_now_ns() + (wait_ms > 0 ? wait_ms : PATIENCE_MS) * FW_NS_PER_MS;
    if (!where || !*where)
        where = getenv("FASTWORKER_DISCOVERY_ADDRESS");
    if (!where || !*where)
        where = discovery_default;
    if (fw_address_parse(&discovery, (fw_span){where, strlen(where)}) < 0)
        return fw_client_fail(FW_EINVAL, "'%s' is not an address of the form tcp://host:port",
                              where);
    int rc = find_pub(&pub, &discovery, until_ns);
    if (rc < 0)
        return rc;
    fw_subscription *s = calloc(1, sizeof *s);
    if (!s)
        return fw_client_fail(FW_ENOMEM, "out of memory");
    fw_span greeting;
    fw_stream_init(&s->stream, FW_SP_SUB0, MESSAGE_MAX);
    rc = fw_client_dial(&s->stream, &pub, until_ns);
    /* It is counted among the listeners before it is greeted. */
    if (rc == 0 && next_message(&s->stream, &greeting, until_ns) == 0)
        rc = fw_client_fail(FW_ETIME, "the PUB port accepts but says nothing");
    if (rc < 0) {
        fw_subscription_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int fw_subscription_next(fw_subscription *s, int64_t wait_ms, fw_event_text *event)
{
    fw_span message;
    int64_t until_ns = wait_ms < 0 ? INT64_MAX : fw_now_ns() + wait_ms * FW_NS_PER_MS;
    int rc;
    while ((rc = next_message(&s->stream, &message, until_ns)) > 0) {
        if (!cut(&message, event_topic, sizeof event_topic - 1))
            continue;
        const char *end = memchr(message.ptr, '\n', message.len);
        if (!end)
            continue;
        size_t name = (size_t)(end - message.ptr);
        event->name = (fw_span){message.ptr, name};
        event->json = (fw_span){end + 1, message.len - name - 1};
        return 1;
    }
    return rc;
}

int fw_subscription_fd(const fw_subscription *s)
{
    return s->stream.fd;
}

void fw_subscription_close(fw_subscription *s)
{
    if (!s)
        return;
    fw_stream_close(&s->stream);
    free(s);
}
