/* app/commands/bench_load.c - the load of `fastworker bench`, from one thread.
 *
 * Each task in flight has a slot with the time it was sent, or was due: at a steady rate a task
 * that leaves late because the control plane was slow counts from when it should have left.
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "app/commands/bench.h"
#include "base/clock.h"
#include "base/json.h"

enum { BURST = 64, PAUSE_MAX_MS = 20 };

typedef struct run run;

typedef struct slot {
    run *run;
    struct slot *next; /* free */
    int64_t from_ns;
} slot;

struct run {
    const fw_bench_load *load;
    fw_bench_figures *out;
    slot *slots, *free;
    int failed; /* -FW_E..., the first */
};

static void show(const run *r, int64_t now_ns)
{
    const fw_bench_load *l = r->load;
    fw_progress_show(l->progress, r->out->tasks, (uint64_t)((now_ns - l->begun_ns) / FW_NS_PER_MS),
                     now_ns);
}

static void take_answer(void *user, int err, const fw_result *result)
{
    slot *s = user;
    run *r = s->run;
    if (err == -FW_EFULL || err == -FW_EAGAIN) {
        r->out->refused++;
    } else if (err != 0) {
        r->failed = r->failed ? r->failed : err;
    } else {
        fw_durations_add(&r->out->latency, fw_now_ns() - s->from_ns);
        r->out->tasks++;
        r->out->failed += fw_result_state(result) == FW_FAILURE;
    }
    s->next = r->free;
    r->free = s;
}

/* False: there is no room now, or it failed. */
static bool send_one(run *r, int64_t from_ns, bool accept_only)
{
    slot *s = r->free;
    if (!s)
        return false;
    s->from_ns = from_ns;
    int rc = fw_send_async(r->load->client, r->load->task, accept_only, take_answer, s, NULL);
    if (rc < 0 && rc != -FW_EFULL)
        r->failed = rc;
    if (rc < 0)
        return false;
    r->free = s->next;
    return true;
}

static void dispatch(run *r, int64_t wait_ms)
{
    int rc = fw_dispatch(r->load->client, wait_ms);
    if (rc < 0)
        r->failed = r->failed ? r->failed : rc;
}

static void drain(run *r)
{
    while (r->failed == 0 && fw_in_flight(r->load->client) > 0)
        dispatch(r, -1);
}

/* --- the kinds --- */

static void run_calls(run *r, int64_t end_ns)
{
    int64_t now = fw_now_ns();
    while (now < end_ns && r->failed == 0) {
        fw_result *result = NULL;
        int rc = fw_call_task(r->load->client, r->load->task, 0, &result);
        int64_t then = fw_now_ns();
        r->failed = rc < 0 ? rc : 0;
        r->out->failed += rc == 0 && fw_result_state(result) == FW_FAILURE;
        fw_result_free(result);
        if (rc == 0) {
            fw_durations_add(&r->out->latency, then - now);
            r->out->tasks++;
        }
        now = then;
        show(r, now);
    }
}

static void run_flood(run *r, int64_t end_ns, bool accept_only)
{
    int64_t now = fw_now_ns();
    for (; now < end_ns && r->failed == 0; now = fw_now_ns()) {
        uint64_t refused = r->out->refused;
        for (int i = 0; i < BURST && send_one(r, now, accept_only); i++)
            ;
        /* Refused: running is behind submitting. */
        if (!r->free || r->out->refused != refused)
            dispatch(r, PAUSE_MAX_MS);
        show(r, now);
    }
    drain(r);
}

static void run_steady(run *r, int64_t start_ns, int64_t end_ns)
{
    double gap_ns = 1e9 / r->load->rate;
    int64_t due = start_ns;
    for (uint64_t sent = 0; due < end_ns && r->failed == 0;) {
        int64_t now = fw_now_ns();
        if (now >= due && r->free) {
            sent += send_one(r, due, false);
            due = start_ns + (int64_t)((double)sent * gap_ns);
            if (due > now)
                fw_flush(r->load->client);
            continue;
        }
        struct pollfd ready = {.fd = fw_fd(r->load->client), .events = POLLIN};
        int64_t wait_ns = due > now ? due - now : PAUSE_MAX_MS * FW_NS_PER_MS;
        struct timespec pause = {wait_ns / FW_NS_PER_S, wait_ns % FW_NS_PER_S};
        if (ppoll(&ready, 1, &pause, NULL) > 0)
            dispatch(r, 0);
        show(r, now);
    }
    drain(r);
}

/* --- CPU time --- */

static double client_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Of the control plane; negative: it is of another kind, or does not tell us. */
static double plane_cpu_s(fw_client *c)
{
    char *answer = NULL;
    double seconds = -1;
    if (fw_client_is_native(c) && fw_manage(c, "{\"action\": \"stats\"}", &answer) == 0) {
        fw_json whole = fw_json_parse((fw_span){answer, strlen(answer)});
        fw_json cpu = whole.type == FW_JSON_OBJECT ? fw_json_get(whole, "cpu") : whole;
        if (cpu.type != FW_JSON_OBJECT || !fw_json_double(fw_json_get(cpu, "seconds"), &seconds))
            seconds = -1;
    }
    free(answer);
    return seconds;
}

int fw_bench_run(fw_bench_load *load, fw_bench_kind kind, double seconds, fw_bench_figures *out)
{
    run r = {.load = load, .out = out};
    r.slots = calloc((size_t)load->in_flight, sizeof *r.slots);
    if (!r.slots)
        return -FW_ENOMEM;
    for (int i = load->in_flight - 1; i >= 0; i--) {
        r.slots[i] = (slot){.run = &r, .next = r.free};
        r.free = &r.slots[i];
    }
    *out = (fw_bench_figures){.plane_us = -1};
    double plane = plane_cpu_s(load->client), client = client_cpu_s();
    int64_t start = fw_now_ns(), end = start + (int64_t)(seconds * 1e9);
    if (kind == FW_BENCH_CALLS)
        run_calls(&r, end);
    else if (kind == FW_BENCH_STEADY)
        run_steady(&r, start, end);
    else
        run_flood(&r, end, kind == FW_BENCH_ACCEPTED);
    out->seconds = (double)(fw_now_ns() - start) / 1e9;
    client = client_cpu_s() - client;
    if (out->tasks > 0) {
        double after = plane < 0 ? -1 : plane_cpu_s(load->client);
        out->plane_us = after < 0 ? -1 : (after - plane) * 1e6 / (double)out->tasks;
        out->client_us = client * 1e6 / (double)out->tasks;
    }
    if (r.failed != 0) {
        /* What is still in flight gets its answers here, while its slots are there. */
        fw_client_close(load->client);
        load->client = NULL;
    }
    free(r.slots);
    return r.failed;
}
