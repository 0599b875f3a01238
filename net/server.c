/* net/server.c - the network room's life: bind everything or nothing, drain, stop.
 *
 * Order of building: limits and table, ports, discovery, callbacks, and only then the first accept.
 * Torn down in reverse: no new peers, what is gathered goes out, connections close, threads end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <nng/supplemental/util/platform.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "net/callback.h"
#include "net/discovery.h"
#include "net/intake.h"
#include "net/message_json.h"
#include "net/sp.h"

enum {
    DESCRIPTORS_KEPT = 64, /* for listeners, files, libraries */
    BASE_TRIES = 64,       /* when any base port will do: six in a row, below those that the */
    BASE_FIRST = 10000,    /* kernel gives to outgoing connections, which may linger */
    BASE_COUNT = 22000,
    STOP_LOOK_MS = 2 /* between two looks at what is still to be sent */
};

void fw_net_config_default(fw_net_config *config)
{
    *config = (fw_net_config){
        .worker_id = "control-plane",
        .base_address = "tcp://127.0.0.1:5555",
        .discovery_address = "tcp://127.0.0.1:5550",
        .message_max = 64 * 1024 * 1024,
        .connections_max = 10000,
        .open_requests_max = 4096,
        .unsent_bytes_max = 1024 * 1024,
        .stalled_ns = 10 * FW_NS_PER_S,
        .handshake_ns = 2 * FW_NS_PER_S,
    };
}

/* ---- Ports ---- */

static fw_role role_of(unsigned place)
{
    if (place < FW_QUERY_PORT)
        return FW_ROLE_TASKS;
    return place == FW_QUERY_PORT ? FW_ROLE_QUERIES : FW_ROLE_REGISTRATIONS;
}

static int open_port(fw_net *net, unsigned place, const char **reason, fw_tcp_address address)
{
    fw_port *port = &net->ports[place];
    *port = (fw_port){.exchange = &net->exchange,
                      .context = net,
                      .role = role_of(place),
                      .protocol = FW_SP_REP0,
                      .deliver = fw_intake_deliver};
    char text[FW_TCP_ADDRESS_MAX];
    fw_tcp_address_format(text, &address);
    int err = fw_listener_create(&net->listeners[place], reason, port, text);
    if (err == 0)
        port->bound = fw_listener_bound(net->listeners[place]);
    return err;
}

static void close_ports(fw_net *net)
{
    for (unsigned i = 0; i < FW_PORTS_MAX; i++) {
        fw_listener_destroy(net->listeners[i]);
        net->listeners[i] = NULL;
    }
}

/* The six ports in a row. *failed: the address that could not be had. */
static int open_row(fw_net *net, const char **reason, fw_tcp_address *failed,
                    const fw_tcp_address *base)
{
    *failed = *base;
    for (unsigned i = 0; i < FW_PORTS; i++) {
        if (i > 0)
            failed->port = net->ports[0].bound + i;
        if (failed->port > 65535) {
            *reason = "there are no six ports from here on";
            return -FW_EINVAL;
        }
        int err = open_port(net, i, reason, *failed);
        if (err < 0)
            return err;
    }
    return 0;
}

static int open_ports(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    fw_tcp_address base, failed;
    fw_span text = {config->base_address, strlen(config->base_address)};
    if (fw_tcp_address_parse(&base, text) < 0) {
        snprintf(error, error_capacity, "%s: not a tcp://host:port address", config->base_address);
        return -FW_EINVAL;
    }
    const char *reason = "";
    bool any = base.port == 0;
    int err = -FW_EPERM;
    for (int i = 0; err != 0 && i < (any ? BASE_TRIES : 1); i++) {
        close_ports(net);
        if (any)
            base.port = BASE_FIRST + (unsigned)(fw_key_random().low % BASE_COUNT);
        err = open_row(net, &reason, &failed, &base);
    }
    unsigned management = config->management_port;
    if (err == 0 && management > 0 && management != net->ports[FW_REGISTRATION_PORT].bound) {
        failed.port = management;
        err = open_port(net, FW_PORTS, &reason, failed);
    }
    if (err < 0) {
        char at[FW_TCP_ADDRESS_MAX];
        fw_tcp_address_format(at, &failed);
        snprintf(error, error_capacity, "%s: %s", at, reason);
        return err;
    }
    base.port = net->ports[0].bound;
    bool replaced = fw_tcp_address_make_reachable(&base);
    if (config->advertise_address)
        snprintf(net->address, sizeof net->address, "%s", config->advertise_address);
    else
        fw_tcp_address_format(net->address, &base);
    if (replaced && !config->advertise_address)
        fw_log(FW_LOG_INFO, "net.address", "%s is announced as %s", config->base_address,
               net->address);
    return 0;
}

