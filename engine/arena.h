/* engine/arena.h - memory that is all given back at once, when a call ends.
 *
 * One block is kept from call to call, so that a steady load allocates nothing; a block larger than
 * FW_ARENA_KEEP is not kept, so that one large call costs memory only while it runs. Owner only.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ARENA_H
#define FW_ENGINE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

enum { FW_ARENA_FIRST = 4096, FW_ARENA_KEEP = 256 * 1024, FW_ARENA_ALIGN = 16 };

typedef struct fw_arena_block {
    _Alignas(FW_ARENA_ALIGN) struct fw_arena_block *next;
    size_t capacity;
    char data[];
} fw_arena_block;

typedef struct fw_arena {
    fw_arena_block *block; /* the one in use; older ones follow */
    char *at, *end;        /* what is free in it */
} fw_arena;

/* False: no memory. */
bool fw_arena_init(fw_arena *arena);
void fw_arena_fini(fw_arena *arena);
void *fw_arena_alloc_slowly(fw_arena *arena, size_t size);
void fw_arena_reset_slowly(fw_arena *arena);

/* Aligned to 16, not cleared, never NULL for size 0. NULL: no memory. */
static inline void *fw_arena_alloc(fw_arena *arena, size_t size)
{
    size_t rounded = (size + (FW_ARENA_ALIGN - 1)) & ~(size_t)(FW_ARENA_ALIGN - 1);
    if (FW_UNLIKELY(rounded < size || rounded > (size_t)(arena->end - arena->at)))
        return fw_arena_alloc_slowly(arena, size);
    char *out = arena->at;
    arena->at += rounded;
    return out;
}

/* Everything allocated is gone. */
static inline void fw_arena_reset(fw_arena *arena)
{
    if (FW_UNLIKELY(arena->block->next || arena->block->capacity > FW_ARENA_KEEP))
        fw_arena_reset_slowly(arena);
    arena->at = arena->block->data;
}

#endif
