/* net/intake.c - see net/intake.h.
 *
 * Invariant: fw_connection_expect is called once for each answer that will finish something, before
 * the request goes up, because it may be answered on another thread before the call returns.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/frame.h"
#include "net/gate.h"
#include "net/message_json.h"
#include "net/server.h"
#include "net/sp.h"

enum {
    SUBMISSIONS = 256,         /* that go up in one call */
    BATCH_MEMBERS_MAX = 100000 /* of one JSON batch */
};

static const char draining_text[] = "control plane is shutting down";

typedef struct intake {
    fw_net *net;
    const fw_port *port;
    fw_connection *connection;
    fw_scratch *scratch;
    size_t count;
    fw_submission items[SUBMISSIONS];
} intake;

/* In JSON. */
static bool is_let_in(intake *in)
{
    if (FW_LIKELY(fw_gate_admits_json(in->net, in->connection)))
        return true;
    fw_gate_complain(in->net, in->connection);
    return false;
}

static bool is_draining(intake *in)
{
    /* Relaxed: a task that comes at the very moment may go either way. */
    return fw_load_relaxed(&in->net->draining);
}

/* What was decoded goes up; after it the scratch may be reused. */
static void submit(intake *in)
{
    if (in->count == 0)
        return;
    size_t count = in->count;
    in->count = 0;
    in->net->ops.submit(in->net->ops.context, in->items, count);
}

/* The place for the next submission. */
static fw_submission *next_place(intake *in)
{
    if (in->count == SUBMISSIONS)
        submit(in);
    return &in->items[in->count];
}

/* ---- Batches: all or none ---- */

/* => room for the members, or NULL. */
static fw_submission *batch_room(size_t count)
{
    if (count > BATCH_MEMBERS_MAX)
        return NULL;
    return malloc((count > 0 ? count : 1) * sizeof(fw_submission));
}

/* The members one by one into items. => how many there are, all good; or -1, then complaint tells
 * of the first that is not. */
static ssize_t read_members(fw_json_tasks *tasks, fw_submission *items)
{
    size_t count = 0;
    int got;
    while ((got = fw_json_tasks_next(tasks, &items[count])) > 0) {
        /* One answer for all; the members have none of their own. */
        items[count++].reply = (fw_reply_to){.form = FW_REPLY_NONE};
    }
    return got < 0 ? -1 : (ssize_t)count;
}

/* Tells the owner which ids were in a batch that is refused: those before the bad member, its own,
 * and the rest. */
static void report_members(intake *in, fw_json_tasks *tasks, const fw_submission *items,
                           const char *error)
{
    size_t count = 0, before = tasks->next - 1;
    fw_span *ids = malloc(tasks->count * sizeof *ids);
    if (!ids)
        return;
    for (size_t i = 0; i < before; i++)
        ids[count++] = items[i].id;
    if (tasks->complaint.id.len > 0)
        ids[count++] = tasks->complaint.id;
    fw_submission other;
    while (tasks->next < tasks->count) {
        int got = fw_json_tasks_next(tasks, &other);
        fw_span id = got > 0 ? other.id : tasks->complaint.id;
        if (id.len > 0)
            ids[count++] = id;
    }
    in->net->ops.batch_refused(in->net->ops.context, ids, count, error);
    free(ids);
}

static void take_json_batch(intake *in, fw_json_tasks *tasks)
{
    char sentence[sizeof tasks->complaint.sentence];
    const char *error = NULL;
    fw_refusal reason = FW_REFUSED_MALFORMED;
    fw_submission *items = batch_room(tasks->count);
    ssize_t count = 0;
    if (!in->net->ops.submit_batch) {
        error = "batches: not here";
    } else if (!items) {
        error = "tasks: more members than a batch may have, or no memory";
        reason = FW_REFUSED_TOO_BIG;
    } else if (is_draining(in)) {
        error = draining_text;
        reason = FW_REFUSED_DRAINING;
    } else if (!is_let_in(in)) {
        error = FW_GATE_SENTENCE;
        reason = FW_REFUSED_AUTH;
    } else if ((count = read_members(tasks, items)) < 0) {
        memcpy(sentence, tasks->complaint.sentence, sizeof sentence);
        error = sentence;
        reason = tasks->complaint.reason;
    }
    fw_connection_expect(in->connection, 1);
    submit(in);
    if (count < 0 && in->net->ops.batch_refused)
        report_members(in, tasks, items, error);
    if (error)
        fw_net_refuse_json(in->net, &tasks->reply, (fw_span){"", 0}, reason, error, true);
    else
        in->net->ops.submit_batch(in->net->ops.context, items, (size_t)count, &tasks->reply);
    free(items);
}

