/* web/send.h - between h2o's requests and ours: reading one, sending an answer. Web thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_SEND_H
#define FW_WEB_SEND_H

#include "web/routes.h"

struct st_h2o_req_t;

/* All but the ticket. Borrowed from req. */
void fw_web_read_request(struct st_h2o_req_t *req, fw_web_request *out);
/* Sends, or hands over to answer->take; frees the answer. */
void fw_web_send(struct st_h2o_req_t *req, fw_web_answer *answer);

#endif
