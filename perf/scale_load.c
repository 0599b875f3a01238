/* perf/scale_load.c - a control plane with many clients: scale_load connections N PROGRAM MODULE
 *
 * N connections stay open. What the control plane's memory grows by for each; tasks a second over
 * one of them while the others are silent, beside the same without the others; calls over
 * all of them, four at a time. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client_server.h"
#include "fastworker/client.h"

enum { SECONDS = 2, WINDOW = 1024, HOLDERS = 4 };

static server own;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "scale_load: %s: %s\n", what, fw_client_errmsg());
    if (own.pid > 0)
        kill(own.pid, SIGKILL);
    server_stop(&own);
    exit(1);
}

static fw_client *dial(void)
{
    fw_client *c = NULL;
    const fw_client_options options = {
        .size = sizeof options, .control_plane = own.address, .retries = 20, .in_flight = WINDOW};
    if (fw_client_open(&c, &options) < 0)
        die("open");
    return c;
}

static void print(const char *name, uint64_t n, double value, const char *unit)
{
    printf("{\"suite\":\"scale\",\"name\":\"clients-%" PRIu64 "-%s\",\"who\":\"ours\","
           "\"value\":%.6g,\"unit\":\"%s\"}\n",
           n, name, value, unit);
    fflush(stdout);
}

static size_t resident_bytes(void)
{
    char path[64];
    unsigned long whole = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)own.pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lu %lu", &whole, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static const fw_submit echo = {.size = sizeof(fw_submit),
                               .task = "echo",
                               .args = {"[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]", 36}};

static void count(void *user, int err, const fw_result *r)
{
    if (err != 0 || fw_result_state(r) != FW_SUCCESS)
        die("a task");
    ++*(uint64_t *)user;
}

static double rate_over_one(fw_client *c)
{
    uint64_t done = 0;
    int64_t start = fw_now_ns(), end = start + SECONDS * FW_NS_PER_S;
    while (fw_now_ns() < end) {
        int rc = fw_send_async(c, &echo, 0, count, &done, NULL);
        if (rc == -FW_EFULL)
            rc = fw_dispatch(c, -1) < 0 ? -1 : 0;
        if (rc < 0)
            die("send");
    }
    while (fw_in_flight(c) > 0)
        if (fw_dispatch(c, -1) < 0)
            die("dispatch");
    return (double)done / ((double)(fw_now_ns() - start) / 1e9);
}

static void raise_limit(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* A client has a few descriptors of its own, more than a process may have for all of them. So
 * holders, processes of their own, have a part each; two pipes say how far it is. */
typedef struct holder {
    pid_t pid;
    int orders, reports;
} holder;

static void call_over_each(fw_client **all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fw_result *r = NULL;
        if (fw_call_task(all[i], &echo, 60000, &r) < 0 || fw_result_state(r) != FW_SUCCESS)
            die("call");
        fw_result_free(r);
    }
}

static void hold(size_t n, int orders, int reports)
{
    char byte = 0;
    fw_client **all = calloc(n, sizeof *all);
    own.pid = 0; /* is ended by the first process */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!all)
        die("memory");
    for (size_t i = 0; i < n; i++)
        all[i] = dial();
    if (write(reports, &byte, 1) != 1 || read(orders, &byte, 1) != 1)
        _exit(1);
    call_over_each(all, n);
    if (write(reports, &byte, 1) != 1)
        _exit(1);
    for (;;)
        pause(); /* until it is killed */
}

static void start_holder(holder *h, size_t n)
{
    int orders[2], reports[2];
    if (pipe2(orders, O_CLOEXEC) != 0 || pipe2(reports, O_CLOEXEC) != 0)
        die("pipe");
    h->pid = fork();
    if (h->pid < 0)
        die("fork");
    if (h->pid == 0) {
        close(orders[1]);
        hold(n, orders[0], reports[1]);
    }
    close(orders[0]);
    close(reports[1]);
    h->orders = orders[1];
    h->reports = reports[0];
}

static void await(holder *holders)
{
    char byte;
    for (int i = 0; i < HOLDERS; i++)
        if (read(holders[i].reports, &byte, 1) != 1)
            die("a holder of connections has ended");
}

static void measure(size_t n)
{
    holder holders[HOLDERS];
    char byte = 0;
    fw_client *one = dial();
    rate_over_one(one);
    print("one-active", 1, rate_over_one(one), "1/s");
    size_t before = resident_bytes();
    for (int i = 0; i < HOLDERS; i++)
        start_holder(&holders[i], n / HOLDERS);
    await(holders);
    print("memory", n, (double)(resident_bytes() - before) / (double)n, "bytes");
    print("one-active", n, rate_over_one(one), "1/s");
    int64_t start = fw_now_ns();
    for (int i = 0; i < HOLDERS; i++)
        if (write(holders[i].orders, &byte, 1) != 1)
            die("a holder of connections");
    await(holders);
    print("call-over-each", n, (double)n / ((double)(fw_now_ns() - start) / 1e9), "1/s");
    for (int i = 0; i < HOLDERS; i++) {
        kill(holders[i].pid, SIGKILL);
        waitpid(holders[i].pid, NULL, 0);
        close(holders[i].orders);
        close(holders[i].reports);
    }
    fw_client_close(one);
}

int main(int argc, char **argv)
{
    if (argc != 5 || strcmp(argv[1], "connections") != 0)
        return 2;
    size_t n = strtoull(argv[2], NULL, 10);
    char limit[32];
    raise_limit();
    snprintf(limit, sizeof limit, "%zu", n + 100);
    setenv("FASTWORKER_CONNECTIONS_MAX", limit, 1);
    if (server_start(&own, argv[3], argv[4]) != 0)
        return 1;
    measure(n);
    server_stop(&own);
    return 0;
}
