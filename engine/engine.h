/* engine/engine.h - the engine's door: tasks in a process, from admitted to finished.
 *
 * A task is one slab object: found by key (engine/index), moved by transitions of one state word
 * (engine/task), queued by priority and run by the pool (engine/pool), delayed by the wheel
 * (engine/wheel). The engine knows no wire, no cache and no task names: what a payload means is
 * decided by the table of functions that its creator hands in.
 *
 * Life: alloc (private to the caller) -> admit (visible by key; or the task that already has that
 * key) -> enqueue or schedule -> run on a task thread -> finish -> forgotten and reclaimed.
 * `done` is called exactly once for each admitted task, whoever ends it: the thread that ran it, a
 * cancel, the deadline. After `done` returns the key is free again.
 *
 * Times are monotonic nanoseconds (base/clock.h) unless the name says wall.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ENGINE_H
#define FW_ENGINE_ENGINE_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/key.h"
#include "engine/pool.h"
#include "fastworker/types.h"

typedef struct fw_engine fw_engine;

typedef struct fw_task {
    fw_work_node node;         /* the queues'; nobody else touches it */
    fw_atomic(void *) waiters; /* the owner's own: who wants the answer */
    /* Shared, atomic: state, references and flags in one word; read through fw_task_state. */
    fw_atomic(uint32_t) word;
    uint32_t payload_bytes; /* immutable after alloc */
    /* Immutable after admit. */
    fw_key key;
    uint8_t level; /* fw_prio */
    uint8_t size_class;
    fw_atomic(uint16_t) attempt; /* 1 for the first run; changed only between runs by the engine */
    uint16_t name; /* which task it is, below FW_NAMES_MAX: places go by it (dispatch.h) */
    fw_atomic(uint16_t) line;  /* the dispatcher's: of its key while a limit counts its run */
    fw_atomic(uint64_t) lease; /* the dispatcher's, see leases.h; 0: it has not seen the task */
    int64_t created_wall_ns;
    int64_t timeout_ns; /* of one run; 0: none */
    /* Written by who made the transition, after it; 0 before. Any thread may read it. */
    fw_atomic(int64_t) started_wall_ns;
    unsigned char payload[]; /* the owner's own, payload_bytes, aligned to 16 */
} fw_task;

typedef enum fw_run { FW_RUN_SUCCESS, FW_RUN_FAILURE, FW_RUN_PENDING } fw_run;

typedef struct fw_engine_ops {
    void *context;
    /* On a task thread, state RUNNING. PENDING: fw_engine_complete will be called later, by
     * anybody. */
    fw_run (*run)(void *context, fw_task *task, unsigned thread);
    /* Exactly once per admitted task, on whatever thread ended it; the state is terminal. The
     * outcome of a run that lost against a cancel or a deadline is not reported. `why` tells who
     * ended it, ended_wall_ns when: not before it started. */
    void (*done)(void *context, fw_task *task, int why, int64_t ended_wall_ns);
    /* A run failed (why is BY_RUN) or passed its deadline (BY_DEADLINE): when is the next one due?
     * 0: never, the task ends as FAILURE. Otherwise it waits as RETRYING, done is not called, and
     * the outcome of the run that went on past its deadline is dropped. Only decides: it may be
     * asked twice about one run. May be NULL. */
    int64_t (*again)(void *context, fw_task *task, int why);
    /* The last reference is gone and no reader is left: give back what the payload owns.
     * On a thread of liburcu, or where the last reference was given back. May be NULL. */
    void (*reclaim)(void *context, fw_task *task);
    /* A task thread has nothing at hand, or ran a batch: send out what was gathered. */
    void (*pause)(void *context, unsigned thread);
    void (*thread_start)(void *context, unsigned thread);
    void (*thread_stop)(void *context, unsigned thread);
} fw_engine_ops;

/* Why a task ended. */
enum {
    FW_ENDED_BY_RUN = 0,
    FW_ENDED_BY_CANCEL,
    FW_ENDED_BY_DEADLINE,
    FW_ENDED_BY_STOP,
    FW_ENDED_BY_OWNER,
    FW_ENDED_BY_LOSS, /* who ran it went away, and it is not tried again */
    FW_ENDED_BY_SHED  /* fw_engine_shed */
};

typedef struct fw_engine_config {
    fw_pool_config pool; /* context and hooks are the engine's own; leave them zero */
    size_t tasks_max;    /* live tasks, all states */
    size_t bytes_max;    /* of task memory */
    int64_t tick_ns;     /* wheel resolution, 1 ms is usual */
} fw_engine_config;

int fw_engine_create(fw_engine **out, const fw_engine_config *config, const fw_engine_ops *ops);
/* Intake must have ended. Waits until nothing is queued or running or the limit passed (queued
 * tasks then end with FW_ENDED_BY_STOP, as do running ones' answers; scheduled tasks always do, and
 * paused ones when nothing else is left). 0, or -FW_ETIME. */
int fw_engine_drain(fw_engine *engine, int64_t limit_ns);
/* Ends the threads. Tasks that a thread runs are waited for; all others end with FW_ENDED_BY_STOP,
 * pending ones too. What is known can still be asked for; nothing new may come, but completers. */
void fw_engine_halt(fw_engine *engine);
/* Halts, and frees everything. Every PENDING run must have been completed, also one that was ended
 * by somebody else: until then its completer owns a part of the task, and what the task's owner
 * holds is not given back. */
void fw_engine_destroy(fw_engine *engine);

/* A private task with room for payload_bytes; fields are zero. NULL: a limit (FW_EFULL by
 * fw_engine_refusal) or no memory. Any thread. */
