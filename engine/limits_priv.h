/* engine/limits_priv.h - limits from inside: for the dispatcher's files.
 *
 * A name that has a limit or is paused is set apart: it has a group of its own (groups.c), which is
 * held while none of it may start, and then not among the groups that are looked at. A hold ends
 * when a counted task ends, when a token or a pause's end is due, or when somebody asks; the next
 * decision holds it again if there still is no room.
 *
 * awaited-note: who ends a counted run takes it from `running` and looks at `awaited`; the duty
 * says that it waits and looks at `running` again before it holds. All are seq_cst, so one of them
 * sees the other. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_LIMITS_PRIV_H
#define FW_ENGINE_LIMITS_PRIV_H

#include "base/assert.h"
#include "base/atomic.h"
#include "engine/limits.h"
#include "engine/limits_keys.h"
#include "engine/tokens.h"

enum { FW_LIMIT_NAMES_MAX = 16384 };
/* Between looks at what is held by a rate, if its burst allows. */
#define FW_LIMIT_PACE_NS FW_NS_PER_MS

/* Made once for a name, and never freed before the end. */
typedef struct fw_limit {
    /* Immutable. */
    struct fw_limit *next;
    uint32_t name;
    /* Any thread. */
    _Alignas(FW_APART) fw_atomic(uint32_t) running; /* and counted */
    fw_atomic(bool) awaited;                        /* a run's end makes room for what is held */
    fw_atomic(bool) freed;                          /* in the list of those */
    struct fw_limit *next_freed;
    fw_atomic(fw_keyed *) keyed; /* made by the first limit per key */
    /* The duty's. */
    _Alignas(FW_APART) struct fw_group *group; /* set apart, or NULL */
    uint64_t mark;                             /* of that group */
    fw_tokens tokens;
    uint32_t max_running;
    double rate_per_s;
    int64_t paused_until_ns, due_ns;
    /* The duty's, shown. */
    fw_atomic(uint32_t) max_running_shown, burst_shown;
    fw_atomic(double) rate_shown;
    fw_atomic(int64_t) paused_shown;
    fw_atomic(bool) held_shown;
    fw_atomic(size_t) waiting[FW_LEVELS];
    fw_atomic(int64_t) oldest_wall_ns[FW_LEVELS]; /* while it is held; 0: none */
} fw_limit;

/* What somebody asked for. */
typedef struct fw_limit_wish {
    struct fw_limit_wish *next;
    enum { FW_WISH_LIMIT, FW_WISH_KEYS, FW_WISH_PAUSE } what;
    fw_pause_scope scope;
    fw_limit *limit; /* of the name, or NULL */
    uint32_t level, max_running, burst;
    double rate_per_s;
    int64_t until_ns;
} fw_limit_wish;

typedef struct fw_limits {
    /* Any thread. */
    fw_atomic(fw_limit *) of_name[FW_LIMIT_NAMES_MAX];
    fw_atomic(fw_limit *) all; /* newest first; only grows */
    _Alignas(FW_APART) fw_atomic(struct fw_limit_wish *) wishes;
    fw_atomic(fw_limit *) freed;
    fw_atomic(int64_t) alarm_ns; /* the timer thread calls for a round then; INT64_MAX: never */
    /* The duty's. */
    _Alignas(FW_APART) int64_t now_ns; /* of this round; 0: not read yet */
    int64_t due_ns;                    /* when one of them is to be looked at, at the earliest */
    int64_t all_until_ns, level_until_ns[FW_LEVELS];
    unsigned closed; /* paused levels, a bit each */
    bool used;       /* somebody has asked for something */
    fw_key_table keys;
    /* The duty's, shown. */
    fw_atomic(int64_t) all_shown, level_shown[FW_LEVELS];
} fw_limits;

struct fw_dispatch;

/* limits.c. Any thread. All wishes, oldest first, to be freed. */
fw_limit_wish *fw_limits_take_wishes(fw_limits *limits);
/* Takes one from what runs, if there is any. True: somebody waits for that. */
FW_MUST bool fw_limit_take_one(fw_limit *limit);
void fw_limits_init(fw_limits *limits);
void fw_limits_fini(fw_limits *limits);

/* holding.c. Under the duty. */
/* What was asked for, what is due, who may go on. */
void fw_limits_look(struct fw_dispatch *dispatch);
/* After giving: tells the timer thread when to call. */
void fw_limits_await(struct fw_dispatch *dispatch);
/* Nothing is held any more until the next decision. */
void fw_limits_let_go(struct fw_dispatch *dispatch);
/* How many of the name may start now. */
size_t fw_limit_room(struct fw_dispatch *dispatch, const fw_limit *limit);
/* There is no room: its group is held. False: there is some after all. */
FW_MUST bool fw_limit_hold(struct fw_dispatch *dispatch, fw_limit *limit);
/* One that was taken from its group is given out. */
void fw_limit_take(struct fw_dispatch *dispatch, fw_limit *limit);
/* The line of its key, if that counts it; NULL: none. */
fw_key_line *fw_limit_line(const fw_limit *limit);
/* Or it ended while it waited, and is not. */
void fw_limit_untake(struct fw_dispatch *dispatch, fw_limit *limit);
/* One that was given out elsewhere is back; unused: it did not run. */
void fw_limit_come_back(struct fw_dispatch *dispatch, uint32_t name, fw_key_line *line,
                        bool unused);
/* The time of this round. */
int64_t fw_limits_now(struct fw_dispatch *dispatch);

static inline fw_limit *fw_limit_of(const fw_limits *limits, uint32_t name)
{
    /* [limit-name] acquire: the limit as it was made. */
    return fw_load_acquire(&limits->of_name[name]);
}

static inline fw_keyed *fw_limit_keyed(const fw_limit *limit)
{
    /* [limit-keyed] acquire: as it was made. */
    return fw_load_acquire(&limit->keyed);
}

/* Under the duty: whether its tasks wait by key. */
static inline bool fw_limit_is_keyed(const fw_limit *limit)
{
    const fw_keyed *keyed = fw_limit_keyed(limit);
    return FW_UNLIKELY(keyed != NULL) && keyed->on;
}

static inline fw_limit *fw_limits_first(const fw_limits *limits)
{
    /* [limit-all] acquire: the limit as it was made. */
    return fw_load_acquire(&limits->all);
}

/* Whether there is anything to look at: who never asks for limits does not pay for them. */
static inline bool fw_limits_matter(const fw_limits *limits)
{
    /* Relaxed: only whether there are any; whoever put them in calls after that. */
    return limits->used || fw_load_relaxed(&limits->wishes);
}

/* The group of a limit has one more of the level, or one less. */
static inline void fw_limit_note(fw_limit *limit, unsigned level, size_t more)
{
    fw_count(&limit->waiting[level], more);
}

#endif
