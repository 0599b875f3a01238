/* fastworker/test.h - trying tasks in a program of one's own, as a test does.
 *
 *     fw_test *t; const fw_test_outcome *o;
 *     if (fw_test_open(&t, FW_TEST(.task_modules = "./mytasks.so")) < 0) return 1;
 *     assert(fw_test_call(t, "add", "[5, 3]", NULL, &o) == 0);
 *     assert(o->state == FW_SUCCESS && o->result.len == 1 && o->result.ptr[0] == '8');
 *     fw_test_close(t);
 *
 * What runs a task here is what runs it in a control plane: the same loading of modules, the same
 * reading of arguments, queue, threads, retries, time limits, hooks and storing of results. What is
 * missing is the network. Link libfastworker-test.
 *
 * TIME       Nobody waits for a time to come: when all that is left to do is to wait, the clock is
 * moved to the next time at which something happens. It stands ahead of the machine's from then on,
 * for the whole process (docs/decisions/0022-clock.md). While a task runs it goes as it always
 * does, so time limits are real. Delays of 5 hours take a few milliseconds.
 * OWNERSHIP  what is handed in is copied or used before the call returns, but for `module`; an
 * outcome is borrowed until the next call with the same fw_test, or its close.
 * THREADS    a fw_test is used by one thread at a time. Tasks run on threads of their own.
 * ERRORS     0 or -FW_E...; fw_test_errmsg has the sentence. What keeps fw_test_open from its work
 * is told on standard error as well. FASTWORKER_* variables count, as they do for a control plane.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FASTWORKER_TEST_H
#define FASTWORKER_TEST_H

#include "fastworker/module.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fw_test fw_test;

/* Zero or NULL: the default. */
typedef struct fw_test_options {
    size_t size;              /* sizeof(fw_test_options) */
    const char *task_modules; /* as --task-modules has them: files or names */
    const fw_module *module;  /* one that is part of the program; outlives the fw_test */
    /* More flags of `fastworker control-plane`, each "--name=value"; NULL-ended. */
    const char *const *flags;
    int real_time;    /* 1: the clock is left alone, and waiting takes its time */
    int schedules;    /* 1: what has .cron or .every_ms runs, too */
    int64_t limit_ms; /* real time that one call may take; 0: 60000 */
} fw_test_options;
#define FW_TEST(...) (&(const fw_test_options){.size = sizeof(fw_test_options), __VA_ARGS__})

/* -FW_EINVAL: a module or a setting is not as it should be. */
FW_API int fw_test_open(fw_test **out, const fw_test_options *options) FW_MUST;
/* Waits for a task that still runs. NULL is accepted. */
FW_API void fw_test_close(fw_test *t);

/* One run of the task. Times are nanoseconds since it was submitted. */
typedef struct fw_test_attempt {
    int number; /* 1, 2, ... */
    int64_t started_ns, ended_ns;
    const char *error; /* NULL: it succeeded */
    int64_t wait_ns;   /* until the next one may begin; 0: none follows */
} fw_test_attempt;

/* One call of fw_progress. */
typedef struct fw_test_note {
    int attempt;
    int64_t at_ns;
    uint64_t done, total;
    const char *note; /* "": none */
} fw_test_note;

typedef struct fw_test_outcome {
    fw_state state; /* FW_SUCCESS, FW_FAILURE or FW_CANCELLED */
    const char *id;
    fw_span result;    /* JSON; "null" when there is none */
    const char *error; /* NULL: none */
    int64_t ended_ns;
    const fw_test_attempt *attempts; /* none: its id had ended before, or it was never started */
    size_t attempt_count;
    const fw_test_note *notes;
    size_t note_count;
} fw_test_outcome;

/* Submits a task and waits for its end, whichever it is: 0. args: a JSON array, or NULL. more: a
 * JSON object with any other members of POST /api/v1/tasks (docs/HTTP.md), or NULL:
 * "{\"kwargs\": {\"x\": 5}, \"max_retries\": 5, \"countdown\": \"2h\", \"timeout\": 1.5}".
 * -FW_EINVAL: not such JSON, or options that do not agree; -FW_EFULL: refused by a limit, or by
 * a unique key; -FW_ETIME: it is not over, and goes on. */
FW_API int fw_test_call(fw_test *t, const char *task, const char *args, const char *more,
                        const fw_test_outcome **out) FW_MUST;
/* Time passes: what falls due by then happens at its time, one after the other, and is over when
 * this returns. -FW_ETIME: something runs longer than limit_ms. */
FW_API int fw_test_advance(fw_test *t, int64_t ms);
/* Milliseconds since fw_test_open, as tasks see it. */
FW_API int64_t fw_test_now_ms(const fw_test *t);
/* How many runs of that task have begun since fw_test_open, for whatever reason. */
FW_API uint64_t fw_test_runs(const fw_test *t, const char *task);
/* What went wrong last. Borrowed until the next call with the same fw_test. */
FW_API const char *fw_test_errmsg(const fw_test *t);

#ifdef __cplusplus
}
#endif
#endif