/* reply->item tells fw_net_answer_batch how many items there are. */
static void take_frame_batch(intake *in, fw_frame *frame)
{
    fw_reply_to reply = frame->reply;
    reply.item = (uint16_t)frame->count;
    fw_submission *items = batch_room(frame->count);
    size_t count = 0;
    int err = items ? 0 : FW_ENOMEM;
    const char *error = items ? NULL : "no memory";
    if (!in->net->ops.submit_batch) {
        err = FW_EINVAL;
        error = "batches: not here";
    }
    fw_connection_expect(in->connection, frame->count);
    if (reply.detour > 0)
        fw_detours_expect(fw_connection_detours(in->connection), reply.detour, frame->count);
    while (!error) {
        int got = fw_frame_next_submission(frame, &items[count], in->scratch);
        if (got == 0)
            break;
        if (got < 0) {
            err = -got;
            error = frame->error;
            break;
        }
        reply.flags |= items[count++].reply.flags;
    }
    submit(in);
    if (!error && is_draining(in)) {
        err = FW_ECLOSED;
        error = draining_text;
    }
    if (error) {
        reply.item = 0;
        fw_net_count_refusal(in->net,
                             err == FW_ECLOSED ? FW_REFUSED_DRAINING : FW_REFUSED_MALFORMED);
        fw_net_refuse_items(in->net, &reply, (uint16_t)frame->count, err, error);
    } else if (count > 0) {
        in->net->ops.submit_batch(in->net->ops.context, items, count, &reply);
    }
    free(items);
}

/* ---- Native frames ---- */

static void take_submissions(intake *in, fw_frame *frame)
{
    for (;;) {
        fw_submission *place = next_place(in);
        int got = fw_frame_next_submission(frame, place, in->scratch);
        if (got == 0)
            return;
        fw_connection_expect(in->connection, 1);
        if (got < 0) {
            fw_net_count_refusal(in->net, FW_REFUSED_MALFORMED);
            fw_net_refuse_items(in->net, &place->reply, 1, -got, frame->error);
        } else if (is_draining(in)) {
            fw_net_answer_refusal(in->net, &place->reply, place->id, FW_REFUSED_DRAINING,
                                  draining_text);
        } else {
            in->count++;
        }
    }
}

static void take_queries(intake *in, fw_frame *frame)
{
    submit(in);
    for (;;) {
        fw_query query;
        int got = fw_frame_next_query(frame, &query);
        if (got == 0)
            return;
        fw_connection_expect(in->connection, 1);
        if (!in->net->ops.query) {
            fw_net_refuse_items(in->net, &query.reply, 1, FW_EUNKNOWN, "queries: not here");
        } else if (got > 0) {
            in->net->ops.query(in->net->ops.context, &query);
        } else {
            fw_net_count_refusal(in->net, FW_REFUSED_MALFORMED);
            fw_net_refuse_items(in->net, &query.reply, 1, -got, frame->error);
        }
    }
}

static void refuse_frame(intake *in, const fw_frame *frame, int err)
{
    uint32_t count = frame->count;
    if (count == 0 || count > UINT16_MAX)
        count = 1;
    fw_connection_expect(in->connection, count);
    if (frame->reply.detour > 0)
        fw_detours_expect(fw_connection_detours(in->connection), frame->reply.detour, count);
    fw_net_count_refusal(in->net, err == -FW_EBIG    ? FW_REFUSED_TOO_BIG
                                  : err == -FW_EAUTH ? FW_REFUSED_AUTH
                                                     : FW_REFUSED_MALFORMED);
    fw_net_refuse_items(in->net, &frame->reply, (uint16_t)count, -err, frame->error);
}

