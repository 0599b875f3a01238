/* native_test.c - net/intake.c, net/answers.c, net/egress.c: native frames, on any port, mixed with
 * JSON. SPDX-License-Identifier: Apache-2.0 */
#include "desk.h"
#include "net/frame.h"

enum { ROOM = 256 * 1024 };

typedef struct answers {
    unsigned char bytes[ROOM];
    fw_frame frame;
    bool open;
} answers;

static answers *new_answers(void)
{
    answers *a = calloc(1, sizeof *a);
    assert_non_null(a);
    return a;
}

/* The next record, from this frame or the next. */
static fw_record next_record(int fd, answers *a)
{
    fw_record record;
    while (!a->open || fw_frame_next_record(&a->frame, &record) == 0) {
        size_t len = peer_message(fd, a->bytes, sizeof a->bytes);
        assert_true(len > 4);
        assert_true(a->bytes[0] & 0x80);
        fw_span body = {(const char *)a->bytes + 4, len - 4};
        assert_int_equal(fw_frame_open(&a->frame, body, NULL), 0);
        assert_int_equal(a->frame.type, FW_FRAME_ANSWER);
        a->open = true;
    }
    return record;
}

static fw_submission task(const char *name, const char *args)
{
    return (fw_submission){.key = fw_key_random(),
                           .name = desk_text(name),
                           .args = desk_text(args),
                           .kwargs = desk_text("{}"),
                           .level = FW_NORMAL};
}

/* A SUBMIT frame of `count` equal tasks, with the request id in front. */
static void send_tasks(int fd, uint32_t id, const fw_submission *items, size_t count, uint8_t flags)
{
    unsigned char *bytes = malloc(ROOM);
    fw_frame_writer writer;
    fw_frame_begin(&writer, bytes, ROOM, FW_FRAME_SUBMIT, flags);
    for (size_t i = 0; i < count; i++)
        assert_true(fw_frame_add_submission(&writer, &items[i]));
    peer_ask(fd, id, bytes, fw_frame_end(&writer));
    free(bytes);
}

static void send_query(int fd, uint32_t id, fw_query_kind kind, const char *task_id)
{
    unsigned char bytes[512];
    fw_frame_writer writer;
    fw_query query = {.kind = kind,
                      .id = desk_text(task_id),
                      .key = fw_key_from_text(desk_text(task_id)),
                      .wait_ns = FW_NS_PER_S};
    fw_frame_begin(&writer, bytes, sizeof bytes, FW_FRAME_QUERY, 0);
    assert_true(fw_frame_add_query(&writer, &query));
    peer_ask(fd, id, bytes, fw_frame_end(&writer));
}

static void each_item_is_acknowledged_and_then_answered_on_every_port(void **state)
{
    (void)state;
    enum { ITEMS = 100 };
    desk *d = desk_open_usual();
    for (unsigned port = 0; port < 6; port++) {
        int fd = peer_dial_req(d->base + port);
        answers *a = new_answers();
        fw_submission items[ITEMS];
        for (int i = 0; i < ITEMS; i++)
            items[i] = task(i % 10 == 3 ? "fail" : "echo", "[1,2]");
        send_tasks(fd, 77, items, ITEMS, FW_FRAME_WANTS_RESULTS);
        bool accepted[ITEMS] = {false}, finished[ITEMS] = {false};
        for (int left = 2 * ITEMS; left > 0;) {
            fw_record r = next_record(fd, a);
            assert_int_equal(r.request & ~FW_SP_REQUEST_BIT, 77);
            for (unsigned i = r.item; i < (unsigned)r.item + r.count; i++, left--) {
                assert_true(i < ITEMS);
                bool *seen = r.kind == FW_RECORD_ACCEPTED ? accepted : finished;
                assert_false(seen[i]);
                seen[i] = true;
                if (r.kind == FW_RECORD_ACCEPTED)
                    continue;
                assert_int_equal(r.kind, FW_RECORD_RESULT);
                assert_true(accepted[i]);
                assert_int_equal(r.status, i % 10 == 3 ? FW_FAILURE : FW_SUCCESS);
                assert_true(desk_is(r.result.result, "[1,2]"));
            }
        }
        free(a);
        close(fd);
    }
    desk_close(d);
}

static void without_wanting_results_only_acceptances_come(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    fw_submission items[3] = {task("echo", "[]"), task("echo", "[]"), task("echo", "[]")};
    memset(&items[1].key, 0, sizeof items[1].key); /* the server chooses */
    send_tasks(fd, 1, items, 3, 0);
    for (unsigned item = 0; item < 3;) {
        fw_record r = next_record(fd, a);
        assert_int_equal(r.kind, FW_RECORD_ACCEPTED);
        assert_int_equal(r.item, item);
        for (unsigned i = 0; i < r.count; i++, item++) {
            static const unsigned char none[16];
            bool told = r.ids && memcmp(r.ids + 16 * i, none, 16) != 0;
            assert_int_equal(told, item == 1);
        }
    }
    send_query(fd, 2, FW_QUERY_GET, "known");
    fw_record next = next_record(fd, a);
    assert_int_equal(next.request & ~FW_SP_REQUEST_BIT, 2);
    free(a);
    close(fd);
    desk_close(d);
}

