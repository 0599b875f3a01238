/* app/commands/limits.c - how many tasks of a name run at once and how often they start; pauses.
 * Covered by tests/app/limits_test.py. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"
#include "app/commands/moment.h"
#include "base/json.h"

/* --- what is shown --- */

static double decimal(fw_json object, const char *key)
{
    double number = 0;
    fw_json_double(fw_json_get(object, key), &number);
    return number;
}

static bool flag(fw_json object, const char *key)
{
    return fw_json_get(object, key).type == FW_JSON_TRUE;
}

/* "paused for 12.3 s more", "paused", "held" or "". */
static const char *state_of(fw_json object, char buffer[64])
{
    if (!flag(object, "paused"))
        return flag(object, "held") ? "held" : "";
    if (fw_json_get(object, "resumes_in").type != FW_JSON_NUMBER)
        return "paused";
    snprintf(buffer, 64, "paused for %.1f s more", decimal(object, "resumes_in"));
    return buffer;
}

/* "  each key: 1 at once, 5/s, burst 1; 12 keys". */
static void print_keys(fw_json limit)
{
    long shared = fw_manage_number(limit, "keys_shared");
    const char *comma = "";
    printf("  each key: ");
    if (fw_manage_number(limit, "key_max_running") > 0) {
        printf("%ld at once", fw_manage_number(limit, "key_max_running"));
        comma = ", ";
    }
    if (decimal(limit, "key_rate") > 0)
        printf("%s%g/s, burst %ld", comma, decimal(limit, "key_rate"),
               fw_manage_number(limit, "key_burst"));
    printf("; %ld keys\n", fw_manage_number(limit, "keys"));
    if (shared > 0)
        printf("  more keys at once than there are lines: %ld tasks shared one\n", shared);
}

static void print_limit(fw_json limit)
{
    char name[FW_MANAGE_TEXT_MAX], state[64], max[24] = "-", rate[48] = "-";
    fw_span task = fw_manage_text(limit, "task", name);
    if (fw_manage_number(limit, "max_running") > 0)
        snprintf(max, sizeof max, "%ld", fw_manage_number(limit, "max_running"));
    if (decimal(limit, "rate") > 0)
        snprintf(rate, sizeof rate, "%g/s, burst %ld", decimal(limit, "rate"),
                 fw_manage_number(limit, "burst"));
    printf("%-24.*s %11s  %-20s %9ld %9ld  %s\n", (int)task.len, task.ptr, max, rate,
           fw_manage_number(limit, "waiting"), fw_manage_number(limit, "running"),
           state_of(limit, state));
    if (fw_manage_number(limit, "key_max_running") > 0 || decimal(limit, "key_rate") > 0)
        print_keys(limit);
}

static void print_limits(fw_json object)
{
    char buffer[64], word[FW_MANAGE_TEXT_MAX];
    fw_json limits = fw_json_get(object, "limits"), one;
    fw_json_cursor cursor = fw_json_open(limits);
    if (flag(object, "paused"))
        printf("Everything is %s.\n", state_of(object, buffer));
    if (fw_json_count(limits) == 0)
        printf("No task has a limit. Set one: fastworker limits set NAME --max-running 2\n");
    else
        printf("%-24s %11s  %-20s %9s %9s  %s\n", "TASK", "MAX RUNNING", "RATE", "WAITING",
               "RUNNING", "STATE");
    while (fw_json_next(&cursor, &one))
        print_limit(one);
    printf("\n%-24s %9s %9s  %s\n", "QUEUE", "WAITING", "HELD", "STATE");
    cursor = fw_json_open(fw_json_get(object, "queues"));
    while (fw_json_next(&cursor, &one)) {
        fw_span name = fw_manage_text(one, "priority", word);
        printf("%-24.*s %9ld %9ld  %s\n", (int)name.len, name.ptr, fw_manage_number(one, "waiting"),
               fw_manage_number(one, "held"), flag(one, "paused") ? state_of(one, buffer) : "");
    }
}

