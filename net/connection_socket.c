/* net/connection_socket.c - a connection over a socket that a loop watches: those who dial us.
 *
 * Reading is the loop's; who takes it up again only kicks. Sending is whoever's has the duty, at
 * once and on his own thread. When the kernel takes no more, the duty is left to the loop (`stuck`,
 * then a kick), which waits for room and keeps the time. A duty that is left comes back to nobody
 * before the loop has sent everything. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/connection_state.h"

enum {
    IOVECS = 64,
    READS = 4 /* in one turn */
};

static fw_connection *of(fw_polled *polled)
{
    return (fw_connection *)(void *)((char *)polled - offsetof(fw_connection, polled));
}

static bool is_closed(fw_connection *c)
{
    /* Relaxed: a stale false only costs a call that fails. */
    return fw_load_relaxed(&c->closed);
}

/* ---- Sending ---- */

/* => what is to be sent now; 0: nothing, and the duty has ended or is the reader's. */
static size_t gather(fw_connection *c, struct iovec parts[IOVECS])
{
    size_t count = 0;
    if (c->tls) {
        fw_span part = fw_connection_tls_next(c);
        union {
            const char *from;
            void *to;
        } bytes = {.from = part.ptr}; /* they are only read */
        parts[0] = (struct iovec){bytes.to, part.len};
        return part.len > 0;
    }
    if (!c->sending) {
        fw_parcel *posted = fw_outbox_collect(&c->outbox);
        if (!posted)
            return 0; /* what is the sender's may be another's by now */
        c->sending = posted;
    }
    for (fw_parcel *p = c->sending; p && count < IOVECS; p = p->next)
        parts[count++] = (struct iovec){p->bytes + p->sent, p->len - p->sent};
    return count;
}

static void left(fw_connection *c, size_t count)
{
    if (c->tls)
        count = fw_connection_tls_sent(c->tls, count);
    fw_connection_mark_sent(c, count);
    /* [connection-pause] seq_cst: see pause-note. */
    fw_add_seq_cst(&c->sent_bytes, count);
}

/* => true: all is sent, or will be on another thread. False: the kernel takes no more, and the duty
 * is still the caller's. */
