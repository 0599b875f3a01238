/* wheel_test.c - timers come out in time and in order, at every distance. Pure: time is made up.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define TICK FW_NS_PER_MS

typedef struct item {
    fw_timer timer;
    uint64_t serial;
    bool dead, out;
} item;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static item *take(fw_timer_list *list)
{
    return (item *)(void *)fw_timer_list_take(list);
}

static void each_distance_comes_out_on_its_tick(void **state)
{
    (void)state;
    /* Around every power of 64 and a few odd ones, from several starts within the digits. */
    static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 262143, 16777215};
    for (unsigned s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        for (unsigned shift = 0; shift <= 36; shift++) {
            for (int off = -1; off <= 1; off++) {
                uint64_t away = (UINT64_C(1) << shift) + (uint64_t)(int64_t)off;
                fw_wheel wheel;
                fw_timer_list due = {NULL, NULL};
                int64_t start = 12345, now = start + (int64_t)starts[s] * TICK;
                fw_wheel_init(&wheel, TICK, start);
                fw_wheel_advance(&wheel, &due, now);
                item one = {.timer.due_ns = now + (int64_t)away * TICK};
                fw_wheel_add(&wheel, &one.timer);
                assert_int_equal(wheel.count, 1);
                /* One nanosecond before: nothing, however often it is asked on the way. */
                for (int64_t at; (at = fw_wheel_next_ns(&wheel)) < one.timer.due_ns;) {
                    fw_wheel_advance(&wheel, &due, at);
                    assert_null(due.first);
                }
                if (away > 0) {
                    fw_wheel_advance(&wheel, &due, one.timer.due_ns - 1);
                    assert_null(due.first);
                }
                fw_wheel_advance(&wheel, &due, one.timer.due_ns);
                assert_ptr_equal(take(&due), &one);
                assert_null(take(&due));
                assert_int_equal(wheel.count, 0);
                assert_true(fw_wheel_next_ns(&wheel) == INT64_MAX);
            }
        }
    }
}

static void due_times_are_rounded_up(void **state)
{
    (void)state;
    fw_wheel wheel;
    fw_timer_list due = {NULL, NULL};
    fw_wheel_init(&wheel, TICK, 0);
    item one = {.timer.due_ns = TICK + 1};
    fw_wheel_add(&wheel, &one.timer);
    fw_wheel_advance(&wheel, &due, 2 * TICK - 1);
    assert_null(due.first);
    fw_wheel_advance(&wheel, &due, 2 * TICK);
    assert_ptr_equal(take(&due), &one);
    /* Overdue: out at once. */
    fw_wheel_add(&wheel, &one.timer);
    assert_true(fw_wheel_next_ns(&wheel) <= 2 * TICK);
    fw_wheel_advance(&wheel, &due, 2 * TICK);
    assert_ptr_equal(take(&due), &one);
}

static void never_is_never(void **state)
{
    (void)state;
    fw_wheel wheel;
    fw_timer_list due = {NULL, NULL};
    fw_wheel_init(&wheel, TICK, FW_NS_PER_S);
    item never = {.timer.due_ns = INT64_MAX}, past = {.timer.due_ns = INT64_MIN};
    fw_wheel_add(&wheel, &never.timer);
    fw_wheel_add(&wheel, &past.timer);
    fw_wheel_advance(&wheel, &due, FW_NS_PER_S);
    assert_ptr_equal(take(&due), &past);
    fw_wheel_advance(&wheel, &due, INT64_C(100) * 365 * 86400 * FW_NS_PER_S);
    assert_null(take(&due));
    assert_int_equal(wheel.count, 1);
}

static uint64_t tick_of(int64_t due_ns)
{
    return due_ns <= 0 ? 0 : (uint64_t)((due_ns + TICK - 1) / TICK);
}

