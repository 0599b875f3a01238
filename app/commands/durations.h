/* app/commands/durations.h - durations, counted by size: 32 buckets for each doubling, so that a
 * quantile is at most 3 % too large. One owner. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_DURATIONS_H
#define FW_APP_COMMANDS_DURATIONS_H

#include <stdint.h>

enum { FW_DURATIONS_BUCKETS = 60 * 32 };

typedef struct fw_durations {
    uint64_t count, buckets[FW_DURATIONS_BUCKETS];
} fw_durations; /* all zero: empty */

/* Negative durations count as 0. */
void fw_durations_add(fw_durations *durations, int64_t ns);
/* The upper end of the bucket that part (0 to 1) of all are in or below; 0: there are none. */
int64_t fw_durations_quantile(const fw_durations *durations, double part);

#endif
