/* app/commands/ping.c - is a control plane there, which kind, how far; and the version.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "base/clock.h"

/* Asks for a task that nobody knows: the shortest way through all of it. */
static int ask_once(fw_client *c, double *milliseconds)
{
    fw_result *r = NULL;
    int64_t start = fw_now_ns();
    int rc = fw_get(c, "ping", &r);
    *milliseconds = (double)(fw_now_ns() - start) / 1e6;
    fw_result_free(r);
    return rc == -FW_EUNKNOWN || rc == -FW_EEXPIRED ? 0 : rc;
}

int fw_command_ping(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        {.name = "quiet", .letter = 'q', .kind = FW_OPTION_FLAG, .meaning = "exit status only"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "ping",
                          .usage = "ping [options]",
                          .examples = "  fastworker ping && echo there\n",
                          .notes = "Exit status: 0 there, 69 nobody\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_client *c = NULL;
    double milliseconds = 0;
    int ends = options.word_count > 0 ? fw_options_wrong(&options, "it takes no words.")
                                      : fw_connect(&c, &options, -1, 0);
    int rc = ends == 0 ? ask_once(c, &milliseconds) : 0;
    if (rc < 0) {
        ends = fw_ends_saying(rc, fw_client_errmsg());
    } else if (ends == 0 && !fw_options_has(&options, "quiet")) {
        const char *kind = fw_client_is_native(c) ? "native" : "python";
        printf(fw_options_has(&options, "json")
                   ? "{\"address\": \"%s\", \"protocol\": \"%s\", \"milliseconds\": %.3f}\n"
                   : "%s (%s) answers in %.3f ms\n",
               fw_client_address(c), kind, milliseconds);
    }
    fw_client_close(c);
    fw_options_fini(&options);
    return fw_ends(ends);
}

int fw_command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("fastworker %s\n", fw_version());
    return FW_ENDS_WELL;
}
