/* engine/children.c - the pool of isolated children.
 *
 * Roles: callers (task threads) take, call and give back; the keeper, a thread of the pool, starts
 * processes, ends idle ones and waits for those that were asked to end.
 * Key invariant: a child is in exactly one place: with a caller, in the idle list, or in the
 * ending list; only who has it touches it, and the lists are the lock's.
 *
 * keeper-note: one thread starts all children, because a child is killed when the thread that
 * started it ends, and because it would inherit the CPUs that a task thread is bound to.
 *
 * The lock is held for a few instructions; what it costs is not seen beside the two process
 * switches of a call. The idle list is a stack: a child that is in use stays in use and its caches
 * warm, others grow old at the bottom and are ended.
 * Covered by tests/engine/children_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/children.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/child.h"

static const int64_t usual_grace_ns = 500 * FW_NS_PER_MS;
static const int64_t usual_idle_ns = 60 * FW_NS_PER_S;
static const uint64_t usual_calls_max = 10000;
static const int64_t look_ns = 10 * FW_NS_PER_MS; /* at children that are ending */
enum { TEXT_KEPT = 256 * 1024 /* bytes of answer kept from call to call */ };

/* A caller that waits for a new child. On its stack. */
typedef struct wish {
    struct wish *next;
    fw_child *child; /* NULL when done: it could not be started */
    int error;       /* errno */
    bool done;
} wish;

typedef struct caller {
    _Alignas(FW_APART) fw_buffer text;
} caller;

struct fw_children {
    /* Immutable after create. */
    fw_children_config config;
    const fw_child_kind *kind;
    char **argv; /* NULL: of another kind */
    pthread_t keeper;
    /* Each used by its own thread only. */
    caller *callers;
    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t to_keeper, to_callers;
    wish *wishes;
    fw_child *idle;   /* the one used last is first */
    fw_child *ending; /* asked to end, or killed and not dead yet */
    int64_t due_ns;   /* when the keeper looks next, unless it is told */
    bool stopping;
    fw_children_stats stats;
};

/* --- the keeper --- */

/* Under the lock, which is left meanwhile. */
static void start_one(fw_children *children)
{
    wish *w = children->wishes;
    children->wishes = w->next;
    pthread_mutex_unlock(&children->lock);
    int error = 0;
    fw_child *child = malloc(sizeof *child);
    if (!child) {
        error = ENOMEM;
    } else if (children->kind->start(child,
                                     children->argv ? children->argv : children->config.plan) < 0) {
        error = errno;
        free(child);
        child = NULL;
    }
    pthread_mutex_lock(&children->lock);
    children->stats.started += child != NULL;
    w->child = child;
    w->error = error;
    w->done = true;
    pthread_cond_broadcast(&children->to_callers);
}

/* Under the lock. */
static void ask_to_end(fw_children *children, fw_child *child, int64_t now_ns)
{
    children->kind->release(child);
    child->since_ns = now_ns + children->config.grace_ns;
    child->next = children->ending;
    children->ending = child;
}

/* Under the lock. When the next idle child is due; INT64_MAX: there is none. */
static int64_t end_old_ones(fw_children *children, int64_t now_ns)
{
    int64_t due_ns = INT64_MAX;
    for (fw_child **at = &children->idle; *at;) {
        fw_child *child = *at;
        int64_t its_ns = child->since_ns + children->config.idle_ns;
        if (its_ns > now_ns && !children->stopping) {
            due_ns = its_ns < due_ns ? its_ns : due_ns;
            at = &child->next;
            continue;
        }
        *at = child->next;
        children->stats.idle--;
        children->stats.idled++;
        ask_to_end(children, child, now_ns);
    }
    return due_ns;
}

/* Under the lock. */
static void wait_for_ending_ones(fw_children *children, int64_t now_ns)
{
    fw_process_end end;
    for (fw_child **at = &children->ending; *at;) {
        fw_child *child = *at;
        if (now_ns >= child->since_ns)
            fw_process_kill(&child->process);
        if (!fw_process_wait(&child->process, &end, 0)) {
            at = &child->next;
            continue;
        }
        *at = child->next;
        if (children->kind->ended)
            children->kind->ended(child, &end);
        free(child);
    }
}

static void wait_until(fw_children *children, int64_t due_ns)
{
    children->due_ns = due_ns;
    if (due_ns == INT64_MAX) {
        pthread_cond_wait(&children->to_keeper, &children->lock);
        return;
    }
    int64_t at_ns = fw_machine_ns(due_ns);
    struct timespec due = {(time_t)(at_ns / FW_NS_PER_S), (long)(at_ns % FW_NS_PER_S)};
    pthread_cond_timedwait(&children->to_keeper, &children->lock, &due);
}

