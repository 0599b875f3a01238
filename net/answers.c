/* net/answers.c - answers, in the form that each asker understands.
 *
 * A reply says how: JSON (the shape follows from the call and from the port that the connection
 * came in on, which is part of its number), a constant pickle for refusals, or a record in a native
 * frame. Everything is written into what this thread gathers (net/egress).
 *
 * What an answer finishes: a JSON answer its request; a record its item, except an acceptance of an
 * item whose result will follow. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "net/frame_pipe.h"
#include "net/gate.h"
#include "net/message_json.h"
#include "net/server.h"

static bool is_framed(const fw_reply_to *reply)
{
    return reply->form == FW_REPLY_FRAME;
}

static bool is_lease(const fw_reply_to *reply)
{
    return reply->form == FW_REPLY_LEASE;
}

/* => NULL: nobody waits for this answer, or it cannot be written. */
static fw_gather *gather_for(fw_net *net, const fw_reply_to *reply)
{
    if (reply->form == FW_REPLY_NONE || reply->connection == 0)
        return NULL;
    fw_gather *gather = fw_egress_mine(&net->exchange);
    if (!gather) {
        /* Relaxed: a figure to be shown. */
        fw_add_relaxed(&net->exchange.traffic.answers_dropped, 1);
    }
    return gather;
}

/* Sends the text that was written for this thread. */
static void send_text(fw_gather *gather, const fw_reply_to *reply, const fw_buffer *text)
{
    if (text->failed)
        fw_gather_give_up(gather, reply);
    else
        fw_gather_message(gather, reply, (fw_span){text->data, text->len}, 1);
}

/* ---- Tasks: the two answers that there are many of keep the native form's path short ---- */

static __attribute__((noinline)) void
answer_in_json(fw_gather *gather, const fw_reply_to *reply, const fw_result_view *result,
               void (*write)(fw_buffer *out, fw_reply_form form, const fw_result_view *result))
{
    fw_buffer *text = fw_gather_text(gather);
    write(text, reply->form, result);
    send_text(gather, reply, text);
}

static __attribute__((noinline)) void give_refused(fw_gather *gather, const fw_reply_to *reply,
                                                   const fw_result_view *result, uint64_t most)
{
    char text[96];
    int len = snprintf(text, sizeof text,
                       "the result of %zu bytes is over the control plane's limit of %llu",
                       result->result.len, (unsigned long long)most);
    fw_result_view refused = *result;
    refused.status = FW_FAILURE;
    refused.result = (fw_span){NULL, 0};
    refused.error = (fw_span){text, (size_t)len};
    fw_frame_writer *writer =
        fw_gather_leases(gather, reply->connection, fw_frame_lease_result_size(&refused));
    if (writer)
        FW_ASSERT(fw_frame_add_lease_result(writer, fw_reply_lease(reply), &refused));
}

static inline void give_result(fw_gather *gather, const fw_reply_to *reply,
                               const fw_result_view *result)
{
    fw_frame_writer *writer =
        fw_gather_leases(gather, reply->connection, fw_frame_lease_result_size(result));
    if (writer)
        FW_ASSERT(fw_frame_add_lease_result(writer, fw_reply_lease(reply), result));
}

/* The task comes back without having run. */
static void give_back(fw_net *net, const fw_reply_to *reply, fw_refusal why)
{
    fw_gather *gather = gather_for(net, reply);
    fw_frame_writer *writer =
        gather ? fw_gather_leases(gather, reply->connection, FW_FRAME_RETURN_SIZE) : NULL;
    if (writer)
        FW_ASSERT(fw_frame_add_return(writer, fw_reply_lease(reply), why));
}

/* About another id than was sent. */
static __attribute__((noinline)) void answer_named(fw_gather *gather, const fw_reply_to *reply,
                                                   const fw_result_view *result)
{
    fw_frame_writer *writer = fw_gather_frame(gather, reply, fw_frame_named_result_size(result));
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_named_result(writer, reply->request, reply->item, result));
    fw_gather_recorded(gather, reply, 1);
}

