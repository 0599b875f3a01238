/* The explorer itself: it finds a lost update and a lost wake-up, and passes their repaired twins.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <stdio.h>

#include "engine/futex.h"

static fw_atomic(uint32_t) counter, gate;

static void begin(void)
{
    fw_store_relaxed(&counter, 0);
    fw_store_relaxed(&gate, 0);
}

static void add_badly(unsigned thread)
{
    (void)thread;
    uint32_t seen = fw_load_relaxed(&counter);
    fw_store_relaxed(&counter, seen + 1);
}

static void add_well(unsigned thread)
{
    (void)thread;
    fw_add_relaxed(&counter, 1);
}

static void end_at_two(void)
{
    fw_model_check(fw_load_relaxed(&counter) == 2);
}

/* Thread 0 sleeps until the gate is 1; the bad opener looks for a sleeper before it opens. Relaxed
 * will do here: the explorer knows one order only. */
static void sleep_or_open(unsigned thread, bool well)
{
    if (thread == 0) {
        fw_store_relaxed(&counter, 1);
        while (fw_load_relaxed(&gate) == 0)
            FW_FUTEX_WAIT(&gate, 0);
        return;
    }
    bool asleep = fw_load_relaxed(&counter) != 0;
    fw_store_relaxed(&gate, 1);
    if (asleep || (well && fw_load_relaxed(&counter) != 0))
        FW_FUTEX_WAKE(&gate);
}

static void open_badly(unsigned thread)
{
    sleep_or_open(thread, false);
}

static void open_well(unsigned thread)
{
    sleep_or_open(thread, true);
}

static void end_freely(void)
{
}

static int expect(const fw_model *model, unsigned preemptions, bool fails)
{
    fw_model_result result = fw_model_explore(model, preemptions, false);
    bool right = (result.failure != NULL) == fails;
    printf("%s, %u preemptions: %lu schedules, %s: %s\n", model->name, preemptions,
           result.schedules, result.failure != NULL ? result.failure : "no failure",
           right ? "as it should be" : "WRONG");
    return right ? 0 : 1;
}

int main(void)
{
    const fw_model bad_add = {"lost update", 2, begin, add_badly, end_at_two};
    const fw_model good_add = {"atomic update", 2, begin, add_well, end_at_two};
    const fw_model bad_open = {"lost wake-up", 2, begin, open_badly, end_freely};
    const fw_model good_open = {"kept wake-up", 2, begin, open_well, end_freely};
    return expect(&bad_add, 0, false) | expect(&bad_add, 1, true) | expect(&good_add, 3, false) |
           expect(&bad_open, 2, true) | expect(&good_open, 3, false);
}
