/* app/commands/connect.h - a client made from a command's flags, and exit statuses made from
 * errors. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_CONNECT_H
#define FW_APP_COMMANDS_CONNECT_H

#include "app/commands/options.h"
#include "fastworker/client.h"

/* The flags that every command here has; put them into its table. */
#define FW_CONNECT_OPTIONS                                                                         \
    {.name = "discovery-address",                                                                  \
     .kind = FW_OPTION_VALUE,                                                                      \
     .value = "ADDRESS",                                                                           \
     .meaning = "where a control plane announces itself (tcp://127.0.0.1:5550)"},                  \
        {.name = "token-file",                                                                     \
         .kind = FW_OPTION_VALUE,                                                                  \
         .value = "FILE",                                                                          \
         .meaning = "its first line is the control plane's token"},                                \
        {.name = "tls-ca",                                                                         \
         .kind = FW_OPTION_VALUE,                                                                  \
         .value = "FILE",                                                                          \
         .meaning = "authorities that are believed, for tls+tcp:// (the system's)"},               \
        {.name = "tls-cert",                                                                       \
         .kind = FW_OPTION_VALUE,                                                                  \
         .value = "FILE",                                                                          \
         .meaning = "certificate to show, if one is asked for"},                                   \
        {.name = "tls-key",                                                                        \
         .kind = FW_OPTION_VALUE,                                                                  \
         .value = "FILE",                                                                          \
         .meaning = "its key, if it is not in the same file"},                                     \
        {.name = "tls-verify",                                                                     \
         .kind = FW_OPTION_VALUE,                                                                  \
         .value = "WORD",                                                                          \
         .meaning = "server, none or mutual (server)"},                                            \
    {                                                                                              \
        .name = "control-plane-address", .kind = FW_OPTION_VALUE, .value = "ADDRESS",              \
        .meaning = "its base address; then nothing is looked for"                                  \
    }

/* 0, or the exit status after saying what is wrong. retries and in_flight as in fw_client_options.
 */
int fw_connect(fw_client **out, fw_options *options, int retries, int in_flight);
/* The exit status for -FW_E.... */
int fw_ends_of_error(int err);
/* The exit status for the state of a task. */
int fw_ends_of_state(fw_state state);
/* Prints "fastworker: <text>" and returns the status for err. */
int fw_ends_saying(int err, const char *text);
/* What the command returns: 0 as in FastWorker 0.3.0, if FASTWORKER_CLI_COMPAT_EXIT=1. */
int fw_ends(int status);

#endif
