/* net/client_native.c - the mode for a control plane of this project: frames over one connection.
 *
 * Requests gather in the open frame. It leaves when it is full, when fewer than two frames are
 * unanswered, or when somebody waits: so a lone request leaves at once and a flood travels in full
 * frames.
 *
 * A broken connection is opened again, at once and then after growing pauses; unanswered items are
 * sent again under the same ids, which the control plane takes as the same tasks. After too many
 * tries without an answer everything waiting ends with FW_ENOCONN. Without anything waiting nothing
 * is reconnected until the next request. SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/client_frames.h"
#include "net/sp.h"

enum {
    MESSAGE_MAX = 64 * 1024 * 1024, /* of what is read */
    HELLO_BYTES = 2048,
    FRAMES_AHEAD = 2, /* frames unanswered before requests gather */
    PARTS = 16
};

/* How long the question may take which kind of control plane it is. */
#define PROBE_NS FW_NS_PER_S
/* Place 0 of the table of frames is nobody's, so this id is free for the greeting. */
#define HELLO_REQUEST FW_SP_REQUEST_BIT

typedef struct fw_native {
    fw_stream stream;
    fw_endpoint endpoint;
    char where[FW_ADDRESS_MAX];
    fw_frames frames;
    int tries;        /* connections in a row that brought no answer */
    int64_t retry_ns; /* when to connect next; 0: not waiting for that */
} fw_native;

static fw_native *native_of(fw_client *c)
{
    FW_ASSERT(c->peer != NULL);
    return c->peer;
}

/* --- the connection --- */

static void take_limits(fw_native *n, const fw_hello *hello)
{
    if (hello->message_max > 2 * FW_FRAME_TARGET)
        n->frames.bytes_max =
            (hello->message_max < MESSAGE_MAX ? (size_t)hello->message_max : MESSAGE_MAX) - 256;
}

static void take_hello(fw_native *n, fw_span extras)
{
    fw_hello hello;
    if (fw_frame_read_hello(&hello, extras) == 0)
        take_limits(n, &hello);
}

static void broken(fw_client *c, fw_completions *out);

static void connect_now(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    n->retry_ns = 0;
    n->tries++;
    if (fw_stream_connect(&n->stream, &n->endpoint) < 0)
        broken(c, out);
    else
        fw_client_watch(c, &n->stream);
}

/* Says what became of the connection to everybody who waits. */
static void give_up(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    n->tries = 0;
    n->retry_ns = 0;
    c->mode->end(c, FW_ENOCONN, out);
}

/* The stream has closed itself or is to be closed. */
static void broken(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    fw_stream_close(&n->stream);
    fw_frames_close(&n->frames);
    fw_frames_rewind(&n->frames);
    if (c->in_flight == 0) {
        n->tries = 0;
        return;
    }
    if (n->tries > c->retries) {
        give_up(c, out);
        return;
    }
    n->retry_ns = fw_now_ns() + (n->tries == 0 ? 0 : fw_client_backoff_ns(n->tries - 1));
    fw_client_alarm(c, n->retry_ns);
}

static void native_tick(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    if (n->retry_ns == 0)
        return;
    if (n->retry_ns <= fw_now_ns())
        connect_now(c, out);
    else
        fw_client_alarm(c, n->retry_ns);
}

/* A connection has just become ready: introduce ourselves, then send what is unanswered. */
static bool greet(const fw_client *c, fw_native *n)
{
    unsigned char hello[FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES + HELLO_BYTES];
    size_t len = fw_client_write_hello(c, hello + FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES,
                                       HELLO_BYTES, MESSAGE_MAX);
    FW_ASSERT(len > 0);
    fw_sp_length_write(hello, FW_SP_WORD_BYTES + len);
    fw_sp_word_write(hello + FW_SP_LENGTH_BYTES, HELLO_REQUEST);
    size_t total = FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES + len;
    struct iovec part = {.iov_base = hello, .iov_len = total};
    return fw_stream_write(&n->stream, &part, 1) == (ssize_t)total;
}

/* Writes closed frames. False: the connection broke. */
static bool write_frames(fw_client *c, fw_native *n)
{
    struct iovec parts[PARTS];
    int count;
    while (n->stream.state == FW_STREAM_READY &&
           (count = fw_frames_parts(&n->frames, parts, PARTS)) > 0) {
        ssize_t wrote = fw_stream_write(&n->stream, parts, count);
        if (wrote < 0)
            return false;
        fw_frames_wrote(&n->frames, (size_t)wrote);
        if (n->stream.write_blocked)
            break;
    }
    fw_client_watch(c, &n->stream);
    return true;
}

/* What follows every request: send if it is time, and see that there is a connection. Failures are
 * left to the alarm, because callbacks do not run inside a submission. */
static void after_request(fw_client *c, fw_native *n, bool now)
{
    if (now || n->frames.closed < FRAMES_AHEAD)
        fw_frames_close(&n->frames);
    bool idle = n->stream.state == FW_STREAM_CLOSED && n->retry_ns == 0;
    if (n->stream.state == FW_STREAM_READY && n->frames.unsent != NULL &&
        !n->stream.write_blocked && !write_frames(c, n)) {
        fw_stream_close(&n->stream);
        fw_frames_rewind(&n->frames);
        idle = true;
    }
    if (idle && c->in_flight > 0) {
        n->retry_ns = fw_now_ns();
        fw_client_alarm(c, n->retry_ns);
    }
}

