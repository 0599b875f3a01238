/* web/events.h - event streams: who listens, on the web thread; and the routes to them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_EVENTS_H
#define FW_WEB_EVENTS_H

#include "web/events_feed.h"
#include "web/web.h"

struct st_h2o_context_t;

typedef struct fw_web_audience fw_web_audience;

/* config: second is called every second; clients_max: more are answered 503. NULL: no memory. */
fw_web_audience *fw_web_audience_create(const fw_web_config *config, unsigned clients_max);
/* The thread has ended and nobody publishes any more. */
void fw_web_audience_destroy(fw_web_audience *audience);

/* GET /api/events (all but figures) and GET /api/v1/events (all, or ?only=stats, ?only=tasks). */
fw_web_table fw_web_events_table(fw_web_audience *audience);

/* Any thread. */
fw_event_feed *fw_web_audience_feed(fw_web_audience *audience);
unsigned fw_web_audience_clients(const fw_web_audience *audience);

/* Web thread, all that follow. */
void fw_web_audience_open(fw_web_audience *audience, struct st_h2o_context_t *context);
/* Says bye to all; they leave in the turns of the loop that follow. */
void fw_web_audience_close(fw_web_audience *audience);
/* When they have left. */
void fw_web_audience_leave(fw_web_audience *audience);

#endif
