/* app/settings/setting_table.h - the one table of settings, in the order people read it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SETTING_TABLE_H
#define FW_APP_SETTING_TABLE_H

#include "app/settings/setting_kinds.h"

extern const fw_setting fw_setting_table[];
extern const size_t fw_setting_count;

/* "default", "file", "environment" or "flag". */
const char *fw_settings_origin(const fw_settings *settings, size_t place);

#endif
