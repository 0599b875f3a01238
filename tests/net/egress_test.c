/* egress_test.c - net/egress.c: answers of many threads to many connections, gathered, none lost or
 * mixed up. SPDX-License-Identifier: Apache-2.0 */
#include "net/egress.h"

#include "base/rcu.h"
#include "net/connection.h"
#include "net/listener.h"
#include "peers.h"

/* A port that only tells how many connections there are; requests are invented by the test. */
typedef struct house {
    fw_exchange exchange;
    fw_port port;
    fw_listener *listener;
    fw_atomic(uint64_t) numbers[64];
    fw_atomic(uint32_t) ready;
} house;

static void note(const fw_port *port, fw_connection *connection)
{
    house *h = port->context;
    uint32_t place = fw_add_relaxed(&h->ready, 1);
    fw_store_relaxed(&h->numbers[place], fw_connection_number(connection));
}

static ssize_t expect_many(const fw_port *port, fw_connection *connection,
                           const unsigned char *bytes, size_t len)
{
    (void)port;
    (void)bytes;
    fw_connection_expect(connection, (uint32_t)len);
    return (ssize_t)len;
}

static house *open_house(void)
{
    house *h = calloc(1, sizeof *h);
    fw_limits limits = {.message_max = 1 << 24,
                        .connections_max = 64,
                        .open_requests_max = 1 << 30,
                        .unsent_bytes_max = 1 << 30,
                        .stalled_ns = 60 * FW_NS_PER_S,
                        .handshake_ns = 60 * FW_NS_PER_S};
    const char *reason;
    assert_int_equal(fw_exchange_init(&h->exchange, &limits), 0);
    h->port = (fw_port){.exchange = &h->exchange,
                        .context = h,
                        .role = FW_ROLE_TASKS,
                        .protocol = FW_SP_REP0,
                        .ready = note,
                        .deliver = expect_many};
    assert_int_equal(fw_listener_create(&h->listener, &reason, &h->port, "tcp://127.0.0.1:0"), 0);
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
    free(h);
}

static bool is_ready(void *context)
{
    uint64_t *wanted = context;
    return fw_load_relaxed(&((house *)(uintptr_t)wanted[0])->ready) == wanted[1];
}

/* The next connection's socket; its number is h->numbers[place]. */
static int dial(house *h, uint32_t place)
{
    int fd = peer_dial_req(fw_listener_bound(h->listener));
    uint64_t wanted[2] = {(uint64_t)(uintptr_t)h, place + 1};
    assert_true(peer_comes_true(is_ready, wanted));
    while (fw_load_relaxed(&h->numbers[place]) == 0)
        sched_yield();
    return fd;
}

static void answer(house *h, uint32_t place, uint32_t request, const char *text)
{
    fw_reply_to reply = {.connection = fw_load_relaxed(&h->numbers[place]),
                         .request = request,
                         .form = FW_REPLY_JSON};
    fw_gather_message(fw_egress_mine(&h->exchange), &reply, (fw_span){text, strlen(text)}, 1);
}

static void nothing_leaves_before_the_flush_and_then_everything(void **state)
{
    (void)state;
    house *h = open_house();
    int fd = dial(h, 0);
    for (uint32_t i = 0; i < 10; i++)
        answer(h, 0, i, "gathered");
    assert_true(peer_is_silent(fd, 20));
    fw_egress_flush(&h->exchange);
    for (uint32_t i = 0; i < 10; i++) {
        char text[64];
        assert_int_equal(peer_answer(fd, text, sizeof text), i);
        assert_string_equal(text, "gathered");
    }
    close(fd);
    close_house(h);
}