/* --- requests --- */

static int too_big(const fw_native *n)
{
    return fw_client_fail(FW_EBIG, "a request is over the limit of %s (%zu bytes, %d tasks)",
                          n->where, n->frames.bytes_max, FW_FRAME_ITEMS_MAX);
}

static int native_submit(fw_client *c, const fw_submission *items, size_t count,
                         const fw_taker *taker)
{
    fw_native *n = native_of(c);
    FW_ASSERT(count > 0);
    int rc = count == 1 ? fw_frames_submit(&n->frames, items, !items->accept_only, taker)
                        : fw_frames_submit_all(&n->frames, items, count, taker);
    if (rc < 0)
        return rc == -FW_EBIG ? too_big(n) : fw_client_fail(rc, "%s", fw_strerror(rc));
    c->in_flight += count;
    after_request(c, n, false);
    return 0;
}

static int native_query(fw_client *c, const fw_query *query, const fw_taker *taker)
{
    fw_native *n = native_of(c);
    int rc = fw_frames_query(&n->frames, query, taker);
    if (rc < 0)
        return fw_client_fail(rc, "%s", fw_strerror(rc));
    c->in_flight++;
    after_request(c, n, false);
    return 0;
}

static void native_flush(fw_client *c)
{
    after_request(c, native_of(c), true);
}

/* --- answers --- */

static void answer_item(fw_client *c, fw_completions *out, fw_outgoing *frame, uint32_t item,
                        fw_answer answer)
{
    fw_taker taker;
    char *id;
    answer.key = frame->items[item].key;
    answer.item = item;
    if (!fw_frames_take(frame, item, &taker, &id))
        return;
    if (answer.view != NULL && answer.view->id.len > 0)
        answer.id = answer.view->id;
    else if (id != NULL)
        answer.id = (fw_span){id, strlen(id)};
    FW_ASSERT(c->in_flight > 0);
    c->in_flight--;
    fw_client_answer(c, out, &taker, &answer);
    free(id);
}

/* One record may answer a run of items. Running callbacks may change everything, so the frame is
 * looked up again for each item. */
static void take_record(fw_client *c, fw_completions *out, const fw_record *record)
{
    fw_native *n = native_of(c);
    for (uint32_t i = 0; i < record->count; i++) {
        fw_outgoing *frame = fw_frames_find(&n->frames, record->request);
        uint32_t item = (uint32_t)record->item + i;
        if (frame == NULL || item >= frame->writer.count)
            return;
        fw_item_kind kind = (fw_item_kind)frame->items[item].kind;
        fw_result_view accepted = {.status = record->status};
        fw_answer answer = {.err = 0, .view = &accepted};
        if (record->kind == FW_RECORD_REFUSED) {
            answer =
                (fw_answer){.err = record->err > 0 ? record->err : FW_EPROTO, .text = record->text};
        } else if (record->kind == FW_RECORD_RESULT) {
            answer.view = &record->result;
        } else if (kind == FW_ITEM_RESULT || kind == FW_ITEM_GET) {
            continue; /* accepted; what was asked for comes later */
        }
        n->tries = 0;
        answer_item(c, out, frame, item, answer);
        frame = fw_frames_find(&n->frames, record->request);
        if (frame != NULL)
            fw_frames_settle(&n->frames, frame);
    }
}

static void take_frame(fw_client *c, fw_completions *out, fw_frame *frame)
{
    fw_record record;
    while (fw_frame_next_record(frame, &record) == 1) {
        if (record.kind == FW_RECORD_HELLO)
            take_hello(native_of(c), record.text);
        else if (record.kind != FW_RECORD_PONG)
            take_record(c, out, &record);
    }
}

/* Hands on every complete message. False: the peer does not keep to the protocol. */
static bool take_messages(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    fw_chunk *held = NULL;
    fw_span message;
    fw_stream_message got;
    bool good = true;
    while (good && (got = fw_stream_next(&n->stream, &message)) != FW_STREAM_NONE) {
        fw_sp_request request;
        fw_frame frame;
        if (n->stream.in != held) {
            fw_client_run(c, out); /* their results lie in the chunk that is let go */
            fw_chunk_drop(held);
            held = NULL;
        }
        good = got == FW_STREAM_MESSAGE && fw_sp_request_read(&request, message) &&
               fw_frame_open(&frame, request.body, NULL) == 0 && frame.type == FW_FRAME_ANSWER;
        if (!good)
            break;
        if (held == NULL) {
            held = n->stream.in;
            fw_chunk_hold(held);
        }
        take_frame(c, out, &frame);
    }
    fw_client_run(c, out);
    fw_chunk_drop(held);
    return good;
}

