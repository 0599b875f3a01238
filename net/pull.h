/* net/pull.h - what comes in at the PULL port: first a HELLO, then tasks and orders (a
 * subworker's), or results and beats (a control plane's).
 *
 * Everything of one kind that a read brought goes up in one call. Whoever does not keep to this is
 * disconnected. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PULL_H
#define FW_NET_PULL_H

#include "net/connection.h"

/* The functions of the PULL port; port->context is the fw_net. */
ssize_t fw_pull_deliver(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                        size_t len);
void fw_pull_gone(const fw_port *port, fw_connection *connection);

#endif
