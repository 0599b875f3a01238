/* The lanes: flags, refilling from the overflow, order by age; covers ages.c too (L1 to L3). */
#include "engine/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void enter(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static fw_lanes *lanes_of(size_t ring_size, fw_policy policy)
{
    fw_lanes *lanes = NULL;
    fw_pool_config config = {.ring_size = ring_size, .policy = policy, .aging_ns = 1000};
    assert_int_equal(posix_memalign((void **)&lanes, FW_APART, sizeof(*lanes)), 0);
    assert_int_equal(fw_lanes_init(lanes, &config, enter), 0);
    return lanes;
}

static void drop(fw_lanes *lanes)
{
    fw_lanes_fini(lanes);
    free(lanes);
}

static void the_signal_tells_where_work_may_be(void **state)
{
    (void)state;
    fw_lanes *lanes = lanes_of(8, FW_POLICY_STRICT);
    fw_work work = {nothing, NULL}, out[8];
    assert_int_equal(fw_lanes_signal(lanes), 0);
    assert_int_equal(fw_lanes_push(lanes, FW_HIGH, &work, 1), 1);
    assert_int_equal(fw_lanes_signal(lanes), fw_signal_flag(FW_HIGH));
    fw_lanes_enlist(lanes, FW_HIGH);
    fw_lanes_enlist(lanes, FW_LOW);
    fw_lanes_enlist(lanes, FW_LOW);
    assert_int_equal(fw_signal_deques(fw_lanes_signal(lanes), FW_HIGH), 1);
    assert_int_equal(fw_signal_deques(fw_lanes_signal(lanes), FW_LOW), 2);
    assert_int_equal(fw_signal_part(fw_lanes_signal(lanes), FW_NORMAL), 0);
    fw_lanes_delist(lanes, FW_LOW);
    assert_int_equal(fw_signal_part(fw_lanes_signal(lanes), FW_LOW), 1);
    fw_lanes_lower(lanes, FW_HIGH); /* there is work: the flag stays */
    assert_true((fw_lanes_signal(lanes) & fw_signal_flag(FW_HIGH)) != 0);
    assert_int_equal(fw_lanes_pull(lanes, FW_HIGH, out, 8, 1), 1);
    fw_lanes_lower(lanes, FW_HIGH);
    assert_int_equal(fw_signal_part(fw_lanes_signal(lanes), FW_HIGH), 1);
    drop(lanes);
}

static void a_pull_takes_its_share(void **state)
{
    (void)state;
    fw_lanes *lanes = lanes_of(64, FW_POLICY_STRICT);
    fw_work work[40], out[64];
    for (uintptr_t i = 0; i < 40; i++)
        work[i] = (fw_work){nothing, (void *)i};
    assert_int_equal(fw_lanes_push(lanes, FW_NORMAL, work, 40), 40);
    assert_int_equal(fw_lanes_pull(lanes, FW_NORMAL, out, 64, 4), 10);
    assert_int_equal(fw_lanes_pull(lanes, FW_NORMAL, out, 5, 4), 5);
    assert_int_equal((uintptr_t)out[0].argument, 10);
    assert_int_equal(fw_lanes_pull(lanes, FW_NORMAL, out, 64, 100), 1); /* at least one */
    assert_int_equal(fw_lanes_pull(lanes, FW_NORMAL, out, 64, 1), 24);
    assert_int_equal(fw_lanes_pull(lanes, FW_NORMAL, out, 64, 1), 0);
    assert_false(fw_lanes_has_work(lanes, FW_NORMAL));
    drop(lanes);
}

typedef struct item {
    fw_work_node node;
    size_t number;
} item;

