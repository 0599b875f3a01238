/* Tasks whose runs can be counted from outside: each leaves a mark in a file.
 *
 * Marks are appended by one write(2), so lines of runs that overlap do not mix. Tasks that wait
 * look at the cancel flag and at their gate every few milliseconds: the tests decide when they end,
 * not a clock. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fastworker/module.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int append(fw_call *c, const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fw_fail(c, "%s: %s", path, strerror(errno));
    ssize_t wrote = write(fd, text, len);
    close(fd);
    return wrote == (ssize_t)len ? 0 : fw_fail(c, "%s: short write", path);
}

static int append_line(fw_call *c, const char *path, char sign, const char *text)
{
    char line[256];
    int len = snprintf(line, sizeof line, "%c%s\n", sign, text);
    if (len < 0 || (size_t)len >= sizeof line)
        return fw_fail(c, "text is too long");
    return append(c, path, line, (size_t)len);
}

/* Waits until the gate exists (if there is one), the time is over, or the task is cancelled. */
static int wait_for(fw_call *c, const char *gate, double seconds)
{
    double end = now_s() + seconds;
    while (now_s() < end) {
        if (fw_cancelled(c))
            return fw_fail(c, "stopped by request");
        if (gate && access(gate, F_OK) == 0)
            return 0;
        double left = end - now_s();
        poll(NULL, 0, left > 0.002 ? 2 : 1);
    }
    return 0;
}

/* One byte in the file for each run. */
static int count_file(fw_call *c)
{
    const char *path;
    int rc = fw_args(c, "s", "path", &path);
    if (rc == 0)
        rc = append(c, path, ".", 1);
    return rc < 0 ? rc : fw_ret_bool(c, 1);
}

/* A line in the file for each run. */
static int mark(fw_call *c)
{
    const char *path, *text;
    int rc = fw_args(c, "ss", "path", &path, "text", &text);
    if (rc == 0)
        rc = append_line(c, path, '=', text);
    return rc < 0 ? rc : fw_ret_str(c, text);
}

/* Lines "+text" at the start and "-text" at the end; in between it waits for the gate. */
static int hold(fw_call *c)
{
    const char *path, *text, *gate;
    double seconds = 60;
    int rc = fw_args(c, "sss|d", "path", &path, "text", &text, "gate", &gate, "seconds", &seconds);
    if (rc == 0)
        rc = append_line(c, path, '+', text);
    if (rc < 0)
        return rc;
    int waited = wait_for(c, gate, seconds);
    rc = append_line(c, path, '-', text);
    if (waited < 0)
        return waited;
    return rc < 0 ? rc : fw_ret_str(c, text);
}

/* The same, for a time. */
static int spend(fw_call *c)
{
    const char *path, *text;
    double seconds;
    int rc = fw_args(c, "ssd", "path", &path, "text", &text, "seconds", &seconds);
    if (rc == 0)
        rc = append_line(c, path, '+', text);
    if (rc < 0)
        return rc;
    int waited = wait_for(c, NULL, seconds);
    rc = append_line(c, path, '-', text);
    if (waited < 0)
        return waited;
    return rc < 0 ? rc : fw_ret_str(c, text);
}

/* Its value, after a time. */
static int after(fw_call *c)
{
    double seconds;
    fw_span value;
    int rc = fw_args(c, "dj", "seconds", &seconds, "value", &value);
    if (rc == 0)
        rc = wait_for(c, NULL, seconds);
    return rc < 0 ? rc : fw_ret_json(c, value.ptr, value.len);
}

/* Its value, byte for byte. */
static int give_back(fw_call *c)
{
    fw_span value;
    int rc = fw_args(c, "j", "value", &value);
    return rc < 0 ? rc : fw_ret_json(c, value.ptr, value.len);
}

static int fail_with(fw_call *c)
{
    const char *text;
    int rc = fw_args(c, "s", "text", &text);
    return rc < 0 ? rc : fw_fail(c, "%s", text);
}

/* Fails until it has run more often than `failures`; a line with the clock for each run. */
static int flaky(fw_call *c)
{
    const char *path;
    int64_t failures;
    int rc = fw_args(c, "si", "path", &path, "failures", &failures);
    if (rc < 0)
        return rc;
    char line[64];
    snprintf(line, sizeof line, "%017.6f", now_s());
    rc = append_line(c, path, '=', line);
    if (rc < 0)
        return rc;
    struct stat facts;
    const int64_t line_bytes = 19;
    if (stat(path, &facts) != 0)
        return fw_fail(c, "%s: %s", path, strerror(errno));
    if (facts.st_size / line_bytes <= failures)
        return fw_fail(c, "run %d fails", (int)(facts.st_size / line_bytes));
    return fw_ret_int(c, facts.st_size / line_bytes);
}

/* Ends its process as a bug would, after a line in the file. */
static int kill_process(fw_call *c)
{
    const char *path, *text;
    int rc = fw_args(c, "ss", "path", &path, "text", &text);
    if (rc == 0)
        rc = append_line(c, path, '+', text);
    if (rc < 0)
        return rc;
    raise(SIGKILL);
    return fw_fail(c, "still there");
}

static int process_id(fw_call *c)
{
    return fw_ret_int(c, getpid());
}

/* A line in the file, and then never an end: deaf to its deadline and to every cancel. */
static int loop(fw_call *c)
{
    const char *path, *text;
    int rc = fw_args(c, "ss", "path", &path, "text", &text);
    if (rc == 0)
        rc = append_line(c, path, '+', text);
    if (rc < 0)
        return rc;
    for (;;)
        poll(NULL, 0, 1000);
}

/* A text of so many bytes. */
static int fill(fw_call *c)
{
    int64_t size;
    int rc = fw_args(c, "i", "size", &size);
    char *text = rc == 0 && size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (rc < 0 || !text)
        return rc < 0 ? rc : fw_fail(c, "no memory");
    memset(text, 'x', (size_t)size);
    text[size] = 0;
    rc = fw_ret_str(c, text);
    free(text);
    return rc;
}

/* Milliseconds to its deadline. */
static int time_left(fw_call *c)
{
    return fw_ret_int(c, fw_call_left_ms(c));
}

static const fw_task_def tasks[] = {
    FW_TASK("count_file", count_file, .doc = "One byte in the file for each run."),
    FW_TASK("mark", mark, .doc = "One line in the file for each run."),
    FW_TASK("hold", hold, .flags = FW_F_BLOCKING, .doc = "Runs until its gate exists."),
    FW_TASK("spend", spend, .flags = FW_F_BLOCKING, .doc = "Runs for a time."),
    FW_TASK("after", after, .flags = FW_F_BLOCKING, .doc = "Returns its value after a time."),
    FW_TASK("give_back", give_back, .doc = "Returns its value, byte for byte."),
    FW_TASK("fail_with", fail_with, .doc = "Fails with this text."),
    FW_TASK("flaky", flaky, .doc = "Fails a number of times."),
    FW_TASK("kill_process", kill_process, .doc = "Ends its process."),
    FW_TASK("loop", loop, .flags = FW_F_BLOCKING, .doc = "Never ends."),
    FW_TASK("fill", fill, .doc = "Returns a text of so many bytes."),
    FW_TASK("process_id", process_id, .doc = "The process that runs it."),
    FW_TASK("time_left", time_left, .doc = "Milliseconds to its deadline."),
};
FW_MODULE("counting", "1.0", tasks);
