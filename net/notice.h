/* net/notice.h - where completion notices go: Pair0 (net/callback) or HTTP (net/webhook), if the
 * list of allowed addresses has them. Covered by tests/app/webhook_test.py and callback_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_NOTICE_H
#define FW_NET_NOTICE_H

#include "base/atomic.h"
#include "net/callback.h"
#include "net/webhook.h"
#include "net/webhook_allow.h"

/* Of an fw_net. */
typedef struct fw_notices {
    fw_callbacks *callbacks;
    fw_webhooks *webhooks; /* NULL: no pattern is for http or https */
    fw_allow *allow;
    fw_atomic(uint64_t) callbacks_forbidden, webhooks_forbidden; /* relaxed counts */
} fw_notices;

/* config NULL: Pair0 to this machine only. 0 or -FW_E..., with a sentence in error. What was
 * started is stopped by fw_notices_stop in any case. */
int fw_notices_start(fw_notices *notices, char *error, size_t error_capacity,
                     const fw_webhook_config *config);
void fw_notices_stop(fw_notices *notices, int64_t limit_ns);

#endif
