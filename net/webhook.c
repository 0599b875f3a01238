/* net/webhook.c - see net/webhook.h. Covered by tests/app/webhook_test.py.
 *
 * Posting threads touch the inbox under the lock, and ring with curl_multi_wakeup. All else is the
 * thread's: the list of notices that wait, in the order in which they came, and the table of those
 * that are being sent. SPDX-License-Identifier: Apache-2.0 */
#include "net/webhook.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/key.h"
#include "base/log.h"
#include "net/webhook_request.h"

#define PAUSE_NS     (500 * FW_NS_PER_MS) /* after the first failure; doubled each time */
#define PAUSE_MAX_NS (300 * FW_NS_PER_S)
#define AFTER_MAX_S  3600 /* of a Retry-After */
enum { TRIES = 8, IDLE_MS = 60000 };

typedef struct queue {
    fw_webhook *first, *last;
} queue;

struct fw_webhooks {
    fw_webhook_config config; /* immutable */
    pthread_t thread;
    CURLM *multi;
    /* The thread's. */
    queue waiting;
    fw_webhook *active[FW_WEBHOOKS_AT_ONCE];
    size_t active_count;
    /* Shared, relaxed counts. */
    fw_atomic(uint64_t) sent, failed, retried, dropped;
    fw_atomic(size_t) notices, bytes;
    /* Under the lock. */
    pthread_mutex_t lock;
    queue inbox;
    bool stops;
    int64_t stop_ns;
};

static void push(queue *q, fw_webhook *hook)
{
    hook->next = NULL;
    if (q->last)
        q->last->next = hook;
    else
        q->first = hook;
    q->last = hook;
}

static void settle(fw_webhooks *hooks, fw_webhook *hook, fw_atomic(uint64_t) * counter)
{
    /* Relaxed: figures and limits. */
    fw_add_relaxed(counter, 1);
    fw_sub_relaxed(&hooks->notices, 1);
    fw_sub_relaxed(&hooks->bytes, hook->body_len);
    free(hook);
}

/* --- one try --- */

static size_t count_active(const fw_webhooks *hooks, uint64_t host)
{
    size_t count = 0;
    for (size_t i = 0; i < hooks->active_count; i++)
        count += hooks->active[i]->host == host;
    return count;
}

static bool begin(fw_webhooks *hooks, fw_webhook *hook)
{
    CURL *easy = fw_webhook_request(hook, &hooks->config);
    if (!easy)
        return false;
    hook->easy = easy;
    hook->tries++;
    hooks->active[hooks->active_count++] = hook;
    if (curl_multi_add_handle(hooks->multi, easy) == CURLM_OK)
        return true;
    hooks->active_count--;
    fw_webhook_request_end(hook);
    return false;
}

/* Half of it by chance, so that many notices do not come back in step. */
static int64_t pause_ns(const fw_webhook *hook)
{
    unsigned doublings = hook->tries > 0 ? hook->tries - 1 : 0;
    int64_t ns = doublings > 10 ? PAUSE_MAX_NS : PAUSE_NS << doublings;
    if (ns > PAUSE_MAX_NS)
        ns = PAUSE_MAX_NS;
    return ns / 2 + (int64_t)(fw_key_random().low % (uint64_t)(ns / 2));
}

static void try_later(fw_webhooks *hooks, fw_webhook *hook, int64_t after_s)
{
    int64_t wait_ns = pause_ns(hook), asked_ns;
    if (after_s > AFTER_MAX_S)
        after_s = AFTER_MAX_S;
    asked_ns = after_s * FW_NS_PER_S;
    hook->due_ns = fw_now_ns() + (asked_ns > wait_ns ? asked_ns : wait_ns);
    /* Relaxed: a figure. */
    fw_add_relaxed(&hooks->retried, 1);
    push(&hooks->waiting, hook);
}

