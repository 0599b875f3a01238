/* app/supervisor.c - see app/supervisor.h.
 *
 * One thread does everything: it starts, polls the ends (pidfd) and the wish to stop (eventfd), and
 * waits for nothing longer than until the next thing is due. Key invariant: a process that runs is
 * waited for by this thread only, so its number is its own until then.
 * Covered by tests/app/supervisor_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"

static const int64_t usual_first_ns = 100 * FW_NS_PER_MS;
static const int64_t usual_last_ns = 10 * FW_NS_PER_S;
static const int64_t usual_healthy_ns = 30 * FW_NS_PER_S;
/* Where the kernel has no pidfd. */
enum { LOOK_MS = 50 };

/* Owned by the thread. */
typedef struct ward {
    fw_process process; /* pid 0: not running */
    char **argv;
    int64_t started_ns;
    int64_t due_ns; /* of the next start, when it does not run */
    int64_t delay_ns;
} ward;

struct fw_supervisor {
    /* Immutable after start. */
    fw_supervisor_config config;
    pthread_t thread;
    int wake; /* eventfd */
    /* The thread's. */
    ward *wards;
    struct pollfd *looks; /* one per ward, and wake */
    /* Shared, atomic. */
    fw_atomic(int64_t) stop_ns; /* limit of the stop; -1: go on */
    fw_atomic(unsigned) running;
    fw_atomic(uint64_t) starts, ends;
};

/* --- one process --- */

static void tell_end(fw_supervisor *s, unsigned index, const fw_supervised_exit *exit)
{
    char next[64] = "";
    if (exit->delay_ns >= 0)
        snprintf(next, sizeof next, ", starts again in %g s", (double)exit->delay_ns / 1e9);
    fw_log(exit->delay_ns >= 0 ? FW_LOG_WARN : FW_LOG_INFO, "supervisor.exit",
           "%s %u, process %ld: %s after %.1f s, max RSS %s%.1f MiB%s", s->config.noun, index,
           (long)exit->pid, exit->text, (double)exit->ran_ns / 1e9,
           exit->end.rss_known ? "" : "below ", (double)exit->end.rss_max_bytes / (1 << 20), next);
    if (s->config.exited)
        s->config.exited(s->config.context, exit);
}

/* Decides when the next start is due. */
static int64_t put_off(fw_supervisor *s, ward *w, int64_t now_ns, int64_t ran_ns, bool stopping)
{
    if (stopping)
        return -1;
    if (w->delay_ns == 0 || ran_ns >= s->config.healthy_ns)
        w->delay_ns = s->config.delay_first_ns;
    else
        w->delay_ns *= 2;
    if (w->delay_ns > s->config.delay_last_ns)
        w->delay_ns = s->config.delay_last_ns;
    w->due_ns = now_ns + w->delay_ns;
    return w->delay_ns;
}

static void start_one(fw_supervisor *s, unsigned index)
{
    ward *w = &s->wards[index];
    fw_process_plan plan = {.program = s->config.program,
                            .argv = w->argv,
                            .give = -1,
                            .own_group = true,
                            .no_input = true};
    w->started_ns = fw_now_ns();
    if (fw_process_start(&w->process, &plan) < 0) {
        fw_supervised_exit exit = {.index = index, .text = strerrordesc_np(errno)};
        w->process = (fw_process){.pidfd = -1};
        exit.delay_ns = put_off(s, w, w->started_ns, 0, false);
        tell_end(s, index, &exit);
        return;
    }
    /* Relaxed: counts. */
    fw_add_relaxed(&s->running, 1);
    fw_add_relaxed(&s->starts, 1);
    fw_log(FW_LOG_INFO, "supervisor.start", "%s %u is process %ld", s->config.noun, index,
           (long)w->process.pid);
}

