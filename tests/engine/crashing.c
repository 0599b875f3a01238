/* crashing.c - tasks that go wrong in every way, each marked to run in a process of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fastworker/module.h"

enum { PARENTS_END = 3, STEP = 1 << 20 };

static int segv(fw_call *c)
{
    (void)c;
    return raise(SIGSEGV);
}

static int give_up(fw_call *c)
{
    (void)c;
    abort();
}

static int leave(fw_call *c)
{
    int64_t status;
    int rc = fw_args(c, "i", "status", &status);
    if (rc < 0)
        return rc;
    _exit((int)status);
}

/* Takes memory until there is no more, and does not look. */
static int greedy(fw_call *c)
{
    struct rlimit limit = {STEP, STEP};
    setrlimit(RLIMIT_DATA, &limit);
    while (fw_call_attempt(c) > 0) {
        void *memory = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, 1, STEP);
    }
    return 0;
}

/* Runs until it is told to end. */
static int patient(fw_call *c)
{
    while (!fw_cancelled(c))
        getppid();
    return fw_fail(c, "told at attempt %d", fw_call_attempt(c));
}

/* Does not listen, whatever it is told. */
static int deaf(fw_call *c)
{
    signal(SIGTERM, SIG_IGN);
    while (fw_call_attempt(c) > 0)
        getppid();
    return 0;
}

/* Dies at once when it is told to end. */
static int touchy(fw_call *c)
{
    signal(SIGTERM, SIG_DFL);
    while (fw_call_attempt(c) > 0)
        getppid();
    return 0;
}

/* Waits in poll until it is told to end. */
static int polls(fw_call *c)
{
    struct pollfd look = {fw_cancel_fd(c), POLLIN, 0};
    if (look.fd < 0)
        return look.fd;
    fw_progress(c, 1, 2, "polls");
    while (poll(&look, 1, -1) < 1)
        continue;
    return fw_fail(c, "woken, and cancelled is %d", fw_cancelled(c));
}

/* Tells how far it is, the last thing at once after the first, then waits to be cancelled. */
static int works(fw_call *c)
{
    fw_progress(c, 1, 3, "begun");
    fw_progress(c, 3, 3, "all done");
    while (!fw_cancelled(c))
        getppid();
    return 0;
}

static int again(fw_call *c)
{
    const char *trace = fw_call_header(c, "traceparent");
    return fw_retry(c, 250, "later, %s", trace ? trace : "without a trace");
}

static int never(fw_call *c)
{
    return fw_fail_final(c, "not like this");
}

static int before(fw_call *c)
{
    return strcmp(fw_call_name(c), "refused") == 0 ? fw_fail_final(c, "not in this house") : 0;
}

/* What it says is nobody's; where it is seen is told by the environment. */
static void after(fw_call *c, int rc)
{
    fw_span outcome = fw_call_outcome(c);
    char text[64];
    snprintf(text, sizeof text, "%d %.*s", rc, (int)(outcome.len < 40 ? outcome.len : 40),
             outcome.len > 0 ? outcome.ptr : "");
    fw_ret_str(c, "after");
    setenv("FW_TEST_AFTER", text, 1);
}

static int last_after(fw_call *c)
{
    return fw_ret_str(c, getenv("FW_TEST_AFTER"));
}

static int first_time(fw_call *c)
{
    return fw_call_attempt(c) == 1 ? segv(c) : fw_ret_int(c, fw_call_attempt(c));
}

static int echo(fw_call *c)
{
    fw_span value;
    int rc = fw_args(c, "j", "value", &value);
    return rc < 0 ? rc : fw_ret_json(c, value.ptr, value.len);
}

static int fails(fw_call *c)
{
    return fw_fail(c, "no %s", fw_call_name(c));
}

static int nothing(fw_call *c)
{
    (void)c;
    return 0;
}

static int pid(fw_call *c)
{
    return fw_ret_int(c, getpid());
}

static int large(fw_call *c)
{
    int64_t size;
    int rc = fw_args(c, "i", "size", &size);
    if (rc < 0)
        return rc;
    char *text = fw_call_alloc(c, (size_t)size + 1);
    if (!text)
        return -FW_ENOMEM;
    memset(text, 'x', (size_t)size);
    text[size] = '\0';
    return fw_ret_str(c, text);
}

/* Its open descriptors and what each is. */
static int descriptors(fw_call *c)
{
    char text[4096] = "", path[64], target[256];
    size_t used = 0;
    DIR *all = opendir("/proc/self/fd");
    if (!all)
        return fw_fail(c, "no /proc");
    for (struct dirent *one; (one = readdir(all));) {
        long number = strtol(one->d_name, NULL, 10);
        if (one->d_name[0] == '.' || number == dirfd(all))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%ld", number);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        used += (size_t)snprintf(text + used, sizeof text - used, "%ld=%s ", number, target);
        if (used >= sizeof text)
            break;
    }
    closedir(all);
    return fw_ret_str(c, text);
}

/* Speaks with the parent behind the program's back. */
static int meddle(fw_call *c)
{
    static const char words[64] = "I am no answer, whatever you take me for.";
    if (write(PARENTS_END, words, sizeof words) < 0)
        return fw_fail(c, "nobody there");
    return fw_ret_int(c, 1);
}

static int hang_up(fw_call *c)
{
    shutdown(PARENTS_END, SHUT_RDWR);
    while (fw_call_attempt(c) > 0)
        getppid();
    return 0;
}

#define BAD(name, function) FW_TASK(name, function, .flags = FW_F_ISOLATE)

static const fw_task_def tasks[] = {
    BAD("segv", segv),
    BAD("abort", give_up),
    BAD("exit", leave),
    BAD("greedy", greedy),
    BAD("patient", patient),
    BAD("deaf", deaf),
    BAD("touchy", touchy),
    BAD("first_time", first_time),
    BAD("safe_echo", echo),
    BAD("fails", fails),
    BAD("nothing", nothing),
    BAD("pid", pid),
    BAD("large", large),
    BAD("descriptors", descriptors),
    BAD("meddle", meddle),
    BAD("hang_up", hang_up),
    BAD("polls", polls),
    BAD("works", works),
    BAD("again", again),
    BAD("never", never),
    BAD("refused", segv),
    BAD("last_after", last_after),
    FW_TASK("own_pid", pid, .doc = "Not marked: where all tasks run."),
};
FW_MODULE_WITH("crashing", "1.0", tasks, .before = before, .after = after);
