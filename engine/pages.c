/* engine/pages.c - anonymous mappings without a reservation.
 *
 * Covered by tests/engine/index_test.c and tests/engine/counters_test.c, whose tables stand on it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

static void *map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void *fw_pages_map(size_t bytes)
{
    FW_ASSERT(bytes > 0);
    return map(bytes);
}

void *fw_pages_map_scattered(size_t bytes)
{
    enum { HUGE_PAGE = 2 * 1024 * 1024, HUGE_FROM = 4 * HUGE_PAGE };
    FW_ASSERT(bytes > 0);
    if (bytes < HUGE_FROM)
        return map(bytes);
    char *pages = map(bytes + HUGE_PAGE);
    if (!pages)
        return NULL;
    size_t before = -(uintptr_t)pages & (HUGE_PAGE - 1), page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (bytes + page - 1) & ~(page - 1);
    if (before > 0)
        munmap(pages, before);
    munmap(pages + before + used, HUGE_PAGE - before);
    /* What the system does not give, it does not give. */
    (void)madvise(pages + before, used, MADV_HUGEPAGE);
    return pages + before;
}

void fw_pages_unmap(void *pages, size_t bytes)
{
    if (pages)
        FW_ASSERT(munmap(pages, bytes) == 0);
}
