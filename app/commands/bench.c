/* app/commands/bench.c - `fastworker bench`: how fast is it here, in about ten seconds.
 *
 * Four loads in turn on one connection. Without an address it measures a control plane of its own
 * on this machine, which client, tasks and control plane then share. Figures go to standard output,
 * progress to standard error. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/moment.h"
#include "base/clock.h"
#include "base/json.h"

enum { OWN_RETRIES = 20, SMALL_BYTES = 4, BYTES_MAX = 1 << 20, IN_FLIGHT_MAX = 65536 };

typedef struct kind {
    const char *word, *title;
    double part; /* of the time */
} kind;

static const kind kinds[FW_BENCH_KINDS] = {
    [FW_BENCH_CALLS] = {"one-at-a-time", "one at a time", 0.2},
    [FW_BENCH_RESULTS] = {"with-results", "many at once", 0.35},
    [FW_BENCH_ACCEPTED] = {"acknowledged", "acknowledged only", 0.2},
    [FW_BENCH_STEADY] = {"steady", "at a steady rate", 0.25},
};

typedef struct bench {
    fw_options *options;
    fw_bench_plane own;
    fw_bench_load load;
    fw_submit task;
    fw_progress progress;
    double seconds;
    char *args; /* made; NULL: given */
    bool json, any;
} bench;

/* --- what is wanted --- */

/* A whole number of an option, or what is there already. False: it is wrong, and it was said. */
static bool read_number(fw_options *options, const char *name, long least, long most, long *value)
{
    const char *text = fw_options_text(options, name);
    char *end;
    if (!text)
        return true;
    *value = strtol(text, &end, 10);
    if (*text && !*end && *value >= least && *value <= most)
        return true;
    fw_options_wrong(options, "--%s: a number from %ld to %ld is wanted, not '%s'.", name, least,
                     most, text);
    return false;
}

/* ["xxx..."] of so many bytes in all. */
static char *make_args(size_t bytes)
{
    char *args = malloc(bytes + 1);
    if (!args)
        return NULL;
    memset(args, 'x', bytes);
    memcpy(args, "[\"", 2);
    memcpy(args + bytes - 2, "\"]", 3);
    return args;
}

static bool read_task(bench *b)
{
    const char *name = fw_options_text(b->options, "task-name");
    const char *given = fw_options_text(b->options, "json-args");
    long bytes = 64;
    if (!read_number(b->options, "bytes", SMALL_BYTES, BYTES_MAX, &bytes))
        return false;
    if (given && fw_json_parse((fw_span){given, strlen(given)}).type != FW_JSON_ARRAY) {
        fw_options_wrong(b->options, "--json-args: a JSON array is wanted.");
        return false;
    }
    if (!given && !(b->args = make_args((size_t)bytes))) {
        fw_ends_saying(-FW_ENOMEM, "out of memory");
        return false;
    }
    const char *args = given ? given : b->args;
    b->task = (fw_submit){
        .size = sizeof(fw_submit), .task = name ? name : "echo", .args = {args, strlen(args)}};
    return true;
}

static bool read_options(bench *b)
{
    const char *seconds = fw_options_text(b->options, "seconds");
    long in_flight = 4096, rate = 10000, threads = 0;
    int64_t ms = 10000;
    if (b->options->word_count > 0) {
        fw_options_wrong(b->options, "it takes no words.");
        return false;
    }
    if (seconds && (!fw_duration_read(&ms, seconds) || ms < 100)) {
        fw_options_wrong(b->options, "--seconds: a time of at least 100ms is wanted.");
        return false;
    }
    if (!read_number(b->options, "in-flight", 1, IN_FLIGHT_MAX, &in_flight) ||
        !read_number(b->options, "rate", 1, 10000000, &rate) ||
        !read_number(b->options, "threads", 1, 256, &threads))
        return false;
    b->seconds = (double)ms / 1e3;
    b->load = (fw_bench_load){.task = &b->task,
                              .in_flight = (int)in_flight,
                              .rate = (double)rate,
                              .progress = &b->progress};
    b->json = fw_options_has(b->options, "json");
    return read_task(b);
}

/* --- what was seen --- */

static void print_json(bench *b, const kind *k, const fw_bench_figures *f)
{
    printf("%s{\"name\": \"%s\", \"tasks\": %" PRIu64 ", \"seconds\": %.3f, \"tasks_per_second\": "
           "%.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"failed\": %" PRIu64
           ", \"refused\": %" PRIu64 ", \"client_cpu_us\": %.3f, \"control_plane_cpu_us\": ",
           b->any ? ", " : "", k->word, f->tasks, f->seconds, (double)f->tasks / f->seconds,
           (double)fw_durations_quantile(&f->latency, 0.5) / 1e3,
           (double)fw_durations_quantile(&f->latency, 0.99) / 1e3, f->failed, f->refused,
           f->client_us);
    printf(f->plane_us < 0 ? "null}" : "%.3f}", f->plane_us);
}

