/* app/exposure.c - see app/exposure.h. Covered by tests/app/exposure_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/exposure.h"

#include <stdio.h>
#include <string.h>

#include "app/house.h"

static int refuse(const char *address)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "%.300s can be reached from other machines, and nobody would have to show a token: set "
        "FASTWORKER_TOKEN, or --token-file FILE, or say --insecure-bind",
        address);
    return fw_house_refuse(FW_EXIT_CONFIG, "start.exposed", text);
}

int fw_exposure_check(const fw_settings *s, const char *const *addresses, size_t count)
{
    if (s->token || s->insecure_bind)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (addresses[i] && !fw_net_is_loopback(addresses[i]))
            return refuse(addresses[i]);
    return 0;
}

int fw_exposure_check_control_plane(const fw_settings *s)
{
    char dashboard[300] = "";
    const char *host = s->gui_host ? s->gui_host : "127.0.0.1";
    bool six = strchr(host, ':') && host[0] != '[';
    snprintf(dashboard, sizeof dashboard, "tcp://%s%.250s%s:%d", six ? "[" : "", host,
             six ? "]" : "", (int)s->gui_port);
    const char *addresses[] = {s->base_address, s->discovery_address,
                               s->gui_enabled ? dashboard : NULL};
    return fw_exposure_check(s, addresses, sizeof addresses / sizeof addresses[0]);
}

static bool speaks_tls(const char *address)
{
    return address && strncmp(address, "tls+", 4) == 0;
}

void fw_exposure_configure(fw_net_config *config, fw_tls_config *tls, const fw_settings *s)
{
    config->token = s->token;
    config->token_exempt = (fw_net_exempt)s->token_exempt;
    *tls = (fw_tls_config){.cert = s->tls_cert,
                           .key = s->tls_key,
                           .ca = s->tls_ca,
                           .verify = (fw_tls_verify)(FW_TLS_VERIFY_NONE + s->tls_verify)};
    if (s->tls_cert || s->tls_ca || speaks_tls(s->base_address) ||
        speaks_tls(s->control_plane_address) || fw_settings_is_set(s, "tls-verify"))
        config->tls = tls;
}
