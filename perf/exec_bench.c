/* perf/exec_bench.c - `exec`: what it costs to leave the process for one task.
 *
 * exec_bench MODULE [CALLS]: one thread calls the task `echo` of the module in this process and in
 * an isolated child, then programs that do as little: a shell and a C program for each run, a pool
 * of one shell and of one C program. One JSON line each: calls a second, and microseconds of CPU a
 * call, of this process and of those that it started. The program is its own child and its own C
 * program. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/exec.h"

typedef enum way { IN_PROCESS, ISOLATED, PROGRAM } way;

typedef struct bench {
    way way;
    fw_modules *modules;
    fw_children *children;
    fw_exec *exec;
} bench;

/* --- what the others do --- */

static int be_child(const char *module)
{
    fw_modules *modules;
    char error[512];
    FW_ASSERT(fw_modules_create(&modules, 1) == 0);
    if (fw_modules_load(modules, error, sizeof error, module, NULL) < 0)
        fw_child_refuse(error);
    else
        fw_child_serve(modules);
    fw_modules_destroy(modules);
    return 0;
}

/* {"id": "...": answers each line until there is none. */
static int be_pool(void)
{
    static char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        const char *id = strchr(line, ':') + 3;
        printf("{\"id\": \"%.*s\", \"ok\": 7}\n", (int)strcspn(id, "\""), id);
        fflush(stdout);
    }
    return 0;
}

/* --- measuring --- */

static double cpu_s(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static void call(bench *b)
{
    fw_call_output output;
    fw_call_input input = {.name = {"echo", 4},
                           .args = {"[7]", 3},
                           .kwargs = {"{}", 2},
                           .key = fw_key_random(),
                           .attempt = 1};
    if (b->way == IN_PROCESS)
        fw_modules_call(b->modules, fw_modules_find(b->modules, input.name), &input, &output);
    else if (b->way == ISOLATED)
        fw_children_call(b->children, &input, &output);
    else
        fw_exec_call(b->exec, &fw_exec_module(b->exec)->tasks[0], &input, &output);
    FW_ASSERT(output.success);
}

static void close_bench(bench *b)
{
    fw_children_destroy(b->children);
    fw_exec_destroy(b->exec);
    b->children = NULL;
    b->exec = NULL;
}

/* CPU of children is known when they have ended. */
static void measure(const char *name, bench *b, unsigned calls)
{
    call(b);
    double own = cpu_s(RUSAGE_SELF), theirs = cpu_s(RUSAGE_CHILDREN);
    int64_t begin_ns = fw_now_ns();
    for (unsigned i = 0; i < calls; i++)
        call(b);
    double s = (double)(fw_now_ns() - begin_ns) / 1e9;
    own = cpu_s(RUSAGE_SELF) - own;
    close_bench(b);
    theirs = cpu_s(RUSAGE_CHILDREN) - theirs;
    printf("{\"case\": \"%s\", \"calls\": %u, \"per_s\": %.0f, \"us\": %.1f, \"cpu_us\": %.1f, "
           "\"cpu_others_us\": %.1f}\n",
           name, calls, calls / s, s * 1e6 / calls, own * 1e6 / calls, theirs * 1e6 / calls);
    fflush(stdout);
}

static void measure_program(const char *name, unsigned calls, bool pool, const char *const *argv)
{
    char error[256];
    bench b = {.way = PROGRAM};
    fw_exec_plan plan = {.name = "echo",
                         .argv = argv,
                         .pool = pool,
                         .grace_ns = FW_NS_PER_S,
                         .result_max = 1 << 20,
                         .stderr_max = 1 << 16};
    FW_ASSERT(fw_exec_create(&b.exec, 1) == 0);
    FW_ASSERT(fw_exec_add(b.exec, error, sizeof error, &plan) == 0);
    FW_ASSERT(fw_exec_start(b.exec) == 0);
    measure(name, &b, calls);
}

int main(int argc, char **argv)
{
    static const char worker[] =
        "while IFS= read -r l; do i=${l#*'\": \"'}; echo \"{\\\"id\\\": \\\"${i%%'\"'*}\\\", "
        "\\\"ok\\\": 7}\"; done";
    char self[1024], error[512];
    if (argc == 3 && strcmp(argv[1], "isolated") == 0)
        return be_child(argv[2]);
    if (argc == 2 && strcmp(argv[1], "pool") == 0)
        return be_pool();
    if (argc == 2 && strcmp(argv[1], "once") == 0)
        return puts("7") < 0;
    if (argc < 2) {
        fprintf(stderr, "exec_bench MODULE [CALLS]\n");
        return 2;
    }
    unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2000;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    FW_ASSERT(len > 0);
    self[len] = '\0';
    bench b = {.way = IN_PROCESS};
    FW_ASSERT(fw_modules_create(&b.modules, 1) == 0);
    FW_ASSERT(fw_modules_load(b.modules, error, sizeof error, argv[1], NULL) == 0);
    FW_ASSERT(fw_modules_thread_start(b.modules, 0) == 0);
    measure("in process", &b, calls * 100);
    const char *words[] = {"isolated", argv[1], NULL};
    fw_children_config config = {.threads = 1, .words = words};
    b.way = ISOLATED;
    FW_ASSERT(fw_children_create(&b.children, &config) == 0);
    measure("isolated", &b, calls * 10);
    measure_program("pool, C", calls * 10, true, (const char *const[]){self, "pool", NULL});
    measure_program("pool, sh", calls * 10, true,
                    (const char *const[]){"/bin/sh", "-c", worker, NULL});
    measure_program("oneshot, C", calls, false, (const char *const[]){self, "once", NULL});
    measure_program("oneshot, sh", calls, false,
                    (const char *const[]){"/bin/sh", "-c", "echo 7", NULL});
    fw_modules_thread_stop(b.modules, 0);
    fw_modules_destroy(b.modules);
    return 0;
}
