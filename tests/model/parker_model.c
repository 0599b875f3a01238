/* Every order of sleepers and notifiers: P1, P2 and P5 of engine/parker.h. Work is a number of
 * tickets; a thread that got its ticket never looks again, as if its piece ran for ever, so a
 * wake-up that is lost or not passed on leaves a sleeper behind. SPDX-License-Identifier:
 * Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "engine/parker.h"

static fw_parker parker;
static fw_atomic(uint32_t) tickets;
static unsigned sleepers;

static void begin_with(unsigned count)
{
    memset(&parker, 0, sizeof(parker));
    fw_model_check(fw_parker_init(&parker, count) == 0);
    fw_store_relaxed(&tickets, 0);
    sleepers = count;
}

static void begin_one(void)
{
    begin_with(1);
}

static void begin_two(void)
{
    begin_with(2);
}

static void end(void)
{
    fw_model_check(fw_load_relaxed(&tickets) == 0);
    fw_model_check(fw_parker_searching(&parker) == 0);
    fw_model_check(fw_parker_sleepers(&parker) == 0);
    fw_parker_fini(&parker);
}

static uint32_t tickets_left(void)
{
    /* [model-ticket] seq_cst: after the announcement, or after the end of the search. */
    return fw_load_seq_cst(&tickets);
}

static void add_tickets(uint32_t count)
{
    /* [model-ticket] seq_cst: before the look for sleepers. */
    fw_add_seq_cst(&tickets, count);
}

static bool take(void)
{
    uint32_t seen = tickets_left();
    while (seen > 0)
        /* [model-ticket] seq_cst: one total order for the tickets. */
        if (fw_cas_seq_cst(&tickets, &seen, seen - 1))
            return true;
    return false;
}

/* As fw_worker_idle does it. */
static void work(unsigned thread)
{
    bool searching = false;
    for (;;) {
        if (!searching && fw_parker_searching(&parker) < parker.searchers_max) {
            fw_parker_search_begin(&parker);
            searching = true;
        }
        if (searching) {
            bool found = take();
            bool last = fw_parker_search_end(&parker);
            if (found) {
                if (last && tickets_left() > 0)
                    fw_parker_notify(&parker);
                return;
            }
        }
        fw_parker_announce(&parker, thread);
        if (tickets_left() > 0)
            fw_parker_cancel(&parker, thread);
        else
            fw_parker_sleep(&parker, thread);
        searching = true;
    }
}

static void publish(uint32_t count)
{
    add_tickets(count);
    fw_parker_notify(&parker);
}

/* One sleeper per ticket: all must end. */
static void one_by_one(unsigned thread)
{
    if (thread < sleepers) {
        work(thread);
        return;
    }
    for (unsigned i = 0; i < sleepers; i++)
        publish(1);
}

static void together(unsigned thread)
{
    if (thread < sleepers)
        work(thread);
    else
        publish(sleepers);
}

static void two_notifiers(unsigned thread)
{
    if (thread < sleepers)
        work(thread);
    else
        publish(1);
}

/* A sleeper that cancels just when it is claimed: thread 0 lets its first look fail. */
static void stop_all(unsigned thread)
{
    if (thread < sleepers)
        work(thread);
    else {
        add_tickets(sleepers);
        fw_parker_notify_all(&parker);
    }
}

int main(void)
{
    const fw_model models[] = {
        {"parker: one sleeper", 2, begin_one, one_by_one, end},
        {"parker: two sleepers, tickets one by one", 3, begin_two, one_by_one, end},
        {"parker: two sleepers, tickets together", 3, begin_two, together, end},
        {"parker: two sleepers, two notifiers", 4, begin_two, two_notifiers, end},
        {"parker: all are woken", 3, begin_two, stop_all, end},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 2);
}
