/* app/http/task_page.c - see app/http/task_page.h. Covered by http_tasks_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/task_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/life/lifecycle_parts.h"
#include "base/clock.h"
#include "base/rcu.h"

/* --- order --- */

/* Newest first; the key decides between equals. */
static bool is_before(const fw_task_place *a, const fw_task_place *b)
{
    if (a->created_ns != b->created_ns)
        return a->created_ns > b->created_ns;
    return a->key.high != b->key.high ? a->key.high < b->key.high : a->key.low < b->key.low;
}

static int compare(const void *a, const void *b)
{
    return is_before(a, b) ? -1 : is_before(b, a) ? 1 : 0;
}

/* places is a heap whose root is the last of those that are kept. */
static void sift_down(fw_task_place *places, size_t count)
{
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_before(&places[child], &places[child + 1]))
            child++;
        if (!is_before(&places[at], &places[child]))
            return;
        fw_task_place swapped = places[at];
        places[at] = places[child];
        places[child] = swapped;
        at = child;
    }
}

static void sift_up(fw_task_place *places, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!is_before(&places[parent], &places[at]))
            return;
        fw_task_place swapped = places[at];
        places[at] = places[parent];
        places[parent] = swapped;
        at = parent;
    }
}

static void offer(fw_task_page *page, const fw_task_place *place)
{
    page->total++;
    if (page->after.created_ns != 0 && !is_before(&page->after, place))
        return;
    if (page->count < page->limit) {
        page->places[page->count] = *place;
        sift_up(page->places, page->count++);
        return;
    }
    page->more = true;
    if (is_before(place, &page->places[0])) {
        page->places[0] = *place;
        sift_down(page->places, page->count);
    }
}

/* --- the walk --- */

static bool is_wanted(const fw_http_filter *filter, fw_state status, unsigned level, fw_span name)
{
    return (filter->status < 0 || filter->status == (int)status) &&
           (filter->level < 0 || filter->level == (int)level) &&
           (filter->name.len == 0 ||
            (filter->name.len == name.len && memcmp(filter->name.ptr, name.ptr, name.len) == 0));
}

typedef struct walk {
    fw_task_page *page;
    const fw_lifecycle *life;
} walk;

static bool visit_live(void *context, fw_task *task)
{
    const walk *w = context;
    fw_state state = fw_task_state(task);
    /* What has ended is met among the finished. */
    if (fw_state_is_over(state))
        return true;
    fw_task_place place = {task->created_wall_ns, task->key};
    if (is_wanted(&w->page->filter, state, task->level,
                  fw_name_text(fw_names_at(w->life->names, task->name))))
        offer(w->page, &place);
    return true;
}

static bool visit_finished(void *context, const fw_cache_item *item)
{
    const walk *w = context;
    fw_task_place place = {item->created_wall_ns, item->key};
    if (is_wanted(&w->page->filter, item->status, item->level, item->name))
        offer(w->page, &place);
    return true;
}

/* Live tasks are looked at first: one that ends meanwhile may be met twice. */
static void drop_doubles(fw_task_page *page)
{
    size_t kept = 0;
    for (size_t i = 0; i < page->count; i++) {
        if (kept > 0 && fw_key_equal(page->places[kept - 1].key, page->places[i].key)) {
            page->total--;
            continue;
        }
        page->places[kept++] = page->places[i];
    }
    page->count = kept;
}

void fw_task_page_find(fw_task_page *page, fw_lifecycle *life)
{
    walk w = {page, life};
    uint64_t cursor = 0;
    page->count = page->total = 0;
    page->more = false;
    if (page->filter.status < 0 || !fw_state_is_over((fw_state)page->filter.status))
        fw_engine_each(life->engine, visit_live, &w);
    do {
        fw_rcu_read_lock();
        fw_cache_each(life->cache, &cursor, fw_now_ns(), visit_finished, &w);
        fw_rcu_read_unlock();
    } while (cursor != 0);
    qsort(page->places, page->count, sizeof page->places[0], compare);
    drop_doubles(page);
}

/* --- text --- */

void fw_task_place_write(char out[FW_TASK_PLACE_TEXT], const fw_task_place *place)
{
    snprintf(out, FW_TASK_PLACE_TEXT, "%" PRId64 "-%016" PRIx64 "%016" PRIx64, place->created_ns,
             place->key.high, place->key.low);
}

static bool read_hex(const char *text, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool fw_task_place_read(fw_task_place *out, fw_span text)
{
    size_t digits = 0, created = 0;
    while (digits < text.len && text.ptr[digits] != '-')
        digits++;
    if (text.len != digits + 33 || digits == 0 || digits > 19)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        created = created * 10 + (size_t)(text.ptr[i] - '0');
    }
    if (created == 0 || created > INT64_MAX)
        return false;
    out->created_ns = (int64_t)created;
    return read_hex(text.ptr + digits + 1, &out->key.high) &&
           read_hex(text.ptr + digits + 17, &out->key.low);
}
