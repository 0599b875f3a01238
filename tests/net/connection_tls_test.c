/* connection_tls_test.c - net/connection_tls.c, net/pipe.c: a port that speaks TLS, and peers that
 * leave at every stage of it. The port echoes requests. SPDX-License-Identifier: Apache-2.0 */
#include "net/connection_tls.h"

#include "net/egress.h"
#include "net/listener.h"
#include "net/pipe.h"
#include "papers.h"
#include "tls_peer.h"

static papers all;

typedef struct house {
    fw_exchange exchange;
    fw_port port;
    fw_listener *listener;
    fw_tls *client; /* what peers use */
} house;

static ssize_t echo(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                    size_t len)
{
    house *h = port->context;
    size_t used = 0, size;
    while (used < len && !fw_connection_is_choked(connection)) {
        fw_span message;
        fw_sp_request request;
        fw_sp_outcome outcome =
            fw_sp_next(&message, &size, bytes + used, len - used, h->exchange.limits.message_max);
        if (outcome == FW_SP_MORE)
            break;
        if (outcome == FW_SP_TOO_BIG || !fw_sp_request_read(&request, message))
            return -1;
        fw_reply_to reply = {.connection = fw_connection_number(connection),
                             .request = request.id,
                             .form = FW_REPLY_JSON};
        fw_connection_expect(connection, 1);
        fw_gather_message(fw_egress_mine(&h->exchange), &reply, request.body, 1);
        used += size;
    }
    fw_egress_flush(&h->exchange);
    return (ssize_t)used;
}

static const fw_limits usual = {.message_max = 4 << 20,
                                .connections_max = 1000,
                                .open_requests_max = 4096,
                                .unsent_bytes_max = 1 << 20,
                                .stalled_ns = 10 * FW_NS_PER_S,
                                .handshake_ns = 10 * FW_NS_PER_S};

static fw_tls *side_of(const fw_tls_config *config, fw_tls_side side)
{
    char error[256];
    fw_tls *tls = NULL;
    if (fw_tls_create(&tls, error, sizeof error, config, side) != 0)
        fail_msg("%s", error);
    return tls;
}

static house *open_house(const fw_limits *limits, const fw_tls_config *config)
{
    house *h = calloc(1, sizeof *h);
    const char *reason;
    assert_non_null(h);
    assert_int_equal(fw_exchange_init(&h->exchange, limits), 0);
    h->exchange.tls_listens = side_of(config, FW_TLS_LISTENS);
    h->exchange.tls_dials = side_of(&(fw_tls_config){.ca = all.ca}, FW_TLS_DIALS);
    h->client = side_of(&(fw_tls_config){.ca = all.ca}, FW_TLS_DIALS);
    h->port = (fw_port){.exchange = &h->exchange,
                        .context = h,
                        .role = FW_ROLE_TASKS,
                        .protocol = FW_SP_REP0,
                        .tls = h->exchange.tls_listens,
                        .deliver = echo};
    assert_int_equal(fw_listener_create(&h->listener, &reason, &h->port, "tcp://127.0.0.1:0"), 0);
    h->port.bound = fw_listener_bound(h->listener);
    fw_listener_run(h->listener);
    return h;
}

static house *open_usual(void)
{
    return open_house(&usual, &(fw_tls_config){.cert = all.server});
}

static void close_one(void *context, fw_connection *connection)
{
    (void)context;
    fw_connection_close(connection, FW_CLOSED_BY_US);
}

static void close_house(house *h)
{
    fw_listener_destroy(h->listener);
    fw_exchange_each(&h->exchange, close_one, NULL);
    fw_exchange_fini(&h->exchange);
    fw_tls_destroy(h->exchange.tls_listens);
    fw_tls_destroy(h->exchange.tls_dials);
    fw_tls_destroy(h->client);
    free(h);
}

static bool is_empty(void *context)
{
    return fw_exchange_count(&((house *)context)->exchange) == 0;
}

/* It still serves. */
static void ask_once(house *h)
{
    char answer[5];
    tls_peer p = tls_peer_dial_req(h->client, h->port.bound);
    tls_peer_ask(&p, 7, "hello", 5);
    assert_int_equal(tls_peer_answer(&p, answer, 5), 7);
    assert_memory_equal(answer, "hello", 5);
    tls_peer_close(&p);
}

static void messages_of_all_sizes_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 4096, 16383, 16384, 16385, 65536, 300000, 3000000};
    house *h = open_usual();
    char *sent = malloc(3000000), *got = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        sent[i] = (char)(i * 31 + i / 997);
    tls_peer p = tls_peer_dial_req(h->client, h->port.bound);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tls_peer_ask(&p, i, sent, sizes[i]);
        assert_int_equal(tls_peer_answer(&p, got, sizes[i]), i);
        assert_memory_equal(sent, got, sizes[i]);
    }
    tls_peer_close(&p);
    free(sent);
    free(got);
    close_house(h);
}

