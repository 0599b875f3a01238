/* app/exec_tasks.c - see app/exec_tasks.h. Covered by exec_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/exec_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings/exec_words.h"
#include "base/clock.h"
#include "base/process.h"

static fw_exec_plan plan_of(const fw_task_section *s, char *const *words)
{
    return (fw_exec_plan){
        .name = s->head.name,
        .argv = (const char *const *)words,
        .pool = s->mode == FW_EXEC_KEY_POOL,
        .output = (fw_exec_output)s->output,
        .directory = s->directory,
        .env_pass = s->env_pass,
        .progress_fd = (int)s->progress_fd,
        .pool_size = (unsigned)s->pool_size,
        .recycle_tasks = (uint64_t)s->recycle_tasks,
        .recycle_rss = s->recycle_rss,
        .grace_ns = s->grace_ns,
        .result_max = (size_t)s->result_max,
        .stderr_max = (size_t)s->stderr_max,
        .memory_max = (uint64_t)s->memory_max,
        .cpu_max_s = (uint64_t)((s->cpu_max_ns + FW_NS_PER_S - 1) / FW_NS_PER_S),
        .files_max = (uint64_t)s->files_max,
        .timeout_ms = s->timeout_ns / FW_NS_PER_MS,
        .retry_delay_s = (double)s->retry_delay_ns / 1e9,
        .retry_backoff = s->retry_backoff,
        .retry_backoff_max_s = (double)s->retry_backoff_max_ns / 1e9,
    };
}

static int add_one(fw_exec *exec, char *error, size_t capacity, const fw_task_section *s)
{
    char why[256];
    const char *wrong = why;
    int rc = -FW_ENOMEM;
    char **words = fw_exec_words(s->exec, &wrong);
    if (words && access(words[0], X_OK) != 0) {
        snprintf(why, sizeof why, "%.160s: %s", words[0], strerrordesc_np(errno));
        wrong = why;
        rc = -FW_EINVAL;
    } else if (words) {
        fw_exec_plan plan = plan_of(s, words);
        rc = fw_exec_add(exec, why, sizeof why, &plan);
        wrong = why;
    }
    free(words);
    if (rc < 0)
        snprintf(error, capacity, "%s:%u: [task \"%s\"] exec: %s", s->head.path, s->head.line,
                 s->head.name, wrong);
    return rc;
}

static size_t count_programs(const fw_sections *sections)
{
    size_t count = 0;
    for (size_t i = 0; i < sections->task_count; i++)
        count += sections->tasks[i]->exec != NULL;
    return count;
}

int fw_exec_tasks_load(fw_exec **out, char *error, size_t error_capacity,
                       const fw_settings *settings, fw_modules *modules, unsigned threads)
{
    const fw_sections *sections = &settings->sections;
    *out = NULL;
    if (count_programs(sections) == 0)
        return 0;
    if (geteuid() == 0 && !settings->privileged_exec) {
        snprintf(
            error, error_capacity,
            "programs would be run as root for everybody who can submit a task: run as another "
            "user, or set FASTWORKER_PRIVILEGED_EXEC=true");
        return -FW_EPERM;
    }
    fw_process_adopt();
    int rc = fw_exec_create(out, threads);
    for (size_t i = 0; rc == 0 && i < sections->task_count; i++) {
        if (sections->tasks[i]->exec)
            rc = add_one(*out, error, error_capacity, sections->tasks[i]);
    }
    if (rc == 0) {
        rc = fw_exec_start(*out);
        snprintf(error, error_capacity, "out of memory");
    }
    if (rc == 0)
        rc = fw_modules_add(modules, error, error_capacity, fw_exec_module(*out),
                            "the configuration file");
    if (rc < 0) {
        fw_exec_destroy(*out);
        *out = NULL;
    }
    return rc;
}

void fw_exec_tasks_announce(fw_names *names, const fw_settings *settings)
{
    for (size_t i = 0; i < settings->sections.task_count; i++) {
        const fw_task_section *s = settings->sections.tasks[i];
        fw_span text = {s->head.name, strlen(s->head.name)};
        const fw_name *name = s->exec ? fw_names_add(names, text) : NULL;
        if (name)
            fw_name_announce(name);
    }
}
