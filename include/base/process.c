/* base/process.c - see base/process.h.
 *
 * vfork-note: vfork rather than fork, because a parent with gigabytes would pay for its page
 * tables, and rather than posix_spawn, because that cannot ask for the death signal before the new
 * program runs. Until exec the child lends its parent's memory and the parent's thread stands
 * still: so the child makes system calls only, changes no memory but the plan's error, and no
 * signal handler runs in it: all signals are blocked before, and have lost their handlers when
 * they are unblocked.
 *
 * rss-note: until exec the child also counts its parent's memory as its own, and the kernel keeps
 * the maximum. What it tells in the end is the child's only when it is above the parent's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"

extern char **environ;

enum { LOOK_MS = 10, NOT_STARTED = 127 };
static const int64_t patience_ns = 10 * FW_NS_PER_S; /* with who does not wait for his child */

typedef struct birth {
    const fw_process_plan *plan;
    const char *program;
    pid_t parent;
    fw_atomic(int) error; /* written by the child, which never comes back: atomic, so that no
                           * compiler concludes that it stays 0 */
} birth;

static int arrange_descriptors(const fw_process_plan *plan)
{
    int given = plan->give_as ? plan->give_as : FW_PROCESS_GIVEN;
    for (int fd = 0; plan->streams && fd < 3; fd++) {
        if (dup2(plan->streams[fd], fd) < 0)
            return -1;
    }
    if (plan->give >= 0) {
        if (plan->give != given && dup2(plan->give, given) < 0)
            return -1;
        if (plan->give == given && fcntl(given, F_SETFD, 0) < 0)
            return -1;
    }
    if (plan->no_input) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
            return -1;
    }
    /* Also those that somebody opened without O_CLOEXEC. */
    if (plan->give < 0)
        return close_range(FW_PROCESS_GIVEN, ~0u, 0);
    if (given > FW_PROCESS_GIVEN && close_range(FW_PROCESS_GIVEN, (unsigned)given - 1, 0) < 0)
        return -1;
    return close_range((unsigned)given + 1, ~0u, 0);
}

static int arrange_rest(const fw_process_plan *plan)
{
    for (size_t i = 0; i < plan->limit_count; i++) {
        struct rlimit limit = {plan->limits[i].value, plan->limits[i].value};
        if (setrlimit((__rlimit_resource_t)plan->limits[i].resource, &limit) < 0)
            return -1;
    }
    if (plan->directory && chdir(plan->directory) < 0)
        return -1;
    if (plan->cpus)
        (void)sched_setaffinity(0, sizeof(cpu_set_t), plan->cpus);
    return plan->no_new_privileges ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

static void forget_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(number, &action, NULL); /* refused for a few, which have no handler */
    }
}

