/* app/commands/cancel.c - ends tasks. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/ids.h"
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
    const fw_ids_command command = {
        .name = "cancel",
        .usage = "cancel ID... [options]",
        .examples = "  fastworker cancel --task-id 5f6e1c1e-7c3c-4a55-9c0b-0d2f1f2c8a11\n",
        .notes = "Exit status: 0 cancelled, 4 unknown or already over\n",
        .one = one_cancel};
    return fw_ids_run(&command, argc, argv);
}
