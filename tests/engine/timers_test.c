/* timers_test.c - alarms ring once and not too early; nudges are not lost. Also covers
 * engine/watch.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/timers.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "engine/watch.h"

#define FAR_NS (3600 * FW_NS_PER_S)
#define wait_until(condition)                                                                      \
    while (!(condition))                                                                           \
    sched_yield()

/* The subject of an alarm under test. */
typedef struct bell {
    int64_t due_ns;
    fw_atomic(unsigned) rings, lapses;
    fw_atomic(bool) dead;
} bell;

typedef struct tower {
    fw_timers *timers;
    fw_atomic(unsigned) rings, rungs, lapses;
    fw_atomic(uint64_t) wanted, seen; /* by round */
    fw_atomic(bool) early;
} tower;

static void ring(void *context, fw_alarm *alarm)
{
    tower *t = context;
    bell *b = fw_load_seq_cst(&alarm->subject);
    if (fw_now_ns() < b->due_ns)
        fw_store_seq_cst(&t->early, true);
    fw_add_seq_cst(&b->rings, 1);
    fw_add_seq_cst(&t->rings, 1);
}

static void rung(void *context)
{
    tower *t = context;
    fw_add_seq_cst(&t->rungs, 1);
}

static bool is_dead(void *context, fw_alarm *alarm)
{
    (void)context;
    bell *b = fw_load_seq_cst(&alarm->subject);
    return fw_load_seq_cst(&b->dead);
}

static void lapse(void *context, fw_alarm *alarm)
{
    tower *t = context;
    bell *b = fw_load_seq_cst(&alarm->subject);
    fw_add_seq_cst(&b->lapses, 1);
    fw_add_seq_cst(&t->lapses, 1);
}

/* Answers what is wanted; asks for no waking of its own. */
static int64_t round_of(void *context, int64_t now_ns)
{
    (void)now_ns;
    tower *t = context;
    fw_store_seq_cst(&t->seen, fw_load_seq_cst(&t->wanted));
    return INT64_MAX;
}

static void raise_tower(tower *t)
{
    memset(t, 0, sizeof *t);
    fw_timers_config config = {.tick_ns = FW_NS_PER_MS,
                               .context = t,
                               .ring = ring,
                               .rung = rung,
                               .is_dead = is_dead,
                               .lapse = lapse,
                               .round = round_of};
    assert_int_equal(fw_timers_create(&t->timers, &config), 0);
}

static void raze_tower(tower *t)
{
    fw_timers_stop(t->timers);
    fw_timers_lapse_all(t->timers);
    fw_rcu_barrier();
    fw_timers_free(t->timers);
    assert_false(fw_load_seq_cst(&t->early));
}

static void hang(tower *t, bell *b, int64_t due_ns)
{
    fw_alarm *alarm = fw_timers_alarm(t->timers);
    assert_non_null(alarm);
    b->due_ns = due_ns;
    fw_store_relaxed(&alarm->subject, b); /* relaxed: handed over by the next call */
    fw_timers_add(t->timers, alarm, due_ns);
}

enum { HANGERS = 2, BELLS = 2000 };
typedef struct hanger {
    tower *t;
    bell *bells;
} hanger;

static void *hang_many(void *argument)
{
    hanger *me = argument;
    for (unsigned i = 0; i < BELLS; i++)
        hang(me->t, &me->bells[i], fw_now_ns() + (int64_t)(i * 31 % 40) * FW_NS_PER_MS);
    return NULL;
}

static void each_alarm_rings_once(void **state)
{
    (void)state;
    tower t;
    hanger hangers[HANGERS];
    pthread_t threads[HANGERS];
    bell *bells = calloc((size_t)HANGERS * BELLS, sizeof *bells);
    raise_tower(&t);
    for (unsigned i = 0; i < HANGERS; i++) {
        hangers[i] = (hanger){&t, bells + (size_t)i * BELLS};
        assert_int_equal(pthread_create(&threads[i], NULL, hang_many, &hangers[i]), 0);
    }
    for (unsigned i = 0; i < HANGERS; i++)
        pthread_join(threads[i], NULL);
    wait_until(fw_load_seq_cst(&t.rings) == HANGERS * BELLS);
    wait_until(fw_load_seq_cst(&t.rungs) > 0);
    raze_tower(&t);
    for (unsigned i = 0; i < HANGERS * BELLS; i++) {
        assert_int_equal(fw_load_seq_cst(&bells[i].rings), 1);
        assert_int_equal(fw_load_seq_cst(&bells[i].lapses), 0);
    }
    free(bells);
}

