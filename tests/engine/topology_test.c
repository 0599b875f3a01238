/* The topology: what this machine says, and how a made-up one is sorted. */
#include "engine/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void topology_sorts_cores(void **state)
{
    (void)state;
    static fw_topology topology;
    fw_topology_read(&topology);
    assert_true(topology.count >= 1);
    assert_true(fw_topology_usable(&topology) >= 1);
    assert_true(fw_topology_has(&topology, topology.cpus[0].number));
    /* Two packages of two cores with two siblings each, numbered as Linux likes to. */
    topology.count = 8;
    for (unsigned short i = 0; i < 8; i++)
        topology.cpus[i] = (fw_cpu){i, i / 2 % 2, i % 2, i / 4};
    fw_topology_sort(&topology, FW_AFFINITY_COMPACT);
    const unsigned compact[] = {0, 4, 1, 5, 2, 6, 3, 7}, spread[] = {0, 2, 1, 3, 4, 6, 5, 7};
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(topology.cpus[i].number, compact[i]);
    fw_topology_sort(&topology, FW_AFFINITY_SPREAD);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(topology.cpus[i].number, spread[i]);
    assert_false(fw_topology_has(&topology, 8));
}

static void a_thread_is_pinned_where_it_may_run(void **state)
{
    (void)state;
    static fw_topology topology;
    fw_topology_read(&topology);
    cpu_set_t before, now;
    assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof(before), &before), 0);
    unsigned last = topology.cpus[topology.count - 1].number;
    assert_true(fw_topology_pin(pthread_self(), last));
    assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof(now), &now), 0);
    assert_int_equal(CPU_COUNT(&now), 1);
    assert_true(CPU_ISSET(last, &now));
    fw_topology_read(&topology);
    assert_int_equal(topology.count, 1);
    assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof(before), &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topology_sorts_cores),
        cmocka_unit_test(a_thread_is_pinned_where_it_may_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
