/* net/client_stream.c: handshakes, messages in pieces, and input that stays while it is held.
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/client_stream.h"
#include "net/sp.h"

enum { MESSAGE_MAX = 1024 * 1024 };

typedef struct pair {
    int listener, other; /* the other end */
    fw_stream stream;
    fw_endpoint endpoint;
} pair;

static void pair_open(pair *p, unsigned protocol)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(p->listener, 4), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    p->endpoint = (fw_endpoint){.tls = false};
    memcpy(&p->endpoint.socket, &at, sizeof(at));
    p->endpoint.len = sizeof(at);
    fw_stream_init(&p->stream, protocol, MESSAGE_MAX);
    assert_int_equal(fw_stream_connect(&p->stream, &p->endpoint), 0);
    p->other = accept(p->listener, NULL, NULL);
    assert_true(p->other >= 0);
}

static void pair_close(pair *p)
{
    fw_stream_close(&p->stream);
    close(p->other);
    close(p->listener);
}

static void give(const pair *p, const void *bytes, size_t len)
{
    assert_int_equal(send(p->other, bytes, len, MSG_NOSIGNAL), len);
}

/* Waits for bytes, so that the next fill finds some. */
static void await_bytes(const pair *p)
{
    struct pollfd ready = {.fd = p->stream.fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
}

static void greet(pair *p, unsigned protocol)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    fw_sp_handshake_write(hello, protocol);
    give(p, hello, sizeof(hello));
    while (p->stream.state != FW_STREAM_READY) {
        struct pollfd ready = {.fd = p->stream.fd, .events = fw_stream_wants(&p->stream)};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        assert_int_equal(fw_stream_advance(&p->stream), 0);
    }
}

static void shakes_hands(void **state)
{
    (void)state;
    pair p;
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    pair_open(&p, FW_SP_REQ0);
    greet(&p, FW_SP_REP0);
    assert_int_equal(recv(p.other, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
    assert_int_equal(fw_sp_handshake_read(hello), FW_SP_REQ0);
    assert_int_equal(fw_stream_unconfirmed(&p.stream), 0);
    pair_close(&p);
}

static void refuses_strangers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } strangers[] = {{"HTTP/1.1", 8}, {"\0SP\0\0\x70\0\0", 8}, {"x", 1}, {"\0SP\0\0\x31\0\x01", 8}};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        pair p;
        int rc = 0;
        pair_open(&p, FW_SP_REQ0);
        give(&p, strangers[i].bytes, strangers[i].len);
        while (rc == 0) {
            struct pollfd ready = {.fd = p.stream.fd, .events = fw_stream_wants(&p.stream)};
            assert_int_equal(poll(&ready, 1, 10000), 1);
            rc = fw_stream_advance(&p.stream);
        }
        assert_int_equal(rc, -FW_EPROTO);
        assert_int_equal(p.stream.state, FW_STREAM_CLOSED);
        assert_true(p.stream.error[0] != '\0');
        pair_close(&p);
    }
}

static void refused_connections_are_told(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, FW_SP_REQ0);
    pair_close(&p);
    int rc = fw_stream_connect(&p.stream, &p.endpoint);
    while (rc == 0) {
        struct pollfd ready = {.fd = p.stream.fd, .events = fw_stream_wants(&p.stream)};
        poll(&ready, 1, 10000);
        rc = fw_stream_advance(&p.stream);
    }
    assert_int_equal(rc, -FW_ENOCONN);
    assert_string_equal(p.stream.error, "connection refused");
}

static void give_message(const pair *p, const char *text, size_t len)
{
    unsigned char length[FW_SP_LENGTH_BYTES];
    fw_sp_length_write(length, len);
    give(p, length, sizeof(length));
    give(p, text, len);
}

