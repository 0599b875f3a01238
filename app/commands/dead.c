/* app/commands/dead.c - tasks that were given up: look, run again, forget, change.
 *
 * Covered by tests/app/dead_manage_test.py. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"
#include "app/commands/moment.h"

/* --- what is shown --- */

/* "2026-01-31 09:00:00", local. */
static void print_time(fw_json task, const char *key)
{
    char text[32] = "?";
    struct tm parts;
    time_t at = (time_t)fw_manage_number(task, key);
    if (localtime_r(&at, &parts))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    printf("%-19s  ", text);
}

static void print_task(fw_json task)
{
    char id[FW_MANAGE_TEXT_MAX], name[FW_MANAGE_TEXT_MAX], error[FW_MANAGE_TEXT_MAX];
    fw_span texts[] = {fw_manage_text(task, "task_id", id), fw_manage_text(task, "name", name),
                       fw_manage_text(task, "error", error)};
    print_time(task, "died_unix");
    printf("%-36.*s  %-20.*s %5ld %6ld  %.*s\n", (int)texts[0].len, texts[0].ptr, (int)texts[1].len,
           texts[1].ptr, fw_manage_number(task, "attempts"), fw_manage_number(task, "losses"),
           (int)texts[2].len, texts[2].ptr);
}

static void print_list(fw_json object)
{
    fw_json list = fw_json_get(object, "tasks"), task;
    fw_json_cursor cursor = fw_json_open(list);
    long total = fw_manage_number(object, "total"), shown = (long)fw_json_count(list);
    if (total == 0) {
        printf("No dead tasks.\n");
        return;
    }
    printf("%-19s  %-36s  %-20s %5s %6s  %s\n", "DIED", "ID", "TASK", "TRIES", "LOSSES", "ERROR");
    while (fw_json_next(&cursor, &task))
        print_task(task);
    if (shown < total)
        printf("%ld more; --limit shows more of them\n", total - shown);
}

static void print_changes(fw_json object)
{
    static const char *const keys[] = {"done", "unknown"}, *const words[] = {"done", "not there"};
    if (fw_json_get(object, "dry_run").type == FW_JSON_TRUE)
        printf("%ld match; nothing was done\n", fw_manage_number(object, "matched"));
    for (int i = 0; i < 2; i++) {
        fw_json id;
        fw_json_cursor cursor = fw_json_open(fw_json_get(object, keys[i]));
        while (fw_json_next(&cursor, &id))
            printf("%.*s %s\n", (int)id.text.len - 2, id.text.ptr + 1, words[i]);
    }
}

static void print_edit(fw_json object)
{
    char id[FW_MANAGE_TEXT_MAX];
    fw_span text = fw_manage_text(object, "task_id", id);
    bool retried = fw_json_get(object, "retried").type == FW_JSON_TRUE;
    printf("%.*s %s\n", (int)text.len, text.ptr, retried ? "changed, runs again" : "changed");
}

static void print(fw_json object)
{
    if (fw_json_get(object, "tasks").type == FW_JSON_ARRAY)
        print_list(object);
    else if (fw_json_get(object, "retried").type != FW_JSON_INVALID)
        print_edit(object);
    else
        print_changes(object);
}

/* --- what is asked --- */

static bool is_count(const char *text)
{
    return *text && strlen(text) <= 9 && strspn(text, "0123456789") == strlen(text);
}

static void add_text(fw_buffer *request, const char *key, const char *text)
{
    fw_buffer_format(request, ", \"%s\": ", key);
    fw_buffer_json_string(request, (fw_span){text, strlen(text)});
}

/* A number as it is, to be judged by the control plane. False: it is none. */
static bool add_count(fw_options *options, fw_buffer *request, const char *flag, const char *key)
{
    const char *text = fw_options_text(options, flag);
    if (text && !is_count(text)) {
        fw_options_wrong(options, "--%s takes a count, not '%s'.", flag, text);
        return false;
    }
    if (text)
        fw_buffer_format(request, ", \"%s\": %s", key, text);
    return true;
}

static bool add_seconds(fw_options *options, fw_buffer *request, const char *flag, const char *key)
{
    int64_t ms;
    const char *text = fw_options_text(options, flag);
    if (text && !fw_duration_read(&ms, text)) {
        fw_options_wrong(options, "--%s takes a time such as 90, 5m or 2d, not '%s'.", flag, text);
        return false;
    }
    if (text)
        fw_buffer_format(request, ", \"%s\": %.3f", key, (double)ms / 1000);
    return true;
}

static bool add_json(fw_options *options, fw_buffer *request, const char *flag, fw_json_type type)
{
    const char *text = fw_options_text(options, flag);
    if (!text)
        return true;
    fw_json value = fw_json_parse((fw_span){text, strlen(text)});
    if (value.type != type) {
        fw_options_wrong(options, "--%s takes a JSON %s, not '%s'.", flag,
                         type == FW_JSON_ARRAY ? "array" : "object", text);
        return false;
    }
    fw_buffer_format(request, ", \"%s\": %s", flag, text);
    return true;
}

static bool add_filter(fw_options *options, fw_buffer *request, bool *any)
{
    static const char *const flags[] = {"name", "error", "priority"};
    for (size_t i = 0; i < 3; i++) {
        const char *text = fw_options_text(options, flags[i]);
        *any |= text != NULL;
        if (text)
            add_text(request, flags[i], text);
    }
    *any |= fw_options_has(options, "older");
    return add_seconds(options, request, "older", "older_than");
}

static bool compose_list(fw_options *options, fw_buffer *request)
{
    bool any = false;
    fw_buffer_text(request, "{\"action\": \"dead\"");
    return add_count(options, request, "limit", "limit") && add_filter(options, request, &any);
}

