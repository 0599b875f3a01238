/* engine/memory.c - size classes over slabs.
 *
 * Sizes go up by about a third, in steps of whole cache lines, so that a block wastes little and
 * two tasks never share a line.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/memory.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(fw_task, payload) % 16 == 0, "payloads are aligned to 16 bytes");
_Static_assert(offsetof(fw_task, payload) <= 96, "the header is what every queued task costs");

static const uint16_t class_bytes[FW_MEMORY_CLASSES] = {128, 192,  256,  320,  448, 576,
                                                        768, 1024, 1536, 2560, 4096};
enum { LINE = 64, LINES = FW_MEMORY_SLAB_MAX / LINE };

/* By number of lines, rounded up: the smallest class that fits. */
static const uint8_t class_of_lines[LINES + 1] = {
    0,  0,  0,  1,  2,  3,  4,  4,  5,  5,  6,  6,  6,  7,  7,  7,  7,  8,  8,  8,  8,  8,
    8,  8,  8,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10,
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10};

static size_t task_bytes(size_t payload_bytes)
{
    return offsetof(fw_task, payload) + payload_bytes;
}

static unsigned class_for(size_t bytes)
{
    if (FW_UNLIKELY(bytes > FW_MEMORY_SLAB_MAX))
        return FW_MEMORY_HEAP;
    unsigned class = class_of_lines[(bytes + LINE - 1) / LINE];
    FW_DEBUG_ASSERT(class_bytes[class] >= bytes);
    FW_DEBUG_ASSERT(class == 0 || class_bytes[class - 1] < bytes);
    return class;
}

/* What a task takes from the limit: the block that it is in. */
static size_t charge(unsigned class, size_t bytes)
{
    return class == FW_MEMORY_HEAP ? bytes : class_bytes[class];
}

int fw_memory_init(fw_memory *memory, size_t tasks_max, size_t bytes_max)
{
    *memory = (fw_memory){0};
    int err = fw_quota_init(&memory->quota, tasks_max, bytes_max);
    for (unsigned i = 0; !err && i < FW_MEMORY_CLASSES; i++) {
        memory->slabs[i] = fw_slab_create(class_bytes[i], LINE);
        if (!memory->slabs[i])
            err = -FW_ENOMEM;
    }
    if (err)
        fw_memory_fini(memory);
    return err;
}

void fw_memory_fini(fw_memory *memory)
{
    for (unsigned i = 0; i < FW_MEMORY_CLASSES; i++)
        fw_slab_destroy(memory->slabs[i]);
    memset(memory->slabs, 0, sizeof memory->slabs);
    fw_quota_fini(&memory->quota);
}

fw_task *fw_memory_alloc(fw_memory *memory, int *refusal, size_t payload_bytes)
{
    /* No limit is that large, and payload_bytes has 32 bits. */
    if (FW_UNLIKELY(payload_bytes > UINT32_MAX)) {
        *refusal = -FW_EFULL;
        return NULL;
    }
    size_t bytes = task_bytes(payload_bytes);
    unsigned class = class_for(bytes);
    if (FW_UNLIKELY(!fw_quota_take(&memory->quota, charge(class, bytes)))) {
        *refusal = -FW_EFULL;
        return NULL;
    }
    fw_task *task = class == FW_MEMORY_HEAP ? malloc(bytes) : fw_slab_alloc(memory->slabs[class]);
    if (FW_UNLIKELY(!task)) {
        fw_quota_give(&memory->quota, charge(class, bytes));
        *refusal = -FW_ENOMEM;
        return NULL;
    }
    memset(task, 0, offsetof(fw_task, payload));
    task->payload_bytes = (uint32_t)payload_bytes;
    task->size_class = (uint8_t) class;
    return task;
}

void fw_memory_free(fw_memory *memory, fw_task *task)
{
    unsigned class = task->size_class;
    FW_ASSERT(class < FW_MEMORY_CLASSES || class == FW_MEMORY_HEAP);
    size_t bytes = charge(class, task_bytes(task->payload_bytes));
    if (class == FW_MEMORY_HEAP)
        free(task);
    else
        fw_slab_free(memory->slabs[class], task);
    fw_quota_give(&memory->quota, bytes);
}