void fw_net_answer_result(fw_net *net, const fw_reply_to *reply, const fw_result_view *result)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    if (is_lease(reply)) {
        /* Relaxed: a number that stands alone. One that is larger would close the link, and cost
         * everything that is in our hands. */
        uint64_t most = fw_load_relaxed(&net->peer_takes);
        if (FW_UNLIKELY(most > 0 && result->result.len > most))
            give_refused(gather, reply, result, most);
        else
            give_result(gather, reply, result);
    } else if (FW_UNLIKELY(!is_framed(reply))) {
        answer_in_json(gather, reply, result, fw_json_write_result);
    } else if (FW_UNLIKELY(reply->flags & FW_OTHER_ID)) {
        if (reply->flags & FW_WANTS_RESULT)
            answer_named(gather, reply, result);
    } else if (reply->flags & FW_WANTS_RESULT) {
        fw_frame_writer *writer = fw_gather_frame(gather, reply, fw_frame_result_size(result));
        if (!writer)
            return;
        FW_ASSERT(fw_frame_add_result(writer, reply->request, reply->item, result));
        fw_gather_recorded(gather, reply, 1);
    }
}

void fw_net_answer_accepted(fw_net *net, const fw_reply_to *reply, const fw_result_view *state)
{
    if (is_lease(reply))
        return; /* a lease is a lease until it ends */
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    if (FW_UNLIKELY(!is_framed(reply))) {
        answer_in_json(gather, reply, state, fw_json_write_accepted);
        return;
    }
    if (FW_UNLIKELY(reply->flags & FW_OTHER_ID) && !(reply->flags & FW_WANTS_RESULT)) {
        answer_named(gather, reply, state);
        return;
    }
    fw_frame_writer *writer = fw_gather_frame(gather, reply, FW_FRAME_ACCEPTED_SIZE);
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_accepted(writer, reply->request, reply->item, state->status,
                                    reply->flags & FW_WANTS_ID ? &state->key : NULL));
    fw_gather_recorded(gather, reply, reply->flags & FW_WANTS_RESULT ? 0 : 1);
}

/* ---- Refusals ---- */

static int refusal_error(fw_refusal reason)
{
    static const int errors[FW_REFUSALS] = {
        [FW_REFUSED_FULL] = FW_EFULL,       [FW_REFUSED_TOO_BIG] = FW_EBIG,
        [FW_REFUSED_MALFORMED] = FW_EINVAL, [FW_REFUSED_PICKLE] = FW_EPROTO,
        [FW_REFUSED_AUTH] = FW_EAUTH,       [FW_REFUSED_RATE] = FW_EAGAIN,
        [FW_REFUSED_DRAINING] = FW_ECLOSED, [FW_REFUSED_UNKNOWN_NAME] = FW_ENOTASK,
        [FW_REFUSED_RECALLED] = FW_EAGAIN,
    };
    return errors[reason];
}

static const char *refusal_sentence(fw_refusal reason)
{
    static const char *const sentences[FW_REFUSALS] = {
        [FW_REFUSED_FULL] = "control plane is full, try again later",
        [FW_REFUSED_TOO_BIG] = "the message is larger than this control plane accepts",
        [FW_REFUSED_MALFORMED] = "the request cannot be understood",
        [FW_REFUSED_PICKLE] = "pickle serialization is not supported",
        [FW_REFUSED_AUTH] = FW_GATE_SENTENCE,
        [FW_REFUSED_RATE] = "too many requests, try again later",
        [FW_REFUSED_DRAINING] = "control plane is shutting down",
        [FW_REFUSED_UNKNOWN_NAME] = "no such task here",
        [FW_REFUSED_RECALLED] = "given back",
    };
    return sentences[reason];
}

void fw_net_refuse_items(fw_net *net, const fw_reply_to *reply, uint16_t count, int err,
                         const char *text)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    fw_frame_writer *writer = fw_gather_frame(gather, reply, fw_frame_refused_size(text));
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_refused(writer, reply->request, reply->item, count, err, text));
    fw_gather_recorded(gather, reply, count);
}

