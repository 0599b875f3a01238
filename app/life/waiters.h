/* app/life/waiters.h - who else wants a task's end: a lock-free list that is closed once.
 *
 * Anybody attaches while the task lives; whoever ends the task closes the list and owns what was on
 * it. An attach after that fails, and by then the result is in the cache: so an asker gets its
 * answer from exactly one of the two. Waits with a time limit are also on a list of their own; task
 * and clock race, `answered` decides. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_WAITERS_H
#define FW_APP_WAITERS_H

#include <pthread.h>

#include "base/slab.h"
#include "engine/engine.h"
#include "net/net.h"
#include "web/web.h"

typedef struct fw_waiter {
    struct fw_waiter *next;      /* on the task's list */
    struct fw_waiter *next_wait; /* on the list of limited waits */
    fw_reply_to reply;
    fw_web_ticket ticket; /* later is not NULL: the asker is a request of the dashboard's server */
    fw_key key;
    int64_t until_ns;     /* monotonic; 0: no limit */
    struct fw_node *node; /* not NULL: no asker but a node of app/compose/graph.h */
    bool native;
    fw_atomic(int) answered; /* the first to set it answers */
    fw_atomic(int) owners;   /* lists that hold it */
} fw_waiter;

/* Most askers on all lists; more are refused. */
enum { FW_WAITERS_MAX = 1 << 18 };

typedef struct fw_waiters {
    fw_slab *slab;
    fw_atomic(size_t) count;
    pthread_mutex_t lock;
    fw_waiter *limited; /* under lock */
} fw_waiters;

int fw_waiters_init(fw_waiters *waiters);
void fw_waiters_fini(fw_waiters *waiters);

/* A waiter for a submission (until_ns 0) or for a limited wait. NULL: no memory. Any thread. */
fw_waiter *fw_waiter_create(fw_waiters *waiters, const fw_reply_to *reply, fw_key key,
                            int64_t until_ns, bool native);
/* False: the task has ended and closed its list; the waiter is gone. Any thread; lock-free for
 * submissions. */
bool fw_waiters_attach(fw_waiters *waiters, fw_task *task, fw_waiter *waiter);
/* Closes the list; the caller gives each waiter back with fw_waiter_release. Oldest first. */
fw_waiter *fw_waiters_close(fw_task *task);
/* True for the one caller that has to answer. */
bool fw_waiter_claim(fw_waiter *waiter);
void fw_waiter_release(fw_waiters *waiters, fw_waiter *waiter);
/* Takes the waits whose limit has passed, or all, for the caller to claim, answer and release. */
fw_waiter *fw_waiters_expired(fw_waiters *waiters, int64_t now_ns, bool all);

#endif
