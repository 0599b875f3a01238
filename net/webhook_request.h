/* net/webhook_request.h - one notice as an HTTP request, and what its answer means. Between
 * net/webhook and libcurl. The sending thread's. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_WEBHOOK_REQUEST_H
#define FW_NET_WEBHOOK_REQUEST_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/key.h"
#include "net/webhook.h"

typedef struct fw_webhook {
    struct fw_webhook *next;
    const char *event;
    bool by_name;      /* its host is allowed wherever it is */
    bool went_private; /* the last try was refused because of that */
    uint64_t host;     /* hash */
    unsigned tries;
    int64_t due_ns;
    char id[FW_UUID_TEXT + 1]; /* the same in every try */
    char *url;
    const char *body;
    size_t body_len, answered; /* bytes of the answer */
    CURL *easy;                /* while it is being sent */
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    char texts[];
} fw_webhook;

/* NULL: no memory. */
CURL *fw_webhook_request(fw_webhook *hook, const fw_webhook_config *config);
void fw_webhook_request_end(fw_webhook *hook);

typedef enum fw_webhook_outcome {
    FW_WEBHOOK_SENT,
    FW_WEBHOOK_AGAIN,
    FW_WEBHOOK_FAILED
} fw_webhook_outcome;
fw_webhook_outcome fw_webhook_judge(const fw_webhook *hook, CURLcode result, long status, char *why,
                                    size_t capacity);

#endif
