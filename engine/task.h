/* engine/task.h - the state word of a task: one atomic, its transitions, and the duty that each
 * brings.
 *
 * The word holds the state, the cancel flag, the number of the run (six bits) and the references.
 * Nobody outside task.c sees a bit: a transition either happens or not, and its result says what
 * its caller owes.
 *
 * T1 a state moves only along the table of moves (fw_task_may); a transition that passes through
 *    several states at once, such as queued - assigned - running, is made of such moves.
 * T2 exactly one caller is told FW_DUTY_END for each task: it is the one who calls done.
 * T3 a cancel that was accepted while the task ran makes its end CANCELLED, whatever the run
 * returned. T4 the outcome of a run that was ended by somebody else, or that another run followed,
 * is refused. T5 who sees a state by fw_task_state sees what its writer wrote before the
 * transition. All: any thread, lock-free.
 *
 * References: one for the index (given up a grace period after the task was unlinked), one for
 * whoever will run or queue it (queue entry, alarm, task thread), one for the completer of a
 * pending run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_TASK_H
#define FW_ENGINE_TASK_H

#include "engine/engine.h"

typedef enum fw_duty {
    FW_DUTY_DROP = 0, /* too late; give back the reference you came with */
    FW_DUTY_RUN,      /* run it */
    FW_DUTY_QUEUE,    /* put it into its lane */
    FW_DUTY_WAIT,     /* put it on the wheel */
    FW_DUTY_LEAVE,    /* it runs: the flag is set, whoever runs it ends it */
    FW_DUTY_END,      /* you ended it: call done, unlink it, give back its references */
    FW_DUTY_END_UNRUN /* the same, and it was not running: the completer's reference is yours as
                         well */
} fw_duty;

enum { FW_TASK_REFERENCES = 3, FW_RUNS = 64 };

/* Whether protocol section 14.1 lists the move. Pure. */
bool fw_task_may(fw_state from, fw_state to);
static inline bool fw_state_is_terminal(fw_state state)
{
    return state == FW_SUCCESS || state == FW_FAILURE || state == FW_CANCELLED;
}

/* Before anybody else sees the task: moved from PENDING, no run yet, FW_TASK_REFERENCES references.
 */
void fw_task_init(fw_task *task, fw_state to);
/* One listed move; false: not listed from the state it is in. */
FW_MUST bool fw_task_move(fw_task *task, fw_state to);

/* QUEUED to RUNNING. RUN, and the number of the run; or DROP. */
FW_MUST fw_duty fw_task_begin(fw_task *task, unsigned *run);
/* What the run returned. END or DROP. */
FW_MUST fw_duty fw_task_finish(fw_task *task, unsigned run, bool success);
/* Instead of fw_task_finish after a failure: the next run follows. Adds `references`. WAIT; or END
 * when a cancel was accepted; or DROP. */
FW_MUST fw_duty fw_task_retry(fw_task *task, unsigned run, unsigned references);
/* The deadline of a run passed: FAILURE (or CANCELLED, T3). END or DROP. */
FW_MUST fw_duty fw_task_expire(fw_task *task, unsigned run);
/* SCHEDULED or RETRYING to QUEUED. QUEUE or DROP. */
FW_MUST fw_duty fw_task_due(fw_task *task);
/* END_UNRUN, LEAVE, or DROP: it is over. *from: the state it was in. */
FW_MUST fw_duty fw_task_cancel(fw_task *task, fw_state *from);
/* Ends a live task in any state as SUCCESS or FAILURE (or CANCELLED, T3). END (it ran), END_UNRUN
 * or DROP. *from: the state it was in. */
FW_MUST fw_duty fw_task_settle(fw_task *task, bool success, fw_state *from);

/* That run is on. */
bool fw_task_runs(const fw_task *task, unsigned run);
unsigned fw_task_references(const fw_task *task);
/* True: these were the last ones. */
FW_MUST bool fw_task_give_back(fw_task *task, unsigned references);

#endif
