/* Every order of those who call for a job that one at a time does, and of who lays it down: B1 to
 * B3 of engine/baton.h. SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include "base/assert.h"
#include "engine/baton.h"

static fw_baton baton;
static fw_atomic(unsigned) brought, done;
static unsigned inside, rounds_max;

static void begin(void)
{
    baton = (fw_baton){.calls = 0};
    fw_store_relaxed(&brought, 0);
    fw_store_relaxed(&done, 0);
    inside = 0;
    rounds_max = 100;
}

/* The job: what was brought is done. */
static void work(uint64_t seen)
{
    for (unsigned round = 1; round <= rounds_max; round++) {
        fw_model_check(inside++ == 0);
        unsigned n = fw_load_seq_cst(&brought);
        fw_store_seq_cst(&done, n);
        inside--;
        if (!fw_baton_pass(&baton, &seen))
            return;
    }
    fw_baton_lay(&baton);
}

static void run(unsigned thread)
{
    uint64_t seen;
    (void)thread;
    fw_add_seq_cst(&brought, 1);
    if (fw_baton_call(&baton, &seen))
        work(seen);
}

static void end(void)
{
    fw_model_check(fw_load_seq_cst(&done) == 3);
    fw_model_check(fw_baton_is_idle(&baton) && !fw_baton_lies(&baton));
}

/* A holder that goes after its first round; who looks after the baton has what it lays down. */
static void begin_laid(void)
{
    begin();
    rounds_max = 1;
}

static void run_laid(unsigned thread)
{
    uint64_t seen;
    if (thread < 2)
        run(thread);
    else if (fw_baton_pick(&baton, &seen))
        work(seen);
}

static void end_laid(void)
{
    uint64_t seen;
    if (fw_baton_pick(&baton, &seen)) {
        rounds_max = 100;
        work(seen);
    }
    fw_model_check(fw_load_seq_cst(&done) == 2);
    fw_model_check(fw_baton_is_idle(&baton) && !fw_baton_lies(&baton));
}

int main(void)
{
    const fw_model models[] = {
        {"baton: three bring something", 3, begin, run, end},
        {"baton: a holder that lays it down", 3, begin_laid, run_laid, end_laid},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 3);
}
