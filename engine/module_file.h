/* engine/module_file.h - what makes a file a task module: rules that hold before and after it is
 * opened. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_MODULE_FILE_H
#define FW_ENGINE_MODULE_FILE_H

#include "engine/modules.h"

enum {
    FW_MODULE_NAME_MAX = 255,       /* bytes of a task's or module's name */
    FW_MODULE_TEXT_MAX = 64 * 1024, /* bytes of a doc string */
    FW_MODULE_TASKS_MAX = 4096,     /* of one module */
    FW_MODULE_FILE_MAX = 512 << 20, /* bytes of the file */
    FW_MODULE_TEXTS_MAX = 4 << 20   /* bytes of all texts of one module */
};

/* fw_module_read, for bytes that are in memory already and that `path` names in errors. */
int fw_module_parse(fw_module_info *out, char *error, size_t error_capacity, const char *path,
                    fw_span file);
/* ABI number, sizes and count, the only fields that every ABI has in the same place. 0, or -FW_E...
 */
int fw_module_check_sizes(char *error, size_t error_capacity, const char *path,
                          const fw_module *module);
/* A name that can be shown, typed and put between quotes anywhere. */
bool fw_module_name_is_valid(fw_span name);

#endif
