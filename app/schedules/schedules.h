/* app/schedules/schedules.h - the table of schedules: which tasks run by the clock, when next, and
 * what became of their runs.
 *
 * A schedule has a name and is put by it: putting the same again changes nothing, putting another
 * under that name replaces it. Runs are ordinary submissions that nobody waits for, with ids of
 * their own; the table is told when they end. Everything that happens is decided under one lock and
 * done after it: submitting and cancelling may end a task at once, which comes back here.
 *
 * A time that is more than a minute past (of an interval, more than one interval) when it is looked
 * at was missed; catch-up says whether it is made up for. Intervals go by what has passed, and a
 * wall clock that is set does not move them; cron schedules go by the wall clock, and one that is
 * set back by up to three hours does not run the same time again.
 *
 * Any thread unless it says otherwise. Times are Unix nanoseconds. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_APP_SCHEDULES_H
#define FW_APP_SCHEDULES_H

#include "engine/schedule.h"
#include "net/message.h"

typedef struct fw_schedules fw_schedules;

/* What is done when a time comes while a run of the schedule is not over. */
typedef enum fw_overlap {
    FW_OVERLAP_SKIP = 0,
    FW_OVERLAP_QUEUE_ONE,  /* one waits for its end, more are skipped */
    FW_OVERLAP_QUEUE_ALL,  /* all wait */
    FW_OVERLAP_CANCEL_OLD, /* it is cancelled, and the new one runs when it has ended */
    FW_OVERLAP_ALLOW       /* they run side by side */
} fw_overlap;
/* Which of the times that were missed are made up for, one after the other. */
typedef enum fw_catchup { FW_CATCHUP_NONE = 0, FW_CATCHUP_ONE, FW_CATCHUP_ALL } fw_catchup;

enum {
    FW_SCHEDULES_MAX = 1000,
    FW_SCHEDULE_RUNS_KEPT = 20,
    FW_SCHEDULE_WAITING_MAX = 1000,
    FW_SCHEDULE_BYTES_MAX = 64 << 10 /* of arguments */
};

/* How tasks get from here to the engine; called without the lock. */
typedef struct fw_schedule_ops {
    void *context;
    void (*submit)(void *context, const fw_submission *submission);
    bool (*alive)(void *context, fw_key key); /* false: it has ended, or never began */
    void (*cancel)(void *context, fw_key key);
    /* A run was submitted. May be NULL. */
    void (*ran)(void *context, fw_span schedule, fw_span task, fw_key key);
} fw_schedule_ops;

typedef struct fw_schedule_config {
    const char *zone; /* name of the zone where a schedule names none */
    fw_overlap overlap;
    fw_catchup catchup;
    fw_cron_style style;
    fw_schedule_ops ops;
} fw_schedule_config;

/* What is put. Texts are copied. when: an expression, with "TZ=zone " before it where it has its
 * own. */
typedef struct fw_plan {
    fw_span name, task, args, kwargs, when, zone, until; /* empty: the default, or none */
    int overlap, catchup;                                /* -1: the default */
    int64_t window_ns;                                   /* for catching up all */
    int64_t jitter_ns;  /* each run starts later by a random time up to this */
    int64_t count;      /* runs by the clock; -1: no limit */
    int64_t timeout_ns; /* 0: the task's own */
    int32_t max_retries;
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
    uint8_t level; /* fw_prio */
    bool from_module, from_file, paused;
} fw_plan;

typedef enum fw_put { FW_PUT_CREATED = 0, FW_PUT_REPLACED, FW_PUT_SAME } fw_put;

/* 0, or -FW_E... with a sentence: no such zone, no memory. */
int fw_schedules_create(fw_schedules **out, char *error, size_t error_capacity,
                        const fw_schedule_config *config);
/* When no task is left that could end. */
void fw_schedules_destroy(fw_schedules *schedules);

/* All defaults. */
fw_plan fw_plan_default(void);
/* An fw_put, or -FW_E... with a sentence that names the member. */
int fw_schedules_put(fw_schedules *schedules, char *error, size_t error_capacity,
                     const fw_plan *plan, int64_t now_ns);
/* False: there is none of that name. What runs, runs on. */
bool fw_schedules_delete(fw_schedules *schedules, fw_span name);
/* Those that came from the configuration file and are not in it any more are not run until they are
 * put again; what runs, runs on. */
void fw_schedules_orphan(fw_schedules *schedules, bool (*is_in_file)(void *context, fw_span name),
                         void *context);
/* Pauses, or resumes: then what was missed is caught up with. */
bool fw_schedules_pause(fw_schedules *schedules, fw_span name, bool pause, int64_t now_ns);
/* Runs it now, whatever the clock says; the overlap policy holds. "started", "waiting" or
 * "skipped"; NULL: unknown. key: of the run that was started. */
const char *fw_schedules_trigger(fw_schedules *schedules, fw_key *key, fw_span name,
                                 int64_t now_ns);
/* Runs all times from first to last, both included, one after the other. How many; -FW_EUNKNOWN,
 * -FW_EINVAL: no cron or interval, -FW_EFULL: more than may wait; -FW_ENOMEM. */
int fw_schedules_backfill(fw_schedules *schedules, fw_span name, int64_t first_ns, int64_t last_ns);
/* A time by the clocks of the schedule. False: none, or no such schedule. */
bool fw_schedules_read_time(fw_schedules *schedules, int64_t *out_ns, fw_span name, fw_span text);

/* One caller, every 50 ms or so, and at the time that it returns: when the next run is due,
 * INT64_MAX for none. now_ns: monotonic. */
int64_t fw_schedules_turn(fw_schedules *schedules, int64_t wall_ns, int64_t now_ns);
/* A task that came from a schedule has ended. error: ptr NULL where there is none. */
void fw_schedules_ended(fw_schedules *schedules, fw_key key, fw_state status, fw_span error,
                        int64_t ended_wall_ns);

/* --- looking --- */

typedef struct fw_schedule_run {
    fw_key key;
    const char *reason;                         /* "schedule", "catchup", "trigger", "backfill" */
    int64_t planned_ns, submitted_ns, ended_ns; /* ended_ns 0: it is not over */
    fw_state status;                            /* FW_QUEUED: not over */
    char error[160];
} fw_schedule_run;

typedef struct fw_schedule_view {
    const char *name, *task, *when, *zone, *until; /* until: empty when there is none */
    const char *state;                             /* "active", "paused", "finished", "orphan" */
    fw_overlap overlap;
    fw_catchup catchup;
    uint8_t level;
    bool from_module, from_file;
    int64_t jitter_ns;
    int64_t next_ns;         /* FW_SCHEDULE_NEVER: not again */
    int64_t count;           /* -1: no limit */
    int64_t last_success_ns; /* when it ended; 0: none yet */
    uint64_t started, skipped, missed, caught_up;
    size_t running, waiting;
    const fw_schedule_run *runs; /* those that go on, then those that ended, the latest first */
    size_t run_count;
} fw_schedule_view;
/* Shows all, or the one of that name (empty: all), in the order in which they came. Holds the lock:
 * visit must not come back. False: there is none of that name. */
bool fw_schedules_each(fw_schedules *schedules, fw_span name,
                       void (*visit)(void *context, const fw_schedule_view *view), void *context);

/* "skip", "queue_one", ...; "none", ... */
const char *fw_overlap_name(fw_overlap overlap);
const char *fw_catchup_name(fw_catchup catchup);
int fw_overlap_parse(fw_span text); /* -1: none of them */
int fw_catchup_parse(fw_span text);

#endif
