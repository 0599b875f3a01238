/* engine/watch.h - the deadline of the run that a thread is in, where the timer thread can see
 * it.
 *
 * A task thread arms its watch when it begins a run that has a deadline and disarms it
 * afterwards: two stores and one. The timer thread looks at all watches now and then, awake
 * first (fw_watch_is_awake).
 * V1 a look returns a task only if that task was being run by that thread during the look; its
 *    deadline and run number belong to that run.
 * V2 the looker must be in an RCU read section: a task that it meets stays readable until that
 *    ends, because the thread disarms before it lets go of the task.
 * Wait-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_WATCH_H
#define FW_ENGINE_WATCH_H

#include "base/assert.h"
#include "engine/task.h"

typedef struct fw_watch {
    /* Written by the task thread only. */
    _Alignas(FW_APART) fw_atomic(fw_task *) task;
    fw_atomic(int64_t) deadline; /* nanoseconds; the low six bits hold the run number instead */
    fw_atomic(bool) awake;       /* ran something since it last had nothing to do */
} fw_watch;

/* The watch's thread. Not yet seen for certain by a looker that sleeps: see fw_watch_stir. */
static inline void fw_watch_arm(fw_watch *watch, fw_task *task, unsigned run, int64_t deadline_ns)
{
    FW_DEBUG_ASSERT(run < FW_RUNS && deadline_ns >= 0 && deadline_ns <= INT64_MAX - FW_RUNS);
    /* Rounded up, so that nothing is early. */
    int64_t deadline = ((deadline_ns + FW_RUNS - 1) & ~(int64_t)(FW_RUNS - 1)) | (int64_t)run;
    /* [watch-task] release: who meets this deadline sees that the former task is gone. */
    fw_store_release(&watch->deadline, deadline);
    /* [watch-task] release: the task's fields and the deadline. */
    fw_store_release(&watch->task, task);
}

/* The watch's thread; harmless when it is not armed. */
static inline void fw_watch_disarm(fw_watch *watch)
{
    /* [watch-task] release: who meets this knows that the thread is done with the run. */
    fw_store_release(&watch->task, (fw_task *)NULL);
}

/* Any thread in a read section. Returns the task that runs, or NULL.
 * Task and deadline are read alternately, twice: if the second task was armed later than the first
 * deadline, the second deadline is its own, and differs or is as good. */
static inline fw_task *fw_watch_look(const fw_watch *watch, int64_t *deadline_ns, unsigned *run)
{
    /* [watch-task] acquire: the task's fields and the deadline. */
    fw_task *task = fw_load_acquire(&watch->task);
    if (!task)
        return NULL;
    /* [watch-task] acquire: if it belongs to a later run, the next load shows that. */
    int64_t deadline = fw_load_acquire(&watch->deadline);
    /* [watch-task] acquire: the deadline of this very run, for the last load. */
    if (fw_load_acquire(&watch->task) != task)
        return NULL;
    /* Relaxed: the acquire before keeps it behind; its value is only compared. */
    if (fw_load_relaxed(&watch->deadline) != deadline)
        return NULL;
    *deadline_ns = deadline & ~(int64_t)(FW_RUNS - 1);
    *run = (unsigned)(deadline & (FW_RUNS - 1));
    return task;
}

/* The watch's thread: it works, and whoever looks from now on sees what it armed before. */
static inline void fw_watch_stir(fw_watch *watch)
{
    /* [watch-awake] seq_cst: after arming, before the nudge (nudge-note in engine/timers.c). */
    fw_store_seq_cst(&watch->awake, true);
}

/* The watch's thread: it has nothing to do. */
static inline void fw_watch_rest(fw_watch *watch)
{
    /* [watch-awake] seq_cst: before this thread looks whether tasks are dispatched
     * (fw_local_begin).
     */
    fw_store_seq_cst(&watch->awake, false);
}

static inline bool fw_watch_is_awake(const fw_watch *watch)
{
    /* [watch-awake] seq_cst: the second look of nudge-note. */
    return fw_load_seq_cst(&watch->awake);
}

#endif
