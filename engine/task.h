/* engine/task.h - the state word of a task: one atomic, its transitions, the duty each brings.
 *
 * The word holds the state, a few flags, the number of the run (six bits) and the
 * references. Nobody outside task.[ch] sees a bit: a transition either happens or not, and its
 * result says what its caller owes.
 *
 * T1 a state moves only along the table of moves (fw_task_may); a transition that passes
 *    through several states at once, such as queued - assigned - running, is made of such
 *    moves.
 * T2 exactly one caller is told to END each task: it is the one who calls done.
 * T3 a cancel that was accepted while the task ran makes its end CANCELLED, whatever the run
 *    returned.
 * T4 the outcome of a run that was ended by somebody else, or that another run followed, is
 *    refused.
 * T5 who sees a state by fw_task_state sees what its writer wrote before the transition.
 * All: any thread, lock-free.
 *
 * References: one for the index (given up a grace period after the task was unlinked), one for
 * whoever will run or queue it (queue entry, alarm, task thread), one for the completer of a
 * pending run.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_TASK_H
#define FW_ENGINE_TASK_H

#include "base/assert.h"
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

/* Before anybody else sees the task: moved from PENDING, no run yet, all three references. */
void fw_task_init(fw_task *task, fw_state to);
/* One listed move; false: not listed from the state it is in. */
FW_MUST bool fw_task_move(fw_task *task, fw_state to);

/* QUEUED to RUNNING. RUN, and the word that fw_task_finish wants; or DROP. */
FW_MUST static inline fw_duty fw_task_begin(fw_task *task, uint32_t *begun);
/* What the run returned; `begun` says which run. END or DROP. *state: the state it ended in. */
FW_MUST static inline fw_duty fw_task_finish(fw_task *task, fw_state *state, uint32_t begun,
                                             bool success);
/* The number of a run that fw_task_begin began. */
static inline unsigned fw_task_run_of(uint32_t begun);
/* The same by number, for who did not begin it. END or DROP. */
FW_MUST fw_duty fw_task_end_run(fw_task *task, unsigned run, bool success);
/* Before the end of a run that failed: the next run follows. Adds `references`. WAIT; or DROP: the
 * run is over already, or a cancel was accepted, so end it. */
FW_MUST fw_duty fw_task_retry(fw_task *task, unsigned run, unsigned references);
/* A run that did not come to its end elsewhere: back to QUEUED by way of FAILURE and RETRYING, with
 * the references it has. lost: the next run has the next number. QUEUE; or DROP, as fw_task_retry.
 */
FW_MUST fw_duty fw_task_requeue(fw_task *task, unsigned run, bool lost);
/* SCHEDULED or RETRYING to QUEUED. QUEUE or DROP. */
FW_MUST fw_duty fw_task_due(fw_task *task);
/* END_UNRUN, LEAVE, or DROP: it is over. *from: the state it was in. */
FW_MUST fw_duty fw_task_cancel(fw_task *task, fw_state *from);
/* Ends a task that does not run, as CANCELLED or FAILURE: END_UNRUN or DROP. */
FW_MUST fw_duty fw_task_withdraw(fw_task *task, fw_state to, fw_state *from);
/* Ends a live task in any state as SUCCESS or FAILURE (or CANCELLED, T3). END (it ran), END_UNRUN
 * or DROP. *from: the state it was in. */
FW_MUST fw_duty fw_task_settle(fw_task *task, bool success, fw_state *from);

/* That run is on. */
bool fw_task_runs(const fw_task *task, unsigned run);
unsigned fw_task_references(const fw_task *task);
/* So many references, and nobody else has any. */
static inline bool fw_task_has_only(const fw_task *task, unsigned references);
/* True: these were the last ones. */
FW_MUST bool fw_task_give_back(fw_task *task, unsigned references);
/* Of a task that ended without running two have to part: who ended it, when it is unlinked, and who
 * has the runner's reference, when the task is in no queue and on no wheel. True for the second:
 * all three references are with the caller. */
FW_MUST bool fw_task_part_unlinked(fw_task *task);
FW_MUST bool fw_task_part_left(fw_task *task);

/* --- The word, and the two transitions that every task makes, for the compiler's eyes --- */

/* From the low end: 4 bits state, 1 bit cancel, 6 bits run, 2 bits parting, 19 bits references. */
enum {
    FW_WORD_STATE = 0xf,
    FW_WORD_CANCEL = 1 << 4,
    FW_WORD_RUN_SHIFT = 5,
    FW_WORD_RUN = (FW_RUNS - 1) << FW_WORD_RUN_SHIFT,
    FW_WORD_UNLINKED = 1 << 11,
    FW_WORD_LEFT = 1 << 12,
    FW_WORD_REFERENCE = 1 << 13
};

/* The word after one listed move. */
static inline uint32_t fw_word_step(uint32_t word, fw_state to)
{
    FW_DEBUG_ASSERT(fw_task_may((fw_state)(word & FW_WORD_STATE), to));
    return (word & ~(uint32_t)FW_WORD_STATE) | to;
}

/* The end of a running task: a cancel that was accepted goes before everything else. */
static inline uint32_t fw_word_end(uint32_t word, bool success)
{
    if (FW_UNLIKELY(word & FW_WORD_CANCEL))
        return fw_word_step(word, FW_CANCELLED);
    return fw_word_step(word, success ? FW_SUCCESS : FW_FAILURE);
}

static inline unsigned fw_task_run_of(uint32_t begun)
{
    return (begun & FW_WORD_RUN) >> FW_WORD_RUN_SHIFT;
}

static inline bool fw_task_has_only(const fw_task *task, unsigned references)
{
    /* [task-word] acquire: whoever gave back a reference is through with the task. */
    return fw_load_acquire(&task->word) / FW_WORD_REFERENCE == references;
}

static inline fw_duty fw_task_begin(fw_task *task, uint32_t *begun)
{
    /* Relaxed: a first guess; the swap decides. */
    uint32_t word = fw_load_relaxed(&task->word);
    uint32_t next;
    do {
        if (FW_UNLIKELY((word & FW_WORD_STATE) != FW_QUEUED))
            return FW_DUTY_DROP;
        next = fw_word_step(fw_word_step(word, FW_ASSIGNED), FW_RUNNING);
        /* [task-word] seq_cst: as in task.c. */
    } while (!fw_cas_seq_cst(&task->word, &word, next));
    *begun = next;
    return FW_DUTY_RUN;
}

static inline fw_duty fw_task_finish(fw_task *task, fw_state *state, uint32_t begun, bool success)
{
    enum { SAME_RUN = FW_WORD_STATE | FW_WORD_RUN };
    /* Mostly nobody has touched the word since. */
    uint32_t word = begun;
    uint32_t next;
    do {
        if (FW_UNLIKELY((word & SAME_RUN) != (begun & SAME_RUN)))
            return FW_DUTY_DROP;
        next = fw_word_end(word, success);
        /* [task-word] seq_cst: as in task.c. */
    } while (!fw_cas_seq_cst(&task->word, &word, next));
    *state = (fw_state)(next & FW_WORD_STATE);
    return FW_DUTY_END;
}

#endif
