/* link_case.h - a control plane's net and subworkers' nets in one process, for tests of links.
 *
 * A subworker answers by task name:
 *   echo     success, the args are the result      fail     failure "no luck"
 *   hold     kept; an order ends it, or hand_release   big   success, a result of BIG bytes
 *   unknown  a return: no such name
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_LINK_CASE_H
#define FW_TESTS_NET_LINK_CASE_H

#include "net/link.h"
#include "net/server.h"
#include "peers.h"

enum { BIG = 100 * 1024, LEASES = 20000, HELD = 5000 };

/* What one end of a link was told. */
typedef struct end {
    fw_link *link;
    fw_atomic(uint64_t) up, down, results, returns, failures, cancelled, beats, bytes, calls;
    fw_atomic(uint64_t) late; /* callbacks after down */
    fw_atomic(uint32_t) seen[LEASES];
    fw_beat beat;
    fw_refusal why[LEASES];
    int64_t ran_ns;
    char reason[128], last_error[64];
} end;

/* What all links of a net tell. */
static inline void on_up(void *context, void *owner)
{
    end *e = owner;
    (void)context;
    assert_int_equal(fw_load_relaxed(&e->down), 0);
    fw_add_seq_cst(&e->up, 1);
}

static inline void on_down(void *context, void *owner, const char *why)
{
    end *e = owner;
    (void)context;
    snprintf(e->reason, sizeof e->reason, "%s", why);
    fw_add_seq_cst(&e->down, 1);
}

static inline void take_result(end *e, const fw_lease_result *r)
{
    assert_true(r->lease < LEASES);
    fw_add_seq_cst(&e->seen[r->lease], 1);
    if (r->returned) {
        e->why[r->lease] = r->why;
        fw_add_seq_cst(&e->returns, 1);
        return;
    }
    fw_add_relaxed(&e->bytes, r->view.result.len);
    if (r->view.status == FW_FAILURE) {
        snprintf(e->last_error, sizeof e->last_error, "%.*s", (int)r->view.error.len,
                 r->view.error.ptr);
        fw_add_relaxed(&e->failures, 1);
    }
    if (r->view.status == FW_CANCELLED)
        fw_add_relaxed(&e->cancelled, 1);
    e->ran_ns = r->accounted ? r->ran_ns : -1;
    fw_add_seq_cst(&e->results, 1);
}

static inline void on_results(void *context, void *owner, const fw_lease_result *items,
                              size_t count)
{
    end *e = owner;
    (void)context;
    assert_true(count > 0);
    assert_int_equal(fw_load_seq_cst(&e->up), 1);
    if (fw_load_seq_cst(&e->down) > 0)
        fw_add_seq_cst(&e->late, 1);
    fw_add_relaxed(&e->calls, 1);
    for (size_t i = 0; i < count; i++)
        take_result(e, &items[i]);
}

static inline void on_beat(void *context, void *owner, const fw_beat *beat)
{
    end *e = owner;
    (void)context;
    if (fw_load_relaxed(&e->beats) == 0) /* the first one is looked at */
        e->beat = *beat;
    fw_add_seq_cst(&e->beats, 1);
}

static const fw_link_ops case_link_ops = {
    .up = on_up, .down = on_down, .results = on_results, .beat = on_beat};

/* ---- Nets ---- */

typedef struct hand {
    fw_net *net;
    char *big;
    pthread_mutex_t lock;
    fw_reply_to held[HELD];
    size_t held_count;
    fw_order orders[64];
    char order_ids[64][64];
    fw_atomic(uint64_t) order_count, tasks, drains, calls;
    fw_atomic(bool) draining;
    fw_submission last; /* spans are gone */
} hand;

static inline fw_span text_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static inline bool is_named(const fw_submission *s, const char *name)
{
    return s->name.len == strlen(name) && memcmp(s->name.ptr, name, s->name.len) == 0;
}

static inline void hand_finish(hand *h, const fw_reply_to *reply, fw_state status, fw_span result,
                               const char *error)
{
    fw_result_view view = {.status = status,
                           .result = result,
                           .error = error ? text_of(error) : (fw_span){NULL, 0},
                           .started_wall_ns = 10,
                           .finished_wall_ns = 17};
    fw_net_answer_result(h->net, reply, &view);
}

