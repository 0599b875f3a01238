/* engine/exec.c - see engine/exec.h: the tasks of a process that are programs.
 *
 * Roles: a plan is added before there are task threads and not changed after; each call goes to a
 * process of its own (exec_oneshot.c), or to one of a pool (exec_pool.c, children.h).
 * Covered by tests/engine/exec_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "engine/exec_priv.h"

enum { TEXT_KEPT = 256 * 1024 };

struct fw_exec {
    unsigned threads;
    fw_exec_task **tasks;
    size_t count;
    fw_task_def *defs;
    fw_module module;
    /* Each used by its own thread only. */
    fw_exec_thread *own;
};

static const char *const outcome_names[FW_EXEC_OUTCOMES] = {
    "ok",        "retry",   "error",    "signal",   "oom",      "timeout",
    "cancelled", "too_big", "nonsense", "recycled", "unstarted"};

const char *fw_exec_outcome_name(fw_exec_outcome outcome)
{
    return outcome_names[outcome];
}

/* --- plans --- */

static bool is_name(const char *text, size_t len)
{
    bool good = len > 0 && !isdigit((unsigned char)text[0]);
    for (size_t i = 0; i < len; i++)
        good = good && (isalnum((unsigned char)text[i]) || text[i] == '_');
    return good;
}

/* False: no memory. */
static bool read_word(fw_exec_word *out, const char *text)
{
    size_t len = strlen(text);
    bool braced = len > 2 && text[0] == '{' && text[len - 1] == '}';
    size_t digits = braced ? strspn(text + 1, "0123456789") : 0;
    bool doubled = len > 4 && braced && text[1] == '{' && text[len - 2] == '}';
    *out = (fw_exec_word){.kind = FW_WORD_LITERAL};
    if (braced && digits == len - 2 && digits <= 4) {
        out->kind = FW_WORD_PLACE;
        out->place = (unsigned)strtoul(text + 1, NULL, 10);
    } else if (braced && is_name(text + 1, len - 2)) {
        out->kind = FW_WORD_NAME;
    }
    bool inner = doubled || out->kind != FW_WORD_LITERAL;
    out->text = inner ? strndup(text + 1, len - 2) : strdup(text);
    return out->text != NULL;
}

static bool copy_words(fw_exec_task *task, const char *const *argv)
{
    size_t count = 0;
    while (argv[count])
        count++;
    task->words = calloc(count + 1, sizeof *task->words);
    for (size_t i = 0; task->words && i < count; i++) {
        if (!read_word(&task->words[i], argv[i]))
            return false;
        task->word_count++;
    }
    return task->words != NULL;
}

/* "NAME=value" of each that is set. */
static bool copy_environment(fw_exec_task *task, const char *names)
{
    size_t most = strlen(names) / 2 + 1 + FW_EXEC_OWN_VARIABLES + 1;
    task->environment = calloc(most, sizeof *task->environment);
    if (!task->environment)
        return false;
    for (const char *at = names + strspn(names, " ,"); *at; at += strspn(at, " ,")) {
        char name[256];
        size_t len = strcspn(at, " ,");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        const char *value = getenv(name);
        if (!value)
            continue;
        char **slot = &task->environment[task->environment_count];
        if (asprintf(slot, "%s=%s", name, value) < 0) {
            *slot = NULL;
            return false;
        }
        task->environment_count++;
    }
    return true;
}

static void add_limit(fw_exec_task *task, int resource, uint64_t value)
{
    if (value > 0)
        task->limits[task->limit_count++] = (fw_process_limit){resource, value};
}

static void free_task(fw_exec_task *task)
{
    fw_children_destroy(task->pool);
    for (size_t i = 0; i < task->word_count; i++)
        free(task->words[i].text);
    for (size_t i = 0; i < task->environment_count; i++)
        free(task->environment[i]);
    free(task->words);
    free(task->environment);
    free((char *)(uintptr_t)task->plan.name);
    free((char *)(uintptr_t)task->plan.directory);
    pthread_mutex_destroy(&task->log_lock);
    free(task);
}

static fw_exec_task *new_task(const fw_exec_plan *plan)
{
    fw_exec_task *task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    pthread_mutex_init(&task->log_lock, NULL);
    task->plan = *plan;
    task->plan.name = strdup(plan->name);
    task->plan.directory = plan->directory ? strdup(plan->directory) : NULL;
    task->plan.argv = NULL;
    task->plan.env_pass = NULL;
    add_limit(task, RLIMIT_AS, plan->memory_max);
    add_limit(task, RLIMIT_CPU, plan->cpu_max_s);
    add_limit(task, RLIMIT_NOFILE, plan->files_max);
    CPU_ZERO(&task->cpus);
    sched_getaffinity(0, sizeof task->cpus, &task->cpus);
    bool good = task->plan.name && (task->plan.directory || !plan->directory);
    if (good && copy_words(task, plan->argv) &&
        copy_environment(task, plan->env_pass ? plan->env_pass : ""))
        return task;
    free_task(task);
    return NULL;
}

