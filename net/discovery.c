/* net/discovery.c - see net/discovery.h.
 *
 * The texts never change while the process lives, so they are made once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/key.h"
#include "net/audience.h"
#include "net/egress.h"
#include "net/listener.h"
#include "net/sp.h"

enum { PERIOD_MS = 1000, EVENT_NAME_MAX = 128 };

struct fw_discovery {
    /* Immutable after start. */
    fw_exchange *exchange;
    fw_port bus, pub;
    fw_hearers events_for;
    fw_listener *bus_listener, *pub_listener;
    fw_buffer announcement, capabilities,
        topic; /* the texts; topic: announce topic and capabilities */
    nng_aio *timer;
    /* Shared. */
    fw_audience hearers, subscribers, listeners; /* listeners: subscribers that hear events */
    fw_atomic(uint64_t) announcements, missed;
    fw_atomic(bool) hidden;
};

static fw_span span_of(const fw_buffer *buffer)
{
    return (fw_span){buffer->data, buffer->len};
}

/* ---- Peers ---- */

static bool is_hidden(fw_discovery *d)
{
    /* Relaxed: one announcement more or less. */
    return fw_load_relaxed(&d->hidden);
}

/* First the audience, then the greeting: who has heard the announcement hears every event from then
 * on. */
static void greet(fw_discovery *d, fw_audience *audience, fw_connection *connection,
                  const fw_span *texts, size_t count)
{
    if (!fw_audience_add(audience, fw_connection_number(connection)))
        fw_connection_close(connection, FW_CLOSED_BY_US);
    else if (!is_hidden(d))
        fw_egress_post(d->exchange, fw_connection_number(connection), texts, count);
}

static void greet_hearer(const fw_port *port, fw_connection *connection)
{
    fw_discovery *d = port->context;
    fw_span texts[] = {span_of(&d->capabilities), span_of(&d->announcement)};
    greet(d, &d->hearers, connection, texts, 2);
}

static void greet_subscriber(const fw_port *port, fw_connection *connection)
{
    fw_discovery *d = port->context;
    fw_span topic = span_of(&d->topic);
    bool local = d->events_for == FW_HEARS_LOOPBACK && fw_connection_is_local(connection);
    if ((local || d->events_for == FW_HEARS_ANYBODY) &&
        !fw_audience_add(&d->listeners, fw_connection_number(connection)))
        fw_connection_close(connection, FW_CLOSED_BY_US);
    greet(d, &d->subscribers, connection, &topic, 1);
}

/* Peers have nothing to say here; what they say is passed over. */
static ssize_t pass_over(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                         size_t len)
{
    (void)connection;
    size_t used = 0;
    while (used < len) {
        fw_span message;
        size_t size;
        fw_sp_outcome outcome = fw_sp_next(&message, &size, bytes + used, len - used,
                                           port->exchange->limits.message_max);
        if (outcome == FW_SP_TOO_BIG)
            return -1;
        if (outcome == FW_SP_MORE)
            break;
        used += size;
    }
    return (ssize_t)used;
}

static void on_period(void *argument)
{
    fw_discovery *d = argument;
    if (nng_aio_result(d->timer) != 0)
        return;
    if (!is_hidden(d)) {
        fw_span texts[] = {span_of(&d->capabilities), span_of(&d->announcement)};
        fw_span topic = span_of(&d->topic);
        fw_audience_tell(&d->hearers, texts, 2);
        fw_audience_tell(&d->subscribers, &topic, 1);
        /* Relaxed: a figure to be shown. */
        fw_add_relaxed(&d->announcements, 1);
    }
    nng_sleep_aio(PERIOD_MS, d->timer);
}

void fw_discovery_publish(fw_discovery *d, const char *event, fw_span json)
{
    FW_ASSERT(strlen(event) <= EVENT_NAME_MAX);
    if (fw_audience_is_empty(&d->listeners))
        return;
    fw_buffer text = {NULL, 0, 0, false};
    fw_buffer_text(&text, "fw1/event/");
    fw_buffer_text(&text, event);
    fw_buffer_add(&text, "\n", 1);
    fw_buffer_add(&text, json.ptr, json.len);
    if (!text.failed) {
        fw_span message = span_of(&text);
        /* Relaxed: a figure to be shown. */
        if (fw_audience_tell(&d->listeners, &message, 1) > 0)
            fw_add_relaxed(&d->missed, 1);
    }
    fw_buffer_fini(&text);
}

/* ---- Start ---- */

static bool write_texts(fw_discovery *d, const fw_discovery_config *config,
                        const fw_tcp_address *listening)
{
    fw_tcp_address pub = *listening, base;
    if (fw_tcp_address_parse(&base, (fw_span){config->address, strlen(config->address)}) == 0)
        memcpy(pub.host, base.host, sizeof pub.host);
    pub.port = d->pub.bound;
    char pub_text[FW_TCP_ADDRESS_MAX], epoch[FW_UUID_TEXT];
    fw_tcp_address_format(pub_text, &pub);
    fw_key_format(epoch, fw_key_random());
    fw_buffer json = {NULL, 0, 0, false};
    fw_buffer_text(&json, "{\"v\":1,\"id\":");
    fw_buffer_json_string(&json, (fw_span){config->worker_id, strlen(config->worker_id)});
    fw_buffer_format(&json,
                     ",\"impl\":\"fastworker-c/%s\",\"epoch\":\"%.*s\",\"base\":", FW_VERSION,
                     FW_UUID_TEXT, epoch);
    fw_buffer_json_string(&json, (fw_span){config->address, strlen(config->address)});
    fw_buffer_format(&json,
                     ",\"pub\":\"%s\",\"features\":[\"batch\",\"accepted\",\"wait\","
                     "\"cancel\",\"state\",\"frames\"]}",
                     pub_text);
    fw_buffer_format(&d->announcement, "WORKER_ANNOUNCE:%s:%s", config->worker_id, config->address);
    fw_buffer_text(&d->capabilities, "FASTWORKER_CAPS:");
    fw_buffer_add(&d->capabilities, json.data, json.len);
    fw_buffer_text(&d->topic, "fw1/announce\n");
    fw_buffer_add(&d->topic, json.data, json.len);
    bool good =
        !json.failed && !d->announcement.failed && !d->capabilities.failed && !d->topic.failed;
    fw_buffer_fini(&json);
    return good;
}

