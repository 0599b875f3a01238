/* net/connection.c - see net/connection.h.
 *
 * What moves the bytes is a socket that a loop watches (net/connection_socket.c: who has dialed us)
 * or a stream of NNG's (net/connection_stream.c: whom we have dialed). What is here is the same for
 * both. SPDX-License-Identifier: Apache-2.0 */
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
        256 * 1024 /* grown to by reads that fill the buffer; beyond only for one message */
};

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
    return c->mover->is_local(c);
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

bool fw_connection_is_known(const fw_connection *c)
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

bool fw_connection_arrived(fw_connection *c, size_t count)
{
    bool good = take_in(c, count);
    for (int more = 1; good && more > 0;) {
        more = c->tls ? fw_connection_tls_fill(c) : 0;
        if (more < 0 || !digest_all(c))
            return false;
        good = make_room(c);
    }
    if (!good)
        fw_connection_close(c, FW_CLOSED_BY_US);
    return good;
}

/* ---- Sending ---- */

void fw_connection_post(fw_connection *c, fw_parcel *parcel)
{
    uint32_t answers = parcel->answers;
    /* [connection-pause] seq_cst: counted before it can be sent. */
    fw_add_seq_cst(&c->posted_bytes, parcel->len);
    if (fw_outbox_post(&c->outbox, parcel))
        fw_connection_transmit(c);
    if (answers > 0)
        fw_connection_forgive(c, answers);
}

void fw_connection_post_chain(fw_connection *c, fw_parcel *newest, fw_parcel *oldest, size_t bytes)
{
    /* [connection-pause] seq_cst: counted before it can be sent. */
    fw_add_seq_cst(&c->posted_bytes, bytes);
    if (fw_outbox_post_chain(&c->outbox, newest, oldest))
        fw_connection_transmit(c);
}

void fw_connection_transmit(fw_connection *c)
{
    c->mover->transmit(c);
}

void fw_connection_mark_sent(fw_connection *c, size_t n)
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

/* ---- Life ---- */

void fw_connection_peer(const fw_connection *c, char out[FW_PEER_MAX])
{
    c->mover->describe(c, out);
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
    c->mover->shut(c);
    fw_reaper_take(c->exchange, c);
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

static void free_parts(fw_connection *c)
{
    fw_connection_tls_destroy(c->tls);
    free(c->in);
    free(c);
}

static fw_connection *create(const fw_port *port, const fw_mover *mover, fw_handle handle,
                             uint64_t number)
{
    fw_connection *c = aligned_alloc(FW_APART, sizeof *c);
    if (!c)
        return NULL;
    *c =
        (fw_connection){.port = port, .exchange = port->exchange, .number = number, .mover = mover};
    c->in = malloc(BUFFER_FIRST);
    c->in_capacity = BUFFER_FIRST;
    c->moved_ns = fw_now_ns();
    c->handshake_until_ns = c->moved_ns + port->exchange->limits.handshake_ns;
    if (port->tls)
        c->tls = fw_connection_tls_create(port);
    if (!c->in || (port->tls && !c->tls) || !mover->take(c, handle)) {
        free_parts(c);
        return NULL;
    }
    fw_outbox_init(&c->outbox);
    fw_detours_init(&c->detours);
    return c;
}

int fw_connection_create(uint64_t *out, const fw_port *port, const fw_mover *mover,
                         fw_handle handle)
{
    fw_exchange *exchange = port->exchange;
    uint64_t number = fw_exchange_reserve(exchange, port->role);
    if (number == 0)
        return -FW_EFULL;
    fw_connection *c = create(port, mover, handle, number);
    if (!c) {
        fw_exchange_release(exchange, number);
        return -FW_ENOMEM;
    }
    if (out)
        *out = number;
    /* The read section keeps the connection while the first send may already fail. */
    fw_rcu_read_lock();
    fw_exchange_publish(exchange, number, c);
    if (!post_handshake(c))
        fw_connection_close(c, FW_CLOSED_BY_US);
    mover->start(c);
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
    c->mover->quiesce(c);
    if (c->port->gone)
        c->port->gone(c->port, c);
}

void fw_connection_destroy(fw_connection *c)
{
    c->mover->release(c);
    while (c->sending) {
        fw_parcel *next = c->sending->next;
        fw_parcel_destroy(c->sending);
        c->sending = next;
    }
    fw_outbox_fini(&c->outbox);
    fw_detours_fini(&c->detours);
    fw_exchange_release(c->exchange, c->number);
    free_parts(c);
}
