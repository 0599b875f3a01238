/* Every order of an owner and one or two thieves on a deque of four slots: D1 and D2 of
 * engine/deque.h. SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "engine/deque.h"

enum { VALUES = 8 };

static fw_deque deque;
static unsigned delivered[VALUES], pushed;

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void begin(void)
{
    memset(delivered, 0, sizeof(delivered));
    pushed = 0;
    fw_model_check(fw_deque_init(&deque) == 0);
}

static void deliver(fw_work work)
{
    unsigned value = (unsigned)(uintptr_t)work.argument;
    fw_model_check(value > 0 && value < VALUES && work.run == nothing);
    delivered[value]++;
}

static void push(void)
{
    fw_model_check(fw_deque_push(&deque, (fw_work){nothing, (void *)(uintptr_t)++pushed}));
}

static void pop(void)
{
    fw_work out;
    if (fw_deque_pop(&deque, &out))
        deliver(out);
}

static void steal(size_t max)
{
    fw_work out[4];
    size_t n = fw_deque_steal(&deque, out, max);
    for (size_t i = 0; i < n; i++) {
        deliver(out[i]);
        fw_model_check(i == 0 || (uintptr_t)out[i].argument != (uintptr_t)out[i - 1].argument);
    }
}

static void end(void)
{
    fw_work out = {NULL, NULL};
    while (fw_deque_size(&deque) > 0) {
        fw_model_check(fw_deque_pop(&deque, &out));
        deliver(out);
    }
    for (unsigned i = 1; i < VALUES; i++)
        fw_model_check(delivered[i] == (i <= pushed ? 1 : 0));
    fw_model_check(fw_deque_is_valid(&deque));
    fw_deque_fini(&deque);
}

/* The owner uses slots again while a thief is inside. */
static void one_thief(unsigned thread)
{
    if (thread == 0) {
        push();
        push();
        push();
        pop();
        pop();
        push();
        pop();
        pop();
    } else {
        steal(4);
        steal(4);
    }
}

static void two_thieves(unsigned thread)
{
    if (thread == 0) {
        push();
        push();
        pop();
        pop();
    } else {
        steal(thread);
    }
}

/* The last piece: the owner pops and pushes it again and again. */
static void last_piece(unsigned thread)
{
    if (thread == 0) {
        push();
        pop();
        push();
        pop();
    } else {
        steal(1);
        steal(1);
    }
}

int main(void)
{
    const fw_model models[] = {
        {"deque: owner and a thief of halves", 2, begin, one_thief, end},
        {"deque: owner and two thieves", 3, begin, two_thieves, end},
        {"deque: the last piece", 2, begin, last_piece, end},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 3);
}
