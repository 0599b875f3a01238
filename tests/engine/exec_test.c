/* tests/engine/exec_test.c - programs as tasks: shells are started for real. Covers engine/exec.c,
 * engine/exec_request.c, engine/exec_streams.c, engine/exec_exchange.c, engine/exec_oneshot.c and
 * engine/exec_pool.c; what users see of them is in tests/app/exec_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"

enum { THREADS = 4, CALLS = 500 };

/* A pool worker: the id is cut out of the line; $1 answers, with the id in $id. */
#define WORKER                                                                                     \
    "while IFS= read -r line; do id=${line#*'\"id\": \"'}; id=${id%%'\"'*}; eval \"$1\"; done"
#define OK "echo \"{\\\"id\\\": \\\"$id\\\", \\\"ok\\\": $$}\""

static fw_exec_plan plan_of(const char *const *argv)
{
    return (fw_exec_plan){.name = "task",
                          .argv = argv,
                          .env_pass = "PATH",
                          .grace_ns = 100 * FW_NS_PER_MS,
                          .result_max = 64 << 10,
                          .stderr_max = 1 << 10};
}

static fw_exec *make(const fw_exec_plan *plan)
{
    fw_exec *exec;
    char error[256] = "";
    assert_int_equal(fw_exec_create(&exec, THREADS), 0);
    if (fw_exec_add(exec, error, sizeof error, plan) < 0)
        print_error("%s\n", error);
    assert_string_equal(error, "");
    assert_int_equal(fw_exec_start(exec), 0);
    assert_int_equal(fw_exec_module(exec)->task_count, 1);
    return exec;
}

static fw_call_input input_of(const char *args, const char *kwargs)
{
    return (fw_call_input){.name = {"task", 4},
                           .args = {args, strlen(args)},
                           .kwargs = {kwargs, strlen(kwargs)},
                           .key = fw_key_random(),
                           .attempt = 1};
}

static fw_call_output call(fw_exec *exec, const fw_call_input *input)
{
    fw_call_output output;
    fw_exec_call(exec, &fw_exec_module(exec)->tasks[0], input, &output);
    return output;
}

static void assert_text(fw_span text, const char *expected)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    assert_string_equal(copy, expected);
}

/* One run of `sh -c SCRIPT sh ARGUMENTS...`. */
static void expect(const char *script, const char *args, const char *result, const char *error)
{
    const char *argv[] = {"/bin/sh", "-c", script, "sh", "{0}", "{{0}}", NULL};
    fw_exec_plan plan = plan_of(argv);
    fw_exec *exec = make(&plan);
    fw_call_input input = input_of(args, "{\"a\": 1}");
    fw_call_output output = call(exec, &input);
    if (error)
        assert_text(output.error, error);
    else
        assert_text(output.result, result);
    assert_int_equal(output.success, error == NULL);
    fw_exec_destroy(exec);
}

static void what_it_writes_is_the_result(void **state)
{
    (void)state;
    expect("echo \"$1 $2\"", "[\"a b\"]", "\"a b {0}\"", NULL);
    expect("echo \"[$1, 2]\"", "[1]", "[1, 2]", NULL);
    expect(":", "[1]", "", NULL);
    expect("cat >/dev/null; echo \"$FASTWORKER_TASK_NAME $FASTWORKER_ATTEMPT\"", "[1]",
           "\"task 1\"", NULL);
    expect("echo no >&2; exit 1", "[1]", NULL, "no");
    expect("exit 1", "[1]", NULL, "exit status 1");
    expect("echo x", "[]", NULL, "the argument {0} is missing");
    expect("exec yes", "[1]", NULL, "what the program wrote is more than 65536 bytes (result-max)");
}

