/* app/life/dead.h - tasks that were tried more than once and given up: kept with what is needed to
 * run them again.
 *
 * A task comes here when it ends as failed after its last retry, or after it has lost too many
 * workers; one that fails in its only run does not, its result says all. Bounded by count, bytes
 * and age; the oldest goes first. Rare, so one lock does; nobody on the way of other tasks takes
 * it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_DEAD_H
#define FW_APP_DEAD_H

#include <stdbool.h>

#include "base/key.h"
#include "fastworker/types.h"

typedef struct fw_dead fw_dead;

typedef struct fw_dead_config {
    size_t tasks_max; /* 0: keeps none */
    size_t bytes_max;
    int64_t age_max_ns;
} fw_dead_config;

/* What is kept. Copied by add; from the others borrowed inside the call. */
typedef struct fw_dead_task {
    fw_key key;
    fw_span id; /* text */
    fw_span name, args, kwargs, callback, options, error;
    fw_span attempt_errors; /* JSON array of its runs that failed, the last few; or empty */
    uint8_t level;          /* fw_prio */
    unsigned attempts, losses;
    int32_t max_retries; /* after the first run, when it was submitted last */
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
    int64_t timeout_ns;                    /* 0: the default */
    int64_t created_wall_ns, died_wall_ns; /* Unix time */
} fw_dead_task;

/* NULL: no memory. */
fw_dead *fw_dead_create(const fw_dead_config *config);
void fw_dead_destroy(fw_dead *dead);

/* Any thread, all. False: it is not kept (too large, or no memory). One of the same id replaces. */
bool fw_dead_add(fw_dead *dead, const fw_dead_task *task);
/* Visits, the latest first, until visit returns false. Holds the lock: visit must not come back. */
void fw_dead_each(fw_dead *dead, bool (*visit)(void *context, const fw_dead_task *task),
                  void *context);
bool fw_dead_has(fw_dead *dead, fw_key key);
/* Takes one out and shows it, as the last thing that is done with it. False: it is not there. */
bool fw_dead_take(fw_dead *dead, fw_key key, void (*show)(void *context, const fw_dead_task *task),
                  void *context);
/* Shows a copy of one to be changed; what its spans lead to is copied when edit returns true, and
 * keeps its place and its key. Holds the lock, as above. 0; -FW_EUNKNOWN; -FW_EINVAL: edit said
 * false; -FW_EFULL: over the bound of bytes; -FW_ENOMEM. */
int fw_dead_edit(fw_dead *dead, fw_key key, bool (*edit)(void *context, fw_dead_task *task),
                 void *context);
/* Drops what is too old. About every second. */
void fw_dead_sweep(fw_dead *dead, int64_t now_wall_ns);

typedef struct fw_dead_stats {
    size_t tasks, bytes;
    uint64_t total;   /* that have come */
    uint64_t dropped; /* to keep the bounds */
} fw_dead_stats;
void fw_dead_snapshot(fw_dead *dead, fw_dead_stats *out);

#endif