static inline void hand_submit(void *context, const fw_submission *items, size_t count)
{
    hand *h = context;
    fw_add_relaxed(&h->calls, 1);
    for (size_t i = 0; i < count; i++) {
        const fw_submission *s = &items[i];
        fw_result_view queued = {.status = FW_QUEUED};
        if (s->reply.form == FW_REPLY_LEASE)
            fw_net_answer_accepted(h->net, &s->reply, &queued); /* nothing */
        if (is_named(s, "hold")) {
            pthread_mutex_lock(&h->lock);
            assert_true(h->held_count < HELD);
            h->held[h->held_count++] = s->reply;
            h->last = *s;
            pthread_mutex_unlock(&h->lock);
        } else if (is_named(s, "fail")) {
            hand_finish(h, &s->reply, FW_FAILURE, (fw_span){"", 0}, "no luck");
        } else if (is_named(s, "big")) {
            hand_finish(h, &s->reply, FW_SUCCESS, (fw_span){h->big, BIG}, NULL);
        } else if (is_named(s, "unknown")) {
            fw_net_answer_refusal(h->net, &s->reply, s->id, FW_REFUSED_UNKNOWN_NAME, NULL);
        } else {
            hand_finish(h, &s->reply, FW_SUCCESS, s->args, NULL);
        }
        fw_add_seq_cst(&h->tasks, 1);
    }
}

/* The held one of that lease; false: none. Under lock. */
static inline bool hand_let_go(hand *h, uint64_t lease, fw_reply_to *out)
{
    for (size_t i = 0; i < h->held_count; i++) {
        if (fw_reply_lease(&h->held[i]) != lease)
            continue;
        *out = h->held[i];
        h->held[i] = h->held[--h->held_count];
        return true;
    }
    return false;
}

static inline void hand_orders(void *context, const fw_order *orders, size_t count)
{
    hand *h = context;
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < count; i++) {
        size_t at = fw_load_relaxed(&h->order_count) % 64;
        fw_reply_to reply;
        h->orders[at] = orders[i];
        snprintf(h->order_ids[at], sizeof h->order_ids[at], "%.*s", (int)orders[i].id.len,
                 orders[i].id.len > 0 ? orders[i].id.ptr : "");
        if (hand_let_go(h, orders[i].lease, &reply)) {
            if (orders[i].kind == FW_ORDER_CANCEL)
                hand_finish(h, &reply, FW_CANCELLED, (fw_span){"", 0}, "cancelled");
            else
                fw_net_answer_refusal(h->net, &reply, (fw_span){"", 0}, FW_REFUSED_RECALLED, NULL);
        }
        fw_add_seq_cst(&h->order_count, 1);
    }
    pthread_mutex_unlock(&h->lock);
}

static inline void hand_drain(void *context, bool drain)
{
    hand *h = context;
    fw_store_seq_cst(&h->draining, drain);
    fw_add_seq_cst(&h->drains, 1);
}

static inline fw_net *case_start(const fw_net_config *config, const fw_net_ops *ops)
{
    fw_net *net = NULL;
    char error[256] = "";
    if (fw_net_start(&net, error, sizeof error, config, ops) != 0)
        fail_msg("cannot start: %s", error);
    fw_net_set_link_ops(net, &case_link_ops);
    return net;
}

static inline void hand_config(fw_net_config *config, const char *id)
{
    fw_net_config_default(config);
    config->kind = FW_NET_SUBWORKER;
    config->worker_id = id;
    config->base_address = "auto";
}

static inline hand *hand_open_with(const fw_net_config *config)
{
    hand *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->big = malloc(BIG);
    assert_non_null(h->big);
    memset(h->big, '1', BIG);
    pthread_mutex_init(&h->lock, NULL);
    fw_net_ops ops = {
        .context = h, .submit = hand_submit, .orders = hand_orders, .drain = hand_drain};
    h->net = case_start(config, &ops);
    return h;
}

static inline hand *hand_open(const char *id)
{
    fw_net_config config;
    hand_config(&config, id);
    return hand_open_with(&config);
}

static inline void hand_close(hand *h)
{
    fw_net_stop(h->net, FW_NS_PER_S);
    pthread_mutex_destroy(&h->lock);
    free(h->big);
    free(h);
}

/* Answers everything that is held. */
static inline void hand_release(hand *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->held_count > 0)
        hand_finish(h, &h->held[--h->held_count], FW_SUCCESS, text_of("1"), NULL);
    pthread_mutex_unlock(&h->lock);
    fw_net_flush(h->net);
}

static inline void no_submit(void *context, const fw_submission *items, size_t count)
{
    (void)context, (void)items, (void)count;
}

static inline void no_batch(void *context, const fw_submission *items, size_t count,
                            const fw_reply_to *reply)
{
    (void)context, (void)items, (void)count, (void)reply;
}

static inline void no_query(void *context, const fw_query *query)
{
    (void)context, (void)query;
}

