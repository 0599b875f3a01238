/* app/commands/cancel.c - ends tasks: by id, or by what they are. Covered by
 * tests/app/cancel_where_test.py. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/ids.h"
#include "app/commands/manage.h"
#include "app/commands/moment.h"
#include "base/json.h"

/* --- by id --- */

static int one_cancel(fw_client *c, const char *id, bool json)
{
    int rc = fw_cancel(c, id);
    bool unknown = rc == -FW_EUNKNOWN || rc == -FW_EEXPIRED;
    if (rc < 0 && !unknown) {
        fprintf(stderr, "fastworker: Error cancelling task: %s\n", fw_client_errmsg());
        return fw_ends_of_error(rc);
    }
    if (json) {
        fw_buffer out = {.data = NULL};
        fw_buffer_text(&out, "{\"task_id\": ");
        fw_buffer_json_string(&out, (fw_span){id, strlen(id)});
        printf("%.*s, \"cancelled\": %s}\n", (int)out.len, out.data, rc == 0 ? "true" : "false");
        fw_buffer_fini(&out);
    } else if (rc == 0) {
        printf("Task %s cancelled successfully\n", id);
    } else {
        printf("Task %s could not be cancelled (not found or already terminal)\n", id);
    }
    return rc == 0 ? FW_ENDS_WELL : FW_ENDS_UNKNOWN;
}

/* --- by what they are --- */

/* NAME=VALUE as a member. */
static bool put_condition(fw_options *options, fw_buffer *out, fw_span word, bool first)
{
    const char *sign = memchr(word.ptr, '=', word.len);
    size_t name = sign ? (size_t)(sign - word.ptr) : 0;
    char value[256];
    int64_t ms;
    if (name == 0 || word.len - name - 1 == 0 || word.len - name - 1 >= sizeof value) {
        fw_options_wrong(options, "--where takes NAME=VALUE,..., not '%.*s'.", (int)word.len,
                         word.ptr);
        return false;
    }
    snprintf(value, sizeof value, "%.*s", (int)(word.len - name - 1), sign + 1);
    fw_buffer_text(out, first ? "" : ", ");
    fw_buffer_json_string(out, (fw_span){word.ptr, name});
    fw_buffer_text(out, ": ");
    if (name != 5 || memcmp(word.ptr, "older", 5) != 0) {
        fw_buffer_json_string(out, (fw_span){value, strlen(value)});
        return true;
    }
    if (fw_duration_read(&ms, value)) {
        fw_buffer_json_double(out, (double)ms / 1e3);
        return true;
    }
    fw_options_wrong(options, "older= takes a time such as 90, 250ms or 5m, not '%s'.", value);
    return false;
}

/* False: the user does not say yes. */
static bool agrees(fw_options *options)
{
    char line[16];
    if (fw_options_has(options, "yes") || fw_options_has(options, "dry-run"))
        return true;
    if (!isatty(STDIN_FILENO)) {
        fw_options_wrong(options, "this may end many tasks: say --yes, or look with --dry-run.");
        return false;
    }
    fprintf(stderr, "Cancel all tasks that fit? [y/N] ");
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static bool compose_where(fw_options *options, fw_buffer *request)
{
    const char *where = fw_options_text(options, "where"),
               *group = fw_options_text(options, "group");
    bool first = true;
    fw_buffer_text(request, "{\"action\": \"cancel_where\", \"where\": {");
    for (const char *at = where; at && *at; first = false) {
        size_t len = strcspn(at, ",");
        if (!put_condition(options, request, (fw_span){at, len}, first))
            return false;
        at += at[len] ? len + 1 : len;
    }
    if (group) {
        fw_buffer_text(request, first ? "\"group\": " : ", \"group\": ");
        fw_buffer_json_string(request, (fw_span){group, strlen(group)});
    }
    if (!agrees(options))
        return false;
    fw_buffer_format(request, "}, \"dry_run\": %s}",
                     fw_options_has(options, "dry-run") ? "true" : "false");
    fw_buffer_add(request, "", 1);
    return true;
}

static void print_outcome(fw_json object)
{
    bool dry = fw_json_get(object, "dry_run").type == FW_JSON_TRUE;
    fw_json ended = fw_json_get(object, "cancelled");
    printf("%ld task%s fit%s\n", fw_manage_number(object, "matched"),
           fw_manage_number(object, "matched") == 1 ? "" : "s",
           fw_manage_number(object, "matched") == 1 ? "s" : "");
    printf("%s: %ld queued, %ld scheduled, %ld waiting for another try\n",
           dry ? "would be cancelled" : "cancelled", fw_manage_number(ended, "queued"),
           fw_manage_number(ended, "scheduled"), fw_manage_number(ended, "retrying"));
    printf("%s: %ld running\n", dry ? "would be asked to end" : "asked to end",
           fw_manage_number(object, "asked"));
    if (!dry)
        printf("already over: %ld\n", fw_manage_number(object, "late"));
}

static int cancel_where(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "where",
         .kind = FW_OPTION_VALUE,
         .value = "NAME=VALUE,...",
         .meaning = "tasks for which all of this holds: name, priority, group, older, status"},
        {.name = "group", .kind = FW_OPTION_VALUE, .value = "G", .meaning = "members of a group"},
        {.name = "dry-run", .kind = FW_OPTION_FLAG, .meaning = "only count them"},
        {.name = "yes", .letter = 'y', .kind = FW_OPTION_FLAG, .meaning = "do not ask"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "the answer as one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {
        .command = "cancel",
        .usage = "cancel --where NAME=VALUE,... [options]",
        .examples = "  fastworker cancel --where name=resize,older=5m,status=queued --dry-run\n"
                    "  fastworker cancel --group report --yes\n",
        .notes = "Exit status: 0, also if none fits\n",
        .all = all,
        .count = sizeof(all) / sizeof(all[0])};
    return fw_manage_run(&options, argc, argv, compose_where, print_outcome);
}

static bool is_by_filter(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--where", 7) == 0 || strncmp(argv[i], "--group", 7) == 0)
            return true;
    return false;
}

int fw_command_cancel(int argc, char **argv)
{
    const fw_ids_command command = {
        .name = "cancel",
        .usage = "cancel ID... [options]",
        .examples = "  fastworker cancel --task-id 5f6e1c1e-7c3c-4a55-9c0b-0d2f1f2c8a11\n"
                    "  fastworker cancel --where name=resize,status=queued --dry-run\n",
        .notes = "Exit status: 0 cancelled, 4 unknown or already over\n"
                 "By what they are: 'fastworker cancel --where --help'.\n",
        .one = one_cancel};
    return is_by_filter(argc, argv) ? cancel_where(argc, argv) : fw_ids_run(&command, argc, argv);
}
