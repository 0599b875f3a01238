/* net/pull.c - see net/pull.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/pull.h"

#include "base/assert.h"
#include "net/frame_pipe.h"
#include "net/link_state.h"
#include "net/sp.h"

enum {
    ITEMS = 256,             /* that go up in one call */
    ORDERS = 64,             /* likewise */
    GREETING_MAX = 16 * 1024 /* bytes of a first message */
};

typedef struct pull {
    fw_net *net;
    fw_connection *connection;
    fw_link *link;   /* NULL: not introduced */
    fw_reply_to way; /* a subworker's: where results leave */
    fw_scratch *scratch;
    size_t count;
    union {
        fw_submission tasks[ITEMS];
        fw_lease_result results[ITEMS];
    };
} pull;

static bool is_over(const pull *p)
{
    /* Relaxed: seen late, it changes nothing but how much is thrown away. */
    return fw_load_relaxed(&p->link->over);
}

/* ---- A subworker's ---- */

static void submit(pull *p)
{
    size_t count = p->count;
    p->count = 0;
    if (count > 0)
        p->net->ops.submit(p->net->ops.context, p->tasks, count);
}

static void take_tasks(pull *p, fw_frame *frame)
{
    /* Relaxed: a task that comes at the very moment may go either way. */
    bool draining = fw_load_relaxed(&p->net->draining);
    for (;;) {
        if (p->count == ITEMS)
            submit(p);
        fw_submission *place = &p->tasks[p->count];
        int got = fw_frame_next_task(frame, place, p->scratch);
        if (got == 0)
            return;
        if (FW_LIKELY(got > 0 && !draining))
            p->count++;
        else
            fw_net_answer_refusal(p->net, &place->reply, place->id,
                                  got > 0             ? FW_REFUSED_DRAINING
                                  : got == -FW_ENOMEM ? FW_REFUSED_FULL
                                                      : FW_REFUSED_MALFORMED,
                                  NULL);
    }
}

static void take_orders(pull *p, fw_frame *frame)
{
    const fw_net_ops *ops = &p->net->ops;
    fw_order orders[ORDERS];
    size_t count = 0;
    for (;;) {
        int got = fw_frame_next_order(frame, &orders[count]);
        count += got > 0;
        if (count == ORDERS || (got == 0 && count > 0)) {
            if (ops->orders)
                ops->orders(ops->context, orders, count);
            count = 0;
        }
        if (got == 0)
            return;
    }
}

/* => false: this is nothing for a subworker. */
static bool take_for_subworker(pull *p, fw_frame *frame)
{
    const fw_net_ops *ops = &p->net->ops;
    switch (frame->type) {
    case FW_FRAME_TASKS:
        if (frame->reply.connection == 0)
            return false; /* no way back yet: the peer has not waited for us */
        take_tasks(p, frame);
        return true;
    case FW_FRAME_ORDERS:
        submit(p);
        take_orders(p, frame);
        return true;
    case FW_FRAME_DRAIN:
        submit(p);
        if (ops->drain)
            ops->drain(ops->context, fw_frame_drain(frame));
        return true;
    default:
        return false;
    }
}

/* ---- A control plane's ---- */

static void hand_up(pull *p)
{
    const fw_link_ops *ops = &p->net->link_ops;
    size_t count = p->count;
    p->count = 0;
    if (count > 0 && !is_over(p))
        ops->results(ops->context, p->link->owner, p->results, count);
}

static void take_beat(pull *p, const fw_frame *frame)
{
    const fw_link_ops *ops = &p->net->link_ops;
    fw_beat beat;
    fw_frame_beat(&beat, frame);
    /* Relaxed: `up` comes first, as seen from its own thread; a beat more or less does not matter.
     */
    if (ops->beat && fw_load_relaxed(&p->link->state) == FW_LINK_UP && !is_over(p))
        ops->beat(ops->context, p->link->owner, &beat);
}

/* => false: this is nothing for a control plane. */
static bool take_for_control_plane(pull *p, fw_frame *frame)
{
    switch (frame->type) {
    case FW_FRAME_RESULTS:
        /* Relaxed: nothing goes out before `up`, so nothing comes back. */
        if (fw_load_relaxed(&p->link->state) == FW_LINK_OPENING)
            return false;
        fw_count(&p->link->progress, 1);
        for (;;) {
            if (p->count == ITEMS)
                hand_up(p);
            if (fw_frame_next_result(frame, &p->results[p->count]) == 0)
                return true;
            p->count++;
        }
    case FW_FRAME_BEAT:
        hand_up(p);
        take_beat(p, frame);
        return true;
    default:
        return false;
    }
}

/* ---- Both ---- */

/* => false: the connection has to end. */
static bool take_greeting(pull *p, fw_frame *frame)
{
    fw_hello hello;
    if (frame->type != FW_FRAME_HELLO || fw_frame_read_hello(&hello, fw_frame_hello(frame)) < 0)
        return false;
    if (!fw_links_greet(p->net->links, p->connection, &hello)) {
        fw_connection_close(p->connection, FW_CLOSED_BY_US);
        return false;
    }
    return true;
}

/* Who we are talking to, as far as it is known now. */
static void look_up_link(pull *p)
{
    p->link = fw_connection_owner(p->connection);
    p->way.connection = 0;
    if (p->link) {
        /* [link-push] acquire: the connection is ready. */
        p->way.connection = fw_load_acquire(&p->link->push);
        fw_count(&p->link->heard, 1);
    }
}

static bool take_message(pull *p, fw_span message)
{
    fw_frame frame;
    if (fw_frame_open(&frame, message, &p->way) < 0)
        return false;
    if (FW_UNLIKELY(!p->link)) {
        bool good = take_greeting(p, &frame);
        look_up_link(p);
        return good;
    }
    return p->net->kind == FW_NET_SUBWORKER ? take_for_subworker(p, &frame)
                                            : take_for_control_plane(p, &frame);
}

static void finish(pull *p)
{
    if (p->net->kind == FW_NET_SUBWORKER)
        submit(p);
    else
        hand_up(p);
}

ssize_t fw_pull_deliver(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                        size_t len)
{
    fw_net *net = port->context;
    fw_gather *gather = fw_egress_mine(&net->exchange);
    if (!gather)
        return -1;
    pull p;
    p.net = net;
    p.connection = connection;
    p.way = (fw_reply_to){.form = FW_REPLY_LEASE};
    p.scratch = fw_gather_scratch(gather);
    p.count = 0;
    look_up_link(&p);
    if (p.link && is_over(&p))
        return (ssize_t)len; /* it is being closed */
    size_t used = 0, size, usual_max = net->exchange.limits.message_max + port->message_extra;
    uint64_t messages = 0;
    bool good = true;
    /* As in net/intake: the first is taken in any case. */
    while (good && used < len && (used == 0 || !fw_connection_is_choked(connection))) {
        fw_span message;
        fw_sp_outcome outcome = fw_sp_next(&message, &size, bytes + used, len - used,
                                           p.link ? usual_max : GREETING_MAX);
        if (outcome == FW_SP_MORE)
            break;
        good = outcome == FW_SP_MESSAGE && take_message(&p, message);
        used += good ? size : 0;
        messages += good ? 1 : 0;
    }
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&net->exchange.traffic.messages_in, messages);
    if (p.link)
        finish(&p);
    fw_scratch_reset(p.scratch);
    fw_gather_flush(gather);
    return good ? (ssize_t)used : -1;
}

void fw_pull_gone(const fw_port *port, fw_connection *connection)
{
    fw_net *net = port->context;
    fw_links_gone(net->links, connection);
}
