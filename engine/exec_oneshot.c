/* engine/exec_oneshot.c - a process for one run, and what the ends of programs mean.
 *
 * The task thread starts it itself: it lives longer than the run, which it waits for.
 * Covered by tests/engine/exec_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "engine/exec_priv.h"

static const int64_t kill_limit_ns = FW_NS_PER_S;

/* --- ends --- */

void fw_exec_bury(fw_exec_exchange *x, bool kill, fw_process_end *end)
{
    *end = (fw_process_end){.status = -1};
    if (kill)
        fw_process_kill(x->process);
    /* A kernel that cannot end it now, because it waits for a disk, keeps no task thread. */
    (void)fw_process_wait(x->process, end, kill_limit_ns);
    fw_exec_finish_err(x);
}

fw_exec_outcome fw_exec_classify(const fw_exec_exchange *x, const fw_process_end *end)
{
    if (x && x->kill_ns != 0)
        return x->cancelled ? FW_EXEC_CANCELLED : FW_EXEC_TIMEOUT;
    if (end->status == -1)
        return FW_EXEC_ERROR;
    if (WIFSIGNALED(end->status))
        return WTERMSIG(end->status) == SIGKILL ? FW_EXEC_OOM : FW_EXEC_SIGNAL;
    if (WEXITSTATUS(end->status) == 0)
        return FW_EXEC_OK;
    return WEXITSTATUS(end->status) == FW_EXEC_TEMPORARY ? FW_EXEC_RETRY : FW_EXEC_ERROR;
}

void fw_exec_fail(fw_exec_exchange *x, fw_call_output *output, const char *first,
                  const char *second)
{
    static const char no_memory[] = "out of memory";
    x->text->len = 0;
    fw_buffer_text(x->text, first);
    fw_buffer_text(x->text, second);
    *output = (fw_call_output){.error = {x->text->data, x->text->len}};
    if (x->text->failed)
        output->error = (fw_span){no_memory, sizeof no_memory - 1};
}

/* The program's own words where it has any; of a signal, what is known. */
void fw_exec_describe(char *out, size_t capacity, const fw_exec_exchange *x,
                      const fw_process_end *end)
{
    bool by_signal = end->status != -1 && WIFSIGNALED(end->status);
    if (x->last_len > 0 && !by_signal) {
        snprintf(out, capacity, "%.*s", (int)x->last_len, x->last);
        return;
    }
    size_t len = fw_process_describe(out, capacity, end);
    if (by_signal)
        snprintf(out + len, capacity - len, "%s; max RSS %s%.1f MiB%s%.*s",
                 WTERMSIG(end->status) == SIGKILL ? ", perhaps for lack of memory" : "",
                 end->rss_known ? "" : "below ", (double)end->rss_max_bytes / (1 << 20),
                 x->last_len ? ": " : "", (int)x->last_len, x->last);
}

/* --- one run --- */

static fw_span trim(fw_span text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

/* What it wrote is the result: JSON where it is and may be, otherwise a string. */
static void take_result(fw_exec_exchange *x, fw_exec_thread *thread, fw_call_output *output)
{
    fw_exec_output kind = x->task->plan.output;
    fw_span text = trim((fw_span){x->text->len ? x->text->data : "", x->text->len});
    *output = (fw_call_output){.success = true, .result = text};
    if (kind != FW_EXEC_TEXT && text.len == 0)
        return;
    if (kind != FW_EXEC_TEXT && fw_json_parse(text).type != FW_JSON_INVALID)
        return;
    if (kind == FW_EXEC_JSON) {
        fw_exec_fail(x, output, "what the program wrote is not JSON", "");
        return;
    }
    thread->words.len = 0;
    fw_buffer_json_string(&thread->words, text);
    output->result = (fw_span){thread->words.data, thread->words.len};
    if (thread->words.failed)
        fw_exec_fail(x, output, "out of memory", "");
}

/* Told in milliseconds, because whoever decides may not have our terms. */
static int64_t delay_of(const fw_exec_plan *plan, int attempt)
{
    double wait_s = plan->retry_delay_s * pow(plan->retry_backoff, attempt > 1 ? attempt - 1 : 0);
    if (!(wait_s < plan->retry_backoff_max_s))
        wait_s = plan->retry_backoff_max_s;
    return (int64_t)(wait_s * 1e3);
}

static void tell_end(fw_exec_exchange *x, fw_exec_thread *thread, fw_exec_moved moved,
                     fw_call_output *output)
{
    char why[FW_EXEC_LINE_MAX + 256];
    fw_process_end end;
    fw_exec_bury(x, moved != FW_EXEC_ENDED, &end);
    fw_exec_outcome outcome = fw_exec_classify(x, &end);
    if (moved == FW_EXEC_TOO_LONG) {
        outcome = FW_EXEC_TOO_BIG;
        snprintf(why, sizeof why, "%zu bytes (result-max)", x->task->plan.result_max);
        fw_exec_fail(x, output, "what the program wrote is more than ", why);
    } else if (moved == FW_EXEC_NO_MEMORY) {
        fw_exec_fail(x, output, "out of memory for what the program wrote", "");
    } else if (x->kill_ns != 0) {
        fw_exec_fail(x, output, x->cancelled ? "task was cancelled" : "task passed its deadline",
                     moved == FW_EXEC_OVERDUE ? ", did not listen and was killed"
                                              : " and its process ended");
    } else if (outcome == FW_EXEC_OK) {
        take_result(x, thread, output);
    } else {
        fw_exec_describe(why, sizeof why, x, &end);
        fw_exec_fail(x, output, why, "");
        output->crashed = outcome == FW_EXEC_SIGNAL || outcome == FW_EXEC_OOM;
        if (outcome == FW_EXEC_RETRY) {
            output->again = FW_AGAIN_AFTER;
            output->again_ms = delay_of(&x->task->plan, x->input->attempt);
        }
    }
    fw_exec_note_exit(x->task, outcome);
}

static bool is_over(const fw_call_input *input)
{
    return (input->cancelled && input->cancelled(input->cancelled_context)) ||
           (input->deadline_ns != 0 && fw_now_ns() >= input->deadline_ns);
}

void fw_exec_run_once(fw_exec_task *task, fw_exec_thread *thread, const fw_call_input *input,
                      fw_call_output *output)
{
    char why[256];
    fw_process process;
    fw_exec_streams streams;
    fw_exec_exchange x = {.task = task,
                          .process = &process,
                          .streams = &streams,
                          .input = input,
                          .text = &thread->text,
                          .out_max = task->plan.result_max};
    if (is_over(input)) {
        fw_exec_fail(&x, output, "the task's time was over before it began", "");
        return;
    }
    char **argv = fw_exec_make_argv(task, &thread->words, input, why, sizeof why);
    char **environment = fw_exec_make_environment(task, input);
    if (!argv) {
        fw_exec_fail(&x, output, why, "");
        output->again = FW_AGAIN_NEVER;
    } else if (!environment || !fw_exec_write_request(&thread->request, input)) {
        fw_exec_fail(&x, output, "out of memory", "");
    } else if (fw_exec_spawn(task, &process, &streams, argv, environment) < 0) {
        snprintf(why, sizeof why, "cannot start %.128s: %s", argv[0], strerrordesc_np(errno));
        fw_exec_fail(&x, output, why, "");
        fw_exec_note_exit(task, FW_EXEC_UNSTARTED);
    } else {
        x.send = thread->request.data;
        x.send_left = thread->request.len;
        tell_end(&x, thread, fw_exec_move(&x), output);
        fw_exec_close(&streams);
    }
    free(argv);
    free(environment);
}
