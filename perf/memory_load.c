/* perf/memory_load.c - what a queued task costs: memory_load PROGRAM MODULE
 *
 * One task thread is kept busy by `spin`, 200,000 tasks with 64 bytes of arguments wait behind it:
 * what the control plane's resident memory has grown by, for each. At the end they must still wait;
 * otherwise there is no figure. MODULE: perf/bench_module.c. SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_server.h"
#include "fastworker/client.h"

enum { QUEUED = 200000, WARM_UP = 1000 };

typedef struct load {
    server own;
    fw_client *client;
    size_t answered, failed;
} load;

static void die(load *l, const char *what)
{
    fprintf(stderr, "memory_load: %s: %s\n", what, fw_client_errmsg());
    if (l->own.pid > 0)
        kill(l->own.pid, SIGKILL);
    server_stop(&l->own);
    exit(1);
}

static void count(void *user, int err, const fw_result *r)
{
    load *l = user;
    l->answered++;
    l->failed += err != 0 || fw_result_state(r) == FW_FAILURE;
}

static fw_submit submission(const char *task, const char *args)
{
    return (fw_submit){.size = sizeof(fw_submit), .task = task, .args = {args, strlen(args)}};
}

/* Sends n tasks and returns once all are accepted; id is the last one's. */
static void fill(load *l, const fw_submit *s, size_t n, fw_id *id)
{
    size_t goal = l->answered + n;
    while (n > 0) {
        int rc = fw_send_async(l->client, s, 1, count, l, id);
        if (rc == -FW_EFULL)
            rc = fw_dispatch(l->client, -1) < 0 ? -1 : 0;
        else if (rc == 0)
            n--;
        if (rc < 0)
            die(l, "send");
    }
    while (l->answered < goal)
        if (fw_dispatch(l->client, -1) < 0)
            die(l, "dispatch");
    if (l->failed > 0)
        die(l, "some tasks were not accepted");
}

static void check_waits(load *l, const fw_id *id)
{
    fw_result *r = NULL;
    int rc = fw_get(l->client, id->s, &r);
    if (rc < 0)
        die(l, "the last task cannot be looked up");
    if (fw_result_state(r) != FW_QUEUED) {
        fprintf(stderr, "memory_load: the last task is in state %d: %s\n", (int)fw_result_state(r),
                fw_result_error(r) ? fw_result_error(r) : "");
        die(l, "the backlog ran dry");
    }
    fw_result_free(r);
}

static size_t resident_bytes(pid_t pid)
{
    char path[64];
    unsigned long whole = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &whole, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory(load *l)
{
    char args[65];
    fw_id last;
    memset(args, 'x', 64);
    memcpy(args, "[\"", 2);
    memcpy(args + 62, "\"]", 3);
    fw_submit block = submission("spin", "[600000000]");
    fw_submit echo = submission("spin", args);
    if (fw_send(l->client, &block, NULL) < 0)
        die(l, "send");
    fill(l, &echo, WARM_UP, &last);
    size_t before = resident_bytes(l->own.pid);
    fill(l, &echo, QUEUED, &last);
    size_t after = resident_bytes(l->own.pid);
    check_waits(l, &last);
    if (before == 0 || after <= before)
        die(l, "resident memory cannot be read");
    printf("{\"suite\":\"memory\",\"name\":\"bytes-per-task\",\"who\":\"ours\",\"value\":%.6g,"
           "\"unit\":\"bytes\"}\n",
           (double)(after - before) / QUEUED);
}

int main(int argc, char **argv)
{
    static load l;
    if (argc != 3) {
        fprintf(stderr, "usage: memory_load PROGRAM MODULE\n");
        return 2;
    }
    setenv("FASTWORKER_THREADS", "1", 1);
    setenv("FASTWORKER_WORKER_CONCURRENCY", "1", 1);
    if (server_start(&l.own, argv[1], argv[2]) != 0)
        return 1;
    const fw_client_options options = {
        .size = sizeof(options), .control_plane = l.own.address, .retries = 20};
    if (fw_client_open(&l.client, &options) < 0)
        die(&l, "open");
    memory(&l);
    kill(l.own.pid, SIGKILL); /* nobody waits for what is queued */
    server_stop(&l.own);
    fw_client_close(l.client);
    return 0;
}
