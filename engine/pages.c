/* engine/pages.c - anonymous mappings without a reservation.
 *
 * Covered by tests/engine/index_test.c and tests/engine/counters_test.c, whose tables stand on it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/pages.h"

#include <sys/mman.h>

#include "base/assert.h"

void *fw_pages_map(size_t bytes)
{
    FW_ASSERT(bytes > 0);
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void fw_pages_unmap(void *pages, size_t bytes)
{
    if (pages)
        FW_ASSERT(munmap(pages, bytes) == 0);
}
