/* app/settings/config_command.h - `fastworker config`. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CONFIG_COMMAND_H
#define FW_APP_CONFIG_COMMAND_H

/* argv[0] is "config". The exit code. */
int fw_command_config(int argc, char **argv);

#endif