static void another_try_is_asked_for(void **state)
{
    (void)state;
    const char *argv[] = {"/bin/sh", "-c", "echo busy >&2; exit 75", NULL};
    fw_exec_plan plan = plan_of(argv);
    plan.retry_delay_s = 2;
    plan.retry_backoff = 3;
    plan.retry_backoff_max_s = 20;
    fw_exec *exec = make(&plan);
    fw_exec_stats stats;
    fw_call_input input = input_of("[]", "{}");
    fw_call_output output = call(exec, &input);
    assert_int_equal(output.again, FW_AGAIN_AFTER);
    assert_int_equal(output.again_ms, 2000);
    input.attempt = 2;
    output = call(exec, &input);
    assert_int_equal(output.again_ms, 6000);
    input.attempt = 9;
    assert_int_equal(call(exec, &input).again_ms, 20000);
    output = call(exec, &input);
    assert_text(output.error, "busy");
    fw_exec_snapshot(exec, 0, &stats);
    assert_int_equal(stats.exits[FW_EXEC_RETRY], 4);
    assert_int_equal(stats.busy, 0);
    fw_exec_destroy(exec);
}

/* Set when the program says that it is up. */
typedef struct cancelling {
    fw_atomic(int) flag;
    int wanted;
} cancelling;

static int is_set(const void *context)
{
    return fw_load_relaxed(&((cancelling *)(uintptr_t)context)->flag);
}

static int set(void *context, uint64_t done, uint64_t total, fw_span note)
{
    cancelling *c = context;
    assert_true(done == 1 && total == 2 && note.len == 2);
    fw_store_relaxed(&c->flag, c->wanted);
    return 0;
}

/* The script writes the number of a grandchild to the file; it is dead when the call is over. */
static void the_whole_group_is_ended(void **state)
{
    (void)state;
    for (int cancel = 0; cancel < 2; cancel++) {
        char path[256], script[600];
        const char *folder = getenv("TMPDIR");
        snprintf(path, sizeof path, "%s/exec_XXXXXX", folder ? folder : "/tmp");
        int fd = mkstemp(path);
        close(fd);
        snprintf(script, sizeof script,
                 "trap '' TERM; sleep 600 & echo $! > %s; echo '1 2 up' >&3; wait; sleep 600",
                 path);
        const char *argv[] = {"/bin/sh", "-c", script, NULL};
        fw_exec_plan plan = plan_of(argv);
        plan.progress_fd = 3;
        fw_exec *exec = make(&plan);
        fw_exec_stats stats;
        cancelling c = {.wanted = cancel};
        fw_call_input input = input_of("[]", "{}");
        input.cancelled = is_set;
        input.cancelled_context = input.progress_context = &c;
        input.progress = set;
        input.deadline_ns = cancel ? 0 : fw_now_ns() + 300 * FW_NS_PER_MS;
        fw_call_output output = call(exec, &input);
        assert_false(output.success);
        FILE *file = fopen(path, "re");
        int pid = 0;
        if (file && fscanf(file, "%d", &pid) == 1)
            while (kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == -1)
                sched_yield();
        if (file)
            fclose(file);
        unlink(path);
        fw_exec_snapshot(exec, 0, &stats);
        assert_int_equal(stats.exits[cancel ? FW_EXEC_CANCELLED : FW_EXEC_TIMEOUT], 1);
        fw_exec_destroy(exec);
    }
}

typedef struct progress_log {
    uint64_t done, total;
    unsigned count;
    char note[64];
} progress_log;

static int note_progress(void *context, uint64_t done, uint64_t total, fw_span note)
{
    progress_log *log = context;
    log->done = done;
    log->total = total;
    log->count++;
    snprintf(log->note, sizeof log->note, "%.*s", (int)note.len, note.ptr ? note.ptr : "");
    return 0;
}

static void progress_is_told(void **state)
{
    (void)state;
    const char *once[] = {"/bin/sh", "-c", "echo 1 4 >&5; echo '3 4 two words' >&5; echo 1", NULL};
    const char *pool[] = {
        "/bin/sh",
        "-c",
        WORKER,
        "sh",
        "echo \"{\\\"id\\\": \\\"$id\\\", \\\"progress\\\": [1]}\"; "
        "echo \"{\\\"id\\\": \\\"$id\\\", \\\"progress\\\": [3, 4, \\\"two words\\\"]}\"; " OK,
        NULL};
    for (int i = 0; i < 2; i++) {
        progress_log log = {.count = 0};
        fw_exec_plan plan = plan_of(i ? pool : once);
        plan.pool = i;
        plan.progress_fd = i ? 0 : 5;
        fw_exec *exec = make(&plan);
        fw_call_input input = input_of("[]", "{}");
        input.progress = note_progress;
        input.progress_context = &log;
        assert_true(call(exec, &input).success);
        assert_int_equal(log.count, 2);
        assert_true(log.done == 3 && log.total == 4);
        assert_string_equal(log.note, "two words");
        fw_exec_destroy(exec);
    }
}

