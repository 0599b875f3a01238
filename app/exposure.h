/* app/exposure.h - what of a server stands open to others, and what has to be shown there.
 *
 * An address that only this machine reaches may be open; any other one needs a token, unless the
 * setting insecure-bind says that this is meant. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EXPOSURE_H
#define FW_APP_EXPOSURE_H

#include "app/settings/settings.h"
#include "net/net.h"

/* addresses: tcp:// or tls+tcp://host:port, where the server will listen; NULL ones are passed
 * over. 0, or FW_EXIT_CONFIG after a line in the log that says what to set. */
int fw_exposure_check(const fw_settings *settings, const char *const *addresses, size_t count);
/* The addresses of a control plane: base, discovery, dashboard. */
int fw_exposure_check_control_plane(const fw_settings *settings);
/* Token, exemption and certificates for the network. *tls has to outlive fw_net_start. */
void fw_exposure_configure(fw_net_config *config, fw_tls_config *tls, const fw_settings *settings);

#endif
