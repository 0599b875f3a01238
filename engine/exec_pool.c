/* engine/exec_pool.c - programs that stay: one JSON object a line in, one out.
 *
 *   {"id": ..., "ok": RESULT}   {"id": ..., "error": TEXT, "retry_ms": N}
 *   {"id": ..., "progress": [DONE, TOTAL, NOTE]}, any number of times before one of these
 *
 * The pool itself is children.h, with another kind of child. told-note: a program that was told by
 * SIGTERM that a run is over is on its way out; it is not used again, whatever it answers.
 * Covered by tests/engine/exec_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "engine/call.h"
#include "engine/exec_priv.h"

enum { ENVELOPE = 4096 /* bytes of an answer beside the result */ };
static const int64_t for_ever_ns = INT64_C(1) << 61;
static const int64_t end_limit_ns = FW_NS_PER_S / 2;
static const double retry_max_ms = 3.2e12;

/* The task is written to as well: it counts. */
static fw_exec_task *task_of(const void *plan)
{
    return (fw_exec_task *)(uintptr_t)plan;
}

static int start(fw_child *child, const void *plan)
{
    char why[128];
    fw_buffer room = {0};
    fw_exec_task *task = task_of(plan);
    fw_exec_streams streams = {-1, -1, -1, -1};
    const fw_call_input nothing = {.attempt = 0};
    *child = (fw_child){.fd = -1, .in = -1, .err = -1, .plan = plan, .process = {.pidfd = -1}};
    char **argv = fw_exec_make_argv(task, &room, &nothing, why, sizeof why);
    char **environment = fw_exec_make_environment(task, NULL);
    int rc = -FW_ENOMEM, error = ENOMEM;
    if (argv && environment) {
        rc = fw_exec_spawn(task, &child->process, &streams, argv, environment);
        error = errno;
    }
    child->in = streams.in;
    child->fd = streams.out;
    child->err = streams.err;
    if (rc < 0)
        fw_exec_note_exit(task, FW_EXEC_UNSTARTED);
    fw_buffer_fini(&room);
    free(argv);
    free(environment);
    errno = error;
    return rc;
}

static void release(fw_child *child)
{
    fw_exec_streams streams = {child->in, child->fd, child->err, -1};
    fw_exec_close(&streams);
    child->in = child->fd = child->err = -1;
}

static bool is_well(const fw_child *child)
{
    struct pollfd look[3] = {
        {child->fd, POLLIN, 0}, {child->process.pidfd, POLLIN, 0}, {child->in, 0, 0}};
    return poll(look, 3, 0) == 0;
}

static void ended(const fw_child *child, const fw_process_end *end)
{
    fw_exec_outcome outcome = fw_exec_classify(NULL, end);
    /* A kill of ours, because it did not end when its input did, is no sign of anything. */
    if (child->recycled || outcome == FW_EXEC_OOM)
        outcome = FW_EXEC_RECYCLED;
    fw_exec_note_exit(task_of(child->plan), outcome);
}

/* --- answers --- */

typedef enum said { SAID_PROGRESS, SAID_END, SAID_NONSENSE } said;

static bool is_about(fw_json object, const fw_call_input *input, char *room, size_t capacity)
{
    char id[FW_UUID_TEXT];
    fw_span text, own = fw_call_input_id(input, id);
    return fw_json_string(fw_json_get(object, "id"), room, capacity, &text) &&
           text.len == own.len && memcmp(text.ptr, own.ptr, own.len) == 0;
}

static void tell_progress(const fw_call_input *input, fw_json array)
{
    char text[256];
    fw_json value;
    double numbers[2] = {0, 0};
    fw_span note = {0};
    fw_json_cursor cursor = fw_json_open(array);
    for (int i = 0; i < 3 && fw_json_next(&cursor, &value); i++) {
        if (i < 2)
            (void)fw_json_double(value, &numbers[i]);
        else
            (void)fw_json_string(value, text, sizeof text, &note);
    }
    for (int i = 0; i < 2; i++) {
        if (!(numbers[i] >= 0 && numbers[i] < 1e18))
            return;
    }
    if (input->progress)
        (void)input->progress(input->progress_context, (uint64_t)numbers[0], (uint64_t)numbers[1],
                              note);
}

