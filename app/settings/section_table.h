/* app/settings/section_table.h - the two tables of keys behind app/settings/config_sections.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SECTION_TABLE_H
#define FW_APP_SECTION_TABLE_H

#include "app/settings/config_sections.h"
#include "app/settings/setting_kinds.h"

typedef struct fw_section_kind {
    const char *word; /* [word "name"] */
    const char *example;
    const fw_setting *keys;
    size_t key_count; /* at most 64 */
    size_t size;      /* of the struct, which begins with its head */
} fw_section_kind;

extern const fw_section_kind fw_section_kinds[];
extern const size_t fw_section_kind_count;
enum { FW_SECTION_TASK = 0, FW_SECTION_SCHEDULE = 1 };

extern const fw_setting_kind fw_kind_real;   /* double; least and most: in millionths */
extern const fw_setting_kind fw_kind_array;  /* char *, a JSON array */
extern const fw_setting_kind fw_kind_object; /* char *, a JSON object */

#endif
