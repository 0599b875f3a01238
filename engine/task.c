/* engine/task.c - transitions of the state word.
 *
 * Every transition is one compare and swap whose new word is made by fw_word_step from the old one,
 * so that a move that is not listed cannot be written down (it is asserted in check builds, and
 * tests/engine/task_test.c walks all 81 pairs and all transitions from all states).
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/task.h"

#include "base/assert.h"

#define REFERENCES_MAX (UINT32_MAX / FW_WORD_REFERENCE)

#define TO(state) (1u << (state))
static const uint16_t moves[FW_UNKNOWN] = {
    [FW_PENDING] = TO(FW_QUEUED) | TO(FW_SCHEDULED),
    [FW_SCHEDULED] = TO(FW_QUEUED) | TO(FW_CANCELLED),
    [FW_QUEUED] = TO(FW_ASSIGNED) | TO(FW_CANCELLED),
    /* Back to queued when a worker is lost. */
    [FW_ASSIGNED] = TO(FW_RUNNING) | TO(FW_CANCELLED) | TO(FW_QUEUED),
    [FW_RUNNING] = TO(FW_SUCCESS) | TO(FW_FAILURE) | TO(FW_CANCELLED),
    [FW_FAILURE] = TO(FW_RETRYING),
    [FW_RETRYING] = TO(FW_QUEUED) | TO(FW_CANCELLED),
};

bool fw_task_may(fw_state from, fw_state to)
{
    return from < FW_UNKNOWN && to < FW_UNKNOWN && (moves[from] & TO(to));
}

static fw_state state_of(uint32_t word)
{
    return (fw_state)(word & FW_WORD_STATE);
}

static uint32_t step_to_running(uint32_t word)
{
    if (state_of(word) == FW_SCHEDULED || state_of(word) == FW_RETRYING)
        word = fw_word_step(word, FW_QUEUED);
    if (state_of(word) == FW_QUEUED)
        word = fw_word_step(word, FW_ASSIGNED);
    return state_of(word) == FW_RUNNING ? word : fw_word_step(word, FW_RUNNING);
}

static uint32_t look(const fw_task *task)
{
    /* [task-word] seq_cst: what the last transition's maker wrote before it. */
    return fw_load_seq_cst(&task->word);
}

static bool change(fw_task *task, uint32_t *word, uint32_t next)
{
    /* [task-word] seq_cst: hands on what was written, takes over what others wrote before. */
    return fw_cas_seq_cst(&task->word, word, next);
}

void fw_task_init(fw_task *task, fw_state to)
{
    /* Relaxed: nobody else sees the task yet; the index publishes it. The run goes by the attempt
     * (fw_engine_complete_attempt). */
    unsigned attempt = fw_load_relaxed(&task->attempt);
    unsigned run = attempt > 0 ? (attempt - 1) % FW_RUNS : 0;
    fw_store_relaxed(&task->word, fw_word_step(FW_PENDING | run << FW_WORD_RUN_SHIFT |
                                                   FW_TASK_REFERENCES * FW_WORD_REFERENCE,
                                               to));
}

bool fw_task_move(fw_task *task, fw_state to)
{
    uint32_t word = look(task);
    do {
        if (!fw_task_may(state_of(word), to))
            return false;
    } while (!change(task, &word, fw_word_step(word, to)));
    return true;
}

static bool runs(uint32_t word, unsigned run)
{
    FW_ASSERT(run < FW_RUNS);
    return state_of(word) == FW_RUNNING && fw_task_run_of(word) == run;
}

fw_duty fw_task_end_run(fw_task *task, unsigned run, bool success)
{
    uint32_t word = look(task);
    do {
        if (!runs(word, run))
            return FW_DUTY_DROP;
    } while (!change(task, &word, fw_word_end(word, success)));
    return FW_DUTY_END;
}

static uint32_t count_run(uint32_t word)
{
    uint32_t next_run = (word + (1u << FW_WORD_RUN_SHIFT)) & FW_WORD_RUN;
    return (word & ~(uint32_t)FW_WORD_RUN) | next_run;
}

fw_duty fw_task_retry(fw_task *task, unsigned run, unsigned references)
{
    uint32_t word = look(task);
    uint32_t next;
    do {
        if (!runs(word, run) || (word & FW_WORD_CANCEL))
            return FW_DUTY_DROP;
        next = fw_word_step(fw_word_end(word, false), FW_RETRYING);
        next = count_run(next) + references * FW_WORD_REFERENCE;
    } while (!change(task, &word, next));
    return FW_DUTY_WAIT;
}