static said take_error(fw_exec_exchange *x, fw_json object, fw_json error, fw_call_output *output)
{
    double ms;
    fw_span text;
    char *room = malloc(error.text.len);
    if (!room || !fw_json_string(error, room, error.text.len, &text)) {
        free(room);
        return SAID_NONSENSE;
    }
    *output = (fw_call_output){.success = false};
    if (fw_json_double(fw_json_get(object, "retry_ms"), &ms) && ms >= 0 && ms < retry_max_ms) {
        output->again = FW_AGAIN_AFTER;
        output->again_ms = (int64_t)ms;
    }
    /* The text takes the place of the line that it was in. */
    x->text->len = 0;
    fw_buffer_add(x->text, text.ptr, text.len);
    free(room);
    output->error = (fw_span){x->text->len ? x->text->data : "", x->text->len};
    return SAID_END;
}

/* line: without its newline, in the exchange's text. */
static said take_answer(fw_exec_exchange *x, fw_span line, fw_call_output *output)
{
    char id[6 * FW_ID_MAX + 2], why[64];
    fw_json object = fw_json_parse(line);
    if (object.type != FW_JSON_OBJECT || !is_about(object, x->input, id, sizeof id))
        return SAID_NONSENSE;
    fw_json ok = fw_json_get(object, "ok"), error = fw_json_get(object, "error");
    fw_json progress = fw_json_get(object, "progress");
    if (progress.type == FW_JSON_ARRAY) {
        tell_progress(x->input, progress);
        return SAID_PROGRESS;
    }
    if (error.type == FW_JSON_STRING)
        return take_error(x, object, error, output);
    if (ok.type == FW_JSON_INVALID)
        return SAID_NONSENSE;
    *output = (fw_call_output){.success = true, .result = ok.text};
    if (ok.text.len > x->task->plan.result_max) {
        snprintf(why, sizeof why, "%zu bytes (result-max)", x->task->plan.result_max);
        fw_exec_fail(x, output, "the result is more than ", why);
    }
    return SAID_END;
}

/* --- the end of a process --- */

static fw_child_fate bury(fw_exec_exchange *x, fw_exec_moved moved, bool began,
                          fw_call_output *output)
{
    char why[FW_EXEC_LINE_MAX + 256];
    fw_process_end end;
    /* One that ends closes its pipes a moment before. */
    if (moved == FW_EXEC_CLOSED && fw_process_wait(x->process, &end, end_limit_ns)) {
        fw_exec_finish_err(x);
        moved = FW_EXEC_ENDED;
    } else {
        fw_exec_bury(x, moved != FW_EXEC_ENDED, &end);
    }
    fw_exec_outcome outcome = fw_exec_classify(x, &end);
    fw_child_fate fate = FW_CHILD_KILLED;
    if (x->kill_ns != 0) {
        fw_exec_fail(x, output, x->cancelled ? "task was cancelled" : "task passed its deadline",
                     moved == FW_EXEC_OVERDUE ? ", did not listen and was killed"
                                              : " and its process ended");
    } else if (moved == FW_EXEC_TOO_LONG) {
        outcome = FW_EXEC_TOO_BIG;
        snprintf(why, sizeof why, "%zu bytes (result-max)", x->task->plan.result_max);
        fw_exec_fail(x, output, "the answer is more than ", why);
    } else if (moved == FW_EXEC_LINE) {
        outcome = FW_EXEC_NONSENSE;
        snprintf(why, sizeof why, "%.200s", x->text->data);
        fw_exec_fail(x, output, "the program wrote what is not an answer: ", why);
    } else if (moved == FW_EXEC_CLOSED) {
        outcome = FW_EXEC_NONSENSE;
        fw_exec_fail(x, output, "the program closed its standard input or output", "");
    } else if (moved == FW_EXEC_ENDED) {
        outcome = outcome == FW_EXEC_RETRY ? FW_EXEC_ERROR : outcome;
        fw_exec_describe(why, sizeof why, x, &end);
        fw_exec_fail(x, output, "the program ended: ", why);
        output->crashed = began;
        fate = began ? FW_CHILD_CRASHED : FW_CHILD_UNUSED;
    } else {
        fw_exec_fail(x, output, "out of memory for the answer of the program", "");
    }
    fw_exec_note_exit(x->task, outcome);
    return fate;
}

