/* Every order of two producers and a consumer, and of a producer and two consumers, on a ring of
 * two cells: R1 and R2 of engine/ring.h. SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <string.h>

#include "engine/ring.h"

enum { VALUES = 8 };

static fw_ring ring;
static unsigned delivered[VALUES], pushed[VALUES];
static unsigned last_of[2]; /* of each producer, as one consumer saw it */
static unsigned consumers;

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static fw_work piece(unsigned value)
{
    return (fw_work){nothing, (void *)(uintptr_t)value};
}

static void begin(void)
{
    memset(delivered, 0, sizeof(delivered));
    memset(pushed, 0, sizeof(pushed));
    memset(last_of, 0, sizeof(last_of));
    fw_model_check(fw_ring_init(&ring, 2) == 0);
}

static void deliver(const fw_work *work, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned value = (unsigned)(uintptr_t)work[i].argument;
        fw_model_check(value > 0 && value < VALUES && work[i].run == nothing);
        delivered[value]++;
        if (consumers == 1) { /* the one consumer sees each producer's values in order */
            fw_model_check(value > last_of[value / 4]);
            last_of[value / 4] = value;
        }
    }
}

static void push(unsigned first, size_t count)
{
    fw_work work[2] = {piece(first), piece(first + 1)};
    size_t taken = fw_ring_push(&ring, work, count);
    fw_model_check(taken <= count);
    for (unsigned i = 0; i < taken; i++)
        pushed[first + i]++;
}

static void pop(size_t max)
{
    fw_work out[2];
    deliver(out, fw_ring_pop(&ring, out, max));
}

static void end(void)
{
    fw_work out[2];
    for (size_t n; (n = fw_ring_pop(&ring, out, 2)) > 0;)
        deliver(out, n);
    fw_model_check(fw_ring_is_empty(&ring));
    for (unsigned i = 0; i < VALUES; i++)
        fw_model_check(delivered[i] == pushed[i]);
    fw_ring_fini(&ring);
}

/* Producers 0 and 1 push values 1, 2 and 5, 6; thread 2 pops. */
static void two_producers(unsigned thread)
{
    consumers = 1;
    if (thread < 2) {
        push(1 + 4 * thread, 1);
        push(2 + 4 * thread, 1);
    } else {
        pop(2);
        pop(1);
    }
}

/* A producer of 1, 2 at once and 3; two consumers. A cell is used again while a slow consumer
 * copies it. */
static void two_consumers(unsigned thread)
{
    consumers = 2;
    if (thread == 0) {
        push(1, 2);
        push(3, 1);
    } else {
        pop(thread);
        pop(1);
    }
}

int main(void)
{
    const fw_model models[] = {
        {"ring: two producers, one consumer", 3, begin, two_producers, end},
        {"ring: one producer, two consumers", 3, begin, two_consumers, end},
    };
    return fw_model_main(models, sizeof(models) / sizeof(models[0]), 3);
}
