/* net/notice.c - see net/notice.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/message_json.h"
#include "net/server.h"

static const char allow_default[] = "tcp://127.0.0.1:* tcp://localhost:* tcp://[::1]:*";

int fw_notices_start(fw_notices *notices, char *error, size_t error_capacity,
                     const fw_webhook_config *config)
{
    int rc = fw_callbacks_start(&notices->callbacks);
    if (rc < 0) {
        snprintf(error, error_capacity, "%s", fw_strerror(rc));
        return rc;
    }
    const char *patterns = config && config->allow ? config->allow : allow_default;
    rc = fw_allow_create(&notices->allow, error, error_capacity, patterns);
    if (rc < 0 || !config || !fw_allow_has_http(notices->allow))
        return rc;
    rc = fw_webhooks_start(&notices->webhooks, config);
    if (rc < 0)
        snprintf(error, error_capacity, "no thread for webhooks");
    return rc;
}

void fw_notices_stop(fw_notices *notices, int64_t limit_ns)
{
    int64_t until_ns = fw_now_ns() + limit_ns;
    fw_webhooks_stop(notices->webhooks, limit_ns);
    int64_t left_ns = until_ns - fw_now_ns();
    fw_callbacks_stop(notices->callbacks, left_ns > 0 ? left_ns : 0);
    fw_allow_destroy(notices->allow);
    notices->webhooks = NULL;
    notices->callbacks = NULL;
    notices->allow = NULL;
}

static bool is_http(fw_span address)
{
    return (address.len > 7 && strncasecmp(address.ptr, "http://", 7) == 0) ||
           (address.len > 8 && strncasecmp(address.ptr, "https://", 8) == 0);
}

static void forbid(fw_atomic(uint64_t) * counter, fw_span address)
{
    /* Relaxed: a figure. */
    fw_add_relaxed(counter, 1);
    fw_log(FW_LOG_WARN, "callback.forbidden",
           "%.*s: not in callback-allow, the notice is not sent (docs/WEBHOOKS.md)",
           (int)(address.len < 200 ? address.len : 200), address.ptr);
}

static const char *event_of(fw_state status)
{
    return status == FW_SUCCESS     ? "task.succeeded"
           : status == FW_CANCELLED ? "task.cancelled"
                                    : "task.failed";
}

void fw_net_webhook(fw_net *net, fw_span url, fw_span task, const fw_result_view *result)
{
    static const char open[] = "{\"event\": \"";
    uint64_t host = 0;
    fw_notices *notices = &net->notices;
    fw_allowed allowed = fw_allow_judge(notices->allow, url, &host);
    fw_gather *gather = fw_egress_mine(&net->exchange);
    if (allowed == FW_ALLOWED_NOT || !notices->webhooks) {
        forbid(&notices->webhooks_forbidden, url);
        return;
    }
    if (!gather)
        return;
    const char *event = event_of(result->status);
    fw_buffer *text = fw_gather_text(gather);
    fw_buffer body = {0};
    fw_json_write_callback(text, result);
    fw_buffer_add(&body, open, sizeof open - 1);
    fw_buffer_format(&body, "%s\", \"task\": ", event);
    fw_buffer_json_string(&body, task);
    fw_buffer_text(&body, ", ");
    /* Without its opening brace. */
    if (!text->failed)
        fw_buffer_add(&body, text->data + 1, text->len - 1);
    if (!text->failed && !body.failed)
        fw_webhooks_post(notices->webhooks, url, allowed == FW_ALLOWED_BY_NAME, host, event,
                         (fw_span){body.data, body.len});
    fw_buffer_fini(&body);
}

static void post_pair(fw_net *net, fw_span address, const fw_result_view *result)
{
    fw_gather *gather = fw_egress_mine(&net->exchange);
    if (fw_allow_judge(net->notices.allow, address, NULL) == FW_ALLOWED_NOT) {
        forbid(&net->notices.callbacks_forbidden, address);
        return;
    }
    if (!gather)
        return;
    fw_buffer *text = fw_gather_text(gather);
    fw_json_write_callback(text, result);
    fw_callbacks_post(net->notices.callbacks, address,
                      (fw_span){text->data, text->failed ? 0 : text->len});
}

void fw_net_callback(fw_net *net, fw_span task, const fw_result_view *result)
{
    fw_scratch scratch = {NULL};
    fw_span address, data;
    if (fw_json_callback_read(&address, &data, &scratch, result->callback)) {
        if (is_http(address))
            fw_net_webhook(net, address, task, result);
        else
            post_pair(net, address, result);
    }
    fw_scratch_fini(&scratch);
}
