/* engine/baton.h - who does a job that many call for and one at a time does, without a lock.
 *
 * Whoever calls first has the baton and works; whoever calls meanwhile is counted and goes on, and
 * the holder works once more. A holder that has worked long enough lays the baton down: the next
 * caller, or whoever looks after it, picks it up.
 *
 * B1 at most one has the baton. B2 after a call, the job is done once more from its beginning by
 * somebody, or the baton lies. B3 what a caller wrote before its call is visible to that work, and
 * what one holder wrote is visible to the next. Any thread; wait-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_BATON_H
#define FW_ENGINE_BATON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "fastworker/types.h"

typedef struct fw_baton {
    _Alignas(FW_APART) fw_atomic(uint64_t) calls; /* not yet worked off; not 0: somebody has it */
    fw_atomic(bool) laid;                         /* or it lies */
} fw_baton;

/* Picks the baton up if it lies. True: the caller has it, and *seen calls are to be worked off. */
FW_MUST static inline bool fw_baton_pick(fw_baton *baton, uint64_t *seen)
{
    /* [baton-laid] seq_cst: what the last holder wrote; and whoever looks after it before it sleeps
     * sees it lie, or is told (nudge-note in timers.c). */
    if (FW_LIKELY(!fw_load_seq_cst(&baton->laid)) || !fw_swap_seq_cst(&baton->laid, false))
        return false;
    /* [baton-calls] acquire: what those callers wrote. */
    *seen = fw_load_acquire(&baton->calls);
    FW_ASSERT(*seen > 0);
    return true;
}

/* True: the caller has the baton, and *seen calls are to be worked off. */
FW_MUST static inline bool fw_baton_call(fw_baton *baton, uint64_t *seen)
{
    *seen = 1;
    /* [baton-calls] release: what we wrote, to the holder.
     * [baton-calls] acquire: what the last holder wrote. */
    return fw_add_acq_rel(&baton->calls, 1) == 0 || fw_baton_pick(baton, seen);
}

/* The holder has worked. False: nobody called meanwhile, and it has the baton no more. */
FW_MUST static inline bool fw_baton_pass(fw_baton *baton, uint64_t *seen)
{
    /* [baton-calls] release: what we wrote, to the next holder.
     * [baton-calls] acquire: what callers wrote. */
    *seen = fw_sub_acq_rel(&baton->calls, *seen) - *seen;
    return *seen > 0;
}

/* The holder goes, although calls are left. Then somebody has to look after the baton. */
static inline void fw_baton_lay(fw_baton *baton)
{
    /* [baton-laid] seq_cst: what we wrote, to who picks it up; before that one is told. */
    fw_store_seq_cst(&baton->laid, true);
}

static inline bool fw_baton_lies(const fw_baton *baton)
{
    /* [baton-laid] seq_cst: as in fw_baton_pick. */
    return fw_load_seq_cst(&baton->laid);
}

static inline bool fw_baton_is_idle(const fw_baton *baton)
{
    /* [baton-calls] acquire: what the last holder wrote. */
    return fw_load_acquire(&baton->calls) == 0;
}

#endif
