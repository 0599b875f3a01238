/* net/connection_stream.c - a connection over a byte stream of NNG's: those that we dial.
 *
 * kick-note: reading is taken up again by completing the receive operation without bytes
 * (nng_aio_begin, nng_aio_finish), so that what is left in the buffer is delivered on a thread of
 * NNG and never on the thread that answered.
 *
 * free-note: NNG may start a callback just after nng_aio_stop returned, if another thread was
 * inside nng_stream_send then. That thread is in a read section; destroy comes after it, and
 * nng_aio_free waits for the callback, which sees `closed` and returns. So the operations are freed
 * first, both, then the rest. SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/clock.h"
#include "net/connection_state.h"

enum { IOVECS = 8 /* NNG's limit */ };

/* The next callback may run before this returns: the caller touches nothing after it. */
static void start_receive(fw_connection *c)
{
    nng_duration limit = NNG_DURATION_INFINITE;
    if (!fw_connection_is_known(c)) {
        int64_t left = (c->handshake_until_ns - fw_now_ns()) / FW_NS_PER_MS;
        limit = left > 1 ? (nng_duration)left : 1;
    }
    nng_aio_set_timeout(c->receive, limit);
    nng_iov room = {c->in + c->in_end, c->in_capacity - c->in_end};
    if (c->tls)
        room = fw_connection_tls_room(c->tls);
    FW_ASSERT(room.iov_len > 0);
    FW_ASSERT(nng_aio_set_iov(c->receive, 1, &room) == 0);
    nng_stream_recv(c->stream, c->receive);
}

static void on_received(void *argument)
{
    fw_connection *c = argument;
    int failure = nng_aio_result(c->receive);
    /* Relaxed: see free-note; a stale false only costs a call that fails. */
    if (fw_load_relaxed(&c->closed))
        return;
    /* An expiry that came late, from an earlier receive, is none. */
    bool known = fw_connection_is_known(c);
    bool late = failure == NNG_ETIMEDOUT && (known || fw_now_ns() < c->handshake_until_ns);
    if (failure != 0 && !late)
        fw_connection_close(c, known ? FW_CLOSED_BY_PEER : FW_CLOSED_BY_HANDSHAKE);
    else if (fw_connection_arrived(c, failure == 0 ? nng_aio_count(c->receive) : 0))
        start_receive(c);
}

/* The next callback may run before this returns. */
static void transmit(fw_connection *c)
{
    nng_iov parts[IOVECS];
    unsigned count = 0;
    if (c->tls) {
        fw_span part = fw_connection_tls_next(c);
        if (part.len == 0)
            return;
        union {
            const char *from;
            void *to;
        } bytes = {.from = part.ptr}; /* NNG only reads them */
        parts[count++] = (nng_iov){bytes.to, part.len};
    } else if (!c->sending) {
        fw_parcel *posted = fw_outbox_collect(&c->outbox);
        if (!posted)
            return; /* and the duty has ended: what is the sender's may be another's by now */
        c->sending = posted;
    }
    for (fw_parcel *p = c->tls ? NULL : c->sending; p && count < IOVECS; p = p->next)
        parts[count++] = (nng_iov){p->bytes + p->sent, p->len - p->sent};
    FW_ASSERT(nng_aio_set_iov(c->send, count, parts) == 0);
    nng_stream_send(c->stream, c->send);
}

static void on_sent(void *argument)
{
    fw_connection *c = argument;
    int failure = nng_aio_result(c->send);
    size_t count = failure == 0 ? nng_aio_count(c->send) : 0;
    if (c->tls)
        count = fw_connection_tls_sent(c->tls, count);
    fw_connection_mark_sent(c, count);
    /* Relaxed: see free-note. */
    if (fw_load_relaxed(&c->closed))
        return;
    int64_t now = fw_now_ns();
    /* An expiry that came late, from an earlier send, is none. */
    bool late =
        failure == NNG_ETIMEDOUT && (now - c->moved_ns < c->exchange->limits.stalled_ns / 2 ||
                                     (c->port->patient && c->port->patient(c->port, c)));
    if (failure != 0 && !late) {
        fw_connection_close(c, failure == NNG_ETIMEDOUT ? FW_CLOSED_BY_STALL : FW_CLOSED_BY_PEER);
        return;
    }
    c->moved_ns = now;
    /* [connection-pause] seq_cst: see pause-note. */
    fw_add_seq_cst(&c->sent_bytes, count);
    transmit(c);
    fw_connection_resume(c);
    fw_connection_resume_follower(c);
}

/* NNG's default is to let the kernel delay small writes; who dials has to change it. */
static inline bool is_prompt(nng_stream *stream)
{
    bool prompt = false;
    return nng_stream_get_bool(stream, NNG_OPT_TCP_NODELAY, &prompt) == 0 && prompt;
}

static bool take(fw_connection *c, fw_handle handle)
{
    if (nng_aio_alloc(&c->receive, on_received, c) != 0 ||
        nng_aio_alloc(&c->send, on_sent, c) != 0) {
        nng_aio_free(c->receive);
        return false;
    }
    FW_DEBUG_ASSERT(is_prompt(handle.stream));
    c->stream = handle.stream;
    nng_aio_set_timeout(c->send, (nng_duration)(c->exchange->limits.stalled_ns / FW_NS_PER_MS));
    return true;
}

static void resume(fw_connection *c)
{
    if (nng_aio_begin(c->receive))
        nng_aio_finish(c->receive, 0);
}

static void shut(fw_connection *c)
{
    nng_stream_close(c->stream);
}

static void quiesce(fw_connection *c)
{
    nng_aio_stop(c->receive);
    nng_aio_stop(c->send);
}

static void release(fw_connection *c)
{
    nng_aio_free(c->receive);
    nng_aio_free(c->send);
    nng_stream_free(c->stream);
}

static void describe(const fw_connection *c, char out[FW_PEER_MAX])
{
    fw_peer_describe(out, c->stream);
}

static bool is_local(const fw_connection *c)
{
    return fw_peer_is_local(c->stream);
}

static const fw_mover streams = {
    .take = take,
    .start = start_receive,
    .resume = resume,
    .transmit = transmit,
    .shut = shut,
    .quiesce = quiesce,
    .release = release,
    .describe = describe,
    .is_local = is_local,
};

int fw_connection_open(uint64_t *number, const fw_port *port, nng_stream *stream)
{
    int err = fw_connection_create(number, port, &streams, (fw_handle){.stream = stream});
    if (err < 0)
        nng_stream_free(stream);
    return err;
}
