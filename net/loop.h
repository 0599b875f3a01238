/* net/loop.h - a thread that watches sockets and gives each its turn when there is something to do.
 *
 *   join --> turn, turn, ... --> leave --> (await)
 *
 * Roles: the loop's thread alone calls turn, and alone touches what is marked as its own; any
 * thread joins, kicks and asks for leave. What is asked waits in a lock-free list, newest first,
 * and is done before the thread sleeps again; the thread is woken (one write) only when it sleeps.
 *
 * Guarantees: (a) turns of one thing never overlap; (b) a kick is followed by a turn, several may
 * share one; (c) after await no turn runs, and none will, whatever others still kick.
 *
 * Edge triggered: a turn reads until there is no more, or returns true to come again when the
 * others have had theirs. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_LOOP_H
#define FW_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

typedef struct fw_loop fw_loop;

/* Why it is somebody's turn; 0: he wanted to come again. */
enum {
    FW_TURN_READ = 1,
    FW_TURN_WRITE = 2,  /* only after fw_loop_await_room */
    FW_TURN_HANGUP = 4, /* the other end has said its last */
    FW_TURN_FAILED = 8, /* both directions are shut, or it cannot be watched */
    FW_TURN_KICK = 16,
    FW_TURN_LATE = 32 /* late_ns has passed; it is 0 again */
};

typedef struct fw_polled fw_polled;
struct fw_polled {
    /* Set before join. */
    fw_loop *loop;
    int fd;
    /* True: again soon. Must not block. */
    bool (*turn)(fw_polled *polled, unsigned why);
    /* The loop's thread; `turn` may set it. Monotonic; 0: never. */
    int64_t late_ns;
    /* The loop's own. */
    fw_polled *again_next, *timed_next, *timed_before;
    bool again, timed, gone;
    /* Shared. */
    fw_atomic(uint32_t) asked; /* not 0: it is in the list, or has left */
    fw_polled *asked_next;     /* who put it there, then the loop's */
};

/* name: of the thread. NULL: no memory, descriptors or thread. */
fw_loop *fw_loop_create(const char *name);
/* Everybody has left. NULL is allowed. */
void fw_loop_destroy(fw_loop *loop);

/* From now on it has turns. Any thread. */
void fw_loop_join(fw_polled *polled);
/* A turn follows. Any thread, until the memory goes; after leave nothing happens. */
void fw_loop_kick(fw_polled *polled);
/* Within a turn: another one comes when the socket takes bytes again. False: it cannot be had. */
bool fw_loop_await_room(fw_polled *polled);
/* No more turns, soon. Any thread, once. The descriptor stays the caller's, and open until await.
 */
void fw_loop_leave(fw_polled *polled);
/* Blocks until that is done. Not on the loop's thread. */
void fw_loop_await(fw_polled *polled);

#endif
