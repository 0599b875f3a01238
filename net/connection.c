/* net/connection.c - see net/connection.h.
 *
 * kick-note: reading is taken up again by completing the receive operation without bytes
 * (nng_aio_begin, nng_aio_finish), so that what is left in the buffer is delivered on a thread of
 * NNG and never on the thread that answered.
 *
 * free-note: NNG may start a callback just after nng_aio_stop returned, if another thread was
 * inside nng_stream_send then. That thread is in a read section; destroy comes after it, and
 * nng_aio_free waits for the callback, which sees `closed` and returns. So the operations are freed
 * first, both, then the rest. SPDX-License-Identifier: Apache-2.0 */
#include "net/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "net/connection_state.h"
#include "net/reaper.h"
#include "net/sp.h"

enum {
    BUFFER_FIRST = 4 * 1024,  /* an idle peer's; most requests fit */
    BUFFER_USUAL = 64 * 1024, /* what a large one shrinks to */
    BUFFER_BUSY =
        256 * 1024, /* grown to by reads that fill the buffer; beyond only for one message */
    IOVECS = 8      /* NNG's limit */
};

static void on_received(void *argument);
static void on_sent(void *argument);
static void transmit(fw_connection *c);

uint64_t fw_connection_number(const fw_connection *c)
{
    return c->number;
}

const fw_port *fw_connection_port(const fw_connection *c)
{
    return c->port;
}

fw_standing fw_connection_standing(const fw_connection *c)
{
    return c->standing;
}

void fw_connection_set_standing(fw_connection *c, fw_standing standing)
{
    c->standing = standing;
}

bool fw_connection_is_local(const fw_connection *c)
{
    return fw_peer_is_local(c->stream);
}

void fw_connection_introduce(fw_connection *c, void *owner)
{
    FW_ASSERT(owner != NULL && c->port->guarded);
    /* [connection-owner] release: the owner is set up. */
    fw_store_release(&c->owner, owner);
}

void *fw_connection_owner(const fw_connection *c)
{
    /* [connection-owner] acquire: the owner is set up. */
    return fw_load_acquire(&c->owner);
}

/* ---- Reading ---- */

/* He has shaken hands, and is introduced where that is asked for. */
static bool is_known(const fw_connection *c)
{
    return c->greeted && (!c->port->guarded || fw_connection_owner(c) != NULL);
}

/* Room behind the unread bytes. => false: no memory. */
static bool make_room(fw_connection *c)
{
    size_t unread = c->in_end - c->in_at;
    bool was_full = c->in_end == c->in_capacity;
    if (c->in_at > 0 && unread > 0)
        memmove(c->in, c->in + c->in_at, unread);
    c->in_at = 0;
    c->in_end = unread;
    size_t capacity = c->in_capacity;
    if (unread == 0 && capacity > BUFFER_BUSY) {
        capacity = BUFFER_USUAL;
    } else if (was_full && capacity < BUFFER_BUSY) {
        capacity *= 4;
    } else if (unread == capacity) {
        fw_span message;
        size_t size;
        fw_sp_outcome outcome =
            fw_sp_next(&message, &size, c->in, unread,
                       c->exchange->limits.message_max + c->port->message_extra);
        FW_ASSERT(outcome == FW_SP_MORE && size > capacity);
        capacity = size < capacity * 2 ? size : capacity * 2;
    }
    if (capacity == c->in_capacity)
        return true;
    unsigned char *moved = realloc(c->in, capacity);
    if (!moved)
        return false;
    c->in = moved;
    c->in_capacity = capacity;
    return true;
}