/* => 0, or -FW_EAUTH with frame->error. */
static int let_in(intake *in, fw_frame *frame)
{
    fw_hello hello;
    if (FW_LIKELY(!in->net->asked.asked))
        return 0;
    if (frame->type == FW_FRAME_HELLO && fw_frame_read_hello(&hello, fw_frame_hello(frame)) == 0 &&
        fw_gate_present(in->net, in->connection, hello.token))
        return 0;
    if (frame->type != FW_FRAME_HELLO && fw_gate_admits_frames(in->net, in->connection))
        return 0;
    fw_gate_complain(in->net, in->connection);
    frame->error = FW_GATE_SENTENCE;
    return -FW_EAUTH;
}

/* => false: the peer does not speak this protocol. */
static bool take_frame(intake *in, fw_span body, const fw_reply_to *reply)
{
    fw_frame frame;
    int err = fw_frame_open(&frame, body, reply);
    if (err == 0)
        err = let_in(in, &frame);
    if (err < 0) {
        refuse_frame(in, &frame, err);
        return true;
    }
    switch (frame.type) {
    case FW_FRAME_SUBMIT:
        if (frame.flags & FW_FRAME_ALL_OR_NONE) {
            take_frame_batch(in, &frame);
            return true;
        }
        if (reply->detour > 0)
            fw_detours_expect(fw_connection_detours(in->connection), reply->detour, frame.count);
        take_submissions(in, &frame);
        return true;
    case FW_FRAME_QUERY:
        if (reply->detour > 0)
            fw_detours_expect(fw_connection_detours(in->connection), reply->detour, frame.count);
        take_queries(in, &frame);
        return true;
    case FW_FRAME_PING:
        fw_net_answer_ping(in->net, &frame.reply, fw_frame_ping(&frame));
        return true;
    case FW_FRAME_HELLO:
        fw_net_answer_hello(in->net, &frame.reply);
        return true;
    default:
        return false;
    }
}

/* ---- JSON ---- */

/* Protocol 3.5: one clear line. */
static void report_pickle(intake *in)
{
    if (!fw_log_enabled(FW_LOG_WARN))
        return;
    char peer[FW_PEER_MAX];
    fw_connection_peer(in->connection, peer);
    fw_log(FW_LOG_WARN, "net.pickle",
           "%s, port %u: pickle serialization is not supported; set "
           "FASTWORKER_SERIALIZATION_FORMAT=JSON",
           peer, in->port->bound);
}

static void refuse(intake *in, const fw_reply_to *reply, const fw_complaint *complaint, bool batch)
{
    if (complaint->reason == FW_REFUSED_PICKLE)
        report_pickle(in);
    fw_connection_expect(in->connection, 1);
    fw_net_refuse_json(in->net, reply, complaint->id, complaint->reason, complaint->sentence,
                       batch);
}

static void take_tasks(intake *in, fw_span body, const fw_reply_to *reply)
{
    fw_json_tasks tasks;
    if (fw_json_tasks_open(&tasks, in->scratch, body, reply) < 0) {
        refuse(in, &tasks.reply, &tasks.complaint, tasks.batch);
        return;
    }
    if (tasks.batch) {
        take_json_batch(in, &tasks);
        return;
    }
    fw_submission *place = next_place(in);
    if (fw_json_tasks_next(&tasks, place) <= 0) {
        refuse(in, &tasks.reply, &tasks.complaint, false);
        return;
    }
    fw_connection_expect(in->connection, 1);
    if (is_draining(in))
        fw_net_answer_refusal(in->net, &place->reply, place->id, FW_REFUSED_DRAINING,
                              draining_text);
    else if (!is_let_in(in))
        fw_net_answer_refusal(in->net, &place->reply, place->id, FW_REFUSED_AUTH, NULL);
    else
        in->count++;
}

