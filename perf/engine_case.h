/* perf/engine_case.h - what a pool of threads must offer to be measured in the suite `engine`.
 *
 * Our pool and its peers stand behind the same table, so that the same loop drives all of them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_PERF_ENGINE_CASE_H
#define FW_PERF_ENGINE_CASE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fw_worker; /* for peers: whatever their spawn wants */
typedef void (*fw_case_fn)(struct fw_worker *self, void *argument);

typedef struct fw_case {
    const char *who;
    void *(*create)(unsigned threads);
    void (*destroy)(void *pool); /* everything has run */
    /* From one outside thread. Waits while the queue is full. NULL: cannot. */
    void (*submit)(void *pool, unsigned level, fw_case_fn run, void *argument);
    void (*submit_bulk)(void *pool, fw_case_fn run, void *argument, size_t count);
    /* From inside running work. */
    void (*spawn)(void *pool, struct fw_worker *self, fw_case_fn run, void *argument);
    /* Runs a whole binary tree of that depth its own way; NULL: by submit and spawn. */
    void (*tree)(void *pool, unsigned depth, fw_case_fn leaf);
} fw_case;

/* The peers; ends with an entry without a name. */
extern const fw_case fw_case_peers[];

#ifdef __cplusplus
}
#endif
#endif
