/* app/config_apply.h - puts in force what the sections of the configuration file say: of tasks, and
 * schedules; at the start, and again after SIGHUP.
 *
 * One caller at a time, the main thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CONFIG_APPLY_H
#define FW_APP_CONFIG_APPLY_H

#include "app/life/lifecycle.h"
#include "app/settings/settings.h"

/* Of tasks: in every house, once the engine stands. Limits are a control plane's. 0 or -FW_E...
 * with a sentence. */
int fw_config_apply_tasks(fw_lifecycle *life, char *error, size_t error_capacity,
                          const fw_sections *sections);
/* The file's schedules are put; those that are no longer in it become orphans. */
int fw_config_apply_schedules(fw_lifecycle *life, char *error, size_t error_capacity,
                              const fw_sections *sections);
/* Names of tasks, separated by ", ", whose program is another now: that needs a restart. */
void fw_config_restart_needed(char *out, size_t capacity, const fw_sections *started,
                              const fw_sections *now);
/* After the last reader. */
void fw_config_forget(fw_lifecycle *life);

#endif
