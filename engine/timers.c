/* engine/timers.c - inbox, wheel, sleep.
 *
 * nudge-note: the thread announces in `wake_at` until when it will sleep, and then looks once
 * more at everything: the inbox and the round of its owner. Somebody else publishes first and
 * looks at `wake_at` after. All four are seq_cst, so either the second look meets the
 * publication, or the publisher meets the announcement and wakes the thread if that is too late
 * for it. Whoever wakes it takes the announcement away first, so that a burst of publishers
 * costs one system call. The futex word was read before the announcement: a wake-up that comes
 * before the sleep makes the sleep return at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/timers.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "base/slab.h"
#include "engine/futex.h"
#include "fastworker/types.h"

enum { SWEEP_MIN = 4096, RING_BATCH = 64 };
/* What wake_at holds while the thread is awake: nobody needs to wake it. */
#define AWAKE INT64_MIN

struct fw_timers {
    /* Immutable after create. */
    fw_timers_config config;
    fw_slab *alarms;
    pthread_t thread;
    /* Shared, atomic. */
    _Alignas(FW_APART) fw_atomic(fw_timer *) inbox; /* newest first */
    _Alignas(FW_APART) fw_atomic(int64_t) wake_at;
    fw_atomic(uint32_t) signal; /* the futex; counts wake-ups */
    fw_atomic(bool) stopping;
    fw_atomic(size_t) count;
    /* The timer thread's; after it, the destroyer's. */
    _Alignas(FW_APART) size_t sweep_at;
    fw_wheel wheel;
};

static fw_alarm *alarm_of(fw_timer *timer)
{
    return FW_CONTAINER_OF(timer, fw_alarm, timer);
}

static void free_alarm(void *object)
{
    fw_alarm *alarm = object;
    fw_slab_free(alarm->timers->alarms, alarm);
}

/* Somebody in a read section may have found the alarm and be about to look at it. */
static void retire(fw_alarm *alarm)
{
    fw_rcu_retire(alarm, free_alarm);
}

fw_alarm *fw_timers_alarm(fw_timers *timers)
{
    fw_alarm *alarm = fw_slab_alloc(timers->alarms);
    if (alarm)
        *alarm = (fw_alarm){.timers = timers};
    return alarm;
}

void fw_timers_add(fw_timers *timers, fw_alarm *alarm, int64_t due_ns)
{
    FW_ASSERT(alarm->timers == timers);
    alarm->timer.due_ns = due_ns;
    /* Relaxed: a first guess for the compare and swap. */
    fw_timer *head = fw_load_relaxed(&timers->inbox);
    do {
        alarm->timer.next = head;
        /* [timers-inbox] seq_cst: the alarm's fields; and before the look at wake_at (nudge-note).
         */
    } while (!fw_cas_seq_cst(&timers->inbox, &head, &alarm->timer));
    fw_timers_nudge(timers, due_ns);
}

static void wake(fw_timers *timers)
{
    /* [timers-signal] seq_cst: the futex word changes before the sleeper is looked for. */
    fw_add_seq_cst(&timers->signal, 1);
    FW_FUTEX_WAKE(&timers->signal);
}

void fw_timers_nudge(fw_timers *timers, int64_t at_ns)
{
    /* [timers-wake] seq_cst: after the caller's publication (nudge-note). */
    if (FW_LIKELY(fw_load_seq_cst(&timers->wake_at) <= at_ns))
        return;
    /* [timers-wake] seq_cst: one of many publishers takes the announcement. */
    if (fw_swap_seq_cst(&timers->wake_at, AWAKE) != AWAKE)
        wake(timers);
}

int64_t fw_timers_wake_at(const fw_timers *timers)
{
    /* [timers-wake] seq_cst: the announcement; what its thread did before it is done. */
    return fw_load_seq_cst(&timers->wake_at);
}

void fw_timers_clock_moved(fw_timers *timers)
{
    /* Earlier than any time it may be asleep for. */
    fw_timers_nudge(timers, INT64_MIN);
}

static void sleep_until(fw_timers *timers, uint32_t signal, int64_t until_ns)
{
    int64_t left = until_ns == INT64_MAX ? 0 : until_ns - fw_now_ns();
    if (until_ns != INT64_MAX && left <= 0)
        return;
    struct timespec limit = {left / FW_NS_PER_S, left % FW_NS_PER_S};
    /* Returns at once if the word moved on, and may return for no reason. */
    (void)syscall(SYS_futex, &timers->signal, FUTEX_WAIT_PRIVATE, signal,
                  until_ns == INT64_MAX ? NULL : &limit, NULL, 0);
}

/* Everything in the inbox goes to the wheel, oldest first. */
static void take_inbox(fw_timers *timers)
{
    /* [timers-inbox] seq_cst: the alarms' fields. */
    fw_timer *newest = fw_swap_seq_cst(&timers->inbox, NULL);
    fw_timer *oldest = NULL;
    while (newest) {
        fw_timer *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        fw_timer *next = oldest->next;
        fw_wheel_add(&timers->wheel, oldest);
        oldest = next;
    }
}