fw_duty fw_task_requeue(fw_task *task, unsigned run, bool lost)
{
    uint32_t word = look(task);
    uint32_t next;
    do {
        if (!runs(word, run) || (word & FW_WORD_CANCEL))
            return FW_DUTY_DROP;
        next = fw_word_step(fw_word_step(fw_word_end(word, false), FW_RETRYING), FW_QUEUED);
        next = lost ? count_run(next) : next;
    } while (!change(task, &word, next));
    return FW_DUTY_QUEUE;
}

fw_duty fw_task_due(fw_task *task)
{
    uint32_t word = look(task);
    do {
        if (state_of(word) != FW_SCHEDULED && state_of(word) != FW_RETRYING)
            return FW_DUTY_DROP;
    } while (!change(task, &word, fw_word_step(word, FW_QUEUED)));
    return FW_DUTY_QUEUE;
}

fw_duty fw_task_cancel(fw_task *task, fw_state *from)
{
    uint32_t word = look(task);
    uint32_t next;
    do {
        *from = state_of(word);
        if (fw_state_is_terminal(*from))
            return FW_DUTY_DROP;
        next = *from == FW_RUNNING ? word | FW_WORD_CANCEL : fw_word_step(word, FW_CANCELLED);
    } while (!change(task, &word, next));
    return *from == FW_RUNNING ? FW_DUTY_LEAVE : FW_DUTY_END_UNRUN;
}

fw_duty fw_task_withdraw(fw_task *task, fw_state to, fw_state *from)
{
    uint32_t word = look(task);
    uint32_t next;
    FW_ASSERT(to == FW_CANCELLED || to == FW_FAILURE);
    do {
        *from = state_of(word);
        if (fw_state_is_terminal(*from) || *from == FW_RUNNING)
            return FW_DUTY_DROP;
        next =
            to == FW_CANCELLED ? fw_word_step(word, to) : fw_word_end(step_to_running(word), false);
    } while (!change(task, &word, next));
    return FW_DUTY_END_UNRUN;
}

fw_duty fw_task_settle(fw_task *task, bool success, fw_state *from)
{
    uint32_t word = look(task);
    uint32_t next;
    do {
        *from = state_of(word);
        if (fw_state_is_terminal(*from))
            return FW_DUTY_DROP;
        next = fw_word_end(step_to_running(word), success);
    } while (!change(task, &word, next));
    return *from == FW_RUNNING ? FW_DUTY_END : FW_DUTY_END_UNRUN;
}

bool fw_task_runs(const fw_task *task, unsigned run)
{
    return runs(look(task), run);
}

unsigned fw_task_references(const fw_task *task)
{
    return look(task) / FW_WORD_REFERENCE;
}

bool fw_task_give_back(fw_task *task, unsigned references)
{
    /* [task-word] acq_rel: my use of the task is over before the last owner reclaims it. */
    uint32_t word = fw_sub_acq_rel(&task->word, references * FW_WORD_REFERENCE);
    FW_ASSERT(word / FW_WORD_REFERENCE >= references);
    return word / FW_WORD_REFERENCE == references;
}

bool fw_task_part_unlinked(fw_task *task)
{
    /* [task-word] acq_rel: the task is unlinked; and out of the queue, if the other was here. */
    uint32_t word = fw_or_acq_rel(&task->word, FW_WORD_UNLINKED);
    FW_ASSERT(!(word & FW_WORD_UNLINKED) && fw_state_is_terminal(state_of(word)));
    return word & FW_WORD_LEFT;
}

bool fw_task_part_left(fw_task *task)
{
    /* [task-word] acq_rel: the task is out of the queue; and unlinked, if the other was here. */
    uint32_t word = fw_or_acq_rel(&task->word, FW_WORD_LEFT);
    FW_ASSERT(!(word & FW_WORD_LEFT) && fw_state_is_terminal(state_of(word)));
    return word & FW_WORD_UNLINKED;
}

void fw_task_retain(fw_task *task)
{
    /* Relaxed: the caller has a reference or a read section already. */
    uint32_t word = fw_add_relaxed(&task->word, FW_WORD_REFERENCE);
    FW_ASSERT(word / FW_WORD_REFERENCE > 0 && word / FW_WORD_REFERENCE < REFERENCES_MAX);
}

fw_state fw_task_state(const fw_task *task)
{
    return state_of(look(task));
}

bool fw_task_cancel_requested(const fw_task *task)
{
    uint32_t word = look(task);
    return (word & FW_WORD_CANCEL) || fw_state_is_terminal(state_of(word));
}
