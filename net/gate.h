/* net/gate.h - who is let in, where a token is asked for.
 *
 * A connection is let in by a HELLO, or a registration, with the right token, once for all that
 * follows on it. Whoever speaks JSON may be exempt (fw_net_exempt), because Python's clients cannot
 * tell a token. Everything here is the reading thread's. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_GATE_H
#define FW_NET_GATE_H

#include "net/server.h"

#define FW_GATE_SENTENCE "not permitted: this control plane asks for a token"

/* Requests of this connection, in JSON or in frames, may be taken. */
bool fw_gate_admits_json(fw_net *net, fw_connection *connection);
bool fw_gate_admits_frames(fw_net *net, fw_connection *connection);
/* It tells a token (empty: none). => it is let in. */
bool fw_gate_present(fw_net *net, fw_connection *connection, fw_span token);
/* Something was refused: a line in the log, once per connection and not often. */
void fw_gate_complain(fw_net *net, fw_connection *connection);

#endif
