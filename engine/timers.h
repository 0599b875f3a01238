/* engine/timers.h - the thread that keeps time: a wheel that other threads hand alarms to.
 *
 * Roles: any thread adds alarms through a lock-free inbox; the timer thread owns the wheel,
 * rings what is due, and calls `round` each time it is awake for what its owner wants looked at
 * (deadlines of running tasks, the pool's tick). It sleeps until the next of all that, and not
 * at all longer.
 * R1 an alarm rings once, not before its due time; or it is handed to `lapse`: when a sweep
 *    finds it dead, or when the timers are destroyed.
 * R2 no lost wake-up: who publishes something by a seq_cst operation and then calls
 *    fw_timers_nudge with the time at which it matters, can rely on a round at that time or
 *    before (nudge-note in timers.c).
 * R3 dead alarms are at most as many as live ones (plus a few thousand): sweeps double their
 *    distance.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_TIMERS_H
#define FW_ENGINE_TIMERS_H

#include "base/atomic.h"
#include "base/key.h"
#include "engine/wheel.h"

typedef struct fw_timers fw_timers;

/* What rings. The owner's fields mean something to the owner only. */
typedef struct fw_alarm {
    fw_timer timer;
    fw_timers *timers;
    /* The owner's own. subject: emptied by compare and swap by whoever takes it. */
    fw_atomic(void *) subject;
    fw_key key;
    int64_t stamp_ns;
    unsigned run;
} fw_alarm;

typedef struct fw_timers_config {
    int64_t tick_ns;
    void *context;
    /* All on the timer thread, except lapse at destroy. */
    void (*ring)(void *context, fw_alarm *alarm);
    void (*rung)(void *context); /* after a number of rings: send out what was gathered */
    bool (*is_dead)(void *context, fw_alarm *alarm);
    void (*lapse)(void *context, fw_alarm *alarm);
    /* Returns when to be called again at the latest; INT64_MAX: need not be. */
    int64_t (*round)(void *context, int64_t now_ns);
} fw_timers_config;

/* Starts the thread. 0 or -FW_E.... */
int fw_timers_create(fw_timers **out, const fw_timers_config *config);
/* Ends the thread; nothing rings any more. */
void fw_timers_stop(fw_timers *timers);
/* After fw_timers_stop: all alarms lapse. Their memory goes an RCU grace period later; the owner
 * calls fw_rcu_barrier before it relies on that, and then fw_timers_free. */
void fw_timers_lapse_all(fw_timers *timers);
void fw_timers_free(fw_timers *timers);

/* A new alarm, all zero; NULL: no memory. Any thread; lock-free. */
fw_alarm *fw_timers_alarm(fw_timers *timers);
/* Hands it over. An alarm handed over may be looked at inside the RCU read section in which it was
 * found only. Any thread; lock-free. */
void fw_timers_add(fw_timers *timers, fw_alarm *alarm, int64_t due_ns);
/* See R2. Any thread; one load, if the thread is awake at that time anyway. */
void fw_timers_nudge(fw_timers *timers, int64_t at_ns);
/* When the thread wants to be awake next, at the latest: INT64_MAX never, INT64_MIN it is awake.
 * True for a moment only. Any thread. */
int64_t fw_timers_wake_at(const fw_timers *timers);
/* The clock was moved: what is due now rings soon. Any thread. */
void fw_timers_clock_moved(fw_timers *timers);
/* Alarms in the wheel, dead or alive; approximately. */
size_t fw_timers_count(const fw_timers *timers);

#endif