static bool send_all(fw_connection *c)
{
    struct iovec parts[IOVECS];
    size_t count;
    while ((count = gather(c, parts)) > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(c->polled.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            left(c, (size_t)n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        } else if (errno != EINTR) {
            fw_connection_close(c, FW_CLOSED_BY_PEER);
            return true; /* with the duty: nobody sends any more */
        }
    }
    return true;
}

static void transmit(fw_connection *c)
{
    if (!send_all(c)) {
        c->moved_ns = fw_now_ns();
        /* [connection-stuck] release: the sender's state, to the loop. */
        fw_store_release(&c->stuck, true);
        fw_loop_kick(&c->polled);
    }
    fw_connection_resume(c);
    fw_connection_resume_follower(c);
}

/* The loop's thread has the duty, and the kernel may take something. */
static void go_on_sending(fw_connection *c)
{
    uint64_t before = fw_load_relaxed(&c->sent_bytes); /* relaxed: ours */
    bool done = send_all(c);
    if (fw_load_relaxed(&c->sent_bytes) != before)
        c->moved_ns = fw_now_ns();
    c->waits = !done;
    fw_connection_resume(c);
    fw_connection_resume_follower(c);
}

static void take_duty(fw_connection *c)
{
    /* [connection-stuck] acquire: the sender's state. */
    if (!fw_load_acquire(&c->stuck))
        return;
    /* Relaxed: nobody else is the sender. */
    fw_store_relaxed(&c->stuck, false);
    c->waits = true;
    if (!fw_loop_await_room(&c->polled))
        fw_connection_close(c, FW_CLOSED_BY_US);
}

/* ---- Reading ---- */

/* => false: there is nothing more now, or it is over. */
static bool read_once(fw_connection *c)
{
    fw_span room = {(char *)c->in + c->in_end, c->in_capacity - c->in_end};
    unsigned char *to = c->in + c->in_end;
    if (c->tls) {
        nng_iov other = fw_connection_tls_room(c->tls);
        to = other.iov_buf;
        room.len = other.iov_len;
    }
    FW_ASSERT(room.len > 0);
    ssize_t n = recv(c->polled.fd, to, room.len, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
        return true;
    c->more = n > 0 && ((size_t)n == room.len || c->hung);
    if (n > 0) {
        /* What is left in the buffer is digested when reading is taken up again. */
        c->halted = !fw_connection_arrived(c, (size_t)n);
        return c->more && !c->halted;
    }
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        fw_connection_close(c,
                            fw_connection_is_known(c) ? FW_CLOSED_BY_PEER : FW_CLOSED_BY_HANDSHAKE);
    return false;
}

/* Somebody has taken up the reading again. => false: it pauses. */
static bool is_going_on(fw_connection *c)
{
    /* [connection-pause] seq_cst: see pause-note. */
    if (!c->halted || fw_load_seq_cst(&c->reading) == FW_READING_PAUSED)
        return !c->halted;
    c->halted = !fw_connection_arrived(c, 0);
    return !c->halted;
}

/* ---- The turn ---- */

static void look_at_clock(fw_connection *c)
{
    int64_t now = fw_now_ns(), stalled_ns = c->exchange->limits.stalled_ns;
    if (!fw_connection_is_known(c) && now >= c->handshake_until_ns) {
        fw_connection_close(c, FW_CLOSED_BY_HANDSHAKE);
    } else if (c->waits && now - c->moved_ns >= stalled_ns) {
        if (c->port->patient && c->port->patient(c->port, c))
            c->moved_ns = now;
        else
            fw_connection_close(c, FW_CLOSED_BY_STALL);
    }
}

static void set_clock(fw_connection *c)
{
    int64_t at = c->waits ? c->moved_ns + c->exchange->limits.stalled_ns : 0;
    if (!fw_connection_is_known(c) && (at == 0 || c->handshake_until_ns < at))
        at = c->handshake_until_ns;
    c->polled.late_ns = at;
}

static bool turn(fw_polled *polled, unsigned why)
{
    fw_connection *c = of(polled);
    if (is_closed(c))
        return false;
    if (why & FW_TURN_READ)
        c->more = true;
    if (why & FW_TURN_HANGUP)
        c->hung = true;
    if (why & FW_TURN_KICK)
        take_duty(c);
    if ((why & FW_TURN_WRITE) && c->waits)
        go_on_sending(c);
    if (why & FW_TURN_LATE)
        look_at_clock(c);
    bool going = is_going_on(c);
    for (int i = 0; going && c->more && i < READS && !is_closed(c); i++)
        going = read_once(c);
    /* Nobody will read, and nobody will be read. */
    if ((why & FW_TURN_FAILED) && c->halted)
        fw_connection_close(c, FW_CLOSED_BY_PEER);
    set_clock(c);
    return c->more && !c->halted && !is_closed(c);
}

/* ---- The mover ---- */

static bool take(fw_connection *c, fw_handle handle)
{
    c->polled.loop = fw_exchange_loop(c->exchange, c->number);
    c->polled.fd = handle.fd;
    c->polled.turn = turn;
    c->polled.late_ns = c->handshake_until_ns;
    return true;
}

static void start(fw_connection *c)
{
    fw_loop_join(&c->polled);
}

static void resume(fw_connection *c)
{
    fw_loop_kick(&c->polled);
}

static void shut(fw_connection *c)
{
    shutdown(c->polled.fd, SHUT_RDWR);
}

static void quiesce(fw_connection *c)
{
    fw_loop_leave(&c->polled);
    fw_loop_await(&c->polled);
}

static void release(fw_connection *c)
{
    close(c->polled.fd);
}

static void describe(const fw_connection *c, char out[FW_PEER_MAX])
{
    fw_peer_name(out, c->polled.fd);
}

static bool is_local(const fw_connection *c)
{
    return fw_peer_is_near(c->polled.fd);
}

static const fw_mover sockets = {
    .take = take,
    .start = start,
    .resume = resume,
    .transmit = transmit,
    .shut = shut,
    .quiesce = quiesce,
    .release = release,
    .describe = describe,
    .is_local = is_local,
};

int fw_connection_open_socket(const fw_port *port, int fd)
{
    int err = fw_connection_create(NULL, port, &sockets, (fw_handle){.fd = fd});
    if (err < 0)
        close(fd);
    return err;
}