static void a_full_parcel_leaves_by_itself(void **state)
{
    (void)state;
    house *h = open_house();
    int fd = dial(h, 0);
    static char body[1001];
    memset(body, 'b', sizeof body - 1);
    for (uint32_t i = 0; i < 40; i++)
        answer(h, 0, i, body);
    for (uint32_t i = 0; i < 32; i++) {
        char text[2000];
        assert_int_equal(peer_answer(fd, text, sizeof text), i);
    }
    fw_egress_flush(&h->exchange);
    for (uint32_t i = 32; i < 40; i++) {
        char text[2000];
        assert_int_equal(peer_answer(fd, text, sizeof text), i);
        assert_string_equal(text, body);
    }
    close(fd);
    close_house(h);
}

/* More connections than a thread keeps places for. */
static void many_connections_take_turns(void **state)
{
    (void)state;
    enum { PEERS = 30, ROUNDS = 50 };
    house *h = open_house();
    int fds[PEERS];
    for (uint32_t i = 0; i < PEERS; i++)
        fds[i] = dial(h, i);
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < PEERS; i++) {
            char text[64];
            snprintf(text, sizeof text, "for %u", i);
            answer(h, i, round, text);
        }
    fw_egress_flush(&h->exchange);
    for (uint32_t i = 0; i < PEERS; i++) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            char text[64], expected[64];
            snprintf(expected, sizeof expected, "for %u", i);
            assert_int_equal(peer_answer(fds[i], text, sizeof text), round);
            assert_string_equal(text, expected);
        }
        close(fds[i]);
    }
    close_house(h);
}

static void answers_larger_than_a_parcel_go_whole(void **state)
{
    (void)state;
    house *h = open_house();
    int fd = dial(h, 0);
    size_t sizes[] = {FW_PARCEL_SMALL - 12,
                      FW_PARCEL_SMALL - 11,
                      FW_PARCEL_LARGE - 12,
                      FW_PARCEL_LARGE - 11,
                      1000000,
                      3};
    char *body = malloc(1000001), *text = malloc(1000001);
    for (uint32_t i = 0; i < 6; i++) {
        memset(body, 'a' + (int)i, sizes[i]);
        body[sizes[i]] = 0;
        answer(h, 0, i, body);
    }
    fw_egress_flush(&h->exchange);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(peer_answer(fd, text, 1000001), i);
        assert_int_equal(strlen(text), sizes[i]);
        assert_int_equal(text[sizes[i] - 1], 'a' + (int)i);
    }
    free(body);
    free(text);
    close(fd);
    close_house(h);
}

static void records_fill_frames_and_json_comes_between(void **state)
{
    (void)state;
    enum { RECORDS = 3000 };
    house *h = open_house();
    int fd = dial(h, 0);
    fw_reply_to reply = {
        .connection = fw_load_relaxed(&h->numbers[0]), .request = 5, .form = FW_REPLY_FRAME};
    fw_gather *mine = fw_egress_mine(&h->exchange);
    fw_result_view result = {.status = FW_SUCCESS, .result = {"[1]", 3}};
    for (unsigned i = 0; i < RECORDS; i++) {
        fw_frame_writer *writer = fw_gather_frame(mine, &reply, fw_frame_result_size(&result));
        assert_non_null(writer);
        assert_true(fw_frame_add_result(writer, 5, (uint16_t)i, &result));
        fw_gather_recorded(mine, &reply, 1);
        if (i % 1000 == 500)
            answer(h, 0, i, "between");
    }
    fw_egress_flush(&h->exchange);
    unsigned records = 0, texts = 0, messages = 0;
    static char message[65536];
    while (records < RECORDS || texts < 3) {
        size_t len = peer_message(fd, message, sizeof message);
        messages++;
        fw_frame frame;
        fw_record record;
        fw_span body = {message + 4, len - 4};
        if (!fw_frame_is(body)) {
            assert_int_equal(fw_sp_word_read((unsigned char *)message) & ~FW_SP_REQUEST_BIT,
                             records - 1);
            texts++;
            continue;
        }
        assert_true(len <= FW_PARCEL_LARGE);
        assert_int_equal(fw_frame_open(&frame, body, NULL), 0);
        while (fw_frame_next_record(&frame, &record) == 1)
            assert_int_equal(record.item, records++);
    }
    assert_true(messages < 30);
    close(fd);
    close_house(h);
}

