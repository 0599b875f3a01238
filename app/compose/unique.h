/* app/compose/unique.h - who has which unique key: at most one live task of a key.
 *
 * A table of keys in shards, each under a lock: only tasks with the option `unique` come here. Who
 * wants a key opens it, which locks its shard; looks who has it; takes it, with the new task made
 * visible in between; and closes. So nobody ever meets a key whose task cannot be found, and a
 * task that is found through its key has not told its waiters yet: its end gives the key back
 * before it closes their list.
 *
 * A key stays behind its task for the rest of a minimum time, if one was asked for; a timed one is
 * taken for that time and nothing else. Bounded: more
 * keys are refused. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_UNIQUE_H
#define FW_APP_UNIQUE_H

#include <stdbool.h>

#include "base/key.h"

typedef struct fw_unique fw_unique;

/* Who has a key. */
typedef struct fw_holder {
    fw_key task;
    fw_span id;       /* text */
    bool live;        /* false: it has ended, and the key stays taken for a while */
    bool timed;       /* taken exactly so long, alive or not, however it ends */
    int64_t until_ns; /* taken at least that long; monotonic */
} fw_holder;

/* A key that is open; the shard is locked until it is closed. */
typedef struct fw_unique_key {
    struct fw_unique_shard *shard;
    fw_key name;
    const fw_holder *holder; /* NULL: it is free */
} fw_unique_key;

/* NULL: no memory. */
fw_unique *fw_unique_create(size_t keys_max);
void fw_unique_destroy(fw_unique *unique);

/* Any thread, all. Only one key is open on a thread at a time. */
void fw_unique_open(fw_unique *unique, fw_unique_key *out, fw_span name, int64_t now_ns);
/* An open key that is free, or was the task's before, becomes the task's. timed: not until its end,
 * but until then. False: no memory. */
bool fw_unique_take(fw_unique_key *key, fw_key task, fw_span id, int64_t until_ns, bool timed);
void fw_unique_close(fw_unique_key *key);
/* The task is over; does nothing if the key is not its own. keep: until the minimum time is over.
 */
void fw_unique_release(fw_unique *unique, fw_span name, fw_key task, bool keep, int64_t now_ns);
/* No room for so many more. */
bool fw_unique_is_full(const fw_unique *unique, size_t more);
size_t fw_unique_count(const fw_unique *unique);
/* Forgets keys whose minimum time is over, a part of the table per call. */
void fw_unique_sweep(fw_unique *unique, int64_t now_ns);

#endif
