/* Every order of two submitters and a taker: O1, O2 and O4 of engine/overflow.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/overflow.h"

typedef struct item {
    fw_work_node node;
    unsigned submitter, number;
} item;

static fw_overflow overflow;
static item items[2][2];
static unsigned next[2], taken;

static void begin(void)
{
    fw_overflow_init(&overflow);
    memset(items, 0, sizeof(items));
    for (unsigned i = 0; i < 4; i++)
        items[i / 2][i % 2] = (item){.submitter = i / 2, .number = i % 2};
    memset(next, 0, sizeof(next));
    taken = 0;
}

static void take(void)
{
    size_t moved = 0;
    if (!fw_overflow_try_begin(&overflow))
        return;
    for (fw_work_node *node; (node = fw_overflow_pop(&overflow)) != NULL; moved++) {
        const item *got = FW_CONTAINER_OF(node, item, node);
        fw_model_check(got->number == next[got->submitter]);
        next[got->submitter]++;
    }
    fw_overflow_end(&overflow, moved);
    taken += (unsigned)moved;
}

static void submit_together(item *pair)
{
    fw_work_node *nodes[2] = {&pair[0].node, &pair[1].node};
    fw_overflow_push(&overflow, nodes, 2);
}

static void submit_apart(item *pair)
{
    fw_work_node *nodes[2] = {&pair[0].node, &pair[1].node};
    fw_overflow_push(&overflow, nodes, 1);
    fw_overflow_push(&overflow, nodes + 1, 1);
}

static void run(unsigned thread)
{
    if (thread == 0)
        submit_together(items[0]);
    else if (thread == 1)
        submit_apart(items[1]);
    else
        take();
    if (thread == 2)
        take();
}

static void end(void)
{
    take();
    fw_model_check(taken == 4 && next[0] == 2 && next[1] == 2);
    fw_model_check(fw_overflow_count(&overflow) == 0);
}

/* Two takers: one goes away. */
static void run_takers(unsigned thread)
{
    if (thread == 0)
        submit_apart(items[0]);
    else
        take();
}

static void end_takers(void)
{
    take();
    fw_model_check(taken == 2 && next[0] == 2);
}

int main(void)
{
    const fw_model models[] = {
        {"overflow: two submitters, one taker", 3, begin, run, end},
        {"overflow: one submitter, two takers", 3, begin, run_takers, end_takers},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 3);
}
