/* engine/engine_priv.h - the engine from inside: for the files that implement engine.h only.
 *
 * engine.c builds it and takes it down, admission.c lets tasks in, runner.c runs them, ending.c
 * ends those that it does not, alarms.c says what time does to them, stats.c looks on,
 * idle.c does so for who moves the clock; dispatch.c and its neighbours (dispatch_priv.h) decide
 * who runs them.
 *
 * Who holds which of the three references of a task (FW_TASK_REFERENCES):
 * - index: the index, from admit to the end; given up a grace period after the task was
 *   unlinked, so that who found it in a read section may still retain it.
 * - runner: the queue entry, then the thread that runs it; or the alarm while it waits for its
 *   time; or the hold while it is in hand elsewhere, which has the completer's as well.
 * - completer: with the task until a run answers PENDING, then with whoever will complete that
 *   run.
 * Who ends a task that runs hands on the index's reference only: the thread and the completer
 * come back for theirs. Of one that does not run, who ended it and who has
 * the runner's reference part from it (fw_task_part_left), and the second hands on all three.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ENGINE_PRIV_H
#define FW_ENGINE_ENGINE_PRIV_H

#include "base/rcu.h"
#include "engine/counters.h"
#include "engine/engine.h"
#include "engine/index.h"
#include "engine/memory.h"
#include "engine/retire.h"
#include "engine/stamp.h"
#include "engine/task.h"
#include "engine/timers.h"
#include "engine/watch.h"

enum {
    FW_ENGINES_MAX = 16,    /* in a process */
    FW_ENGINE_DUE_MAX = 64, /* due tasks of a level that are queued together */
};

/* One task thread's own. */
typedef struct fw_runner {
    fw_watch watch;
    /* The thread only. */
    _Alignas(FW_APART) fw_stamp stamp;
    fw_counter_row *counters;
    fw_retire_row *retired;
    bool awake;
    /* What it has not told the dispatcher: runs, the levels they were of, what they took. */
    unsigned told_runs, told_levels;
    int64_t told_ns;
    /* Written by the thread, read by the dispatcher: its tasks that have left this thread. */
    fw_atomic(uint64_t) back[FW_LEVELS];
    fw_atomic(bool) joined; /* the dispatcher may count on this thread */
} fw_runner;

struct fw_engine {
    /* Immutable after create. */
    fw_engine_ops ops;
    fw_engine_config config;
    unsigned home; /* its place in the table of engines */
    fw_pool *pool;
    fw_timers *timers;
    fw_runner *runners; /* config.pool.threads of them */
    fw_index index;
    fw_memory memory;
    fw_counters counters;
    fw_retire retire;
    /* Whoever takes it down, one thread at a time. */
    bool halted;
    /* Shared, atomic. */
    fw_atomic(bool) draining;
    fw_atomic(struct fw_dispatch *) dispatcher; /* NULL: the pool runs everything */
    fw_atomic(bool) dispatches;                 /* tasks wait in the dispatcher, not in lanes */
    /* The timer thread's (alarms.c). */
    _Alignas(FW_APART) int64_t tick_at, doze_at;
    fw_task *due[FW_LEVELS][FW_ENGINE_DUE_MAX];
    unsigned due_count[FW_LEVELS];
};

/* A task knows its engine by four bits beside its size class, and so do callbacks that get a task
 * only. */
extern fw_atomic(fw_engine *) fw_engine_homes[FW_ENGINES_MAX];
static inline fw_engine *fw_engine_of(const fw_task *task)
{
    /* [engine-home] acquire: the engine that was built before it had tasks. */
    return fw_load_acquire(&fw_engine_homes[fw_memory_label(task)]);
}

/* runner.c. A task of the pool. */
void fw_engine_run_node(fw_worker *worker, fw_work_node *node);
/* A pool thread begins, has a pause, ends. */
void fw_engine_thread_start(void *context, unsigned thread);
void fw_engine_pause(void *context, unsigned thread);
void fw_engine_thread_stop(void *context, unsigned thread);

/* ending.c. After END by another than the run's thread: stamp, done, unlink, count; then the
 * references that came with it go a grace period later, and the others come for theirs. */
void fw_engine_end_run(fw_engine *engine, fw_task *task, int why, unsigned references);
/* After END_UNRUN. alone: the runner's reference is the caller's, so nobody else comes. Otherwise
 * in a read section. */