static void ring_due(fw_timers *timers, int64_t now_ns)
{
    fw_timer_list due = {NULL, NULL};
    fw_wheel_advance(&timers->wheel, &due, now_ns);
    unsigned gathered = 0;
    for (fw_timer *timer; (timer = fw_timer_list_take(&due));) {
        fw_alarm *alarm = alarm_of(timer);
        timers->config.ring(timers->config.context, alarm);
        retire(alarm);
        if (++gathered % RING_BATCH == 0)
            timers->config.rung(timers->config.context);
    }
    if (gathered > 0)
        timers->config.rung(timers->config.context);
}

static bool is_dead(void *context, fw_timer *timer)
{
    fw_timers *timers = context;
    return timers->config.is_dead(timers->config.context, alarm_of(timer));
}

static void sweep(fw_timers *timers)
{
    if (timers->wheel.count < timers->sweep_at)
        return;
    fw_timer_list dead = {NULL, NULL};
    fw_wheel_sweep(&timers->wheel, &dead, is_dead, timers);
    for (fw_timer *timer; (timer = fw_timer_list_take(&dead));) {
        timers->config.lapse(timers->config.context, alarm_of(timer));
        retire(alarm_of(timer));
    }
    size_t survivors = timers->wheel.count;
    timers->sweep_at = survivors < SWEEP_MIN / 2 ? SWEEP_MIN : 2 * survivors;
}

/* One waking moment; returns when the next is wanted. */
static int64_t work(fw_timers *timers, int64_t now_ns)
{
    take_inbox(timers);
    sweep(timers);
    ring_due(timers, now_ns);
    /* Relaxed: a figure to be shown. */
    fw_store_relaxed(&timers->count, timers->wheel.count);
    int64_t round = timers->config.round(timers->config.context, now_ns);
    int64_t next = fw_wheel_next_ns(&timers->wheel);
    return round < next ? round : next;
}

/* The second look of nudge-note: whether anything calls for waking before `until`. */
static bool is_wanted(fw_timers *timers, int64_t now_ns, int64_t until_ns)
{
    /* [timers-inbox] seq_cst: after the announcement. */
    if (fw_load_seq_cst(&timers->inbox) != NULL)
        return true;
    /* [timers-stop] seq_cst: after the announcement. */
    if (fw_load_seq_cst(&timers->stopping))
        return true;
    return timers->config.round(timers->config.context, now_ns) < until_ns;
}

static void *timer_thread(void *argument)
{
    fw_timers *timers = argument;
    /* [timers-stop] seq_cst: what the stopper did before. */
    while (!fw_load_seq_cst(&timers->stopping)) {
        /* [timers-signal] seq_cst: before the announcement, see nudge-note. */
        uint32_t signal = fw_load_seq_cst(&timers->signal);
        int64_t now_ns = fw_now_ns();
        int64_t until_ns = work(timers, now_ns);
        if (until_ns <= now_ns)
            continue;
        fw_rcu_flush();
        /* [timers-wake] seq_cst: before the second look. */
        fw_store_seq_cst(&timers->wake_at, until_ns);
        if (!is_wanted(timers, now_ns, until_ns))
            sleep_until(timers, signal, until_ns);
        /* [timers-wake] seq_cst: awake again, whoever woke us. */
        fw_store_seq_cst(&timers->wake_at, AWAKE);
    }
    return NULL;
}

int fw_timers_create(fw_timers **out, const fw_timers_config *config)
{
    FW_ASSERT(config->ring && config->rung && config->is_dead && config->lapse && config->round);
    fw_timers *timers = aligned_alloc(FW_APART, sizeof *timers);
    if (!timers)
        return -FW_ENOMEM;
    *timers = (fw_timers){.config = *config, .sweep_at = SWEEP_MIN};
    /* Relaxed: the thread's creation publishes it. */
    fw_store_relaxed(&timers->wake_at, AWAKE);
    fw_wheel_init(&timers->wheel, config->tick_ns, fw_now_ns());
    timers->alarms = fw_slab_create(sizeof(fw_alarm), FW_CACHE_LINE);
    if (!timers->alarms || pthread_create(&timers->thread, NULL, timer_thread, timers) != 0) {
        fw_timers_free(timers);
        return -FW_ENOMEM;
    }
    (void)pthread_setname_np(timers->thread, "fw-timers");
    *out = timers;
    return 0;
}

void fw_timers_stop(fw_timers *timers)
{
    /* [timers-stop] seq_cst: before the look at the sleeper. */
    fw_store_seq_cst(&timers->stopping, true);
    wake(timers);
    FW_ASSERT(pthread_join(timers->thread, NULL) == 0);
}

static bool everything(void *context, fw_timer *timer)
{
    (void)context;
    (void)timer;
    return true;
}

void fw_timers_lapse_all(fw_timers *timers)
{
    fw_timer_list all = {NULL, NULL};
    take_inbox(timers);
    fw_wheel_sweep(&timers->wheel, &all, everything, NULL);
    for (fw_timer *timer; (timer = fw_timer_list_take(&all));) {
        timers->config.lapse(timers->config.context, alarm_of(timer));
        retire(alarm_of(timer));
    }
}

void fw_timers_free(fw_timers *timers)
{
    fw_slab_destroy(timers->alarms);
    free(timers);
}

size_t fw_timers_count(const fw_timers *timers)
{
    /* Relaxed: a figure to be shown. */
    return fw_load_relaxed(&timers->count);
}
