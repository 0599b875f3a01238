/* net/uplink.h - a subworker's way to its control plane: find it, register, take tasks, give back.
 *
 * One thread. Without an address it looks for a control plane by discovery (PUB/SUB beside BUS).
 * It registers by REQ/REP at the management port as every subworker does, with the member `native`
 * beside; what the acknowledgement says decides:
 *   native: it pushes results and beats over a pipe of its own to the address told there, and the
 *           control plane pushes tasks to our PULL port: up when both pipes have greeted
 *   plain:  a Python control plane: tasks come as requests to our four task ports; beats of 10 s
 * It registers again by itself after a lost pipe, a changed epoch, a refusal, or silence, with
 * back-off from 50 ms to 5 s.
 *
 * Tasks from the pipe go up through fw_net_ops.submit with a reply of the form FW_REPLY_LEASE;
 * answering it writes a result (or a return) that is gathered and sent like any answer. A reply of
 * a pipe that is gone is dropped: the control plane has taken those tasks back.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_UPLINK_H
#define FW_NET_UPLINK_H

#include "net/link.h"

typedef struct fw_uplink fw_uplink;

typedef enum fw_uplink_state {
    FW_UPLINK_SEEKING = 0, /* no control plane found or reached */
    FW_UPLINK_REGISTERED,  /* under a Python control plane, or pipes not up yet */
    FW_UPLINK_UP           /* native, both pipes */
} fw_uplink_state;

typedef struct fw_uplink_ops {
    void *context;
    /* Told on the uplink's thread, must not block long. */
    void (*changed)(void *context, fw_uplink_state state, const char *what);
    /* What to say in the next beat. Any thread. */
    void (*beat)(void *context, fw_beat *out);
} fw_uplink_ops;

typedef struct fw_uplink_config {
    const char *worker_id;
    const char *control_plane; /* tcp://host:port (base), or NULL: by discovery */
    const char *discovery;     /* tcp://host:port */
    const char *advertise;     /* our base address, as told */
    unsigned slots;
    fw_span tasks;     /* JSON array of names */
    const char *token; /* NULL: none */
    bool compat;       /* never offer native */
    int64_t beat_ns;   /* native: 2 s */
} fw_uplink_config;

/* net: of the kind FW_NET_SUBWORKER, started. 0 or -FW_E... with a sentence. */
int fw_uplink_start(fw_uplink **out, char *error, size_t error_capacity, fw_net *net,
                    const fw_uplink_config *config, const fw_uplink_ops *ops);
/* Says so at once: the control plane gives nothing new. A Python one has no way of taking back what
 * is refused, so this waits until it knows, a second at most. Any thread, once. */
void fw_uplink_drain(fw_uplink *uplink);
/* Signs off (status inactive, and a goodbye on the pipe) and ends the thread; at most limit_ns. */
void fw_uplink_stop(fw_uplink *uplink, int64_t limit_ns);
fw_uplink_state fw_uplink_where(const fw_uplink *uplink);

#endif
