/* base/types.c - the words of fastworker/types.h.
 *
 * Tables indexed by the enums; parsing is exact, as the wire asks for. SPDX-License-Identifier:
 * Apache-2.0 */
#include "fastworker/types.h"

#include <string.h>

#include "base/assert.h"

static const char *const prio_words[FW_LEVELS] = {"critical", "high", "normal", "low"};
static const char *const state_words[FW_UNKNOWN + 1] = {
    "pending", "queued",  "scheduled", "assigned",  "running",
    "success", "failure", "retrying",  "cancelled", "unknown",
};
static const char *const error_words[] = {
    "no error",
    "invalid argument",
    "out of memory",
    "time limit passed",
    "refused for now: a limit is reached",
    "larger than the limit",
    "no task of that name",
    "unknown id",
    "already there",
    "not reachable",
    "not permitted: token",
    "the peer speaks another protocol",
    "cancelled",
    "closed",
    "built against another version",
    "not permitted by the system",
    "try again",
    "known once, but its result is gone",
};
_Static_assert(sizeof(error_words) / sizeof(error_words[0]) == FW_EEXPIRED + 1,
               "a text for each error");

const char *fw_prio_name(fw_prio prio)
{
    FW_ASSERT((unsigned)prio < FW_LEVELS);
    return prio_words[prio];
}

const char *fw_state_name(fw_state state)
{
    FW_ASSERT((unsigned)state <= FW_UNKNOWN);
    return state_words[state];
}

static int find_word(const char *const *words, int count, fw_span text)
{
    for (int i = 0; i < count; i++) {
        if (strlen(words[i]) == text.len && memcmp(words[i], text.ptr, text.len) == 0)
            return i;
    }
    return -1;
}

int fw_prio_parse(fw_span text)
{
    return find_word(prio_words, FW_LEVELS, text);
}

int fw_state_parse(fw_span text)
{
    return find_word(state_words, FW_UNKNOWN, text);
}

const char *fw_version(void)
{
    return FW_VERSION;
}

const char *fw_strerror(int err)
{
    int number = err < 0 ? -err : err;
    return number <= FW_EEXPIRED ? error_words[number] : "unknown error";
}
