/* net/callback.h - completion notices, sent in the background (protocol 10).
 *
 * One thread, many lines: a line is an address with its notices. Per address one connection at a
 * time, because a Pair0 listener takes one peer and lets the others believe that they were heard. A
 * notice counts as sent when the connection has stood for a tenth of a second after it; if the peer
 * closes it before, it is sent again.
 *
 * Limits: FW_CALLBACK_TRIES tries per notice and per address, with growing pauses; so many notices,
 * bytes and addresses at a time. What exceeds them is counted as failed at once. A message may
 * therefore arrive more than once, and may not arrive at all. SPDX-License-Identifier: Apache-2.0
 */
#ifndef FW_NET_CALLBACK_H
#define FW_NET_CALLBACK_H

#include <stdbool.h>

#include "fastworker/types.h"

enum {
    FW_CALLBACK_TRIES = 3,
    FW_CALLBACK_LINES_MAX = 256,
    FW_CALLBACK_NOTICES_MAX = 8192,
    FW_CALLBACK_BYTES_MAX = 64 * 1024 * 1024
};

typedef struct fw_callbacks fw_callbacks;

/* 0 or -FW_ENOMEM. */
int fw_callbacks_start(fw_callbacks **out);
/* Goes on sending for at most limit_ns, then ends. NULL is accepted. */
void fw_callbacks_stop(fw_callbacks *callbacks, int64_t limit_ns);
/* Copies and returns. False: over a limit, or not a tcp:// address; counted as failed. Any thread.
 */
bool fw_callbacks_post(fw_callbacks *callbacks, fw_span address, fw_span message);
void fw_callbacks_count(fw_callbacks *callbacks, uint64_t *sent, uint64_t *failed);

#endif
