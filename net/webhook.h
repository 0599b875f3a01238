/* net/webhook.h - completion notices over HTTP, sent in the background: docs/WEBHOOKS.md.
 *
 * One thread drives all transfers (libcurl's multi interface): so many at a time, and few of them
 * to one host, so a slow receiver delays only its own. A notice counts as sent when the answer is
 * 2xx. After 408, 425, 429, 5xx or a broken connection it is sent again, with growing pauses or
 * what Retry-After asks for, up to `tries` times; any other answer, a redirect too, ends it. It may
 * therefore arrive more than once, or not at all. Bounded by count and bytes: what exceeds them is
 * dropped and counted. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_WEBHOOK_H
#define FW_NET_WEBHOOK_H

#include <stdbool.h>

#include "fastworker/types.h"

enum {
    FW_WEBHOOKS_MAX = 8192,
    FW_WEBHOOK_BYTES_MAX = 64 * 1024 * 1024,
    FW_WEBHOOKS_AT_ONCE = 32,
    FW_WEBHOOKS_PER_HOST = 4
};

/* Texts are borrowed until fw_webhooks_stop. */
typedef struct fw_webhook_config {
    const char *allow;  /* patterns, net/webhook_allow.h; also of Pair0 notices */
    const char *secret; /* signs; NULL: nothing is signed */
    const char *ca;     /* authorities, a file in PEM; NULL: the system's */
    unsigned tries;     /* 0: eight */
    int64_t timeout_ns; /* of one try; 0: ten seconds */
} fw_webhook_config;

typedef struct fw_webhooks fw_webhooks;

/* 0 or -FW_ENOMEM. */
int fw_webhooks_start(fw_webhooks **out, const fw_webhook_config *config);
/* Goes on for at most limit_ns with what is due until then, then ends. NULL is accepted. */
void fw_webhooks_stop(fw_webhooks *hooks, int64_t limit_ns);

/* Copies and returns. by_name, host: what fw_allow_judge said. event: static text. Any thread. */
void fw_webhooks_post(fw_webhooks *hooks, fw_span url, bool by_name, uint64_t host,
                      const char *event, fw_span body);

typedef struct fw_webhook_stats {
    uint64_t sent, failed, retried, dropped;
    size_t waiting; /* also those that are being sent */
} fw_webhook_stats;
void fw_webhooks_snapshot(fw_webhooks *hooks, fw_webhook_stats *out);

#endif
