/* engine/alarms.c - what time does to tasks: due times, deadlines, and the pool's tick.
 *
 * Two kinds of alarm. A due alarm carries a waiting task (SCHEDULED or RETRYING) and the
 * runner's reference in `subject`; whoever empties that by compare and swap has the reference.
 * Meanwhile the task's queue node, which it does not need, leads to the alarm, so that a cancel
 * gives the memory back at once.
 * A deadline alarm stands for a run that went out as PENDING. It holds no reference, only key,
 * run number and start: when it rings it looks the run up, and mostly finds it gone.
 * Threads that run tasks themselves need no alarm: the round looks at their watches.
 * Covered by tests/engine/engine_time_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_priv.h"

#define TICK_NS  (20 * FW_NS_PER_MS) /* of the pool, and the longest way to a deadline */
#define QUIET_NS (10 * TICK_NS)      /* without work for so long, the timer thread dozes */

_Static_assert(offsetof(fw_task, node) == 0, "arrays of tasks are arrays of nodes");

bool fw_engine_alarm_take(fw_task *task)
{
    /* [engine-alarm] seq_cst: after the end of the task, before or after the linking below. */
    void *linked = fw_load_seq_cst(&task->node.next);
    if (!linked)
        return false;
    fw_alarm *alarm = linked;
    void *expected = task;
    /* [engine-subject] acq_rel: the reference goes to one of two. */
    return fw_cas_acq_rel(&alarm->subject, &expected, NULL);
}

void fw_engine_alarm_due(fw_engine *engine, fw_task *task, int64_t due_ns)
{
    /* The task may be over and gone as soon as the alarm is handed over. */
    fw_rcu_read_lock();
    fw_alarm *alarm = fw_engine_is_draining(engine) ? NULL : fw_timers_alarm(engine->timers);
    if (!alarm) {
        fw_engine_stop_task(engine, task);
        fw_engine_leave(engine, task);
        fw_rcu_read_unlock();
        return;
    }
    /* Relaxed: the linking publishes it. */
    fw_store_relaxed(&alarm->subject, task);
    /* [engine-alarm] seq_cst: before the look at the state: the canceller meets the alarm, or we
     * its end. */
    fw_store_seq_cst(&task->node.next, (fw_work_node *)(void *)alarm);
    fw_timers_add(engine->timers, alarm, due_ns);
    void *expected = task;
    /* [engine-subject] acq_rel: as in fw_engine_alarm_take. */
    if (fw_state_is_terminal(fw_task_state(task)) &&
        fw_cas_acq_rel(&alarm->subject, &expected, NULL))
        fw_engine_leave(engine, task);
    fw_rcu_read_unlock();
}

void fw_engine_alarm_deadline(fw_engine *engine, fw_task *task, unsigned run,
                              int64_t started_wall_ns, int64_t deadline_ns)
{
    fw_alarm *alarm = fw_timers_alarm(engine->timers);
    /* Without memory the run has no deadline; whoever runs it will answer or be found lost. */
    if (!alarm)
        return;
    alarm->key = task->key;
    alarm->run = run;
    alarm->stamp_ns = started_wall_ns;
    fw_timers_add(engine->timers, alarm, deadline_ns);
}

static bool is_deadline(const fw_alarm *alarm)
{
    return alarm->stamp_ns != 0;
}

/* The task whose run a deadline alarm is about, or NULL: that run is over. In a read section. */
static fw_task *find_run(fw_engine *engine, const fw_alarm *alarm)
{
    fw_task *task = fw_index_find(&engine->index, alarm->key);
    /* Relaxed: compared only; the state word decides about the run itself. */
    if (!task || fw_load_relaxed(&task->started_wall_ns) != alarm->stamp_ns)
        return NULL;
    return fw_task_runs(task, alarm->run) ? task : NULL;
}

/* The task and the runner's reference, or NULL when a cancel has them. */
static fw_task *take_subject(fw_alarm *alarm)
{
    /* [engine-subject] acquire: the task's fields, from who linked it. */
    void *subject = fw_load_acquire(&alarm->subject);
    /* [engine-subject] acq_rel: as in fw_engine_alarm_take. */
    return subject && fw_cas_acq_rel(&alarm->subject, &subject, NULL) ? subject : NULL;
}

