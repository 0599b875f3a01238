/* tests/cache/step.h - compiled in before every file of the cache for linear_test: each atomic
 * operation may give the processor away first, so that threads meet in the middle of everything.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_CACHE_STEP_H
#define FW_TESTS_CACHE_STEP_H

void fw_test_step(void);
#define FW_ATOMIC_STEP() fw_test_step()

#endif