static void takes_messages_in_pieces(void **state)
{
    (void)state;
    pair p;
    fw_span message;
    unsigned char bytes[FW_SP_LENGTH_BYTES + 5];
    pair_open(&p, FW_SP_REQ0);
    greet(&p, FW_SP_REP0);
    fw_sp_length_write(bytes, 5);
    memcpy(bytes + FW_SP_LENGTH_BYTES, "hello", 5);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(fw_stream_next(&p.stream, &message), FW_STREAM_NONE);
        give(&p, bytes + i, 1);
        await_bytes(&p);
        assert_int_equal(fw_stream_fill(&p.stream), 1);
    }
    assert_int_equal(fw_stream_next(&p.stream, &message), FW_STREAM_MESSAGE);
    assert_int_equal(message.len, 5);
    assert_memory_equal(message.ptr, "hello", 5);
    assert_int_equal(fw_stream_fill(&p.stream), 0);
    pair_close(&p);
}

static fw_span next_message(pair *p)
{
    fw_span message;
    while (fw_stream_next(&p->stream, &message) != FW_STREAM_MESSAGE) {
        await_bytes(p);
        assert_int_equal(fw_stream_fill(&p->stream), 1);
    }
    return message;
}

static void keeps_what_is_held(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, FW_SP_REQ0);
    greet(&p, FW_SP_REP0);
    give_message(&p, "first", 5);
    fw_span first = next_message(&p);
    fw_chunk *held = p.stream.in;
    fw_chunk_hold(held);
    /* Much more than a chunk, and a message that is larger than one. */
    char *large = malloc(300000);
    memset(large, 'x', 300000);
    for (int i = 0; i < 20; i++) {
        give_message(&p, large, 20000);
        assert_int_equal(next_message(&p).len, 20000);
    }
    for (size_t sent = 0; sent < 1; sent++) {
        unsigned char length[FW_SP_LENGTH_BYTES];
        fw_sp_length_write(length, 300000);
        give(&p, length, sizeof(length));
        for (size_t at = 0; at < 300000; at += 50000) {
            give(&p, large + at, 50000);
            await_bytes(&p);
            assert_int_equal(fw_stream_fill(&p.stream), 1);
        }
    }
    fw_span big = next_message(&p);
    assert_int_equal(big.len, 300000);
    assert_memory_equal(big.ptr, large, 300000);
    fw_stream_close(&p.stream);
    assert_memory_equal(first.ptr, "first", 5);
    fw_chunk_drop(held);
    free(large);
    pair_close(&p);
}

static void stops_at_too_large_messages(void **state)
{
    (void)state;
    pair p;
    fw_span message;
    unsigned char length[FW_SP_LENGTH_BYTES];
    pair_open(&p, FW_SP_REQ0);
    greet(&p, FW_SP_REP0);
    fw_sp_length_write(length, UINT64_MAX);
    give(&p, length, sizeof(length));
    await_bytes(&p);
    assert_int_equal(fw_stream_fill(&p.stream), 1);
    assert_int_equal(fw_stream_next(&p.stream, &message), FW_STREAM_BAD);
    assert_true(fw_stream_fill(&p.stream) < 0);
    pair_close(&p);
}

static void keeps_the_last_words_of_a_peer(void **state)
{
    (void)state;
    pair p;
    fw_span message;
    int rc;
    pair_open(&p, FW_SP_REQ0);
    greet(&p, FW_SP_REP0);
    give_message(&p, "bye", 3);
    shutdown(p.other, SHUT_WR);
    do {
        await_bytes(&p);
        rc = fw_stream_fill(&p.stream);
    } while (rc >= 0);
    assert_int_equal(rc, -FW_ENOCONN);
    assert_int_equal(fw_stream_next(&p.stream, &message), FW_STREAM_MESSAGE);
    assert_memory_equal(message.ptr, "bye", 3);
    assert_int_equal(fw_stream_fill(&p.stream), -FW_ENOCONN);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shakes_hands),
        cmocka_unit_test(refuses_strangers),
        cmocka_unit_test(refused_connections_are_told),
        cmocka_unit_test(takes_messages_in_pieces),
        cmocka_unit_test(keeps_what_is_held),
        cmocka_unit_test(stops_at_too_large_messages),
        cmocka_unit_test(keeps_the_last_words_of_a_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
