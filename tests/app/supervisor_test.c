/* supervisor_test.c - processes that are kept running (app/supervisor.c). The program is its own
 * ward; what the wards do is read from a file that they write to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/supervisor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { KEPT = 64 };

/* --- a ward: PROGRAM PART INDEX FILE --- */

static int act(char **argv)
{
    const char *part = argv[1];
    int file = open(argv[3], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (strcmp(part, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    dprintf(file, "%s %ld\n", argv[2], (long)getpid());
    if (strcmp(part, "end") == 0)
        return 3;
    for (;;)
        pause();
}

/* --- what is told --- */

typedef struct ends {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned count;
    fw_supervised_exit exits[KEPT];
    char texts[KEPT][64];
} ends;

static void note_end(void *context, const fw_supervised_exit *exit)
{
    ends *all = context;
    pthread_mutex_lock(&all->lock);
    if (all->count < KEPT) {
        all->exits[all->count] = *exit;
        snprintf(all->texts[all->count], sizeof all->texts[0], "%s", exit->text);
        all->count++;
    }
    pthread_cond_signal(&all->more);
    pthread_mutex_unlock(&all->lock);
}

static void await_ends(ends *all, unsigned count)
{
    pthread_mutex_lock(&all->lock);
    while (all->count < count)
        pthread_cond_wait(&all->more, &all->lock);
    pthread_mutex_unlock(&all->lock);
}

typedef struct scene {
    char path[64];
    ends ends;
    fw_supervisor *supervisor;
} scene;

static void open_scene(scene *s, const char *part, unsigned count, fw_supervisor_config config)
{
    *s = (scene){.path = "supervisor-XXXXXX",
                 .ends = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER}};
    int file = mkstemp(s->path);
    assert_true(file >= 0);
    close(file);
    char *argv[] = {(char *)(uintptr_t) "ward", (char *)(uintptr_t)part,
                    (char *)(uintptr_t) "number-%d", s->path, NULL};
    config.noun = "ward";
    config.argv = argv;
    config.count = count;
    config.exited = note_end;
    config.context = &s->ends;
    assert_int_equal(fw_supervisor_start(&s->supervisor, &config), 0);
}

static void close_scene(scene *s, int64_t limit_ns)
{
    fw_supervisor_stop(s->supervisor, limit_ns);
    unlink(s->path);
}

/* Process numbers by index, of the last of each; waits until so many lines were written. */
static void read_pids(const scene *s, long *pids, unsigned lines)
{
    for (unsigned found = 0; found < lines; sched_yield()) {
        unsigned index;
        long pid;
        FILE *file = fopen(s->path, "re");
        assert_non_null(file);
        for (found = 0; fscanf(file, "number-%u %ld\n", &index, &pid) == 2; found++)
            pids[index] = pid;
        fclose(file);
    }
}

/* --- the tests --- */

static void one_that_dies_is_told_and_started_again(void **state)
{
    (void)state;
    scene s;
    long pids[3] = {0}, after[3] = {0};
    open_scene(&s, "wait", 3, (fw_supervisor_config){.delay_first_ns = FW_NS_PER_MS});
    read_pids(&s, pids, 3);
    assert_true(pids[0] > 0 && pids[1] > 0 && pids[2] > 0);
    assert_int_equal(kill((pid_t)pids[1], SIGKILL), 0);
    read_pids(&s, after, 4);
    assert_int_equal(after[0], pids[0]);
    assert_int_not_equal(after[1], pids[1]);
    assert_int_equal(after[2], pids[2]);
    await_ends(&s.ends, 1);
    assert_int_equal(s.ends.count, 1);
    const fw_supervised_exit *exit = &s.ends.exits[0];
    assert_int_equal(exit->index, 1);
    assert_int_equal(exit->pid, pids[1]);
    assert_true(WIFSIGNALED(exit->end.status) && WTERMSIG(exit->end.status) == SIGKILL);
    assert_string_equal(s.ends.texts[0], "killed by signal 9 (SIGKILL)");
    assert_true(exit->end.rss_max_bytes > 0);
    assert_int_equal(exit->delay_ns, FW_NS_PER_MS);
    fw_supervisor_stats stats = {0};
    while (stats.starts < 4) /* the new one may write before its start is counted */
        fw_supervisor_snapshot(s.supervisor, &stats);
    assert_int_equal(stats.starts, 4);
    assert_int_equal(stats.ends, 1);
    assert_int_equal(stats.running, 3);
    close_scene(&s, 60 * FW_NS_PER_S);
    assert_int_equal(s.ends.count, 4);
    for (unsigned i = 1; i < 4; i++) {
        assert_string_equal(s.ends.texts[i], "killed by signal 15 (SIGTERM)");
        assert_int_equal(s.ends.exits[i].delay_ns, -1);
    }
}

static void the_delay_doubles_while_it_ends_soon(void **state)
{
    (void)state;
    static const int64_t expected_us[] = {100, 200, 400, 500, 500, 500};
    scene s;
    open_scene(&s, "end", 1,
               (fw_supervisor_config){.delay_first_ns = 100 * FW_NS_PER_US,
                                      .delay_last_ns = 500 * FW_NS_PER_US});
    await_ends(&s.ends, 6);
    close_scene(&s, 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_string_equal(s.ends.texts[i], "exit status 3");
        assert_int_equal(s.ends.exits[i].delay_ns, expected_us[i] * FW_NS_PER_US);
    }
    /* Who has run long enough begins with the first delay again. */
    open_scene(&s, "end", 1,
               (fw_supervisor_config){.delay_first_ns = 100 * FW_NS_PER_US, .healthy_ns = 1});
    await_ends(&s.ends, 4);
    close_scene(&s, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(s.ends.exits[i].delay_ns, 100 * FW_NS_PER_US);
}

static void one_that_does_not_listen_is_killed_in_the_end(void **state)
{
    (void)state;
    scene s;
    long pids[2];
    open_scene(&s, "deaf", 2, (fw_supervisor_config){0});
    read_pids(&s, pids, 2);
    close_scene(&s, 20 * FW_NS_PER_MS);
    assert_int_equal(s.ends.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_string_equal(s.ends.texts[i], "killed by signal 9 (SIGKILL)");
        assert_int_equal(kill((pid_t)pids[i], 0), -1);
    }
}

/* A sanitizer may fork where we vfork; then the failure is told by the end of the process. */
static void a_program_that_is_not_there_is_tried_again(void **state)
{
    (void)state;
    scene s;
    open_scene(
        &s, "wait", 1,
        (fw_supervisor_config){.program = "/nowhere/nobody", .delay_first_ns = FW_NS_PER_US});
    await_ends(&s.ends, 3);
    close_scene(&s, 0);
    if (s.ends.exits[0].pid == 0)
        assert_string_equal(s.ends.texts[0], "No such file or directory");
    else
        assert_string_equal(s.ends.texts[0], "exit status 127");
    assert_int_equal(s.ends.exits[1].delay_ns, 2 * FW_NS_PER_US);
}

/* Stop while nothing runs, and other children of the program are not touched. */
static void others_are_not_waited_for(void **state)
{
    (void)state;
    scene s;
    int status;
    pid_t other = fork();
    if (other == 0)
        _exit(5);
    open_scene(&s, "end", 2, (fw_supervisor_config){.delay_first_ns = 3600 * FW_NS_PER_S});
    await_ends(&s.ends, 2);
    close_scene(&s, 60 * FW_NS_PER_S);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WEXITSTATUS(status), 5);
    fw_supervisor_stop(NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return act(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_dies_is_told_and_started_again),
        cmocka_unit_test(the_delay_doubles_while_it_ends_soon),
        cmocka_unit_test(one_that_does_not_listen_is_killed_in_the_end),
        cmocka_unit_test(a_program_that_is_not_there_is_tried_again),
        cmocka_unit_test(others_are_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
