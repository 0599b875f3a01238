/* children_test.c - calls in processes of their own (engine/children.c, engine/child.c,
 * engine/child_serve.c). The program is its own child. Where a sanitizer is, it turns a crash into
 * an exit, so texts are asked for what both have in common.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/children.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/process.h"

#include "children_case.h"

/* The span ends where it ends: what an earlier result left may follow. */
static long number_of(fw_span json)
{
    double number = -1;
    assert_true(fw_json_double(fw_json_parse(json), &number));
    return (long)number;
}

static long pid_of_child(fw_children *children)
{
    fw_call_output output = run(children, "pid", "[]");
    assert_true(output.success);
    return number_of(output.result);
}

static fw_children_stats stats_of(fw_children *children)
{
    fw_children_stats stats;
    fw_children_snapshot(children, &stats);
    return stats;
}

/* --- the tests --- */

static void results_errors_and_nothing_come_back(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    assert_int_equal(stats_of(children).started, 0);
    fw_call_output output = run(children, "safe_echo", "[{\"a\": [1, 2.5, \"\\u00e4\"]}]");
    assert_true(output.success);
    assert_span(output.result, "{\"a\": [1, 2.5, \"\\u00e4\"]}");
    output = run(children, "nothing", "[]");
    assert_true(output.success);
    assert_int_equal(output.result.len, 0);
    output = run(children, "fails", "[]");
    assert_false(output.success);
    assert_false(output.crashed);
    assert_span(output.error, "no fails");
    output = run(children, "nobody", "[]");
    assert_false(output.success);
    assert_true(has(output.error, "no task of that name"));
    fw_children_stats stats = stats_of(children);
    assert_int_equal(stats.started, 1);
    assert_int_equal(stats.idle, 1);
    assert_int_equal(stats.busy, 0);
    fw_children_destroy(children);
}

static void a_crash_is_told_and_the_child_replaced(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"segv", "[]"}, {"abort", "[]"}, {"exit", "[3]"}, {"exit", "[0]"}, {"greedy", "[]"}};
    fw_children *children = make((fw_children_config){0});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        long before = pid_of_child(children);
        fw_call_output output = run(children, bad[i][0], bad[i][1]);
        assert_false(output.success);
        assert_true(output.crashed);
        assert_true(has(output.error, "killed by signal ") || has(output.error, "exit status "));
        assert_true(has(output.error, "; max RSS "));
#ifndef FW_SANITIZED
        static const char *const how[] = {
            "task crashed: killed by signal 11 (SIGSEGV)",
            "task crashed: killed by signal 6 (SIGABRT)",
            "task ended its process: exit status 3",
            "task ended its process: exit status 0",
            "task crashed: killed by signal 11 (SIGSEGV)",
        };
        assert_true(has(output.error, how[i]));
#endif
        assert_int_not_equal(pid_of_child(children), before);
        assert_int_equal(kill((pid_t)before, 0), -1);
        assert_int_equal(stats_of(children).crashed, i + 1);
    }
    fw_children_destroy(children);
}

static void a_new_attempt_gets_its_number(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    fw_call_input input = call_of("first_time", "[]");
    fw_call_output output;
    fw_children_call(children, &input, &output);
    assert_true(output.crashed);
    input.attempt = 2;
    fw_children_call(children, &input, &output);
    assert_true(output.success);
    assert_span(output.result, "2");
    fw_children_destroy(children);
}

/* Past its deadline a task is told; one that answers then keeps its process. */
static void a_deadline_is_heard_or_enforced(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){.grace_ns = 60 * FW_NS_PER_S});
    long before = pid_of_child(children);
    fw_call_input input = call_of("patient", "[]");
    fw_call_output output;
    input.deadline_ns = fw_now_ns() + 20 * FW_NS_PER_MS;
    fw_children_call(children, &input, &output);
    assert_false(output.success);
    assert_span(output.error, "told at attempt 1");
    assert_int_equal(pid_of_child(children), before);

    input = call_of("touchy", "[]");
    input.deadline_ns = fw_now_ns() + 300 * FW_NS_PER_MS;
    fw_children_call(children, &input, &output);
    assert_true(has(output.error, "task passed its deadline"));
    assert_false(output.crashed);
    fw_children_destroy(children);

    children = make((fw_children_config){.grace_ns = 20 * FW_NS_PER_MS});
    input = call_of("deaf", "[]");
    before = pid_of_child(children);
    input.deadline_ns = fw_now_ns() + 20 * FW_NS_PER_MS;
    fw_children_call(children, &input, &output);
    assert_span(output.error, "task passed its deadline, did not listen and was killed");
    assert_false(output.crashed);
    assert_int_equal(kill((pid_t)before, 0), -1);
    assert_int_equal(stats_of(children).killed, 1);
    /* A deadline that passed before costs no process. */
    fw_children_call(children, &input, &output);
    assert_true(has(output.error, "over before it began"));
    fw_children_destroy(children);
}

