/* app/commands/task_line.h - one line of `submit --stdin` as a submission.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_TASK_LINE_H
#define FW_APP_COMMANDS_TASK_LINE_H

#include <stdbool.h>

#include "fastworker/client.h"

/* Memory for texts that have to end with NUL; kept from line to line. */
typedef struct fw_line_room {
    char *data;
    size_t len, capacity;
} fw_line_room;

/* Reads the line over the defaults in base. False: error says which member is wrong. What out
 * points to lives in the line and the room. */
bool fw_task_line_read(fw_submit *out, char *error, size_t error_capacity, fw_line_room *room,
                       fw_span line, const fw_submit *base);

#endif
