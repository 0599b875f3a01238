/* app/commands/free_ports.h - ports of loopback for a control plane of one's own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_FREE_PORTS_H
#define FW_APP_COMMANDS_FREE_PORTS_H

/* The first of ten neighbours on which nobody listened just now: from there on the base address
 * takes six, and discovery two from FW_DISCOVERY_OFFSET on. 0: there are none. Any thread. */
unsigned fw_free_ports(void);
enum { FW_DISCOVERY_OFFSET = 8 };

#endif