static void answers_to_nobody_are_counted(void **state)
{
    (void)state;
    house *h = open_house();
    int fd = dial(h, 0);
    fw_reply_to reply = {.connection = fw_load_relaxed(&h->numbers[0]) + 1, .request = 1};
    fw_gather_message(fw_egress_mine(&h->exchange), &reply, (fw_span){"x", 1}, 1);
    fw_gather_message(fw_egress_mine(&h->exchange), &reply, (fw_span){"x", 1}, 1);
    reply.connection ^= UINT64_C(1) << 40; /* another generation of a slot */
    fw_gather_message(fw_egress_mine(&h->exchange), &reply, (fw_span){"x", 1}, 1);
    answer(h, 0, 9, "somebody");
    fw_egress_flush(&h->exchange);
    char text[64];
    assert_int_equal(peer_answer(fd, text, sizeof text), 9);
    assert_int_equal(fw_load_relaxed(&h->exchange.traffic.answers_dropped), 3);
    fw_span message = {"x", 1};
    assert_false(fw_egress_post(&h->exchange, reply.connection, &message, 1));
    close(fd);
    close_house(h);
}

/* ---- Many threads ---- */

enum { THREADS = 4, LINES = 10 };

typedef struct answerer {
    house *h;
    uint32_t number, per_line;
    pthread_t thread;
} answerer;

static void *answer_all(void *argument)
{
    answerer *a = argument;
    for (uint32_t i = 0; i < a->per_line; i++) {
        for (uint32_t line = 0; line < LINES; line++) {
            char text[64];
            snprintf(text, sizeof text, "%u %u %u", a->number, line, i);
            answer(a->h, line, a->number << 24 | i, text);
        }
        if (i % 7 == a->number)
            fw_egress_flush(&a->h->exchange);
    }
    fw_egress_flush(&a->h->exchange);
    return NULL;
}

typedef struct reader {
    int fd;
    uint32_t line, count;
    bool good;
    pthread_t thread;
} reader;

static void *read_all(void *argument)
{
    reader *r = argument;
    uint32_t next[THREADS] = {0};
    r->good = true;
    for (uint32_t i = 0; i < r->count; i++) {
        char text[64], expected[64];
        uint32_t id = peer_answer(r->fd, text, sizeof text);
        uint32_t thread = id >> 24;
        r->good = r->good && thread < THREADS && (id & 0xffffff) == next[thread];
        snprintf(expected, sizeof expected, "%u %u %u", thread, r->line, next[thread]);
        r->good = r->good && strcmp(text, expected) == 0;
        next[thread]++;
    }
    return NULL;
}

static void threads_lose_and_mix_up_nothing(void **state)
{
    (void)state;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    uint32_t per_line = 1000 * (seconds ? (uint32_t)strtoul(seconds, NULL, 10) + 1 : 1);
    house *h = open_house();
    reader readers[LINES];
    answerer answerers[THREADS];
    for (uint32_t i = 0; i < LINES; i++) {
        readers[i] = (reader){.fd = dial(h, i), .line = i, .count = THREADS * per_line};
        pthread_create(&readers[i].thread, NULL, read_all, &readers[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        answerers[i] = (answerer){.h = h, .number = i, .per_line = per_line};
        pthread_create(&answerers[i].thread, NULL, answer_all, &answerers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(answerers[i].thread, NULL);
    for (int i = 0; i < LINES; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].good);
        close(readers[i].fd);
    }
    close_house(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_before_the_flush_and_then_everything),
        cmocka_unit_test(a_full_parcel_leaves_by_itself),
        cmocka_unit_test(many_connections_take_turns),
        cmocka_unit_test(answers_larger_than_a_parcel_go_whole),
        cmocka_unit_test(records_fill_frames_and_json_comes_between),
        cmocka_unit_test(answers_to_nobody_are_counted),
        cmocka_unit_test(threads_lose_and_mix_up_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
