/* perf/overload_load.c - twice as many tasks as can be run: what still gets through.
 *
 *     overload_load PROGRAM MODULE
 *
 * Starts a control plane with a short queue; all loads come over 16 connections, as one alone is
 * not read from while 4096 of its requests are open. First a second of as many tasks as it takes
 * (the peak), then two seconds of an open loop at twice that rate, whatever comes back; then calls
 * one at a time until one is answered as on a quiet day. Figures: the tasks that ended in those two
 * seconds, for each second, beside the peak; how long a refusal took; how long until calls were
 * quick again. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "client_server.h"
#include "fastworker/client.h"

enum { CLIENTS = 16, WINDOW = 256, FLIGHT_MAX = 4096, SAMPLES_MAX = 1 << 20, BURST = 32 };
static const char queue_max[] = "20000";
static const int64_t peak_ns = FW_NS_PER_S, flood_ns = 2 * FW_NS_PER_S;
static const int64_t quick_ns = 5 * FW_NS_PER_MS;

typedef struct flood {
    fw_client *clients[CLIENTS];
    struct pollfd ready[CLIENTS];
    uint64_t ended, refused;
    int64_t *samples; /* ns of refusals */
    int64_t over_ns;  /* when no more was offered */
} flood;

typedef struct sent {
    flood *of;
    int64_t at;
} sent;

static void die(const char *what)
{
    fprintf(stderr, "overload_load: %s: %s\n", what, fw_client_errmsg());
    exit(1);
}

static void count(void *user, int err, const fw_result *r)
{
    sent *s = user;
    flood *f = s->of;
    if (err == 0 && fw_result_state(r) == FW_SUCCESS) {
        f->ended++;
        return;
    }
    if (err != -FW_EFULL)
        die("a task that was not refused, and did not succeed");
    if (f->refused < SAMPLES_MAX)
        f->samples[f->refused] = fw_now_ns() - s->at;
    f->refused++;
}

static fw_submit work(void)
{
    return (fw_submit){.size = sizeof(fw_submit), .task = "primes", .args = {"[5000]", 6}};
}

static int send_one(flood *f, unsigned client, sent *s)
{
    const fw_submit submit = work();
    *s = (sent){f, fw_now_ns()};
    return fw_send_async(f->clients[client], &submit, 0, count, s, NULL);
}

/* What has come over any connection. */
static void dispatch(flood *f, int wait_ms)
{
    if (poll(f->ready, CLIENTS, wait_ms) <= 0)
        return;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (f->ready[i].revents != 0 && fw_dispatch(f->clients[i], 0) < 0)
            die("dispatch");
}

static void drain(flood *f)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        while (fw_in_flight(f->clients[i]) > 0)
            if (fw_dispatch(f->clients[i], -1) < 0)
                die("drain");
}

/* => tasks a second, as many in flight as the window holds. */
static double peak(flood *f)
{
    static sent any; /* nothing is refused */
    int64_t begun = fw_now_ns();
    while (fw_now_ns() - begun < peak_ns) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            while (fw_in_flight(f->clients[i]) < WINDOW)
                if (send_one(f, i, &any) < 0)
                    die("send");
            fw_flush(f->clients[i]);
        }
        dispatch(f, -1);
    }
    drain(f);
    double rate = (double)f->ended * 1e9 / (double)(fw_now_ns() - begun);
    f->ended = 0;
    return rate;
}

/* => those that ended while it went on. */
static uint64_t overload(flood *f, double rate)
{
    size_t total = (size_t)(rate * (double)flood_ns / 1e9), at = 0;
    sent *all = calloc(total + 1, sizeof *all);
    unsigned client = 0;
    int64_t begun = fw_now_ns(), now;
    if (!all)
        die("memory");
    while ((now = fw_now_ns()) - begun < flood_ns) {
        size_t due = (size_t)((double)(now - begun) * rate / 1e9);
        for (unsigned i = 0; i < BURST && at < due && at < total; i++)
            if (send_one(f, client, &all[at]) == 0)
                at++;
            else
                break; /* the client's own limit: another one's turn */
        fw_flush(f->clients[client]);
        client = (client + 1) % CLIENTS;
        dispatch(f, at < due ? 0 : 1);
    }
    uint64_t ended = f->ended;
    f->over_ns = fw_now_ns();
    if (at < total * 9 / 10)
        fprintf(stderr, "overload_load: only %zu of %zu could be sent\n", at, total);
    drain(f);
    free(all);
    return ended;
}

static int64_t recovery(flood *f)
{
    const fw_submit submit = work();
    for (;;) {
        fw_result *r = NULL;
        int64_t sent_ns = fw_now_ns();
        int rc = fw_call_task(f->clients[0], &submit, 0, &r);
        int64_t now = fw_now_ns();
        fw_result_free(r);
        if (rc == 0 && now - sent_ns < quick_ns)
            return now - f->over_ns;
        if (rc != 0 && rc != -FW_EFULL)
            die("a call after the flood");
    }
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void print(const char *name, const char *who, double value, const char *unit)
{
    printf("{\"suite\":\"e2e\",\"name\":\"overload-%s\",\"who\":\"%s\",\"value\":%.6g,"
           "\"unit\":\"%s\"}\n",
           name, who, value, unit);
}

int main(int argc, char **argv)
{
    server s;
    flood f = {.samples = calloc(SAMPLES_MAX, sizeof(int64_t))};
    setenv("FASTWORKER_QUEUE_MAX", queue_max, 1);
    if (argc != 3 || !f.samples || server_start(&s, argv[1], argv[2]) < 0)
        return 2;
    const fw_client_options options = {
        .size = sizeof options, .control_plane = s.address, .retries = 20, .in_flight = FLIGHT_MAX};
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (fw_client_open(&f.clients[i], &options) < 0)
            die("open");
        f.ready[i] = (struct pollfd){.fd = fw_fd(f.clients[i]), .events = POLLIN};
    }
    double most = peak(&f);
    uint64_t ended = overload(&f, 2 * most);
    int64_t recovered = recovery(&f);
    print("goodput", "ours", (double)ended * 1e9 / (double)flood_ns, "1/s");
    print("goodput", "its own peak", most, "1/s");
    print("recovery", "ours", (double)recovered / 1e6, "ms");
    size_t n = f.refused < SAMPLES_MAX ? f.refused : SAMPLES_MAX;
    qsort(f.samples, n, sizeof *f.samples, by_size);
    print("refused", "ours", (double)f.refused, "tasks");
    if (n > 0) {
        print("refusal-p50", "ours", (double)f.samples[n / 2] / 1e3, "us");
        print("refusal-p99", "ours", (double)f.samples[n * 99 / 100] / 1e3, "us");
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        fw_client_close(f.clients[i]);
    server_stop(&s);
    free(f.samples);
    return 0;
}
