/* tests/net/tls_peer.h - a peer that speaks TLS over a blocking socket.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_TLS_PEER_H
#define FW_TESTS_NET_TLS_PEER_H

#include "net/tls.h"
#include "peers.h"

typedef struct tls_peer {
    int fd;
    fw_tls_session *session;
} tls_peer;

/* Sends what the session has to say. False: the other side is gone. */
static inline bool tls_peer_flush(tls_peer *p)
{
    char bytes[16384];
    size_t n;
    while ((n = fw_tls_session_take(p->session, bytes, sizeof bytes)) > 0) {
        for (size_t at = 0; at < n;) {
            ssize_t sent = send(p->fd, bytes + at, n - at, MSG_NOSIGNAL);
            if (sent <= 0)
                return false;
            at += (size_t)sent;
        }
    }
    return true;
}

/* One read of the socket. False: it ended. */
static inline bool tls_peer_feed(tls_peer *p)
{
    char bytes[16384];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    return n > 0 && fw_tls_session_feed(p->session, bytes, (size_t)n);
}

/* Connected, not greeted. */
static inline tls_peer tls_peer_dial(const fw_tls *tls, unsigned port, const char *host)
{
    tls_peer p = {.fd = peer_dial(port), .session = fw_tls_session_create(tls, host)};
    assert_non_null(p.session);
    return p;
}

/* False: the error of the session, or the end of the connection, came instead. */
static inline bool tls_peer_greet(tls_peer *p)
{
    for (;;) {
        int done = fw_tls_session_greet(p->session);
        bool sent = tls_peer_flush(p);
        if (done != 0)
            return done > 0 && sent;
        if (!tls_peer_feed(p))
            return false;
    }
}

static inline void tls_peer_send(tls_peer *p, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = fw_tls_session_write(p->session, at, len);
        if (n <= 0)
            fail_msg("send: %s", fw_tls_session_error(p->session));
        at += n;
        len -= (size_t)n;
        assert_true(tls_peer_flush(p));
    }
}

/* False: the connection ended, or the session failed. */
static inline bool tls_peer_try_receive(tls_peer *p, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t n = fw_tls_session_read(p->session, at, len);
        if (n < 0 || (n == 0 && !tls_peer_feed(p)))
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline void tls_peer_receive(tls_peer *p, void *bytes, size_t len)
{
    if (!tls_peer_try_receive(p, bytes, len))
        fail_msg("receive: the other side closed, or: %s", fw_tls_session_error(p->session));
}

static inline void tls_peer_shake(tls_peer *p, unsigned own, unsigned expected)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    if (!tls_peer_greet(p))
        fail_msg("greet: %s", fw_tls_session_error(p->session));
    fw_sp_handshake_write(hello, own);
    tls_peer_send(p, hello, sizeof hello);
    tls_peer_receive(p, hello, sizeof hello);
    assert_int_equal(fw_sp_handshake_read(hello), expected);
}

static inline tls_peer tls_peer_dial_req(const fw_tls *tls, unsigned port)
{
    tls_peer p = tls_peer_dial(tls, port, "localhost");
    tls_peer_shake(&p, FW_SP_REQ0, FW_SP_REP0);
    return p;
}

static inline void tls_peer_ask(tls_peer *p, uint32_t id, const void *body, size_t len)
{
    unsigned char *message = malloc(16 + len);
    assert_non_null(message);
    size_t size = peer_request(message, &id, 1, body, len);
    tls_peer_send(p, message, size);
    free(message);
}

/* Its id; the body, of len bytes, goes to out. */
static inline uint32_t tls_peer_answer(tls_peer *p, void *out, size_t len)
{
    unsigned char head[FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES];
    tls_peer_receive(p, head, sizeof head);
    assert_int_equal(fw_sp_word_read(head + 4), len + FW_SP_WORD_BYTES);
    tls_peer_receive(p, out, len);
    return fw_sp_word_read(head + FW_SP_LENGTH_BYTES) & ~FW_SP_REQUEST_BIT;
}

static inline void tls_peer_close(tls_peer *p)
{
    close(p->fd);
    fw_tls_session_destroy(p->session);
}

#endif
