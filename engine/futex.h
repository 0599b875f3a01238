/* engine/futex.h - sleep on a word while it has a value, wake who sleeps on it.
 *
 * The explorer replaces the two calls: FW_FUTEX_WAIT and FW_FUTEX_WAKE.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_FUTEX_H
#define FW_ENGINE_FUTEX_H

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"

#ifndef FW_FUTEX_WAIT
/* Returns at once when the word differs, and now and then for no reason. */
#define FW_FUTEX_WAIT(word, value)                                                                 \
    ((void)syscall(SYS_futex, (word), FUTEX_WAIT_PRIVATE, (value), NULL, NULL, 0))
/* Wakes the one sleeper. Harmless when the word's owner is gone from it. */
#define FW_FUTEX_WAKE(word) ((void)syscall(SYS_futex, (word), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0))
#endif

#endif
