/* limits_stress_test.c - several threads submit, run, complete, cancel, set limits and pause, at
 * the own pool and at places elsewhere that come and go: never do more of a name run than its limit
 * says, every task is done once, and nothing is left. Also covers engine/holding.c. FW_SEED and
 * FW_STRESS_TASKS: see limits_crowd.h. SPDX-License-Identifier: Apache-2.0 */
#include "limits_crowd.h"

/* Names 0 to 3 have limits from the beginning that stay (1, 2, 3, 4 at once); 4 and 5 get others
 * all the time; 6 and 7 are paused now and then. */
enum { NAMES = 8, FIXED = 4, LIVE_MAX = 2000 };

static fw_atomic(unsigned) running[NAMES], most[NAMES];

static void fill(fw_task *task, uint32_t who, uint32_t i, uint64_t dice)
{
    (void)who;
    (void)i;
    task->name = (uint16_t)(dice % NAMES);
}

static void begin(crowd *c, fw_task *task)
{
    unsigned now = fw_add_seq_cst(&running[task->name], 1) + 1;
    if (now > fw_load_seq_cst(&most[task->name]))
        fw_store_seq_cst(&most[task->name], now);
    if (task->name < FIXED && now > task->name + 1u)
        fw_add_seq_cst(&c->over, 1);
}

static void end(crowd *c, fw_task *task)
{
    (void)c;
    fw_sub_seq_cst(&running[task->name], 1);
}

static bool look(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_in_range(view->name, 0, NAMES - 1);
    if (view->name < FIXED)
        assert_in_range(view->running, 0, view->name + 1);
    return true;
}

static void meddle(crowd *c, uint64_t dice)
{
    uint32_t unsteady = 4 + dice % 2, paused = 6 + dice % 2;
    int64_t soon_ns = fw_now_ns() + (int64_t)(dice >> 40) % FW_NS_PER_MS;
    switch (dice >> 8 & 7) {
    case 0:
        assert_int_equal(fw_limit_set(c->engine, unsteady, dice >> 16 & 3,
                                      dice & 1 << 20 ? 100000 : 0, dice >> 24 & 15),
                         0);
        break;
    case 1:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_NAME, paused, FW_PAUSE_FOREVER), 0);
        break;
    case 2:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_NAME, paused, soon_ns), 0);
        break;
    case 3:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_LEVEL, dice >> 16 & 3, soon_ns), 0);
        break;
    case 4:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_ALL, 0, dice & 1 << 20 ? soon_ns : 0),
                         0);
        break;
    default:
        fw_limit_each(c->engine, look, c);
        end_one(c, dice, true);
    }
}

static void let_go(crowd *c)
{
    for (uint32_t name = FIXED; name < NAMES; name++)
        assert_int_equal(fw_limit_set(c->engine, name, 0, 0, 0), 0);
    assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_ALL, 0, 0), 0);
}

static bool is_idle(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_int_equal(view->running, 0);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        assert_int_equal(view->waiting[level], 0);
    return true;
}

static void limits_hold_whatever_happens(void **state)
{
    static const uint32_t desk_names[] = {0, 2, 4, 6};
    static const crowd_calls calls = {16,   LIVE_MAX, NAMES, desk_names, 4,
                                      fill, begin,    end,   meddle,     let_go};
    static crowd c;
    (void)state;
    open_crowd(&c, &calls);
    for (uint32_t name = 0; name < FIXED; name++)
        assert_int_equal(fw_limit_set(c.engine, name, name + 1, 0, 0), 0);
    run_crowd(&c);
    assert_int_equal(fw_engine_drain(c.engine, 60 * FW_NS_PER_S), 0);
    for (uint32_t name = 0; name < NAMES; name++)
        print_message("name %u: at most %u at once\n", name, fw_load_seq_cst(&most[name]));
    /* Cancelled ones may lie in lanes and lines. */
    fw_engine_halt(c.engine);
    fw_limit_each(c.engine, is_idle, &c);
    close_crowd(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