static void results_of_many_requests_share_frames(void **state)
{
    (void)state;
    enum { REQUESTS = 50, ITEMS = 20 };
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base + 3);
    answers *a = new_answers();
    for (uint32_t id = 1; id <= REQUESTS; id++) {
        fw_submission items[ITEMS];
        for (int i = 0; i < ITEMS; i++)
            items[i] = task("hold", "[5]");
        send_tasks(fd, id, items, ITEMS, FW_FRAME_WANTS_RESULTS);
    }
    desk_expect_held(d, REQUESTS * ITEMS);
    assert_int_equal(desk_release(d), REQUESTS * ITEMS);
    static bool seen[REQUESTS + 1][ITEMS];
    memset(seen, 0, sizeof seen);
    size_t results = 0;
    while (results < REQUESTS * ITEMS) {
        fw_record r = next_record(fd, a);
        if (r.kind != FW_RECORD_RESULT)
            continue;
        uint32_t request = r.request & ~FW_SP_REQUEST_BIT;
        assert_true(request >= 1 && request <= REQUESTS && r.item < ITEMS);
        assert_false(seen[request][r.item]);
        seen[request][r.item] = true;
        results++;
    }
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_true(stats.messages_out < REQUESTS * ITEMS / 5);
    free(a);
    close(fd);
    desk_close(d);
}

static void large_results_get_a_frame_of_their_own(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    static char args[100001];
    memset(args, ' ', sizeof args - 1);
    args[0] = '[';
    args[sizeof args - 2] = ']';
    fw_submission items[2] = {task("echo", args), task("echo", "[]")};
    send_tasks(fd, 1, items, 2, FW_FRAME_WANTS_RESULTS);
    size_t sum = 0;
    for (int results = 0; results < 2;) {
        fw_record r = next_record(fd, a);
        if (r.kind != FW_RECORD_RESULT)
            continue;
        sum += r.result.result.len;
        results++;
    }
    assert_int_equal(sum, sizeof args - 1 + 2);
    free(a);
    close(fd);
    desk_close(d);
}

static void queries_tell_states_and_never_seen_from_expired(void **state)
{
    (void)state;
    static const struct {
        fw_query_kind kind;
        const char *id;
        fw_record_kind record;
        int status_or_err;
    } cases[] = {
        {FW_QUERY_GET, "known", FW_RECORD_RESULT, FW_SUCCESS},
        {FW_QUERY_GET, "running", FW_RECORD_RESULT, FW_RUNNING},
        {FW_QUERY_GET, "gone", FW_RECORD_REFUSED, FW_EEXPIRED},
        {FW_QUERY_GET, "other", FW_RECORD_REFUSED, FW_EUNKNOWN},
        {FW_QUERY_CANCEL, "running", FW_RECORD_ACCEPTED, FW_CANCELLED},
        {FW_QUERY_CANCEL, "other", FW_RECORD_REFUSED, FW_EUNKNOWN},
        {FW_QUERY_WAIT, "known", FW_RECORD_RESULT, FW_SUCCESS},
    };
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base + 4);
    answers *a = new_answers();
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_query(fd, i, cases[i].kind, cases[i].id);
        fw_record r = next_record(fd, a);
        assert_int_equal(r.request & ~FW_SP_REQUEST_BIT, i);
        assert_int_equal(r.kind, cases[i].record);
        assert_int_equal(r.kind == FW_RECORD_REFUSED ? r.err : (int)r.status,
                         cases[i].status_or_err);
    }
    free(a);
    close(fd);
    desk_close(d);
}

