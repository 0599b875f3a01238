/* process_test.c - processes that are started, signalled, waited for and told about
 * (include/base/process.c). The program is its own child.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static const int64_t patience_ns = 60 * FW_NS_PER_S;

/* --- the child --- */

/* Its open descriptors, then its blocked, ignored and caught signals as the kernel shows them. */
static void tell_state(void)
{
    char line[256];
    DIR *all = opendir("/proc/self/fd");
    for (struct dirent *one; (one = readdir(all));) {
        if (one->d_name[0] != '.' && strtol(one->d_name, NULL, 10) != dirfd(all))
            dprintf(FW_PROCESS_GIVEN, "%s ", one->d_name);
    }
    closedir(all);
    FILE *status = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0)
            dprintf(FW_PROCESS_GIVEN, "%s", strchr(line, ':') + 2);
    }
    fclose(status);
    dprintf(FW_PROCESS_GIVEN, "input %zd\n", read(STDIN_FILENO, line, 1));
}

static int grow(void)
{
    size_t size = 64u << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, size);
    return munmap(memory, size);
}

/* Something that it started goes on without it and holds the descriptor. */
static int leave_somebody(int status)
{
    char *words[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "1000", NULL};
    if (fork() == 0)
        execv("/bin/sleep", words);
    return status;
}

