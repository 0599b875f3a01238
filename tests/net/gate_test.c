/* gate_test.c - net/gate.c: a control plane that asks for a token, on all of its ports; and one
 * whose ports speak TLS. SPDX-License-Identifier: Apache-2.0 */
#include "net/gate.h"

#include "desk.h"
#include "net/frame.h"
#include "papers.h"
#include "tls_peer.h"

enum { ROOM = 4096, PORTS = 6 };
static const char sentence[] = "not permitted: this control plane asks for a token";
static const char submission[] = "{\"id\": \"t1\", \"name\": \"echo\", \"args\": [1]}";
static const char batch[] =
    "{\"action\": \"batch_submit\", \"tasks\": [{\"id\": \"t1\", \"name\": \"echo\"}]}";
static const char question[] = "{\"task_id\": \"known\"}";
static const char registration[] =
    "{\"subworker_id\": \"w\", \"address\": \"tcp://127.0.0.1:1\", \"status\": \"active\"}";

#define OFFER(token)                                                                               \
    "{\"subworker_id\": \"w\", \"address\": \"tcp://127.0.0.1:1\", \"status\": \"active\", "       \
    "\"native\": {\"v\": 1, \"epoch\": \"e\", \"pull\": \"tcp://127.0.0.1:2\", \"slots\": 1, "     \
    "\"token\": \"" token "\"}}"

static desk *open_desk(fw_net_exempt exempt)
{
    fw_net_config config;
    desk_config(&config);
    config.token = "open sesame";
    config.token_exempt = exempt;
    return desk_open(&config);
}

static fw_frame ask_frame(int fd, unsigned char answer[ROOM], const void *frame, size_t len)
{
    fw_frame out;
    peer_ask(fd, 5, frame, len);
    size_t got = peer_message(fd, answer, ROOM);
    assert_true(got > 4);
    assert_int_equal(fw_frame_open(&out, (fw_span){(const char *)answer + 4, got - 4}, NULL), 0);
    return out;
}

/* Refused for want of a token. */
static void expect_refusal(fw_frame frame, uint32_t count)
{
    fw_record record;
    assert_int_equal(fw_frame_next_record(&frame, &record), 1);
    assert_int_equal(record.kind, FW_RECORD_REFUSED);
    assert_int_equal(record.err, FW_EAUTH);
    assert_int_equal(record.count, count);
    assert_true(desk_is(record.text, sentence));
}

/* token NULL: none. => let in. */
static bool greet(int fd, const char *token)
{
    unsigned char bytes[ROOM], answer[ROOM];
    fw_hello hello = {.software = desk_text("test")};
    fw_record record;
    if (token)
        hello.token = desk_text(token);
    size_t len = fw_frame_write_hello(bytes, sizeof bytes, &hello);
    fw_frame frame = ask_frame(fd, answer, bytes, len);
    fw_frame again = frame;
    assert_int_equal(fw_frame_next_record(&frame, &record), 1);
    if (record.kind == FW_RECORD_HELLO)
        return true;
    expect_refusal(again, 1);
    return false;
}

/* => the first record that answers a submission of two tasks. */
static fw_frame submit(int fd, unsigned char answer[ROOM])
{
    unsigned char bytes[ROOM];
    fw_frame_writer writer;
    fw_submission item = {.name = desk_text("echo"),
                          .args = desk_text("[]"),
                          .kwargs = desk_text("{}"),
                          .level = FW_NORMAL};
    fw_frame_begin(&writer, bytes, sizeof bytes, FW_FRAME_SUBMIT, 0);
    for (int i = 0; i < 2; i++) {
        item.key = fw_key_random();
        assert_true(fw_frame_add_submission(&writer, &item));
    }
    return ask_frame(fd, answer, bytes, fw_frame_end(&writer));
}

static void frames_need_the_token_on_every_port(void **state)
{
    (void)state;
    desk *d = open_desk(FW_EXEMPT_LOOPBACK);
    unsigned char answer[ROOM];
    fw_record record;
    for (unsigned port = 0; port < PORTS; port++) {
        int fd = peer_dial_req(d->base + port);
        expect_refusal(submit(fd, answer), 2);
        assert_false(greet(fd, NULL));
        assert_false(greet(fd, "open sesam"));
        assert_false(greet(fd, "open sesame!"));
        expect_refusal(submit(fd, answer), 2);
        assert_true(greet(fd, "open sesame"));
        fw_frame frame = submit(fd, answer);
        assert_int_equal(fw_frame_next_record(&frame, &record), 1);
        assert_int_equal(record.kind, FW_RECORD_ACCEPTED);
        close(fd);
    }
    assert_int_equal(d->log_len, 2 * PORTS);
    /* Another connection is another one. */
    int fd = peer_dial_req(d->base);
    expect_refusal(submit(fd, answer), 2);
    close(fd);
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_int_equal(stats.refused[FW_REFUSED_AUTH], 5 * PORTS + 1);
    desk_close(d);
}

static void expect_text(int fd, const char *body, const char *expected)
{
    char answer[ROOM];
    peer_ask(fd, 9, body, strlen(body));
    peer_answer(fd, answer, sizeof answer);
    if (!strstr(answer, expected))
        fail_msg("%s\nis answered by %s\nwhich does not hold %s", body, answer, expected);
}

