/* app/exec_tasks.h - the tasks that the configuration file makes of programs ([task "name"] with a
 * key exec). SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EXEC_TASKS_H
#define FW_APP_EXEC_TASKS_H

#include "app/life/names.h"
#include "app/settings/settings.h"
#include "engine/exec.h"

/* For a house that runs tasks: adds them to its modules. *out is NULL where there are none. 0, or
 * -FW_E... with a sentence that names file, line and key; as root it is refused unless the setting
 * privileged-exec says otherwise. Before there are other threads. */
int fw_exec_tasks_load(fw_exec **out, char *error, size_t error_capacity,
                       const fw_settings *settings, fw_modules *modules, unsigned threads);
/* For one that runs none: their names are known, and wait for a subworker. */
void fw_exec_tasks_announce(fw_names *names, const fw_settings *settings);

#endif