static int act(const char *part)
{
    /* Under a sanitizer a signal would be told as an exit status. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    if (strcmp(part, "state") == 0)
        tell_state();
    else if (strcmp(part, "segv") == 0)
        return raise(SIGSEGV);
    else if (strcmp(part, "wait") == 0)
        for (dprintf(FW_PROCESS_GIVEN, "here\n");;)
            pause();
    else if (strcmp(part, "grow") == 0)
        return grow();
    else if (strncmp(part, "leave", 5) == 0)
        return leave_somebody(part[5] - '0');
    return (int)strtol(part, NULL, 10);
}

/* --- the tests --- */

static fw_process start(const char *part, int give)
{
    char *argv[] = {(char *)(uintptr_t) "child", (char *)(uintptr_t)part, NULL};
    fw_process_plan plan = {.argv = argv, .give = give, .own_group = true, .no_input = true};
    fw_process process;
    assert_int_equal(fw_process_start(&process, &plan), 0);
    return process;
}

static const char *end_of(fw_process *process, fw_process_end *end)
{
    static char text[64];
    assert_true(fw_process_wait(process, end, patience_ns));
    assert_int_equal(process->pid, 0);
    fw_process_describe(text, sizeof text, end);
    return text;
}

static const char *end_of_part(const char *part)
{
    fw_process_end end;
    fw_process process = start(part, -1);
    return end_of(&process, &end);
}

static void ends_are_described(void **state)
{
    (void)state;
    char narrow[8];
    assert_string_equal(end_of_part("0"), "exit status 0");
    assert_string_equal(end_of_part("3"), "exit status 3");
    assert_string_equal(end_of_part("segv"), "killed by signal 11 (SIGSEGV)");
    fw_process_end end = {.status = SIGRTMIN + 1};
    assert_int_equal(fw_process_describe(narrow, sizeof narrow, &end), 7);
    assert_string_equal(narrow, "killed ");
    end.status = -1;
    fw_process_describe(narrow, sizeof narrow, &end);
    assert_string_equal(narrow, "ended i");
}

static void a_process_starts_clean(void **state)
{
    (void)state;
    char text[512];
    size_t len = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* both without O_CLOEXEC */
    signal(SIGPIPE, SIG_IGN);
    fw_process process = start("state", ends[1]);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    text[len] = '\0';
    close(ends[0]);
    fw_process_end end;
    assert_string_equal(end_of(&process, &end), "exit status 0");
    int fds[4], at = 0;
    assert_int_equal(sscanf(text, "%d %d %d %d %n", &fds[0], &fds[1], &fds[2], &fds[3], &at), 4);
    for (int i = 0; i < 4; i++)
        assert_in_range(fds[i], 0, 3);
    assert_string_equal(text + at, "0000000000000000\n0000000000000000\ninput 0\n");
}

static void the_most_memory_is_told(void **state)
{
    (void)state;
    fw_process_end end;
    fw_process process = start("grow", -1);
    assert_string_equal(end_of(&process, &end), "exit status 0");
    assert_true(end.rss_max_bytes >= INT64_C(64) << 20);
    /* What it had in common with us before it was another program is not told as its own. */
    assert_true(end.rss_known);
    assert_int_equal(grow(), 0);
    assert_int_equal(grow(), 0);
    process = start("0", -1);
    assert_string_equal(end_of(&process, &end), "exit status 0");
    assert_false(end.rss_known);
}

static void a_running_process_is_not_waited_for(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    fw_process_end end;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fw_process process = start("wait", ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_false(fw_process_wait(&process, &end, 0));
    assert_false(fw_process_wait(&process, &end, FW_NS_PER_MS));
    fw_process_signal(&process, SIGTERM);
    assert_string_equal(end_of(&process, &end), "killed by signal 15 (SIGTERM)");
    close(ends[0]);
    close(ends[1]);
}

/* The pipe's end tells whether what was left still lives: with a failure it does not. */
static void what_a_failed_process_left_is_killed(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    fw_process_end end;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fw_process process = start("leave1", ends[1]);
    close(ends[1]);
    assert_string_equal(end_of(&process, &end), "exit status 1");
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

static void *start_and_end(void *argument)
{
    fw_process *process = argument;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *process = start("wait", ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

static void a_process_dies_with_the_thread_that_started_it(void **state)
{
    (void)state;
    fw_process process;
    fw_process_end end;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, start_and_end, &process), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(end_of(&process, &end), "killed by signal 9 (SIGKILL)");
}

/* A sanitizer may fork where we vfork; then the failure is told by the end of the process. */
static void a_program_that_is_not_there(void **state)
{
    (void)state;
    char *argv[] = {(char *)(uintptr_t) "nobody", NULL};
    fw_process_plan plan = {.program = "/nowhere/nobody", .argv = argv, .give = -1};
    fw_process process;
    fw_process_end end;
    int rc = fw_process_start(&process, &plan);
    if (rc == 0) {
        assert_string_equal(end_of(&process, &end), "exit status 127");
        return;
    }
    assert_int_equal(rc, -FW_EPERM);
    assert_int_equal(errno, ENOENT);
}

/* A grandchild that outlives its parent is ours to wait for, and our own children are not taken
 * from who started them. Last, because it holds for the rest of the process. */
static void orphans_are_waited_for(void **state)
{
    (void)state;
    static const char script[] = "setsid sh -c 'exec sleep 0' & exit 0";
    char *argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)script, NULL};
    fw_process_plan plan = {.program = argv[0], .argv = argv, .give = -1};
    fw_process process;
    fw_process_end end;
    siginfo_t info;
    fw_process_adopt();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(fw_process_start(&process, &plan), 0);
        fw_process_reap();
        /* Nor is what somebody has forked in his own way. */
        pid_t forked = fork();
        if (forked == 0)
            _exit(3);
        assert_int_equal(waitid(P_PID, (id_t)forked, &info, WEXITED | WNOWAIT), 0);
        fw_process_reap();
        int status;
        assert_int_equal(waitpid(forked, &status, 0), forked);
        assert_int_equal(WEXITSTATUS(status), 3);
        assert_true(fw_process_wait(&process, &end, patience_ns));
        assert_int_equal(end.status, 0);
    }
    /* Until there is no child left, dead or alive. */
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        fw_process_reap();
    assert_int_equal(errno, ECHILD);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return act(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_described),
        cmocka_unit_test(a_process_starts_clean),
        cmocka_unit_test(the_most_memory_is_told),
        cmocka_unit_test(a_running_process_is_not_waited_for),
        cmocka_unit_test(what_a_failed_process_left_is_killed),
        cmocka_unit_test(a_process_dies_with_the_thread_that_started_it),
        cmocka_unit_test(a_program_that_is_not_there),
        cmocka_unit_test(orphans_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
