/* module_file_fuzz.c - any bytes are safe to read as a module. SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdint.h>

#include "engine/module_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fw_module_info info;
    char error[512];
    fw_span file = {(const char *)data, size};
    if (fw_module_parse(&info, error, sizeof error, "fuzz.so", file) == 0)
        fw_module_info_fini(&info);
    return 0;
}
