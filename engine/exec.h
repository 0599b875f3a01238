/* engine/exec.h - tasks that are programs: any executable, JSON in and out, no shell.
 *
 * oneshot: a process for each run. Its standard input is one JSON object, its standard output is
 * the result, its exit status says what became of it (0 success, 75 try again, else failure with
 * the last line of standard error). pool: processes that stay; one JSON object a line in, one out.
 * docs/EXEC.md has both in full.
 *
 * A process starts clean: its own group, descriptors 0 to 2 (and the one for progress), signals at
 * their default, no way to new privileges, limits and environment as the plan has them. Cancelled
 * or out of time, its group gets SIGTERM, and SIGKILL when the grace is over; at its end nothing of
 * its group is left.
 *
 * add, start, destroy: one thread, in this order. call: each task thread, with its number in
 * input->thread; it blocks until the run is over. The rest: any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_EXEC_H
#define FW_ENGINE_EXEC_H

#include "engine/modules.h"

typedef struct fw_exec fw_exec;

enum { FW_EXEC_TEMPORARY = 75 /* the exit status that asks for another try */ };

typedef enum fw_exec_output { FW_EXEC_AUTO = 0, FW_EXEC_JSON, FW_EXEC_TEXT } fw_exec_output;

typedef struct fw_exec_plan {
    const char *name;
    const char *const *argv; /* NULL-ended; the first is a path. "{0}", "{name}": replaced by that
                              * argument; "{{name}}": the text {name} */
    bool pool;
    fw_exec_output output;
    const char *directory;
    const char *env_pass; /* names, separated by spaces; read once */
    int progress_fd;      /* 3 to 9; 0: none. oneshot only */
    unsigned pool_size;   /* 0: one for each thread */
    uint64_t recycle_tasks;
    int64_t recycle_rss; /* 0: never, as above */
    int64_t grace_ns;
    size_t result_max, stderr_max;
    uint64_t memory_max, cpu_max_s, files_max; /* 0: as ours */
    int64_t timeout_ms;                        /* for the task's definition */
    /* When it asks for another try: after the first run, so many times longer each time, at most.
     */
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
} fw_exec_plan;

int fw_exec_create(fw_exec **out, unsigned threads);
/* Copies. 0, or -FW_E... with a sentence. */
int fw_exec_add(fw_exec *exec, char *error, size_t error_capacity, const fw_exec_plan *plan);
/* No more are added; starts no process yet. */
int fw_exec_start(fw_exec *exec);
/* Its tasks, in the order in which they came, as definitions without a function: for
 * fw_modules_add. Lives as long as exec. */
const fw_module *fw_exec_module(const fw_exec *exec);
/* No call is running. Ends all processes. */
void fw_exec_destroy(fw_exec *exec);

/* def: of fw_exec_module. */
void fw_exec_call(fw_exec *exec, const fw_task_def *def, const fw_call_input *input,
                  fw_call_output *output);

/* How processes have ended. */
typedef enum fw_exec_outcome {
    FW_EXEC_OK = 0,
    FW_EXEC_RETRY,
    FW_EXEC_ERROR,
    FW_EXEC_SIGNAL,
    FW_EXEC_OOM, /* SIGKILL that was not ours: most often the kernel's, for lack of memory */
    FW_EXEC_TIMEOUT,
    FW_EXEC_CANCELLED,
    FW_EXEC_TOO_BIG,
    FW_EXEC_NONSENSE, /* ended by us: what it said is no answer */
    FW_EXEC_RECYCLED,
    FW_EXEC_UNSTARTED,
    FW_EXEC_OUTCOMES
} fw_exec_outcome;
const char *fw_exec_outcome_name(fw_exec_outcome outcome);

typedef struct fw_exec_stats {
    const char *name;
    bool pool;
    unsigned busy, idle; /* processes now */
    uint64_t exits[FW_EXEC_OUTCOMES];
} fw_exec_stats;
size_t fw_exec_count(const fw_exec *exec);
void fw_exec_snapshot(const fw_exec *exec, size_t place, fw_exec_stats *out);

#endif