static void finish(fw_webhooks *hooks, fw_webhook *hook, CURLcode result)
{
    long status = 0;
    curl_off_t after_s = 0;
    char why[CURL_ERROR_SIZE + 32];
    curl_easy_getinfo(hook->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(hook->easy, CURLINFO_RETRY_AFTER, &after_s);
    fw_webhook_outcome outcome = fw_webhook_judge(hook, result, status, why, sizeof why);
    fw_webhook_request_end(hook);
    unsigned most = hooks->config.tries ? hooks->config.tries : TRIES;
    if (outcome == FW_WEBHOOK_SENT) {
        settle(hooks, hook, &hooks->sent);
    } else if (outcome == FW_WEBHOOK_AGAIN && hook->tries < most) {
        try_later(hooks, hook, after_s);
    } else {
        fw_log(FW_LOG_WARN, "webhook.failed", "%.200s: %s, given up after %u tr%s", hook->url, why,
               hook->tries, hook->tries == 1 ? "y" : "ies");
        settle(hooks, hook, &hooks->failed);
    }
}

static void finish_all(fw_webhooks *hooks)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(hooks->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        size_t at = 0;
        while (at < hooks->active_count && hooks->active[at]->easy != message->easy_handle)
            at++;
        FW_ASSERT(at < hooks->active_count);
        fw_webhook *hook = hooks->active[at];
        hooks->active[at] = hooks->active[--hooks->active_count];
        curl_multi_remove_handle(hooks->multi, hook->easy);
        finish(hooks, hook, result);
    }
}

/* Begins what is due and finds a place. => when the next one is due. */
static int64_t begin_all(fw_webhooks *hooks)
{
    int64_t now_ns = fw_now_ns(), due_ns = INT64_MAX;
    queue all = hooks->waiting;
    hooks->waiting = (queue){NULL, NULL};
    for (fw_webhook *hook = all.first, *next; hook; hook = next) {
        next = hook->next;
        bool due = hook->due_ns <= now_ns;
        bool room = hooks->active_count < FW_WEBHOOKS_AT_ONCE &&
                    (!due || count_active(hooks, hook->host) < FW_WEBHOOKS_PER_HOST);
        if (!due && hook->due_ns < due_ns)
            due_ns = hook->due_ns;
        if (!due || !room)
            push(&hooks->waiting, hook);
        else if (!begin(hooks, hook))
            settle(hooks, hook, &hooks->failed);
    }
    return due_ns;
}

/* --- the thread --- */

/* Those that are not due before the end will not be sent. */
static void give_up(fw_webhooks *hooks, int64_t after_ns)
{
    queue all = hooks->waiting;
    hooks->waiting = (queue){NULL, NULL};
    for (fw_webhook *hook = all.first, *next; hook; hook = next) {
        next = hook->next;
        if (hook->due_ns > after_ns)
            settle(hooks, hook, &hooks->failed);
        else
            push(&hooks->waiting, hook);
    }
}

static void abort_all(fw_webhooks *hooks)
{
    while (hooks->active_count > 0) {
        fw_webhook *hook = hooks->active[--hooks->active_count];
        curl_multi_remove_handle(hooks->multi, hook->easy);
        fw_webhook_request_end(hook);
        settle(hooks, hook, &hooks->failed);
    }
    give_up(hooks, -1);
}

/* False: the end has come. */
static bool take_inbox(fw_webhooks *hooks, int64_t *stop_ns)
{
    pthread_mutex_lock(&hooks->lock);
    queue inbox = hooks->inbox;
    hooks->inbox = (queue){NULL, NULL};
    bool stops = hooks->stops;
    *stop_ns = stops ? hooks->stop_ns : INT64_MAX;
    pthread_mutex_unlock(&hooks->lock);
    for (fw_webhook *hook = inbox.first, *next; hook; hook = next) {
        next = hook->next;
        push(&hooks->waiting, hook);
    }
    if (!stops)
        return true;
    give_up(hooks, *stop_ns);
    return (hooks->waiting.first || hooks->active_count > 0) && fw_now_ns() < *stop_ns;
}

static void wait_for_more(fw_webhooks *hooks, int64_t until_ns)
{
    int64_t left_ms = IDLE_MS, left_ns = until_ns - fw_now_ns();
    if (until_ns != INT64_MAX && left_ns < IDLE_MS * FW_NS_PER_MS)
        left_ms = left_ns > 0 ? left_ns / FW_NS_PER_MS + 1 : 0;
    curl_multi_poll(hooks->multi, NULL, 0, (int)left_ms, NULL);
}