static void a_query_does_not_overtake_what_was_submitted_before_it(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    int on = 1, off = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    fw_submission items[2] = {task("echo", "[]"), task("echo", "[]")};
    send_tasks(fd, 1, items, 2, 0);
    send_query(fd, 2, FW_QUERY_GET, "known");
    send_tasks(fd, 3, items, 1, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    for (int left = 4; left > 0;)
        left -= next_record(fd, a).count;
    assert_string_equal(d->log, "ssqs");
    free(a);
    close(fd);
    desk_close(d);
}

static void batches_are_answered_as_one(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    fw_submission items[5];
    for (int i = 0; i < 5; i++)
        items[i] = task("echo", "[]");
    memset(&items[2].key, 0, sizeof items[2].key);
    uint8_t both = FW_FRAME_ALL_OR_NONE | FW_FRAME_WANTS_RESULTS;
    send_tasks(fd, 1, items, 5, both);
    fw_record r = next_record(fd, a);
    assert_int_equal(r.kind, FW_RECORD_ACCEPTED);
    assert_int_equal(r.item, 0);
    assert_int_equal(r.count, 5);
    assert_non_null(r.ids);
    for (int i = 0; i < 5; i++) {
        r = next_record(fd, a);
        assert_int_equal(r.kind, FW_RECORD_RESULT);
        assert_int_equal(r.item, i);
    }
    items[3] = task("nobody", "[]");
    send_tasks(fd, 2, items, 5, both);
    r = next_record(fd, a);
    assert_int_equal(r.kind, FW_RECORD_REFUSED);
    assert_int_equal(r.count, 5);
    assert_int_equal(r.err, FW_EFULL);
    assert_true(desk_is(r.text, "no room for nobody"));
    items[3] = task("echo", "not an array");
    send_tasks(fd, 3, items, 5, both);
    r = next_record(fd, a);
    assert_int_equal(r.kind, FW_RECORD_REFUSED);
    assert_int_equal(r.count, 5);
    assert_int_equal(r.err, FW_EINVAL);
    assert_string_equal(d->log, "bbbbbbbbbb");
    free(a);
    close(fd);
    desk_close(d);
}

static void broken_items_are_refused_alone_and_broken_frames_whole(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    fw_submission items[3] = {task("echo", "[]"), task("echo", "nonsense"), task("echo", "[]")};
    send_tasks(fd, 1, items, 3, 0);
    bool refused[3] = {false};
    for (int left = 3; left > 0;) {
        fw_record r = next_record(fd, a);
        for (unsigned i = r.item; i < (unsigned)r.item + r.count; i++, left--)
            refused[i] = r.kind == FW_RECORD_REFUSED;
    }
    assert_true(!refused[0] && refused[1] && !refused[2]);
    static const char *const broken[] = {"\xf7", "\xf7\x01\x01\0\xff\xff\xff\xff",
                                         "\xf7\x09\x01\0\1\0\0\0", "\xf7\x01\x55\0\1\0\0\0"};
    static const size_t lens[] = {1, 8, 8, 8};
    for (uint32_t i = 0; i < 4; i++) {
        peer_ask(fd, 10 + i, broken[i], lens[i]);
        fw_record r = next_record(fd, a);
        assert_int_equal(r.kind, FW_RECORD_REFUSED);
        assert_int_equal(r.request & ~FW_SP_REQUEST_BIT, 10 + i);
        assert_int_equal(r.item, 0);
    }
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_int_equal(stats.refused[FW_REFUSED_MALFORMED] + stats.refused[FW_REFUSED_TOO_BIG], 5);
    send_query(fd, 20, FW_QUERY_GET, "known");
    assert_int_equal(next_record(fd, a).kind, FW_RECORD_RESULT);
    free(a);
    close(fd);
    desk_close(d);
}

static void pings_and_greetings_come_back(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    unsigned char bytes[256];
    size_t len = fw_frame_write_ping(bytes, sizeof bytes, desk_text("are you there"));
    peer_ask(fd, 1, bytes, len);
    fw_record r = next_record(fd, a);
    assert_int_equal(r.kind, FW_RECORD_PONG);
    assert_true(desk_is(r.text, "are you there"));
    fw_hello hello = {.software = desk_text("test"), .token = desk_text("secret")};
    len = fw_frame_write_hello(bytes, sizeof bytes, &hello);
    peer_ask(fd, 2, bytes, len);
    r = next_record(fd, a);
    assert_int_equal(r.kind, FW_RECORD_HELLO);
    assert_int_equal(fw_frame_read_hello(&hello, r.text), 0);
    assert_int_equal(hello.message_max, 64 * 1024 * 1024);
    assert_int_equal(hello.items_max, FW_FRAME_ITEMS_MAX);
    assert_int_equal(hello.open_requests_max, 4096);
    assert_true(hello.capabilities & FW_CAPABLE_WAIT);
    free(a);
    close(fd);
    desk_close(d);
}

static void json_and_frames_share_a_connection(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    static const char json[] = "{\"id\": \"j\", \"name\": \"echo\"}";
    fw_submission item = task("echo", "[7]");
    for (uint32_t i = 0; i < 50; i++) {
        send_tasks(fd, 2 * i, &item, 1, 0);
        peer_ask(fd, 2 * i + 1, json, sizeof json - 1);
    }
    static unsigned char message[4096];
    bool seen[100] = {false};
    for (int left = 100; left > 0;) {
        size_t len = peer_message(fd, message, sizeof message);
        if (message[4] == '{') {
            uint32_t id = fw_sp_word_read(message) & ~FW_SP_REQUEST_BIT;
            assert_true(id < 100 && id % 2 == 1 && !seen[id]);
            seen[id] = true;
            left--;
            continue;
        }
        fw_frame frame;
        fw_record r;
        fw_span body = {(const char *)message + 4, len - 4};
        assert_int_equal(fw_frame_open(&frame, body, NULL), 0);
        while (fw_frame_next_record(&frame, &r) == 1) {
            uint32_t id = r.request & ~FW_SP_REQUEST_BIT;
            assert_true(id < 100 && id % 2 == 0 && !seen[id]);
            seen[id] = true;
            left--;
        }
    }
    close(fd);
    desk_close(d);
}

static void frames_through_devices_find_their_way_back(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    unsigned char bytes[1024], message[2048], answer[4096];
    fw_frame_writer writer;
    fw_submission items[3] = {task("hold", "[]"), task("nothing wrong", "[]"),
                              task("wrong", "nonsense")};
    fw_frame_begin(&writer, bytes, sizeof bytes, FW_FRAME_SUBMIT, FW_FRAME_WANTS_RESULTS);
    for (int i = 0; i < 3; i++)
        assert_true(fw_frame_add_submission(&writer, &items[i]));
    uint32_t words[3] = {1, 2, 3};
    size_t len = peer_request(message, words, 3, bytes, fw_frame_end(&writer));
    peer_send(fd, message, len);
    desk_expect_held(d, 1);
    desk_release(d);
    int accepted = 0, refused = 0, results = 0;
    while (accepted < 2 || refused < 1 || results < 2) {
        size_t got = peer_message(fd, answer, sizeof answer);
        assert_memory_equal(answer, message + FW_SP_LENGTH_BYTES, 12);
        fw_frame frame;
        fw_record r;
        assert_int_equal(
            fw_frame_open(&frame, (fw_span){(const char *)answer + 12, got - 12}, NULL), 0);
        while (fw_frame_next_record(&frame, &r) == 1) {
            accepted += r.kind == FW_RECORD_ACCEPTED ? r.count : 0;
            refused += r.kind == FW_RECORD_REFUSED ? r.count : 0;
            results += r.kind == FW_RECORD_RESULT;
        }
    }
    assert_true(accepted == 2 && refused == 1 && results == 2);
    close(fd);
    desk_close(d);
}

static void items_whose_results_are_due_count_as_open(void **state)
{
    (void)state;
    fw_net_config config;
    desk_config(&config);
    config.open_requests_max = 64;
    desk *d = desk_open(&config);
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    fw_submission items[64];
    for (int i = 0; i < 64; i++)
        items[i] = task("hold", "[]");
    send_tasks(fd, 1, items, 64, FW_FRAME_WANTS_RESULTS);
    desk_expect_held(d, 64);
    for (int left = 64; left > 0;)
        left -= next_record(fd, a).count;
    send_query(fd, 2, FW_QUERY_GET, "known");
    assert_true(peer_is_silent(fd, 20));
    desk_release(d);
    for (int left = 65; left > 0; left--)
        (void)next_record(fd, a);
    /* Acceptances alone do not choke. */
    for (uint32_t i = 0; i < 10; i++)
        send_tasks(fd, 10 + i, items, 64, 0);
    for (int left = 640; left > 0;)
        left -= next_record(fd, a).count;
    free(a);
    close(fd);
    desk_close(d);
}

static void a_drained_server_says_so_to_native_peers(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    answers *a = new_answers();
    fw_net_drain(d->net);
    fw_submission items[2] = {task("echo", "[]"), task("echo", "[]")};
    for (uint8_t flags = 0; flags < 4; flags++) {
        send_tasks(fd, flags, items, 2, flags);
        for (int left = 2; left > 0;) {
            fw_record r = next_record(fd, a);
            assert_int_equal(r.kind, FW_RECORD_REFUSED);
            assert_int_equal(r.err, FW_ECLOSED);
            left -= r.count;
        }
    }
    free(a);
    close(fd);
    desk_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_is_acknowledged_and_then_answered_on_every_port),
        cmocka_unit_test(without_wanting_results_only_acceptances_come),
        cmocka_unit_test(results_of_many_requests_share_frames),
        cmocka_unit_test(large_results_get_a_frame_of_their_own),
        cmocka_unit_test(queries_tell_states_and_never_seen_from_expired),
        cmocka_unit_test(a_query_does_not_overtake_what_was_submitted_before_it),
        cmocka_unit_test(batches_are_answered_as_one),
        cmocka_unit_test(broken_items_are_refused_alone_and_broken_frames_whole),
        cmocka_unit_test(pings_and_greetings_come_back),
        cmocka_unit_test(json_and_frames_share_a_connection),
        cmocka_unit_test(frames_through_devices_find_their_way_back),
        cmocka_unit_test(items_whose_results_are_due_count_as_open),
        cmocka_unit_test(a_drained_server_says_so_to_native_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