static int is_set(const void *context)
{
    const fw_atomic(int) *looks = context;
    /* Relaxed: a count of looks, by one thread. */
    return fw_add_relaxed((fw_atomic(int) *)(uintptr_t)looks, 1) > 3;
}

static void a_cancel_reaches_the_task(void **state)
{
    (void)state;
    fw_atomic(int) looks = 0;
    fw_children *children = make((fw_children_config){.grace_ns = 20 * FW_NS_PER_MS});
    fw_call_input input = call_of("deaf", "[]");
    fw_call_output output;
    input.cancelled = is_set;
    input.cancelled_context = &looks;
    /* A child that is still starting is not told, it just ends. */
    assert_true(run(children, "pid", "[]").success);
    fw_children_call(children, &input, &output);
    assert_span(output.error, "task was cancelled, did not listen and was killed");
    fw_children_destroy(children);
}

/* A SIGTERM from somebody else, such as a service manager's to all processes, is not a cancel. */
static void only_the_parent_is_heard(void **state)
{
    (void)state;
    char command[96];
    fw_children *children = make((fw_children_config){0});
    long child = pid_of_child(children);
    snprintf(command, sizeof command, "/bin/kill -TERM %ld || kill -TERM %ld", child, child);
    assert_int_equal(system(command), 0);
    assert_int_equal(pid_of_child(children), child);
    fw_children_destroy(children);
}

static void large_arguments_and_results_pass(void **state)
{
    (void)state;
    size_t size = (size_t)64 << 20;
    char *args = malloc(size + 5), size_text[32];
    assert_non_null(args);
    memset(args, 'y', size + 4);
    memcpy(args, "[\"", 2);
    memcpy(args + 2 + size, "\"]", 3);
    fw_children *children = make((fw_children_config){0});
    fw_call_output output = run(children, "safe_echo", args);
    assert_true(output.success);
    assert_int_equal(output.result.len, size + 2);
    assert_memory_equal(output.result.ptr, args + 1, size + 2);
    snprintf(size_text, sizeof size_text, "[%zu]", size);
    output = run(children, "large", size_text);
    assert_true(output.success);
    assert_int_equal(output.result.len, size + 2);
    fw_children_destroy(children);
    free(args);
}

static void no_descriptor_of_the_parent_is_inherited(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* without O_CLOEXEC */
    fw_children *children = make((fw_children_config){0});
    fw_call_output output = run(children, "descriptors", "[]");
    assert_true(output.success);
    assert_true(has(output.result, "\"0=/dev/null "));
    assert_true(has(output.result, " 3=socket:"));
    assert_false(has(output.result, " 4="));
    assert_false(has(output.result, " 5="));
    fw_children_destroy(children);
    close(ends[0]);
    close(ends[1]);
}

/* What a child writes is not trusted. */
static void nonsense_ends_the_child(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){.grace_ns = 50 * FW_NS_PER_MS});
    fw_call_output output = run(children, "meddle", "[]");
    assert_false(output.success);
    assert_true(has(output.error, "task broke its process"));
    output = run(children, "hang_up", "[]");
    assert_false(output.success);
    assert_true(has(output.error, "task broke its process"));
    assert_int_equal(stats_of(children).killed, 2);
    assert_true(run(children, "safe_echo", "[1]").success);
    fw_children_destroy(children);
}

static void children_are_recycled_and_idle_ones_end(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){.calls_max = 3});
    long first = pid_of_child(children);
    assert_int_equal(pid_of_child(children), first);
    assert_int_equal(pid_of_child(children), first);
    assert_int_not_equal(pid_of_child(children), first);
    assert_int_equal(stats_of(children).recycled, 1);
    fw_children_destroy(children);

    children = make((fw_children_config){.idle_ns = FW_NS_PER_MS});
    first = pid_of_child(children);
    while (kill((pid_t)first, 0) == 0)
        sched_yield();
    assert_int_equal(stats_of(children).idle, 0);
    assert_int_equal(stats_of(children).idled, 1);
    assert_int_not_equal(pid_of_child(children), first);
    fw_children_destroy(children);
}

/* One that was killed while it had nothing to do costs nobody an attempt. */
static void a_child_that_died_idle_is_replaced(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    long first = pid_of_child(children);
    assert_int_equal(kill((pid_t)first, SIGKILL), 0);
    fw_call_output output = run(children, "pid", "[]");
    while (output.success && number_of(output.result) == first)
        output = run(children, "pid", "[]"); /* the kernel had not got round to it */
    if (output.success)
        assert_int_not_equal(number_of(output.result), first);
    else
        assert_true(output.crashed); /* it had taken the call and died then */
    assert_true(run(children, "pid", "[]").success);
    fw_children_destroy(children);
}

