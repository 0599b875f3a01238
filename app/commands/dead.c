/* app/commands/dead.c - tasks that were given up: look, run again, forget.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"

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
    for (int i = 0; i < 2; i++) {
        fw_json id;
        fw_json_cursor cursor = fw_json_open(fw_json_get(object, keys[i]));
        while (fw_json_next(&cursor, &id))
            printf("%.*s %s\n", (int)id.text.len - 2, id.text.ptr + 1, words[i]);
    }
}

static bool compose_list(fw_options *options, fw_buffer *request)
{
    const char *limit = fw_options_text(options, "limit");
    if (limit && (strspn(limit, "0123456789") != strlen(limit) || strlen(limit) > 9 || !*limit)) {
        fw_options_wrong(options, "--limit takes a count, not '%s'.", limit);
        return false;
    }
    fw_buffer_format(request, "{\"action\": \"dead\", \"limit\": %s}", limit ? limit : "100");
    fw_buffer_add(request, "", 1);
    return true;
}

static bool compose_ids(fw_options *options, fw_buffer *request, const char *action)
{
    if (options->word_count < 2) {
        fw_options_wrong(options, "it takes the ids of dead tasks.");
        return false;
    }
    fw_buffer_format(request, "{\"action\": \"%s\", \"task_ids\": [", action);
    for (size_t i = 1; i < options->word_count; i++) {
        fw_buffer_text(request, i > 1 ? ", " : "");
        fw_buffer_json_string(request, (fw_span){options->words[i], strlen(options->words[i])});
    }
    fw_buffer_add(request, "]}", 3);
    return true;
}

static bool compose(fw_options *options, fw_buffer *request)
{
    const char *what = options->word_count > 0 ? options->words[0] : "ls";
    if (strcmp(what, "ls") == 0 && options->word_count <= 1)
        return compose_list(options, request);
    if (strcmp(what, "retry") == 0)
        return compose_ids(options, request, "dead_retry");
    if (strcmp(what, "rm") == 0)
        return compose_ids(options, request, "dead_delete");
    fw_options_wrong(options, "it is 'dead ls', 'dead retry ID...' or 'dead rm ID...'.");
    return false;
}

static void print(fw_json object)
{
    if (fw_json_get(object, "tasks").type == FW_JSON_ARRAY)
        print_list(object);
    else
        print_changes(object);
}

int fw_command_dead(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "limit", .kind = FW_OPTION_VALUE, .value = "N", .meaning = "most shown (100)"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "dead",
                          .usage = "dead [ls | retry ID... | rm ID...] [options]",
                          .examples = "  fastworker dead\n  fastworker dead retry "
                                      "5f6e1c1e-7c3c-4a55-9c0b-0d2f1f2c8a11\n",
                          .notes = "Dead are tasks that failed after their last retry, or lost too "
                                   "many workers.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose, print);
}