static void *keep(void *argument)
{
    fw_children *children = argument;
    pthread_setname_np(pthread_self(), "fw-children");
    pthread_mutex_lock(&children->lock);
    for (;;) {
        while (children->wishes)
            start_one(children);
        int64_t now_ns = fw_now_ns();
        int64_t due_ns = end_old_ones(children, now_ns);
        wait_for_ending_ones(children, now_ns);
        if (children->stopping && !children->ending)
            break;
        if (children->ending && due_ns > now_ns + look_ns)
            due_ns = now_ns + look_ns;
        wait_until(children, due_ns);
    }
    pthread_mutex_unlock(&children->lock);
    return NULL;
}

/* --- create and destroy --- */

static void free_all(fw_children *children)
{
    if (children->callers) {
        for (unsigned i = 0; i < children->config.threads; i++)
            fw_buffer_fini(&children->callers[i].text);
    }
    if (children->argv) {
        for (char **word = children->argv; *word; word++)
            free(*word);
    }
    free(children->callers);
    free(children->argv);
    free(children);
}

static char **copy_words(const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    char **argv = calloc(count + 2, sizeof *argv);
    if (!argv || !(argv[0] = strdup("fastworker")))
        return argv;
    for (size_t i = 0; i < count && argv[i]; i++)
        argv[i + 1] = strdup(words[i]);
    return argv;
}

static bool all_copied(char *const *argv, const char *const *words)
{
    size_t i = 0;
    if (!argv || !argv[0])
        return false;
    while (words[i] && argv[i + 1])
        i++;
    return words[i] == NULL;
}

static int start_keeper(fw_children *children)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&children->lock, NULL);
    pthread_cond_init(&children->to_keeper, &monotonic);
    pthread_cond_init(&children->to_callers, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&children->keeper, NULL, keep, children);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : -FW_ENOMEM;
}

int fw_children_create(fw_children **out, const fw_children_config *config)
{
    FW_ASSERT(config->threads > 0 && !config->words == (config->kind != NULL));
    fw_children *children = calloc(1, sizeof *children);
    if (!children)
        return -FW_ENOMEM;
    children->config = *config;
    children->kind = config->kind ? config->kind : &fw_child_isolated;
    if (config->count_max == 0 || config->count_max > config->threads)
        children->config.count_max = config->threads;
    if (config->grace_ns == 0)
        children->config.grace_ns = usual_grace_ns;
    if (config->idle_ns == 0)
        children->config.idle_ns = usual_idle_ns;
    if (config->calls_max == 0)
        children->config.calls_max = usual_calls_max;
    size_t size = config->threads * sizeof *children->callers;
    children->callers = aligned_alloc(FW_APART, size);
    bool good = !config->words;
    if (config->words) {
        children->argv = copy_words(config->words);
        good = all_copied(children->argv, config->words);
    }
    if (children->callers)
        memset(children->callers, 0, size);
    if (!children->callers || !good || start_keeper(children) < 0) {
        free_all(children);
        return -FW_ENOMEM;
    }
    *out = children;
    return 0;
}

void fw_children_destroy(fw_children *children)
{
    if (!children)
        return;
    pthread_mutex_lock(&children->lock);
    FW_ASSERT(children->stats.busy == 0 && !children->wishes);
    children->stopping = true;
    pthread_cond_signal(&children->to_keeper);
    pthread_mutex_unlock(&children->lock);
    pthread_join(children->keeper, NULL);
    pthread_cond_destroy(&children->to_keeper);
    pthread_cond_destroy(&children->to_callers);
    pthread_mutex_destroy(&children->lock);
    free_all(children);
}

/* --- the callers --- */

/* Under the lock. NULL: errno says why. */
static fw_child *wish_for_one(fw_children *children)
{
    wish w = {.next = children->wishes};
    children->wishes = &w;
    pthread_cond_signal(&children->to_keeper);
    while (!w.done)
        pthread_cond_wait(&children->to_callers, &children->lock);
    errno = w.error;
    return w.child;
}

static bool is_over(const fw_call_input *input)
{
    return (input->cancelled && input->cancelled(input->cancelled_context)) ||
           (input->deadline_ns != 0 && fw_now_ns() >= input->deadline_ns);
}

/* Under the lock. False: the call's time is over. */
static bool wait_for_room(fw_children *children, const fw_call_input *input)
{
    while (children->stats.busy >= children->config.count_max) {
        if (is_over(input))
            return false;
        /* The cancel flag is a word in memory. */
        int64_t look_at_ns = fw_machine_ns(fw_now_ns() + look_ns);
        struct timespec at = {(time_t)(look_at_ns / FW_NS_PER_S), (long)(look_at_ns % FW_NS_PER_S)};
        pthread_cond_timedwait(&children->to_callers, &children->lock, &at);
    }
    return true;
}

