/* engine/engine_priv.h - the engine from inside: for the files that implement engine.h, and nobody
 * else.
 *
 * engine.c builds it and takes it down, admission.c lets tasks in, runner.c runs and ends them,
 * alarms.c says what time does to them, stats.c looks on.
 *
 * Who holds which of the three references of a task (FW_TASK_REFERENCES):
 *   index       a task from admit to its end; given up a grace period after it was unlinked, so
 * that who found the task in a read section may still retain it runner      the queue entry, then
 * the thread that runs it; or the alarm while it waits for its time completer   with the task until
 * a run answers PENDING, then with whoever will complete that run Who ends a task that runs hands
 * on the index's reference only, the thread and the completer come back for theirs; who ends one
 * that does not run takes the completer's with it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ENGINE_PRIV_H
#define FW_ENGINE_ENGINE_PRIV_H

#include "base/rcu.h"
#include "engine/counters.h"
#include "engine/engine.h"
#include "engine/index.h"
#include "engine/memory.h"
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
    bool awake;
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
    /* Whoever takes it down, one thread at a time. */
    bool halted;
    /* Shared, atomic. */
    fw_atomic(bool) draining;
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
    return fw_load_acquire(&fw_engine_homes[task->size_class >> 4]);
}

/* runner.c. A task of the pool. */
void fw_engine_run_node(fw_worker *worker, fw_work_node *node);
/* The pool thread has a pause. */
void fw_engine_pause(void *context, unsigned thread);
/* After END or END_UNRUN: stamp, done, unlink, count; then `references` go a grace period later. */
void fw_engine_end(fw_engine *engine, fw_task *task, int why, unsigned references,
                   int64_t finished_wall_ns);
/* After END_UNRUN by a thread that holds none of the references: the alarm's as well. In a read
 * section. */
void fw_engine_end_unrun(fw_engine *engine, fw_task *task, int why, fw_state from);
/* After WAIT from fw_task_retry: the next run is due at that time. */
void fw_engine_wait_again(fw_engine *engine, fw_task *task, int64_t due_ns);

/* alarms.c. */
void fw_engine_alarms_config(fw_engine *engine, fw_timers_config *out);
/* A SCHEDULED or RETRYING task's due time; takes over the runner's reference. */
void fw_engine_alarm_due(fw_engine *engine, fw_task *task, int64_t due_ns);
/* A pending run's deadline; no reference. */
void fw_engine_alarm_deadline(fw_engine *engine, fw_task *task, unsigned run,
                              int64_t started_wall_ns, int64_t deadline_ns);
/* Takes the runner's reference of an ended task from its alarm, if there is one. In a read section.
 */
FW_MUST bool fw_engine_alarm_take(fw_task *task);
/* A run passed its deadline. In a read section. */
void fw_engine_expire(fw_engine *engine, fw_task *task, unsigned run);

/* engine.c. Ends a live task for the engine's sake: FAILURE. In a read section. */
void fw_engine_stop_task(fw_engine *engine, fw_task *task);
static inline bool fw_engine_is_draining(const fw_engine *engine)
{
    /* [engine-drain] acquire: seldom asked; order costs nothing. */
    return fw_load_acquire(&engine->draining);
}

#endif
