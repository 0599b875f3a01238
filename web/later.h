/* web/later.h - answers that come later: requests that are parked until another thread answers.
 *
 * A parked request has a place; whoever got the ticket for it answers exactly once, through the web
 * thread's inbox. A place is free again when that answer has come, whether the client is still
 * there or not, so a ticket never names somebody else's request, and there are never more askers
 * than places. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_LATER_H
#define FW_WEB_LATER_H

#include "web/routes.h"

enum { FW_WEB_LATERS = 512 };

struct st_h2o_req_t;
struct st_h2o_multithread_queue_t;

/* send: sends the answer and frees it; on the web thread. NULL: no memory. */
struct fw_web_later *fw_web_later_create(void (*send)(struct st_h2o_req_t *req,
                                                      fw_web_answer *answer));
/* The thread has ended and nobody has a ticket. */
void fw_web_later_destroy(struct fw_web_later *later);

/* Web thread, all that follow. */
void fw_web_later_open(struct fw_web_later *later, struct st_h2o_multithread_queue_t *queue);
/* Answers all that are parked with 503; what comes after is dropped. */
void fw_web_later_close(struct fw_web_later *later);
/* After the close and another turn of the loop. */
void fw_web_later_leave(struct fw_web_later *later, struct st_h2o_multithread_queue_t *queue);
/* A ticket for the request being routed; later is NULL if no place is free. Taken by
 * fw_web_later_park. */
fw_web_ticket fw_web_later_ticket(struct fw_web_later *later);
/* The request is answered later, with what the router has said in `answer`. */
void fw_web_later_park(struct fw_web_later *later, fw_web_ticket ticket, struct st_h2o_req_t *req,
                       const fw_web_answer *answer);

#endif
