/* app/life/running.c - a run of a task in this process, what is kept of a run until its end is
 * told, and whether another one follows.
 *
 * On a task thread, or on whatever thread hears how a run elsewhere ended. Covered by
 * tests/app/life_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/compose/compose.h"
#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "app/life/retry.h"

#include <limits.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"

_Thread_local fw_last_run fw_my_run;

static int cancel_requested(const void *context)
{
    return fw_task_cancel_requested(context);
}

typedef struct teller {
    fw_lifecycle *life;
    fw_task *task;
} teller;

static int tell_progress(void *context, uint64_t done, uint64_t total, fw_span note)
{
    const teller *t = context;
    return fw_notes_progress(t->life, t->task, done, total, note);
}

static const fw_name *name_of(const fw_lifecycle *life, const fw_task *task)
{
    return fw_names_at(life->names, task->name);
}

/* To the control plane, at once: should this run take everything here with it, it counts
 * (loss-note in app/workers/work.c). */
static void tell_begun(fw_lifecycle *life, fw_task *task)
{
    fw_reply_to first = fw_record_first(task);
    fw_net_answer_result(life->net, &first, &(fw_result_view){.status = FW_RUNNING});
    fw_net_flush(life->net);
}

fw_run fw_lifecycle_run(void *context, fw_task *task, unsigned thread)
{
    fw_lifecycle *life = context;
    char buffer[FW_UUID_TEXT];
    const fw_name *name = name_of(life, task);
    teller mine = {life, task};
    fw_call_input input = {
        .id = fw_record_of(task)->has_id ? fw_record_id(task, buffer) : (fw_span){0},
        .key = task->key,
        .name = fw_name_text(name),
        .args = fw_record_args(task),
        .kwargs = fw_record_kwargs(task),
        .attempt = fw_load_relaxed(&task->attempt),
        .deadline_ns = task->timeout_ns > 0
                           ? fw_engine_started_ns(life->engine, thread) + task->timeout_ns
                           : 0,
        .cancelled = cancel_requested,
        .cancelled_context = task,
        .options = fw_record_options(task),
        .progress = tell_progress,
        .progress_context = &mine,
        .thread = thread,
    };
    fw_my_run.thread = thread;
    fw_my_run.ran_ns = 0;
    fw_my_run.crash = false;
    fw_run_counts_add(life->counts, name->index, task->level, FW_COUNT_STARTED, 1, thread);
    FW_ASSERT(name->entry);
    if (FW_UNLIKELY(fw_record_of(task)->composed))
        fw_compose_begun(life, task);
    if (fw_is_heard(life))
        fw_post_started(life, task, input.attempt, NULL);
    fw_record *record = fw_record_of(task);
    if (FW_UNLIKELY(record->isolate) && record->form == FW_REPLY_LEASE)
        tell_begun(life, task);
    const fw_task_policy *policy = fw_name_policy(name);
    /* Relaxed: it had lost workers before this run began. */
    bool asked =
        record->isolate || (policy && policy->isolate) || fw_load_relaxed(&record->losses) > 0;
    fw_isolation_call(&life->isolation, life->modules, name->entry, &input, asked,
                      &fw_my_run.output);
    fw_my_run.crash = fw_my_run.output.crashed;
    /* Who is woken by the deadline may be back before the timer thread says that it has passed. */
    fw_my_run.late = !fw_my_run.output.success && !fw_my_run.crash && input.deadline_ns != 0 &&
                     fw_now_ns() >= input.deadline_ns;
    return fw_my_run.output.success ? FW_RUN_SUCCESS : FW_RUN_FAILURE;
}

void fw_lifecycle_note_result(const fw_result_view *view, int64_t ran_ns)
{
    fw_my_run.output = (fw_call_output){
        .success = view->status == FW_SUCCESS, .result = view->result, .error = view->error};
    fw_my_run.ran_ns = ran_ns > 0 ? ran_ns : 0;
    fw_my_run.thread = UINT_MAX;
    fw_my_run.crash = view->crashed;
    fw_my_run.late = false;
    if (FW_UNLIKELY(view->again_ns != 0)) {
        fw_my_run.output.again = view->again_ns < 0 ? FW_AGAIN_NEVER : FW_AGAIN_AFTER;
        fw_my_run.output.again_ms = view->again_ns < 0 ? 0 : view->again_ns / FW_NS_PER_MS;
    }
}