/* ---- Start ---- */

static int check(char *error, size_t error_capacity, const fw_net_config *config)
{
    const char *wrong = NULL;
    if (!config->worker_id || !*config->worker_id || strchr(config->worker_id, ':'))
        wrong = "worker id: a text without ':'";
    else if (!config->base_address || !config->discovery_address)
        wrong = "base address, discovery address: tcp://host:port";
    else if (config->advertise_address && strlen(config->advertise_address) >= FW_TCP_ADDRESS_MAX)
        wrong = "advertise address: too long";
    else if (config->connections_max == 0 || config->connections_max >= UINT32_MAX)
        wrong = "connections_max: from 1 on";
    else if (config->message_max == 0 || config->message_max > SIZE_MAX / 4)
        wrong = "message_max: from 1 on";
    else if (config->open_requests_max == 0 || config->unsent_bytes_max == 0)
        wrong = "open_requests_max, unsent_bytes_max: from 1 on";
    else if (config->stalled_ns < FW_NS_PER_MS || config->handshake_ns < FW_NS_PER_MS ||
             config->stalled_ns / FW_NS_PER_MS > INT32_MAX)
        wrong = "stalled_ns, handshake_ns: from 1 ms on";
    if (!wrong)
        return 0;
    snprintf(error, error_capacity, "%s", wrong);
    return -FW_EINVAL;
}

/* Connections that descriptors will not suffice for are refused, not failed. */
static size_t affordable(size_t connections_max)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return connections_max;
    size_t most = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (size_t)limit.rlim_cur - DESCRIPTORS_KEPT
                                                        : DESCRIPTORS_KEPT;
    if (connections_max <= most)
        return connections_max;
    fw_log(FW_LOG_INFO, "net.limit", "%zu connections at most, not %zu: RLIMIT_NOFILE is %zu", most,
           connections_max, (size_t)limit.rlim_cur);
    return most;
}

static int set_up(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    int err = open_ports(net, error, error_capacity, config);
    if (err < 0)
        return err;
    fw_discovery_config discovery = {
        .worker_id = config->worker_id,
        .address = net->address,
        .discovery_address = config->discovery_address,
        .pub_port = config->native_pub_port,
        .base_port = net->ports[0].bound,
        .management_port = config->management_port,
    };
    err = fw_callbacks_start(&net->callbacks);
    if (err < 0) {
        snprintf(error, error_capacity, "%s", fw_strerror(err));
        return err;
    }
    return fw_discovery_start(&net->discovery, error, error_capacity, &net->exchange, &discovery);
}

static void tear_down(fw_net *net)
{
    close_ports(net);
    if (net->discovery)
        fw_discovery_silence(net->discovery);
    fw_callbacks_stop(net->callbacks, 0);
    fw_exchange_fini(&net->exchange);
    fw_discovery_destroy(net->discovery);
    free(net);
}

static int start(fw_net **out, char *error, size_t error_capacity, const fw_net_config *config,
                 const fw_net_ops *ops)
{
    fw_net *net = calloc(1, sizeof *net);
    fw_limits limits = {
        .message_max = config->message_max,
        .connections_max = affordable(config->connections_max),
        .open_requests_max = config->open_requests_max,
        .unsent_bytes_max = config->unsent_bytes_max,
        .stalled_ns = config->stalled_ns,
        .handshake_ns = config->handshake_ns,
    };
    if (!net || fw_exchange_init(&net->exchange, &limits) < 0) {
        free(net);
        snprintf(error, error_capacity, "no memory");
        return -FW_ENOMEM;
    }
    net->ops = *ops;
    int err = set_up(net, error, error_capacity, config);
    if (err < 0) {
        tear_down(net);
        return err;
    }
    /* The table's functions may answer, so their owner has the net before the first call. */
    *out = net;
    for (unsigned i = 0; i < FW_PORTS_MAX; i++)
        if (net->listeners[i])
            fw_listener_run(net->listeners[i]);
    return 0;
}

