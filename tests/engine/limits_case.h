/* limits_case.h - a hall (dispatch_case.h) with limits that go by a clock which the test moves.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_ENGINE_LIMITS_CASE_H
#define FW_TESTS_ENGINE_LIMITS_CASE_H

#include "dispatch_case.h"

#include "engine/limits.h"

enum { RESIZE = 1, ADD = 2, MAIL = 3 };

/* The clock that limits go by, where the test moves it. */
static fw_atomic(int64_t) clock_ns;
static inline int64_t read_clock(void)
{
    return fw_load_seq_cst(&clock_ns);
}

/* Places elsewhere only, or the own pool as well, which knows the three names. */
static inline void open_hall(hall *h, bool local)
{
    fw_dispatch_config config = {
        .local = local, .prefetch = -1, .window_max = FW_WINDOW_MAX, .now_ns = read_clock};
    fw_store_seq_cst(&clock_ns, 1000 * FW_NS_PER_S);
    hall_open_with(h, 2, &config);
    for (uint32_t name = RESIZE; local && name <= MAIL; name++)
        assert_int_equal(fw_dispatch_local_name(h->p.engine, name), 0);
}

static inline void advance(hall *h, int64_t ns)
{
    fw_add_seq_cst(&clock_ns, ns);
    fw_dispatch_flush(h->p.engine);
}

static inline void limit(hall *h, uint32_t name, uint32_t max_running, double rate, uint32_t burst)
{
    assert_int_equal(fw_limit_set(h->p.engine, name, max_running, rate, burst), 0);
}

static inline void pause_for(hall *h, fw_pause_scope scope, uint32_t which, int64_t until_ns)
{
    assert_int_equal(fw_limit_pause(h->p.engine, scope, which, until_ns), 0);
}

static inline void submit_many(hall *h, probe_record *records, unsigned count, uint32_t name)
{
    for (unsigned i = 0; i < count; i++)
        hall_submit(h, &records[i], FW_NORMAL, name);
}

static inline bool take_view(void *context, const fw_limit_view *view)
{
    fw_limit_view *out = context;
    if (view->name == out->name)
        *out = *view;
    return view->name != out->name;
}

/* All zero: the name has none. */
static inline fw_limit_view view_of(hall *h, uint32_t name)
{
    fw_limit_view view = {.name = name};
    fw_limit_each(h->p.engine, take_view, &view);
    return view;
}

static inline size_t held(hall *h)
{
    fw_pause_view view;
    fw_limit_pauses(h->p.engine, &view);
    return view.held[FW_CRITICAL] + view.held[FW_HIGH] + view.held[FW_NORMAL] + view.held[FW_LOW];
}

#endif