void fw_net_refuse_json(fw_net *net, const fw_reply_to *reply, fw_span id, fw_refusal reason,
                        const char *sentence, bool batch)
{
    fw_net_count_refusal(net, reason);
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    fw_buffer *text = fw_gather_text(gather);
    fw_role role = fw_number_role(reply->connection);
    if (role == FW_ROLE_QUERIES)
        fw_json_write_query_refusal(text, reply->form, sentence);
    else if (role == FW_ROLE_REGISTRATIONS)
        fw_json_write_registration(text, reply->form, id, sentence, (fw_span){"", 0});
    else if (batch && reply->form != FW_REPLY_PICKLE)
        fw_json_write_batch(text, NULL, 0, sentence);
    else
        fw_json_write_refusal(text, reply->form, id, sentence);
    send_text(gather, reply, text);
}

void fw_net_answer_refusal(fw_net *net, const fw_reply_to *reply, fw_span id, fw_refusal reason,
                           const char *text)
{
    FW_ASSERT((unsigned)reason < FW_REFUSALS);
    if (is_lease(reply)) {
        fw_net_count_refusal(net, reason);
        give_back(net, reply, reason);
        return;
    }
    if (!is_framed(reply)) {
        fw_net_refuse_json(net, reply, id, reason, text ? text : refusal_sentence(reason), false);
        return;
    }
    fw_net_count_refusal(net, reason);
    fw_net_refuse_items(net, reply, 1, refusal_error(reason), text);
}

/* ---- Batches ---- */

/* reply->item is the number of items (net/intake). */
static void accept_items(fw_gather *gather, const fw_reply_to *reply, const fw_span *ids,
                         size_t count)
{
    fw_key keys[FW_FRAME_ITEMS_MAX];
    FW_ASSERT(count == reply->item && count <= FW_FRAME_ITEMS_MAX);
    bool told = (reply->flags & FW_WANTS_ID) != 0;
    for (size_t i = 0; told && i < count; i++) {
        keys[i] = ids[i].len > 0 ? fw_key_from_text(ids[i]) : (fw_key){0, 0};
        if (!fw_key_is_uuid(keys[i]))
            keys[i] = (fw_key){0, 0};
    }
    size_t size = FW_FRAME_ACCEPTED_SIZE + (told ? count * sizeof(fw_key) : 0);
    fw_frame_writer *writer = fw_gather_frame(gather, reply, size);
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_accepted_run(writer, reply->request, 0, (uint16_t)count, FW_QUEUED,
                                        told ? keys : NULL));
    fw_gather_recorded(gather, reply, reply->flags & FW_WANTS_RESULT ? 0 : (uint32_t)count);
}

void fw_net_answer_batch(fw_net *net, const fw_reply_to *reply, const fw_span *ids, size_t count,
                         int err, const char *error)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    if (!is_framed(reply)) {
        fw_buffer *text = fw_gather_text(gather);
        fw_json_write_batch(text, ids, count, error);
        send_text(gather, reply, text);
    } else if (error) {
        fw_reply_to first = *reply;
        first.item = 0;
        fw_net_refuse_items(net, &first, reply->item, err, error);
    } else {
        accept_items(gather, reply, ids, count);
    }
}

/* ---- Queries, cancels, registrations, greetings ---- */

static void answer_framed_query(fw_gather *gather, const fw_reply_to *reply, fw_found found,
                                const fw_result_view *result)
{
    bool known = found == FW_FOUND || found == FW_NOT_FINISHED;
    size_t size = known ? fw_frame_result_size(result) : fw_frame_refused_size(NULL);
    fw_frame_writer *writer = fw_gather_frame(gather, reply, size);
    if (!writer)
        return;
    if (known)
        FW_ASSERT(fw_frame_add_result(writer, reply->request, reply->item, result));
    else
        FW_ASSERT(fw_frame_add_refused(writer, reply->request, reply->item, 1,
                                       found == FW_WAS_EXPIRED ? FW_EEXPIRED : FW_EUNKNOWN, NULL));
    fw_gather_recorded(gather, reply, 1);
}

void fw_net_answer_query(fw_net *net, const fw_reply_to *reply, fw_found found, bool native,
                         const fw_result_view *result)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    if (is_framed(reply)) {
        answer_framed_query(gather, reply, found, result);
        return;
    }
    fw_buffer *text = fw_gather_text(gather);
    fw_json_write_query(text, found, native || (reply->flags & FW_WANTS_STATE), result);
    send_text(gather, reply, text);
}

