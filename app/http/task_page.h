/* app/http/task_page.h - all tasks, live and finished, newest first, a page at a time.
 *
 * A page is found by one walk over everything that keeps the newest few after the cursor; the
 * cursor names the last task of the page, so that pages stay in order whatever comes and goes. A
 * walk costs what it looks at (some 10 ms for 100,000 tasks) and keeps nothing from storing.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_TASK_PAGE_H
#define FW_APP_TASK_PAGE_H

#include "app/http/http_parts.h"

enum { FW_TASK_PAGE_MAX = 1000 };

typedef struct fw_task_place {
    int64_t created_ns; /* 0 as a cursor: from the newest on */
    fw_key key;
} fw_task_place;

typedef struct fw_task_page {
    size_t limit; /* 1 to FW_TASK_PAGE_MAX */
    fw_http_filter filter;
    fw_task_place after;
    /* Found: in order; total: all that fit the filter, before the cursor too. */
    fw_task_place places[FW_TASK_PAGE_MAX];
    size_t count, total;
    bool more; /* behind the last one */
} fw_task_page;

/* Fills what is found. Not inside a read section. */
void fw_task_page_find(fw_task_page *page, fw_lifecycle *life);

/* "1700000000000000000-9f...": text of a place. False: it is none. */
enum { FW_TASK_PLACE_TEXT = 64 };
void fw_task_place_write(char out[FW_TASK_PLACE_TEXT], const fw_task_place *place);
bool fw_task_place_read(fw_task_place *out, fw_span text);

#endif
