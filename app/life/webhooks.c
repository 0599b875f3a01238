/* app/life/webhooks.c - see app/life/webhooks.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/webhooks.h"

#include "app/life/task_options.h"

void fw_notify_ended(fw_lifecycle *life, fw_span task, const fw_result_view *view, fw_span options)
{
    char error[FW_TASK_OPTIONS_ERROR];
    fw_task_options wishes;
    /* Who tries a task has no network. */
    if (!life->net)
        return;
    if (view->callback.len > 0)
        fw_net_callback(life->net, task, view);
    if (options.len > 0 && fw_task_options_read(&wishes, options, error) && wishes.webhook.len > 0)
        fw_net_webhook(life->net, wishes.webhook, task, view);
}

fw_webhook_config fw_webhooks_of(const fw_settings *s)
{
    return (fw_webhook_config){.allow = s->callback_allow,
                               .secret = s->webhook_secret,
                               .ca = s->webhook_ca,
                               .tries = (unsigned)s->webhook_tries,
                               .timeout_ns = s->webhook_timeout_ns};
}
