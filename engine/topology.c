/* engine/topology.c - sched_getaffinity(2), and what /sys says about cores and packages.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/topology.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

/* One non-negative number from a file of /sys, or 0. */
static unsigned short fw_topology_number(unsigned cpu, const char *name)
{
    char path[128];
    unsigned value = 0;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/%s", cpu, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%u", &value) != 1)
        value = 0;
    fclose(file);
    return (unsigned short)value;
}

void fw_topology_read(fw_topology *topology)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    topology->count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        CPU_SET(0, &set);
    for (unsigned cpu = 0; cpu < FW_CPUS_MAX && cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set))
            continue;
        fw_cpu *entry = &topology->cpus[topology->count++];
        *entry = (fw_cpu){.number = (unsigned short)cpu,
                          .package = fw_topology_number(cpu, "physical_package_id"),
                          .core = fw_topology_number(cpu, "core_id")};
        for (unsigned i = 0; i + 1 < topology->count; i++)
            if (topology->cpus[i].package == entry->package &&
                topology->cpus[i].core == entry->core)
                entry->sibling++;
    }
    FW_ASSERT(topology->count > 0);
}

unsigned fw_topology_usable(const fw_topology *topology)
{
    FW_ASSERT(topology->count > 0);
    unsigned long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL)
        return topology->count;
    int fields = fscanf(file, "%lu %lu", &quota, &period); /* "max" is no number */
    fclose(file);
    if (fields != 2 || period == 0)
        return topology->count;
    unsigned long cpus = (quota + period - 1) / period;
    if (cpus == 0)
        cpus = 1;
    return cpus < topology->count ? (unsigned)cpus : topology->count;
}

static int fw_cpu_difference(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int fw_cpu_compact(const void *left, const void *right)
{
    const fw_cpu *a = left, *b = right;
    int by = fw_cpu_difference(a->package, b->package);
    if (by == 0)
        by = fw_cpu_difference(a->core, b->core);
    return by != 0 ? by : fw_cpu_difference(a->number, b->number);
}

static int fw_cpu_spread(const void *left, const void *right)
{
    const fw_cpu *a = left, *b = right;
    int by = fw_cpu_difference(a->sibling, b->sibling);
    if (by == 0)
        by = fw_cpu_difference(a->core, b->core);
    if (by == 0)
        by = fw_cpu_difference(a->package, b->package);
    return by != 0 ? by : fw_cpu_difference(a->number, b->number);
}

void fw_topology_sort(fw_topology *topology, fw_affinity affinity)
{
    FW_ASSERT(affinity == FW_AFFINITY_COMPACT || affinity == FW_AFFINITY_SPREAD);
    qsort(topology->cpus, topology->count, sizeof(topology->cpus[0]),
          affinity == FW_AFFINITY_COMPACT ? fw_cpu_compact : fw_cpu_spread);
}

bool fw_topology_has(const fw_topology *topology, unsigned cpu)
{
    for (unsigned i = 0; i < topology->count; i++)
        if (topology->cpus[i].number == cpu)
            return true;
    return false;
}

bool fw_topology_pin(pthread_t thread, unsigned cpu)
{
    cpu_set_t set;
    FW_ASSERT(cpu < CPU_SETSIZE);
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return pthread_setaffinity_np(thread, sizeof(set), &set) == 0;
}