/* The sleeper sleeps till far away when an earlier alarm comes in. */
static void an_earlier_alarm_wakes_the_sleeper(void **state)
{
    (void)state;
    tower t;
    bell far = {0}, near[200] = {0};
    raise_tower(&t);
    hang(&t, &far, fw_now_ns() + FAR_NS);
    for (unsigned i = 0; i < 200; i++) {
        hang(&t, &near[i], fw_now_ns() + (int64_t)(i % 3) * FW_NS_PER_MS);
        wait_until(fw_load_seq_cst(&near[i].rings) == 1);
    }
    assert_int_equal(fw_load_seq_cst(&far.rings), 0);
    wait_until(fw_timers_count(t.timers) == 1);
    raze_tower(&t);
    assert_int_equal(fw_load_seq_cst(&far.lapses), 1);
}

/* R2, with a thread that has no reason of its own to wake. */
static void a_nudge_is_never_lost(void **state)
{
    (void)state;
    tower t;
    raise_tower(&t);
    for (uint64_t i = 1; i <= 3000; i++) {
        fw_store_seq_cst(&t.wanted, i);
        fw_timers_nudge(t.timers, fw_now_ns());
        wait_until(fw_load_seq_cst(&t.seen) == i);
        for (uint64_t pause = i % 200; pause > 0; pause--)
            fw_cpu_relax();
    }
    raze_tower(&t);
}

/* R3. */
static void dead_alarms_are_swept_out(void **state)
{
    (void)state;
    enum { MANY = 10000, LIVING = 100 };
    tower t;
    bell *bells = calloc(MANY + LIVING, sizeof *bells);
    raise_tower(&t);
    for (unsigned i = 0; i < LIVING; i++)
        hang(&t, &bells[MANY + i], fw_now_ns() + FAR_NS);
    for (unsigned i = 0; i < MANY; i++) {
        fw_store_seq_cst(&bells[i].dead, true);
        hang(&t, &bells[i], fw_now_ns() + FAR_NS + i);
        fw_timers_nudge(t.timers, 0);
    }
    wait_until(fw_load_seq_cst(&t.lapses) > 0);
    wait_until(fw_timers_count(t.timers) < 8192);
    raze_tower(&t);
    for (unsigned i = 0; i < MANY + LIVING; i++)
        assert_int_equal(fw_load_seq_cst(&bells[i].lapses), 1);
    assert_int_equal(fw_load_seq_cst(&t.rings), 0);
    free(bells);
}

/* V1: whatever a look returns was so. A deadline says whose it is; the low bits are the run's. */
enum { WATCHED = 8 };
typedef struct guard {
    fw_watch watch;
    fw_task tasks[WATCHED];
    fw_atomic(bool) over;
} guard;

static void *work(void *argument)
{
    guard *g = argument;
    for (unsigned i = 0; i < 300000; i++) {
        unsigned which = i * 5 % WATCHED;
        fw_watch_arm(&g->watch, &g->tasks[which], (which + 1) % FW_RUNS,
                     (int64_t)(which + 1) * 1024 - 63);
        fw_watch_disarm(&g->watch);
    }
    fw_store_seq_cst(&g->over, true);
    return NULL;
}

static void a_look_sees_what_belongs_together(void **state)
{
    (void)state;
    guard *g = aligned_alloc(FW_APART, sizeof *g);
    pthread_t worker;
    unsigned looks = 0, seen = 0;
    memset(g, 0, sizeof *g);
    assert_int_equal(pthread_create(&worker, NULL, work, g), 0);
    for (; !fw_load_seq_cst(&g->over); looks++) {
        int64_t deadline_ns = 0;
        unsigned run = 0;
        fw_task *task = fw_watch_look(&g->watch, &deadline_ns, &run);
        if (!task)
            continue;
        seen++;
        unsigned which = (unsigned)(task - g->tasks);
        assert_int_equal(run, which + 1);
        assert_int_equal(deadline_ns, (which + 1) * 1024);
    }
    pthread_join(worker, NULL);
    print_message("%u looks, %u saw a task\n", looks, seen);
    assert_false(fw_watch_is_awake(&g->watch));
    fw_watch_stir(&g->watch);
    assert_true(fw_watch_is_awake(&g->watch));
    fw_watch_rest(&g->watch);
    assert_false(fw_watch_is_awake(&g->watch));
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_alarm_rings_once),
        cmocka_unit_test(an_earlier_alarm_wakes_the_sleeper),
        cmocka_unit_test(a_nudge_is_never_lost),
        cmocka_unit_test(dead_alarms_are_swept_out),
        cmocka_unit_test(a_look_sees_what_belongs_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
