/* app/life/lifecycle.h - the story of a task: submitted, queued, run, stored, answered.
 *
 * A task crosses this file twice: when it becomes ours (submit) and when it has ended (done). Both
 * are decisions; what lies between is the engine's. Identity is the task's id: an id that is
 * waiting or running is never started again, an asker joins those who wait; an id that has ended is
 * answered from the cache. Order at the end, relied on by everybody: state terminal, result in the
 * cache, waiters closed and answered, id free. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LIFECYCLE_H
#define FW_APP_LIFECYCLE_H

#include "app/life/backpressure.h"
#include "app/life/dead.h"
#include "app/life/isolation.h"
#include "app/life/latency.h"
#include "app/life/names.h"
#include "app/life/run_counts.h"
#include "app/life/task_options.h"
#include "app/life/waiters.h"
#include "cache/cache.h"
#include "engine/engine.h"
#include "engine/modules.h"
#include "net/net.h"

typedef struct fw_lifecycle {
    /* Set before the first task, not changed after. */
    fw_engine *engine;
    fw_cache *cache;
    fw_net *net;
    fw_modules *modules;
    fw_isolation isolation;
    fw_names *names;
    fw_run_counts *counts;
    fw_latency *latency;
    unsigned threads;
    fw_atomic(bool) waits; /* a name that nobody knows yet may come: its tasks wait */
    int64_t task_timeout_ns, hold_ns;
    int64_t dedup_ns;             /* an id is not run again so soon; 0: is */
    int64_t unknown_hold_ns;      /* see app/life/unknown.h; 0: for ever */
    int keep_args;                /* FW_KEEP_ARGS_..., see app/life/kept.h */
    size_t keep_args_max;         /* bytes */
    unsigned losses_max;          /* see loss-note in app/workers/work.c */
    fw_dead *dead;                /* NULL: a subworker keeps none */
    struct fw_workers *workers;   /* NULL: a subworker has none */
    struct fw_retry_terms *terms; /* by names, of their modules (app/life/retry.h) */
    size_t terms_count;
    struct fw_schedules *schedules;        /* NULL: the same */
    fw_task_policy *policies;              /* all that names have had; see app/config_apply.h */
    struct fw_events *events;              /* NULL: the same */
    struct fw_compose *compose;            /* NULL: the same */
    struct fw_queue_line *line;            /* who waits for room; NULL: nobody may */
    void (*drain)(void *life, bool drain); /* a subworker's control plane asks; NULL: never */
    fw_waiters waiters;
    fw_backpressure pressure;
    fw_atomic(unsigned) listeners;      /* who wants to hear of events */
    const struct fw_observer *observer; /* one of them; NULL: none */
    fw_atomic(unsigned) wildcards;      /* places that run whatever they are given */
    fw_atomic(struct fw_notes *) told;  /* see fw_notes_forward */
    /* Relaxed counts. */
    fw_atomic(uint64_t) resent, from_cache, known_again;
} fw_lifecycle;

int fw_lifecycle_init(fw_lifecycle *life);
void fw_lifecycle_fini(fw_lifecycle *life);

/* The tables that engine and net are created with; context is the fw_lifecycle. */
fw_engine_ops fw_lifecycle_engine_ops(fw_lifecycle *life);
fw_net_ops fw_lifecycle_net_ops(fw_lifecycle *life);

/* A subworker's: its control plane wants these ended, or back if they do not run. In the shape that
 * the net's table wants. */
void fw_lifecycle_orders(void *context, const struct fw_order *orders, size_t count);
/* Gives back everything that came from a control plane and does not run. */
void fw_lifecycle_give_back(fw_lifecycle *life);
/* On the thread that is about to end a task that ran elsewhere: what `done` shall store. Borrowed
 * until then. */
void fw_lifecycle_note_result(const fw_result_view *view, int64_t ran_ns);
void fw_lifecycle_note_loss(unsigned losses, const char *worker, const char *why);
/* Runs a task again that was given up: takes it out of the dead, forgets its result. False: it is
 * not there. Any thread. */
bool fw_lifecycle_revive(fw_lifecycle *life, fw_key key);
/* Ends a task that does not run yet as failed, with these words. False: it runs, or is over. Call
 * inside an RCU read section. Any thread. */
bool fw_lifecycle_fail(fw_lifecycle *life, fw_task *task, const char *words);
/* The same, and it is kept among the dead, from where it can be run again. */
bool fw_lifecycle_give_up(fw_lifecycle *life, fw_task *task, const char *words);
/* For askers in this process: all become tasks or none, and nobody is told through the network
 * (form FW_REPLY_NONE). An id that is alive, or has ended, stays as it is. 0, or with a sentence
 * -FW_EFULL, -FW_EINVAL (options), -FW_EDUP (a unique key is taken). Any thread. */
int fw_lifecycle_submit_all(fw_lifecycle *life, const fw_submission *items, size_t count,
                            char error[FW_TASK_OPTIONS_ERROR]);
/* Cancels, and says what it found: LATE and UNKNOWN cancelled nothing. Any thread. */
fw_cancel fw_lifecycle_try_cancel(fw_lifecycle *life, fw_key key);
/* The same, but cancelled; and as expired, which has a count of its own. */
bool fw_lifecycle_skip(fw_lifecycle *life, fw_task *task, const char *words);
bool fw_lifecycle_expire(fw_lifecycle *life, fw_task *task, const char *words);
/* True when something was there to cancel. Any thread. */
bool fw_lifecycle_cancel(fw_lifecycle *life, fw_key key);
/* Answers waits whose limit has passed. One caller, every 50 ms or so. */
void fw_lifecycle_tick(fw_lifecycle *life, int64_t now_ns);

#endif
