/* The overflow: order, gaps between the stub and the last node, and submitters against one taker
 * (O1, O2, O4). */
#include "engine/overflow.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"

typedef struct item {
    fw_work_node node;
    uint32_t submitter, number;
} item;

static void push_items(fw_overflow *overflow, item *items, size_t count)
{
    fw_work_node *nodes[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++)
        nodes[i] = &items[i].node;
    fw_overflow_push(overflow, nodes, count);
}

static uint32_t pop_number(fw_overflow *overflow)
{
    fw_work_node *node = fw_overflow_pop(overflow);
    return node != NULL ? FW_CONTAINER_OF(node, item, node)->number : UINT32_MAX;
}

static void nodes_come_out_in_order(void **state)
{
    (void)state;
    fw_overflow overflow;
    item items[6];
    for (uint32_t i = 0; i < 6; i++)
        items[i] = (item){.number = i};
    fw_overflow_init(&overflow);
    for (unsigned round = 0; round < 3; round++) { /* the stub goes round with them */
        push_items(&overflow, items, 1);
        push_items(&overflow, items + 1, 3);
        assert_int_equal(fw_overflow_count(&overflow), 4);
        assert_true(fw_overflow_try_begin(&overflow));
        assert_false(fw_overflow_try_begin(&overflow));
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(pop_number(&overflow), i);
        push_items(&overflow, items + 4, 2);
        for (uint32_t i = 2; i < 6; i++)
            assert_int_equal(pop_number(&overflow), i);
        assert_null(fw_overflow_pop(&overflow));
        assert_int_equal(fw_overflow_count(&overflow), 6);
        fw_overflow_end(&overflow, 6);
        assert_int_equal(fw_overflow_count(&overflow), 0);
    }
}

enum { SUBMITTERS = 3, TAKERS = 2 };

typedef struct stress {
    fw_overflow overflow;
    size_t per_submitter;
    fw_atomic(size_t) taken;
    int64_t last[SUBMITTERS]; /* the taker's */
} stress;

typedef struct role {
    stress *shared;
    item *items;
} role;

static void *submit(void *argument)
{
    role *me = argument;
    for (size_t i = 0; i < me->shared->per_submitter;) {
        size_t n = 1 + i % 16;
        if (n > me->shared->per_submitter - i)
            n = me->shared->per_submitter - i;
        push_items(&me->shared->overflow, me->items + i, n);
        i += n;
    }
    return NULL;
}

static void *take(void *argument)
{
    stress *shared = argument;
    /* Relaxed: a count. */
    while (fw_load_relaxed(&shared->taken) < SUBMITTERS * shared->per_submitter) {
        size_t moved = 0;
        if (fw_overflow_try_begin(&shared->overflow)) {
            fw_work_node *node;
            while (moved < 50 && (node = fw_overflow_pop(&shared->overflow)) != NULL) {
                const item *got = FW_CONTAINER_OF(node, item, node);
                assert_int_equal(got->number, shared->last[got->submitter] + 1);
                shared->last[got->submitter] = got->number;
                moved++;
            }
            fw_overflow_end(&shared->overflow, moved);
            /* Relaxed: a count. */
            fw_add_relaxed(&shared->taken, moved);
        }
        if (moved == 0)
            sched_yield();
    }
    return NULL;
}

static void each_submitters_order_is_kept(void **state)
{
    (void)state;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    stress shared = {.per_submitter =
                         seconds != NULL ? 100000 * strtoul(seconds, NULL, 10) : 50000};
    fw_overflow_init(&shared.overflow);
    pthread_t threads[SUBMITTERS + TAKERS];
    role roles[SUBMITTERS];
    for (uint32_t i = 0; i < SUBMITTERS; i++) {
        shared.last[i] = -1;
        roles[i] = (role){&shared, calloc(shared.per_submitter, sizeof(item))};
        for (uint32_t k = 0; k < shared.per_submitter; k++)
            roles[i].items[k] = (item){.submitter = i, .number = k};
    }
    for (size_t i = 0; i < SUBMITTERS + TAKERS; i++)
        pthread_create(&threads[i], NULL, i < SUBMITTERS ? submit : take,
                       i < SUBMITTERS ? (void *)&roles[i] : (void *)&shared);
    for (size_t i = 0; i < SUBMITTERS + TAKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(fw_overflow_count(&shared.overflow), 0);
    for (size_t i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(shared.last[i] + 1, shared.per_submitter);
        free(roles[i].items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_out_in_order),
        cmocka_unit_test(each_submitters_order_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
