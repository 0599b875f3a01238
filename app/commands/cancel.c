/* app/commands/cancel.c - ends tasks. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "base/json.h"

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

int fw_command_cancel(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "task-id", .kind = FW_OPTION_MANY, .value = "ID", .meaning = "the task's id"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object a task"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {
        .command = "cancel",
        .usage = "cancel ID... [options]",
        .examples = "  fastworker cancel --task-id 5f6e1c1e-7c3c-4a55-9c0b-0d2f1f2c8a11\n",
        .notes = "Exit status: 0 cancelled, 4 unknown or already over\n",
        .all = all,
        .count = sizeof(all) / sizeof(all[0])};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_client *c = NULL;
    int ends = 0;
    if (all[0].count + options.word_count == 0)
        ends = fw_options_wrong(&options, "a task id is needed: --task-id ID.");
    else
        ends = fw_connect(&c, &options, 1, 0);
    for (size_t i = 0; c != NULL && i < all[0].count + options.word_count; i++) {
        const char *id = i < all[0].count ? all[0].words[i] : options.words[i - all[0].count];
        int one = one_cancel(c, id, fw_options_has(&options, "json"));
        ends = one > ends ? one : ends;
    }
    fw_client_close(c);
    fw_options_fini(&options);
    return fw_ends(ends);
}
