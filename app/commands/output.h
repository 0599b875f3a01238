/* app/commands/output.h - results as people and as programs read them.
 *
 * For people values are written as Python's print() would, because that is what the lines looked
 * like before. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_OUTPUT_H
#define FW_APP_COMMANDS_OUTPUT_H

#include "base/json.h"
#include "fastworker/client.h"

/* A JSON value as Python's str(): text without quotes, {'a': [1, None]}, True. */
void fw_output_python(fw_buffer *out, fw_span json);
/* As Python's repr() of a text. */
void fw_output_python_text(fw_buffer *out, fw_span text);
/* One object without line end: task_id, status, result or error, started_at, completed_at where
 * known. */
void fw_output_json(fw_buffer *out, const char *id, const char *status, const fw_result *r,
                    const char *error);
/* Prints to standard output and empties. False: it could not be written. */
bool fw_output_flush(fw_buffer *out);

#endif
