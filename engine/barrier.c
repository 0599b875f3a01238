/* engine/barrier.c - the membarrier(2) half; barrier.h has the argument.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

fw_atomic(bool) fw_barrier_registered;

void fw_barrier_register(void)
{
#ifndef FW_BARRIER_SYMMETRIC
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
        /* Relaxed: thread creation publishes it. */
        fw_store_relaxed(&fw_barrier_registered, true);
#endif
}

void fw_barrier_heavy(void)
{
    if (!fw_barrier_is_light())
        return; /* both sides use seq_cst operations */
    long result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    FW_ASSERT(result == 0);
}
