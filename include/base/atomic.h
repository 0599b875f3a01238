/* base/atomic.h - the only place that knows how atomics are spelled.
 *
 * Operations are named by their order, so that one search lists every release in the program, and
 * no call site passes an order as an argument. Every acquire, release and seq_cst at a call site
 * carries a label in the comment above it, "[file-edge] release: what it publishes", and the other
 * end of the edge carries the same label; the tidy test holds the two against each other. A relaxed
 * operation says in a few words why no order is needed.
 *
 * C11 atomics rather than ck_pr: ThreadSanitizer sees them, and inline assembly it does not.
 * Orders stand on operations, never on bare fences, for the same reason; the one fence here orders
 * atomics only.
 *
 * FW_ATOMIC_STEP is the seam of the interleaving explorer (tests/model): it runs before each
 * operation. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_ATOMIC_H
#define FW_BASE_ATOMIC_H

#include <stdatomic.h>

#include <ck_pr.h>

#ifndef FW_ATOMIC_STEP
#define FW_ATOMIC_STEP() ((void)0)
#endif

/* Two lines: the adjacent-line prefetcher pulls lines in pairs. */
#define FW_CACHE_LINE 64
#define FW_APART      128

#define fw_atomic(type) _Atomic(type)

#define fw_load_relaxed(p) (FW_ATOMIC_STEP(), atomic_load_explicit((p), memory_order_relaxed))
#define fw_load_acquire(p) (FW_ATOMIC_STEP(), atomic_load_explicit((p), memory_order_acquire))
#define fw_load_seq_cst(p) (FW_ATOMIC_STEP(), atomic_load_explicit((p), memory_order_seq_cst))

#define fw_store_relaxed(p, v)                                                                     \
    (FW_ATOMIC_STEP(), atomic_store_explicit((p), (v), memory_order_relaxed))
#define fw_store_release(p, v)                                                                     \
    (FW_ATOMIC_STEP(), atomic_store_explicit((p), (v), memory_order_release))
#define fw_store_seq_cst(p, v)                                                                     \
    (FW_ATOMIC_STEP(), atomic_store_explicit((p), (v), memory_order_seq_cst))

#define fw_swap_acq_rel(p, v)                                                                      \
    (FW_ATOMIC_STEP(), atomic_exchange_explicit((p), (v), memory_order_acq_rel))
#define fw_swap_acquire(p, v)                                                                      \
    (FW_ATOMIC_STEP(), atomic_exchange_explicit((p), (v), memory_order_acquire))
#define fw_swap_seq_cst(p, v)                                                                      \
    (FW_ATOMIC_STEP(), atomic_exchange_explicit((p), (v), memory_order_seq_cst))

/* Compare and swap: true when swapped; otherwise *expected holds what was there (read relaxed). */
#define fw_cas_relaxed(p, expected, v)                                                             \
    (FW_ATOMIC_STEP(), atomic_compare_exchange_strong_explicit(                                    \
                           (p), (expected), (v), memory_order_relaxed, memory_order_relaxed))
#define fw_cas_acquire(p, expected, v)                                                             \
    (FW_ATOMIC_STEP(), atomic_compare_exchange_strong_explicit(                                    \
                           (p), (expected), (v), memory_order_acquire, memory_order_relaxed))
#define fw_cas_release(p, expected, v)                                                             \
    (FW_ATOMIC_STEP(), atomic_compare_exchange_strong_explicit(                                    \
                           (p), (expected), (v), memory_order_release, memory_order_relaxed))
#define fw_cas_acq_rel(p, expected, v)                                                             \
    (FW_ATOMIC_STEP(), atomic_compare_exchange_strong_explicit(                                    \
                           (p), (expected), (v), memory_order_acq_rel, memory_order_relaxed))
#define fw_cas_seq_cst(p, expected, v)                                                             \
    (FW_ATOMIC_STEP(), atomic_compare_exchange_strong_explicit(                                    \
                           (p), (expected), (v), memory_order_seq_cst, memory_order_relaxed))

#define fw_add_relaxed(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define fw_add_acq_rel(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_add_explicit((p), (v), memory_order_acq_rel))
#define fw_add_seq_cst(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_add_explicit((p), (v), memory_order_seq_cst))
#define fw_sub_relaxed(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_sub_explicit((p), (v), memory_order_relaxed))
#define fw_sub_acq_rel(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel))
#define fw_sub_seq_cst(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst))
#define fw_or_relaxed(p, v)                                                                        \
    (FW_ATOMIC_STEP(), atomic_fetch_or_explicit((p), (v), memory_order_relaxed))
#define fw_or_acq_rel(p, v)                                                                        \
    (FW_ATOMIC_STEP(), atomic_fetch_or_explicit((p), (v), memory_order_acq_rel))
#define fw_or_seq_cst(p, v)                                                                        \
    (FW_ATOMIC_STEP(), atomic_fetch_or_explicit((p), (v), memory_order_seq_cst))
#define fw_and_seq_cst(p, v)                                                                       \
    (FW_ATOMIC_STEP(), atomic_fetch_and_explicit((p), (v), memory_order_seq_cst))

/* A counter with one writer: readers see whole values, the writer pays no bus lock. */
#define fw_count(p, v)                                                                             \
    atomic_store_explicit((p), atomic_load_explicit((p), memory_order_relaxed) + (v),              \
                          memory_order_relaxed)

/* Its reader's side; no step of the explorer, like fw_count. */
#define fw_count_read(p) atomic_load_explicit((p), memory_order_relaxed)

#define fw_fence_seq_cst() (FW_ATOMIC_STEP(), atomic_thread_fence(memory_order_seq_cst))
/* Stops the compiler, not the processor: the other half of a membarrier(2). */
#define fw_fence_compiler() atomic_signal_fence(memory_order_seq_cst)

/* Tells the processor that this is a waiting loop (Concurrency Kit's, for every architecture). */
static inline void fw_cpu_relax(void)
{
    ck_pr_stall();
}

#endif
