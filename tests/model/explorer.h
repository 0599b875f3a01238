/* tests/model/explorer.h - runs a small concurrent program in every order of its atomic operations.
 *
 * Threads are coroutines that change places only at atomic operations. The explorer runs the
 * program again and again, depth first over the choices of who goes next, with at most so many
 * preemptions (a switch away from a thread that could go on). Few preemptions find nearly all bugs,
 * and the bound keeps the number of schedules small. Orders weaker than sequential consistency are
 * not explored: the labels, their check and ThreadSanitizer are there for those.
 *
 * A schedule fails when fw_model_check fails, when every live thread sleeps (a lost wake-up), or
 * when it does not end within FW_MODEL_STEPS_MAX steps (a waiting loop must call sched_yield).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_MODEL_EXPLORER_H
#define FW_MODEL_EXPLORER_H

#include <stdbool.h>

#include "base/atomic.h"

enum { FW_MODEL_THREADS_MAX = 4, FW_MODEL_STEPS_MAX = 5000 };

typedef struct fw_model {
    const char *name;
    unsigned threads;
    void (*begin)(void);          /* builds the world; not explored */
    void (*run)(unsigned thread); /* explored */
    void (*end)(void); /* checks and takes it down; not explored; not called after a failure */
} fw_model;

typedef struct fw_model_result {
    unsigned long schedules;
    const char *failure; /* NULL: every schedule was right */
} fw_model_result;

/* Stops at the first failure, whose schedule is printed if `loud`. */
fw_model_result fw_model_explore(const fw_model *model, unsigned preemptions, bool loud);

/* From run or end. */
#define fw_model_check(condition) ((condition) ? (void)0 : fw_model_fail(#condition))
void fw_model_fail(const char *what);
/* From run: goes on when the flag is up. */
void fw_model_await(fw_atomic(bool) * flag);

/* The body of a model's main: explores with 0 to `preemptions` preemptions, prints a line for each;
 * 0 or 1. */
int fw_model_main(const fw_model *models, unsigned count, unsigned preemptions);

#endif
