/* app/commands/bench.h - the parts of `fastworker bench`: a control plane of its own, the load, and
 * what is printed. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_BENCH_H
#define FW_APP_COMMANDS_BENCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "app/commands/durations.h"
#include "app/commands/options.h"
#include "app/commands/progress.h"
#include "fastworker/client.h"

/* --- a control plane of our own --- */

typedef struct fw_bench_plane {
    pid_t pid; /* 0: none */
    char address[64];
} fw_bench_plane;

/* Starts this program as a control plane on free loopback ports; it ends with us. modules: what
 * --task-modules is to be, or NULL: the samples that were built with the program. threads: text, or
 * NULL. The exit status; it was said what is wrong. */
int fw_bench_plane_start(fw_bench_plane *plane, const char *modules, const char *threads);
void fw_bench_plane_stop(fw_bench_plane *plane);

/* --- the load --- */

typedef enum fw_bench_kind {
    FW_BENCH_CALLS,    /* one call at a time */
    FW_BENCH_RESULTS,  /* many in flight, with results */
    FW_BENCH_ACCEPTED, /* many in flight, acknowledged */
    FW_BENCH_STEADY,   /* so many a second, whatever comes back */
    FW_BENCH_KINDS
} fw_bench_kind;

typedef struct fw_bench_figures {
    fw_durations latency; /* STEADY: from the time each was due */
    uint64_t tasks, failed, refused;
    double seconds;
    double plane_us, client_us; /* CPU for each task; plane_us < 0: it does not tell */
} fw_bench_figures;

typedef struct fw_bench_load {
    fw_client *client;
    const fw_submit *task;
    int in_flight;
    double rate; /* of STEADY, per second */
    fw_progress *progress;
    int64_t begun_ns; /* of all of it, for the progress */
} fw_bench_load;

/* Runs for so long and fills in what was seen. 0, or -FW_E..., and then load->client is closed and
 * NULL. */
int fw_bench_run(fw_bench_load *load, fw_bench_kind kind, double seconds, fw_bench_figures *out);

#endif
