/* app/isolated_command.c - see app/isolated_command.h. What is in its way is told to the parent,
 * whose call fails with it. Covered by tests/app/isolation_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/isolated_command.h"

#include <stdio.h>
#include <string.h>

#include "app/settings/settings.h"
#include "engine/children.h"

/* Names are separated by spaces or commas. */
static int load_modules(fw_modules *modules, char *error, size_t capacity, const char *names,
                        const char *path)
{
    char name[1024];
    for (const char *at = names; *(at += strspn(at, " ,"));) {
        size_t len = strcspn(at, " ,");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        int rc = fw_modules_load(modules, error, capacity, name, path);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int fw_isolated_run(int argc, char **argv)
{
    char error[512] = "out of memory";
    fw_modules *modules = NULL;
    if (argc != 3) {
        fprintf(stderr, "fastworker isolated: started by fastworker itself, for isolated tasks\n");
        return FW_EXIT_USAGE;
    }
    int rc = fw_modules_create(&modules, 1);
    if (rc == 0)
        rc = load_modules(modules, error, sizeof error, argv[2], argv[1][0] ? argv[1] : NULL);
    if (rc < 0)
        fw_child_refuse(error);
    else
        rc = fw_child_serve(modules);
    fw_modules_destroy(modules);
    if (rc == -FW_EPROTO)
        fprintf(stderr, "fastworker isolated: started by fastworker itself, for isolated tasks\n");
    return rc < 0 ? 1 : 0;
}
