/* engine/module_path.c - from a module's name, as people write it, to its file.
 *
 * With a slash it is a path. "name.so" is a file here, or else in one of the folders. "name" is
 * name.so in one of the folders: a bare word never takes what happens to lie in the current folder.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "engine/modules.h"

/* The place is taken when a file is there, whatever it is; reading it tells the rest. */
static bool try_place(char *path, size_t capacity, fw_span folder, const char *name,
                      const char *suffix)
{
    int n = snprintf(path, capacity, "%.*s/%s%s", (int)folder.len, folder.ptr, name, suffix);
    return n > 0 && (size_t)n < capacity && access(path, F_OK) == 0;
}

static int not_found(char *error, size_t capacity, const char *name, bool has_suffix,
                     const char *module_path)
{
    const char *suffix = has_suffix ? "" : ".so";
    const char *here = has_suffix ? " in the current folder" : "";
    const char *join = has_suffix ? " and" : "";
    if (module_path && *module_path)
        snprintf(
            error, capacity,
            "task module '%s' not found: looked for %s%s%s%s in %s; give the path of the file, "
            "or name its folder in FASTWORKER_MODULE_PATH",
            name, name, suffix, here, join, module_path);
    else
        snprintf(error, capacity,
                 "task module '%s' not found: looked for %s%s%s, and no module folders are set; "
                 "give the path of the file, or set FASTWORKER_MODULE_PATH",
                 name, name, suffix, here);
    return -FW_EINVAL;
}

static int take_path(char *path, size_t path_capacity, char *error, size_t error_capacity,
                     const char *name)
{
    int n = snprintf(path, path_capacity, "%s", name);
    if (n <= 0 || (size_t)n >= path_capacity) {
        snprintf(error, error_capacity, "a task module's path is empty or longer than %zu bytes",
                 path_capacity - 1);
        return -FW_EINVAL;
    }
    if (access(path, F_OK) < 0) {
        snprintf(error, error_capacity,
                 "task module '%s' not found: there is no such file; build it with "
                 "cc -shared -fPIC -o name.so name.c, or check the path",
                 path);
        return -FW_EINVAL;
    }
    return 0;
}

int fw_module_locate(char *path, size_t path_capacity, char *error, size_t error_capacity,
                     const char *name, const char *module_path)
{
    FW_ASSERT(path && name);
    size_t len = strlen(name);
    bool has_suffix = len > 3 && strcmp(name + len - 3, ".so") == 0;
    if (len == 0 || strchr(name, '/'))
        return take_path(path, path_capacity, error, error_capacity, name);
    if (has_suffix && try_place(path, path_capacity, (fw_span){".", 1}, name, ""))
        return 0;
    for (const char *at = module_path; at && *at;) {
        size_t n = strcspn(at, ":");
        if (n > 0 &&
            try_place(path, path_capacity, (fw_span){at, n}, name, has_suffix ? "" : ".so"))
            return 0;
        at += n;
        at += *at == ':';
    }
    return not_found(error, error_capacity, name, has_suffix, module_path);
}