static void queue_due(fw_engine *engine, unsigned level)
{
    fw_engine_enqueue(engine, (fw_prio)level, engine->due[level], engine->due_count[level]);
    engine->due_count[level] = 0;
}

static void ring_due(fw_engine *engine, fw_task *task)
{
    if (fw_task_due(task) != FW_DUTY_QUEUE) {
        fw_engine_leave(engine, task);
        return;
    }
    fw_counters_add(&engine->counters, FW_COUNT_WAITED, 1);
    unsigned level = task->level;
    FW_ASSERT(level < FW_LEVELS && engine->due_count[level] < FW_ENGINE_DUE_MAX);
    engine->due[level][engine->due_count[level]++] = task;
    if (engine->due_count[level] == FW_ENGINE_DUE_MAX)
        queue_due(engine, level);
}

static void ring(void *context, fw_alarm *alarm)
{
    fw_engine *engine = context;
    fw_rcu_read_lock();
    fw_task *task = is_deadline(alarm) ? find_run(engine, alarm) : take_subject(alarm);
    if (task && is_deadline(alarm))
        fw_engine_expire(engine, task, alarm->run);
    else if (task)
        ring_due(engine, task);
    fw_rcu_read_unlock();
}

static void rung(void *context)
{
    for (unsigned level = 0; level < FW_LEVELS; level++)
        queue_due(context, level);
}

static bool is_dead(void *context, fw_alarm *alarm)
{
    if (!is_deadline(alarm)) {
        /* Relaxed: once empty, it stays so. */
        return fw_load_relaxed(&alarm->subject) == NULL;
    }
    fw_rcu_read_lock();
    bool dead = find_run(context, alarm) == NULL;
    fw_rcu_read_unlock();
    return dead;
}

static void lapse(void *context, fw_alarm *alarm)
{
    fw_task *task = take_subject(alarm);
    if (task)
        fw_engine_leave(context, task);
}

/* Ends runs past their deadlines. Returns the next deadline. */
static int64_t look_at_watches(fw_engine *engine, bool *awake, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    fw_rcu_read_lock();
    for (unsigned i = 0; i < engine->config.pool.threads; i++) {
        fw_watch *watch = &engine->runners[i].watch;
        if (fw_watch_is_awake(watch))
            *awake = true;
        int64_t deadline_ns;
        unsigned run;
        fw_task *task = fw_watch_look(watch, &deadline_ns, &run);
        if (!task)
            continue;
        if (deadline_ns <= now_ns)
            fw_engine_expire(engine, task, run);
        else if (deadline_ns < next_ns)
            next_ns = deadline_ns;
    }
    fw_rcu_read_unlock();
    return next_ns;
}

static int64_t round_of(void *context, int64_t now_ns)
{
    fw_engine *engine = context;
    bool awake = false;
    int64_t next_ns = look_at_watches(engine, &awake, now_ns);
    fw_retire_flush(&engine->retire);
    int64_t alarm_ns = fw_limit_alarm(engine, now_ns);
    if (alarm_ns < next_ns)
        next_ns = alarm_ns;
    if (fw_dispatch_look(engine))
        return now_ns;
    if (awake)
        engine->doze_at = now_ns + QUIET_NS;
    if (now_ns >= engine->doze_at)
        return next_ns;
    if (now_ns >= engine->tick_at) {
        engine->tick_at = now_ns + TICK_NS;
        fw_pool_tick(engine->pool, now_ns);
    }
    return engine->tick_at < next_ns ? engine->tick_at : next_ns;
}

void fw_engine_alarms_config(fw_engine *engine, fw_timers_config *out)
{
    *out = (fw_timers_config){
        .tick_ns = engine->config.tick_ns,
        .context = engine,
        .ring = ring,
        .rung = rung,
        .is_dead = is_dead,
        .lapse = lapse,
        .round = round_of,
    };
}