/* What a subworker's run wants to follow, for who decides about it. */
int64_t fw_my_run_again_ns(void)
{
    if (fw_my_run.output.success || fw_my_run.output.again == FW_AGAIN_USUAL)
        return 0;
    if (fw_my_run.output.again == FW_AGAIN_NEVER)
        return -1;
    /* 0 is taken. */
    return fw_my_run.output.again_ms < INT64_MAX / FW_NS_PER_MS
               ? fw_my_run.output.again_ms * FW_NS_PER_MS + 1
               : INT64_MAX;
}

/* A crash in isolation of a task that had lost a worker before is another loss
 * (app/workers/work.c). The claim of its lease makes us the only one who writes. => false: it is an
 * end like others. */
static bool is_loss(fw_task *task, int why)
{
    fw_atomic(uint8_t) *losses = &fw_record_of(task)->losses;
    /* Relaxed: one writer at a time. */
    uint8_t before = fw_load_relaxed(losses);
    if (why != FW_ENDED_BY_RUN || !fw_my_run.crash || before == 0)
        return false;
    if (before < FW_LOSSES_COUNTED)
        fw_store_relaxed(losses, (uint8_t)(before + 1));
    return true;
}

/* A lost worker is nobody's failure, and too many of them are the end. */
/* "Task timed out after 0.2s", seconds as Python prints a float. */
fw_span fw_timeout_text(const fw_task *task, char *out, size_t capacity)
{
    fw_buffer number = {0};
    fw_buffer_json_double(&number, (double)task->timeout_ns / 1e9);
    int len = snprintf(out, capacity, "Task timed out after %.*ss", (int)number.len,
                       number.data ? number.data : "");
    fw_buffer_fini(&number);
    return (fw_span){out, (size_t)len};
}

/* run: on this thread, or for the worker that this thread speaks for. */
static void note_failure(fw_task *task, unsigned attempt, fw_span error, bool run)
{
    const char *worker = run ? fw_post_whose() : NULL;
    const fw_failed_run failed = {.attempt = attempt,
                                  .error = error,
                                  .worker = worker,
                                  .thread = run && !worker ? fw_my_run.thread : UINT_MAX,
                                  /* Relaxed: changed between runs only. */
                                  .began_wall_ns = fw_load_relaxed(&task->started_wall_ns),
                                  .ended_wall_ns = fw_wall_ns()};
    fw_notes_failed(task, &failed);
}

int64_t fw_lifecycle_again(void *context, fw_task *task, int why)
{
    fw_lifecycle *life = context;
    char text[96];
    bool run = why == FW_ENDED_BY_RUN, loss = is_loss(task, why);
    int64_t due_ns = 0;
    if (!loss)
        due_ns = fw_retry_due_ns(life, task, run ? &fw_my_run.output : NULL);
    /* Relaxed: as there. */
    else if (fw_load_relaxed(&fw_record_of(task)->losses) < life->losses_max)
        due_ns = fw_now_ns() + 1;
    /* Whatever was to follow, it will not. */
    if (fw_task_cancel_requested(task))
        due_ns = 0;
    /* Relaxed: changed between runs only. One that fails in its only run leaves no notes. */
    unsigned attempt = fw_load_relaxed(&task->attempt);
    fw_span error =
        run && !fw_my_run.late ? fw_my_run.output.error : fw_timeout_text(task, text, sizeof text);
    if (due_ns != 0 || attempt > 1)
        note_failure(task, attempt, error, run);
    if (due_ns != 0 && fw_is_heard(life))
        fw_post_retried(life, task, error, due_ns - fw_now_ns());
    return due_ns;
}
