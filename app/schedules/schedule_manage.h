/* app/schedules/schedule_manage.h - schedules at the management port, and how they come to be and
 * run: from modules, through the lifecycle.
 *
 *   {"action": "schedules"}                      {"schedules": [{"name": ..., ...}, ...]}
 *   {"action": "schedules", "name": "nightly"}   the same for one, with its last runs
 *   {"action": "schedule_put", "name": "nightly", "task": "backup", "when": "0 3 * * *", ...}
 *                                                {"name": ..., "outcome": "created", ...}
 *   {"action": "schedule_pause", "name": ...}    also _resume, _delete, _trigger
 *   {"action": "schedule_backfill", "name": ..., "from": time, "to": time}
 * docs/SCHEDULES.md has all members. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SCHEDULE_MANAGE_H
#define FW_APP_SCHEDULE_MANAGE_H

#include "app/life/lifecycle.h"
#include "app/schedules/schedules.h"
#include "app/settings/settings.h"
#include "base/json.h"

/* False: the action is none of these. request: a JSON object that was checked. Any thread. */
bool fw_schedule_manage(fw_schedules *schedules, fw_span action, fw_json request, fw_buffer *out);

/* The table of a control plane, with what the modules ask for: life->schedules. 0, or -FW_E... with
 * a sentence that names the module, the task and the field. Before the network. */
int fw_schedules_start(fw_lifecycle *life, char *error, size_t error_capacity,
                       const fw_settings *settings);

#endif
