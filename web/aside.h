/* web/aside.h - a second thread for answers that take long to make, so that the first one goes on.
 *
 * For routes that are FW_WEB_ASIDE. One thing at a time, in order; there are never more than there
 * are tickets. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ASIDE_H
#define FW_WEB_ASIDE_H

#include "web/routes.h"

typedef struct fw_web_aside fw_web_aside;

/* Starts the thread, with the signals of the caller. NULL: no memory, or no thread. */
fw_web_aside *fw_web_aside_create(void);
/* Waits for the answer that is being made; those that are not begun are not made. Nobody pushes any
 * more. NULL is allowed. */
void fw_web_aside_destroy(fw_web_aside *aside);
/* Has the route's handler called with a copy of the request, whose ticket is kept. False: no
 * memory. The web thread's. */
bool fw_web_aside_push(fw_web_aside *aside, const fw_web_route *route, void *context,
                       const fw_web_request *request, bool is_problem);

#endif
