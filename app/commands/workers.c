/* app/commands/workers.c - who works for a control plane, and who shall stop.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"
#include "base/json.h"

/* --- the list --- */

static void print_worker(fw_json w)
{
    char id[FW_MANAGE_TEXT_MAX], state[FW_MANAGE_TEXT_MAX], address[FW_MANAGE_TEXT_MAX],
        software[FW_MANAGE_TEXT_MAX];
    fw_span texts[] = {fw_manage_text(w, "id", id), fw_manage_text(w, "state", state),
                       fw_manage_text(w, "software", software),
                       fw_manage_text(w, "address", address)};
    printf("%-24.*s %-9.*s %5ld %7ld %11ld %7ld %6lds  %-18.*s %.*s\n", (int)texts[0].len,
           texts[0].ptr, (int)texts[1].len, texts[1].ptr, fw_manage_number(w, "slots"),
           fw_manage_number(w, "in_hand"), fw_manage_number(w, "ended"),
           fw_manage_number(w, "lost"), fw_manage_number(w, "seen_seconds"), (int)texts[2].len,
           texts[2].ptr, (int)texts[3].len, texts[3].ptr);
}

static void print_workers(fw_json object)
{
    fw_json list = fw_json_get(object, "workers"), worker;
    fw_json_cursor cursor = fw_json_open(list);
    if (fw_json_count(list) == 0) {
        printf("No subworkers. Start one: fastworker subworker --task-modules ./mytasks.so\n");
        return;
    }
    printf("%-24s %-9s %5s %7s %11s %7s %7s  %-18s %s\n", "ID", "STATE", "SLOTS", "IN HAND",
           "ENDED", "LOST", "SEEN", "SOFTWARE", "ADDRESS");
    while (fw_json_next(&cursor, &worker))
        print_worker(worker);
}

/* --- the commands --- */

static bool compose_list(fw_options *options, fw_buffer *request)
{
    fw_buffer_add(request, "{\"action\": \"workers\"}", 22);
    return options->word_count == 0 || fw_options_wrong(options, "it takes no words.") == 0;
}

int fw_command_workers(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "workers",
                          .usage = "workers [options]",
                          .examples = "  fastworker workers\n",
                          .notes = "IN HAND: sent and not yet answered. LOST: taken back because "
                                   "the subworker went away.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_list, print_workers);
}

static bool compose_change(fw_options *options, fw_buffer *request, const char *action)
{
    if (options->word_count != 1) {
        fw_options_wrong(options, "it takes the id of one subworker.");
        return false;
    }
    const char *id = options->words[0];
    fw_buffer_format(request, "{\"action\": \"%s\", \"worker\": ", action);
    fw_buffer_json_string(request, (fw_span){id, strlen(id)});
    fw_buffer_add(request, "}", 2);
    return true;
}

static bool compose_drain(fw_options *options, fw_buffer *request)
{
    return compose_change(options, request, "drain");
}

static bool compose_resume(fw_options *options, fw_buffer *request)
{
    return compose_change(options, request, "resume");
}

static void print_change(fw_json object)
{
    char id[FW_MANAGE_TEXT_MAX], state[FW_MANAGE_TEXT_MAX];
    fw_span worker = fw_manage_text(object, "worker", id),
            now = fw_manage_text(object, "state", state);
    bool draining = now.len == 8 && memcmp(now.ptr, "draining", 8) == 0;
    printf("%.*s %s\n", (int)worker.len, worker.ptr,
           draining ? "takes nothing new; what it does not run comes back" : "takes tasks again");
}

static int change(int argc, char **argv, const char *command, const char *examples,
                  fw_manage_compose *compose_request)
{
    char usage[64];
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    snprintf(usage, sizeof usage, "%s ID [options]", command);
    fw_options options = {.command = command,
                          .usage = usage,
                          .examples = examples,
                          .notes = "Exit status: 0 done, 4 no such subworker\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_request, print_change);
}

int fw_command_drain(int argc, char **argv)
{
    return change(argc, argv, "drain", "  fastworker drain host-4711\n", compose_drain);
}

int fw_command_resume(int argc, char **argv)
{
    return change(argc, argv, "resume", "  fastworker resume host-4711\n", compose_resume);
}
