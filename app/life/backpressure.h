/* app/life/backpressure.h - what is told to who finds the queue full: when to come again.
 *
 * The estimate is how long it takes until a sixteenth of the queue has drained at the rate of the
 * last seconds, so that those who come again do not meet the same wall. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_APP_BACKPRESSURE_H
#define FW_APP_BACKPRESSURE_H

#include <stdint.h>

#include "base/atomic.h"

struct fw_lifecycle;

typedef struct fw_backpressure {
    /* The ticking thread's. */
    int64_t sampled_ns;
    uint64_t ended;
    /* Any thread. */
    fw_atomic(double) ends_per_s;
} fw_backpressure;

enum { FW_FULL_TEXT = 64 };

/* Often; looks at the rate now and then. */
void fw_backpressure_tick(struct fw_lifecycle *life, int64_t now_ns);
/* 50 to 30,000 ms. Any thread. */
uint32_t fw_retry_after_ms(struct fw_lifecycle *life);
/* "the queue is full, try again in 250 ms"; returns out. Any thread. */
const char *fw_full_text(struct fw_lifecycle *life, char out[FW_FULL_TEXT]);

#endif
