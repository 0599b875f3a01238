/* net/intake.h - turns what one read brought into calls of the owner's table.
 *
 * All requests of a read are decoded first and go up together; only what must not overtake them (a
 * query, a batch) makes them go up earlier. Whatever cannot be understood is answered at once, in
 * the shape that its asker expects. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_INTAKE_H
#define FW_NET_INTAKE_H

#include "net/connection.h"

/* The deliver function of the six request ports; port->context is the fw_net. */
ssize_t fw_intake_deliver(const fw_port *port, fw_connection *connection,
                          const unsigned char *bytes, size_t len);

#endif
