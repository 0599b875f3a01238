/* app/commands/schedule.c - schedules: look, put, remove, pause, resume, run now, run for the past.
 * Covered by schedule_test.py. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/commands/arguments.h"
#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"
#include "app/commands/moment.h"

/* --- printing --- */

/* "2026-01-31 09:00:00", local, or a dash. */
static void print_time(fw_json object, const char *key)
{
    char text[32] = "-";
    struct tm parts;
    time_t at = (time_t)fw_manage_number(object, key);
    if (at != 0 && localtime_r(&at, &parts))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    printf("%-19s  ", text);
}

static void print_text(fw_json object, const char *key, int width)
{
    char buffer[FW_MANAGE_TEXT_MAX];
    fw_span text = fw_manage_text(object, key, buffer);
    printf("%-*.*s  ", width, (int)text.len, text.ptr);
}

static void print_runs(fw_json runs)
{
    fw_json run;
    fw_json_cursor cursor = fw_json_open(runs);
    printf("\n%-19s  %-19s  %-10s  %-9s  %-36s  %s\n", "PLANNED", "ENDED", "STATUS", "BY",
           "TASK ID", "ERROR");
    while (fw_json_next(&cursor, &run)) {
        print_time(run, "planned_unix");
        print_time(run, "ended_unix");
        print_text(run, "status", 10);
        print_text(run, "reason", 9);
        print_text(run, "task_id", 36);
        if (fw_json_get(run, "error").type == FW_JSON_STRING)
            print_text(run, "error", 0);
        printf("\n");
    }
}

static void print_schedules(fw_json list)
{
    fw_json schedule, runs = {0};
    fw_json_cursor cursor = fw_json_open(list);
    if (fw_json_count(list) == 0) {
        printf("No schedules.\n");
        return;
    }
    printf("%-20s  %-20s  %-19s  %-8s  %-19s  %7s %7s %7s\n", "NAME", "WHEN", "ZONE", "STATE",
           "NEXT", "STARTED", "SKIPPED", "MISSED");
    while (fw_json_next(&cursor, &schedule)) {
        print_text(schedule, "name", 20);
        print_text(schedule, "when", 20);
        print_text(schedule, "tz", 19);
        print_text(schedule, "state", 8);
        print_time(schedule, "next_unix");
        printf("%7ld %7ld %7ld\n", fw_manage_number(schedule, "started"),
               fw_manage_number(schedule, "skipped"), fw_manage_number(schedule, "missed"));
        runs = fw_json_get(schedule, "runs");
    }
    if (runs.type == FW_JSON_ARRAY)
        print_runs(runs);
}

static void print(fw_json object)
{
    fw_json list = fw_json_get(object, "schedules");
    if (list.type == FW_JSON_ARRAY) {
        print_schedules(list);
        return;
    }
    print_text(object, "name", 0);
    print_text(object, "outcome", 0);
    if (fw_json_get(object, "task_id").type == FW_JSON_STRING)
        print_text(object, "task_id", 0);
    if (fw_json_get(object, "runs").type == FW_JSON_NUMBER)
        printf("%ld runs", fw_manage_number(object, "runs"));
    printf("\n");
}

/* --- asking --- */

static void add_text(fw_buffer *out, const char *key, const char *text)
{
    fw_buffer_format(out, ", \"%s\": ", key);
    fw_buffer_json_string(out, (fw_span){text, strlen(text)});
}

static bool finish(fw_buffer *out)
{
    fw_buffer_add(out, "}", 2);
    return true;
}

static bool add_seconds(fw_options *options, fw_buffer *out, const char *name, const char *key)
{
    int64_t ms;
    const char *text = fw_options_text(options, name);
    if (!text)
        return true;
    if (!fw_duration_read(&ms, text)) {
        fw_options_wrong(options, "--%s takes a time such as 90s, not '%s'.", name, text);
        return false;
    }
    fw_buffer_format(out, ", \"%s\": %.3f", key, (double)ms / 1e3);
    return true;
}

static bool add_count(fw_options *options, fw_buffer *out, const char *name, const char *key)
{
    const char *text = fw_options_text(options, name);
    if (!text)
        return true;
    if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text)) {
        fw_options_wrong(options, "--%s takes a count, not '%s'.", name, text);
        return false;
    }
    fw_buffer_format(out, ", \"%s\": %s", key, text);
    return true;
}

/* The words behind TASK, and --json-args and --kwargs as they are. */
static bool add_arguments(fw_options *options, fw_buffer *out)
{
    const char *args = fw_options_text(options, "json-args"),
               *kwargs = fw_options_text(options, "kwargs");
    if (args && options->word_count > 4) {
        fw_options_wrong(options, "it takes ARG... or --json-args, not both.");
        return false;
    }
    if (args && fw_json_parse((fw_span){args, strlen(args)}).type != FW_JSON_ARRAY) {
        fw_options_wrong(options, "--json-args takes a JSON array.");
        return false;
    }
    if (kwargs && fw_json_parse((fw_span){kwargs, strlen(kwargs)}).type != FW_JSON_OBJECT) {
        fw_options_wrong(options, "--kwargs takes a JSON object.");
        return false;
    }
    fw_buffer_text(out, ", \"args\": ");
    fw_buffer_text(out, args ? args : "[");
    for (size_t i = 4; !args && i < options->word_count; i++) {
        fw_buffer_text(out, i > 4 ? ", " : "");
        fw_argument_write(out, options->words[i]);
    }
    fw_buffer_text(out, args ? "" : "]");
    if (kwargs)
        fw_buffer_format(out, ", \"kwargs\": %s", kwargs);
    return true;
}

