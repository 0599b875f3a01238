/* base/latest.h - the latest value of two numbers and a short text, said by many, read by many.
 *
 * Whoever says something takes `busy`, or goes away: of two at a time one wins. He writes the place
 * that is not the latest and then publishes it by the turn.
 * L1 the place of turn t is written again only after turn t + 1 was published, so a reader that
 *    finds the same turn before and after its reading has read it whole.
 * L2 every word is stored with release and loaded with acquire: a reader that meets a word of a
 *    later turn also sees the turn before that one, and looks again.
 * Readers are held up by no writer, not even by one that sleeps. It may lie in memory that two
 * processes share; what comes out of it then has the right form and may be any value.
 * Any thread; set is wait-free, get gives up after some looks. Zeroed memory has no value.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_LATEST_H
#define FW_BASE_LATEST_H

#include <stdbool.h>

#include "base/atomic.h"
#include "fastworker/types.h"

enum { FW_LATEST_TEXT_MAX = 120, FW_LATEST_WORDS = FW_LATEST_TEXT_MAX / 8 };

typedef struct fw_latest {
    fw_atomic(uint32_t) turn; /* of the latest value, in places[turn % 2]; 0: none yet */
    fw_atomic(bool) busy;     /* somebody writes */
    struct {
        fw_atomic(uint64_t) first, second, len, text[FW_LATEST_WORDS];
    } places[2];
} fw_latest;

typedef struct fw_latest_value {
    uint64_t first, second;
    size_t len;
    char text[FW_LATEST_TEXT_MAX];
} fw_latest_value;

/* True: it was taken. The text is cut to what fits. */
bool fw_latest_set(fw_latest *latest, uint64_t first, uint64_t second, fw_span text);
/* From now on there is none, unless somebody says something at this moment. */
void fw_latest_forget(fw_latest *latest);
/* False: there is none, or it changes all the time. */
bool fw_latest_get(const fw_latest *latest, fw_latest_value *out);
/* Another number each time something was set. */
static inline uint32_t fw_latest_turn(const fw_latest *latest)
{
    /* Relaxed: a hint that get looks after. */
    return fw_load_relaxed(&latest->turn);
}

#endif