static void print_text(const kind *k, const fw_bench_figures *f)
{
    printf("%-18s %11.0f/s  p50 %9.1f us  p99 %9.1f us", k->title, (double)f->tasks / f->seconds,
           (double)fw_durations_quantile(&f->latency, 0.5) / 1e3,
           (double)fw_durations_quantile(&f->latency, 0.99) / 1e3);
    if (f->plane_us >= 0)
        printf("  CPU a task: %.2f us control plane, %.2f us client", f->plane_us, f->client_us);
    printf("\n");
    if (f->failed > 0)
        printf("%-18s %11" PRIu64 " of %" PRIu64 " tasks failed\n", "", f->failed, f->tasks);
    if (f->refused > 0)
        printf("%-18s %11" PRIu64 " were refused for a time: a limit was reached\n", "",
               f->refused);
}

static void print_head(const bench *b)
{
    const char *whose = b->own.pid > 0 ? " (started for this)" : "";
    const char *address = fw_client_address(b->load.client);
    if (b->json)
        printf("{\"address\": \"%s\", \"own\": %s, \"task\": \"%s\", \"in_flight\": %d, "
               "\"rate\": %.0f, \"figures\": [",
               address, b->own.pid > 0 ? "true" : "false", b->task.task, b->load.in_flight,
               b->load.rate);
    else
        printf("%s%s, task %s, %d at once, steady: %.0f/s from when each was due\n", address, whose,
               b->task.task, b->load.in_flight, b->load.rate);
    fflush(stdout);
}

static int run_all(bench *b)
{
    static fw_bench_figures figures;
    uint64_t failed = 0;
    print_head(b);
    fw_progress_begin(&b->progress, fw_options_has(b->options, "quiet"),
                      (uint64_t)(b->seconds * 1e3));
    b->load.begun_ns = fw_now_ns();
    for (int i = 0; i < FW_BENCH_KINDS; i++) {
        int rc = fw_bench_run(&b->load, (fw_bench_kind)i, b->seconds * kinds[i].part, &figures);
        fw_progress_end(&b->progress);
        if (rc < 0)
            return fw_ends_saying(rc, fw_client_errmsg());
        if (b->json)
            print_json(b, &kinds[i], &figures);
        else
            print_text(&kinds[i], &figures);
        fflush(stdout);
        failed += figures.failed;
        b->any = true;
    }
    if (b->json)
        printf("]}\n");
    return failed > 0 ? FW_ENDS_FAILURE : FW_ENDS_WELL;
}

/* --- the command --- */

static int connect_plane(bench *b)
{
    bool elsewhere = fw_options_has(b->options, "control-plane-address") ||
                     fw_options_has(b->options, "discovery-address");
    if (!elsewhere) {
        int ends = fw_bench_plane_start(&b->own, fw_options_text(b->options, "task-modules"),
                                        fw_options_text(b->options, "threads"));
        if (ends != 0)
            return ends;
        fw_option *address = fw_options_find(b->options, "control-plane-address");
        address->text = b->own.address;
    }
    return fw_connect(&b->load.client, b->options, elsewhere ? -1 : OWN_RETRIES, b->load.in_flight);
}

static fw_option all[] = {
    {.name = "seconds", .kind = FW_OPTION_VALUE, .value = "TIME", .meaning = "in all (10)"},
    {.name = "in-flight", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "at once (4096)"},
    {.name = "rate",
     .kind = FW_OPTION_VALUE,
     .value = "N",
     .meaning = "tasks a second of the steady load (10000)"},
    {.name = "task-name",
     .kind = FW_OPTION_VALUE,
     .value = "TASK",
     .meaning = "what is run (echo, of the samples)"},
    {.name = "json-args",
     .kind = FW_OPTION_VALUE,
     .value = "JSON",
     .meaning = "its arguments, an array"},
    {.name = "bytes", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "of arguments (64)"},
    {.name = "task-modules",
     .kind = FW_OPTION_VALUE,
     .value = "FILE",
     .meaning = "of the control plane that is started"},
    {.name = "threads", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "of the same"},
    {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
    {.name = "quiet", .letter = 'q', .kind = FW_OPTION_FLAG, .meaning = "no progress"},
    FW_CONNECT_OPTIONS,
};

int fw_command_bench(int argc, char **argv)
{
    fw_options options = {
        .command = "bench",
        .usage = "bench [options]",
        .examples = "  fastworker bench\n"
                    "  fastworker bench --control-plane-address tcp://10.0.0.5:5555 --seconds 30\n",
        .notes = "Without an address it starts a control plane for the time being. Compare only "
                 "figures of one\nmachine and of the same minutes. Exit status: 0 done, 3 tasks "
                 "failed, 69 nobody there\n",
        .all = all,
        .count = sizeof all / sizeof all[0]};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    bench b = {.options = &options};
    int ends = read_options(&b) ? connect_plane(&b) : FW_ENDS_USAGE;
    if (ends == 0)
        ends = run_all(&b);
    fw_client_close(b.load.client);
    fw_bench_plane_stop(&b.own);
    free(b.args);
    fw_options_fini(&options);
    return fw_ends(ends);
}
