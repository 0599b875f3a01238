/* app/supervisor.h - keeps a number of whole processes running: subworkers of one's own.
 *
 * Each process that ends is started again, after a delay that doubles while it keeps ending soon.
 * The processes are the supervisor's alone: it waits for them and for nobody else, so other parts
 * of the program may have children too. They are clean (base/process.h), out of reach of the
 * terminal's signals, and are killed when this program dies.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SUPERVISOR_H
#define FW_APP_SUPERVISOR_H

#include "base/process.h"

typedef struct fw_supervisor fw_supervisor;

typedef struct fw_supervised_exit {
    unsigned index;     /* which of the processes, from 0 */
    pid_t pid;          /* 0: it could not be started */
    fw_process_end end; /* status and memory, if it was started */
    const char *text;   /* "killed by signal 11 (SIGSEGV)"; borrowed */
    int64_t ran_ns;
    int64_t delay_ns; /* until it is started again; -1: it is not, because of stop */
} fw_supervised_exit;

typedef struct fw_supervisor_config {
    const char *noun;    /* for the log: "subworker" */
    const char *program; /* a path; NULL: this program */
    char *const *argv;   /* NULL-ended, copied; "%d" in a word becomes the index */
    unsigned count;
    int64_t delay_first_ns, delay_last_ns; /* 0: 100 ms, 10 s */
    int64_t healthy_ns; /* running so long makes the next delay the first again; 0: 30 s */
    /* On the supervisor's thread, for each end, before the next start. May be NULL. Must not call
     * the supervisor. */
    void (*exited)(void *context, const fw_supervised_exit *exit);
    void *context;
} fw_supervisor_config;

/* The processes are started soon, by a thread of the supervisor's. 0 or -FW_ENOMEM. */
int fw_supervisor_start(fw_supervisor **out, const fw_supervisor_config *config);
/* SIGTERM to all, wait, SIGKILL to those that are left after the limit, and free. NULL is fine. */
void fw_supervisor_stop(fw_supervisor *supervisor, int64_t limit_ns);

typedef struct fw_supervisor_stats {
    unsigned running; /* now */
    uint64_t starts, ends;
} fw_supervisor_stats;
/* Any thread. */
void fw_supervisor_snapshot(const fw_supervisor *supervisor, fw_supervisor_stats *out);

#endif
