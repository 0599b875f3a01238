/* engine/children.h - task functions in processes of their own: a crash there costs its task one
 * attempt and nothing else.
 *
 * A pool of supervised child processes. A task thread takes the idle child that was used last, or
 * asks for a new one; sends the call, waits for the answer, gives the child back. There are never
 * more busy children than task threads. A child that dies is replaced when the next call needs one;
 * one that has had enough calls, or nothing to do for long, is asked to end.
 *
 * Who may call: create, destroy: one thread. call: each task thread for itself, with its number in
 * input->thread; it blocks until the task has ended. The rest: any thread.
 * The child's side is fw_child_serve, in a program that loads the same modules.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_CHILDREN_H
#define FW_ENGINE_CHILDREN_H

#include "engine/modules.h"

typedef struct fw_children fw_children;

typedef struct fw_children_config {
    unsigned threads;         /* callers */
    const char *const *words; /* NULL-ended: the words after the program's name for a child */
    /* Another kind of process than the program itself (engine/exec_pool.c); words are NULL then. */
    const struct fw_child_kind *kind;
    const void *plan;   /* for the kind; outlives the pool */
    unsigned count_max; /* at once; 0: one for each caller. Further callers wait */
    /* 0: the usual 500 ms, 60 s, 10,000. */
    int64_t grace_ns;   /* from SIGTERM to SIGKILL */
    int64_t idle_ns;    /* without a call, until a child is ended */
    uint64_t calls_max; /* of one child, then it is replaced */
} fw_children_config;

/* Starts one thread and no child. 0 or -FW_ENOMEM. */
int fw_children_create(fw_children **out, const fw_children_config *config);
/* No call is running. Ends all children, within the grace or by force. */
void fw_children_destroy(fw_children *children);

/* Like fw_modules_call, in a child. When the input says cancelled, or its deadline passes, the task
 * and what it started get SIGTERM (fw_cancelled is true in it from then on), and SIGKILL when it
 * does not answer within the grace. A child that dies is a failure with output->crashed and a text
 * with its signal or exit status and its largest memory. */
void fw_children_call(fw_children *children, const fw_call_input *input, fw_call_output *output);

typedef struct fw_children_stats {
    uint64_t started, crashed, killed, recycled, idled; /* children so far, by how they ended */
    unsigned idle, busy;                                /* now */
} fw_children_stats;
void fw_children_snapshot(fw_children *children, fw_children_stats *out);

/* --- the child's side --- */

/* Answers calls that come from descriptor FW_PROCESS_GIVEN, one at a time on this thread, until the
 * parent closes it. The modules were made for one thread, which is started and stopped here.
 * 0, or -FW_EPROTO: that is no parent. SIGTERM from the parent cancels the call. */
int fw_child_serve(fw_modules *modules);
/* Instead of that, when the modules cannot be loaded: the text becomes the calls' error. */
void fw_child_refuse(const char *text);

#endif
