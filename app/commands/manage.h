/* app/commands/manage.h - commands that are one question to the management port.
 *
 * Options with --json print the answer as it came; otherwise `print` shows it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_MANAGE_H
#define FW_APP_COMMANDS_MANAGE_H

#include "app/commands/options.h"
#include "base/json.h"

enum { FW_MANAGE_TEXT_MAX = 256 };

/* Writes the question, a NUL behind it, from the words. False: the words are wrong, and it was
 * said.
 */
typedef bool fw_manage_compose(fw_options *options, fw_buffer *request);
/* The exit status. Frees the options. */
int fw_manage_run(fw_options *options, int argc, char **argv, fw_manage_compose *compose,
                  void (*print)(fw_json object));

/* A member's text ("?" when there is none), cut to the buffer; its whole number, or 0. */
fw_span fw_manage_text(fw_json object, const char *key, char buffer[FW_MANAGE_TEXT_MAX]);
long fw_manage_number(fw_json object, const char *key);

#endif
