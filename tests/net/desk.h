/* tests/net/desk.h - a small owner for an fw_net: answers by task name, or keeps requests until the
 * test says.
 *
 *   echo    success, the args are the result        fail    failure "no luck"
 *   hold    kept; desk_release answers              (any other name)  as echo
 * Queries: "known" is finished, "running" is not, "gone" has expired; a wait is kept.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_DESK_H
#define FW_TESTS_NET_DESK_H

#include "net/discovery.h"
#include "net/server.h"
#include "peers.h"

enum { DESK_HELD_MAX = 20000 };

typedef struct desk {
    fw_net *net;
    unsigned base, discovery, pub;
    pthread_mutex_t lock;
    struct {
        fw_reply_to reply;
        fw_key key;
        char id[FW_ID_MAX + 1], args[64];
    } held[DESK_HELD_MAX];
    size_t held_count;
    char log[65536]; /* a letter per item in order: s submit, b batch member, q query, c cancel, w
                        wait, r registration */
    size_t log_len;
    size_t calls;       /* of submit */
    fw_submission last; /* spans are gone */
    char last_name[64];
    char refused[256]; /* ids of the batch that was refused last, with their count in front */
} desk;

static inline fw_span desk_text(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static inline bool desk_is(fw_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.ptr, text, span.len) == 0;
}

static inline void desk_note(desk *d, char letter)
{
    if (d->log_len + 1 < sizeof d->log)
        d->log[d->log_len++] = letter;
}

static inline void desk_keep(desk *d, const fw_reply_to *reply, fw_key key, fw_span id,
                             fw_span args)
{
    assert_true(d->held_count < DESK_HELD_MAX);
    size_t i = d->held_count++;
    d->held[i].reply = *reply;
    d->held[i].key = key;
    snprintf(d->held[i].id, sizeof d->held[i].id, "%.*s", (int)id.len, id.ptr);
    snprintf(d->held[i].args, sizeof d->held[i].args, "%.*s", (int)args.len, args.ptr);
}

static inline void desk_finish(desk *d, const fw_reply_to *reply, fw_key key, fw_span id,
                               fw_span result, const char *error)
{
    fw_result_view view = {.key = key,
                           .id = id,
                           .status = error ? FW_FAILURE : FW_SUCCESS,
                           .result = result,
                           .error = error ? desk_text(error) : (fw_span){NULL, 0},
                           .started_wall_ns = 1,
                           .finished_wall_ns = 2};
    fw_net_answer_result(d->net, reply, &view);
}

static inline void desk_submit(void *context, const fw_submission *items, size_t count)
{
    desk *d = context;
    pthread_mutex_lock(&d->lock);
    d->calls++;
    for (size_t i = 0; i < count; i++) {
        const fw_submission *s = &items[i];
        desk_note(d, 's');
        d->last = *s;
        snprintf(d->last_name, sizeof d->last_name, "%.*s", (int)s->name.len, s->name.ptr);
        fw_result_view queued = {.key = s->key, .id = s->id, .status = FW_QUEUED};
        if (s->reply.form == FW_REPLY_FRAME || s->accept_only)
            fw_net_answer_accepted(d->net, &s->reply, &queued);
        if (s->accept_only)
            continue;
        if (desk_is(s->name, "hold"))
            desk_keep(d, &s->reply, s->key, s->id, s->args);
        else
            desk_finish(d, &s->reply, s->key, s->id, s->args,
                        desk_is(s->name, "fail") ? "no luck" : NULL);
    }
    pthread_mutex_unlock(&d->lock);
}

static inline void desk_batch(void *context, const fw_submission *items, size_t count,
                              const fw_reply_to *reply)
{
    desk *d = context;
    fw_span *ids = calloc(count + 1, sizeof *ids);
    pthread_mutex_lock(&d->lock);
    const char *error = NULL;
    for (size_t i = 0; i < count; i++) {
        desk_note(d, 'b');
        ids[i] = items[i].id;
        if (desk_is(items[i].name, "nobody"))
            error = "no room for nobody";
    }
    fw_net_answer_batch(d->net, reply, ids, count, FW_EFULL, error);
    for (size_t i = 0; !error && i < count; i++)
        desk_finish(d, &items[i].reply, items[i].key, items[i].id, items[i].args, NULL);
    pthread_mutex_unlock(&d->lock);
    free(ids);
}

