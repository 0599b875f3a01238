/* app/settings/config_command.c - `fastworker config show|check|dump-default|document`.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/config_command.h"

#include <stdio.h>
#include <string.h>

#include "app/settings/settings.h"

static int usage(int code)
{
    fprintf(code ? stderr : stdout,
            "Examples:\n"
            "  fastworker config show [--json] [OPTIONS OF control-plane]   settings in force, and "
            "where from\n"
            "  fastworker config check [-c FILE] [OPTIONS]                  exit 78 unless it "
            "would start\n"
            "  fastworker config dump-default                               a file with every key\n"
            "  fastworker config document                                   the table of "
            "docs/SETTINGS.md\n");
    return code;
}

/* Takes --json out of the arguments. */
static bool take_json(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--json") != 0)
            continue;
        memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
        (*argc)--;
        return true;
    }
    return false;
}

static int show(int argc, char **argv, bool quiet)
{
    fw_settings settings;
    fw_settings_error error;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return usage(0);
    bool json = take_json(&argc, argv);
    if (!fw_settings_load(&settings, &error, argc, argv)) {
        fprintf(stderr, "fastworker: %s\n", error.text);
        return error.exit_code;
    }
    if (!quiet)
        fw_settings_show(&settings, stdout, json);
    fw_settings_fini(&settings);
    return 0;
}

int fw_command_config(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "show") == 0)
        return show(argc - 1, argv + 1, false);
    if (strcmp(what, "check") == 0)
        return show(argc - 1, argv + 1, true);
    if (strcmp(what, "dump-default") == 0 || strcmp(what, "document") == 0) {
        what[1] == 'u' ? fw_settings_dump_default(stdout) : fw_settings_document(stdout);
        return 0;
    }
    if (strcmp(what, "-h") == 0 || strcmp(what, "--help") == 0)
        return usage(0);
    return usage(FW_EXIT_USAGE);
}
