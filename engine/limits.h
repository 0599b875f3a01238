/* engine/limits.h - how many tasks of a name run at once and how often they start; pauses.
 *
 * A name may have a limit: at most so many running at once, over all places, or so many starts per
 * second with a burst. A name, a level, or everything may be paused, for a time or until it is
 * resumed. Tasks that may not start wait in the dispatcher, in their order, and are QUEUED: they
 * can be cancelled, and other tasks go past them as if they were not there.
 *
 * A name may also have a limit that holds for each key of its tasks by itself: with one running per
 * key, tasks of the same key and level run one after the other in their order, and different keys
 * beside each other. Keys take turns. Tasks without a key are not limited by it. FW_LIMIT_KEYS_MAX
 * keys have lines of their own at once; what is beyond that shares some with others, and
 * waits for them as well.
 *
 * Only what the dispatcher gives out is counted, so the first limit or pause makes all tasks go by
 * way of it from then on (dispatch.h), as a place that comes does; before, limits cost nothing.
 * What was given out before a limit was set is not counted. What was given out before a pause runs
 * (of the own pool's tasks about 2 ms' worth). In hand counts as running; of a run
 * that has passed its deadline, until whoever runs it is through with it.
 *
 * An engine that drains does not wait for what is paused longer than that.
 *
 * All doors: any thread; fw_dispatch_init came before. What is asked for is in force when
 * a call returns, or as soon as the thread that gives tasks out comes to it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_LIMITS_H
#define FW_ENGINE_LIMITS_H

#include "engine/engine.h"

/* Instead of the limits that the name had. max_running 0: any number. rate_per_s 0: as often as one
 * likes, otherwise 1e-6 to 1e9; burst: so many at once after a pause, 0: what comes in a
 * tenth of a second, at least 1. 0, -FW_EINVAL or -FW_ENOMEM. */
FW_MUST int fw_limit_set(fw_engine *engine, uint32_t name, uint32_t max_running, double rate_per_s,
                         uint32_t burst);

/* The same for each key of the name. -FW_EFULL: FW_LIMIT_KEYED_MAX names had one. What key a task
 * has, at most FW_ID_MAX bytes, is told by this, any thread, before the first limit per key; an
 * empty one is none. The function is called under the duty. */
enum { FW_LIMIT_KEYS_MAX = 49151, FW_LIMIT_KEYED_MAX = 1024 };
void fw_limit_key_by(fw_engine *engine, fw_span (*key_of)(void *context, fw_task *task),
                     void *context);
FW_MUST int fw_limit_set_keys(fw_engine *engine, uint32_t name, uint32_t max_running,
                              double rate_per_s, uint32_t burst);

typedef enum fw_pause_scope {
    FW_PAUSE_ALL = 0, /* to end this one ends those of levels and names as well */
    FW_PAUSE_LEVEL,
    FW_PAUSE_NAME
} fw_pause_scope;
#define FW_PAUSE_FOREVER INT64_MAX

/* `which`: the level or the name. until_ns: by fw_now_ns; 0: ends the pause. Each scope is paused
 * by itself: what two pauses cover goes on when both have ended. 0, -FW_EINVAL or -FW_ENOMEM. */
FW_MUST int fw_limit_pause(fw_engine *engine, fw_pause_scope scope, uint32_t which,
                           int64_t until_ns);

/* A name with a limit or a pause. Figures. */
typedef struct fw_limit_view {
    uint32_t name, max_running, burst;
    double rate_per_s;
    int64_t paused_until_ns; /* 0: not paused */
    size_t waiting[FW_LEVELS];
    uint32_t running;                    /* in hand */
    bool held;                           /* what waits may not start now */
    uint32_t key_max_running, key_burst; /* of each key */
    double key_rate_per_s;
    size_t keys;          /* in use */
    uint64_t keys_shares; /* tasks so far whose key shared a line with others */
} fw_limit_view;
/* Blocks nobody. */
void fw_limit_each(fw_engine *engine, bool (*visit)(void *context, const fw_limit_view *limit),
                   void *context);

typedef struct fw_pause_view {
    int64_t all_until_ns, level_until_ns[FW_LEVELS]; /* 0: not paused */
    size_t held[FW_LEVELS]; /* waiting tasks that may not start now, for whatever reason */
} fw_pause_view;
void fw_limit_pauses(fw_engine *engine, fw_pause_view *out);

#endif
