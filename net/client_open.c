/* net/client_open.c - from options and environment to a client that is connected.
 *
 * Address given (option or FASTWORKER_CONTROL_PLANE_ADDRESS): dialled at once. Otherwise the
 * discovery address is asked. What kind of control plane it is, is told by discovery or found out
 * by one query. Only this file blocks without the client's lock: nobody else has the client yet.
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/client_core.h"
#include "net/sp.h"

#define DISCOVERY_DEFAULT "tcp://127.0.0.1:5550"
#define SECONDS           FW_NS_PER_S
enum {
    TIMEOUT_DEFAULT_S = 30,
    RETRIES_DEFAULT = 3,
    IN_FLIGHT_DEFAULT = 4096,
    IN_FLIGHT_MAX = 1 << 20,
    DISCOVERY_S = 7 /* three announcements of the slowest peer, and a little */
};

/* --- one exchange with somebody not known yet --- */

static int not_there(const fw_address *address, const char *reason)
{
    char text[FW_ADDRESS_MAX];
    fw_address_format(text, sizeof(text), address);
    return fw_client_fail(FW_ENOCONN,
                          "no control plane at %s (%s). Start one with 'fastworker "
                          "control-plane', or set FASTWORKER_CONTROL_PLANE_ADDRESS.",
                          text, reason);
}

static int not_ours(const fw_address *address, int err, const char *reason)
{
    char text[FW_ADDRESS_MAX];
    fw_address_format(text, sizeof(text), address);
    return fw_client_fail(err, "no control plane for us at %s (%s).", text, reason);
}

/* Sleeps until the stream is ready for more. False: the deadline passed. */
static bool stream_poll(const fw_stream *stream, int64_t deadline_ns)
{
    int64_t left = deadline_ns - fw_now_ns();
    struct pollfd ready = {.fd = stream->fd, .events = fw_stream_wants(stream)};
    if (left <= 0)
        return false;
    poll(&ready, 1, (int)((left + FW_NS_PER_MS - 1) / FW_NS_PER_MS));
    return true;
}

int fw_client_dial(fw_stream *stream, const fw_address *address, int64_t deadline_ns)
{
    fw_endpoint endpoint;
    const char *reason = "";
    if (fw_address_resolve(&endpoint, &reason, address) < 0)
        return not_there(address, reason);
    int rc = fw_stream_connect(stream, &endpoint);
    while (rc == 0 && stream->state != FW_STREAM_READY) {
        if (!stream_poll(stream, deadline_ns)) {
            bool greeted = stream->state == FW_STREAM_GREETING;
            fw_stream_close(stream);
            not_there(address, greeted ? "it accepts but does not answer" : "no answer in time");
            return -FW_ETIME;
        }
        rc = fw_stream_advance(stream);
    }
    if (rc == -FW_EAUTH || rc == -FW_EPROTO)
        return not_ours(address, -rc, stream->error);
    if (rc < 0)
        not_there(address, stream->error);
    return rc;
}

/* Two parts, the second of any size. */
static int write_all(fw_stream *stream, struct iovec parts[2], int64_t deadline_ns)
{
    int first = 0;
    while (first < 2) {
        ssize_t taken = fw_stream_write(stream, parts + first, 2 - first);
        if (taken < 0)
            return fw_client_fail(FW_ENOCONN, "the connection broke: %s", stream->error);
        if (taken == 0 && !stream_poll(stream, deadline_ns))
            return fw_client_fail(FW_ETIME, "the control plane does not read what it is sent");
        while (first < 2 && (size_t)taken >= parts[first].iov_len)
            taken -= (ssize_t)parts[first++].iov_len;
        if (first < 2) {
            parts[first].iov_base = (char *)parts[first].iov_base + taken;
            parts[first].iov_len -= (size_t)taken;
        }
    }
    return 0;
}

int fw_client_ask(fw_stream *stream, fw_span *reply, fw_span body, int64_t deadline_ns)
{
    enum { PREFIX = FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES };
    unsigned char prefix[PREFIX];
    union {
        const char *from;
        void *to;
    } bytes = {.from = body.ptr};
    fw_sp_length_write(prefix, FW_SP_WORD_BYTES + body.len);
    fw_sp_word_write(prefix + FW_SP_LENGTH_BYTES, FW_SP_REQUEST_BIT);
    struct iovec parts[] = {{prefix, PREFIX}, {bytes.to, body.len}};
    FW_ASSERT(stream->state == FW_STREAM_READY);
    int rc = write_all(stream, parts, deadline_ns);
    if (rc < 0)
        return rc;
    for (;;) {
        fw_span message;
        fw_sp_request request;
        fw_stream_message got = fw_stream_next(stream, &message);
        if (got == FW_STREAM_BAD ||
            (got == FW_STREAM_MESSAGE && !fw_sp_request_read(&request, message)))
            return fw_client_fail(FW_EPROTO, "the peer does not speak FastWorker's protocol");
        if (got == FW_STREAM_MESSAGE && request.id == FW_SP_REQUEST_BIT) {
            *reply = request.body;
            return 0;
        }
        if (got == FW_STREAM_NONE && !stream_poll(stream, deadline_ns))
            return fw_client_fail(FW_ETIME, "the control plane accepts, but does not answer");
        if (got == FW_STREAM_NONE && fw_stream_fill(stream) < 0)
            return fw_client_fail(FW_ENOCONN, "the connection broke: %s", stream->error);
    }
}

/* --- settings --- */

