/* app/workers/poller.h - subworkers that come and ask: tasks over HTTP, for programs in any
 * language.
 *
 *   poll ──▶ unit with one place, paused but while a poll waits ──send──▶ the poll's answer
 *   complete, fail, release ──▶ lease claimed ──▶ the task's end, or back into the queue
 *
 * A poller is a unit (app/workers) without a wire: what it may have in hand (`most`) are its slots.
 * Each task that it is given is under a lease that lapses unless it is renewed (beat); then the
 * task is lost as if a connection had gone, and others run it. A lease is named by a text that
 * nobody else's lease has, nor one of an earlier run of this program.
 *
 * Any thread, all but the turn. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_POLLER_H
#define FW_APP_POLLER_H

#include "app/workers/workers.h"
#include "base/json.h"
#include "web/web.h"

enum { FW_POLL_MOST = 256, FW_LEASE_TEXT = 48 };

typedef struct fw_poll {
    fw_span worker; /* its id */
    fw_json tasks;  /* array of names; INVALID: whatever there is */
    unsigned most;  /* in hand at once, 1 to FW_POLL_MOST */
    int64_t wait_ns, lease_ns;
    const char *peer; /* address, to be shown */
} fw_poll;

/* Takes the ticket, which is answered with tasks, or with none when the wait is over. False: error
 * says why not, 409 or 503; the ticket is the caller's. */
bool fw_poller_poll(fw_workers *workers, const fw_poll *poll, const fw_web_ticket *ticket,
                    int *status, char *error, size_t error_capacity);

/* Ends a lease: with what its task came to (SUCCESS and a result, or FAILURE, an error, and what
 * shall follow it), or NULL: it has not run, and goes back into the queue. False: there is no such
 * lease (any more). */
bool fw_poller_end(fw_workers *workers, fw_span lease, const fw_result_view *end);
/* Renews a lease. progress: how far its task is; NULL: not told. *cancel: its task shall be ended.
 * False: as above. */
bool fw_poller_beat(fw_workers *workers, fw_span lease, const fw_progress_view *progress,
                    bool *cancel, int64_t *lease_ns);

#endif
