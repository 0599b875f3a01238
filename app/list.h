/* app/list.h - `fastworker list`: the tasks of modules, read without running any of their code.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LIST_H
#define FW_APP_LIST_H

int fw_command_list(int argc, char **argv);

#endif
