/* connection_test.c - net/connection.c, net/connection_pause.c, net/connection_socket.c,
 * net/exchange.c, net/listener.c, net/peer.c, net/reaper.c: bytes and peers, and what bad peers
 * cost the others. A small port echoes requests, or holds them until the test answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/connection.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <sys/resource.h>

#include "base/rcu.h"
#include "net/egress.h"
#include "net/listener.h"
#include "peers.h"

enum { HELD_MAX = 8192 };

typedef struct house {
    fw_exchange exchange;
    fw_port port;
    fw_listener *listener;
    fw_atomic(bool) holding;
    fw_atomic(uint64_t) delivered, calls;
    pthread_mutex_t lock;
    char peer[FW_PEER_MAX];
    fw_reply_to held[HELD_MAX];
    size_t held_count;
} house;

static ssize_t echo(const fw_port *port, fw_connection *connection, const unsigned char *bytes,
                    size_t len)
{
    house *h = port->context;
    size_t used = 0, size;
    fw_add_relaxed(&h->calls, 1);
    pthread_mutex_lock(&h->lock);
    fw_connection_peer(connection, h->peer);
    pthread_mutex_unlock(&h->lock);
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
        if (fw_load_relaxed(&h->holding)) {
            pthread_mutex_lock(&h->lock);
            assert_true(h->held_count < HELD_MAX);
            h->held[h->held_count++] = reply;
            pthread_mutex_unlock(&h->lock);
        } else {
            fw_gather_message(fw_egress_mine(&h->exchange), &reply, request.body, 1);
        }
        fw_add_relaxed(&h->delivered, 1);
        used += size;
    }
    fw_egress_flush(&h->exchange);
    return (ssize_t)used;
}

static const fw_limits usual = {.message_max = 1 << 20,
                                .connections_max = 1000,
                                .open_requests_max = 4096,
                                .unsent_bytes_max = 1 << 20,
                                .stalled_ns = 10 * FW_NS_PER_S,
                                .handshake_ns = 10 * FW_NS_PER_S};

static house *open_house(const fw_limits *limits)
{
    house *h = calloc(1, sizeof *h);
    const char *reason;
    assert_non_null(h);
    pthread_mutex_init(&h->lock, NULL);
    assert_int_equal(fw_exchange_init(&h->exchange, limits), 0);
    h->port = (fw_port){.exchange = &h->exchange,
                        .context = h,
                        .role = FW_ROLE_TASKS,
                        .protocol = FW_SP_REP0,
                        .deliver = echo};
    assert_int_equal(fw_listener_create(&h->listener, &reason, &h->port, "tcp://127.0.0.1:0"), 0);
    h->port.bound = fw_listener_bound(h->listener);
    fw_listener_run(h->listener);
    return h;
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
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* A proper NNG client gets its own words back. */
static void ask_as_nng(house *h, const char *words)
{
    nng_socket socket;
    char url[64];
    nng_msg *message;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", h->port.bound);
    assert_int_equal(nng_req0_open(&socket), 0);
    nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PEER_WAIT_S * 1000);
    nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, PEER_WAIT_S * 1000);
    assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
    assert_int_equal(nng_msg_alloc(&message, 0), 0);
    nng_msg_append(message, words, strlen(words));
    assert_int_equal(nng_sendmsg(socket, message, 0), 0);
    assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
    assert_int_equal(nng_msg_len(message), strlen(words));
    assert_memory_equal(nng_msg_body(message), words, strlen(words));
    nng_msg_free(message);
    nng_close(socket);
}

static void ask_raw(int fd, uint32_t id, const char *words)
{
    char answer[256];
    peer_ask(fd, id, words, strlen(words));
    assert_int_equal(peer_answer(fd, answer, sizeof answer), id);
    assert_string_equal(answer, words);
}

static bool is_empty(void *context)
{
    return fw_exchange_count(&((house *)context)->exchange) == 0;
}

/* ---- Good peers ---- */

static void an_nng_client_is_served(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    ask_as_nng(h, "hello");
    ask_as_nng(h, "");
    close_house(h);
}

static void peers_have_names(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    int fd = peer_dial_req(h->port.bound);
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    char expected[FW_PEER_MAX];
    ask_raw(fd, 1, "who am I");
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(own.sin_port));
    pthread_mutex_lock(&h->lock);
    assert_string_equal(h->peer, expected);
    pthread_mutex_unlock(&h->lock);
    close(fd);
    close_house(h);
}

