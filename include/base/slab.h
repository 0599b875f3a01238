/* base/slab.h - equal-sized blocks, allocated and freed by any thread.
 *
 * Each thread keeps a magazine of free blocks per slab; full and empty magazines are exchanged with
 * a shared lock-free depot, so both operations are a handful of instructions in the common case and
 * lock-free otherwise; only growing by another piece of address space takes a mutex. Memory is
 * given back to the system by fw_slab_destroy alone. Under AddressSanitizer free blocks are
 * poisoned. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_SLAB_H
#define FW_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { FW_SLABS_MAX = 128 };

typedef struct fw_slab fw_slab;

/* block_bytes is rounded up to a multiple of align (a power of two, at most 4096). NULL: no memory,
 * or FW_SLABS_MAX slabs exist. */
fw_slab *fw_slab_create(size_t block_bytes, size_t align);
/* Nobody may use the slab or its blocks any more. */
void fw_slab_destroy(fw_slab *slab);
/* Not cleared. NULL: no memory. Any thread. */
void *fw_slab_alloc(fw_slab *slab);
/* Any thread, not only the one that allocated. */
void fw_slab_free(fw_slab *slab, void *block);

typedef struct fw_slab_stats {
    size_t block_bytes, mapped_bytes;
    uint64_t used_blocks; /* about: free blocks in the magazines of threads count as used */
} fw_slab_stats;
void fw_slab_snapshot(fw_slab *slab, fw_slab_stats *out);

#endif
