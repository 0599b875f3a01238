/* app/commands/ids.h - commands that do one thing for each task id they are given.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_IDS_H
#define FW_APP_COMMANDS_IDS_H

#include <stdbool.h>

#include "fastworker/client.h"

typedef struct fw_ids_command {
    const char *name, *usage, *examples, *notes;
    /* One task; prints, and returns its exit status. */
    int (*one)(fw_client *c, const char *id, bool json);
} fw_ids_command;

/* Takes --task-id ID..., bare ids, --json and the flags of a connection. The gravest exit status.
 */
int fw_ids_run(const fw_ids_command *command, int argc, char **argv);

#endif