static inline void desk_batch_refused(void *context, const fw_span *ids, size_t count,
                                      const char *error)
{
    desk *d = context;
    pthread_mutex_lock(&d->lock);
    snprintf(d->refused, sizeof d->refused, "%zu", count);
    for (size_t i = 0; i < count; i++)
        snprintf(d->refused + strlen(d->refused), sizeof d->refused - strlen(d->refused), " %.*s",
                 (int)ids[i].len, ids[i].ptr);
    assert_non_null(error);
    pthread_mutex_unlock(&d->lock);
}

static inline void desk_query(void *context, const fw_query *query)
{
    desk *d = context;
    fw_result_view view = {.key = query->key, .id = query->id, .status = FW_UNKNOWN};
    pthread_mutex_lock(&d->lock);
    desk_note(d, "qcw"[query->kind]);
    bool known = desk_is(query->id, "known"), running = desk_is(query->id, "running");
    if (query->kind == FW_QUERY_CANCEL) {
        fw_net_answer_cancel(d->net, &query->reply, query->id, running);
    } else if (query->kind == FW_QUERY_WAIT && running) {
        desk_keep(d, &query->reply, query->key, query->id, desk_text("[]"));
    } else {
        view.status = known ? FW_SUCCESS : FW_RUNNING;
        view.result = desk_text(known ? "42" : "");
        fw_net_answer_query(d->net, &query->reply,
                            known                        ? FW_FOUND
                            : running                    ? FW_NOT_FINISHED
                            : desk_is(query->id, "gone") ? FW_WAS_EXPIRED
                                                         : FW_NEVER_SEEN,
                            query->native, &view);
    }
    pthread_mutex_unlock(&d->lock);
}

static inline void desk_registration(void *context, const fw_registration *registration)
{
    desk *d = context;
    pthread_mutex_lock(&d->lock);
    desk_note(d, 'r');
    fw_net_answer_registration(d->net, &registration->reply, registration->id,
                               desk_is(registration->id, "bad") ? "not you" : NULL, false);
    pthread_mutex_unlock(&d->lock);
}

static inline void desk_config(fw_net_config *config)
{
    fw_net_config_default(config);
    config->base_address = "tcp://127.0.0.1:0";
    config->discovery_address = "tcp://127.0.0.1:0";
}

static inline desk *desk_open(const fw_net_config *config)
{
    desk *d = calloc(1, sizeof *d);
    char error[256] = "";
    assert_non_null(d);
    pthread_mutex_init(&d->lock, NULL);
    fw_net_ops ops = {.context = d,
                      .submit = desk_submit,
                      .submit_batch = desk_batch,
                      .batch_refused = desk_batch_refused,
                      .query = desk_query,
                      .registration = desk_registration};
    if (fw_net_start(&d->net, error, sizeof error, config, &ops) != 0)
        fail_msg("cannot start: %s", error);
    d->base = d->net->ports[0].bound;
    d->discovery = fw_discovery_port(d->net->discovery);
    d->pub = fw_discovery_pub_port(d->net->discovery);
    return d;
}

static inline desk *desk_open_usual(void)
{
    fw_net_config config;
    desk_config(&config);
    return desk_open(&config);
}

static inline void desk_close(desk *d)
{
    fw_net_stop(d->net, FW_NS_PER_S);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* Answers kept requests, from the last to the first. How many. */
static inline size_t desk_release(desk *d)
{
    pthread_mutex_lock(&d->lock);
    size_t count = d->held_count;
    while (d->held_count > 0) {
        size_t i = --d->held_count;
        desk_finish(d, &d->held[i].reply, d->held[i].key, desk_text(d->held[i].id),
                    desk_text(d->held[i].args), NULL);
    }
    pthread_mutex_unlock(&d->lock);
    fw_net_flush(d->net);
    return count;
}

typedef struct desk_wish {
    desk *desk;
    size_t held;
} desk_wish;

static inline bool desk_holds(void *context)
{
    desk_wish *wish = context;
    pthread_mutex_lock(&wish->desk->lock);
    bool enough = wish->desk->held_count >= wish->held;
    pthread_mutex_unlock(&wish->desk->lock);
    return enough;
}

static inline void desk_expect_held(desk *d, size_t count)
{
    desk_wish wish = {d, count};
    assert_true(peer_comes_true(desk_holds, &wish));
}

#endif