static void the_overflow_moves_up_in_order(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    fw_lanes *lanes = lanes_of(8, FW_POLICY_STRICT);
    static item items[COUNT];
    fw_work_node *nodes[COUNT];
    fw_work work = {nothing, NULL}, out[8];
    for (size_t i = 0; i < COUNT; i++) {
        items[i].number = i;
        nodes[i] = &items[i].node;
    }
    fw_lanes_push_nodes(lanes, FW_LOW, nodes, 300);
    assert_int_equal(fw_overflow_count(&lanes->lane[FW_LOW].overflow), 292);
    assert_int_equal(fw_lanes_push(lanes, FW_LOW, &work, 1), 0); /* would overtake */
    size_t next = 0, pushed = 300;
    for (size_t round = 0; next < COUNT; round++) {
        size_t n = fw_lanes_pull(lanes, FW_LOW, out, 8, 1 + round % 3);
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++) {
            assert_ptr_equal(out[i].run, enter);
            assert_int_equal(FW_CONTAINER_OF(out[i].argument, item, node)->number, next);
            next++;
        }
        if (pushed < COUNT) {
            fw_lanes_push_nodes(lanes, FW_LOW, nodes + pushed, 2);
            pushed += 2;
        }
    }
    assert_false(fw_lanes_has_work(lanes, FW_LOW));
    assert_int_equal(fw_lanes_push(lanes, FW_LOW, &work, 1), 1);
    drop(lanes);
}

static void ages_are_right_and_stay_bounded(void **state)
{
    (void)state;
    fw_ages ages = {0};
    assert_int_equal(fw_ages_mark(&ages, 100, 0, 0), 0);
    assert_int_equal(fw_ages_mark(&ages, 200, 5, 0), 0); /* came since the last mark */
    assert_int_equal(fw_ages_mark(&ages, 300, 9, 0), 100);
    assert_int_equal(fw_ages_mark(&ages, 400, 9, 4), 200);
    assert_int_equal(fw_ages_mark(&ages, 500, 9, 5), 200); /* piece 5 was first seen at 300 */
    assert_int_equal(fw_ages_mark(&ages, 600, 9, 9), 0);
    for (int64_t i = 0; i < 10000; i++) { /* a head that never moves */
        int64_t age = fw_ages_mark(&ages, 1000 + 10 * i, 10 + (uint64_t)i, 9);
        assert_int_equal(age, 10 * i);
        assert_true(ages.count <= FW_AGE_MARKS);
    }
    /* Half of a long backlog is gone: the age is right within a few percent, and never too high. */
    int64_t age = fw_ages_mark(&ages, 1000 + 10 * 10000, 10 + 10000, 10 + 5000);
    assert_true(age <= 50000 && age > 45000);
}

static uint32_t order_of(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return a | b << 8 | c << 16 | d << 24;
}

static void waiting_moves_a_level_up(void **state)
{
    (void)state;
    const int64_t none[FW_LEVELS] = {0, 0, 0, 0}, low[FW_LEVELS] = {0, 0, 0, 1100};
    const int64_t lower[FW_LEVELS] = {0, 0, 0, 9000}, all[FW_LEVELS] = {1, 5000, 4000, 6000};
    const int64_t first[FW_LEVELS] = {100000, 0, 0, 0}, fair[FW_LEVELS] = {0, 900, 1500, 2200};
    assert_int_equal(fw_lanes_order_by_age(none, 1000), FW_ORDER_NATURAL);
    assert_int_equal(fw_lanes_order_by_age(low, 1000), order_of(0, 1, 3, 2));
    assert_int_equal(fw_lanes_order_by_age(lower, 1000), order_of(0, 3, 1, 2));
    assert_int_equal(fw_lanes_order_by_age(all, 1000), order_of(0, 3, 1, 2));
    assert_int_equal(fw_lanes_order_by_age(first, 1000), FW_ORDER_NATURAL);
    assert_int_equal(fw_lanes_order_by_age(fair, 1000), order_of(0, 3, 2, 1));
}

static void ticks_publish_ages_and_order(void **state)
{
    (void)state;
    fw_lanes *lanes = lanes_of(8, FW_POLICY_AGING);
    fw_work work = {nothing, NULL};
    assert_int_equal(fw_lanes_push(lanes, FW_LOW, &work, 1), 1);
    fw_lanes_tick(lanes, 5000);
    fw_lanes_tick(lanes, 6500);
    /* Relaxed, both: one thread. */
    assert_int_equal(fw_load_relaxed(&lanes->lane[FW_LOW].oldest_ns), 1500);
    assert_int_equal(fw_load_relaxed(&lanes->order), order_of(0, 1, 3, 2));
    drop(lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signal_tells_where_work_may_be),
        cmocka_unit_test(a_pull_takes_its_share),
        cmocka_unit_test(the_overflow_moves_up_in_order),
        cmocka_unit_test(ages_are_right_and_stay_bounded),
        cmocka_unit_test(waiting_moves_a_level_up),
        cmocka_unit_test(ticks_publish_ages_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
