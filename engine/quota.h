/* engine/quota.h - how many tasks and bytes may live: two shared amounts.
 *
 * Q1 neither limit is ever exceeded.
 * Q2 an amount is taken as a whole or not at all.
 * Callers take for many tasks at once (engine/memory), so the shared lines are seldom touched.
 * Any thread; lock-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_QUOTA_H
#define FW_ENGINE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

typedef struct fw_quota {
    /* Immutable after init. */
    size_t tasks_max, bytes_max;
    /* Taken. */
    _Alignas(FW_APART) fw_atomic(size_t) tasks;
    fw_atomic(size_t) bytes;
} fw_quota;

void fw_quota_init(fw_quota *quota, size_t tasks_max, size_t bytes_max);
/* So many tasks of together so many bytes. False: refused. */
bool fw_quota_take(fw_quota *quota, size_t tasks, size_t bytes);
void fw_quota_give(fw_quota *quota, size_t tasks, size_t bytes);
size_t fw_quota_bytes(const fw_quota *quota);

#endif
