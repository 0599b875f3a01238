/* app/workers/poller_unit.h - a poller as the other files of app/workers see it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_POLLER_UNIT_H
#define FW_APP_POLLER_UNIT_H

#include "app/workers/worker_unit.h"

struct fw_poller *fw_poller_create(unsigned most);
void fw_poller_free(struct fw_poller *poller);
/* Tasks for it, under the dispatcher's duty: answers the poll that waits, returns the rest. */
void fw_poller_send(fw_unit *unit, const fw_handout *handouts, size_t count);
/* Its unit is at its end: a poll that waits gets nothing. */
void fw_poller_close(fw_unit *unit);
/* Polls that have waited long enough, leases that have lapsed. Main thread, in a read section. */
void fw_poller_turn(fw_unit *unit, int64_t now_ns);

#endif