static void look_after(fw_supervisor *s, unsigned index, bool stopping)
{
    char text[64];
    ward *w = &s->wards[index];
    fw_supervised_exit exit = {.index = index, .pid = w->process.pid, .text = text};
    if (!fw_process_wait(&w->process, &exit.end, 0))
        return;
    int64_t now_ns = fw_now_ns();
    fw_process_describe(text, sizeof text, &exit.end);
    exit.ran_ns = now_ns - w->started_ns;
    exit.delay_ns = put_off(s, w, now_ns, exit.ran_ns, stopping);
    /* Relaxed: counts. */
    fw_sub_relaxed(&s->running, 1);
    fw_add_relaxed(&s->ends, 1);
    tell_end(s, index, &exit);
}

/* --- the thread --- */

/* Until something ends, somebody wakes us, or it is due. */
static void wait_for_news(fw_supervisor *s, int64_t due_ns)
{
    unsigned count = s->config.count;
    int64_t left_ns = due_ns == INT64_MAX ? INT64_MAX : due_ns - fw_now_ns();
    int most_ms = -1;
    for (unsigned i = 0; i < count; i++) {
        const fw_process *process = &s->wards[i].process;
        s->looks[i] = (struct pollfd){process->pid > 0 ? process->pidfd : -1, POLLIN, 0};
        if (process->pid > 0 && process->pidfd < 0)
            most_ms = LOOK_MS;
    }
    s->looks[count] = (struct pollfd){s->wake, POLLIN, 0};
    int64_t wait_ms = left_ns < 0 ? 0 : left_ns / FW_NS_PER_MS + 1;
    if (left_ns == INT64_MAX || wait_ms > 3600 * 1000)
        wait_ms = left_ns == INT64_MAX ? -1 : 3600 * 1000;
    if (most_ms >= 0 && (wait_ms < 0 || wait_ms > most_ms))
        wait_ms = most_ms;
    poll(s->looks, count + 1, (int)wait_ms);
}

static void run_all(fw_supervisor *s)
{
    /* [supervisor-stop] acquire: with nothing behind it but the limit itself. */
    while (fw_load_acquire(&s->stop_ns) < 0) {
        int64_t now_ns = fw_now_ns(), due_ns = INT64_MAX;
        for (unsigned i = 0; i < s->config.count; i++) {
            ward *w = &s->wards[i];
            if (w->process.pid > 0)
                look_after(s, i, false);
            if (w->process.pid == 0 && w->due_ns <= now_ns)
                start_one(s, i);
            if (w->process.pid == 0 && w->due_ns < due_ns)
                due_ns = w->due_ns;
        }
        wait_for_news(s, due_ns);
    }
}

static void signal_all(const fw_supervisor *s, int signal_number)
{
    for (unsigned i = 0; i < s->config.count; i++) {
        if (s->wards[i].process.pid == 0)
            continue;
        if (signal_number == SIGKILL)
            fw_process_kill(&s->wards[i].process);
        else
            fw_process_signal(&s->wards[i].process, signal_number);
    }
}

static void end_all(fw_supervisor *s)
{
    /* [supervisor-stop] acquire: see run_all. */
    int64_t until_ns = fw_now_ns() + fw_load_acquire(&s->stop_ns);
    uint64_t calls;
    if (read(s->wake, &calls, sizeof calls) < 0)
        FW_ASSERT(errno == EAGAIN || errno == EINTR);
    signal_all(s, SIGTERM);
    for (bool killed = false;;) {
        unsigned left = 0;
        for (unsigned i = 0; i < s->config.count; i++) {
            if (s->wards[i].process.pid > 0)
                look_after(s, i, true);
            left += s->wards[i].process.pid > 0;
        }
        if (left == 0)
            return;
        if (!killed && fw_now_ns() >= until_ns) {
            fw_log(FW_LOG_WARN, "supervisor.kill", "%u %s processes did not end in time", left,
                   s->config.noun);
            signal_all(s, SIGKILL);
            killed = true;
        }
        wait_for_news(s, killed ? INT64_MAX : until_ns);
    }
}