/* In the child; see vfork-note. */
_Noreturn static void become(birth *b)
{
    sigset_t none;
    sigemptyset(&none);
    forget_handlers();
    bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
    /* The parent may have died before it could be asked for. */
    if (getppid() != b->parent)
        _exit(NOT_STARTED);
    if (ready && b->plan->own_group)
        ready = setpgid(0, 0) == 0;
    if (ready && arrange_descriptors(b->plan) == 0 && arrange_rest(b->plan) == 0 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execve(b->program, b->plan->argv, b->plan->environment ? b->plan->environment : environ);
    /* Relaxed: the parent's thread stands still meanwhile. */
    fw_store_relaxed(&b->error, errno);
    _exit(NOT_STARTED);
}

/* Nothing of this function may be needed after the child has come back to it: no variables. */
__attribute__((noinline)) static pid_t give_birth(birth *b)
{
    pid_t pid = vfork();
    if (pid == 0)
        become(b);
    return pid;
}

/* See rss-note. */
static int64_t own_rss_max(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

/* --- orphans --- */

/* Ours are those that were started here and not waited for yet. The lock is held while a process is
 * started, so that one that ends at once is known before somebody looks; by nobody but that unless
 * orphans come to us. */
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;
static fw_atomic(bool) adopting;
static pid_t *own;
static size_t own_count, own_capacity;

static bool adopts(void)
{
    /* Relaxed: set before there is a second thread. */
    return fw_load_relaxed(&adopting);
}

static void begin_birth(void)
{
    if (adopts())
        pthread_mutex_lock(&own_lock);
}

static void end_birth(pid_t pid)
{
    if (!adopts())
        return;
    if (pid > 0 && own_count == own_capacity) {
        size_t capacity = own_capacity ? 2 * own_capacity : 64;
        pid_t *more = realloc(own, capacity * sizeof *more);
        own = more ? more : own;
        own_capacity = more ? capacity : own_capacity;
    }
    /* Without memory for it, its end may be taken for an orphan's and is told as not known. */
    if (pid > 0 && own_count < own_capacity)
        own[own_count++] = pid;
    pthread_mutex_unlock(&own_lock);
}

static void forget(pid_t pid)
{
    if (!adopts())
        return;
    pthread_mutex_lock(&own_lock);
    for (size_t i = 0; i < own_count; i++) {
        if (own[i] == pid)
            own[i--] = own[--own_count];
    }
    pthread_mutex_unlock(&own_lock);
}

static bool is_own(pid_t pid)
{
    for (size_t i = 0; i < own_count; i++) {
        if (own[i] == pid)
            return true;
    }
    return false;
}

void fw_process_adopt(void)
{
    bool ready = getpid() == 1 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    /* Relaxed: as adopts has it. */
    fw_store_relaxed(&adopting, ready);
}

/* A dead child in our own group may be one that a task function has made and is about to wait for,
 * by system() for example: that is left to it for a while. Under the lock. */
static bool may_have_an_owner(pid_t pid)
{
    static pid_t seen;
    static int64_t since_ns;
    if (getpgid(pid) != getpgrp())
        return false;
    if (pid != seen)
        since_ns = fw_now_ns();
    seen = pid;
    return fw_now_ns() - since_ns < patience_ns;
}

/* The kernel shows one dead child after the other, and the same as long as it is not waited for:
 * behind one whose owner is about to wait for it, the rest has to wait a turn. */
void fw_process_reap(void)
{
    if (!adopts() || pthread_mutex_trylock(&own_lock) != 0)
        return;
    for (;;) {
        siginfo_t info = {.si_pid = 0};
        int rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
        if (rc < 0 || info.si_pid == 0 || is_own(info.si_pid) || may_have_an_owner(info.si_pid))
            break;
        waitpid(info.si_pid, NULL, WNOHANG);
    }
    pthread_mutex_unlock(&own_lock);
}

int fw_process_start(fw_process *out, const fw_process_plan *plan)
{
    FW_ASSERT(plan->argv && plan->argv[0]);
    birth b = {plan, plan->program ? plan->program : "/proc/self/exe", getpid(), 0};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    begin_birth();
    pid_t pid = give_birth(&b);
    /* Relaxed: as there. */
    int error = pid < 0 ? errno : fw_load_relaxed(&b.error);
    if (pid > 0 && error != 0)
        waitpid(pid, NULL, 0);
    end_birth(error == 0 ? pid : 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        errno = error;
        return -FW_EPERM;
    }
    *out =
        (fw_process){pid, pidfd_open(pid, 0), plan->own_group, plan->leave_nothing, own_rss_max()};
    return 0;
}

void fw_process_signal(const fw_process *process, int signal_number)
{
    FW_ASSERT(process->pid > 0);
    kill(process->pid, signal_number);
}

void fw_process_signal_all(const fw_process *process, int signal_number)
{
    FW_ASSERT(process->pid > 0);
    kill(process->own_group ? -process->pid : process->pid, signal_number);
}

void fw_process_kill(const fw_process *process)
{
    fw_process_signal_all(process, SIGKILL);
}

static bool has_ended(const fw_process *process)
{
    siginfo_t info = {.si_pid = 0};
    int rc = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return rc == 0 ? info.si_pid != 0 : errno == ECHILD;
}

static bool await_end(const fw_process *process, int64_t limit_ns)
{
    int64_t until_ns = fw_now_ns() + limit_ns;
    while (!has_ended(process)) {
        int64_t left_ms = (until_ns - fw_now_ns() + FW_NS_PER_MS - 1) / FW_NS_PER_MS;
        if (limit_ns == 0 || left_ms <= 0)
            return false;
        int most_ms = process->pidfd >= 0 ? 1000 : LOOK_MS;
        struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
        poll(&ended, 1, left_ms < most_ms ? (int)left_ms : most_ms);
    }
    return true;
}

bool fw_process_wait(fw_process *process, fw_process_end *end, int64_t limit_ns)
{
    FW_ASSERT(process->pid > 0 && limit_ns >= 0);
    struct rusage usage = {.ru_maxrss = 0};
    siginfo_t info = {.si_pid = 0};
    int status = -1;
    if (!await_end(process, limit_ns))
        return false;
    /* While it is not waited for, its number and its group's are not anybody else's. */
    bool told = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    if (told && process->own_group &&
        (process->leave_nothing || info.si_code != CLD_EXITED || info.si_status != 0))
        kill(-process->pid, SIGKILL);
    if (wait4(process->pid, &status, 0, &usage) != process->pid)
        status = -1;
    forget(process->pid);
    if (process->pidfd >= 0)
        close(process->pidfd);
    int64_t rss_bytes = (int64_t)usage.ru_maxrss * 1024;
    *end = (fw_process_end){status, rss_bytes, rss_bytes > process->rss_floor_bytes};
    *process = (fw_process){.pidfd = -1};
    return true;
}

size_t fw_process_describe(char *out, size_t capacity, const fw_process_end *end)
{
    FW_ASSERT(capacity > 0);
    int len;
    if (end->status != -1 && WIFSIGNALED(end->status)) {
        int number = WTERMSIG(end->status);
        const char *name = sigabbrev_np(number);
        len = snprintf(out, capacity, "killed by signal %d%s%s%s", number, name ? " (SIG" : "",
                       name ? name : "", name ? ")" : "");
    } else if (end->status != -1) {
        len = snprintf(out, capacity, "exit status %d", WEXITSTATUS(end->status));
    } else {
        len = snprintf(out, capacity, "ended in an unknown way");
    }
    return (size_t)len < capacity ? (size_t)len : capacity - 1;
}
