/* net/ports.c - see net/ports.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/ports.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/discovery.h"
#include "net/intake.h"
#include "net/pull.h"
#include "net/sp.h"

enum {
    /* When any base port will do: six in a row, below those that the kernel gives to outgoing
     * connections, which may linger. */
    BASE_TRIES = 64,
    BASE_FIRST = 10000,
    BASE_COUNT = 22000,
    /* Where Python subworkers are by default, and up. */
    SUBWORKER_FIRST = 5561,
    SUBWORKER_TRIES = 4096,
    /* A task that just fits a request has a little more around it in a pipe. */
    PIPE_EXTRA = 64 * 1024
};

static fw_role role_of(unsigned place)
{
    if (place == FW_PULL_PORT)
        return FW_ROLE_PULL;
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
    if (place == FW_PULL_PORT) {
        port->protocol = FW_SP_PULL0;
        port->guarded = true;
        port->message_extra = PIPE_EXTRA;
        port->deliver = fw_pull_deliver;
        port->gone = fw_pull_gone;
    }
    if (address.tls)
        port->tls = net->exchange.tls_listens;
    FW_ASSERT(!address.tls || port->tls);
    address.tls = false;
    char text[FW_TCP_ADDRESS_MAX];
    fw_tcp_address_format(text, &address);
    int err = fw_listener_create(&net->listeners[place], reason, port, text);
    if (err == 0)
        port->bound = fw_listener_bound(net->listeners[place]);
    return err;
}

void fw_ports_close(fw_net *net)
{
    for (unsigned i = 0; i < FW_PORTS_MAX; i++) {
        fw_listener_destroy(net->listeners[i]);
        net->listeners[i] = NULL;
    }
}

void fw_ports_run(fw_net *net)
{
    for (unsigned i = 0; i < FW_PORTS_MAX; i++)
        if (net->listeners[i])
            fw_listener_run(net->listeners[i]);
}

static unsigned row_of(fw_net_kind kind)
{
    return kind == FW_NET_SUBWORKER ? FW_QUERY_PORT : FW_REGISTRATION_PORT + 1;
}

/* The ports in a row. *failed: the address that could not be had. */
static int open_row(fw_net *net, const char **reason, fw_tcp_address *failed,
                    const fw_tcp_address *base)
{
    *failed = *base;
    for (unsigned i = 0; i < row_of(net->kind); i++) {
        if (i > 0)
            failed->port = net->ports[0].bound + i;
        if (failed->port > 65535) {
            *reason = "there are not enough ports from here on";
            return -FW_EINVAL;
        }
        int err = open_port(net, i, reason, *failed);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Any row: tries until one is free. */
static int open_any_row(fw_net *net, const char **reason, fw_tcp_address *failed,
                        fw_tcp_address *base)
{
    bool subworker = net->kind == FW_NET_SUBWORKER;
    int err = -FW_EPERM;
    failed->port = SUBWORKER_FIRST - 1;
    for (int i = 0; err == -FW_EPERM && i < (subworker ? SUBWORKER_TRIES : BASE_TRIES); i++) {
        fw_ports_close(net);
        base->port = subworker ? failed->port + 1
                               : BASE_FIRST + (unsigned)(fw_key_random().low % BASE_COUNT);
        err = open_row(net, reason, failed, base);
    }
    return err;
}

int fw_ports_base(fw_tcp_address *out, const fw_net_config *config)
{
    const char *text = config->base_address;
    if (config->kind == FW_NET_SUBWORKER && strcmp(text, "auto") == 0)
        text = "tcp://127.0.0.1:0";
    return fw_tcp_address_parse(out, (fw_span){text, strlen(text)});
}

static void settle_address(fw_net *net, fw_tcp_address base, const fw_net_config *config)
{
    base.port = net->ports[0].bound;
    bool replaced = fw_tcp_address_make_reachable(&base);
    if (config->advertise_address)
        snprintf(net->address, sizeof net->address, "%s", config->advertise_address);
    else
        fw_tcp_address_format(net->address, &base);
    if (replaced && !config->advertise_address)
        fw_log(FW_LOG_INFO, "net.address", "%s is announced as %s", config->base_address,
               net->address);
}

static void explain(char *error, size_t error_capacity, const fw_tcp_address *failed,
                    const char *reason)
{
    char at[FW_TCP_ADDRESS_MAX];
    fw_tcp_address_format(at, failed);
    snprintf(error, error_capacity, "%s: %s", at, reason);
}

int fw_ports_open(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    fw_tcp_address base, failed;
    if (fw_ports_base(&base, config) < 0) {
        snprintf(error, error_capacity, "%s: not a tcp://host:port or tls+tcp://host:port address",
                 config->base_address);
        return -FW_EINVAL;
    }
    const char *reason = "";
    failed = base;
    int err = base.port == 0 ? open_any_row(net, &reason, &failed, &base)
                             : open_row(net, &reason, &failed, &base);
    unsigned management = net->kind == FW_NET_CONTROL_PLANE ? config->management_port : 0;
    if (err == 0 && management > 0 && management != net->ports[FW_REGISTRATION_PORT].bound) {
        failed.port = management;
        err = open_port(net, FW_OTHER_REGISTRATION_PORT, &reason, failed);
    }
    if (err < 0)
        explain(error, error_capacity, &failed, reason);
    else
        settle_address(net, base, config);
    return err;
}

/* ---- The port of the pipes ---- */

static bool is_ours(const fw_net *net, unsigned port)
{
    for (unsigned i = 0; i < FW_PULL_PORT; i++)
        if (net->listeners[i] && net->ports[i].bound == port)
            return true;
    return false;
}

/* 0: any. */
static unsigned usual_pull_port(const fw_net *net)
{
    unsigned port = net->discovery ? fw_discovery_port(net->discovery) + 2 : 0;
    return port > 65535 || is_ours(net, port) ? 0 : port;
}

int fw_ports_open_pull(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config)
{
    fw_tcp_address at, told;
    const char *reason = "";
    if (fw_ports_base(&at, config) < 0)
        return -FW_EINVAL;
    at.port = config->pull_port > 0 ? config->pull_port : usual_pull_port(net);
    int err = open_port(net, FW_PULL_PORT, &reason, at);
    if (err == -FW_EPERM && config->pull_port == 0 && at.port > 0) {
        at.port = 0;
        err = open_port(net, FW_PULL_PORT, &reason, at);
    }
    if (err < 0) {
        explain(error, error_capacity, &at, reason);
        return err;
    }
    /* At the host that is announced: the peers reach us there. */
    if (fw_tcp_address_parse(&told, (fw_span){net->address, strlen(net->address)}) < 0) {
        told = at;
        fw_tcp_address_make_reachable(&told);
    }
    told.port = net->ports[FW_PULL_PORT].bound;
    fw_tcp_address_format(net->pull_address, &told);
    return 0;
}
