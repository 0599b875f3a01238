/* net/audience.h - the connections that hear the same messages.
 *
 * A list of connection numbers under a mutex; those that are gone are dropped when they are next
 * spoken to. Any thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_AUDIENCE_H
#define FW_NET_AUDIENCE_H

#include <pthread.h>

#include "fastworker/types.h"
#include "net/exchange.h"

typedef struct fw_audience {
    fw_exchange *exchange;
    fw_atomic(unsigned) * total; /* grows and shrinks with it; or NULL */
    /* Shared, atomic: about how many there are. */
    fw_atomic(size_t) size;
    /* Under lock. */
    pthread_mutex_t lock;
    uint64_t *numbers;
    size_t count, capacity;
} fw_audience;

void fw_audience_init(fw_audience *audience, fw_exchange *exchange);
void fw_audience_fini(fw_audience *audience);
/* False: no memory. */
bool fw_audience_add(fw_audience *audience, uint64_t number);
/* To everybody who keeps up; the others miss all of it. => how many of those that are still there.
 */
size_t fw_audience_tell(fw_audience *audience, const fw_span *messages, size_t count);
static inline bool fw_audience_is_empty(fw_audience *audience)
{
    /* Relaxed: a listener that joins at this moment may miss this message. */
    return fw_load_relaxed(&audience->size) == 0;
}

#endif
