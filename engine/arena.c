/* engine/arena.c - blocks that double until a call fits into one. SPDX-License-Identifier:
 * Apache-2.0 */
#include "engine/arena.h"

#include <stdint.h>
#include <stdlib.h>

_Static_assert(sizeof(fw_arena_block) % FW_ARENA_ALIGN == 0, "data begins aligned");

static bool add_block(fw_arena *arena, size_t capacity)
{
    FW_ASSERT(capacity % FW_ARENA_ALIGN == 0);
    fw_arena_block *block = malloc(sizeof *block + capacity);
    if (!block)
        return false;
    block->next = arena->block;
    block->capacity = capacity;
    arena->block = block;
    arena->at = block->data;
    arena->end = block->data + capacity;
    return true;
}

bool fw_arena_init(fw_arena *arena)
{
    *arena = (fw_arena){0};
    return add_block(arena, FW_ARENA_FIRST);
}

void fw_arena_fini(fw_arena *arena)
{
    while (arena->block) {
        fw_arena_block *next = arena->block->next;
        free(arena->block);
        arena->block = next;
    }
    arena->at = arena->end = NULL;
}

void *fw_arena_alloc_slowly(fw_arena *arena, size_t size)
{
    FW_ASSERT(arena->block);
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (size + (FW_ARENA_ALIGN - 1)) & ~(size_t)(FW_ARENA_ALIGN - 1);
    size_t doubled = arena->block->capacity * 2;
    if (doubled > FW_ARENA_KEEP)
        doubled = FW_ARENA_KEEP;
    if (!add_block(arena, rounded > doubled ? rounded : doubled))
        return NULL;
    arena->at += rounded;
    return arena->at - rounded;
}

/* Keeps the largest block that may be kept. A call that needs more than it has gets a block of
 * twice the size, so equal calls need no more blocks after a few. */
void fw_arena_reset_slowly(fw_arena *arena)
{
    fw_arena_block *kept = NULL, *next;
    for (fw_arena_block *block = arena->block; block; block = next) {
        next = block->next;
        bool better =
            block->capacity <= FW_ARENA_KEEP && (!kept || block->capacity > kept->capacity);
        if (better) {
            free(kept);
            kept = block;
        } else {
            free(block);
        }
    }
    FW_ASSERT(kept); /* the first block is small enough, and only a better one replaces it */
    kept->next = NULL;
    arena->block = kept;
    arena->at = kept->data;
    arena->end = kept->data + kept->capacity;
}
