/* net/uplink_state.h - what is inside an uplink, for net/uplink.c, net/uplink_say.c and
 * net/uplink_seek.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_UPLINK_STATE_H
#define FW_NET_UPLINK_STATE_H

#include <pthread.h>

#include "base/atomic.h"
#include "net/address.h"
#include "net/client_stream.h"
#include "net/scratch.h"
#include "net/uplink.h"

enum { FW_UPLINK_WHY = 256 };

struct fw_uplink {
    /* Immutable after start. */
    fw_net *net;
    fw_uplink_ops ops;
    fw_uplink_config config; /* its texts are ours */
    int wake;                /* eventfd: the thread has something to do */
    int heard;               /* eventfd: the control plane knows that we drain, or there is none */
    pthread_t thread;
    /* The thread's. */
    fw_address peer;      /* the control plane's base address */
    fw_stream management; /* a REQ to its management port */
    fw_scratch scratch;
    uint32_t request; /* id of the last one sent */
    bool asked;       /* it has no answer yet */
    bool offering;    /* the last one had our native member */
    bool declining;   /* the last one said inactive */
    bool leaving;     /* says its last words: stopping does not end waits any more */
    struct {
        bool native; /* the other members were told */
        char epoch[FW_ID_MAX + 1], results[FW_TCP_ADDRESS_MAX];
    } answer; /* the last acknowledgement */
    fw_link *link;
    int64_t back_off_ns;
    int64_t trouble_since_ns; /* pipes cannot be opened; 0: they can, as far as we know */
    int64_t native_due_ns;    /* when to offer native again; 0: always */
    char why[FW_UPLINK_WHY];  /* something did not work */
    char told[FW_UPLINK_WHY]; /* last said to the owner */
    /* Shared, atomic. */
    fw_atomic(int) state; /* fw_uplink_state */
    fw_atomic(bool) stopping, draining, link_up, link_down;
    int64_t stop_until_ns; /* written before stopping */
};

/* Sleeps until one of the streams has something to do, or somebody has woken us, or that time.
 * False: the time is over, or we stop. */
bool fw_uplink_wait(fw_uplink *uplink, fw_stream *const streams[], size_t count, int64_t until_ns);
bool fw_uplink_is_stopping(const fw_uplink *uplink);

/* Sets peer. 0, or -FW_E... with why. */
int fw_uplink_seek(fw_uplink *uplink);

/* Connects where needed. 0, or -FW_E... with why, the stream closed. */
int fw_uplink_dial(fw_uplink *uplink, fw_stream *stream, const fw_address *to, int64_t until_ns);
/* Sends a registration or a beat. 0, or -FW_E... with why. */
int fw_uplink_tell(fw_uplink *uplink, const char *status, bool heartbeat, int64_t until_ns);
/* Takes what has arrived. 1: an acknowledgement, in answer; 0: nothing; -FW_EINVAL: refused;
 * another -FW_E...: the connection is closed; both with why. */
int fw_uplink_hear(fw_uplink *uplink);
/* Both: 0 when acknowledged. */
int fw_uplink_say(fw_uplink *uplink, const char *status, bool heartbeat, int64_t until_ns);

#endif