/* W1 and W2 against a plain list: random additions and advances, some of them large. */
static void against_a_plain_list(void **state)
{
    (void)state;
    enum { ITEMS = 3000 };
    uint64_t seed = UINT64_C(0x2545f4914f6cdd1d);
    const char *given = getenv("FW_SEED");
    if (given)
        seed = strtoull(given, NULL, 0) | 1;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 20; round++) {
        fw_wheel wheel;
        fw_timer_list due = {NULL, NULL};
        item *items = calloc(ITEMS, sizeof *items);
        int64_t now = 0;
        unsigned added = 0, out = 0;
        fw_wheel_init(&wheel, TICK, 0);
        while (out < ITEMS) {
            for (unsigned n = next_random(&seed) % 40; n > 0 && added < ITEMS; n--, added++) {
                unsigned bits = (unsigned)(next_random(&seed) % 40);
                int64_t away = (int64_t)(next_random(&seed) & ((UINT64_C(1) << bits) - 1));
                items[added] = (item){.timer.due_ns = now + away, .serial = added};
                fw_wheel_add(&wheel, &items[added].timer);
            }
            unsigned bits = (unsigned)(next_random(&seed) % 38);
            int64_t next = fw_wheel_next_ns(&wheel);
            /* Sometimes to where the wheel says that something happens, which is never too late. */
            if (bits % 4 == 0 && next != INT64_MAX && next > now)
                now = next;
            else
                now += (int64_t)(next_random(&seed) & ((UINT64_C(1) << bits) - 1));
            fw_wheel_advance(&wheel, &due, now);
            const item *last = NULL;
            for (item *i; (i = take(&due)); last = i, out++) {
                assert_false(i->out);
                i->out = true;
                assert_true(tick_of(i->timer.due_ns) <= (uint64_t)(now / TICK));
                if (last && tick_of(last->timer.due_ns) == tick_of(i->timer.due_ns))
                    assert_true(last->serial < i->serial);
            }
            for (unsigned i = 0; i < added; i++)
                assert_true(items[i].out ||
                            tick_of(items[i].timer.due_ns) > (uint64_t)(now / TICK));
            assert_int_equal(wheel.count, added - out);
        }
        free(items);
    }
}

static void ticks_come_in_order(void **state)
{
    (void)state;
    enum { ITEMS = 2000 };
    fw_wheel wheel;
    fw_timer_list due = {NULL, NULL};
    item *items = calloc(ITEMS, sizeof *items);
    uint64_t seed = 88172645463325252u;
    fw_wheel_init(&wheel, TICK, 0);
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].timer.due_ns = TICK + (int64_t)(next_random(&seed) % (10000 * (uint64_t)TICK));
        items[i].serial = i;
        fw_wheel_add(&wheel, &items[i].timer);
    }
    fw_wheel_advance(&wheel, &due, 20000 * TICK);
    const item *last = NULL;
    unsigned out = 0;
    for (item *i; (i = take(&due)); last = i, out++) {
        uint64_t tick = tick_of(i->timer.due_ns);
        if (last)
            assert_true(tick_of(last->timer.due_ns) < tick ||
                        (tick_of(last->timer.due_ns) == tick && last->serial < i->serial));
    }
    assert_int_equal(out, ITEMS);
    free(items);
}

static bool is_dead(void *context, fw_timer *timer)
{
    ++*(unsigned *)context;
    return ((item *)(void *)timer)->dead;
}

static void sweeping_takes_the_dead_out(void **state)
{
    (void)state;
    enum { ITEMS = 1000 };
    fw_wheel wheel;
    fw_timer_list dead = {NULL, NULL}, due = {NULL, NULL};
    item *items = calloc(ITEMS, sizeof *items);
    unsigned asked = 0, taken = 0;
    fw_wheel_init(&wheel, TICK, 0);
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].timer.due_ns = (int64_t)i * i * i * TICK / 100;
        items[i].dead = i % 3 == 0 || i > 900;
        fw_wheel_add(&wheel, &items[i].timer);
    }
    fw_wheel_sweep(&wheel, &dead, is_dead, &asked);
    assert_int_equal(asked, ITEMS);
    for (item *i; (i = take(&dead)); taken++)
        assert_true(i->dead);
    assert_int_equal(wheel.count, ITEMS - taken);
    fw_wheel_advance(&wheel, &due, INT64_C(20) * 1000 * 1000 * FW_NS_PER_S);
    for (item *i; (i = take(&due)); taken++)
        assert_false(i->dead);
    assert_int_equal(taken, ITEMS);
    assert_true(fw_wheel_next_ns(&wheel) == INT64_MAX);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_distance_comes_out_on_its_tick),
        cmocka_unit_test(due_times_are_rounded_up),
        cmocka_unit_test(never_is_never),
        cmocka_unit_test(against_a_plain_list),
        cmocka_unit_test(ticks_come_in_order),
        cmocka_unit_test(sweeping_takes_the_dead_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