static void what_one_read_brings_is_delivered_in_one_call(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    int fd = peer_dial_req(h->port.bound);
    unsigned char *many = malloc(1000 * 32);
    size_t len = 0;
    for (uint32_t id = 1; id <= 1000; id++)
        len += peer_request(many + len, &id, 1, "0123456789", 10);
    peer_send(fd, many, len);
    for (uint32_t id = 1; id <= 1000; id++) {
        char answer[64];
        assert_int_equal(peer_answer(fd, answer, sizeof answer), id);
        assert_string_equal(answer, "0123456789");
    }
    assert_int_equal(fw_load_relaxed(&h->delivered), 1000);
    assert_true(fw_load_relaxed(&h->calls) < 200);
    free(many);
    close(fd);
    close_house(h);
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    int fd = peer_dial(h->port.bound);
    unsigned char bytes[64];
    uint32_t id = 7;
    fw_sp_handshake_write(bytes, FW_SP_REQ0);
    size_t len = 8 + peer_request(bytes + 8, &id, 1, "drip", 4);
    for (size_t i = 0; i < len; i++)
        peer_send(fd, bytes + i, 1);
    char answer[64];
    peer_receive(fd, answer, 8);
    assert_int_equal(peer_answer(fd, answer, sizeof answer), 7);
    assert_string_equal(answer, "drip");
    close(fd);
    close_house(h);
}

static void large_messages_make_the_buffer_grow_up_to_the_limit(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    int fd = peer_dial_req(h->port.bound);
    size_t most = usual.message_max - FW_SP_WORD_BYTES;
    char *body = malloc(most), *answer = malloc(most + 1);
    size_t sizes[] = {0, 1000, 4000, 4096, 20000, 65536, 262144, 262145, 700000, most};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t len = sizes[s];
        for (size_t i = 0; i < len; i++)
            body[i] = (char)(i * 7 + len);
        peer_ask(fd, (uint32_t)len, body, len);
        assert_int_equal(peer_answer(fd, answer, most + 1), len);
        assert_memory_equal(answer, body, len);
        ask_raw(fd, 5, "small between large");
    }
    free(body);
    free(answer);
    close(fd);
    close_house(h);
}

static void two_hundred_peers_at_once(void **state)
{
    (void)state;
    enum { PEERS = 200 };
    house *h = open_house(&usual);
    int fds[PEERS];
    for (int i = 0; i < PEERS; i++)
        fds[i] = peer_dial_req(h->port.bound);
    for (uint32_t i = 0; i < PEERS; i++)
        peer_ask(fds[i], i, "mine", 4);
    for (uint32_t i = 0; i < PEERS; i++) {
        char answer[16];
        assert_int_equal(peer_answer(fds[i], answer, sizeof answer), i);
        close(fds[i]);
    }
    assert_true(peer_comes_true(is_empty, h));
    close_house(h);
}

/* ---- Limits ---- */

static bool has_delivered_64(void *context)
{
    return fw_load_relaxed(&((house *)context)->delivered) == 64;
}

static bool has_delivered_65(void *context)
{
    return fw_load_relaxed(&((house *)context)->delivered) == 65;
}

static void answer_held(house *h, size_t from, size_t to)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = from; i < to; i++)
        fw_gather_message(fw_egress_mine(&h->exchange), &h->held[i], (fw_span){"late", 4}, 1);
    pthread_mutex_unlock(&h->lock);
    fw_egress_flush(&h->exchange);
}

static void the_65th_request_waits_for_answers_to_the_64(void **state)
{
    (void)state;
    fw_limits limits = usual;
    limits.open_requests_max = 64;
    house *h = open_house(&limits);
    fw_store_relaxed(&h->holding, true);
    int fd = peer_dial_req(h->port.bound);
    for (uint32_t id = 1; id <= 65; id++)
        peer_ask(fd, id, "x", 1);
    assert_true(peer_comes_true(has_delivered_64, h));
    assert_true(peer_is_silent(fd, 20));
    assert_true(has_delivered_64(h));
    answer_held(h, 0, 32);
    assert_true(peer_comes_true(has_delivered_65, h));
    answer_held(h, 32, 65);
    bool seen[66] = {false};
    for (int i = 0; i < 65; i++) {
        char answer[16];
        uint32_t id = peer_answer(fd, answer, sizeof answer);
        assert_true(id >= 1 && id <= 65 && !seen[id]);
        seen[id] = true;
    }
    close(fd);
    close_house(h);
}

