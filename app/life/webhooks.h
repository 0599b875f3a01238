/* app/life/webhooks.h - who is told that a task has ended, beside those who ask: its callback, and
 * the webhook of its options. Covered by tests/app/webhook_test.py. SPDX-License-Identifier:
 * Apache-2.0
 */
#ifndef FW_APP_WEBHOOKS_H
#define FW_APP_WEBHOOKS_H

#include "app/life/lifecycle.h"
#include "app/settings/settings.h"

/* Never waits. options: of the task, checked when it was taken; may be empty. Any thread. */
void fw_notify_ended(fw_lifecycle *life, fw_span task, const fw_result_view *view, fw_span options);
/* What the network is configured with; borrowed from the settings. */
fw_webhook_config fw_webhooks_of(const fw_settings *settings);

#endif
