/* perf/client_load.c - load from the public client: one JSON line a figure.
 *
 *     client_load CASE [--spawn PROGRAM MODULE | --keep PROGRAM MODULE |
 *                       --address tcp://host:port] [--task NAME]
 *                      [--bytes N | --args JSON] [--in-flight N] [--connections N] [--rate N]
 *                      [--seconds S | --tasks N] [--name NAME] [--who WHO]
 *
 * closed     submit, acknowledged, one at a time          call      the same with the result
 * pipelined  128 in flight                                batched   4096 in flight
 * many       all-or-none batches of 100                   spread    8 connections x 128
 * results    4096 in flight, with results                 once      a single window full
 * open       --rate calls a second, whatever comes back (10,000)
 *
 * With several connections each has its part of what is in flight, but of `spread` each has all of
 * it. Latencies are of the whole call; of `open` from the time it was due, so that a stall counts
 * for everything that it held up. With --spawn, CPU time of the control plane, and of it and
 * the client, for each task. --keep: the same, but it runs nothing. SPDX-License-Identifier:
 * Apache-2.0 */
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "client_server.h"
#include "fastworker/client.h"

enum {
    SAMPLES_MAX = 4 * 1024 * 1024,
    BATCH = 100,
    SPREAD = 8,
    CONNECTIONS_MAX = 1024,
    WINDOW_SMALL = 128,
    OPEN_RATE = 10000
};

typedef struct load {
    const char *name, *task;
    const char *shown, *who; /* in the figures */
    char *args;
    size_t args_len;
    double seconds;
    const char *address;
    size_t bytes;
    int in_flight, connections; /* 0: what the case says */
    double rate;
    uint64_t tasks; /* 0: as many as the time allows */
    fw_client *client;
    uint64_t sent, done, failed;
    uint32_t *samples; /* ns */
    size_t sample_count;
} load;

static void die(const char *what)
{
    fprintf(stderr, "client_load: %s: %s\n", what, fw_client_errmsg());
    exit(1);
}