static inline void no_registration(void *context, const fw_registration *registration)
{
    (void)context, (void)registration;
}

static inline void plane_config(fw_net_config *config)
{
    fw_net_config_default(config);
    config->base_address = "tcp://127.0.0.1:0";
    config->discovery_address = "tcp://127.0.0.1:0";
}

static inline fw_net *plane_open_with(const fw_net_config *config)
{
    fw_net_ops ops = {.submit = no_submit,
                      .submit_batch = no_batch,
                      .query = no_query,
                      .registration = no_registration};
    return case_start(config, &ops);
}

static inline fw_net *plane_open(void)
{
    fw_net_config config;
    plane_config(&config);
    return plane_open_with(&config);
}

/* ---- Links ---- */

static inline bool differs_from_zero(void *counter)
{
    fw_atomic(uint64_t) *value = counter;
    return fw_load_seq_cst(value) != 0;
}

static inline void expect_some(fw_atomic(uint64_t) * counter)
{
    assert_true(peer_comes_true(differs_from_zero, counter));
}

typedef struct wish {
    fw_atomic(uint64_t) * counter;
    uint64_t value;
} wish;

static inline bool has_reached(void *context)
{
    wish *w = context;
    return fw_load_seq_cst(w->counter) >= w->value;
}

static inline void expect_count(fw_atomic(uint64_t) * counter, uint64_t value)
{
    wish w = {counter, value};
    assert_true(peer_comes_true(has_reached, &w));
    assert_int_equal(fw_load_seq_cst(counter), value);
}

/* From a control plane to a subworker. */
static inline end *plane_link(fw_net *plane, const char *id, const hand *h, int64_t silence_ns)
{
    end *e = calloc(1, sizeof *e);
    fw_link_config config = {.id = text_of(id),
                             .epoch = text_of(fw_net_epoch(h->net)),
                             .address = text_of(fw_net_pull_address(h->net)),
                             .owner = e,
                             .silence_ns = silence_ns};
    assert_non_null(e);
    e->link = fw_link_open(plane, &config);
    assert_non_null(e->link);
    return e;
}

/* From a subworker to a control plane. */
static inline end *hand_link_for(hand *h, const fw_net *plane, int64_t silence_ns)
{
    end *e = calloc(1, sizeof *e);
    fw_link_config config = {.epoch = text_of(fw_net_epoch(plane)),
                             .address = text_of(fw_net_results_address(plane)),
                             .owner = e,
                             .silence_ns = silence_ns};
    assert_non_null(e);
    e->link = fw_link_open(h->net, &config);
    assert_non_null(e->link);
    return e;
}

static inline end *hand_link(hand *h, const fw_net *plane)
{
    return hand_link_for(h, plane, 0);
}

static inline void end_close(end *e)
{
    fw_link_close(e->link);
    assert_int_equal(fw_load_seq_cst(&e->late), 0);
    free(e);
}

/* The usual case: one of each, linked. */
typedef struct pair {
    fw_net *plane;
    hand *hand;
    end *ours, *theirs; /* the control plane's end, the subworker's */
} pair;

static inline pair pair_open_with(const fw_net_config *plane, const fw_net_config *subworker)
{
    pair p = {plane_open_with(plane), hand_open_with(subworker), NULL, NULL};
    p.ours = plane_link(p.plane, subworker->worker_id, p.hand, 0);
    p.theirs = hand_link(p.hand, p.plane);
    expect_some(&p.ours->up);
    expect_some(&p.theirs->up);
    return p;
}

static inline pair pair_open(void)
{
    fw_net_config plane, subworker;
    plane_config(&plane);
    hand_config(&subworker, "sw1");
    return pair_open_with(&plane, &subworker);
}

static inline void pair_close(pair *p)
{
    end_close(p->theirs);
    end_close(p->ours);
    hand_close(p->hand);
    fw_net_stop(p->plane, FW_NS_PER_S);
}

static inline fw_assignment task_of(uint64_t lease, const char *name, const char *args)
{
    return (fw_assignment){.lease = lease,
                           .attempt = 1,
                           .task = {.key = fw_key_random(),
                                    .name = text_of(name),
                                    .args = text_of(args),
                                    .level = FW_NORMAL}};
}

/* Leases from `first` on, in one call. */
static inline void assign(end *e, uint64_t first, size_t count, const char *name)
{
    fw_assignment *items = calloc(count, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < count; i++)
        items[i] = task_of(first + i, name, "[1, \"two\"]");
    assert_int_equal(fw_link_assign(e->link, items, count), count);
    free(items);
}

#endif