static bool is_too_large(const fw_child *child, int64_t limit_bytes)
{
    char path[64];
    long pages = 0;
    if (limit_bytes == 0)
        return false;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)child->process.pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool known = fscanf(file, "%*s %ld", &pages) == 1;
    fclose(file);
    return known && (int64_t)pages * sysconf(_SC_PAGESIZE) > limit_bytes;
}

/* It answered. What it has written beyond, and what it has become, decide whether it stays. */
static fw_child_fate keep(fw_child *child, fw_exec_exchange *x, bool more)
{
    fw_exec_finish_err(x);
    child->calls++;
    if (more || x->kill_ns != 0 || is_too_large(child, x->task->plan.recycle_rss))
        child->calls = UINT64_MAX;
    return FW_CHILD_KEEP;
}

static fw_child_fate call(fw_child *child, fw_buffer *text, fw_call_output *output,
                          const fw_call_input *input, int64_t grace_ns)
{
    (void)grace_ns;
    fw_exec_task *task = task_of(child->plan);
    fw_exec_streams streams = {child->in, child->fd, child->err, -1};
    fw_buffer request = {0};
    fw_exec_exchange x = {.task = task,
                          .process = &child->process,
                          .streams = &streams,
                          .input = input,
                          .lines = true,
                          .text = text,
                          .out_max = task->plan.result_max + ENVELOPE};
    fw_child_fate fate = FW_CHILD_FATES;
    text->len = 0;
    if (!fw_exec_write_request(&request, input)) {
        fw_exec_fail(&x, output, "out of memory", "");
        fate = FW_CHILD_KEEP;
    }
    x.send = request.data;
    x.send_left = request.len;
    while (fate == FW_CHILD_FATES) {
        bool there = text->len > 0 && memchr(text->data, '\n', text->len);
        fw_exec_moved moved = there ? FW_EXEC_LINE : fw_exec_move(&x);
        bool began = x.send != request.data;
        if (moved != FW_EXEC_LINE) {
            fate = bury(&x, moved, began, output);
            break;
        }
        size_t len = (size_t)((char *)memchr(text->data, '\n', text->len) - text->data);
        size_t left = text->len - len - 1;
        text->data[len] = '\0';
        said s =
            x.send_left > 0 ? SAID_NONSENSE : take_answer(&x, (fw_span){text->data, len}, output);
        if (s == SAID_END)
            fate = keep(child, &x, left > 0);
        else if (s == SAID_NONSENSE)
            fate = bury(&x, moved, began, output);
        else
            memmove(text->data, text->data + len + 1, left);
        if (s == SAID_PROGRESS) {
            text->len = left;
            x.looked = 0;
        }
    }
    child->in = streams.in;
    child->fd = streams.out;
    child->err = streams.err;
    if (fate != FW_CHILD_KEEP)
        release(child);
    fw_buffer_fini(&request);
    return fate;
}

static const fw_child_kind programs = {
    .what = "process of the program",
    .crash_event = "exec.crash",
    .kill_event = "exec.kill",
    .start = start,
    .release = release,
    .is_well = is_well,
    .call = call,
    .ended = ended,
};

int fw_exec_pool_start(fw_exec_task *task, unsigned threads)
{
    fw_children_config config = {
        .threads = threads,
        .kind = &programs,
        .plan = task,
        .count_max = task->plan.pool_size,
        .grace_ns = task->plan.grace_ns,
        .idle_ns = for_ever_ns,
        .calls_max = task->plan.recycle_tasks ? task->plan.recycle_tasks : UINT64_MAX,
    };
    return fw_children_create(&task->pool, &config);
}