static void print(const load *l, const char *figure, double value, const char *unit)
{
    printf("{\"suite\":\"client\",\"name\":\"%s%s\",\"who\":\"%s\",\"value\":%.6g,"
           "\"unit\":\"%s\"%s",
           l->shown, figure, l->who, value, unit, *figure ? "}\n" : "");
    if (!*figure)
        printf(",\"tasks\":%" PRIu64 "}\n", l->done);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void sample(load *l, int64_t ns)
{
    if (l->sample_count < SAMPLES_MAX)
        l->samples[l->sample_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void print_latencies(load *l)
{
    if (l->sample_count == 0)
        return;
    qsort(l->samples, l->sample_count, sizeof(*l->samples), by_size);
    print(l, "-p50", l->samples[l->sample_count / 2] / 1e3, "us");
    print(l, "-p99", l->samples[l->sample_count * 99 / 100] / 1e3, "us");
}

static fw_submit submission(const load *l)
{
    return (fw_submit){.size = sizeof(fw_submit), .task = l->task, .args = {l->args, l->args_len}};
}

static fw_client *connect_client(const load *l, int in_flight)
{
    fw_client *c = NULL;
    const fw_client_options options = {.size = sizeof(options),
                                       .control_plane = l->address,
                                       .retries = 20,
                                       .in_flight = in_flight};
    if (fw_client_open(&c, &options) < 0)
        die("open");
    return c;
}

/* --- cases; each returns the time it took --- */

static bool is_over(const load *l, int64_t end_ns)
{
    return l->tasks > 0 ? l->sent >= l->tasks : fw_now_ns() >= end_ns;
}

static int64_t closed(load *l, bool results)
{
    fw_submit s = submission(l);
    int64_t start = fw_now_ns(), end = start + (int64_t)(l->seconds * 1e9), now = start;
    for (; !is_over(l, end); l->sent++) {
        fw_result *r = NULL;
        int rc = results ? fw_call_task(l->client, &s, 0, &r) : fw_send(l->client, &s, NULL);
        int64_t then = fw_now_ns();
        fw_result_free(r);
        if (rc < 0)
            die(l->name);
        sample(l, then - now);
        now = then;
        l->done++;
    }
    return now - start;
}

static void count(void *user, int err, const fw_result *r)
{
    load *l = user;
    l->done++;
    l->failed += err != 0 || (fw_result_state(r) == FW_FAILURE);
}

static void send_one(load *l, fw_client *c, const fw_submit *s, bool accept_only)
{
    int rc;
    while ((rc = fw_send_async(c, s, accept_only, count, l, NULL)) == -FW_EFULL)
        if (fw_dispatch(c, -1) < 0)
            die(l->name);
    if (rc < 0)
        die(l->name);
    l->sent++;
}

static void drain(load *l, fw_client *c)
{
    while (fw_in_flight(c) > 0)
        if (fw_dispatch(c, -1) < 0)
            die(l->name);
}

static int64_t flood(load *l, bool accept_only)
{
    fw_submit s = submission(l);
    int64_t start = fw_now_ns(), end = start + (int64_t)(l->seconds * 1e9);
    while (!is_over(l, end))
        for (int i = 0; i < 64; i++)
            send_one(l, l->client, &s, accept_only);
    drain(l, l->client);
    return fw_now_ns() - start;
}

static int64_t once(load *l)
{
    fw_submit s = submission(l);
    int64_t start = fw_now_ns();
    for (int i = 0; i < l->in_flight; i++)
        send_one(l, l->client, &s, false);
    drain(l, l->client);
    return fw_now_ns() - start;
}

static int64_t many(load *l)
{
    fw_submit batch[BATCH];
    for (int i = 0; i < BATCH; i++)
        batch[i] = submission(l);
    int64_t start = fw_now_ns(), end = start + (int64_t)(l->seconds * 1e9);
    while (!is_over(l, end)) {
        int rc;
        /* Refused means that running is behind submitting: give it a millisecond. */
        while ((rc = fw_send_many(l->client, batch, BATCH, NULL)) == -FW_EFULL)
            fw_dispatch(l->client, 1);
        if (rc < 0)
            die(l->name);
        l->sent += BATCH;
        l->done += BATCH;
    }
    return fw_now_ns() - start;
}

/* in_flight on each of so many connections, all of them served by this thread. */
static int64_t spread(load *l, int connections, int in_flight, bool accept_only)
{
    static fw_client *clients[CONNECTIONS_MAX];
    static struct pollfd ready[CONNECTIONS_MAX];
    fw_submit s = submission(l);
    for (int i = 0; i < connections; i++) {
        clients[i] = connect_client(l, in_flight);
        ready[i] = (struct pollfd){.fd = fw_fd(clients[i]), .events = POLLIN};
    }
    int64_t start = fw_now_ns(), end = start + (int64_t)(l->seconds * 1e9);
    while (!is_over(l, end)) {
        for (int i = 0; i < connections; i++) {
            while (fw_send_async(clients[i], &s, accept_only, count, l, NULL) == 0)
                l->sent++;
            fw_flush(clients[i]);
        }
        poll(ready, (nfds_t)connections, -1);
        for (int i = 0; i < connections; i++)
            if (ready[i].revents != 0 && fw_dispatch(clients[i], 0) < 0)
                die(l->name);
    }
    for (int i = 0; i < connections; i++) {
        drain(l, clients[i]);
        fw_client_close(clients[i]);
    }
    return fw_now_ns() - start;
}

static int64_t flood_over(load *l, bool accept_only)
{
    int n = l->connections, each = l->in_flight / (n > 0 ? n : 1);
    return n > 1 ? spread(l, n, each > 0 ? each : 1, accept_only) : flood(l, accept_only);
}

typedef struct due {
    load *load;
    int64_t at;
} due;

static void note_due(void *user, int err, const fw_result *r)
{
    due *d = user;
    sample(d->load, fw_now_ns() - d->at);
    count(d->load, err, r);
}

static int64_t open_loop(load *l)
{
    uint64_t total = l->tasks > 0 ? l->tasks : (uint64_t)(l->seconds * l->rate), sent = 0;
    double gap_ns = 1e9 / l->rate;
    due *all = calloc(total + 1, sizeof(*all));
    fw_submit s = submission(l);
    int64_t start = fw_now_ns();
    if (all == NULL)
        die("memory");
    while (sent < total) {
        int64_t now = fw_now_ns(), at = start + (int64_t)((double)sent * gap_ns);
        if (now < at) {
            struct pollfd ready = {.fd = fw_fd(l->client), .events = POLLIN};
            struct timespec pause = {.tv_nsec = at - now};
            if (ppoll(&ready, 1, &pause, NULL) > 0 && fw_dispatch(l->client, 0) < 0)
                die(l->name);
            continue;
        }
        all[sent] = (due){l, at};
        if (fw_send_async(l->client, &s, 0, note_due, &all[sent], NULL) < 0) {
            fw_dispatch(l->client, -1);
            continue;
        }
        sent++;
        fw_flush(l->client);
    }
    drain(l, l->client);
    free(all);
    return fw_now_ns() - start;
}

static int64_t run_case(load *l)
{
    if (strcmp(l->name, "closed") == 0)
        return closed(l, false);
    if (strcmp(l->name, "call") == 0)
        return closed(l, true);
    if (strcmp(l->name, "pipelined") == 0 || strcmp(l->name, "batched") == 0)
        return flood_over(l, true);
    if (strcmp(l->name, "results") == 0)
        return flood_over(l, false);
    if (strcmp(l->name, "once") == 0)
        return once(l);
    if (strcmp(l->name, "many") == 0)
        return many(l);
    if (strcmp(l->name, "spread") == 0)
        return spread(l, l->connections ? l->connections : SPREAD, l->in_flight, true);
    if (strcmp(l->name, "open") == 0)
        return open_loop(l);
    fprintf(stderr, "client_load: no case %s\n", l->name);
    exit(2);
}

/* ["xxx..."] of so many bytes in all. */
static void make_args(load *l)
{
    size_t bytes = l->bytes < 4 ? 4 : l->bytes;
    l->args = malloc(bytes + 1);
    if (l->args == NULL)
        die("memory");
    memset(l->args, 'x', bytes);
    memcpy(l->args, "[\"", 2);
    memcpy(l->args + bytes - 2, "\"]", 3);
    l->args_len = bytes;
}

static const char *value_of(int argc, char **argv, int *i, const char *name)
{
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
        return NULL;
    return argv[++*i];
}

/* False: there is a word that is none of ours. */
static bool take_options(load *l, server *own, int argc, char **argv)
{
    const char *value;
    for (int i = 2; i < argc; i++) {
        bool keep = strcmp(argv[i], "--keep") == 0;
        if ((keep || strcmp(argv[i], "--spawn") == 0) && i + 2 < argc) {
            if ((keep ? server_start_keeping : server_start)(own, argv[i + 1], argv[i + 2]) != 0)
                return false;
            l->address = own->address;
            i += 2;
        } else if ((value = value_of(argc, argv, &i, "--address"))) {
            l->address = value;
        } else if ((value = value_of(argc, argv, &i, "--task"))) {
            l->task = value;
        } else if ((value = value_of(argc, argv, &i, "--bytes"))) {
            l->bytes = strtoul(value, NULL, 10);
        } else if ((value = value_of(argc, argv, &i, "--args"))) {
            l->args = strdup(value);
            l->args_len = strlen(value);
        } else if ((value = value_of(argc, argv, &i, "--in-flight"))) {
            l->in_flight = (int)strtol(value, NULL, 10);
        } else if ((value = value_of(argc, argv, &i, "--seconds"))) {
            l->seconds = strtod(value, NULL);
        } else if ((value = value_of(argc, argv, &i, "--tasks"))) {
            l->tasks = strtoull(value, NULL, 10);
        } else if ((value = value_of(argc, argv, &i, "--rate"))) {
            l->rate = strtod(value, NULL);
        } else if ((value = value_of(argc, argv, &i, "--connections"))) {
            l->connections = (int)strtol(value, NULL, 10);
        } else if ((value = value_of(argc, argv, &i, "--name"))) {
            l->shown = value;
        } else if ((value = value_of(argc, argv, &i, "--who"))) {
            l->who = value;
        } else {
            fprintf(stderr, "client_load: what is %s?\n", argv[i]);
            return false;
        }
    }
    return true;
}

static double own_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void report(load *l, int64_t took_ns, double client_us, double server_us)
{
    print(l, "", (double)l->done / ((double)took_ns / 1e9), "1/s");
    print_latencies(l);
    if (server_us > 0 && l->done > 0) {
        print(l, "-cpu-server", server_us / (double)l->done, "us");
        print(l, "-cpu-all", (server_us + client_us) / (double)l->done, "us");
    }
    if (l->failed > 0)
        fprintf(stderr, "client_load: %" PRIu64 " of %" PRIu64 " failed\n", l->failed, l->done);
}

int main(int argc, char **argv)
{
    load l = {.name = argc > 1 ? argv[1] : "",
              .task = "echo",
              .who = "ours",
              .seconds = 2,
              .bytes = 64,
              .rate = OPEN_RATE};
    server own = {.pid = 0};
    if (!take_options(&l, &own, argc, argv) || l.connections > CONNECTIONS_MAX || l.rate <= 0) {
        server_stop(&own);
        return 2;
    }
    l.samples = calloc(SAMPLES_MAX, sizeof(*l.samples));
    if (!l.args)
        make_args(&l);
    if (!l.shown)
        l.shown = l.name;
    if (l.in_flight == 0)
        l.in_flight = l.name[0] == 'p' || l.name[0] == 's' ? WINDOW_SMALL : 4096;
    l.client = connect_client(&l, l.in_flight);
    double client_us = own_cpu_us();
    int64_t took = run_case(&l);
    client_us = own_cpu_us() - client_us;
    fw_client_close(l.client);
    report(&l, took, client_us, server_stop(&own));
    free(l.args);
    free(l.samples);
    return l.failed > 0;
}
