/* Every order of a producer that raises a level's flag and a consumer that takes it down: flag-note
 * of engine/lanes.c, and the order of nodes through the overflow (L1). SPDX-License-Identifier:
 * Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "base/assert.h"
#include "engine/lanes.h"

typedef struct item {
    fw_work_node node;
    unsigned number;
} item;

static fw_lanes lanes;
static item items[5];
static unsigned next, popped, pushed;

static void enter(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void begin(void)
{
    const fw_pool_config config = {.ring_size = 2};
    fw_model_check(fw_lanes_init(&lanes, &config, enter) == 0);
    for (unsigned i = 0; i < 5; i++)
        items[i] = (item){.number = i};
    next = popped = pushed = 0;
}

static void push(void)
{
    fw_work work = {enter, NULL};
    pushed += (unsigned)fw_lanes_push(&lanes, FW_HIGH, &work, 1);
}

static void pull_and_lower(void)
{
    fw_work out[2];
    popped += (unsigned)fw_lanes_pull(&lanes, FW_HIGH, out, 2, 1);
    fw_lanes_lower(&lanes, FW_HIGH);
}

static void raise_and_lower(unsigned thread)
{
    if (thread == 2)
        pull_and_lower();
    push();
}

static void end_flag(void)
{
    bool flag = (fw_lanes_signal(&lanes) & fw_signal_flag(FW_HIGH)) != 0;
    fw_model_check(flag || !fw_lanes_has_work(&lanes, FW_HIGH));
    fw_model_check(popped <= pushed);
    fw_lanes_fini(&lanes);
}

static void pull_nodes(void)
{
    fw_work out[2];
    size_t n = fw_lanes_pull(&lanes, FW_HIGH, out, 2, 1);
    for (size_t i = 0; i < n; i++)
        fw_model_check(FW_CONTAINER_OF(out[i].argument, item, node)->number == next++);
}

/* A ring of two; five nodes in three calls overflow it; one taker sees them in order. */
static void nodes_in_order(unsigned thread)
{
    fw_work_node *nodes[5];
    for (unsigned i = 0; i < 5; i++)
        nodes[i] = &items[i].node;
    if (thread == 0) {
        fw_lanes_push_nodes(&lanes, FW_HIGH, nodes, 1);
        fw_lanes_push_nodes(&lanes, FW_HIGH, nodes + 1, 3);
        fw_lanes_push_nodes(&lanes, FW_HIGH, nodes + 4, 1);
    } else {
        pull_nodes();
        pull_nodes();
        pull_nodes();
    }
}

static void end_nodes(void)
{
    for (unsigned i = 0; i < 10 && fw_lanes_has_work(&lanes, FW_HIGH); i++)
        pull_nodes();
    fw_model_check(next == 5 && !fw_lanes_has_work(&lanes, FW_HIGH));
    fw_lanes_fini(&lanes);
}

int main(void)
{
    const fw_model models[] = {
        {"lanes: the flag goes up and down", 3, begin, raise_and_lower, end_flag},
        {"lanes: nodes in order", 2, begin, nodes_in_order, end_nodes},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 3);
}
