/* tests/cache/entries.h - entries outside of any cache, for tests of the parts.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_CACHE_ENTRIES_H
#define FW_TESTS_CACHE_ENTRIES_H

#include "items.h"

#include "cache/entry.h"

static inline fw_entry *create_entry(const fw_cache_item *item, int64_t expires_ns, int64_t now_ns)
{
    fw_entry_plan plan = fw_entry_plan_of(item);
    assert_true(plan.bytes > 0);
    return fw_entry_create(item, &plan, expires_ns, now_ns);
}

#endif
