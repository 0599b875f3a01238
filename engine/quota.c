/* engine/quota.c - two amounts, each under its limit.
 *
 * Covered by tests/engine/memory_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/quota.h"

#include "base/assert.h"

void fw_quota_init(fw_quota *quota, size_t tasks_max, size_t bytes_max)
{
    FW_ASSERT(tasks_max > 0 && bytes_max > 0);
    *quota = (fw_quota){.tasks_max = tasks_max, .bytes_max = bytes_max};
}

static bool take(fw_atomic(size_t) * amount, size_t limit, size_t more)
{
    /* Relaxed, in all of this file: amounts only; they publish nothing. */
    size_t now = fw_load_relaxed(amount);
    do {
        FW_DEBUG_ASSERT(now <= limit);
        if (more > limit - now)
            return false;
    } while (!fw_cas_relaxed(amount, &now, now + more));
    return true;
}

bool fw_quota_take(fw_quota *quota, size_t tasks, size_t bytes)
{
    if (!take(&quota->tasks, quota->tasks_max, tasks))
        return false;
    if (take(&quota->bytes, quota->bytes_max, bytes))
        return true;
    fw_sub_relaxed(&quota->tasks, tasks); /* relaxed: as above */
    return false;
}

void fw_quota_give(fw_quota *quota, size_t tasks, size_t bytes)
{
    /* Relaxed: as above. */
    size_t had_tasks = fw_sub_relaxed(&quota->tasks, tasks);
    size_t had_bytes = fw_sub_relaxed(&quota->bytes, bytes);
    FW_ASSERT(had_tasks >= tasks && had_bytes >= bytes);
}

size_t fw_quota_bytes(const fw_quota *quota)
{
    /* Relaxed: a figure to be shown. */
    return fw_load_relaxed(&quota->bytes);
}
