/* tests/net/peers.h - peers made of plain sockets, for the tests of the network room.
 *
 * Everything blocks, for ten seconds at most; what does not come in time fails the test.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_PEERS_H
#define FW_TESTS_NET_PEERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/sp.h"

enum { PEER_WAIT_S = 10 };

/* A connected socket to 127.0.0.1. */
static inline int peer_dial(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = PEER_WAIT_S};
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void peer_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            fail_msg("send: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
}

static inline void peer_receive(int fd, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);
        if (n <= 0)
            fail_msg("receive: %s", n == 0 ? "the other side closed" : strerror(errno));
        at += n;
        len -= (size_t)n;
    }
}

/* The other side closes, after whatever it still had to say. */
static inline void peer_expect_end(int fd)
{
    char ignored[4096];
    ssize_t n;
    do
        n = recv(fd, ignored, sizeof ignored, 0);
    while (n > 0);
    if (n < 0 && errno != ECONNRESET && errno != EPIPE)
        fail_msg("expected the other side to close, but: %s", strerror(errno));
}

/* Nothing comes for so many milliseconds: true for sure only if something comes. */
static inline bool peer_is_silent(int fd, int ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, ms) == 0;
}

static inline void peer_handshake(int fd, unsigned own, unsigned expected)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    fw_sp_handshake_write(hello, own);
    peer_send(fd, hello, sizeof hello);
    peer_receive(fd, hello, sizeof hello);
    assert_int_equal(fw_sp_handshake_read(hello), expected);
}

static inline int peer_dial_req(unsigned port)
{
    int fd = peer_dial(port);
    peer_handshake(fd, FW_SP_REQ0, FW_SP_REP0);
    return fd;
}

/* Closes so that the other side gets a reset. */
static inline void peer_reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

/* One SP message of words (the last gets its top bit) and a body; written to out, its length
 * returned. */
static inline size_t peer_request(unsigned char *out, const uint32_t *words, size_t word_count,
                                  const void *body, size_t len)
{
    unsigned char *at = out;
    fw_sp_length_write(at, word_count * FW_SP_WORD_BYTES + len);
    at += FW_SP_LENGTH_BYTES;
    for (size_t i = 0; i < word_count; i++, at += FW_SP_WORD_BYTES)
        fw_sp_word_write(at, words[i] | (i + 1 == word_count ? FW_SP_REQUEST_BIT : 0));
    if (len > 0)
        memcpy(at, body, len);
    return (size_t)(at - out) + len;
}

static inline void peer_ask(int fd, uint32_t id, const void *body, size_t len)
{
    unsigned char *message = malloc(16 + len);
    assert_non_null(message);
    size_t size = peer_request(message, &id, 1, body, len);
    peer_send(fd, message, size);
    free(message);
}

/* One SP message; at most capacity bytes. Its length. */
static inline size_t peer_message(int fd, void *out, size_t capacity)
{
    unsigned char word[FW_SP_LENGTH_BYTES];
    peer_receive(fd, word, sizeof word);
    assert_int_equal(fw_sp_word_read(word), 0);
    size_t len = fw_sp_word_read(word + 4);
    assert_true(len <= capacity);
    peer_receive(fd, out, len);
    return len;
}

/* One answer to a direct request, NUL-ended in out. Its id without the top bit. */
static inline uint32_t peer_answer(int fd, char *out, size_t capacity)
{
    unsigned char word[FW_SP_WORD_BYTES];
    unsigned char *message = malloc(capacity + sizeof word);
    assert_non_null(message);
    size_t len = peer_message(fd, message, capacity + sizeof word - 1);
    assert_true(len >= sizeof word);
    memcpy(word, message, sizeof word);
    memcpy(out, message + sizeof word, len - sizeof word);
    out[len - sizeof word] = 0;
    free(message);
    return fw_sp_word_read(word) & ~FW_SP_REQUEST_BIT;
}

/* Descriptors that this process has open. */
static inline size_t peer_descriptors(void)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    assert_non_null(all);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

/* Looks again and again, ten seconds at most; the looks are far enough apart to let others run. */
static inline bool peer_comes_true(bool (*condition)(void *context), void *context)
{
    int64_t until = fw_now_ns() + PEER_WAIT_S * FW_NS_PER_S;
    while (!condition(context)) {
        if (fw_now_ns() > until)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

#endif