static const struct {
    unsigned port;
    const char *body, *refusal, *welcome;
} talks[] = {
    {2, submission, "\"task_id\": \"t1\", \"status\": \"failure\"", "\"status\": \"success\""},
    {2, batch, "\"batch_accepted\": false", "\"batch_accepted\": true"},
    {4, question, "\"found\": false", "\"found\": true"},
    {5, registration, "\"status\": \"error\"", "\"status\": \"registered\""},
};
enum { TALKS = sizeof talks / sizeof *talks };

static void json_from_this_machine_needs_none(void **state)
{
    (void)state;
    const fw_net_exempt words[] = {FW_EXEMPT_LOOPBACK, FW_EXEMPT_ALL_JSON};
    for (int i = 0; i < 2; i++) {
        desk *d = open_desk(words[i]);
        for (int t = 0; t < TALKS; t++) {
            int fd = peer_dial_req(d->base + talks[t].port);
            expect_text(fd, talks[t].body, talks[t].welcome);
            close(fd);
        }
        desk_close(d);
    }
}

static void json_is_refused_in_its_own_shape_or_let_in_by_a_greeting(void **state)
{
    (void)state;
    desk *d = open_desk(FW_EXEMPT_NONE);
    for (int t = 0; t < TALKS; t++) {
        int fd = peer_dial_req(d->base + talks[t].port);
        expect_text(fd, talks[t].body, talks[t].refusal);
        expect_text(fd, talks[t].body, sentence);
        assert_int_equal(d->log_len, t);
        assert_false(greet(fd, "wrong"));
        assert_true(greet(fd, "open sesame"));
        expect_text(fd, talks[t].body, talks[t].welcome);
        close(fd);
    }
    /* A native subworker's registration tells the token itself. */
    int fd = peer_dial_req(d->base + 5);
    expect_text(fd, OFFER("wrong"), sentence);
    expect_text(fd, OFFER("open sesame"), "\"status\": \"registered\"");
    close(fd);
    desk_close(d);
}

/* Many who guess cost the others nothing they would notice, and the log a line a second. */
static void who_guesses_does_not_disturb(void **state)
{
    (void)state;
    enum { GUESSES = 1000 };
    desk *d = open_desk(FW_EXEMPT_LOOPBACK);
    unsigned char answer[ROOM];
    fw_record record;
    int good = peer_dial_req(d->base);
    assert_true(greet(good, "open sesame"));
    for (int i = 0; i < GUESSES; i++) {
        char token[32];
        int fd = peer_dial_req(d->base + (unsigned)(i % PORTS));
        snprintf(token, sizeof token, "guess %d", i);
        assert_false(greet(fd, token));
        if (i % 100 == 0) {
            fw_frame frame = submit(good, answer);
            assert_int_equal(fw_frame_next_record(&frame, &record), 1);
            assert_int_equal(record.kind, FW_RECORD_ACCEPTED);
        }
        close(fd);
    }
    close(good);
    desk_close(d);
}

static void without_a_token_nothing_is_asked(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    assert_true(greet(fd, NULL));
    assert_true(greet(fd, "whatever"));
    expect_text(fd, submission, "\"status\": \"success\"");
    close(fd);
    desk_close(d);
}

static void all_ports_speak_tls_or_none(void **state)
{
    (void)state;
    papers all;
    char error[256];
    fw_net_config config;
    fw_tls *client;
    papers_make(&all);
    const fw_tls_config own = {.cert = all.server}, theirs = {.ca = all.ca};
    desk_config(&config);
    config.base_address = "tls+tcp://127.0.0.1:0";
    config.tls = &own;
    assert_int_equal(fw_tls_create(&client, error, sizeof error, &theirs, FW_TLS_DIALS), 0);
    desk *d = desk_open(&config);
    assert_memory_equal(fw_net_address(d->net), "tls+tcp://127.0.0.1:", 20);
    assert_memory_equal(fw_net_results_address(d->net), "tls+tcp://127.0.0.1:", 20);
    for (unsigned port = 0; port < PORTS; port++) {
        tls_peer p = tls_peer_dial_req(client, d->base + port);
        tls_peer_close(&p);
    }
    int plain = peer_dial(d->discovery);
    peer_handshake(plain, FW_SP_BUS0, FW_SP_BUS0);
    close(plain);
    desk_close(d);
    fw_tls_destroy(client);
    /* What cannot be is said. */
    fw_net *net;
    fw_net_ops ops = {.submit = desk_submit,
                      .submit_batch = desk_batch,
                      .query = desk_query,
                      .registration = desk_registration};
    config.tls = NULL;
    assert_int_equal(fw_net_start(&net, error, sizeof error, &config, &ops), -FW_EINVAL);
    assert_non_null(strstr(error, "needs a certificate"));
    config.base_address = "tcp://127.0.0.1:0";
    config.discovery_address = "tls+tcp://127.0.0.1:0";
    assert_int_equal(fw_net_start(&net, error, sizeof error, &config, &ops), -FW_EINVAL);
    assert_non_null(strstr(error, "not a tcp://host:port address"));
    papers_burn(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_need_the_token_on_every_port),
        cmocka_unit_test(json_from_this_machine_needs_none),
        cmocka_unit_test(json_is_refused_in_its_own_shape_or_let_in_by_a_greeting),
        cmocka_unit_test(who_guesses_does_not_disturb),
        cmocka_unit_test(without_a_token_nothing_is_asked),
        cmocka_unit_test(all_ports_speak_tls_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
