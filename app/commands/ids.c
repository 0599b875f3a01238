/* app/commands/ids.c - one connection, one call an id. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/ids.h"

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/options.h"

int fw_ids_run(const fw_ids_command *command, int argc, char **argv)
{
    fw_option all[] = {
        {.name = "task-id", .kind = FW_OPTION_MANY, .value = "ID", .meaning = "the task's id"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object a task"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = command->name,
                          .usage = command->usage,
                          .examples = command->examples,
                          .notes = command->notes,
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_client *c = NULL;
    size_t flagged = all[0].count, count = flagged + options.word_count;
    int ends = count == 0 ? fw_options_wrong(&options, "a task id is needed: --task-id ID.")
                          : fw_connect(&c, &options, 1, 0);
    for (size_t i = 0; c != NULL && ends != FW_ENDS_USAGE && i < count; i++) {
        const char *id = i < flagged ? all[0].words[i] : options.words[i - flagged];
        int one = command->one(c, id, fw_options_has(&options, "json"));
        ends = one > ends ? one : ends;
    }
    fw_client_close(c);
    fw_options_fini(&options);
    return fw_ends(ends);
}
