/* Every order of threads that end counted runs and of the duty that takes the ends in: each end is
 * taken once, by a round that somebody has called for (ended-note in engine/limits_keys.h).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "explorer.h"

#include "base/assert.h"
#include "engine/baton.h"
#include "engine/limits_priv.h"

static fw_key_table *table;
static fw_baton baton;
static fw_key_line lines[2];
static unsigned taken[2];

static void begin(void)
{
    if (!table)
        table = calloc(1, sizeof *table);
    FW_ASSERT(table);
    baton = (fw_baton){.calls = 0};
    fw_store_relaxed(&table->ended, NULL);
    for (uint16_t i = 0; i < 2; i++) {
        lines[i] = (fw_key_line){.slot = (uint16_t)(i + 1)};
        fw_store_relaxed(&table->at[i + 1], &lines[i]);
        taken[i] = 0;
    }
}

/* As fw_keys_collect. */
static void collect(void)
{
    fw_key_line *list = fw_keys_take_ended(table);
    while (list) {
        fw_key_line *line = list;
        list = line->next_ended;
        taken[line - lines] += fw_key_take_ends(line);
    }
}

static void leave(unsigned slot)
{
    uint64_t seen;
    if (!fw_key_leave(table, slot) || !fw_baton_call(&baton, &seen))
        return;
    do
        collect();
    while (fw_baton_pass(&baton, &seen));
}

static void run_same(unsigned thread)
{
    (void)thread;
    leave(1);
}

static void end_same(void)
{
    fw_model_check(taken[0] == 3 && fw_baton_is_idle(&baton));
}

/* Two keys, one of which ends twice. */
static void run_two(unsigned thread)
{
    leave(1 + thread);
    if (thread == 0)
        leave(1);
}

static void end_two(void)
{
    fw_model_check(taken[0] == 2 && taken[1] == 1 && fw_baton_is_idle(&baton));
}

int main(void)
{
    const fw_model models[] = {
        {"limits: three runs of a key end", 3, begin, run_same, end_same},
        {"limits: runs of two keys end", 2, begin, run_two, end_two},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 3);
}