void fw_net_answer_cancel(fw_net *net, const fw_reply_to *reply, fw_span id, bool cancelled)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    if (!is_framed(reply)) {
        fw_buffer *text = fw_gather_text(gather);
        fw_json_write_cancel(text, id, cancelled);
        send_text(gather, reply, text);
        return;
    }
    if (!cancelled) {
        fw_net_refuse_items(net, reply, 1, FW_EUNKNOWN, NULL);
        return;
    }
    fw_frame_writer *writer = fw_gather_frame(gather, reply, FW_FRAME_ACCEPTED_SIZE);
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_accepted(writer, reply->request, reply->item, FW_CANCELLED, NULL));
    fw_gather_recorded(gather, reply, 1);
}

/* What a native subworker has to know of us. */
static void write_our_side(fw_buffer *out, const fw_net *net)
{
    static const char software[] = "fastworker/" FW_VERSION;
    const char *results = fw_net_results_address(net), *epoch = fw_net_epoch(net);
    fw_native_offer offer = {.version = 1,
                             .impl = {software, sizeof software - 1},
                             .epoch = {epoch, strlen(epoch)},
                             .results = {results, strlen(results)}};
    fw_json_write_native(out, &offer);
}

void fw_net_answer_registration(fw_net *net, const fw_reply_to *reply, fw_span id,
                                const char *error, bool native)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    FW_ASSERT(!is_framed(reply));
    fw_buffer ours = {0};
    if (native && !error)
        write_our_side(&ours, net);
    fw_buffer *text = fw_gather_text(gather);
    fw_json_write_registration(text, reply->form, id, error,
                               (fw_span){ours.data, ours.failed ? 0 : ours.len});
    send_text(gather, reply, text);
    fw_buffer_fini(&ours);
}

void fw_net_answer_text(fw_net *net, const fw_reply_to *reply, fw_span json)
{
    fw_gather *gather = gather_for(net, reply);
    if (!gather)
        return;
    FW_ASSERT(!is_framed(reply));
    fw_buffer *text = fw_gather_text(gather);
    fw_buffer_add(text, json.ptr, json.len);
    if (json.len == 0)
        fw_gather_give_up(gather, reply);
    else
        send_text(gather, reply, text);
}

void fw_net_answer_ping(fw_net *net, const fw_reply_to *reply, fw_span bytes)
{
    fw_gather *gather = gather_for(net, reply);
    fw_frame_writer *writer =
        gather ? fw_gather_frame(gather, reply, FW_FRAME_ACCEPTED_SIZE + bytes.len) : NULL;
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_pong(writer, reply->request, bytes));
    fw_gather_recorded(gather, reply, 0);
}

void fw_net_answer_hello(fw_net *net, const fw_reply_to *reply)
{
    static const char software[] = "fastworker/" FW_VERSION;
    const fw_limits *limits = &net->exchange.limits;
    size_t open_max =
        limits->open_requests_max < UINT32_MAX ? limits->open_requests_max : UINT32_MAX;
    fw_hello hello = {
        .software = {software, sizeof software - 1},
        .capabilities = FW_CAPABLE_WAIT | FW_CAPABLE_CANCEL | FW_CAPABLE_RETRY | FW_CAPABLE_ETA,
        .message_max = limits->message_max,
        .items_max = FW_FRAME_ITEMS_MAX,
        .open_requests_max = (uint32_t)open_max,
    };
    fw_gather *gather = gather_for(net, reply);
    fw_frame_writer *writer =
        gather ? fw_gather_frame(gather, reply, fw_frame_hello_size(&hello)) : NULL;
    if (!writer)
        return;
    FW_ASSERT(fw_frame_add_hello(writer, reply->request, &hello));
    fw_gather_recorded(gather, reply, 0);
}

bool fw_net_is_connected(fw_net *net, const fw_reply_to *reply)
{
    fw_rcu_read_lock();
    bool found = fw_exchange_find(&net->exchange, reply->connection) != NULL;
    fw_rcu_read_unlock();
    return found;
}

void fw_net_flush(fw_net *net)
{
    fw_egress_flush(&net->exchange);
}
