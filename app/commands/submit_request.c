/* app/commands/submit_request.c - the flags of `submit`, and the task they describe.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/commands/arguments.h"
#include "app/commands/connect.h"
#include "app/commands/moment.h"
#include "app/commands/submit.h"

enum { WAIT_DEFAULT_MS = 60000 };

const fw_option fw_submit_flags[FW_SUBMIT_FLAGS] = {
    {.name = "task-name", .kind = FW_OPTION_VALUE, .value = "NAME", .meaning = "which task"},
    {.name = "args",
     .kind = FW_OPTION_MANY,
     .value = "A...",
     .meaning = "positional arguments, up to the next flag"},
    {.name = "json-args",
     .kind = FW_OPTION_VALUE,
     .value = "JSON",
     .meaning = "all positional arguments as one array"},
    {.name = "kwargs",
     .kind = FW_OPTION_VALUE,
     .value = "JSON",
     .meaning = "keyword arguments as one object"},
    {.name = "priority",
     .kind = FW_OPTION_VALUE,
     .value = "P",
     .meaning = "low, normal, high or critical (normal)"},
    {.name = "non-blocking", .kind = FW_OPTION_FLAG, .meaning = "do not wait for the result"},
    {.name = "wait",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "how long to wait for the result (60)"},
    {.name = "countdown", .kind = FW_OPTION_VALUE, .value = "TIME", .meaning = "start later"},
    {.name = "eta",
     .kind = FW_OPTION_VALUE,
     .value = "WHEN",
     .meaning = "start then: 2030-01-31T09:00:00, local unless it says otherwise"},
    {.name = "timeout", .kind = FW_OPTION_VALUE, .value = "TIME", .meaning = "limit of one run"},
    {.name = "max-retries",
     .kind = FW_OPTION_VALUE,
     .value = "N",
     .meaning = "run again after a failure, so often at most"},
    {.name = "retry-delay",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "before the first of them (60)"},
    {.name = "retry-backoff",
     .kind = FW_OPTION_VALUE,
     .value = "N",
     .meaning = "that wait times N with each of them (2)"},
    {.name = "retry-backoff-max",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "and so long at most"},
    {.name = "retry-jitter",
     .kind = FW_OPTION_VALUE,
     .value = "N",
     .meaning = "0 to 1: the part of it that is left to chance"},
    {.name = "result-ttl",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "how long the result is kept"},
    {.name = "id",
     .kind = FW_OPTION_VALUE,
     .value = "ID",
     .meaning = "own id; the same id is the same task"},
    {.name = "callback",
     .kind = FW_OPTION_VALUE,
     .value = "ADDRESS",
     .meaning = "who is told of the end (tcp://, NNG Pair0)"},
    {.name = "options",
     .kind = FW_OPTION_VALUE,
     .value = "JSON",
     .meaning = "rarer wishes as one object (docs/OPTIONS.md)"},
    {.name = "after",
     .kind = FW_OPTION_VALUE,
     .value = "ID,ID...",
     .meaning = "start when these have ended; wants --on-failure"},
    {.name = "on-failure",
     .kind = FW_OPTION_VALUE,
     .value = "WORD",
     .meaning = "if one of them did not succeed: fail, skip or run"},
    {.name = "group", .kind = FW_OPTION_VALUE, .value = "G", .meaning = "be a member of a group"},
    {.name = "then",
     .kind = FW_OPTION_VALUE,
     .value = "JSON",
     .meaning = "be its last, and what runs when all are over"},
    {.name = "unique",
     .kind = FW_OPTION_VALUE,
     .value = "K",
     .meaning = "not beside another of this key: join that"},
    {.name = "unique-for",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "and not so soon after one that succeeded"},
    {.name = "unique-while",
     .kind = FW_OPTION_VALUE,
     .value = "WORD",
     .meaning = "live (until its end), queued (until it begins), time (for --unique-for)"},
    {.name = "expires",
     .kind = FW_OPTION_VALUE,
     .value = "TIME",
     .meaning = "fail when not started by then"},
    {.name = "key", .kind = FW_OPTION_VALUE, .value = "K", .meaning = "what limits per key go by"},
    {.name = "stdin",
     .kind = FW_OPTION_FLAG,
     .meaning = "one JSON object a line from standard input"},
    {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object a task"},
    {.name = "quiet",
     .letter = 'q',
     .kind = FW_OPTION_FLAG,
     .meaning = "only the result, or the id with --non-blocking"},
    {.name = "task-modules",
     .kind = FW_OPTION_MANY,
     .value = "M...",
     .meaning = "accepted and not needed: names are checked by the control plane"},
    FW_CONNECT_OPTIONS,
};

static bool read_json(fw_options *options, fw_span *out, const char *name, fw_json_type type)
{
    const char *text = fw_options_text(options, name);
    if (text == NULL)
        return true;
    fw_json value = fw_json_parse((fw_span){text, strlen(text)});
    *out = value.text;
    if (value.type == type)
        return true;
    fw_options_wrong(
        options, "--%s needs a JSON %s, not '%s'.", name,
        type == FW_JSON_ARRAY ? "array such as '[5, 3]'" : "object such as '{\"x\": 5}'", text);
    return false;
}

static bool read_duration(fw_options *options, int64_t *out_ms, const char *name)
{
    const char *text = fw_options_text(options, name);
    if (text == NULL || fw_duration_read(out_ms, text))
        return true;
    fw_options_wrong(options, "--%s needs a time such as 2.5, 250ms or 5m, not '%s'.", name, text);
    return false;
}

static bool read_priority(fw_options *options, fw_submit *out)
{
    const char *text = fw_options_text(options, "priority");
    if (text == NULL)
        return true;
    int prio = fw_prio_parse((fw_span){text, strlen(text)});
    if (prio < 0) {
        fw_options_wrong(options, "--priority is low, normal, high or critical, not '%s'.", text);
        return false;
    }
    out->prio = (fw_prio)prio;
    out->has_prio = 1;
    return true;
}

static bool read_numbers(fw_options *options, fw_submit_request *r)
{
    const char *retries = fw_options_text(options, "max-retries");
    const char *eta = fw_options_text(options, "eta");
    char *end;
    if (!read_duration(options, &r->submit.countdown_ms, "countdown") ||
        !read_duration(options, &r->submit.timeout_ms, "timeout") ||
        !read_duration(options, &r->submit.result_ttl_ms, "result-ttl") ||
        !read_duration(options, &r->way.wait_ms, "wait"))
        return false;
    long count = retries == NULL ? 0 : strtol(retries, &end, 10);
    if (retries != NULL && (end == retries || *end != '\0' || count < 0 || count > INT32_MAX)) {
        fw_options_wrong(options, "--max-retries needs a count, not '%s'.", retries);
        return false;
    }
    r->submit.max_retries = (int32_t)count;
    if (eta == NULL || fw_moment_read(&r->submit.eta_unix_ms, eta))
        return true;
    fw_options_wrong(options, "--eta needs a time such as 2030-01-31T09:00:00, not '%s'.", eta);
    return false;
}

/* "k=v" with a name before the sign. */
static size_t keyword(const char *word)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    bool named = n > 0 && word[n] == '=' && (word[0] < '0' || word[0] > '9');
    return named ? n : 0;
}

