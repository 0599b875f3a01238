/* net/pylink.h - the control plane's wires to one Python subworker: REQ/REP, four ports.
 *
 * A Python subworker has one plain REP socket per priority and mixes up two requests that are open
 * at once (docs/PROTOCOL.md), so there is at most one open request per port. A connection is
 * dialed when it is first needed and kept. The request is a JSON Task, the answer a TaskResult;
 * its id is checked. Nothing is sent twice by itself: a lost connection is told, and the owner
 * decides. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PYLINK_H
#define FW_NET_PYLINK_H

#include "net/link.h"

typedef struct fw_pylink fw_pylink;

typedef struct fw_pylink_ops {
    void *context;
    /* The answer to the open request of that port. On NNG's threads, borrowed, must not block. */
    void (*result)(void *context, void *owner, fw_prio port, const fw_lease_result *result);
    /* There will be no answer: not connected within the limit, connection lost, an answer that is
     * none. sent: it may have begun to run there. The port may be used again. */
    void (*failed)(void *context, void *owner, fw_prio port, uint64_t lease, bool sent,
                   const char *why);
} fw_pylink_ops;

void fw_net_set_pylink_ops(fw_net *net, const fw_pylink_ops *ops);
/* address: the subworker's base address; ports +0 to +3. Nothing is dialed yet. NULL: no memory,
 * not an address. Any thread. */
fw_pylink *fw_pylink_open(fw_net *net, fw_span address, void *owner);
/* Closes all ports without further callbacks. Not on a thread of NNG. */
void fw_pylink_close(fw_pylink *pylink);
/* Sends one task to that port. False: a request is open there, or no memory: nothing happened. Any
 * thread, one at a time per port. assignment->task carries callback and retry fields as well: a
 * Python subworker sends the callback itself. */
bool fw_pylink_assign(fw_pylink *pylink, fw_prio port, const fw_assignment *assignment);

#endif
