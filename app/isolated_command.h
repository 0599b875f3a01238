/* app/isolated_command.h - `fastworker isolated MODULE_PATH TASK_MODULES`: the process in which
 * isolated tasks run. Started by engine/children with its socket; of no use to people.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_ISOLATED_COMMAND_H
#define FW_APP_ISOLATED_COMMAND_H

int fw_isolated_run(int argc, char **argv);

#endif