/* The next callback may run before this returns: the caller touches nothing after it. */
static void start_receive(fw_connection *c)
{
    nng_duration limit = NNG_DURATION_INFINITE;
    if (!is_known(c)) {
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

/* => false: this is no SP peer of the right kind. */
static bool greet(fw_connection *c)
{
    size_t len = c->in_end - c->in_at;
    if (!fw_sp_handshake_may_become(c->in + c->in_at, len))
        return false;
    if (len < FW_SP_HANDSHAKE_BYTES)
        return true;
    int protocol = fw_sp_handshake_read(c->in + c->in_at);
    if (protocol < 0 || (unsigned)protocol != fw_sp_peer_of(c->port->protocol))
        return false;
    c->in_at += FW_SP_HANDSHAKE_BYTES;
    c->greeted = true;
    if (c->port->ready)
        c->port->ready(c->port, c);
    return true;
}

/* Uses what the buffer holds, once. => bytes used, or -1: closed. */
static ssize_t digest(fw_connection *c)
{
    if (!c->greeted && !greet(c)) {
        fw_connection_close(c, FW_CLOSED_BY_HANDSHAKE);
        return -1;
    }
    if (!c->greeted || c->in_at == c->in_end)
        return 0;
    ssize_t used = c->port->deliver(c->port, c, c->in + c->in_at, c->in_end - c->in_at);
    if (used < 0) {
        fw_connection_close(c, FW_CLOSED_BY_PROTOCOL);
        return -1;
    }
    FW_ASSERT((size_t)used <= c->in_end - c->in_at);
    c->in_at += (size_t)used;
    return used;
}

/* => true: the reading is over for now; whoever makes room takes it up again. */
static bool pause_reading(fw_connection *c)
{
    /* [connection-pause] seq_cst: see pause-note. */
    fw_store_seq_cst(&c->reading, FW_READING_PAUSED);
    return !fw_connection_take_up(c);
}

/* What was left because the connection was choked is taken up here as soon as it no longer is; what
 * is left at last is the beginning of a message. => false: closed, or the reading pauses. */
static bool digest_all(fw_connection *c)
{
    for (;;) {
        ssize_t used = digest(c);
        if (used < 0)
            return false;
        if (fw_connection_is_choked(c)) {
            if (pause_reading(c))
                return false;
        } else if (used == 0) {
            return true;
        }
    }
}

/* So many bytes are there. => false: no memory. */
static bool take_in(fw_connection *c, size_t count)
{
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&c->exchange->traffic.bytes_in, count);
    if (c->tls)
        return fw_connection_tls_feed(c->tls, count);
    FW_ASSERT(count <= c->in_capacity - c->in_end);
    c->in_end += count;
    return true;
}

static void on_received(void *argument)
{
    fw_connection *c = argument;
    int failure = nng_aio_result(c->receive);
    /* Relaxed: see free-note; a stale false only costs a call that fails. */
    if (fw_load_relaxed(&c->closed))
        return;
    /* An expiry that came late, from an earlier receive, is none. */
    bool late = failure == NNG_ETIMEDOUT && (is_known(c) || fw_now_ns() < c->handshake_until_ns);
    if (failure != 0 && !late) {
        fw_connection_close(c, is_known(c) ? FW_CLOSED_BY_PEER : FW_CLOSED_BY_HANDSHAKE);
        return;
    }
    bool good = take_in(c, failure == 0 ? nng_aio_count(c->receive) : 0);
    for (int more = 1; good && more > 0;) {
        more = c->tls ? fw_connection_tls_fill(c) : 0;
        if (more < 0 || !digest_all(c))
            return;
        good = make_room(c);
    }
    if (good)
        start_receive(c);
    else
        fw_connection_close(c, FW_CLOSED_BY_US);
}

/* ---- Sending ---- */

void fw_connection_post(fw_connection *c, fw_parcel *parcel)
{
    uint32_t answers = parcel->answers;
    /* [connection-pause] seq_cst: counted before it can be sent. */
    fw_add_seq_cst(&c->posted_bytes, parcel->len);
    if (fw_outbox_post(&c->outbox, parcel))
        transmit(c);
    if (answers > 0)
        fw_connection_forgive(c, answers);
}

void fw_connection_post_chain(fw_connection *c, fw_parcel *newest, fw_parcel *oldest, size_t bytes)
{
    /* [connection-pause] seq_cst: counted before it can be sent. */
    fw_add_seq_cst(&c->posted_bytes, bytes);
    if (fw_outbox_post_chain(&c->outbox, newest, oldest))
        transmit(c);
}

/* The sender's. The next callback may run before this returns. */
static void transmit(fw_connection *c)
{
    if (c->tls) {
        fw_connection_tls_transmit(c);
        return;
    }
    if (!c->sending) {
        fw_parcel *posted = fw_outbox_collect(&c->outbox);
        if (!posted)
            return; /* and the duty has ended: what is the sender's may be another's by now */
        c->sending = posted;
    }
    nng_iov parts[IOVECS];
    unsigned count = 0;
    for (fw_parcel *p = c->sending; p && count < IOVECS; p = p->next)
        parts[count++] = (nng_iov){p->bytes + p->sent, p->len - p->sent};
    FW_ASSERT(nng_aio_set_iov(c->send, count, parts) == 0);
    nng_stream_send(c->stream, c->send);
}

/* Takes n bytes off what is being sent. */
static void mark_sent(fw_connection *c, size_t n)
{
    fw_traffic *traffic = &c->exchange->traffic;
    /* Relaxed: figures to be shown. */
    fw_add_relaxed(&traffic->bytes_out, n);
    while (n > 0) {
        fw_parcel *first = c->sending;
        FW_ASSERT(first != NULL);
        size_t part = first->len - first->sent < n ? first->len - first->sent : n;
        first->sent += part;
        n -= part;
        if (first->sent < first->len)
            break;
        c->sending = first->next;
        fw_add_relaxed(&traffic->messages_out, first->messages);
        fw_parcel_destroy(first);
    }
}

static void on_sent(void *argument)
{
    fw_connection *c = argument;
    int failure = nng_aio_result(c->send);
    size_t count = failure == 0 ? nng_aio_count(c->send) : 0;
    if (c->tls)
        count = fw_connection_tls_sent(c->tls, count);
    mark_sent(c, count);
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

/* ---- Life ---- */

void fw_connection_peer(const fw_connection *c, char out[FW_PEER_MAX])
{
    fw_peer_describe(out, c->stream);
}

static void report(fw_connection *c, fw_closed_by why)
{
    static const char *const reasons[] = {
        [FW_CLOSED_BY_HANDSHAKE] = "it is no SP peer of the right kind, or was silent",
        [FW_CLOSED_BY_PROTOCOL] = "it broke the rules of its protocol, or a limit",
        [FW_CLOSED_BY_STALL] = "it did not read its answers"};
    fw_traffic *traffic = &c->exchange->traffic;
    /* Relaxed: figures to be shown. */
    if (why == FW_CLOSED_BY_HANDSHAKE)
        fw_add_relaxed(&traffic->handshakes_failed, 1);
    else if (why == FW_CLOSED_BY_PROTOCOL)
        fw_add_relaxed(&traffic->closed_protocol, 1);
    else if (why == FW_CLOSED_BY_STALL)
        fw_add_relaxed(&traffic->closed_stalled, 1);
    else
        return;
    if (!fw_log_enabled(FW_LOG_WARN))
        return;
    char peer[FW_PEER_MAX];
    char error[FW_TLS_ERROR_MAX] = "";
    if (c->tls)
        fw_connection_tls_error(c->tls, error);
    fw_connection_peer(c, peer);
    fw_log(FW_LOG_WARN, "net.closed", "closed the connection of %s: %s", peer,
           error[0] ? error : reasons[why]);
}

void fw_connection_close(fw_connection *c, fw_closed_by why)
{
    bool expected = false;
    /* [connection-pause] seq_cst: decides who closes; who follows us looks at it (pause-note). */
    if (!fw_cas_seq_cst(&c->closed, &expected, true))
        return;
    report(c, why);
    fw_exchange_withdraw(c->exchange, c->number);
    fw_connection_resume_follower(c);
    nng_stream_close(c->stream);
    fw_reaper_take(c->exchange, c);
}

/* NNG's default is to let the kernel delay small writes; the listener has to change it. */
static inline bool is_prompt(nng_stream *stream)
{
    bool prompt = false;
    return nng_stream_get_bool(stream, NNG_OPT_TCP_NODELAY, &prompt) == 0 && prompt;
}

static bool post_handshake(fw_connection *c)
{
    fw_parcel *parcel = fw_parcel_create(&c->exchange->parcels, FW_SP_HANDSHAKE_BYTES);
    if (!parcel)
        return false;
    fw_sp_handshake_write(parcel->bytes, c->port->protocol);
    parcel->len = FW_SP_HANDSHAKE_BYTES;
    fw_connection_post(c, parcel);
    return true;
}

static fw_connection *create(const fw_port *port, nng_stream *stream, uint64_t number)
{
    fw_connection *c = aligned_alloc(FW_APART, sizeof *c);
    if (!c)
        return NULL;
    *c = (fw_connection){.port = port, .exchange = port->exchange, .number = number};
    c->in = malloc(BUFFER_FIRST);
    c->in_capacity = BUFFER_FIRST;
    if (port->tls)
        c->tls = fw_connection_tls_create(port);
    if (!c->in || (port->tls && !c->tls) || nng_aio_alloc(&c->receive, on_received, c) != 0 ||
        nng_aio_alloc(&c->send, on_sent, c) != 0) {
        nng_aio_free(c->receive);
        fw_connection_tls_destroy(c->tls);
        free(c->in);
        free(c);
        return NULL;
    }
    const fw_limits *limits = &port->exchange->limits;
    c->stream = stream;
    c->moved_ns = fw_now_ns();
    c->handshake_until_ns = c->moved_ns + limits->handshake_ns;
    nng_aio_set_timeout(c->send, (nng_duration)(limits->stalled_ns / FW_NS_PER_MS));
    fw_outbox_init(&c->outbox);
    fw_detours_init(&c->detours);
    return c;
}

int fw_connection_open(uint64_t *out, const fw_port *port, nng_stream *stream)
{
    fw_exchange *exchange = port->exchange;
    uint64_t number = fw_exchange_reserve(exchange, port->role);
    if (number == 0) {
        nng_stream_free(stream);
        return -FW_EFULL;
    }
    fw_connection *c = create(port, stream, number);
    if (!c) {
        fw_exchange_release(exchange, number);
        nng_stream_free(stream);
        return -FW_ENOMEM;
    }
    FW_DEBUG_ASSERT(is_prompt(stream));
    if (out)
        *out = number;
    /* The read section keeps the connection while the first send may already fail. */
    fw_rcu_read_lock();
    fw_exchange_publish(exchange, number, c);
    if (post_handshake(c))
        start_receive(c);
    else
        fw_connection_close(c, FW_CLOSED_BY_US);
    fw_rcu_read_unlock();
    return 0;
}

fw_detours *fw_connection_detours(fw_connection *c)
{
    return &c->detours;
}

fw_connection **fw_connection_link(fw_connection *c)
{
    return &c->link;
}

void fw_connection_quiesce(fw_connection *c)
{
    nng_aio_stop(c->receive);
    nng_aio_stop(c->send);
    if (c->port->gone)
        c->port->gone(c->port, c);
}

void fw_connection_destroy(fw_connection *c)
{
    nng_aio_free(c->receive);
    nng_aio_free(c->send);
    nng_stream_free(c->stream);
    while (c->sending) {
        fw_parcel *next = c->sending->next;
        fw_parcel_destroy(c->sending);
        c->sending = next;
    }
    fw_outbox_fini(&c->outbox);
    fw_detours_fini(&c->detours);
    fw_connection_tls_destroy(c->tls);
    free(c->in);
    fw_exchange_release(c->exchange, c->number);
    free(c);
}
