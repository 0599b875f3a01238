/* net/listener.h - a listening port: accepts, for ever, whatever the peers do.
 *
 * A failed accept (no descriptors left) costs a short pause, never the port; a peer that was gone
 * already costs nothing. Connections over the limit are closed
 * at once, so that their peers know. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_LISTENER_H
#define FW_NET_LISTENER_H

#include "net/connection.h"

typedef struct fw_listener fw_listener;

/* Binds; nothing is accepted before fw_listener_run. address: tcp://host:port, port 0 for any. On
 * failure *reason is static text; -FW_EPERM: cannot bind; -FW_EINVAL: not an address; -FW_ENOMEM.
 * port stays the caller's. */
int fw_listener_create(fw_listener **out, const char **reason, const fw_port *port,
                       const char *address);
void fw_listener_run(fw_listener *listener);
/* The port number that is bound. */
unsigned fw_listener_bound(const fw_listener *listener);
/* No more connections; those that exist stay. Blocks for a running accept; not on a loop's thread.
 */
void fw_listener_destroy(fw_listener *listener);

#endif
