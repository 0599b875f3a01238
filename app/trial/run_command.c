/* app/trial/run_command.c - see app/trial/run_command.h. Covered by tests/app/trial_test.py.
 *
 * The task's flags are those of `submit`; what is about the place where it runs comes from the
 * settings, as for a control plane. SPDX-License-Identifier: Apache-2.0 */
#include "app/trial/run_command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/output.h"
#include "app/commands/submit.h"
#include "app/trial/run_report.h"
#include "app/trial/trial.h"
#include "base/clock.h"

static const fw_option own[] = {
    {.name = "task-modules",
     .kind = FW_OPTION_MANY,
     .value = "M...",
     .meaning = "modules: names or paths (FASTWORKER_TASK_MODULES)"},
    {.name = "module-path",
     .kind = FW_OPTION_VALUE,
     .value = "DIRS",
     .meaning = "where names are looked for"},
    {.name = "config",
     .kind = FW_OPTION_VALUE,
     .value = "FILE",
     .meaning = "with [task] sections: limits, retries, programs"},
    {.name = "isolate",
     .kind = FW_OPTION_VALUE,
     .value = "WORD",
     .meaning = "marked, all or off: in a process of its own (marked)"},
    {.name = "threads", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "task threads (1)"},
    {.name = "wait",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "how long it may take in all, in real time (no limit)"},
    {.name = "real-time",
     .kind = FW_OPTION_FLAG,
     .meaning = "wait for countdowns and retries; else the clock is moved to them"},
    {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object, with all runs"},
    {.name = "quiet", .letter = 'q', .kind = FW_OPTION_FLAG, .meaning = "only the result"},
};
enum { OWN = sizeof own / sizeof own[0], ALL = OWN + FW_SUBMIT_FLAGS, WORDS = 8 };

/* Of `submit`, what describes the task and makes sense alone. */
static size_t take_flags(fw_option all[ALL])
{
    static const char *const kept[] = {
        "task-name", "args",        "json-args",  "kwargs", "priority", "countdown", "eta",
        "timeout",   "max-retries", "result-ttl", "id",     "options",  "expires",   "key"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        for (size_t j = 0; j < FW_SUBMIT_FLAGS; j++)
            if (strcmp(fw_submit_flags[j].name, kept[i]) == 0)
                all[count++] = fw_submit_flags[j];
    memcpy(all + count, own, sizeof own);
    return count + OWN;
}

/* --- settings --- */

/* The flags that are settings, as the settings read them. */
typedef struct words {
    fw_buffer text[WORDS];
    char *argv[WORDS + 2];
    int argc;
} words;

static void add_word(words *w, const char *name, const char *value)
{
    fw_buffer *to = &w->text[w->argc - 1];
    fw_buffer_format(to, "--%s=%s", name, value);
    fw_buffer_add(to, "", 1);
    if (!to->failed)
        w->argv[w->argc++] = to->data;
}

static void take_words(words *w, fw_options *options)
{
    static const char *const names[] = {"module-path", "config", "isolate", "threads"};
    const fw_option *modules = fw_options_find(options, "task-modules");
    fw_buffer list = {.data = NULL};
    w->argc = 1;
    w->argv[0] = (char *)(uintptr_t) "run";
    for (size_t i = 0; i < modules->count; i++)
        fw_buffer_format(&list, "%s%s", i > 0 ? "," : "", modules->words[i]);
    fw_buffer_add(&list, "", 1);
    if (modules->count > 0 && !list.failed)
        add_word(w, "task-modules", list.data);
    fw_buffer_fini(&list);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fw_options_has(options, names[i]))
            add_word(w, names[i], fw_options_text(options, names[i]));
}

/* --- the task --- */

static void put_member(fw_buffer *out, const char *name, fw_span json)
{
    if (json.len == 0)
        return;
    fw_buffer_format(out, ", \"%s\": ", name);
    fw_buffer_add(out, json.ptr, json.len);
}

static void put_text(fw_buffer *out, const char *name, const char *text)
{
    if (!text)
        return;
    fw_buffer_format(out, ", \"%s\": ", name);
    fw_buffer_json_string(out, (fw_span){text, strlen(text)});
}

static void put_ms(fw_buffer *out, const char *name, int64_t ms)
{
    if (ms > 0)
        fw_buffer_format(out, ", \"%s\": %.3f", name, (double)ms / 1e3);
}

/* As POST /api/v1/tasks takes it. */
static void put_task(fw_buffer *out, const fw_submit *s)
{
    fw_buffer_text(out, "{\"task\": ");
    fw_buffer_json_string(out, (fw_span){s->task, strlen(s->task)});
    put_member(out, "args", s->args);
    put_member(out, "kwargs", s->kwargs);
    put_member(out, "options", s->options);
    put_text(out, "id", s->id);
    put_text(out, "priority", s->has_prio ? fw_prio_name(s->prio) : NULL);
    put_ms(out, "countdown", s->countdown_ms);
    put_ms(out, "eta", s->eta_unix_ms);
    put_ms(out, "timeout", s->timeout_ms);
    put_ms(out, "result_ttl", s->result_ttl_ms);
    if (s->max_retries > 0)
        fw_buffer_format(out, ", \"max_retries\": %d", (int)s->max_retries);
    fw_buffer_text(out, "}");
}

/* --- the answer --- */

/* The result goes to standard output, everything else to standard error. */
static void tell(const fw_submit_way *way, const fw_test_outcome *o, const char *error)
{
    fw_buffer out = {.data = NULL}, lines = {.data = NULL};
    if (way->json) {
        fw_run_report_json(&out, o, error);
    } else if (o->state == FW_SUCCESS) {
        fw_output_python(&out, o->result);
        fw_buffer_text(&out, "\n");
    }
    if (!way->json && !way->quiet && (o->attempt_count > 1 || o->note_count > 0 || error))
        fw_run_report_lines(&lines, o);
    if (lines.len > 0 && !lines.failed)
        fwrite(lines.data, 1, lines.len, stderr);
    if (error || (o->error && !way->json))
        fprintf(stderr, "fastworker: %s\n", error ? error : o->error);
    fflush(stderr);
    fw_output_flush(&out);
    fw_buffer_fini(&lines);
    fw_buffer_fini(&out);
}

static int unknown(const char *task, const char *near)
{
    fprintf(stderr,
            "fastworker: there is no task '%s'%s%s%s Tasks come from --task-modules and "
            "from [task] sections of --config.\n",
            task, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : ".");
    return FW_ENDS_UNKNOWN;
}

static int run_task(fw_trial *trial, const fw_submit_request *r)
{
    const fw_test_outcome *o;
    char error[FW_TRIAL_ERROR] = "out of memory";
    bool known;
    const char *near = fw_trial_suggest(trial, r->submit.task, &known);
    if (!known)
        return unknown(r->submit.task, near);
    fw_buffer task = {.data = NULL};
    put_task(&task, &r->submit);
    int rc =
        task.failed ? -FW_ENOMEM : fw_trial_call(trial, (fw_span){task.data, task.len}, &o, error);
    fw_buffer_fini(&task);
    if (rc == -FW_EINVAL || rc == -FW_ENOMEM) {
        fprintf(stderr, "fastworker: %s\n", error);
        return rc == -FW_EINVAL ? FW_ENDS_USAGE : FW_ENDS_OTHERWISE;
    }
    tell(&r->way, rc == 0 ? o : fw_trial_outcome(trial), rc == 0 ? NULL : error);
    if (rc < 0)
        return rc == -FW_ETIME ? FW_ENDS_LATE : fw_ends_of_error(rc);
    return fw_ends_of_state(o->state);
}

static int run_here(fw_options *options, const fw_submit_request *r)
{
    fw_trial *trial;
    words w = {.argc = 0};
    take_words(&w, options);
    fw_trial_config config = {.argc = w.argc,
                              .argv = w.argv,
                              .real_time = fw_options_has(options, "real-time"),
                              .limit_ns = INT64_MAX};
    if (fw_options_has(options, "wait") && r->way.wait_ms < INT64_MAX / FW_NS_PER_MS)
        config.limit_ns = r->way.wait_ms * FW_NS_PER_MS;
    int rc = fw_trial_create(&trial, &config);
    if (rc == 0) {
        rc = run_task(trial, r);
        /* A thread that does not come back from its task cannot be waited for. */
        if (fw_trial_runs(trial))
            _exit(fw_ends(rc));
        fw_trial_destroy(trial);
    }
    for (size_t i = 0; i < WORDS; i++)
        fw_buffer_fini(&w.text[i]);
    return rc;
}

static const char examples[] =
    "  fastworker run add 5 3 --task-modules ./mytasks.so\n"
    "  fastworker run sync --max-retries 5 --countdown 2h --json --task-modules ./mytasks.so\n"
    "  fastworker run thumbnail photo.jpg --config fastworker.conf\n";
static const char notes[] =
    "The task runs in this process by the code of a control plane: queue, retries, time limits,\n"
    "hooks, isolation, programs. Nothing is waited for but the task itself: where it would wait "
    "for\n"
    "a time, the clock is moved. The result goes to standard output, runs and errors to standard\n"
    "error. Exit status: 0 success, 3 failure, 6 cancelled, 4 no such task, 5 not over in time.\n";

int fw_command_run(int argc, char **argv)
{
    fw_option all[ALL];
    fw_options options = {.command = "run",
                          .usage = "run TASK [ARG...] [k=v...] --task-modules M... [options]",
                          .examples = examples,
                          .notes = notes,
                          .all = all,
                          .count = take_flags(all)};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_submit_request r;
    int ends = FW_ENDS_USAGE;
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    if (fw_submit_request_read(&options, &r))
        ends = run_here(&options, &r);
    fw_submit_request_fini(&r);
    fw_options_fini(&options);
    return fw_ends(ends);
}