void fw_engine_end_unrun(fw_engine *engine, fw_task *task, int why, fw_state from, bool alone);
/* The runner's reference comes back: the task, which somebody else ended before it ran, has left
 * queue and wheel. */
void fw_engine_leave(fw_engine *engine, fw_task *task);
/* A run failed or passed its deadline: lets another one follow, or returns false. held: how many of
 * the runner's and the completer's reference come with the run's end. */
FW_MUST bool fw_engine_try_again(fw_engine *engine, fw_task *task, unsigned run, unsigned held,
                                 int why);
/* A run passed its deadline. In a read section. */
void fw_engine_expire(fw_engine *engine, fw_task *task, unsigned run);
/* The grace period of a chain of retired tasks is over. */
void fw_engine_expire_chain(void *chain);

/* When a task ended that was begun by the same thread, or read after its end. */
static inline int64_t fw_engine_end_of(const fw_task *task, int64_t now_wall_ns)
{
    /* Relaxed: whoever needs it in order has it through the state. The clock may have been set back
     * meanwhile. */
    int64_t started_wall_ns = fw_load_relaxed(&task->started_wall_ns);
    return FW_LIKELY(now_wall_ns >= started_wall_ns) ? now_wall_ns : started_wall_ns;
}

static inline fw_counter fw_engine_counter_of(fw_state state)
{
    FW_DEBUG_ASSERT(fw_state_is_terminal(state));
    if (FW_LIKELY(state == FW_SUCCESS))
        return FW_COUNT_SUCCESS;
    return state == FW_FAILURE ? FW_COUNT_FAILURE : FW_COUNT_CANCELLED;
}

/* dispatch.c. */
static inline struct fw_dispatch *fw_engine_dispatcher(const fw_engine *engine)
{
    /* [engine-dispatcher] acquire: the dispatcher as it was made. */
    return fw_load_acquire(&engine->dispatcher);
}
static inline bool fw_engine_dispatches(const fw_engine *engine)
{
    /* [engine-dispatches] acquire: the dispatcher. */
    return fw_load_acquire(&engine->dispatches);
}
void fw_dispatch_enqueue(fw_engine *engine, fw_prio level, fw_task *const *tasks, size_t count);
/* A task ended while it was queued. */
void fw_dispatch_note_end(fw_engine *engine);
/* The timer thread looks after the duty. True: it wants to come again at once. */
bool fw_dispatch_look(fw_engine *engine);
/* Gives no task to anybody any more, drops what waits, takes back what is in hand. May wait. */
void fw_dispatch_close(fw_engine *engine);
void fw_dispatch_fini(fw_engine *engine);
/* local.c. On a task thread: a task that the dispatcher gave to the pool has left the thread, after
 * ran_ns; the thread has a pause. */
void fw_local_end(fw_engine *engine, fw_runner *runner, unsigned level, int64_t ran_ns);
void fw_local_pause(fw_engine *engine, fw_runner *runner);

/* limits.c. A run that the limit of that name counts is over, and that of the line, unless that is
 * 0; does nothing if none does. Any thread. */
void fw_limit_leave(fw_engine *engine, uint32_t name, unsigned line);
/* Whether everything that lives is paused until then, so that waiting for it is in vain. */
bool fw_limits_block(fw_engine *engine, size_t live, int64_t until_ns);
/* On the timer thread: calls for a round if one is due; returns when the next one is. */
int64_t fw_limit_alarm(fw_engine *engine, int64_t now_ns);

/* alarms.c. */
void fw_engine_alarms_config(fw_engine *engine, fw_timers_config *out);
/* A SCHEDULED or RETRYING task's due time; takes over the runner's reference. */
void fw_engine_alarm_due(fw_engine *engine, fw_task *task, int64_t due_ns);
/* A pending run's deadline; no reference. */
void fw_engine_alarm_deadline(fw_engine *engine, fw_task *task, unsigned run,
                              int64_t started_wall_ns, int64_t deadline_ns);
/* Takes the runner's reference of an ended task from its alarm, if any. In a read section. */
FW_MUST bool fw_engine_alarm_take(fw_task *task);
/* engine.c. Ends a live task for the engine's sake: FAILURE. In a read section. */
void fw_engine_stop_task(fw_engine *engine, fw_task *task);
static inline bool fw_engine_is_draining(const fw_engine *engine)
{
    /* [engine-drain] acquire: seldom asked; order costs nothing. */
    return fw_load_acquire(&engine->draining);
}

#endif
