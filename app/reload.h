/* app/reload.h - SIGHUP: the configuration is read again, and what can change in a running program
 * changes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RELOAD_H
#define FW_APP_RELOAD_H

#include "app/life/lifecycle.h"
#include "app/settings/settings.h"

/* If SIGHUP came since the last call (all threads block it): reads file, environment and the
 * command line of `started` again. Sizes and time to live of the cache and the log level take
 * effect, as do the sections of tasks and schedules (app/config_apply.h); the rest of what differs
 * from `started` is named in one line as needing a restart; if anything is wrong, nothing changes
 * and the log says what. => whether it came. Main thread. */
bool fw_reload_if_asked(const fw_settings *started, fw_lifecycle *life);

/* Names of settings, separated by ", ", whose values differ and are not for fw_reload_if_asked to
 * change; "": none. What does not fit into `out` is left out. */
void fw_reload_restart_needed(char *out, size_t capacity, const fw_settings *started,
                              const fw_settings *now);

#endif
