/* engine/tokens.h - a rate with a burst: so many at once, then one each interval.
 *
 * A bucket of tokens told by one number: the moment at which it is full again. Pure; the caller
 * brings the time. Covered by tests/engine/tokens_test.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_TOKENS_H
#define FW_ENGINE_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

typedef struct fw_tokens {
    int64_t interval_ns; /* 0: no limit */
    int64_t burst;
    int64_t full_ns; /* when it is full again */
} fw_tokens;

#define FW_RATE_MAX 1e9 /* a second */
#define FW_RATE_MIN 1e-6

/* False: not a rate. burst 0: what comes in a tenth of a second, at least 1. A bucket that is in
 * use goes on with the tokens that it lacks. */
static inline bool fw_tokens_set(fw_tokens *tokens, double rate_per_s, uint32_t burst,
                                 int64_t now_ns)
{
    if (rate_per_s == 0) {
        *tokens = (fw_tokens){0};
        return true;
    }
    if (!(rate_per_s >= FW_RATE_MIN && rate_per_s <= FW_RATE_MAX))
        return false;
    int64_t interval_ns = (int64_t)((double)FW_NS_PER_S / rate_per_s + 0.5);
    int64_t most = burst > 0 ? (int64_t)burst : (int64_t)(rate_per_s / 10);
    most = most > 0 ? most : 1;
    if (most > INT64_MAX / 4 / interval_ns)
        return false;
    tokens->interval_ns = interval_ns;
    tokens->burst = most;
    if (tokens->full_ns > now_ns + most * interval_ns)
        tokens->full_ns = now_ns + most * interval_ns;
    return true;
}

/* How many may go now. */
static inline size_t fw_tokens_room(const fw_tokens *tokens, int64_t now_ns)
{
    if (tokens->interval_ns == 0)
        return SIZE_MAX;
    if (tokens->full_ns <= now_ns)
        return (size_t)tokens->burst;
    int64_t missing = (tokens->full_ns - now_ns + tokens->interval_ns - 1) / tokens->interval_ns;
    return missing < tokens->burst ? (size_t)(tokens->burst - missing) : 0;
}

/* There is room. */
static inline void fw_tokens_take(fw_tokens *tokens, int64_t now_ns)
{
    if (tokens->interval_ns > 0)
        tokens->full_ns =
            (tokens->full_ns > now_ns ? tokens->full_ns : now_ns) + tokens->interval_ns;
}

/* One that was taken was not used. */
static inline void fw_tokens_give_back(fw_tokens *tokens)
{
    tokens->full_ns -= tokens->interval_ns;
}

/* From when on it is worth looking again, when there is no room: there is a token then, or what
 * comes in `pace_ns`, if the burst is more than that. */
static inline int64_t fw_tokens_due(const fw_tokens *tokens, int64_t pace_ns)
{
    int64_t wanted = pace_ns / tokens->interval_ns;
    wanted = wanted < 1 ? 1 : wanted;
    /* Half the burst, so that one who comes late finds none spilt. */
    if (wanted > (tokens->burst + 1) / 2)
        wanted = (tokens->burst + 1) / 2;
    return tokens->full_ns - (tokens->burst - wanted) * tokens->interval_ns;
}

#endif
