/* engine/child.h - one isolated child process, seen from the parent.
 *
 * Whoever has taken a child from the pool (children.h) is the only one to talk to it, to signal it
 * and to wait for it. A call has one of three outcomes, which says what is to be done with the
 * child. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_CHILD_H
#define FW_ENGINE_CHILD_H

#include "base/json.h"
#include "base/latest.h"
#include "base/process.h"
#include "engine/modules.h"

typedef struct fw_child {
    fw_process process;
    int fd;           /* our end, non-blocking */
    fw_latest *board; /* memory that it has as well, for progress; NULL: none */
    int board_fd;     /* to be given with the first call; -1: it was */
    bool ready;       /* it has said so */
    uint64_t calls;
    int64_t since_ns; /* idle since; or, when it is asked to end, until when it is waited for */
    /* Of programs (engine/exec_pool.c). */
    int in, err;
    const void *plan;
    bool recycled; /* asked to end because it has had enough */
    struct fw_child *next;
} fw_child;

typedef enum fw_child_fate {
    FW_CHILD_KEEP = 0, /* it answered; use it again */
    FW_CHILD_UNUSED,   /* it was gone before the call reached it: nothing ran */
    FW_CHILD_CRASHED,  /* it ended by itself during the call */
    FW_CHILD_KILLED,   /* by us: cancelled, past the deadline, or it talked nonsense */
    FW_CHILD_FATES
} fw_child_fate;

/* What kind of process a pool is of; the pool does not know what is said to them. */
typedef struct fw_child_kind {
    const char *what; /* "child process for isolated tasks" */
    const char *crash_event, *kill_event;
    /* Each as the function of that name below. */
    int (*start)(fw_child *child, const void *plan);
    void (*release)(fw_child *child);
    bool (*is_well)(const fw_child *child);
    fw_child_fate (*call)(fw_child *child, fw_buffer *text, fw_call_output *output,
                          const fw_call_input *input, int64_t grace_ns);
    /* One that was asked to end has ended. May be NULL. */
    void (*ended)(const fw_child *child, const fw_process_end *end);
} fw_child_kind;
extern const fw_child_kind fw_child_isolated; /* plan: argv */

/* Starts a process; it may not be ready when this returns. 0, or -FW_E... and errno says why. */
int fw_child_start(fw_child *child, const void *argv);
/* Closes our end: it ends when its call is over. */
void fw_child_release(fw_child *child);
/* Alive, and silent as it should be between calls. */
bool fw_child_is_well(const fw_child *child);

/* One call. The output's bytes lie in text until its next use; any fate has an output. After any
 * fate but KEEP our end is closed and the process was waited for, unless the kernel does not let it
 * die now: then process.pid is not 0. */
fw_child_fate fw_child_call(fw_child *child, fw_buffer *text, fw_call_output *output,
                            const fw_call_input *input, int64_t grace_ns);

#endif