fw_task *fw_engine_alloc(fw_engine *engine, size_t payload_bytes);
/* Why this thread's last fw_engine_alloc returned NULL: -FW_EFULL or -FW_ENOMEM. */
int fw_engine_refusal(void);
/* Frees a task that was never admitted; `reclaim` is not called. */
void fw_engine_abandon(fw_engine *engine, fw_task *task);

/* Makes the task visible by key, state QUEUED (not yet in a queue) or SCHEDULED (due_ns > 0).
 * Returns the task itself, or the live one that has the key already, which then stays valid while
 * the caller is in an RCU read section; the caller abandons its own. Call inside an RCU read
 * section. Any thread; lock-free. */
fw_task *fw_engine_admit(fw_engine *engine, fw_task *task, bool scheduled);
/* Puts admitted tasks of one level into the lane, in order, by one claim. Any thread; never full.
 */
void fw_engine_enqueue(fw_engine *engine, fw_prio level, fw_task *const *tasks, size_t count);
/* Puts an admitted, scheduled task on the wheel; when due it is queued. Any thread. */
void fw_engine_schedule(fw_engine *engine, fw_task *task, int64_t due_ns);
/* Ends an admitted task that was neither enqueued nor scheduled (its answer was already known). */
void fw_engine_drop(fw_engine *engine, fw_task *task, bool success);
/* Fetches into the cache what admit or find of that key will touch: call it a batch ahead. */
void fw_engine_prefetch(const fw_engine *engine, fw_key key);
/* When the run began that this task thread is in, as its time limit counts: monotonic. Only within
 * ops.run, on that thread. */
int64_t fw_engine_started_ns(const fw_engine *engine, unsigned thread);
/* Live task of that key or NULL; valid inside the caller's RCU read section. */
fw_task *fw_engine_find(fw_engine *engine, fw_key key);

typedef enum fw_cancel {
    FW_CANCEL_UNKNOWN = 0,
    FW_CANCEL_QUEUED,
    FW_CANCEL_RUNNING,
    FW_CANCEL_LATE
} fw_cancel;
/* QUEUED: ended here and now, done was called. RUNNING: the flag is set; the run ends as CANCELLED
 * whatever it returns. LATE: already terminal. Call inside an RCU read section. Any thread. */
fw_cancel fw_engine_cancel(fw_engine *engine, fw_task *task);
/* Ends a task that does not run yet, for somebody else to run: done gets FW_ENDED_BY_CANCEL, on
 * this thread. False: it runs, or is over. Call inside an RCU read section. Any thread. */
bool fw_engine_withdraw(fw_engine *engine, fw_task *task);
/* Likewise, because it shall not run any more: FAILURE, and done gets FW_ENDED_BY_OWNER. */
bool fw_engine_fail(fw_engine *engine, fw_task *task);
/* Up to that many queued tasks of lower levels than this give way, the lowest level first, of a
 * level (or of a group of names) the oldest: FAILURE, done gets FW_ENDED_BY_SHED, on this thread or
 * another. Their memory comes back a grace period later. Any thread, not in a read section. */
void fw_engine_shed(fw_engine *engine, fw_prio above, size_t count);
/* Whether any task of a lower level is queued. Any thread; a hint. */
bool fw_engine_waits_below(const fw_engine *engine, fw_prio above);
/* Ends a PENDING run. Any thread, once per PENDING. The task is valid until this returns. */
void fw_engine_complete(fw_engine *engine, fw_task *task, bool success);
/* The same for one certain run: use this where `again` can let a second run follow one that is
 * still out (deadline, lost worker). attempt: the task's when its run returned PENDING. */
void fw_engine_complete_attempt(fw_engine *engine, fw_task *task, unsigned attempt, bool success);
/* A second owner for code that keeps an admitted task beyond a read section (inside which it
 * retains it); each retain needs one release. */
void fw_task_retain(fw_task *task);
void fw_task_release(fw_engine *engine, fw_task *task);
/* What this thread ended is reclaimed soon; without it, with the next few dozen. Nobody has to. */
void fw_engine_flush(fw_engine *engine);

/* Any thread, one load: */
fw_state fw_task_state(const fw_task *task);
bool fw_task_cancel_requested(const fw_task *task); /* also true when the deadline has passed */

typedef struct fw_engine_stats {
    fw_pool_stats pool;
    uint64_t admitted, finished[FW_UNKNOWN]; /* by terminal state */
    uint64_t deadline_missed, duplicates;
    size_t live, queued, scheduled, running; /* tasks now */
    size_t tasks_max, bytes_used, bytes_max;
    unsigned stuck; /* own threads that are in a run whose deadline has passed */
} fw_engine_stats;
void fw_engine_snapshot(fw_engine *engine, fw_engine_stats *out);
void fw_engine_thread_snapshot(fw_engine *engine, unsigned thread, fw_thread_stats *out);
/* For who moves the clock (base/clock.h). Idle: no thread runs a task or has just run one, none is
 * queued, and what is scheduled waits for its time, of which next_ns is the next, at the earliest
 * (INT64_MAX: there is none). False: try again; also while tasks are held back by a limit or a
 * pause, which next_ns knows of, too (INT64_MIN: not at this moment). True for as long as nobody
 * submits, and the real time does not reach next_ns. */
bool fw_engine_is_idle(fw_engine *engine, int64_t *next_ns);
/* After fw_clock_advance, to each engine: what is due by now happens soon. */
void fw_engine_clock_moved(fw_engine *engine);
/* Calls visit for live tasks until it returns false; each is valid during the call. Does not block
 * the others; a task that comes or goes meanwhile may be missed. Any thread. */
void fw_engine_each(fw_engine *engine, bool (*visit)(void *context, fw_task *task), void *context);

#endif
