/* app/commands/arguments.h - words of a command line as JSON values, by the rules of FastWorker's
 * --args.
 *
 * "true" and "false" in any case are booleans; else what Python's int() reads is an integer, what
 * its float() reads is a float, and everything else is a string: 1_000 is 1000, " 7 " is 7, 0x10,
 * [1] and None are strings. Unlike Python, only ASCII digits are digits. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_APP_COMMANDS_ARGUMENTS_H
#define FW_APP_COMMANDS_ARGUMENTS_H

#include "base/json.h"

void fw_argument_write(fw_buffer *out, const char *word);

#endif