static bool compose_put(fw_options *options, fw_buffer *out)
{
    static const char *const texts[] = {"tz", "until", "overlap", "catchup", "priority"};
    if (options->word_count < 4) {
        fw_options_wrong(options, "it takes NAME, WHEN and TASK; WHEN is one word in quotes.");
        return false;
    }
    fw_buffer_text(out, "{\"action\": \"schedule_put\"");
    add_text(out, "name", options->words[1]);
    add_text(out, "when", options->words[2]);
    add_text(out, "task", options->words[3]);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (fw_options_text(options, texts[i]))
            add_text(out, texts[i], fw_options_text(options, texts[i]));
    }
    if (fw_options_has(options, "paused"))
        fw_buffer_text(out, ", \"paused\": true");
    return add_arguments(options, out) && add_count(options, out, "count", "count") &&
           add_count(options, out, "max-retries", "max_retries") &&
           add_seconds(options, out, "timeout", "timeout") &&
           add_seconds(options, out, "catchup-window", "catchup_window") && finish(out);
}

static bool compose_list(fw_options *options, fw_buffer *out)
{
    fw_buffer_text(out, "{\"action\": \"schedules\"");
    if (options->word_count == 2)
        add_text(out, "name", options->words[1]);
    return finish(out);
}

static bool compose_named(fw_options *options, fw_buffer *out, const char *action, size_t words)
{
    if (options->word_count != words) {
        fw_options_wrong(options, words == 2 ? "it takes the name of a schedule."
                                             : "it takes NAME FROM TO.");
        return false;
    }
    fw_buffer_format(out, "{\"action\": \"schedule_%s\"", action);
    add_text(out, "name", options->words[1]);
    if (words == 4) {
        add_text(out, "from", options->words[2]);
        add_text(out, "to", options->words[3]);
    }
    return finish(out);
}

static bool compose(fw_options *options, fw_buffer *out)
{
    static const struct {
        const char *word, *action;
        size_t words;
    } others[] = {{"rm", "delete", 2},
                  {"pause", "pause", 2},
                  {"resume", "resume", 2},
                  {"trigger", "trigger", 2},
                  {"backfill", "backfill", 4}};
    const char *what = options->word_count > 0 ? options->words[0] : "ls";
    if (strcmp(what, "ls") == 0 && options->word_count <= 2)
        return compose_list(options, out);
    if (strcmp(what, "put") == 0)
        return compose_put(options, out);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(what, others[i].word) == 0)
            return compose_named(options, out, others[i].action, others[i].words);
    }
    fw_options_wrong(options, "it is ls, put, rm, pause, resume, trigger or backfill.");
    return false;
}

int fw_command_schedule(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "tz", .kind = FW_OPTION_VALUE, .value = "ZONE", .meaning = "as Europe/Berlin"},
        {.name = "overlap",
         .kind = FW_OPTION_VALUE,
         .value = "HOW",
         .meaning = "skip, queue_one, queue_all, cancel_old or allow"},
        {.name = "catchup",
         .kind = FW_OPTION_VALUE,
         .value = "HOW",
         .meaning = "none, one or all of the times that were missed"},
        {.name = "catchup-window",
         .kind = FW_OPTION_VALUE,
         .value = "TIME",
         .meaning = "how far back all reaches (1h)"},
        {.name = "count", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "runs, at most"},
        {.name = "until", .kind = FW_OPTION_VALUE, .value = "TIME", .meaning = "no run after it"},
        {.name = "priority", .kind = FW_OPTION_VALUE, .value = "P", .meaning = "of the runs"},
        {.name = "timeout", .kind = FW_OPTION_VALUE, .value = "TIME", .meaning = "of one run"},
        {.name = "max-retries", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "of one run"},
        {.name = "json-args", .kind = FW_OPTION_VALUE, .value = "JSON", .meaning = "an array"},
        {.name = "kwargs", .kind = FW_OPTION_VALUE, .value = "JSON", .meaning = "an object"},
        {.name = "paused", .kind = FW_OPTION_FLAG, .meaning = "a new one begins paused"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {
        .command = "schedule",
        .usage =
            "schedule [ls [NAME] | put NAME WHEN TASK [ARG...] | rm NAME | pause NAME | resume "
            "NAME | trigger NAME | backfill NAME FROM TO] [options]",
        .examples = "  fastworker schedule put nightly '0 3 * * *' backup --tz Europe/Berlin\n"
                    "  fastworker schedule put beat '@every 90s' echo hello\n"
                    "  fastworker schedule backfill nightly 2026-11-01 2026-11-07T23:59\n",
        .notes = "WHEN: five cron fields, six with the seconds first, @daily and the like, @every "
                 "TIME,\nor @reboot.\n",
        .all = all,
        .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose, print);
}
