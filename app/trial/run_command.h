/* app/trial/run_command.h - `fastworker run`: one task, here and now, without a control plane.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RUN_COMMAND_H
#define FW_APP_RUN_COMMAND_H

/* A program of its own, like those of app/commands/commands.h. */
int fw_command_run(int argc, char **argv);

#endif