static void take_query(intake *in, fw_span body, const fw_reply_to *reply)
{
    fw_query query = {.reply = *reply};
    fw_complaint complaint;
    submit(in);
    if (fw_json_query_read(&query, &complaint, in->scratch, body, reply) < 0) {
        refuse(in, &query.reply, &complaint, false);
        return;
    }
    fw_connection_expect(in->connection, 1);
    if (is_let_in(in))
        in->net->ops.query(in->net->ops.context, &query);
    else
        fw_net_answer_refusal(in->net, &query.reply, query.id, FW_REFUSED_AUTH, NULL);
}

static void take_registration(intake *in, fw_span body, const fw_reply_to *reply)
{
    fw_registration registration = {.reply = *reply};
    fw_complaint complaint;
    submit(in);
    if (fw_json_registration_read(&registration, &complaint, in->scratch, body, reply) < 0) {
        refuse(in, &registration.reply, &complaint, false);
        return;
    }
    fw_connection_expect(in->connection, 1);
    fw_span token = registration.offer.token;
    if ((token.len > 0 && fw_gate_present(in->net, in->connection, token)) || is_let_in(in))
        in->net->ops.registration(in->net->ops.context, &registration);
    else
        fw_net_answer_refusal(in->net, &registration.reply, registration.id, FW_REFUSED_AUTH, NULL);
}

/* ---- Messages ---- */

/* => false: the connection has to end. */
static bool take_message(intake *in, fw_span message)
{
    fw_sp_request request;
    if (!fw_sp_request_read(&request, message))
        return false;
    fw_reply_to reply = {.connection = fw_connection_number(in->connection),
                         .request = request.id,
                         .form = FW_REPLY_JSON};
    fw_detours *detours = fw_connection_detours(in->connection);
    if (FW_UNLIKELY(request.detours > 0)) {
        reply.detour = fw_detours_add(detours, request.words);
        if (reply.detour == 0)
            return false;
    }
    bool good = true;
    bool frame = fw_frame_is(request.body);
    if (!frame && reply.detour > 0)
        fw_detours_expect(detours, reply.detour, 1);
    if (frame)
        good = take_frame(in, request.body, &reply);
    else if (in->port->role == FW_ROLE_TASKS)
        take_tasks(in, request.body, &reply);
    else if (in->port->role == FW_ROLE_QUERIES)
        take_query(in, request.body, &reply);
    else
        take_registration(in, request.body, &reply);
    if (FW_UNLIKELY(reply.detour > 0))
        fw_detours_end(detours, reply.detour, 1); /* the use that fw_detours_add gave us */
    return good;
}

ssize_t fw_intake_deliver(const fw_port *port, fw_connection *connection,
                          const unsigned char *bytes, size_t len)
{
    fw_net *net = port->context;
    fw_gather *gather = fw_egress_mine(&net->exchange);
    if (!gather)
        return -1;
    intake in;
    in.net = net;
    in.port = port;
    in.connection = connection;
    in.scratch = fw_gather_scratch(gather);
    in.count = 0;
    size_t used = 0;
    uint64_t messages = 0;
    bool good = true;
    /* The first is taken in any case, so that nothing used means nothing whole: the reader relies
     * on it. */
    while (good && used < len && (used == 0 || !fw_connection_is_choked(connection))) {
        fw_span message;
        size_t size;
        fw_sp_outcome outcome =
            fw_sp_next(&message, &size, bytes + used, len - used, net->exchange.limits.message_max);
        if (outcome == FW_SP_MORE)
            break;
        if (outcome == FW_SP_TOO_BIG)
            fw_net_count_refusal(net, FW_REFUSED_TOO_BIG);
        good = outcome == FW_SP_MESSAGE && take_message(&in, message);
        used += good ? size : 0;
        messages += good ? 1 : 0;
    }
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&net->exchange.traffic.messages_in, messages);
    submit(&in);
    fw_scratch_reset(in.scratch);
    fw_gather_flush(gather);
    return good ? (ssize_t)used : -1;
}