static void a_module_that_does_not_load_is_told(void **state)
{
    (void)state;
    const char *const words[] = {"isolated", "./nowhere.so", NULL};
    const char *const not_even[] = {"exit", "7", NULL};
    fw_children *children = make((fw_children_config){.words = words});
    fw_call_output output = run(children, "pid", "[]");
    assert_false(output.success);
    assert_true(
        has(output.error, "no child process for isolated tasks: task module './nowhere.so'"));
    fw_children_destroy(children);
    children = make((fw_children_config){.words = not_even});
    output = run(children, "pid", "[]");
    assert_false(output.success);
    assert_true(has(output.error, "did not start: exit status 7"));
    fw_children_destroy(children);
}

typedef struct crowd_member {
    fw_children *children;
    unsigned thread, crashes, good;
} crowd_member;

static void *call_many(void *argument)
{
    crowd_member *me = argument;
    char args[32];
    for (unsigned i = 0; i < 40; i++) {
        bool bad = i % 8 == me->thread;
        snprintf(args, sizeof args, "[%u]", me->thread * 1000 + i);
        fw_call_input input = call_of(bad ? "segv" : "safe_echo", bad ? "[]" : args);
        fw_call_output output;
        input.thread = me->thread;
        fw_children_call(me->children, &input, &output);
        if (bad && output.crashed)
            me->crashes++;
        else if (!bad && output.success && output.result.len == strlen(args) - 2 &&
                 memcmp(output.result.ptr, args + 1, output.result.len) == 0)
            me->good++;
    }
    return NULL;
}

static void many_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    fw_children *children = make((fw_children_config){0});
    crowd_member members[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (crowd_member){children, i, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &members[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(members[i].crashes, 5);
        assert_int_equal(members[i].good, 35);
    }
    fw_children_stats stats = stats_of(children);
    assert_int_equal(stats.crashed, 5 * THREADS);
    assert_in_range(stats.started, 5 * THREADS, 6 * THREADS);
    assert_int_equal(stats.busy, 0);
    fw_children_destroy(children);
}

/* A parent that is killed leaves no busy child behind. */
static int be_parent(void)
{
    fw_children *children = make((fw_children_config){0});
    dprintf(FW_PROCESS_GIVEN, "%ld\n", pid_of_child(children));
    run(children, "deaf", "[]");
    return 0;
}

static void children_die_with_a_parent_that_is_killed(void **state)
{
    (void)state;
    int ends[2];
    char text[32] = "";
    fw_process parent;
    fw_process_end end;
    char *argv[] = {(char *)(uintptr_t) "test", (char *)(uintptr_t) "parent", NULL};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fw_process_plan plan = {.argv = argv, .give = ends[1]};
    assert_int_equal(fw_process_start(&parent, &plan), 0);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    pid_t child = (pid_t)strtol(text, NULL, 10);
    assert_int_equal(kill(child, 0), 0);
    fw_process_signal(&parent, SIGKILL);
    assert_true(fw_process_wait(&parent, &end, 60 * FW_NS_PER_S));
    /* Nobody may be there to wait for it, so it may stay as a zombie: then it has no program. */
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)child);
    while (readlink(path, &byte, 1) > 0)
        sched_yield();
    assert_true(errno == ENOENT || errno == ESRCH);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "isolated") == 0)
        return be_child(argv[2]);
    if (argc == 3 && strcmp(argv[1], "exit") == 0)
        return (int)strtol(argv[2], NULL, 10);
    if (argc == 2 && strcmp(argv[1], "parent") == 0)
        return be_parent();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_errors_and_nothing_come_back),
        cmocka_unit_test(a_crash_is_told_and_the_child_replaced),
        cmocka_unit_test(a_new_attempt_gets_its_number),
        cmocka_unit_test(a_deadline_is_heard_or_enforced),
        cmocka_unit_test(a_cancel_reaches_the_task),
        cmocka_unit_test(only_the_parent_is_heard),
        cmocka_unit_test(large_arguments_and_results_pass),
        cmocka_unit_test(no_descriptor_of_the_parent_is_inherited),
        cmocka_unit_test(nonsense_ends_the_child),
        cmocka_unit_test(children_are_recycled_and_idle_ones_end),
        cmocka_unit_test(a_child_that_died_idle_is_replaced),
        cmocka_unit_test(a_module_that_does_not_load_is_told),
        cmocka_unit_test(many_threads_do_not_disturb_each_other),
        cmocka_unit_test(children_die_with_a_parent_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
