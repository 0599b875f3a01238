/* engine/ages.c - a short history of (time, pieces pushed). SPDX-License-Identifier: Apache-2.0 */
#include "engine/ages.h"

#include <string.h>

#include "base/assert.h"

static void fw_ages_drop(fw_ages *ages, unsigned count)
{
    ages->count -= count;
    memmove(ages->marks, ages->marks + count, ages->count * sizeof(ages->marks[0]));
}

/* Keeps every second mark, and the newest. */
static void fw_ages_thin(fw_ages *ages)
{
    unsigned kept = 0;
    for (unsigned i = 0; i + 1 < ages->count; i += 2)
        ages->marks[kept++] = ages->marks[i];
    ages->marks[kept++] = ages->marks[ages->count - 1];
    ages->count = kept;
}

int64_t fw_ages_mark(fw_ages *ages, int64_t now_ns, uint64_t pushed, uint64_t popped)
{
    FW_ASSERT(popped <= pushed);
    unsigned passed = 0; /* marks that the head was not yet there to see */
    while (passed < ages->count && ages->marks[passed].pushed <= popped)
        passed++;
    fw_ages_drop(ages, passed);
    if (pushed == popped)
        return 0;
    if (ages->count == 0)
        ages->marks[ages->count++] = (fw_age_mark){now_ns, pushed};
    int64_t age = now_ns - ages->marks[0].when_ns;
    fw_age_mark *last = &ages->marks[ages->count - 1];
    /* A long history is kept evenly spaced, so that its middle stays as exact as its ends. */
    if (last->pushed != pushed && now_ns - last->when_ns >= age / FW_AGE_MARKS) {
        if (ages->count == FW_AGE_MARKS)
            fw_ages_thin(ages);
        ages->marks[ages->count++] = (fw_age_mark){now_ns, pushed};
    }
    FW_ASSERT(age >= 0);
    return age;
}
