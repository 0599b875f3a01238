/* log_test.c - the forms of a line, levels, and holding back (include/base/log.c); and the last
 * words of a failed assertion (include/base/assert.c). SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"

static char written[65536];

/* What `write_lines` writes to standard error. */
static const char *caught(void (*write_lines)(void))
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, (int)sizeof written), (int)sizeof written);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t total = 0, got;
    while ((got = read(ends[0], written + total, sizeof written - 1 - (size_t)total)) > 0)
        total += got;
    written[total] = '\0';
    close(ends[0]);
    return written;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void write_one(void)
{
    fw_log(FW_LOG_WARN, "disk.slow", "took %d ms, said \"%s\"", 12, "ouch");
    fw_log(FW_LOG_DEBUG, "disk.fast", "not of interest");
}

static void lines_have_the_form_that_was_asked_for(void **state)
{
    (void)state;
    fw_log_configure(FW_LOG_INFO, FW_LOG_LOGFMT);
    const char *text = caught(write_one);
    assert_non_null(
        strstr(text, " level=warn event=disk.slow msg=\"took 12 ms, said \\\"ouch\\\"\"\n"));
    assert_memory_equal(text, "ts=20", 5);
    assert_int_equal(count_lines(text), 1);
    fw_log_configure(FW_LOG_DEBUG, FW_LOG_JSON);
    text = caught(write_one);
    assert_non_null(
        strstr(text, "\"event\": \"disk.slow\", \"msg\": \"took 12 ms, said \\\"ouch\\\"\"}\n"));
    assert_int_equal(count_lines(text), 2);
    fw_log_configure(FW_LOG_INFO, FW_LOG_TEXT);
    assert_non_null(strstr(caught(write_one), " warn  disk.slow: took 12 ms"));
}

static void write_many(void)
{
    for (int i = 0; i < 500; i++)
        fw_log(FW_LOG_INFO, "flood", "number %d", i);
    fw_log(FW_LOG_INFO, "other", "still heard");
}

static void a_flood_is_held_back_and_others_are_heard(void **state)
{
    (void)state;
    fw_log_configure(FW_LOG_INFO, FW_LOG_LOGFMT);
    const char *text = caught(write_many);
    assert_int_equal(count_lines(text), 11);
    assert_non_null(strstr(text, "event=other"));
    assert_null(strstr(text, "number 10\""));
}

static void write_long(void)
{
    static char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    fw_log(FW_LOG_INFO, "long", "%s", long_text);
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    const char *text = caught(write_long);
    assert_int_equal(count_lines(text), 1);
    assert_true(strlen(text) < 2300);
}

static void fail_in_a_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        FW_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_failed_assertion_says_what_and_where(void **state)
{
    (void)state;
    const char *text = caught(fail_in_a_child);
    assert_non_null(strstr(text, "log_test.c:"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_the_form_that_was_asked_for),
        cmocka_unit_test(a_flood_is_held_back_and_others_are_heard),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(a_failed_assertion_says_what_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