static void print_limits_or_one(fw_json object)
{
    if (fw_json_get(object, "limits").type == FW_JSON_ARRAY)
        print_limits(object);
    else
        print_limit(object);
}

/* --- limits --- */

/* A number, as JSON has it; a rate may say of what: 5/s, 300/m, 100/h. */
static bool read_number(const char *text, bool is_rate, double *number)
{
    size_t len = strlen(text);
    double per = 1;
    if (is_rate && len > 2 && text[len - 2] == '/') {
        char unit = text[len - 1];
        per = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
        len -= 2;
    }
    fw_json value = fw_json_parse((fw_span){text, len});
    if (per == 0 || value.type != FW_JSON_NUMBER || *text == '-' || *text == 'N' || *text == 'I')
        return false;
    bool read = fw_json_double(value, number);
    *number /= per;
    return read;
}

static bool compose_set(fw_options *options, fw_buffer *request)
{
    static const struct {
        const char *flag, *key;
        bool is_rate;
    } numbers[] = {
        {"max-running", "max_running", false},
        {"rate", "rate", true},
        {"burst", "burst", false},
        {"per-key-running", "key_max_running", false},
        {"per-key-rate", "key_rate", true},
        {"per-key-burst", "key_burst", false},
    };
    const char *name = options->words[1];
    bool any = false;
    fw_buffer_text(request, "{\"action\": \"limit_set\", \"task\": ");
    fw_buffer_json_string(request, (fw_span){name, strlen(name)});
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const char *text = fw_options_text(options, numbers[i].flag);
        if (!text)
            continue;
        double number;
        if (!read_number(text, numbers[i].is_rate, &number)) {
            fw_options_wrong(options, "--%s takes a number, not '%s'.", numbers[i].flag, text);
            return false;
        }
        fw_buffer_format(request, ", \"%s\": ", numbers[i].key);
        if (numbers[i].is_rate)
            fw_buffer_json_double(request, number);
        else
            fw_buffer_text(request, text);
        any = true;
    }
    if (!any)
        fw_options_wrong(options, "'limits set' wants --max-running, --rate, --burst, or the same "
                                  "of each key: --per-key-running, --per-key-rate.");
    fw_buffer_add(request, "}", 2);
    return any;
}

static bool compose_limits(fw_options *options, fw_buffer *request)
{
    const char *what = options->word_count > 0 ? options->words[0] : "ls";
    if (strcmp(what, "set") == 0 && options->word_count == 2)
        return compose_set(options, request);
    if (strcmp(what, "ls") == 0 && options->word_count <= 1) {
        fw_buffer_add(request, "{\"action\": \"limits\"}", 21);
        return true;
    }
    fw_options_wrong(options, "it is 'limits ls' or 'limits set NAME'.");
    return false;
}

int fw_command_limits(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "max-running",
         .kind = FW_OPTION_VALUE,
         .value = "N",
         .meaning = "so many at once, over all workers; 0: any number"},
        {.name = "rate",
         .kind = FW_OPTION_VALUE,
         .value = "R",
         .meaning = "so many starts a second (0.5 is one in two seconds); 0: any"},
        {.name = "burst",
         .kind = FW_OPTION_VALUE,
         .value = "B",
         .meaning = "so many at once after a pause (a tenth of a second's worth)"},
        {.name = "per-key-running",
         .kind = FW_OPTION_VALUE,
         .value = "N",
         .meaning = "so many at once of each key; 1: one after the other"},
        {.name = "per-key-rate",
         .kind = FW_OPTION_VALUE,
         .value = "R",
         .meaning = "so many starts of each key, such as 5/s or 100/h"},
        {.name = "per-key-burst",
         .kind = FW_OPTION_VALUE,
         .value = "B",
         .meaning = "so many of each key at once after a pause"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "limits",
                          .usage = "limits [ls | set NAME] [options]",
                          .examples = "  fastworker limits\n"
                                      "  fastworker limits set resize --max-running 2\n"
                                      "  fastworker limits set mail --rate 5 --burst 10\n"
                                      "  fastworker limits set sync --per-key-running 1\n",
                          .notes = "What is not named stays as it is. Tasks that may not start "
                                   "wait in their order; others go past them. The key of a "
                                   "task is its option 'key'.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_limits, print_limits_or_one);
}

