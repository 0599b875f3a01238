/* base/assert.h - assertions that stay in release builds.
 *
 * FW_ASSERT: our own bugs, cheap, always on. FW_DEBUG_ASSERT: too dear for release, on in FW_CHECK
 * builds. A peer's bytes are never asserted on. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_ASSERT_H
#define FW_BASE_ASSERT_H

#if defined(__GNUC__)
#define FW_LIKELY(x)   __builtin_expect(!!(x), 1)
#define FW_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define FW_LIKELY(x)   (x)
#define FW_UNLIKELY(x) (x)
#endif

/* Prints file, line and condition to stderr and aborts. */
_Noreturn void fw_assert_failed(const char *file, int line, const char *condition);

#define FW_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (FW_UNLIKELY(!(condition)))                                                             \
            fw_assert_failed(__FILE__, __LINE__, #condition);                                      \
    } while (0)

#ifdef FW_CHECK
#define FW_DEBUG_ASSERT(condition) FW_ASSERT(condition)
#else
#define FW_DEBUG_ASSERT(condition) ((void)0)
#endif

#define FW_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
