/* engine/wheel.c - ticks as numbers of eight digits in base 64, one level for each digit.
 *
 * A timer stands on the level of the highest digit in which its tick differs from `elapsed`, in
 * the slot of that digit of its tick. Level 0 is the next 64 ticks, one tick a slot; level n
 * has 64^n ticks a slot.
 * Key invariant: all digits above its level are equal, and its own digit is larger than that of
 * `elapsed`. So the first occupied slot of the lowest occupied level is the next one in time;
 * when its first tick comes, its timers move to lower levels or are due.
 * Ticks count from the start and never wrap: eight digits are 89 years at 10 us, and what is
 * due later still is treated as due then.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/wheel.h"

#include "base/assert.h"
#include "base/clock.h"

enum { DIGIT_BITS = 6, DIGIT_MASK = FW_WHEEL_SLOTS - 1 };
_Static_assert(FW_WHEEL_SLOTS == 1 << DIGIT_BITS, "a digit names a slot");
#define TICK_MAX ((UINT64_C(1) << FW_WHEEL_LEVELS * DIGIT_BITS) - 1)
#define NEVER    UINT64_MAX

void fw_timer_list_add(fw_timer_list *list, fw_timer *timer)
{
    FW_ASSERT(timer);
    timer->next = NULL;
    if (list->first)
        list->last->next = timer;
    else
        list->first = timer;
    list->last = timer;
}

fw_timer *fw_timer_list_take(fw_timer_list *list)
{
    fw_timer *timer = list->first;
    if (timer)
        list->first = timer->next;
    return timer;
}

void fw_wheel_init(fw_wheel *wheel, int64_t tick_ns, int64_t now_ns)
{
    FW_ASSERT(tick_ns >= 10 * FW_NS_PER_US && tick_ns <= 60 * FW_NS_PER_S);
    FW_ASSERT(now_ns >= 0);
    *wheel = (fw_wheel){.tick_ns = tick_ns, .start_ns = now_ns};
}

/* Rounded up, so that nothing is early. */
static uint64_t due_tick(const fw_wheel *wheel, const fw_timer *timer)
{
    if (timer->due_ns <= wheel->start_ns)
        return 0;
    uint64_t away = (uint64_t)timer->due_ns - (uint64_t)wheel->start_ns;
    uint64_t tick = (away - 1) / (uint64_t)wheel->tick_ns + 1;
    return tick < TICK_MAX ? tick : TICK_MAX;
}

static unsigned level_of(uint64_t elapsed, uint64_t tick)
{
    FW_ASSERT(tick > elapsed);
    return (63u - (unsigned)__builtin_clzll(elapsed ^ tick)) / DIGIT_BITS;
}

/* Puts a timer where it belongs now; due ones into the list. */
static void place(fw_wheel *wheel, fw_timer_list *due, fw_timer *timer)
{
    uint64_t tick = due_tick(wheel, timer);
    if (tick <= wheel->elapsed) {
        fw_timer_list_add(due, timer);
        return;
    }
    unsigned level = level_of(wheel->elapsed, tick);
    unsigned slot = (unsigned)(tick >> level * DIGIT_BITS) & DIGIT_MASK;
    FW_ASSERT(level < FW_WHEEL_LEVELS);
    fw_timer_list_add(&wheel->slots[level][slot], timer);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void fw_wheel_add(fw_wheel *wheel, fw_timer *timer)
{
    wheel->count++;
    place(wheel, &wheel->ready, timer);
}

/* The first tick of the next occupied slot. */
static uint64_t next_tick(const fw_wheel *wheel, unsigned *level, unsigned *slot)
{
    for (*level = 0; *level < FW_WHEEL_LEVELS; ++*level) {
        if (wheel->occupied[*level] == 0)
            continue;
        *slot = (unsigned)__builtin_ctzll(wheel->occupied[*level]);
        unsigned shift = *level * DIGIT_BITS;
        uint64_t above = wheel->elapsed >> shift >> DIGIT_BITS << DIGIT_BITS;
        uint64_t tick = (above | *slot) << shift;
        FW_ASSERT(tick > wheel->elapsed);
        return tick;
    }
    return NEVER;
}

static void append(fw_wheel *wheel, fw_timer_list *due, fw_timer_list *source)
{
    for (fw_timer *timer; (timer = fw_timer_list_take(source));) {
        fw_timer_list_add(due, timer);
        wheel->count--;
    }
}

void fw_wheel_advance(fw_wheel *wheel, fw_timer_list *due, int64_t now_ns)
{
    FW_ASSERT(now_ns >= wheel->start_ns);
    uint64_t now = (uint64_t)(now_ns - wheel->start_ns) / (uint64_t)wheel->tick_ns;
    FW_ASSERT(now >= wheel->elapsed && now < TICK_MAX);
    append(wheel, due, &wheel->ready);
    unsigned level, slot;
    for (uint64_t tick; (tick = next_tick(wheel, &level, &slot)) <= now;) {
        wheel->elapsed = tick;
        fw_timer_list list = wheel->slots[level][slot];
        wheel->slots[level][slot] = (fw_timer_list){NULL, NULL};
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        for (fw_timer *timer; (timer = fw_timer_list_take(&list));)
            place(wheel, &wheel->ready, timer);
        append(wheel, due, &wheel->ready);
    }
    wheel->elapsed = now;
}

int64_t fw_wheel_next_ns(const fw_wheel *wheel)
{
    unsigned level, slot;
    uint64_t tick = wheel->ready.first ? wheel->elapsed : next_tick(wheel, &level, &slot);
    if (tick >= (uint64_t)(INT64_MAX - wheel->start_ns) / (uint64_t)wheel->tick_ns)
        return INT64_MAX;
    return wheel->start_ns + (int64_t)tick * wheel->tick_ns;
}

static void sweep_list(fw_timer_list *list, fw_timer_list *dead,
                       bool (*is_dead)(void *context, fw_timer *timer), void *context,
                       size_t *count)
{
    fw_timer_list kept = {NULL, NULL};
    for (fw_timer *timer; (timer = fw_timer_list_take(list));) {
        if (is_dead(context, timer)) {
            fw_timer_list_add(dead, timer);
            --*count;
        } else {
            fw_timer_list_add(&kept, timer);
        }
    }
    *list = kept;
}

void fw_wheel_sweep(fw_wheel *wheel, fw_timer_list *dead,
                    bool (*is_dead)(void *context, fw_timer *timer), void *context)
{
    sweep_list(&wheel->ready, dead, is_dead, context, &wheel->count);
    for (unsigned level = 0; level < FW_WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < FW_WHEEL_SLOTS; slot++) {
            fw_timer_list *list = &wheel->slots[level][slot];
            if (!list->first)
                continue;
            sweep_list(list, dead, is_dead, context, &wheel->count);
            if (!list->first)
                wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        }
    }
}