typedef struct flood {
    tls_peer peer;
    uint32_t count;
    pthread_mutex_t lock; /* of the session */
} flood;

enum { FLOOD_BYTES = 10000 };

static void *pour(void *context)
{
    flood *f = context;
    char body[FLOOD_BYTES], bytes[32768];
    unsigned char message[FLOOD_BYTES + 16];
    memset(body, 'x', sizeof body);
    for (uint32_t i = 0; i < f->count; i++) {
        size_t size = peer_request(message, &i, 1, body, sizeof body);
        for (size_t at = 0; at < size;) {
            pthread_mutex_lock(&f->lock);
            ssize_t n = fw_tls_session_write(f->peer.session, message + at, size - at);
            size_t len = fw_tls_session_take(f->peer.session, bytes, sizeof bytes);
            pthread_mutex_unlock(&f->lock);
            assert_true(n > 0);
            at += (size_t)n;
            peer_send(f->peer.fd, bytes, len);
        }
    }
    return NULL;
}

/* Much is under way in both directions, and the port has to stop reading for a while. */
static void a_flood_comes_back_in_order(void **state)
{
    (void)state;
    house *h = open_usual();
    flood f = {.count = 2000, .lock = PTHREAD_MUTEX_INITIALIZER};
    f.peer = tls_peer_dial_req(h->client, h->port.bound);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pour, &f), 0);
    size_t expected = (size_t)f.count * (FLOOD_BYTES + 12), got = 0;
    char cipher[16384], plain[16384];
    while (got < expected) {
        ssize_t n = recv(f.peer.fd, cipher, sizeof cipher, 0), read;
        assert_true(n > 0);
        pthread_mutex_lock(&f.lock);
        assert_true(fw_tls_session_feed(f.peer.session, cipher, (size_t)n));
        while ((read = fw_tls_session_read(f.peer.session, plain, sizeof plain)) > 0)
            got += (size_t)read;
        assert_int_equal(read, 0);
        pthread_mutex_unlock(&f.lock);
    }
    assert_int_equal(got, expected);
    pthread_join(thread, NULL);
    tls_peer_close(&f.peer);
    close_house(h);
}

enum { STAGES = 10 };

/* Goes as far as the stage says, and leaves. */
static void leave_at(house *h, int stage, bool hard)
{
    tls_peer p = tls_peer_dial(h->client, h->port.bound, "localhost");
    char bytes[16384];
    size_t n = 0;
    if (stage >= 1) {
        assert_int_equal(fw_tls_session_greet(p.session), 0);
        n = fw_tls_session_take(p.session, bytes, sizeof bytes);
    }
    if (stage == 1)
        (void)send(p.fd, bytes, 1, MSG_NOSIGNAL);
    if (stage == 2)
        (void)send(p.fd, bytes, n / 2, MSG_NOSIGNAL);
    if (stage >= 3)
        (void)send(p.fd, bytes, n, MSG_NOSIGNAL);
    if (stage >= 4)
        (void)tls_peer_feed(&p);
    if (stage == 5)
        (void)send(p.fd, "\x16\x03\x03\x40\x00 nonsense", 14, MSG_NOSIGNAL);
    if (stage >= 6 && tls_peer_greet(&p) && stage >= 7) {
        unsigned char hello[FW_SP_HANDSHAKE_BYTES];
        fw_sp_handshake_write(hello, FW_SP_REQ0);
        tls_peer_send(&p, hello, stage == 7 ? 3 : sizeof hello);
    }
    for (uint32_t i = 0; stage >= 9 && i < 20; i++)
        tls_peer_ask(&p, i, bytes, sizeof bytes);
    if (hard)
        peer_reset(p.fd);
    else
        close(p.fd);
    fw_tls_session_destroy(p.session);
}

/* NNG closes them on a thread of its own. */
static bool has_descriptors(void *most)
{
    return peer_descriptors() <= *(size_t *)most;
}

static void peers_leave_at_every_stage(void **state)
{
    (void)state;
    house *h = open_usual();
    ask_once(h);
    assert_true(peer_comes_true(is_empty, h));
    size_t before = peer_descriptors();
    for (int round = 0; round < 10; round++)
        for (int stage = 0; stage < STAGES; stage++)
            leave_at(h, stage, round % 2 == 1);
    ask_once(h);
    assert_true(peer_comes_true(is_empty, h));
    assert_true(peer_comes_true(has_descriptors, &before));
    close_house(h);
}

/* Closed by us while they greet and talk. */
static void a_house_closes_on_all_of_them(void **state)
{
    (void)state;
    house *h = open_usual();
    enum { GUESTS = 100 };
    tls_peer guests[GUESTS];
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = tls_peer_dial(h->client, h->port.bound, "localhost");
        if (i % 2 == 0)
            assert_true(tls_peer_greet(&guests[i]));
        else if (i % 4 == 1)
            assert_int_equal(fw_tls_session_greet(guests[i].session), 0);
        (void)tls_peer_flush(&guests[i]);
    }
    close_house(h);
    for (int i = 0; i < GUESTS; i++) {
        peer_expect_end(guests[i].fd);
        tls_peer_close(&guests[i]);
    }
}