int fw_net_start(fw_net **out, char *error, size_t error_capacity, const fw_net_config *config,
                 const fw_net_ops *ops)
{
    FW_ASSERT(out && error && error_capacity > 0);
    FW_ASSERT(ops->submit && ops->submit_batch && ops->query && ops->registration);
    int err = check(error, error_capacity, config);
    if (err < 0)
        return err;
    /* NNG's threads inherit the mask, and no signal handler may run on them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = start(out, error, error_capacity, config, ops);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* ---- End ---- */

void fw_net_drain(fw_net *net)
{
    /* Relaxed: a task that comes at the very moment may go either way. */
    fw_store_relaxed(&net->draining, true);
    fw_discovery_hide(net->discovery);
}

static void count_unsent(void *context, fw_connection *connection)
{
    if (fw_connection_unsent(connection) > 0)
        ++*(size_t *)context;
}

static void close_one(void *context, fw_connection *connection)
{
    (void)context;
    fw_connection_close(connection, FW_CLOSED_BY_US);
}

static void settle_until(fw_net *net, int64_t until_ns)
{
    fw_net_flush(net);
    for (;;) {
        size_t busy = 0;
        fw_exchange_each(&net->exchange, count_unsent, &busy);
        if (busy == 0 || fw_now_ns() >= until_ns)
            return;
        nng_msleep(STOP_LOOK_MS);
    }
}

void fw_net_settle(fw_net *net, int64_t limit_ns)
{
    settle_until(net, fw_now_ns() + limit_ns);
}

void fw_net_stop(fw_net *net, int64_t limit_ns)
{
    if (!net)
        return;
    fw_net_drain(net);
    int64_t until = fw_now_ns() + limit_ns;
    close_ports(net);
    fw_discovery_silence(net->discovery);
    settle_until(net, until);
    int64_t left = until - fw_now_ns();
    fw_callbacks_stop(net->callbacks, left > 0 ? left : 0);
    net->callbacks = NULL;
    fw_exchange_each(&net->exchange, close_one, NULL);
    tear_down(net);
}

/* ---- The rest of the door ---- */

void fw_net_callback(fw_net *net, const fw_result_view *result)
{
    fw_gather *gather = fw_egress_mine(&net->exchange);
    fw_scratch scratch = {NULL};
    fw_span address, data;
    if (gather && fw_json_callback_read(&address, &data, &scratch, result->callback)) {
        fw_buffer *text = fw_gather_text(gather);
        fw_json_write_callback(text, result);
        fw_callbacks_post(net->callbacks, address,
                          (fw_span){text->data, text->failed ? 0 : text->len});
    }
    fw_scratch_fini(&scratch);
}

void fw_net_publish(fw_net *net, const char *event, fw_span json)
{
    fw_discovery_publish(net->discovery, event, json);
}

const char *fw_net_address(const fw_net *net)
{
    return net->address;
}

void fw_net_snapshot(fw_net *net, fw_net_stats *out)
{
    fw_traffic *traffic = &net->exchange.traffic;
    /* Relaxed: figures to be shown. */
    *out = (fw_net_stats){
        .connections = fw_exchange_count(&net->exchange),
        .connections_max = net->exchange.limits.connections_max,
        .accepted = fw_load_relaxed(&traffic->accepted),
        .handshakes_failed = fw_load_relaxed(&traffic->handshakes_failed),
        .closed_stalled = fw_load_relaxed(&traffic->closed_stalled),
        .closed_protocol = fw_load_relaxed(&traffic->closed_protocol),
        .messages_in = fw_load_relaxed(&traffic->messages_in),
        .messages_out = fw_load_relaxed(&traffic->messages_out),
        .bytes_in = fw_load_relaxed(&traffic->bytes_in),
        .bytes_out = fw_load_relaxed(&traffic->bytes_out),
        .answers_dropped = fw_load_relaxed(&traffic->answers_dropped),
        .announcements = fw_discovery_announcements(net->discovery),
    };
    fw_callbacks_count(net->callbacks, &out->callbacks_sent, &out->callbacks_failed);
    for (int i = 0; i < FW_REFUSALS; i++)
        out->refused[i] = fw_load_relaxed(&net->refused[i]);
}
