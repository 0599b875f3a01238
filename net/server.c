/* net/server.c - the network room's life: bind everything or nothing, drain, stop.
 *
 * Order of building: limits and table, callbacks, ports, discovery, and only then the first accept.
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
#include "net/discovery.h"
#include "net/links.h"
#include "net/ports.h"

enum {
    DESCRIPTORS_KEPT = 64, /* for listeners, files, libraries */
    STOP_LOOK_MS = 2       /* between two looks at what is still to be sent */
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

/* ---- Start ---- */

static int check(char *error, size_t error_capacity, const fw_net_config *config)
{
    const char *wrong = NULL;
    if (!config->worker_id || !*config->worker_id || strchr(config->worker_id, ':'))
        wrong = "worker id: a text without ':'";
    else if (config->kind != FW_NET_CONTROL_PLANE && config->kind != FW_NET_SUBWORKER)
        wrong = "kind: control plane or subworker";
    else if (strlen(config->worker_id) > FW_ID_MAX)
        wrong = "worker id: at most 255 bytes";
    else if (config->epoch && strlen(config->epoch) > FW_ID_MAX)
        wrong = "epoch: at most 255 bytes";
    else if (config->token && strlen(config->token) > FW_TOKEN_MAX)
        wrong = "token: at most 1024 bytes";
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

/* What events tell is what a query would tell: a token keeps both from the same peers. */
static fw_hearers who_hears_events(const fw_net_config *config)
{
    if (!config->token || !config->token[0] || config->token_exempt == FW_EXEMPT_ALL_JSON)
        return FW_HEARS_ANYBODY;
    return config->token_exempt == FW_EXEMPT_LOOPBACK ? FW_HEARS_LOOPBACK : FW_HEARS_NOBODY;
}

static int set_up_discovery(fw_net *net, char *error, size_t error_capacity,
                            const fw_net_config *config)
{
    fw_discovery_config discovery = {
        .worker_id = config->worker_id,
        .address = net->address,
        .discovery_address = config->discovery_address,
        .pub_port = config->native_pub_port,
        .base_port = net->ports[0].bound,
        .management_port = config->management_port,
        .events_for = who_hears_events(config),
        .listeners = config->listeners,
    };
    return fw_discovery_start(&net->discovery, error, error_capacity, &net->exchange, &discovery);
}

/* Certificates, if an address or the configuration asks for them. */
static int set_up_tls(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    static const fw_tls_config none;
    fw_tcp_address base;
    const fw_tls_config *tls = config->tls ? config->tls : &none;
    fw_exchange *exchange = &net->exchange;
    int err = 0;
    if (fw_ports_base(&base, config) == 0 && base.tls)
        err = fw_tls_create(&exchange->tls_listens, error, error_capacity, tls, FW_TLS_LISTENS);
    if (err == 0 && config->tls)
        err = fw_tls_create(&exchange->tls_dials, error, error_capacity, tls, FW_TLS_DIALS);
    return err;
}

static int set_up(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    int err = fw_links_start(&net->links, net);
    if (err < 0) {
        snprintf(error, error_capacity, "%s", fw_strerror(err));
        return err;
    }
    err = fw_notices_start(&net->notices, error, error_capacity, config->webhooks);
    if (err == 0)
        err = set_up_tls(net, error, error_capacity, config);
    if (err == 0)
        err = fw_ports_open(net, error, error_capacity, config);
    if (err == 0 && config->kind == FW_NET_CONTROL_PLANE)
        err = set_up_discovery(net, error, error_capacity, config);
    return err == 0 ? fw_ports_open_pull(net, error, error_capacity, config) : err;
}

static void tear_down(fw_net *net)
{
    fw_ports_close(net);
    if (net->discovery)
        fw_discovery_silence(net->discovery);
    fw_notices_stop(&net->notices, 0);
    fw_links_stop(net->links);
    fw_exchange_fini(&net->exchange);
    fw_tls_destroy(net->exchange.tls_listens);
    fw_tls_destroy(net->exchange.tls_dials);
    fw_links_destroy(net->links);
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
    net->kind = config->kind;
    snprintf(net->worker_id, sizeof net->worker_id, "%s", config->worker_id);
    snprintf(net->token, sizeof net->token, "%s", config->token ? config->token : "");
    fw_token_set(&net->asked, (fw_span){net->token, strlen(net->token)});
    net->token_exempt = config->token_exempt;
    if (config->epoch)
        snprintf(net->epoch, sizeof net->epoch, "%s", config->epoch);
    else
        fw_key_format(net->epoch, fw_key_random());
    int err = set_up(net, error, error_capacity, config);
    if (err < 0) {
        tear_down(net);
        return err;
    }
    /* The table's functions may answer, so their owner has the net before the first call. */
    *out = net;
    fw_ports_run(net);
    return 0;
}

int fw_net_start(fw_net **out, char *error, size_t error_capacity, const fw_net_config *config,
                 const fw_net_ops *ops)
{
    FW_ASSERT(out && error && error_capacity > 0);
    FW_ASSERT(ops->submit);
    FW_ASSERT(config->kind == FW_NET_SUBWORKER ||
              (ops->submit_batch && ops->query && ops->registration));
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
    if (net->discovery)
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
    fw_ports_close(net);
    if (net->discovery)
        fw_discovery_silence(net->discovery);
    settle_until(net, until);
    int64_t left = until - fw_now_ns();
    fw_notices_stop(&net->notices, left > 0 ? left : 0);
    fw_exchange_each(&net->exchange, close_one, NULL);
    tear_down(net);
}

/* ---- The rest of the door ---- */

void fw_net_publish(fw_net *net, const char *event, fw_span json)
{
    if (net->discovery)
        fw_discovery_publish(net->discovery, event, json);
}

bool fw_net_is_loopback(const char *address)
{
    fw_tcp_address parsed;
    return fw_tcp_address_parse(&parsed, (fw_span){address, strlen(address)}) == 0 &&
           fw_tcp_address_is_loopback(&parsed);
}

const char *fw_net_address(const fw_net *net)
{
    return net->address;
}

const char *fw_net_epoch(const fw_net *net)
{
    return net->epoch;
}

const char *fw_net_results_address(const fw_net *net)
{
    FW_ASSERT(net->kind == FW_NET_CONTROL_PLANE);
    return net->pull_address;
}

const char *fw_net_pull_address(const fw_net *net)
{
    FW_ASSERT(net->kind == FW_NET_SUBWORKER);
    return net->pull_address;
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
        .greetings_refused = fw_load_relaxed(&traffic->greetings_refused),
        .links = fw_links_count(net->links),
    };
    if (net->discovery)
        fw_discovery_count(net->discovery, &out->announcements, &out->events_missed);
    fw_callbacks_count(net->notices.callbacks, &out->callbacks_sent, &out->callbacks_failed);
    out->callbacks_forbidden = fw_load_relaxed(&net->notices.callbacks_forbidden);
    out->webhooks_forbidden = fw_load_relaxed(&net->notices.webhooks_forbidden);
    if (net->notices.webhooks)
        fw_webhooks_snapshot(net->notices.webhooks, &out->webhooks);
    for (int i = 0; i < FW_REFUSALS; i++)
        out->refused[i] = fw_load_relaxed(&net->refused[i]);
}