static void silence_has_a_limit(void **state)
{
    (void)state;
    fw_limits hasty = usual;
    hasty.handshake_ns = 50 * FW_NS_PER_MS;
    house *h = open_house(&hasty, &(fw_tls_config){.cert = all.server});
    tls_peer silent = tls_peer_dial(h->client, h->port.bound, "localhost");
    peer_expect_end(silent.fd);
    tls_peer_close(&silent);
    tls_peer greeted = tls_peer_dial(h->client, h->port.bound, "localhost");
    (void)tls_peer_greet(&greeted);
    peer_expect_end(greeted.fd);
    tls_peer_close(&greeted);
    assert_true(peer_comes_true(is_empty, h));
    close_house(h);
}

static void strangers_are_told_why(void **state)
{
    (void)state;
    house *h = open_house(
        &usual, &(fw_tls_config){.cert = all.server, .ca = all.ca, .verify = FW_TLS_VERIFY_MUTUAL});
    char byte;
    /* No certificate: with TLS 1.3 it learns so after its own greeting. */
    tls_peer p = tls_peer_dial(h->client, h->port.bound, "localhost");
    (void)tls_peer_greet(&p);
    assert_false(tls_peer_try_receive(&p, &byte, 1));
    assert_string_equal(fw_tls_session_error(p.session),
                        "a certificate is asked for, and there is none");
    tls_peer_close(&p);
    fw_tls *known = side_of(&(fw_tls_config){.ca = all.ca, .cert = all.client}, FW_TLS_DIALS);
    p = tls_peer_dial_req(known, h->port.bound);
    tls_peer_close(&p);
    fw_tls_destroy(known);
    /* Who speaks no TLS gets an alert (21), not silence. */
    int plain = peer_dial(h->port.bound);
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    fw_sp_handshake_write(hello, FW_SP_REQ0);
    peer_send(plain, hello, sizeof hello);
    peer_receive(plain, &byte, 1);
    assert_int_equal(byte, 21);
    peer_expect_end(plain);
    close(plain);
    assert_true(peer_comes_true(is_empty, h));
    close_house(h);
}

typedef struct outcome {
    fw_atomic(int) ready, closed;
    char why[128];
} outcome;

static void on_ready(void *context, fw_connection *connection)
{
    (void)connection;
    /* [test-pipe] release: nothing but the fact. */
    fw_store_release(&((outcome *)context)->ready, 1);
}

static void on_closed(void *context, const char *why)
{
    outcome *o = context;
    snprintf(o->why, sizeof o->why, "%s", why ? why : "");
    /* [test-pipe-end] release: why. */
    fw_store_release(&o->closed, 1);
}

static bool is_ready(void *context)
{
    /* [test-pipe] acquire: nothing but the fact. */
    return fw_load_acquire(&((outcome *)context)->ready) == 1;
}

static bool is_closed(void *context)
{
    /* [test-pipe-end] acquire: why. */
    return fw_load_acquire(&((outcome *)context)->closed) == 1;
}

static fw_pipe *dial(house *h, const char *host, outcome *o)
{
    char address[64];
    fw_pipe_ops ops = {.ready = on_ready, .closed = on_closed, .context = o};
    snprintf(address, sizeof address, "tls+tcp://%s:%u", host, h->port.bound);
    return fw_pipe_dial(&h->exchange, address, 10 * FW_NS_PER_S, &ops);
}

static void pipes_are_dialed_with_tls(void **state)
{
    (void)state;
    house *h = open_usual();
    h->port.protocol = FW_SP_PULL0;
    outcome good = {0}, wrong = {0};
    fw_pipe *pipe = dial(h, "127.0.0.1", &good);
    assert_non_null(pipe);
    assert_true(peer_comes_true(is_ready, &good));
    fw_pipe_close(pipe);
    assert_true(peer_comes_true(is_closed, &good));
    /* The certificate is not for that number. */
    assert_non_null(dial(h, "127.0.0.2", &wrong));
    assert_true(peer_comes_true(is_closed, &wrong));
    assert_false(is_ready(&wrong));
    close_house(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_all_sizes_come_back),
        cmocka_unit_test(a_flood_comes_back_in_order),
        cmocka_unit_test(peers_leave_at_every_stage),
        cmocka_unit_test(a_house_closes_on_all_of_them),
        cmocka_unit_test(silence_has_a_limit),
        cmocka_unit_test(strangers_are_told_why),
        cmocka_unit_test(pipes_are_dialed_with_tls),
    };
    papers_make(&all);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    papers_burn(&all);
    return failed;
}
