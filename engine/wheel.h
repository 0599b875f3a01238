/* engine/wheel.h - a hierarchical timer wheel: many timers, a few steps each, none too early.
 *
 * Pure: time is an argument, and the wheel neither allocates nor reads a clock. One owner.
 * W1 a timer comes out at the first fw_wheel_advance whose time is at or past its due time
 *    rounded up to a tick; never before.
 * W2 timers come out in the order of their ticks, those of one tick in the order of adding.
 *    (One that was overdue when added counts as of that moment.)
 * W3 adding is O(1); a timer is moved at most once per level until it comes out.
 * Timers are not removed one by one: their owner marks them dead and sweeps now and then.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_WHEEL_H
#define FW_ENGINE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fw_timer {
    struct fw_timer *next; /* the wheel's */
    int64_t due_ns;        /* immutable while in the wheel */
} fw_timer;

/* A queue of timers, first in, first out. */
typedef struct fw_timer_list {
    fw_timer *first, *last;
} fw_timer_list;
void fw_timer_list_add(fw_timer_list *list, fw_timer *timer);
/* NULL: empty. */
fw_timer *fw_timer_list_take(fw_timer_list *list);

enum { FW_WHEEL_LEVELS = 8, FW_WHEEL_SLOTS = 64 };

typedef struct fw_wheel {
    int64_t tick_ns, start_ns;
    uint64_t elapsed; /* ticks since start that are dealt with */
    size_t count;
    fw_timer_list ready; /* due when they were added */
    uint64_t occupied[FW_WHEEL_LEVELS];
    fw_timer_list slots[FW_WHEEL_LEVELS][FW_WHEEL_SLOTS];
} fw_wheel;

/* tick_ns from 10 us to a minute. */
void fw_wheel_init(fw_wheel *wheel, int64_t tick_ns, int64_t now_ns);
void fw_wheel_add(fw_wheel *wheel, fw_timer *timer);
/* Moves to now_ns (not before the last time) and appends what is due to the list. */
void fw_wheel_advance(fw_wheel *wheel, fw_timer_list *due, int64_t now_ns);
/* No timer comes out before this time; INT64_MAX: there is none. May be early by the width of a
 * slot. */
int64_t fw_wheel_next_ns(const fw_wheel *wheel);
/* Takes out the timers that `is_dead` names and appends them to the list. */
void fw_wheel_sweep(fw_wheel *wheel, fw_timer_list *dead,
                    bool (*is_dead)(void *context, fw_timer *timer), void *context);

#endif
