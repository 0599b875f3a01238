/* engine/ages.h - how long the head of a queue has waited, without a time stamp in every cell.
 *
 * One thread notes now and then how many pieces had been pushed. A piece that is the n-th ever
 * pushed was there at every mark whose count is above n, so the oldest such mark says how long it
 * has waited at least. Bounded: when the marks run out every second one is dropped, so old ages
 * become coarser, by a few percent. One caller at a time. Time is an argument.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_AGES_H
#define FW_ENGINE_AGES_H

#include <stdint.h>

enum { FW_AGE_MARKS = 64 };

typedef struct fw_age_mark {
    int64_t when_ns;
    uint64_t pushed;
} fw_age_mark;

typedef struct fw_ages {
    unsigned count;
    fw_age_mark marks[FW_AGE_MARKS]; /* both fields grow */
} fw_ages;

/* Marks `pushed` at now_ns and returns how long the piece number `popped` has waited; 0 when there
 * is none. */
int64_t fw_ages_mark(fw_ages *ages, int64_t now_ns, uint64_t pushed, uint64_t popped);

#endif