static void *run(void *argument)
{
    fw_webhooks *hooks = argument;
    int64_t stop_ns;
    int running;
    pthread_setname_np(pthread_self(), "fw-webhooks");
    while (take_inbox(hooks, &stop_ns)) {
        int64_t due_ns = begin_all(hooks);
        curl_multi_perform(hooks->multi, &running);
        size_t before = hooks->active_count;
        finish_all(hooks);
        if (hooks->active_count < before)
            continue; /* there is a place for others */
        wait_for_more(hooks, due_ns < stop_ns ? due_ns : stop_ns);
    }
    abort_all(hooks);
    return NULL;
}

/* --- the door --- */

int fw_webhooks_start(fw_webhooks **out, const fw_webhook_config *config)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -FW_ENOMEM;
    fw_webhooks *hooks = calloc(1, sizeof *hooks);
    CURLM *multi = hooks ? curl_multi_init() : NULL;
    if (multi) {
        hooks->config = *config;
        hooks->multi = multi;
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)FW_WEBHOOKS_AT_ONCE);
        FW_ASSERT(pthread_mutex_init(&hooks->lock, NULL) == 0);
        if (pthread_create(&hooks->thread, NULL, run, hooks) == 0) {
            *out = hooks;
            return 0;
        }
        pthread_mutex_destroy(&hooks->lock);
        curl_multi_cleanup(multi);
    }
    free(hooks);
    curl_global_cleanup();
    return -FW_ENOMEM;
}

void fw_webhooks_stop(fw_webhooks *hooks, int64_t limit_ns)
{
    if (!hooks)
        return;
    pthread_mutex_lock(&hooks->lock);
    hooks->stops = true;
    hooks->stop_ns = fw_now_ns() + limit_ns;
    pthread_mutex_unlock(&hooks->lock);
    curl_multi_wakeup(hooks->multi);
    FW_ASSERT(pthread_join(hooks->thread, NULL) == 0);
    FW_ASSERT(!hooks->waiting.first && hooks->active_count == 0);
    for (fw_webhook *hook = hooks->inbox.first, *next; hook; hook = next) {
        next = hook->next;
        free(hook);
    }
    curl_multi_cleanup(hooks->multi);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
    curl_global_cleanup();
}

void fw_webhooks_post(fw_webhooks *hooks, fw_span url, bool by_name, uint64_t host,
                      const char *event, fw_span body)
{
    /* Relaxed: limits; a few more under contention do no harm. */
    bool room = fw_load_relaxed(&hooks->notices) < FW_WEBHOOKS_MAX &&
                fw_load_relaxed(&hooks->bytes) + body.len <= FW_WEBHOOK_BYTES_MAX;
    fw_webhook *hook = room ? malloc(sizeof *hook + url.len + 1 + body.len) : NULL;
    if (!hook) {
        fw_add_relaxed(&hooks->dropped, 1);
        return;
    }
    *hook = (fw_webhook){.event = event, .by_name = by_name, .host = host, .body_len = body.len};
    fw_key_format(hook->id, fw_key_random());
    hook->url = hook->texts;
    hook->body = hook->texts + url.len + 1;
    memcpy(hook->texts, url.ptr, url.len);
    hook->texts[url.len] = '\0';
    memcpy(hook->texts + url.len + 1, body.ptr, body.len);
    fw_add_relaxed(&hooks->notices, 1);
    fw_add_relaxed(&hooks->bytes, body.len);
    pthread_mutex_lock(&hooks->lock);
    push(&hooks->inbox, hook);
    pthread_mutex_unlock(&hooks->lock);
    curl_multi_wakeup(hooks->multi);
}

void fw_webhooks_snapshot(fw_webhooks *hooks, fw_webhook_stats *out)
{
    /* Relaxed: figures to be shown. */
    *out = (fw_webhook_stats){.sent = fw_load_relaxed(&hooks->sent),
                              .failed = fw_load_relaxed(&hooks->failed),
                              .retried = fw_load_relaxed(&hooks->retried),
                              .dropped = fw_load_relaxed(&hooks->dropped),
                              .waiting = fw_load_relaxed(&hooks->notices)};
}