/* --- pause, unpause --- */

static bool compose_which(fw_options *options, fw_buffer *request, const char *action)
{
    const char *task = fw_options_text(options, "task");
    const char *priority = fw_options_text(options, "priority");
    bool all = fw_options_has(options, "all");
    if (options->word_count != 0 || (task != NULL) + (priority != NULL) + all != 1) {
        fw_options_wrong(options, "it takes one of --priority, --task and --all.");
        return false;
    }
    fw_buffer_format(request, "{\"action\": \"%s\", \"%s\": ", action,
                     task       ? "task"
                     : priority ? "priority"
                                : "all");
    if (all)
        fw_buffer_text(request, "true");
    else
        fw_buffer_json_string(request, task ? (fw_span){task, strlen(task)}
                                            : (fw_span){priority, strlen(priority)});
    return true;
}

static bool compose_pause(fw_options *options, fw_buffer *request)
{
    const char *time = fw_options_text(options, "for");
    int64_t ms = 0;
    if (time && (!fw_duration_read(&ms, time) || ms <= 0)) {
        fw_options_wrong(options, "--for takes a time such as 30s, 5m or 2h, not '%s'.", time);
        return false;
    }
    if (!compose_which(options, request, "pause"))
        return false;
    if (time)
        fw_buffer_format(request, ", \"for_seconds\": %.3f", (double)ms / 1e3);
    fw_buffer_add(request, "}", 2);
    return true;
}

static bool compose_unpause(fw_options *options, fw_buffer *request)
{
    if (!compose_which(options, request, "resume_queue"))
        return false;
    fw_buffer_add(request, "}", 2);
    return true;
}

static void print_pause(fw_json object)
{
    char word[FW_MANAGE_TEXT_MAX], buffer[64];
    fw_json priority = fw_json_get(object, "priority"), task = fw_json_get(object, "task");
    fw_span name = {"", 0};
    if (priority.type == FW_JSON_STRING)
        name = fw_manage_text(object, "priority", word);
    else if (task.type == FW_JSON_STRING)
        name = fw_manage_text(object, "task", word);
    printf("%s%.*s: %s\n",
           priority.type == FW_JSON_STRING ? "priority "
           : task.type == FW_JSON_STRING   ? "task "
                                           : "everything",
           (int)name.len, name.ptr, flag(object, "paused") ? state_of(object, buffer) : "goes on");
}

#define WHICH_OPTIONS                                                                              \
    {.name = "priority", .kind = FW_OPTION_VALUE, .value = "P", .meaning = "tasks of a priority"}, \
        {.name = "task", .kind = FW_OPTION_VALUE, .value = "NAME", .meaning = "tasks of a name"},  \
    {                                                                                              \
        .name = "all", .kind = FW_OPTION_FLAG, .meaning = "everything"                             \
    }

int fw_command_pause(int argc, char **argv)
{
    fw_option all[] = {
        WHICH_OPTIONS,
        {.name = "for",
         .kind = FW_OPTION_VALUE,
         .value = "TIME",
         .meaning = "it ends by itself then, such as 5m"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "pause",
                          .usage = "pause --priority P | --task NAME | --all [options]",
                          .examples = "  fastworker pause --priority low --for 5m\n"
                                      "  fastworker pause --task mail\n",
                          .notes = "Paused tasks wait, and can be cancelled; what runs goes on. "
                                   "'fastworker unpause' ends it, 'fastworker limits' shows it.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_pause, print_pause);
}

int fw_command_unpause(int argc, char **argv)
{
    fw_option all[] = {
        WHICH_OPTIONS,
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "unpause",
                          .usage = "unpause --priority P | --task NAME | --all [options]",
                          .examples = "  fastworker unpause --priority low\n",
                          .notes = "--all ends all pauses, also those of priorities and tasks.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_unpause, print_pause);
}
