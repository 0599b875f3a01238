/* net/webhook_request.c - see net/webhook_request.h. Covered by tests/app/webhook_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/webhook_request.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/webhook_allow.h"
#include "net/webhook_sign.h"

#define TIMEOUT_NS (10 * FW_NS_PER_S)
enum { ANSWER_MAX = 64 * 1024 };

/* What a receiver says is not read, and not without end. */
static size_t pass_over(char *bytes, size_t size, size_t count, void *context)
{
    fw_webhook *hook = context;
    (void)bytes;
    hook->answered += size * count;
    return hook->answered <= ANSWER_MAX ? size * count : 0;
}

/* The name has been looked up: the last moment to see where the connection would really go. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    fw_webhook *hook = context;
    (void)purpose;
    if (!hook->by_name && fw_socket_is_private(&to->addr)) {
        hook->went_private = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool add_header(fw_webhook *hook, const char *name, const char *value)
{
    char line[256];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *more = curl_slist_append(hook->headers, line);
    if (more)
        hook->headers = more;
    return more != NULL;
}

static bool write_headers(fw_webhook *hook, const char *secret)
{
    char number[16], signature[FW_SIGNATURE_TEXT];
    snprintf(number, sizeof number, "%u", hook->tries + 1);
    bool good = add_header(hook, "Content-Type", "application/json") &&
                add_header(hook, "X-FastWorker-Event", hook->event) &&
                add_header(hook, "X-FastWorker-Id", hook->id) &&
                add_header(hook, "X-FastWorker-Try", number);
    if (!good || !secret)
        return good;
    fw_span body = {hook->body, hook->body_len}, key = {secret, strlen(secret)};
    return fw_webhook_sign(signature, key, fw_wall_ns() / FW_NS_PER_S, body) == 0 &&
           add_header(hook, "X-FastWorker-Signature", signature);
}

/* Nothing that the receiver, the environment or a file says changes where it goes. */
static void confine(CURL *easy, fw_webhook *hook, const fw_webhook_config *config)
{
    int64_t timeout_ns = config->timeout_ns > 0 ? config->timeout_ns : TIMEOUT_NS;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, hook);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / FW_NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(timeout_ns / FW_NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (config->ca) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

CURL *fw_webhook_request(fw_webhook *hook, const fw_webhook_config *config)
{
    hook->headers = NULL;
    hook->answered = 0;
    hook->went_private = false;
    hook->error[0] = '\0';
    CURL *easy = curl_easy_init();
    if (!easy || !write_headers(hook, config->secret)) {
        curl_slist_free_all(hook->headers);
        curl_easy_cleanup(easy);
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_URL, hook->url);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, hook->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)hook->body_len);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, hook->headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "FastWorker/" FW_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, pass_over);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, hook);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, hook->error);
    confine(easy, hook, config);
    return easy;
}

void fw_webhook_request_end(fw_webhook *hook)
{
    curl_easy_cleanup(hook->easy);
    curl_slist_free_all(hook->headers);
    hook->easy = NULL;
    hook->headers = NULL;
}

fw_webhook_outcome fw_webhook_judge(const fw_webhook *hook, CURLcode result, long status, char *why,
                                    size_t capacity)
{
    if (hook->went_private && status == 0) {
        snprintf(why, capacity,
                 "its host is in a private network, and not named in callback-allow");
        return FW_WEBHOOK_FAILED;
    }
    if (status == 0) {
        snprintf(why, capacity, "%s", hook->error[0] ? hook->error : curl_easy_strerror(result));
        /* A certificate does not become a good one by waiting. */
        return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_URL_MALFORMAT ||
                       result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_SSL_CACERT_BADFILE
                   ? FW_WEBHOOK_FAILED
                   : FW_WEBHOOK_AGAIN;
    }
    snprintf(why, capacity, "status %ld%s", status,
             status >= 300 && status < 400 ? ", a redirect, is not followed" : "");
    if (status >= 200 && status < 300)
        return FW_WEBHOOK_SENT;
    return status == 408 || status == 425 || status == 429 || status >= 500 ? FW_WEBHOOK_AGAIN
                                                                            : FW_WEBHOOK_FAILED;
}