static int listen_at(fw_listener **out, fw_port *port, char *error, size_t error_capacity,
                     const fw_tcp_address *address)
{
    char text[FW_TCP_ADDRESS_MAX];
    const char *reason;
    fw_tcp_address_format(text, address);
    int err = fw_listener_create(out, &reason, port, text);
    if (err < 0)
        snprintf(error, error_capacity, "%s: %s", text, reason);
    else
        port->bound = fw_listener_bound(*out);
    return err;
}

/* Discovery + 1 unless that is taken or somebody else's; then any. */
static int listen_pub(fw_discovery *d, char *error, size_t error_capacity,
                      const fw_discovery_config *config, fw_tcp_address address)
{
    bool chosen = config->pub_port > 0;
    address.port = chosen ? config->pub_port : d->bus.bound + 1;
    bool ours = (address.port >= config->base_port && address.port <= config->base_port + 5) ||
                address.port == config->management_port || address.port > 65535;
    if (!chosen && ours)
        address.port = 0;
    int err = listen_at(&d->pub_listener, &d->pub, error, error_capacity, &address);
    if (err == -FW_EPERM && !chosen && address.port > 0) {
        address.port = 0;
        err = listen_at(&d->pub_listener, &d->pub, error, error_capacity, &address);
    }
    return err;
}

static int set_up(fw_discovery *d, char *error, size_t error_capacity,
                  const fw_discovery_config *config)
{
    fw_tcp_address address;
    fw_span text = {config->discovery_address, strlen(config->discovery_address)};
    if (fw_tcp_address_parse(&address, text) < 0 || address.tls) {
        snprintf(error, error_capacity, "%s: not a tcp://host:port address",
                 config->discovery_address);
        return -FW_EINVAL;
    }
    int err = listen_at(&d->bus_listener, &d->bus, error, error_capacity, &address);
    if (err == 0)
        err = listen_pub(d, error, error_capacity, config, address);
    if (err == 0 &&
        (!write_texts(d, config, &address) || nng_aio_alloc(&d->timer, on_period, d) != 0)) {
        snprintf(error, error_capacity, "no memory");
        err = -FW_ENOMEM;
    }
    return err;
}

int fw_discovery_start(fw_discovery **out, char *error, size_t error_capacity,
                       fw_exchange *exchange, const fw_discovery_config *config)
{
    fw_discovery *d = calloc(1, sizeof *d);
    if (!d) {
        snprintf(error, error_capacity, "no memory");
        return -FW_ENOMEM;
    }
    d->exchange = exchange;
    d->events_for = config->events_for;
    d->bus = (fw_port){.exchange = exchange,
                       .context = d,
                       .role = FW_ROLE_BUS,
                       .protocol = FW_SP_BUS0,
                       .ready = greet_hearer,
                       .deliver = pass_over};
    d->pub = d->bus;
    d->pub.role = FW_ROLE_PUB;
    d->pub.protocol = FW_SP_PUB0;
    d->pub.ready = greet_subscriber;
    fw_audience_init(&d->hearers, exchange);
    fw_audience_init(&d->subscribers, exchange);
    fw_audience_init(&d->listeners, exchange);
    d->listeners.total = config->listeners;
    int err = set_up(d, error, error_capacity, config);
    if (err < 0) {
        fw_discovery_silence(d);
        fw_discovery_destroy(d);
        return err;
    }
    fw_listener_run(d->bus_listener);
    fw_listener_run(d->pub_listener);
    nng_sleep_aio(PERIOD_MS, d->timer);
    *out = d;
    return 0;
}

void fw_discovery_hide(fw_discovery *d)
{
    /* Relaxed: one announcement more or less. */
    fw_store_relaxed(&d->hidden, true);
}

void fw_discovery_silence(fw_discovery *d)
{
    fw_listener_destroy(d->bus_listener);
    fw_listener_destroy(d->pub_listener);
    d->bus_listener = d->pub_listener = NULL;
    if (d->timer)
        nng_aio_stop(d->timer);
}

void fw_discovery_destroy(fw_discovery *d)
{
    if (!d)
        return;
    FW_ASSERT(!d->bus_listener && !d->pub_listener);
    nng_aio_free(d->timer);
    fw_audience_fini(&d->hearers);
    fw_audience_fini(&d->subscribers);
    fw_audience_fini(&d->listeners);
    fw_buffer_fini(&d->announcement);
    fw_buffer_fini(&d->capabilities);
    fw_buffer_fini(&d->topic);
    free(d);
}

void fw_discovery_count(fw_discovery *d, uint64_t *announcements, uint64_t *missed)
{
    /* Relaxed: figures to be shown. */
    *announcements = fw_load_relaxed(&d->announcements);
    *missed = fw_load_relaxed(&d->missed);
}

unsigned fw_discovery_port(const fw_discovery *d)
{
    return d->bus.bound;
}

unsigned fw_discovery_pub_port(const fw_discovery *d)
{
    return d->pub.bound;
}
