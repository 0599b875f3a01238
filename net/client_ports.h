/* net/client_ports.h - which ports of Python control planes have a request open in this process.
 *
 * A Python control plane answers a port's latest request with whatever finishes first, so two open
 * requests on one port get each other's results. All clients of a process therefore share this
 * table: a port has one owner at a time. Any thread; a short lock. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_NET_CLIENT_PORTS_H
#define FW_NET_CLIENT_PORTS_H

#include <stdbool.h>

#include "net/client_address.h"

/* True: the port is the owner's now (or was already). False: somebody else's, or the table is full.
 */
bool fw_port_take(const fw_address *address, const void *owner);
/* Nothing happens if it is not the owner's. */
void fw_port_give_back(const fw_address *address, const void *owner);

#endif
