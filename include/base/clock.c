/* base/clock.c - see base/clock.h. Covered by tests/app/trial_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/assert.h"

fw_atomic(int64_t) fw_clock_ahead;

void fw_clock_advance(int64_t ns)
{
    FW_ASSERT(ns >= 0);
    /* Relaxed: see fw_clock_ahead_ns. */
    fw_add_relaxed(&fw_clock_ahead, ns);
}
