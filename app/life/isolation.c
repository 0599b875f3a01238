/* app/life/isolation.c - see app/life/isolation.h. Covered by tests/app/isolation_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/isolation.h"

int fw_isolation_start(fw_isolation *isolation, const fw_settings *settings, unsigned threads)
{
    *isolation = (fw_isolation){.mode = (fw_isolate)settings->isolate};
    if (isolation->mode == FW_ISOLATE_OFF || !settings->task_modules)
        return 0;
    /* The words of app/isolated_command.h. */
    const char *words[] = {"isolated", settings->module_path ? settings->module_path : "",
                           settings->task_modules, NULL};
    fw_children_config config = {.threads = threads, .words = words};
    return fw_children_create(&isolation->children, &config);
}

void fw_isolation_stop(fw_isolation *isolation)
{
    fw_children_destroy(isolation->children);
    isolation->children = NULL;
}
