/* fastworker/subscribe.h - hearing what happens at a control plane: docs/EVENTS.md.
 *
 *     fw_subscription *s; fw_event_text e;
 *     if (fw_subscribe(&s, NULL, 0) < 0) errx(69, "%s", fw_client_errmsg());
 *     while (fw_subscription_next(s, -1, &e) > 0) printf("%.*s\n", (int)e.json.len, e.json.ptr);
 *     fw_subscription_close(s);
 *
 * Events are hints: who reads too slowly misses some, and what happened before is not told. Errors
 * are -FW_E...; fw_client_errmsg (fastworker/client.h) has the text. THREADS one at a time per
 * subscription. SPDX-License-Identifier: Apache-2.0 */
#ifndef FASTWORKER_SUBSCRIBE_H
#define FASTWORKER_SUBSCRIBE_H

#include "fastworker/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fw_subscription fw_subscription;

/* Borrowed until the next call. */
typedef struct fw_event_text {
    fw_span name; /* "task.succeeded" */
    fw_span json; /* an object */
} fw_event_text;

/* discovery: tcp://host:port; NULL: FASTWORKER_DISCOVERY_ADDRESS, or the default. wait_ms 0: seven
 * seconds. -FW_ENOCONN, -FW_ETIME: nobody there; -FW_EPROTO: a control plane that tells no events.
 */
FW_API int fw_subscribe(fw_subscription **out, const char *discovery, int64_t wait_ms) FW_MUST;
/* 1: an event; 0: none in wait_ms (-1: without limit), or a signal came; -FW_ENOCONN: it is over.
 */
FW_API int fw_subscription_next(fw_subscription *s, int64_t wait_ms, fw_event_text *event) FW_MUST;
/* Readable when there may be an event; for poll(2). First ask fw_subscription_next with 0. */
FW_API int fw_subscription_fd(const fw_subscription *s);
/* NULL is accepted. */
FW_API void fw_subscription_close(fw_subscription *s);

#ifdef __cplusplus
}
#endif
#endif
