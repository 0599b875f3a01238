/* perf/critical_load.c - how long critical tasks take while low ones wait.
 *
 *     critical_load WHO PROGRAM MODULE BACKLOG
 *
 * Starts a control plane, queues BACKLOG low tasks of 100 us, then for two seconds submits one
 * empty critical task a millisecond, waits for its result and notes how long that took. Prints p50
 * and p99, and how many low tasks were still waiting at the end (the figures count only if some
 * were). SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client_server.h"
#include "fastworker/client.h"

enum { CALLS = 2000, INTERVAL_NS = 1000000, BATCH = 500 };

static size_t low_left;

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void die(const char *what)
{
    fprintf(stderr, "critical_load: %s: %s\n", what, fw_client_errmsg());
    exit(1);
}

static fw_client *connect_to(const char *address)
{
    fw_client *c;
    fw_client_options options = {.size = sizeof options, .control_plane = address};
    for (int tries = 0; fw_client_open(&c, &options) < 0; tries++) {
        if (tries == 200)
            die("no control plane");
        const struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
    }
    return c;
}

static void queue_low(fw_client *c, size_t count)
{
    static fw_submit many[BATCH];
    for (size_t i = 0; i < BATCH; i++)
        many[i] = (fw_submit){.size = sizeof many[i],
                              .task = "spin",
                              .args = {"[100]", 5},
                              .prio = FW_LOW,
                              .has_prio = 1};
    for (size_t sent = 0; sent < count; sent += BATCH) {
        if (fw_send_many(c, many, BATCH, NULL) < 0)
            die("low tasks");
    }
}

/* => how many calls fitted into the time. */
static int measure(fw_client *c, int64_t *samples)
{
    int64_t due = fw_now_ns(), end = due + (int64_t)CALLS * INTERVAL_NS;
    int i = 0;
    for (; i < CALLS && fw_now_ns() < end; i++, due += INTERVAL_NS) {
        const struct timespec when = {due / FW_NS_PER_S, due % FW_NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
        fw_result *r = NULL;
        int64_t begun = fw_now_ns();
        const fw_submit *s =
            FW_SUBMIT("spin", .args = {"[0]", 3}, .prio = FW_CRITICAL, .has_prio = 1);
        if (fw_call_task(c, s, 30000, &r) < 0 || fw_result_state(r) != FW_SUCCESS)
            die("critical task");
        samples[i] = fw_now_ns() - begun;
        fw_result_free(r);
    }
    return i;
}

/* A low task submitted last is not over: some of them waited all the time. */
static void check_backlog(fw_client *c, size_t backlog)
{
    fw_result *r = NULL;
    if (backlog == 0)
        return;
    int rc = fw_get(c, "last-low", &r);
    low_left = rc == 0 && fw_result_state(r) != FW_SUCCESS;
    fw_result_free(r);
    if (low_left == 0)
        fprintf(stderr, "critical_load: the low tasks ended before the measurement did\n");
}

int main(int argc, char **argv)
{
    static int64_t samples[CALLS];
    server s;
    if (argc != 5 || server_start(&s, argv[2], argv[3]) < 0)
        return 2;
    size_t backlog = (size_t)strtoull(argv[4], NULL, 10);
    fw_client *c = connect_to(s.address);
    queue_low(c, backlog);
    if (backlog > 0 && fw_send(c,
                               FW_SUBMIT("spin", .args = {"[100]", 5}, .prio = FW_LOW,
                                         .has_prio = 1, .id = "last-low"),
                               NULL) < 0)
        die("last low task");
    int calls = measure(c, samples);
    check_backlog(c, backlog);
    qsort(samples, (size_t)calls, sizeof samples[0], by_size);
    printf("{\"suite\":\"e2e\",\"name\":\"critical-p50\",\"who\":\"%s\",\"value\":%.1f,"
           "\"unit\":\"us\"}\n",
           argv[1], (double)samples[calls / 2] / 1e3);
    printf("{\"suite\":\"e2e\",\"name\":\"critical-p99\",\"who\":\"%s\",\"value\":%.1f,"
           "\"unit\":\"us\"}\n",
           argv[1], (double)samples[calls * 99 / 100] / 1e3);
    fw_client_close(c);
    server_stop(&s);
    return backlog > 0 && low_left == 0;
}