static void native_pump(fw_client *c, fw_completions *out)
{
    fw_native *n = native_of(c);
    if (n->stream.state == FW_STREAM_CLOSED)
        return;
    if (n->stream.state != FW_STREAM_READY) {
        int rc = fw_stream_advance(&n->stream);
        if (rc == 0 && n->stream.state == FW_STREAM_READY && !greet(c, n))
            rc = -FW_ENOCONN;
        if (rc < 0) {
            broken(c, out);
            return;
        }
        fw_client_watch(c, &n->stream);
    }
    if (n->stream.state != FW_STREAM_READY)
        return;
    int filled = fw_stream_fill(&n->stream);
    bool good = take_messages(c, out);
    if (filled < 0 || !good || n->stream.state == FW_STREAM_CLOSED) {
        if (n->stream.state == FW_STREAM_CLOSED || !good)
            broken(c, out);
        return;
    }
    if (n->frames.closed < FRAMES_AHEAD)
        fw_frames_close(&n->frames);
    if (!write_frames(c, n))
        broken(c, out);
}

static void native_abandon(fw_client *c, fw_waiter *waiter)
{
    size_t dropped = 0;
    fw_frames_abandon(&native_of(c)->frames, waiter, &dropped);
    FW_ASSERT(c->in_flight >= dropped);
    c->in_flight -= dropped;
}

static void native_end(fw_client *c, int err, fw_completions *out)
{
    fw_native *n = native_of(c);
    char text[512];
    snprintf(text, sizeof(text), "%s: %s", n->where,
             err == FW_ENOCONN && n->stream.error[0] != '\0' ? n->stream.error : fw_strerror(err));
    fw_outgoing *next;
    fw_stream_close(&n->stream);
    for (fw_outgoing *frame = fw_frames_detach(&n->frames); frame != NULL; frame = next) {
        next = frame->newer;
        for (uint32_t i = 0; i < frame->writer.count; i++)
            answer_item(c, out, frame, i, (fw_answer){.err = err, .text = {text, strlen(text)}});
        fw_outgoing_free(frame);
    }
    fw_client_run(c, out);
}

static void native_destroy(fw_client *c)
{
    fw_native *n = native_of(c);
    fw_stream_close(&n->stream);
    fw_frames_fini(&n->frames);
    free(n);
    c->peer = NULL;
}

const fw_client_mode fw_client_native_mode = {.submit = native_submit,
                                              .query = native_query,
                                              .flush = native_flush,
                                              .pump = native_pump,
                                              .tick = native_tick,
                                              .abandon = native_abandon,
                                              .end = native_end,
                                              .destroy = native_destroy};

/* --- opening --- */

/* A query whose id is a number. Python looks for it and does not find it; a control plane of this
 * project refuses it, as protocol 7.3 says, and such an answer speaks of "cancelled" as well. Both
 * answer at once. */
static int probe(fw_native *n, int *native, int64_t deadline_ns)
{
    static const char question[] = "{\"task_id\": 1, \"native\": {\"v\": 1}}";
    fw_span reply;
    int rc =
        fw_client_ask(&n->stream, &reply, (fw_span){question, sizeof(question) - 1}, deadline_ns);
    if (rc < 0)
        return rc;
    fw_json answer = fw_json_parse(reply);
    if (answer.type != FW_JSON_OBJECT)
        return fw_client_fail(FW_EPROTO, "%s answers, but not as a FastWorker control plane",
                              n->where);
    *native = fw_json_get(answer, "cancelled").type != FW_JSON_INVALID ||
              fw_json_get(answer, "native").type != FW_JSON_INVALID;
    return 0;
}

static int say_hello(const fw_client *c, fw_native *n, int64_t deadline_ns)
{
    fw_hello hello;
    int rc = fw_client_introduce(c, &n->stream, n->where, &hello, MESSAGE_MAX, deadline_ns);
    if (rc == 0)
        take_limits(n, &hello);
    return rc;
}

int fw_client_native_open(fw_client *c, int *native, int64_t deadline_ns)
{
    const char *reason;
    fw_native *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return fw_client_fail(FW_ENOMEM, "out of memory");
    /* Frames are served at every port; the query port also answers the probe. */
    fw_address at = c->address;
    at.port += *native == 1 ? 2 : 4;
    fw_address_format(n->where, sizeof(n->where), &at);
    fw_stream_init(&n->stream, FW_SP_REQ0, MESSAGE_MAX);
    n->stream.tls = c->tls;
    int rc = fw_client_dial(&n->stream, &at, deadline_ns);
    if (rc == 0 && *native != 1)
        rc = probe(n, native, deadline_ns);
    if (rc == 0 && *native == 1)
        rc = fw_frames_init(&n->frames, c->in_flight_max);
    if (rc == 0 && *native == 1)
        rc = say_hello(c, n, deadline_ns);
    if (rc == 0 && *native == 1)
        rc = fw_address_resolve(&n->endpoint, &reason, &at);
    if (rc < 0 || *native != 1) {
        fw_stream_close(&n->stream);
        fw_frames_fini(&n->frames);
        free(n);
        return rc;
    }
    c->peer = n;
    c->mode = &fw_client_native_mode;
    fw_client_watch(c, &n->stream);
    return 0;
}
