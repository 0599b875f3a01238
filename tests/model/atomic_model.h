/* tests/model/atomic_model.h - included before everything else in the models: each atomic operation
 * of the code under test becomes a step of the explorer, futexes and yields become its own, sizes
 * shrink. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_MODEL_ATOMIC_MODEL_H
#define FW_MODEL_ATOMIC_MODEL_H

#include <sched.h>
#include <stdint.h>

void fw_model_step(void);
void fw_model_yield(void);
void fw_model_sleep(const void *word, uint32_t value);
void fw_model_wake(const void *word);

#define FW_ATOMIC_STEP()           fw_model_step()
#define FW_FUTEX_WAIT(word, value) fw_model_sleep((word), (value))
#define FW_FUTEX_WAKE(word)        fw_model_wake((word))
/* Steps are sequentially consistent; membarrier is not modelled. */
#define FW_BARRIER_SYMMETRIC 1
#define FW_DEQUE_SIZE        4
#define sched_yield()        fw_model_yield()

#endif