/* The words after the task's name: ARG... and k=v. */
static void add_words(fw_submit_request *r, const char *const *words, size_t count, bool keywords)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = keywords ? keyword(words[i]) : 0;
        fw_buffer *to = n > 0 ? &r->kwargs : &r->args;
        fw_buffer_text(to, to->len == 0 ? (n > 0 ? "{" : "[") : ", ");
        if (n > 0) {
            fw_buffer_json_string(to, (fw_span){words[i], n});
            fw_buffer_text(to, ": ");
        }
        fw_argument_write(to, words[i] + (n > 0 ? n + 1 : 0));
    }
}

/* Flags for single members go over --options. */
static bool read_options(fw_options *options, fw_submit_request *r)
{
    if (!fw_submit_options(options, &r->options, r->submit.options))
        return false;
    if (r->options.len > 0)
        r->submit.options = (fw_span){r->options.data, r->options.len};
    return true;
}

static bool read_arguments(fw_options *options, fw_submit_request *r)
{
    const fw_option *args = fw_options_find(options, "args");
    size_t skip = fw_options_has(options, "task-name") ? 0 : 1;
    size_t more = options->word_count > skip ? options->word_count - skip : 0;
    bool json_args = fw_options_has(options, "json-args");
    if (json_args && (args->count > 0 || more > 0)) {
        fw_options_wrong(options, "--json-args stands for all arguments; leave --args away.");
        return false;
    }
    add_words(r, options->words + skip, more, true);
    add_words(r, args->words, args->count, false);
    if (r->args.len > 0)
        fw_buffer_text(&r->args, "]");
    if (r->kwargs.len > 0)
        fw_buffer_text(&r->kwargs, "}");
    r->submit.args = (fw_span){r->args.data, r->args.len};
    r->submit.kwargs = (fw_span){r->kwargs.data, r->kwargs.len};
    if (fw_options_has(options, "kwargs") && r->kwargs.len > 0) {
        fw_options_wrong(options, "keyword arguments are given twice: by --kwargs and as k=v.");
        return false;
    }
    return !r->args.failed && !r->kwargs.failed &&
           read_json(options, &r->submit.args, "json-args", FW_JSON_ARRAY) &&
           read_json(options, &r->submit.kwargs, "kwargs", FW_JSON_OBJECT) &&
           read_json(options, &r->submit.options, "options", FW_JSON_OBJECT) &&
           read_options(options, r);
}

bool fw_submit_request_read(fw_options *options, fw_submit_request *r)
{
    const char *name = fw_options_text(options, "task-name");
    bool lines = fw_options_has(options, "stdin");
    *r = (fw_submit_request){.submit = {.size = sizeof(r->submit)},
                             .way = {.wait_ms = WAIT_DEFAULT_MS}};
    r->way.json = fw_options_has(options, "json");
    r->way.quiet = fw_options_has(options, "quiet");
    r->way.non_blocking = fw_options_has(options, "non-blocking");
    r->submit.id = fw_options_text(options, "id");
    r->submit.callback = fw_options_text(options, "callback");
    r->submit.task = name != NULL ? name : options->word_count > 0 ? options->words[0] : NULL;
    if (r->submit.task == NULL && !lines) {
        fw_options_wrong(options, "a task name is needed: --task-name NAME.");
        return false;
    }
    if (lines && r->submit.id != NULL) {
        fw_options_wrong(options,
                         "--id names one task; with --stdin each line may have an \"id\".");
        return false;
    }
    return read_priority(options, &r->submit) && read_numbers(options, r) &&
           read_arguments(options, r);
}

void fw_submit_request_fini(fw_submit_request *r)
{
    fw_buffer_fini(&r->args);
    fw_buffer_fini(&r->kwargs);
    fw_buffer_fini(&r->options);
}
