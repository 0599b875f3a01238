/* engine/topology.h - which CPUs this process may use, and in which order threads are put on them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_TOPOLOGY_H
#define FW_ENGINE_TOPOLOGY_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/pool.h"

enum { FW_CPUS_MAX = 1024 };

typedef struct fw_cpu {
    unsigned short number;
    unsigned short package, core; /* as the kernel names them; 0 when it does not say */
    unsigned short sibling;       /* 0 for the first CPU of a core, 1 for its second, ... */
} fw_cpu;

typedef struct fw_topology {
    unsigned count; /* at least 1 */
    fw_cpu cpus[FW_CPUS_MAX];
} fw_topology;

/* The CPUs of the caller's affinity mask, in numerical order. */
void fw_topology_read(fw_topology *topology);
/* CPUs that a quota of the control group leaves, rounded up; the mask's count when there is none.
 */
unsigned fw_topology_usable(const fw_topology *topology);

/* Sorts: COMPACT fills core after core, SPREAD puts neighbours on different packages and cores.
 * Pure. */
void fw_topology_sort(fw_topology *topology, fw_affinity affinity);
bool fw_topology_has(const fw_topology *topology, unsigned cpu);
/* False when the kernel refuses. */
bool fw_topology_pin(pthread_t thread, unsigned cpu);

#endif