int fw_exec_create(fw_exec **out, unsigned threads)
{
    fw_exec *exec = calloc(1, sizeof *exec);
    size_t size = threads * sizeof(fw_exec_thread);
    fw_exec_thread *own = aligned_alloc(FW_APART, size);
    if (!exec || !own) {
        free(exec);
        free(own);
        return -FW_ENOMEM;
    }
    memset(own, 0, size);
    *exec = (fw_exec){.threads = threads, .own = own};
    *out = exec;
    return 0;
}

int fw_exec_add(fw_exec *exec, char *error, size_t error_capacity, const fw_exec_plan *plan)
{
    FW_ASSERT(!exec->defs && plan->argv[0]);
    fw_exec_task **more = realloc(exec->tasks, (exec->count + 1) * sizeof(*more));
    if (more)
        exec->tasks = more;
    fw_exec_task *task = more ? new_task(plan) : NULL;
    if (!task) {
        snprintf(error, error_capacity, "out of memory");
        return -FW_ENOMEM;
    }
    for (size_t i = 0; plan->pool && i < task->word_count; i++) {
        if (task->words[i].kind == FW_WORD_LITERAL)
            continue;
        snprintf(error, error_capacity,
                 "{%s}: a pool's processes are started before there are arguments",
                 task->words[i].text);
        free_task(task);
        return -FW_EINVAL;
    }
    exec->tasks[exec->count++] = task;
    return 0;
}

int fw_exec_start(fw_exec *exec)
{
    exec->defs = calloc(exec->count + 1, sizeof *exec->defs);
    if (!exec->defs)
        return -FW_ENOMEM;
    for (size_t i = 0; i < exec->count; i++) {
        fw_exec_task *task = exec->tasks[i];
        exec->defs[i] = (fw_task_def){.name = task->plan.name, .timeout_ms = task->plan.timeout_ms};
        if (task->plan.pool && fw_exec_pool_start(task, exec->threads) < 0)
            return -FW_ENOMEM;
    }
    exec->module = (fw_module){.abi = FW_ABI,
                               .module_size = sizeof(fw_module),
                               .task_size = sizeof(fw_task_def),
                               .task_count = (uint32_t)exec->count,
                               .name = "exec",
                               .version = fw_version(),
                               .tasks = exec->defs};
    return 0;
}

const fw_module *fw_exec_module(const fw_exec *exec)
{
    return &exec->module;
}

void fw_exec_destroy(fw_exec *exec)
{
    if (!exec)
        return;
    for (size_t i = 0; i < exec->count; i++)
        free_task(exec->tasks[i]);
    for (unsigned i = 0; i < exec->threads; i++) {
        fw_buffer_fini(&exec->own[i].request);
        fw_buffer_fini(&exec->own[i].text);
        fw_buffer_fini(&exec->own[i].words);
    }
    free(exec->tasks);
    free(exec->defs);
    free(exec->own);
    free(exec);
}

/* --- calls --- */

static void empty(fw_buffer *buffer)
{
    if (buffer->capacity > TEXT_KEPT || buffer->failed) {
        fw_buffer_fini(buffer);
        *buffer = (fw_buffer){0};
    }
    buffer->len = 0;
}

/* A process that closes its standard input is no reason to die. */
static void block_pipe_signal(void)
{
    static _Thread_local bool blocked;
    sigset_t set;
    if (blocked)
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    blocked = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0;
}

void fw_exec_call(fw_exec *exec, const fw_task_def *def, const fw_call_input *input,
                  fw_call_output *output)
{
    size_t place = (size_t)(def - exec->defs);
    FW_ASSERT(place < exec->count && input->thread < exec->threads);
    fw_exec_task *task = exec->tasks[place];
    fw_exec_thread *own = &exec->own[input->thread];
    block_pipe_signal();
    if (task->pool) {
        fw_children_call(task->pool, input, output);
        return;
    }
    empty(&own->request);
    empty(&own->text);
    empty(&own->words);
    /* Relaxed: to be shown. */
    fw_add_relaxed(&task->busy, 1);
    fw_exec_run_once(task, own, input, output);
    fw_add_relaxed(&task->busy, (unsigned)-1);
}

size_t fw_exec_count(const fw_exec *exec)
{
    return exec->count;
}

void fw_exec_snapshot(const fw_exec *exec, size_t place, fw_exec_stats *out)
{
    FW_ASSERT(place < exec->count);
    fw_exec_task *task = exec->tasks[place];
    *out = (fw_exec_stats){.name = task->plan.name, .pool = task->plan.pool};
    /* Relaxed: counts. */
    out->busy = fw_load_relaxed(&task->busy);
    for (int i = 0; i < FW_EXEC_OUTCOMES; i++)
        out->exits[i] = fw_load_relaxed(&task->exits[i]);
    if (task->pool) {
        fw_children_stats stats;
        fw_children_snapshot(task->pool, &stats);
        out->busy = stats.busy;
        out->idle = stats.idle;
    }
}
