/* Every order of those who answer for one lease, and of the loss of its place: D3 of
 * engine/dispatch.h. The lease is claimed once, the task goes on in one way, and a number of an
 * earlier generation finds nothing. What lies behind engine/leases.c is counted only.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/dispatch_priv.h"

static fw_engine engine;
static fw_dispatch dispatch;
static fw_place place;
static fw_atomic(fw_place *) places[2];
static fw_counter_row rows[FW_SLOTS];
static fw_task task;
static fw_handout handout;
static unsigned ends, losses, released, claims;
static bool seen_wrong;

/* --- What the leases stand on --- */

_Thread_local unsigned fw_thread_slot_claimed __attribute__((tls_model("initial-exec"))) = 2;
fw_atomic(fw_engine *) fw_engine_homes[FW_ENGINES_MAX];

unsigned fw_thread_slot_claim(void)
{
    return 1;
}

fw_place *fw_place_of(const fw_dispatch *d, uint32_t number)
{
    (void)d;
    return number == 1 ? &place : NULL;
}

void fw_place_settle(fw_place *p)
{
    (void)p;
}

void fw_place_touch(fw_place *p)
{
    (void)p;
}

void fw_place_measure(fw_place *p, int64_t ran_ns)
{
    (void)p;
    (void)ran_ns;
}

void fw_limit_take(fw_dispatch *d, fw_limit *limit)
{
    (void)d;
    (void)limit;
}

void fw_limit_untake(fw_dispatch *d, fw_limit *limit)
{
    (void)d;
    (void)limit;
}

fw_key_line *fw_limit_line(const fw_limit *limit)
{
    (void)limit;
    return NULL;
}

void fw_limit_come_back(fw_dispatch *d, uint32_t name, fw_key_line *line, bool unused)
{
    (void)d;
    (void)name;
    (void)line;
    (void)unused;
}

void fw_place_slow(fw_place *p)
{
    (void)p;
}

void fw_class_refuse(fw_place *p, uint32_t name)
{
    (void)p;
    (void)name;
}

void fw_engine_leave(fw_engine *e, fw_task *t)
{
    (void)e;
    (void)t;
    fw_model_fail("nothing leaves here");
}

void fw_engine_stop_task(fw_engine *e, fw_task *t)
{
    fw_engine_leave(e, t);
}

void fw_engine_expire(fw_engine *e, fw_task *t, unsigned run)
{
    (void)run;
    fw_engine_leave(e, t);
}

bool fw_engine_try_again(fw_engine *e, fw_task *t, unsigned run, unsigned held, int why)
{
    (void)e;
    (void)t;
    (void)run;
    (void)held;
    (void)why;
    return false;
}

void fw_engine_end_run(fw_engine *e, fw_task *t, int why, unsigned references)
{
    (void)e;
    (void)t;
    (void)why;
    ends++;
    released += references;
}

void fw_task_release(fw_engine *e, fw_task *t)
{
    (void)e;
    (void)t;
    released++;
}

void fw_rcu_read_lock(void)
{
}

void fw_rcu_read_unlock(void)
{
}

static void send(void *context, void *owner, const fw_handout *handouts, size_t count)
{
    (void)context;
    (void)owner;
    FW_ASSERT(count == 1);
    handout = handouts[0];
}

static fw_loss lost(void *context, fw_task *t, void *owner)
{
    (void)context;
    (void)owner;
    fw_model_check(t == &task);
    losses++;
    return FW_LOSS_AGAIN;
}

/* --- The world --- */

static void give(void)
{
    fw_store_relaxed(&task.lease, 5);
    FW_ASSERT(fw_hold_has_room(&place));
    fw_hold_give(&place, &task, NULL);
    fw_holds_send(&dispatch);
    FW_ASSERT(handout.task == &task);
}

static void begin(void)
{
    fw_hold *kept = fw_load_relaxed(&place.chunks[0]);
    memset(&dispatch, 0, sizeof dispatch);
    memset(&place, 0, sizeof place);
    memset(&task, 0, sizeof task);
    free(kept);
    engine.counters.rows = rows;
    fw_store_relaxed(&engine.dispatcher, &dispatch);
    dispatch.engine = &engine;
    dispatch.places = places;
    dispatch.ops = (fw_dispatch_ops){NULL, send, lost, NULL};
    place.dispatch = &dispatch;
    place.number = 1;
    place.slots = 1;
    place.holds_max = 1;
    fw_task_init(&task, FW_QUEUED);
    fw_store_relaxed(&task.attempt, 1);
    ends = losses = released = claims = 0;
    seen_wrong = false;
    give();
}

static fw_task *claim(void)
{
    fw_task *claimed = fw_dispatch_claim(&engine, 1, handout.lease);
    claims += claimed != NULL;
    return claimed;
}

static void run(unsigned thread)
{
    uint32_t number = 0;
    fw_task *claimed = thread < 2 ? claim() : NULL;
    if (thread == 0 && claimed)
        fw_dispatch_end(&engine, claimed, handout.lease, true, 1);
    else if (thread == 1 && claimed)
        fw_dispatch_return(&engine, claimed, handout.lease, false);
    else if (thread == 2)
        fw_holds_lose(&place, false);
    else if (fw_dispatch_lease_of(&task, &number) != 0 && ends + losses > 0)
        seen_wrong = seen_wrong || number != 1;
}

static void end(void)
{
    fw_holds_collect(&dispatch);
    fw_model_check(claims + losses == 1 && !seen_wrong);
    fw_model_check(fw_place_in_hand(&place) == 0);
    fw_model_check(dispatch.homecoming.count == 1 - ends);
    fw_model_check(released == ends * FW_TASK_REFERENCES);
    fw_model_check(fw_task_state(&task) == (ends ? FW_SUCCESS : FW_QUEUED));
    fw_model_check(fw_load_relaxed(&task.attempt) == 1 + losses);
    fw_model_check(claim() == NULL);
}

/* It was returned and given anew while somebody still has the former lease. */
static fw_handout former;

static void begin_anew(void)
{
    begin();
    former = handout;
    fw_task *claimed = claim();
    fw_dispatch_return(&engine, claimed, handout.lease, false);
    claims = 0;
}

static void run_anew(unsigned thread)
{
    if (thread == 0) {
        fw_holds_collect(&dispatch);
        give();
        fw_model_check(handout.lease != former.lease);
        if (claim())
            fw_dispatch_end(&engine, &task, handout.lease, true, 1);
    } else {
        fw_model_check(fw_dispatch_claim(&engine, 1, former.lease) == NULL);
    }
}

static void end_anew(void)
{
    fw_holds_collect(&dispatch);
    fw_model_check(claims == 1 && ends == 1 && fw_place_in_hand(&place) == 0);
}

int main(void)
{
    const fw_model models[] = {
        {"leases: end, return and loss", 3, begin, run, end},
        {"leases: one of an earlier generation", 2, begin_anew, run_anew, end_anew},
    };
    fw_store_relaxed(&fw_engine_homes[0], &engine);
    return fw_model_main(models, sizeof models / sizeof models[0], 2);
}
