/* net/link_state.h - what is inside a link, and the table of links, for net/link.c, net/links.c and
 * net/pull.c.
 *
 * A link is the pair of pipes between us and one peer, seen from either end: the one that we dial
 * (a PUSH) and the one that the peer has dialed (at our PULL port), matched by the HELLO that came
 * on it.
 *
 * Lifetime: `parts` counts what still calls into the link: the dialed pipe until its `closed`, the
 * other until its `gone`. Both come on the reaper's thread, after everything else of that pipe. The
 * last one tells `down`. fw_link_close waits for that, then gives the memory to RCU.
 *
 * One lock per net, taken when links and pipes come and go, never per task.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_LINK_STATE_H
#define FW_NET_LINK_STATE_H

#include "net/links.h"
#include "net/pipe.h"
#include "net/server.h"

enum { FW_LINK_OPENING = 0, FW_LINK_RISING, FW_LINK_UP };

struct fw_link {
    /* Immutable after open. */
    fw_net *net;
    void *owner;
    int64_t silence_ns;
    char id[FW_ID_MAX + 1], epoch[FW_ID_MAX + 1]; /* of the peer; id "": any */
    /* Under the table's lock. */
    fw_link *next;
    fw_pipe *pipe;       /* NULL: closed */
    uint64_t pulled;     /* number of the connection that the peer dialed; 0: not yet */
    unsigned parts;      /* pipes that are not yet gone */
    bool ready;          /* the dialed pipe has greeted */
    bool closing;        /* fw_link_close waits: down is not told */
    bool finished;       /* nothing is called any more */
    int64_t heard_ns;    /* when `heard` was seen to change */
    uint64_t heard_then; /* what it was */
    char why[128];
    /* Shared, atomic. */
    fw_atomic(bool) over;
    fw_atomic(uint64_t) takes; /* bytes of a message, as the peer said; 0: it has not */
    fw_atomic(uint32_t) state;
    fw_atomic(uint64_t) push;     /* number of the dialed connection; 0: not ready */
    fw_atomic(uint64_t) heard;    /* reads that brought something; written by the reader */
    fw_atomic(uint64_t) progress; /* results that came; written by the reader */
    uint64_t progress_then;       /* the sender's: at the last stall */
};

struct fw_links {
    fw_net *net;
    nng_aio *patrol;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    fw_link *first;
    size_t count;
    bool patrolling;
    int64_t complained_ns;
    struct {
        uint64_t number; /* 0: free */
        uint64_t takes;
        char worker[FW_ID_MAX + 1], epoch[FW_ID_MAX + 1];
    } waiting[FW_GREETINGS_WAITING];
};

/* links.c; under the table's lock. The link is over: closes its pipes; down follows when they are
 * gone. why is copied, the first one counts. */
void fw_link_lose(fw_link *link, const char *why);
/* links.c; under the table's lock, released meanwhile: one part less; the last one tells down. */
void fw_link_drop_part(fw_link *link);
/* links.c; under the table's lock. add: its peer may have greeted already, then it is matched. */
void fw_links_add(fw_links *links, fw_link *link);
void fw_links_remove(fw_links *links, fw_link *link);
/* links.c; without the lock: both pipes may have greeted, then tells up. */
void fw_link_rise(fw_link *link);

#endif