/* Danger asks, or wants to be told beforehand. */
static bool is_meant(fw_options *options, const char *action)
{
    char answer[8] = "";
    if (fw_options_has(options, "yes") || fw_options_has(options, "dry-run"))
        return true;
    if (!isatty(STDIN_FILENO)) {
        fw_options_wrong(options, "%s by filter wants --yes; --dry-run counts first.", action);
        return false;
    }
    fprintf(stderr, "%s all dead tasks that match? [y/N] ", action);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static bool compose_change(fw_options *options, fw_buffer *request, const char *action, bool again)
{
    bool any = false;
    size_t ids = options->word_count - 1;
    fw_buffer_format(request, "{\"action\": \"%s\"", action);
    if (!add_count(options, request, "limit", "limit") || !add_filter(options, request, &any))
        return false;
    any |= fw_options_has(options, "all");
    if (any == (ids > 0)) {
        fw_options_wrong(options, any ? "it takes ids or a filter, not both."
                                      : "which ones? Ids, --name, --error, --priority, --older or "
                                        "--all.");
        return false;
    }
    if (any && !is_meant(options, again ? "retry" : "rm"))
        return false;
    if (fw_options_has(options, "all"))
        fw_buffer_text(request, ", \"all\": true");
    if (fw_options_has(options, "dry-run"))
        fw_buffer_text(request, ", \"dry_run\": true");
    for (size_t i = 0; i < ids; i++) {
        fw_buffer_text(request, i ? ", " : ", \"task_ids\": [");
        const char *id = options->words[i + 1];
        fw_buffer_json_string(request, (fw_span){id, strlen(id)});
    }
    fw_buffer_text(request, ids > 0 ? "]" : "");
    return true;
}

static bool compose_edit(fw_options *options, fw_buffer *request)
{
    const char *task = fw_options_text(options, "task");
    const char *priority = fw_options_text(options, "priority");
    if (options->word_count != 2) {
        fw_options_wrong(options, "edit takes the id of one dead task.");
        return false;
    }
    fw_buffer_text(request, "{\"action\": \"dead_edit\"");
    add_text(request, "task_id", options->words[1]);
    if (task)
        add_text(request, "task", task);
    if (priority)
        add_text(request, "priority", priority);
    if (fw_options_has(options, "retry"))
        fw_buffer_text(request, ", \"retry\": true");
    return add_json(options, request, "args", FW_JSON_ARRAY) &&
           add_json(options, request, "kwargs", FW_JSON_OBJECT) &&
           add_json(options, request, "options", FW_JSON_OBJECT) &&
           add_seconds(options, request, "timeout", "timeout") &&
           add_seconds(options, request, "retry-delay", "retry_delay") &&
           add_count(options, request, "max-retries", "max_retries");
}

static bool compose(fw_options *options, fw_buffer *request)
{
    bool good = false;
    const char *what = options->word_count > 0 ? options->words[0] : "ls";
    if (strcmp(what, "ls") == 0 && options->word_count <= 1)
        good = compose_list(options, request);
    else if (strcmp(what, "retry") == 0)
        good = compose_change(options, request, "dead_retry", true);
    else if (strcmp(what, "rm") == 0)
        good = compose_change(options, request, "dead_delete", false);
    else if (strcmp(what, "edit") == 0)
        good = compose_edit(options, request);
    else
        fw_options_wrong(options, "it is 'dead ls', 'dead retry', 'dead rm' or 'dead edit ID'.");
    fw_buffer_add(request, "}", 2);
    return good;
}

#define VALUE_(flag, letters, text)                                                                \
    {                                                                                              \
        .name = (flag), .kind = FW_OPTION_VALUE, .value = (letters), .meaning = (text)             \
    }
#define FLAG_(flag, text)                                                                          \
    {                                                                                              \
        .name = (flag), .kind = FW_OPTION_FLAG, .meaning = (text)                                  \
    }

int fw_command_dead(int argc, char **argv)
{
    fw_option all[] = {
        VALUE_("name", "NAME", "tasks of this name"),
        VALUE_("error", "TEXT", "with this in their error"),
        VALUE_("older", "TIME", "dead for longer than this: 90, 5m, 2d"),
        VALUE_("priority", "P", "of this priority; edit: the new one"),
        VALUE_("limit", "N", "most shown (100) or changed"),
        FLAG_("all", "retry, rm: every one"),
        FLAG_("yes", "retry, rm by filter: do not ask"),
        FLAG_("dry-run", "retry, rm: only count"),
        VALUE_("args", "JSON", "edit: an array"),
        VALUE_("kwargs", "JSON", "edit: an object"),
        VALUE_("options", "JSON", "edit: an object, docs/OPTIONS.md"),
        VALUE_("task", "NAME", "edit: another name"),
        VALUE_("timeout", "TIME", "edit: of one run, 0: the default"),
        VALUE_("max-retries", "N", "edit: after the next run"),
        VALUE_("retry-delay", "TIME", "edit: before the first of them"),
        FLAG_("retry", "edit: and run it"),
        FLAG_("json", "one JSON object"),
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "dead",
                          .usage = "dead [ls | retry ID... | rm ID... | edit ID] [options]",
                          .examples =
                              "  fastworker dead --name resize\n"
                              "  fastworker dead retry --name resize --error 'no space' --yes\n"
                              "  fastworker dead rm --older 7d --dry-run\n"
                              "  fastworker dead edit ID --args '[\"b.png\"]' --retry\n",
                          .notes = "Dead are tasks that failed after their last retry, or lost too "
                                   "many workers.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose, print);
}
