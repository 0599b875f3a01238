/* app/life/isolation.h - which tasks run in a process of their own, and the processes for it.
 *
 * Decided by the setting `isolate` and by the task's FW_F_ISOLATE; whoever knows more about one
 * task may ask for it as well. Set up before the task threads; call: each for itself.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_ISOLATION_H
#define FW_APP_ISOLATION_H

#include "app/settings/settings.h"
#include "base/assert.h"
#include "engine/children.h"
#include "engine/exec.h"

typedef struct fw_isolation {
    /* Immutable after start. */
    fw_isolate mode;
    fw_children *children; /* NULL: never */
    fw_exec *exec;         /* tasks that are programs; NULL: there are none */
} fw_isolation;

/* 0 or -FW_ENOMEM. Starts no process yet. */
int fw_isolation_start(fw_isolation *isolation, const fw_settings *settings, unsigned threads);
void fw_isolation_stop(fw_isolation *isolation);

/* Runs the task: a program as such; in a child when it is marked, when all are, or when asked; else
 * on this thread. */
static inline void fw_isolation_call(const fw_isolation *isolation, fw_modules *modules,
                                     const fw_task_entry *entry, const fw_call_input *input,
                                     bool asked, fw_call_output *output)
{
    if (FW_UNLIKELY(!entry->def->fn)) {
        fw_exec_call(isolation->exec, entry->def, input, output);
        return;
    }
    bool marked = (entry->def->flags & FW_F_ISOLATE) != 0 || isolation->mode == FW_ISOLATE_ALL;
    if ((marked || asked) && isolation->children)
        fw_children_call(isolation->children, input, output);
    else
        fw_modules_call(modules, entry, input, output);
}

#endif
