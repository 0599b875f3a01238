/* net/ports.h - which ports a server has, and where they are bound.
 *
 *   control plane   B+0 .. B+3 tasks, B+4 queries, B+5 registrations; perhaps another one for
 * those; discovery + 2, or a free one, for pipes (results) subworker       S+0 .. S+3 tasks; one
 * that the system chooses for pipes (tasks)
 *
 * All or none; nothing is accepted before fw_ports_run. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PORTS_H
#define FW_NET_PORTS_H

#include "net/server.h"

/* The base address, "auto" put into words. 0 or -FW_EINVAL. */
int fw_ports_base(fw_tcp_address *out, const fw_net_config *config);
/* The request ports, and net->address. 0 or -FW_E...; then error names the address that could not
 * be had, and fw_ports_close is due. */
int fw_ports_open(fw_net *net, char *error, size_t error_capacity, const fw_net_config *config);
/* After discovery: the port of the pipes, and net->pull_address. */
int fw_ports_open_pull(fw_net *net, char *error, size_t error_capacity,
                       const fw_net_config *config);
void fw_ports_run(fw_net *net);
/* Those that are open. Connections stay. Not on a thread of NNG. */
void fw_ports_close(fw_net *net);

#endif