static void one_open_request_at_a_time_works_too(void **state)
{
    (void)state;
    fw_limits limits = usual;
    limits.open_requests_max = limits.unsent_bytes_max = 1;
    house *h = open_house(&limits);
    int fd = peer_dial_req(h->port.bound);
    for (uint32_t id = 1; id <= 300; id++)
        peer_ask(fd, id, "x", 1);
    for (uint32_t id = 1; id <= 300; id++) {
        char answer[16];
        assert_int_equal(peer_answer(fd, answer, sizeof answer), id);
    }
    close(fd);
    close_house(h);
}

static bool is_closed_for_stalling(void *context)
{
    return fw_load_relaxed(&((house *)context)->exchange.traffic.closed_stalled) > 0;
}

static void a_reader_that_never_reads_costs_only_itself(void **state)
{
    (void)state;
    fw_limits limits = usual;
    limits.stalled_ns = 300 * FW_NS_PER_MS;
    limits.unsent_bytes_max = 128 * 1024;
    house *h = open_house(&limits);
    int good = peer_dial_req(h->port.bound);
    int bad = peer_dial_req(h->port.bound);
    struct timeval soon = {.tv_usec = 1000};
    setsockopt(bad, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    static char body[60000];
    uint32_t id = 1;
    unsigned char *message = malloc(sizeof body + 16);
    size_t size = peer_request(message, &id, 1, body, sizeof body);
    /* It sends until nobody takes it any more, then goes on trying. */
    for (int i = 0; !is_closed_for_stalling(h); i++) {
        (void)!send(bad, message, size, MSG_NOSIGNAL);
        ask_raw(good, (uint32_t)i, "still there");
    }
    peer_expect_end(bad);
    ask_raw(good, 1, "and still");
    free(message);
    close(bad);
    close(good);
    assert_true(peer_comes_true(is_empty, h));
    close_house(h);
}

static void connections_over_the_limit_are_closed_at_once(void **state)
{
    (void)state;
    fw_limits limits = usual;
    limits.connections_max = 3;
    house *h = open_house(&limits);
    int fds[3];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            fds[i] = peer_dial_req(h->port.bound);
        int more = peer_dial(h->port.bound);
        peer_expect_end(more);
        close(more);
        ask_raw(fds[2], 3, "served");
        for (int i = 0; i < 3; i++)
            close(fds[i]);
        assert_true(peer_comes_true(is_empty, h));
    }
    close_house(h);
}

/* Takes every descriptor that is left, but one. => how many. */
static size_t fill_descriptors(int *fillers, size_t capacity, int model)
{
    size_t filled = 0;
    while (filled < capacity && (fillers[filled] = dup(model)) >= 0)
        filled++;
    assert_true(filled > 0 && filled < capacity);
    close(fillers[--filled]);
    return filled;
}