/* Seconds, or a number with ms, s, m, h. Negative: not understood. */
static int64_t read_duration_ns(const char *text)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"m", 60e9}, {"h", 3600e9}};
    char *end;
    double number = strtod(text, &end);
    if (end == text || !(number >= 0 && number < 1e6))
        return -1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].unit) == 0)
            return (int64_t)(number * units[i].ns);
    return -1;
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static int set_limits(fw_client *c, const fw_client_options *options)
{
    const char *timeout = env("FASTWORKER_TIMEOUT"), *retries = env("FASTWORKER_RETRIES");
    const char *form = env("FASTWORKER_SERIALIZATION_FORMAT");
    char *end;
    if (form != NULL && strcasecmp(form, "JSON") != 0)
        return fw_client_fail(
            FW_EINVAL, "FASTWORKER_SERIALIZATION_FORMAT is '%s'; only JSON is supported", form);
    c->timeout_ns = options->timeout_ms * FW_NS_PER_MS;
    if (options->timeout_ms == 0 && timeout != NULL &&
        (c->timeout_ns = read_duration_ns(timeout)) < 0)
        return fw_client_fail(FW_EINVAL,
                              "FASTWORKER_TIMEOUT is '%s', which is no number of seconds", timeout);
    if (c->timeout_ns <= 0)
        c->timeout_ns = TIMEOUT_DEFAULT_S * SECONDS;
    long count = options->retries;
    if (count == 0 && retries != NULL) {
        count = strtol(retries, &end, 10);
        if (end == retries || *end != '\0' || count < 0 || count > 1000)
            return fw_client_fail(FW_EINVAL, "FASTWORKER_RETRIES is '%s', which is no count",
                                  retries);
    }
    c->retries = count == 0 ? RETRIES_DEFAULT : count < 0 ? 0 : (int)count;
    c->in_flight_max = options->in_flight > 0 ? (size_t)options->in_flight : IN_FLIGHT_DEFAULT;
    if (c->in_flight_max > IN_FLIGHT_MAX)
        c->in_flight_max = IN_FLIGHT_MAX;
    return 0;
}

static int read_address(fw_address *out, const char *text)
{
    if (fw_address_parse(out, (fw_span){text, strlen(text)}) == 0)
        return 0;
    return fw_client_fail(
        FW_EINVAL, "'%s' is not an address of the form tcp://host:port or tls+tcp://host:port",
        text);
}

/* --- connecting --- */

static int connect_to(fw_client *c, const fw_client_options *options, int native,
                      int64_t deadline_ns)
{
    const char *transport = env("FASTWORKER_TRANSPORT");
    fw_address_format(c->address_text, sizeof(c->address_text), &c->address);
    if (c->address.port > UINT16_MAX - 5)
        return fw_client_fail(FW_EINVAL, "%s leaves no room for the five ports after it",
                              c->address_text);
    int rc = fw_client_secure(c, options);
    if (rc < 0)
        return rc;
    if (transport != NULL && strcmp(transport, "compat") == 0)
        return fw_client_python_open(c, deadline_ns);
    rc = fw_client_native_open(c, &native, deadline_ns);
    return rc == 0 && native == 0 ? fw_client_python_open(c, deadline_ns) : rc;
}

static int find_and_connect(fw_client *c, const fw_client_options *options, int64_t deadline_ns)
{
    fw_address discovery;
    const char *address = options->control_plane, *where = options->discovery;
    int native = -1;
    /* What the caller says goes before what the environment says, also when it is the other way to
     * say it. */
    if (address == NULL && where == NULL)
        address = env("FASTWORKER_CONTROL_PLANE_ADDRESS");
    if (address != NULL) {
        int rc = read_address(&c->address, address);
        return rc < 0 ? rc : connect_to(c, options, native, deadline_ns);
    }
    if (where == NULL)
        where = env("FASTWORKER_DISCOVERY_ADDRESS");
    int rc = read_address(&discovery, where == NULL ? DISCOVERY_DEFAULT : where);
    if (rc < 0)
        return rc;
    int64_t patience = fw_now_ns() + DISCOVERY_S * SECONDS;
    rc = fw_client_discover(&c->address, &native, &discovery,
                            patience < deadline_ns ? patience : deadline_ns);
    return rc < 0 ? rc : connect_to(c, options, native, deadline_ns);
}

static int connect_with_retries(fw_client *c, const fw_client_options *options)
{
    int64_t deadline_ns = fw_now_ns() + c->timeout_ns;
    for (int tries = 0;; tries++) {
        int rc = find_and_connect(c, options, deadline_ns);
        int64_t pause = fw_client_backoff_ns(tries);
        if (rc != -FW_ENOCONN || tries >= c->retries || fw_now_ns() + pause > deadline_ns)
            return rc;
        poll(NULL, 0, (int)(pause / FW_NS_PER_MS));
    }
}

static fw_client *client_create(void)
{
    pthread_condattr_t attributes;
    fw_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->turn, &attributes);
    pthread_condattr_destroy(&attributes);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (c->epoll >= 0 && c->timer >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->timer, &event) == 0)
        return c;
    fw_client_destroy(c);
    return NULL;
}

int fw_client_open(fw_client **out, const fw_client_options *options)
{
    FW_ASSERT(out != NULL);
    fw_client_options all = {.size = sizeof(all)};
    if (options != NULL && options->size > sizeof(all))
        return fw_client_fail(FW_EABI, "the program was built for a newer libfastworker");
    if (options != NULL)
        memcpy(&all, options, options->size);
    fw_client *c = client_create();
    if (c == NULL)
        return fw_client_fail(FW_ENOMEM, "no memory or descriptor for a client: %s",
                              strerror(errno));
    int rc = set_limits(c, &all);
    if (rc == 0)
        rc = fw_client_take_token(c, &all);
    if (rc == 0)
        rc = connect_with_retries(c, &all);
    if (rc < 0) {
        fw_client_destroy(c);
        return rc;
    }
    *out = c;
    return 0;
}