static void *supervise(void *argument)
{
    fw_supervisor *s = argument;
    pthread_setname_np(pthread_self(), "fw-supervisor");
    run_all(s);
    end_all(s);
    return NULL;
}

/* --- start and stop --- */

/* "%d" becomes the index. NULL: no memory. */
static char *word_of(const char *pattern, unsigned index)
{
    char *word = NULL;
    const char *at = strstr(pattern, "%d");
    int rc = at ? asprintf(&word, "%.*s%u%s", (int)(at - pattern), pattern, index, at + 2)
                : asprintf(&word, "%s", pattern);
    return rc < 0 ? NULL : word;
}

static char **words_of(char *const *patterns, unsigned index)
{
    size_t count = 0;
    while (patterns[count])
        count++;
    char **argv = calloc(count + 1, sizeof *argv);
    for (size_t i = 0; argv && i < count; i++) {
        argv[i] = word_of(patterns[i], index);
        if (argv[i])
            continue;
        while (i-- > 0)
            free(argv[i]);
        free(argv);
        return NULL;
    }
    return argv;
}

static void free_all(fw_supervisor *s)
{
    for (unsigned i = 0; s->wards && i < s->config.count; i++) {
        for (char **word = s->wards[i].argv; word && *word; word++)
            free(*word);
        free(s->wards[i].argv);
    }
    if (s->wake >= 0)
        close(s->wake);
    free(s->wards);
    free(s->looks);
    free(s);
}

static int64_t or_usual(int64_t value, int64_t usual)
{
    return value > 0 ? value : usual;
}

static bool build(fw_supervisor *s)
{
    fw_supervisor_config *config = &s->config;
    config->delay_first_ns = or_usual(config->delay_first_ns, usual_first_ns);
    config->delay_last_ns = or_usual(config->delay_last_ns, usual_last_ns);
    config->healthy_ns = or_usual(config->healthy_ns, usual_healthy_ns);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->wards = calloc(config->count, sizeof *s->wards);
    s->looks = calloc(config->count + 1, sizeof *s->looks);
    if (s->wake < 0 || !s->wards || !s->looks)
        return false;
    for (unsigned i = 0; i < config->count; i++) {
        s->wards[i] = (ward){.process = {.pidfd = -1}, .argv = words_of(config->argv, i)};
        if (!s->wards[i].argv)
            return false;
    }
    config->argv = NULL;
    return true;
}

int fw_supervisor_start(fw_supervisor **out, const fw_supervisor_config *config)
{
    FW_ASSERT(config->count > 0 && config->argv && config->argv[0] && config->noun);
    fw_supervisor *s = calloc(1, sizeof *s);
    if (!s)
        return -FW_ENOMEM;
    *s = (fw_supervisor){.config = *config, .wake = -1, .stop_ns = -1};
    sigset_t all, before;
    sigfillset(&all);
    bool built = build(s);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool runs = built && pthread_create(&s->thread, NULL, supervise, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!runs) {
        free_all(s);
        return -FW_ENOMEM;
    }
    *out = s;
    return 0;
}

void fw_supervisor_stop(fw_supervisor *supervisor, int64_t limit_ns)
{
    const uint64_t one = 1;
    if (!supervisor)
        return;
    /* [supervisor-stop] release: to the thread, which looks when it is woken. */
    fw_store_release(&supervisor->stop_ns, limit_ns < 0 ? 0 : limit_ns);
    if (write(supervisor->wake, &one, sizeof one) < 0)
        FW_ASSERT(errno == EAGAIN);
    pthread_join(supervisor->thread, NULL);
    free_all(supervisor);
}

void fw_supervisor_snapshot(const fw_supervisor *supervisor, fw_supervisor_stats *out)
{
    /* Relaxed: counts. */
    *out = (fw_supervisor_stats){.running = fw_load_relaxed(&supervisor->running),
                                 .starts = fw_load_relaxed(&supervisor->starts),
                                 .ends = fw_load_relaxed(&supervisor->ends)};
}
