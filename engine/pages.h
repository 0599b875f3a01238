/* engine/pages.h - large zeroed tables that cost memory only where they are written.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_PAGES_H
#define FW_ENGINE_PAGES_H

#include <stddef.h>

/* Zeroed and aligned to a page. NULL: no memory. */
void *fw_pages_map(size_t bytes);
/* The same for a table that is written here and there: a large one asks for huge pages, as each
 * small one would soon be touched anyway, and be looked up in page tables that are not near. */
void *fw_pages_map_scattered(size_t bytes);
/* The same bytes; NULL is nothing. */
void fw_pages_unmap(void *pages, size_t bytes);

#endif