static void a_pool_takes_no_arguments(void **state)
{
    (void)state;
    char error[256];
    fw_exec *exec;
    const char *argv[] = {"/bin/sh", "{name}", NULL};
    fw_exec_plan plan = plan_of(argv);
    plan.pool = true;
    assert_int_equal(fw_exec_create(&exec, THREADS), 0);
    assert_int_equal(fw_exec_add(exec, error, sizeof error, &plan), -FW_EINVAL);
    assert_non_null(strstr(error, "{name}"));
    fw_exec_destroy(exec);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

typedef struct caller {
    fw_exec *exec;
    unsigned thread, failed;
} caller;

static void *call_often(void *argument)
{
    caller *c = argument;
    for (int i = 0; i < CALLS; i++) {
        fw_call_input input = input_of("[1,\n 2]", "{}");
        input.thread = c->thread;
        c->failed += !call(c->exec, &input).success;
    }
    return NULL;
}

/* More callers than processes, which end every hundred calls. */
static void a_pool_is_shared(void **state)
{
    (void)state;
    const char *argv[] = {"/bin/sh", "-c", WORKER, "sh", OK, NULL};
    size_t before = open_files();
    caller callers[THREADS];
    pthread_t threads[THREADS];
    fw_exec_stats stats;
    fw_exec_plan plan = plan_of(argv);
    plan.pool = true;
    plan.pool_size = 2;
    plan.recycle_tasks = 100;
    fw_exec *exec = make(&plan);
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (caller){exec, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].failed, 0);
    }
    fw_exec_snapshot(exec, 0, &stats);
    assert_int_equal(stats.busy, 0);
    assert_true(stats.idle <= 2);
    fw_exec_destroy(exec);
    assert_int_equal(open_files(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* What a program of a pool does wrong costs its run, and the next one has another process. */
static void a_pool_recovers(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *error;
        fw_exec_outcome outcome;
    } cases[] = {
        {"exit 3", "the program ended: exit status 3", FW_EXEC_ERROR},
        {"echo oh >&2; exit 75", "the program ended: oh", FW_EXEC_ERROR},
        {"exit 0", "the program ended: exit status 0", FW_EXEC_OK},
        {"echo nonsense", "the program wrote what is not an answer: nonsense", FW_EXEC_NONSENSE},
        {"exec >&-; sleep 600", "the program closed its standard input or output",
         FW_EXEC_NONSENSE},
        {"echo \"{\\\"id\\\": \\\"$id\\\", \\\"error\\\": \\\"sorry\\\"}\"", "sorry",
         FW_EXEC_OUTCOMES},
        {"yes | tr -d '\\n'", "the answer is more than 65536 bytes (result-max)", FW_EXEC_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *argv[] = {"/bin/sh", "-c", WORKER, "sh", cases[i].answer, NULL};
        fw_exec_stats stats;
        fw_exec_plan plan = plan_of(argv);
        plan.pool = true;
        fw_exec *exec = make(&plan);
        for (int again = 0; again < 2; again++) {
            fw_call_input input = input_of("[]", "{}");
            fw_call_output output = call(exec, &input);
            assert_false(output.success);
            assert_text(output.error, cases[i].error);
        }
        fw_exec_snapshot(exec, 0, &stats);
        if (cases[i].outcome != FW_EXEC_OUTCOMES)
            assert_int_equal(stats.exits[cases[i].outcome], 2);
        fw_exec_destroy(exec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_writes_is_the_result),
        cmocka_unit_test(another_try_is_asked_for),
        cmocka_unit_test(the_whole_group_is_ended),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(a_pool_takes_no_arguments),
        cmocka_unit_test(a_pool_is_shared),
        cmocka_unit_test(a_pool_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
