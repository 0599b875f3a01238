/* app/commands/connect.c - see app/commands/connect.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"

int fw_ends_of_error(int err)
{
    switch (err < 0 ? -err : err) {
    case 0:
        return FW_ENDS_WELL;
    case FW_EINVAL:
        return FW_ENDS_USAGE;
    case FW_ENOTASK:
        return FW_ENDS_FAILURE;
    case FW_EUNKNOWN:
    case FW_EEXPIRED:
        return FW_ENDS_UNKNOWN;
    case FW_ETIME:
        return FW_ENDS_LATE;
    case FW_ECANCELLED:
        return FW_ENDS_CANCELLED;
    case FW_ENOCONN:
        return FW_ENDS_NOBODY;
    case FW_EFULL:
    case FW_EAGAIN:
        return FW_ENDS_REFUSED;
    case FW_EPROTO:
        return FW_ENDS_PROTOCOL;
    case FW_EAUTH:
    case FW_EPERM:
        return FW_ENDS_FORBIDDEN;
    default:
        return FW_ENDS_OTHERWISE;
    }
}

int fw_ends_of_state(fw_state state)
{
    switch (state) {
    case FW_SUCCESS:
        return FW_ENDS_WELL;
    case FW_FAILURE:
        return FW_ENDS_FAILURE;
    case FW_CANCELLED:
        return FW_ENDS_CANCELLED;
    case FW_UNKNOWN:
        return FW_ENDS_UNKNOWN;
    default:
        return FW_ENDS_LATE;
    }
}

int fw_ends_saying(int err, const char *text)
{
    fprintf(stderr, "fastworker: %s\n", text);
    return fw_ends_of_error(err);
}

int fw_ends(int status)
{
    const char *compatible = getenv("FASTWORKER_CLI_COMPAT_EXIT");
    bool handled = status != FW_ENDS_USAGE && status < 128;
    return compatible != NULL && strcmp(compatible, "1") == 0 && handled ? FW_ENDS_WELL : status;
}

int fw_connect(fw_client **out, fw_options *options, int retries, int in_flight)
{
    if (getenv("FASTWORKER_RETRIES") != NULL)
        retries = 0; /* then the client reads it */
    const char *token_file = fw_options_text(options, "token-file");
    if (token_file != NULL) {
        /* The client reads it; what is said goes before what stands in the environment. */
        unsetenv("FASTWORKER_TOKEN");
        setenv("FASTWORKER_TOKEN_FILE", token_file, 1);
    }
    const fw_client_options all = {.size = sizeof(all),
                                   .tls_ca = fw_options_text(options, "tls-ca"),
                                   .tls_cert = fw_options_text(options, "tls-cert"),
                                   .tls_key = fw_options_text(options, "tls-key"),
                                   .tls_verify = fw_options_text(options, "tls-verify"),
                                   .control_plane =
                                       fw_options_text(options, "control-plane-address"),
                                   .discovery = fw_options_text(options, "discovery-address"),
                                   .retries = retries,
                                   .in_flight = in_flight};
    int rc = fw_client_open(out, &all);
    if (rc == 0)
        return 0;
    fprintf(stderr, "fastworker: %s\n", fw_client_errmsg());
    return rc == -FW_ETIME ? FW_ENDS_NOBODY : fw_ends_of_error(rc);
}
