/* Every order of those who end one task: T2, T3 and T4 of engine/task.h, and who hands on the
 * references (engine/engine_priv.h): in the end exactly one retires them, after the task was
 * unlinked and when it was in no queue any more.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/task.h"

static fw_task task;
/* Written by whoever has the duty, between steps. */
static unsigned ends, retired;
static bool unlinked, queued, cancel_accepted;

static void begin(void)
{
    memset(&task, 0, sizeof task);
    fw_task_init(&task, FW_QUEUED);
    ends = retired = 0;
    unlinked = cancel_accepted = false;
    queued = true;
}

static void retire(unsigned references)
{
    fw_model_check(unlinked && !queued);
    retired += references;
    fw_model_check(retired <= FW_TASK_REFERENCES);
}

static void end_task(void)
{
    fw_model_check(ends == 0);
    ends++;
    fw_model_check(fw_state_is_terminal(fw_task_state(&task)));
    unlinked = true;
}

/* As fw_engine_end_unrun does. */
static void end_unrun(void)
{
    end_task();
    if (fw_task_part_unlinked(&task))
        retire(FW_TASK_REFERENCES);
}

/* As fw_engine_run_node does. */
static void run_it(bool success)
{
    uint32_t begun;
    fw_state state;
    queued = false;
    if (fw_task_begin(&task, &begun) != FW_DUTY_RUN) {
        if (fw_task_part_left(&task))
            retire(FW_TASK_REFERENCES);
        return;
    }
    if (fw_task_finish(&task, &state, begun, success) == FW_DUTY_END) {
        fw_model_check(state == FW_CANCELLED || state == (success ? FW_SUCCESS : FW_FAILURE));
        end_task();
        retire(FW_TASK_REFERENCES);
    } else {
        /* Whoever ended the run has the index's; these two are the thread's. */
        retired += 2;
    }
}

static void cancel_it(void)
{
    fw_state from;
    fw_duty duty = fw_task_cancel(&task, &from);
    if (duty == FW_DUTY_END_UNRUN)
        end_unrun();
}

static void stop_it(void)
{
    fw_state from;
    fw_duty duty = fw_task_settle(&task, false, &from);
    if (duty == FW_DUTY_END_UNRUN) {
        end_unrun();
    } else if (duty == FW_DUTY_END) {
        end_task();
        retired += 1;
    }
}

static void run(unsigned thread)
{
    if (thread == 0)
        run_it(true);
    else if (thread == 1)
        cancel_it();
    else
        stop_it();
}

static void end(void)
{
    fw_model_check(ends == 1 && retired == FW_TASK_REFERENCES);
    fw_model_check(fw_state_is_terminal(fw_task_state(&task)));
}

/* A run that passes its deadline and is followed by another, while its thread comes to its end. */
static void run_again(unsigned thread)
{
    uint32_t begun = 0;
    fw_state state = FW_UNKNOWN;
    if (thread == 0) {
        queued = false;
        if (fw_task_begin(&task, &begun) == FW_DUTY_RUN &&
            fw_task_finish(&task, &state, begun, true) == FW_DUTY_END)
            ends++;
        return;
    }
    if (fw_task_retry(&task, 0, 2) != FW_DUTY_WAIT)
        return;
    fw_model_check(fw_task_due(&task) == FW_DUTY_QUEUE);
    fw_model_check(fw_task_begin(&task, &begun) == FW_DUTY_RUN);
    fw_model_check(fw_task_run_of(begun) == 1);
    fw_model_check(fw_task_finish(&task, &state, begun, false) == FW_DUTY_END);
    fw_model_check(state == FW_FAILURE);
    ends++;
}

static void end_again(void)
{
    fw_model_check(ends == 1);
}

/* An accepted cancel: whoever is told LEAVE can rely on CANCELLED. */
static void run_cancel(unsigned thread)
{
    uint32_t begun;
    fw_state state;
    if (thread == 0) {
        if (fw_task_begin(&task, &begun) == FW_DUTY_RUN)
            fw_model_check(fw_task_finish(&task, &state, begun, true) == FW_DUTY_END);
        return;
    }
    if (fw_task_cancel(&task, &state) != FW_DUTY_DROP)
        cancel_accepted = true;
}

static void end_cancel(void)
{
    fw_model_check(fw_task_state(&task) == (cancel_accepted ? FW_CANCELLED : FW_SUCCESS));
}

int main(void)
{
    const fw_model models[] = {
        {"task: run, cancel and stop", 3, begin, run, end},
        {"task: a run past its deadline and the next", 2, begin, run_again, end_again},
        {"task: an accepted cancel", 2, begin, run_cancel, end_cancel},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 3);
}