/* NULL: errno says why; ETIME: there was none free in time, and nothing is to be given back. */
static fw_child *take(fw_children *children, const fw_call_input *input)
{
    pthread_mutex_lock(&children->lock);
    if (!wait_for_room(children, input)) {
        pthread_mutex_unlock(&children->lock);
        errno = ETIME;
        return NULL;
    }
    children->stats.busy++;
    fw_child *child = children->idle;
    while (child && !children->kind->is_well(child)) {
        /* It died, or was killed from outside, while it had nothing to do: nobody's attempt. */
        children->idle = child->next;
        children->stats.idle--;
        children->stats.crashed++;
        ask_to_end(children, child, fw_now_ns());
        pthread_cond_signal(&children->to_keeper);
        child = children->idle;
    }
    if (child) {
        children->idle = child->next;
        children->stats.idle--;
    } else {
        child = wish_for_one(children);
    }
    pthread_mutex_unlock(&children->lock);
    return child;
}

static void give_back(fw_children *children, fw_child *child, fw_child_fate fate)
{
    int64_t now_ns = fw_now_ns();
    pthread_mutex_lock(&children->lock);
    children->stats.busy--;
    if (children->config.count_max < children->config.threads)
        pthread_cond_broadcast(&children->to_callers);
    children->stats.killed += fate == FW_CHILD_KILLED;
    children->stats.crashed += fate == FW_CHILD_CRASHED || fate == FW_CHILD_UNUSED;
    if (fate == FW_CHILD_KEEP && child->calls < children->config.calls_max) {
        child->since_ns = now_ns;
        child->next = children->idle;
        children->idle = child;
        children->stats.idle++;
        /* The keeper may look too early, when the child it looks for is in use; never too late. */
        if (children->due_ns > now_ns + children->config.idle_ns)
            pthread_cond_signal(&children->to_keeper);
        child = NULL;
    } else if (child && child->process.pid > 0) {
        children->stats.recycled += fate == FW_CHILD_KEEP;
        child->recycled = fate == FW_CHILD_KEEP;
        ask_to_end(children, child, now_ns);
        pthread_cond_signal(&children->to_keeper);
        child = NULL;
    }
    pthread_mutex_unlock(&children->lock);
    free(child);
}

static void fail(caller *me, fw_call_output *output, const char *text)
{
    me->text.len = 0;
    fw_buffer_text(&me->text, text);
    *output = (fw_call_output){.error = {me->text.data, me->text.len}};
}

/* One child, one try. */
static fw_child_fate try_call(fw_children *children, const fw_call_input *input,
                              fw_call_output *output)
{
    char text[256];
    caller *me = &children->callers[input->thread];
    const fw_child_kind *kind = children->kind;
    fw_child *child = take(children, input);
    if (!child && errno == ETIME) {
        fail(me, output, "the task's time was over before a process was free");
        return FW_CHILD_KILLED;
    }
    if (!child) {
        snprintf(text, sizeof text, "no %s: %s", kind->what, strerrordesc_np(errno));
        fail(me, output, text);
        give_back(children, NULL, FW_CHILD_FATES);
        return FW_CHILD_KILLED;
    }
    pid_t pid = child->process.pid;
    fw_child_fate fate = kind->call(child, &me->text, output, input, children->config.grace_ns);
    give_back(children, child, fate);
    if (fate == FW_CHILD_CRASHED || fate == FW_CHILD_KILLED)
        fw_log(FW_LOG_WARN, fate == FW_CHILD_CRASHED ? kind->crash_event : kind->kill_event,
               "task %.*s, process %ld: %.*s", (int)input->name.len, input->name.ptr, (long)pid,
               (int)output->error.len, output->error.ptr);
    return fate;
}

void fw_children_call(fw_children *children, const fw_call_input *input, fw_call_output *output)
{
    FW_ASSERT(input->thread < children->config.threads);
    caller *me = &children->callers[input->thread];
    if (FW_UNLIKELY(me->text.capacity > TEXT_KEPT || me->text.failed)) {
        fw_buffer_fini(&me->text);
        me->text = (fw_buffer){0};
    }
    if (is_over(input)) {
        fail(me, output, "the task's time was over before it began");
        return;
    }
    /* Nothing ran in a child that was gone: another one may try, but not for ever. */
    if (try_call(children, input, output) == FW_CHILD_UNUSED)
        try_call(children, input, output);
}

void fw_children_snapshot(fw_children *children, fw_children_stats *out)
{
    pthread_mutex_lock(&children->lock);
    *out = children->stats;
    pthread_mutex_unlock(&children->lock);
}
