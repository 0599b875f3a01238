/* app/subworker.h - the program as a subworker: runs what a control plane gives it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SUBWORKER_H
#define FW_APP_SUBWORKER_H

#include "app/settings/settings.h"

/* Builds, serves until SIGTERM or SIGINT, gives back, drains. The exit code. All signals are
 * blocked by the caller before any thread exists. */
int fw_subworker_run(const fw_settings *settings);

#endif