static void running_out_of_descriptors_passes(void **state)
{
    (void)state;
    enum { FILLERS = 512, TRIES = 50 };
    house *h = open_house(&usual);
    int good = peer_dial_req(h->port.bound), last = -1;
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    /* Others of this process may give descriptors back meanwhile, so it may take a few tries. */
    for (int i = 0; i < TRIES && fw_load_relaxed(&h->exchange.traffic.accept_failures) == 0; i++) {
        int fillers[FILLERS];
        close(last);
        size_t filled = fill_descriptors(fillers, FILLERS, good);
        last = peer_dial(h->port.bound); /* takes the last one; the accept finds none */
        for (int k = 0; k < 20; k++)
            ask_raw(good, 1, "others go on");
        while (filled > 0)
            close(fillers[--filled]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(fw_load_relaxed(&h->exchange.traffic.accept_failures) > 0);
    peer_handshake(last, FW_SP_REQ0, FW_SP_REP0);
    ask_raw(last, 2, "served after all");
    close(last);
    close(good);
    close_house(h);
}

/* ---- Bad peers ---- */

static void garbage_ends_its_own_connection(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    int good = peer_dial_req(h->port.bound);
    static const struct {
        const char *bytes;
        size_t len;
    } garbage[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\0SP\0\0\x31\0\0", 8},                                  /* REP to REP */
        {"\0SP\0\0\x50\0\0", 8},                                  /* PUSH */
        {"\0SP\1\0\x30\0\0", 8},                                  /* another version */
        {"\0SP\0\0\x30\0\1", 8},                                  /* reserved bytes */
        {"\0SP\0\0\x30\0\0\0\0\1\0\0\0\0\0", 16},                 /* 2^40 bytes */
        {"\0SP\0\0\x30\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16}, /* all of them */
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\x10\0\1", 16},               /* one over the limit */
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\2ab", 18},               /* no word */
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\x24"
         "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0\7\0\0\0\x8\x80\0\0\1",
         52}, /* nine words */
    };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        int fd = peer_dial(h->port.bound);
        peer_send(fd, garbage[i].bytes, garbage[i].len);
        peer_expect_end(fd);
        close(fd);
        ask_raw(good, (uint32_t)i, "good peers go on");
    }
    assert_int_equal(fw_load_relaxed(&h->exchange.traffic.handshakes_failed), 5);
    assert_int_equal(fw_load_relaxed(&h->exchange.traffic.closed_protocol), 5);
    close(good);
    close_house(h);
}

static void truncated_messages_end_with_their_peer(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    unsigned char bytes[64];
    uint32_t id = 1;
    fw_sp_handshake_write(bytes, FW_SP_REQ0);
    size_t len = 8 + peer_request(bytes + 8, &id, 1, "0123456789", 10);
    for (size_t cut = 0; cut < len; cut++) {
        int fd = peer_dial(h->port.bound);
        peer_send(fd, bytes, cut);
        if (cut % 2)
            peer_reset(fd);
        else
            close(fd);
    }
    assert_true(peer_comes_true(is_empty, h));
    assert_int_equal(fw_load_relaxed(&h->delivered), 0);
    ask_as_nng(h, "alive");
    close_house(h);
}

static void silent_peers_are_dropped_in_time_and_delay_nobody(void **state)
{
    (void)state;
    fw_limits limits = usual;
    limits.handshake_ns = 200 * FW_NS_PER_MS;
    house *h = open_house(&limits);
    int silent[20];
    for (int i = 0; i < 20; i++) {
        silent[i] = peer_dial(h->port.bound);
        peer_send(silent[i], "\0SP", (size_t)(i % 4));
    }
    ask_as_nng(h, "before they are gone");
    for (int i = 0; i < 20; i++) {
        peer_expect_end(silent[i]);
        close(silent[i]);
    }
    assert_int_equal(fw_load_relaxed(&h->exchange.traffic.handshakes_failed), 20);
    close_house(h);
}

/* The death of NNG's own listeners: the connection ends while the server shakes hands. */
static void the_listener_outlives_peers_that_leave_during_the_handshake(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    for (int i = 0; i < 400; i++) {
        int fd = peer_dial(h->port.bound);
        if (i % 3 == 0)
            shutdown(fd, SHUT_WR);
        if (i % 3 == 1)
            close(fd);
        else
            peer_reset(fd);
    }
    ask_as_nng(h, "alive");
    assert_true(peer_comes_true(is_empty, h));
    close_house(h);
}

static bool has_its_descriptors_back(void *context)
{
    return peer_descriptors() <= *(size_t *)context;
}

/* The hang of NNG's reaper: a peer leaves while requests of it are still to be read and answered.
 */
static void peers_that_leave_with_requests_in_flight_leave_nothing_behind(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    ask_as_nng(h, "warm");
    assert_true(peer_comes_true(is_empty, h));
    size_t before = peer_descriptors();
    static char body[1000];
    unsigned char *many = malloc(200 * 1024);
    size_t len = 0;
    for (uint32_t id = 1; id <= 190; id++)
        len += peer_request(many + len, &id, 1, body, sizeof body);
    for (int i = 0; i < 150; i++) {
        int fd = peer_dial_req(h->port.bound);
        fw_store_relaxed(&h->holding, i % 2 == 1);
        peer_send(fd, many, i % 5 == 4 ? len - 7 : len);
        if (i % 3 == 0)
            peer_reset(fd);
        else
            close(fd);
        pthread_mutex_lock(&h->lock);
        size_t held = h->held_count;
        h->held_count = 0;
        for (size_t k = 0; k < held; k++)
            fw_gather_message(fw_egress_mine(&h->exchange), &h->held[k], (fw_span){"late", 4}, 1);
        pthread_mutex_unlock(&h->lock);
        fw_egress_flush(&h->exchange);
    }
    fw_store_relaxed(&h->holding, false);
    ask_as_nng(h, "alive");
    assert_true(peer_comes_true(is_empty, h));
    assert_true(peer_comes_true(has_its_descriptors_back, &before));
    free(many);
    close_house(h);
}

static void stopping_in_the_middle_of_traffic_waits_for_nobody(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        house *h = open_house(&usual);
        int fds[5];
        static char body[5000];
        for (int i = 0; i < 5; i++) {
            fds[i] = peer_dial_req(h->port.bound);
            for (uint32_t id = 1; id <= 20; id++)
                peer_ask(fds[i], id, body, sizeof body);
        }
        close_house(h);
        for (int i = 0; i < 5; i++) {
            peer_expect_end(fds[i]);
            close(fds[i]);
        }
    }
}

