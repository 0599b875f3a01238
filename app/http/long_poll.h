/* app/http/long_poll.h - GET /api/v1/tasks/{id}: what became of a task, and waiting for its end
 * over HTTP.
 *
 * A request that waits is one of the task's waiters (app/life/waiters.h) whose answer goes to the
 * web thread instead of the network; so the end of a task wakes exactly those who wait for it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LONG_POLL_H
#define FW_APP_LONG_POLL_H

#include "app/life/lifecycle.h"

enum {
    FW_POLL_SUBMITTED = 1, /* it asks for the task that it has just handed in: one that has not
                              ended is 202 with its location */
    FW_POLL_FULL = 2       /* with what is kept beside: app/life/kept.h */
};

/* Answers what is known of the task: 200, or 404 (never seen) or 410 (its result is gone). If it
 * has not ended and wait_ns is not 0, the answer comes later, at the latest after wait_ns; at once
 * if no ticket is free. flags: FW_POLL_... */
void fw_long_poll(fw_lifecycle *life, fw_span id, int64_t wait_ns, const fw_web_ticket *ticket,
                  unsigned flags, fw_web_answer *answer);
/* Writes the same object. False: nothing is known. Any thread. */
bool fw_long_poll_show(fw_lifecycle *life, fw_key key, fw_buffer *out);
/* Answers a claimed waiter that has a ticket. view: how its task ended; NULL: its time is over. Any
 * thread. */
void fw_long_poll_answer(fw_lifecycle *life, const fw_waiter *waiter, const fw_result_view *view);

#endif
