/* engine/memory.h - where tasks live: slabs by size, and the limit on both number and bytes.
 *
 * M1 a task has room for its payload, and its header is zero when it is handed out.
 * M2 no more than the limits is alive (engine/quota says how a refusal can come a little early).
 * Tasks larger than the largest slab are single heap blocks. Any thread; lock-free for slab sizes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_MEMORY_H
#define FW_ENGINE_MEMORY_H

#include "base/slab.h"
#include "engine/engine.h"
#include "engine/quota.h"

enum { FW_MEMORY_CLASSES = 11, FW_MEMORY_HEAP = 15, FW_MEMORY_SLAB_MAX = 4096 };

typedef struct fw_memory {
    fw_slab *slabs[FW_MEMORY_CLASSES];
    fw_quota quota;
} fw_memory;

/* 0 or -FW_ENOMEM. */
int fw_memory_init(fw_memory *memory, size_t tasks_max, size_t bytes_max);
/* No task is alive. */
void fw_memory_fini(fw_memory *memory);
/* NULL: *refusal is -FW_EFULL or -FW_ENOMEM. The task's size_class is a class or FW_MEMORY_HEAP. */
fw_task *fw_memory_alloc(fw_memory *memory, int *refusal, size_t payload_bytes);
/* size_class as fw_memory_alloc set it. */
void fw_memory_free(fw_memory *memory, fw_task *task);

#endif
