/* net/scratch.c - a list of blocks, newest first; taking is a bump of the newest.
 *
 * A reset keeps one block of usual size, so that in steady state nothing is allocated.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/scratch.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"

/* Room for about a hundred made-up ids. */
enum { BLOCK_BYTES = 4096 };

struct fw_scratch_block {
    fw_scratch_block *older;
    size_t used, capacity;
    char bytes[];
};

char *fw_scratch_take(fw_scratch *scratch, size_t n)
{
    FW_ASSERT(scratch != NULL);
    fw_scratch_block *block = scratch->first;
    if (block == NULL || block->capacity - block->used < n) {
        size_t capacity = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        if (capacity > SIZE_MAX - sizeof(*block))
            return NULL;
        block = malloc(sizeof(*block) + capacity);
        if (block == NULL)
            return NULL;
        block->older = scratch->first;
        block->used = 0;
        block->capacity = capacity;
        scratch->first = block;
    }
    char *bytes = block->bytes + block->used;
    block->used += n;
    FW_ASSERT(block->used <= block->capacity);
    return bytes;
}

void fw_scratch_reset(fw_scratch *scratch)
{
    FW_ASSERT(scratch != NULL);
    fw_scratch_block *kept = NULL;
    for (fw_scratch_block *block = scratch->first, *older; block != NULL; block = older) {
        older = block->older;
        if (kept == NULL && block->capacity == BLOCK_BYTES) {
            kept = block;
            continue;
        }
        free(block);
    }
    if (kept != NULL) {
        kept->older = NULL;
        kept->used = 0;
    }
    scratch->first = kept;
}

void fw_scratch_fini(fw_scratch *scratch)
{
    fw_scratch_reset(scratch);
    free(scratch->first);
    scratch->first = NULL;
}