static void a_number_leads_to_its_connection_only(void **state)
{
    (void)state;
    fw_exchange exchange;
    fw_limits limits = usual;
    limits.connections_max = 2;
    assert_int_equal(fw_exchange_init(&exchange, &limits), 0);
    uint64_t a = fw_exchange_reserve(&exchange, FW_ROLE_QUERIES);
    uint64_t b = fw_exchange_reserve(&exchange, FW_ROLE_PUB);
    assert_true(a != 0 && b != 0 && a != b);
    assert_int_equal(fw_exchange_reserve(&exchange, FW_ROLE_BUS), 0);
    assert_int_equal(fw_number_role(a), FW_ROLE_QUERIES);
    assert_int_equal(fw_number_role(b), FW_ROLE_PUB);
    fw_exchange_release(&exchange, a);
    uint64_t c = fw_exchange_reserve(&exchange, FW_ROLE_QUERIES);
    assert_true(c != a && (uint32_t)c == (uint32_t)a);
    fw_rcu_read_lock();
    assert_null(fw_exchange_find(&exchange, 0));
    assert_null(fw_exchange_find(&exchange, a));
    assert_null(fw_exchange_find(&exchange, UINT64_MAX));
    fw_rcu_read_unlock();
    fw_exchange_release(&exchange, b);
    fw_exchange_release(&exchange, c);
    fw_exchange_fini(&exchange);
}

static void a_port_in_use_is_told(void **state)
{
    (void)state;
    house *h = open_house(&usual);
    fw_listener *second;
    const char *reason;
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", h->port.bound);
    assert_int_equal(fw_listener_create(&second, &reason, &h->port, url), -FW_EPERM);
    assert_non_null(strstr(reason, "in use"));
    assert_int_equal(fw_listener_create(&second, &reason, &h->port, "nonsense"), -FW_EINVAL);
    close_house(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_leads_to_its_connection_only),
        cmocka_unit_test(a_port_in_use_is_told),
        cmocka_unit_test(an_nng_client_is_served),
        cmocka_unit_test(peers_have_names),
        cmocka_unit_test(what_one_read_brings_is_delivered_in_one_call),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(large_messages_make_the_buffer_grow_up_to_the_limit),
        cmocka_unit_test(two_hundred_peers_at_once),
        cmocka_unit_test(the_65th_request_waits_for_answers_to_the_64),
        cmocka_unit_test(one_open_request_at_a_time_works_too),
        cmocka_unit_test(a_reader_that_never_reads_costs_only_itself),
        cmocka_unit_test(connections_over_the_limit_are_closed_at_once),
        cmocka_unit_test(running_out_of_descriptors_passes),
        cmocka_unit_test(garbage_ends_its_own_connection),
        cmocka_unit_test(truncated_messages_end_with_their_peer),
        cmocka_unit_test(silent_peers_are_dropped_in_time_and_delay_nobody),
        cmocka_unit_test(the_listener_outlives_peers_that_leave_during_the_handshake),
        cmocka_unit_test(peers_that_leave_with_requests_in_flight_leave_nothing_behind),
        cmocka_unit_test(stopping_in_the_middle_of_traffic_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
