/* callback_test.c - net/callback.c, net/pair.c: notices reach real Pair0 listeners, and bad ones
 * delay nobody. SPDX-License-Identifier: Apache-2.0 */
#include "net/callback.h"

#include "desk.h"
#include "nng_peer.h"

typedef struct figures {
    fw_callbacks *callbacks;
    uint64_t sent, failed;
} figures;

static bool has_reached(void *context)
{
    figures *wanted = context;
    uint64_t sent, failed;
    fw_callbacks_count(wanted->callbacks, &sent, &failed);
    return sent >= wanted->sent && failed >= wanted->failed;
}

static void expect_figures(fw_callbacks *callbacks, uint64_t sent, uint64_t failed)
{
    figures wanted = {callbacks, sent, failed};
    if (!peer_comes_true(has_reached, &wanted)) {
        fw_callbacks_count(callbacks, &wanted.sent, &wanted.failed);
        fail_msg("sent %llu failed %llu", (unsigned long long)wanted.sent,
                 (unsigned long long)wanted.failed);
    }
    fw_callbacks_count(callbacks, &wanted.sent, &wanted.failed);
    assert_int_equal(wanted.sent, sent);
    assert_int_equal(wanted.failed, failed);
}

static nng_peer listen_pair(char url[64])
{
    nng_peer pair = nng_peer_start("pair", 0);
    nng_peer_hear(&pair, url, 64);
    return pair;
}

/* A listening socket of the kernel, whose peers are not answered. */
static int listen_raw(char url[64])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(url, 64, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static int accept_raw(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&one, 1, PEER_WAIT_S * 1000), 1);
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    struct timeval wait = {.tv_sec = PEER_WAIT_S};
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return peer;
}

static void post(fw_callbacks *callbacks, const char *url, const char *text)
{
    assert_true(fw_callbacks_post(callbacks, desk_text(url), desk_text(text)));
}

static void notices_arrive_once_and_in_order(void **state)
{
    (void)state;
    enum { NOTICES = 500 };
    fw_callbacks *callbacks;
    char url[64], text[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    nng_peer pair = listen_pair(url);
    for (int i = 0; i < NOTICES; i++) {
        snprintf(text, sizeof text, "notice %d", i);
        post(callbacks, url, text);
    }
    for (int i = 0; i < NOTICES; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "notice %d", i);
        nng_peer_hear(&pair, text, sizeof text);
        assert_string_equal(text, expected);
    }
    expect_figures(callbacks, NOTICES, 0);
    /* After it hung up, it dials again. */
    post(callbacks, url, "again");
    nng_peer_hear(&pair, text, sizeof text);
    assert_string_equal(text, "again");
    expect_figures(callbacks, NOTICES + 1, 0);
    nng_peer_stop(&pair);
    fw_callbacks_stop(callbacks, 0);
}

static void a_large_notice_arrives_whole(void **state)
{
    (void)state;
    enum { LARGE = 4 * 1024 * 1024 };
    fw_callbacks *callbacks;
    char url[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    nng_peer pair = listen_pair(url);
    char *text = malloc(LARGE + 1);
    memset(text, 'n', LARGE);
    text[LARGE] = 0;
    post(callbacks, url, text);
    char *heard = malloc(LARGE + 2);
    nng_peer_hear(&pair, heard, LARGE + 2);
    assert_string_equal(heard, text);
    free(heard);
    expect_figures(callbacks, 1, 0);
    free(text);
    nng_peer_stop(&pair);
    fw_callbacks_stop(callbacks, 0);
}

static void addresses_without_a_listener_fail_after_three_tries_and_delay_nobody(void **state)
{
    (void)state;
    fw_callbacks *callbacks;
    char url[64], nobody[64], silent_url[64], text[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    close(listen_raw(nobody)); /* was free a moment ago */
    int silent = listen_raw(silent_url);
    nng_peer pair = listen_pair(url);
    for (int i = 0; i < 10; i++) {
        post(callbacks, nobody, "unheard");
        post(callbacks, silent_url, "unheard");
        post(callbacks, url, "heard");
        nng_peer_hear(&pair, text, sizeof text);
        assert_string_equal(text, "heard");
    }
    expect_figures(callbacks, 10, 10);
    nng_peer_stop(&pair);
    fw_callbacks_stop(callbacks, 0); /* gives the silent one up */
    close(silent);
}

static void a_notice_is_sent_again_when_the_listener_hangs_up(void **state)
{
    (void)state;
    fw_callbacks *callbacks;
    char url[64], text[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    int listener = listen_raw(url);
    post(callbacks, url, "try me");
    /* Hangs up twice right after the handshake, as a Pair0 that has a peer already. */
    for (int i = 0; i < 2; i++) {
        int peer = accept_raw(listener);
        peer_handshake(peer, FW_SP_PAIR0, FW_SP_PAIR0);
        size_t len = peer_message(peer, text, sizeof text);
        assert_int_equal(len, 6);
        close(peer);
    }
    int peer = accept_raw(listener);
    peer_handshake(peer, FW_SP_PAIR0, FW_SP_PAIR0);
    size_t len = peer_message(peer, text, sizeof text);
    assert_int_equal(len, 6);
    assert_memory_equal(text, "try me", 6);
    expect_figures(callbacks, 1, 0);
    peer_expect_end(peer);
    close(peer);
    close(listener);
    fw_callbacks_stop(callbacks, 0);
}

static void a_listener_that_always_hangs_up_costs_three_tries(void **state)
{
    (void)state;
    fw_callbacks *callbacks;
    char url[64], text[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    int listener = listen_raw(url);
    post(callbacks, url, "try me");
    for (int i = 0; i < FW_CALLBACK_TRIES; i++) {
        int peer = accept_raw(listener);
        peer_handshake(peer, FW_SP_PAIR0, FW_SP_PAIR0);
        peer_message(peer, text, sizeof text);
        peer_reset(peer);
    }
    expect_figures(callbacks, 0, 1);
    /* Or one that is something else. */
    post(callbacks, url, "try me");
    for (int i = 0; i < FW_CALLBACK_TRIES; i++) {
        int peer = accept_raw(listener);
        peer_send(peer, "HTTP/1.1", 8);
        peer_expect_end(peer);
        close(peer);
    }
    expect_figures(callbacks, 0, 2);
    close(listener);
    fw_callbacks_stop(callbacks, 0);
}

static void what_is_over_a_limit_is_refused_at_once(void **state)
{
    (void)state;
    fw_callbacks *callbacks;
    char url[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    int silent = listen_raw(url);
    static const char *const bad[] = {"", "ipc:///tmp/x", "tcp://", "tcp://h", "http://h:1"};
    for (size_t i = 0; i < 5; i++)
        assert_false(fw_callbacks_post(callbacks, desk_text(bad[i]), desk_text("x")));
    assert_false(fw_callbacks_post(callbacks, desk_text(url), desk_text("")));
    size_t taken = 0;
    while (fw_callbacks_post(callbacks, desk_text(url), desk_text("x")))
        taken++;
    assert_int_equal(taken, FW_CALLBACK_NOTICES_MAX);
    expect_figures(callbacks, 0, 7);
    fw_callbacks_stop(callbacks, 0);
    close(silent);
}

static void stopping_sends_what_is_waiting(void **state)
{
    (void)state;
    fw_callbacks *callbacks;
    char url[64], text[64];
    assert_int_equal(fw_callbacks_start(&callbacks), 0);
    nng_peer pair = listen_pair(url);
    for (int i = 0; i < 20; i++)
        post(callbacks, url, "last words");
    fw_callbacks_stop(callbacks, PEER_WAIT_S * FW_NS_PER_S);
    for (int i = 0; i < 20; i++)
        nng_peer_hear(&pair, text, sizeof text);
    nng_peer_stop(&pair);
}

static void the_notice_is_what_python_sends(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    char url[64], callback[256], text[1024];
    nng_peer pair = listen_pair(url);
    snprintf(callback, sizeof callback, "{\"address\": \"%s\", \"data\": {\"k\": [1]}}", url);
    fw_result_view result = {.id = desk_text("t1"),
                             .status = FW_SUCCESS,
                             .result = desk_text("{\"a\": 1}"),
                             .callback = desk_text(callback),
                             .started_wall_ns = 1,
                             .finished_wall_ns = FW_NS_PER_S};
    fw_net_callback(d->net, (fw_span){0}, &result);
    nng_peer_hear(&pair, text, sizeof text);
    assert_ptr_equal(strstr(text, "{\"task_id\": \"t1\", \"status\": \"success\", \"result\": "
                                  "{\"a\": 1}, \"error\": null, \"started_at\": \""),
                     text);
    assert_non_null(strstr(text, "\"callback_data\": {\"k\": [1]}}"));
    fw_net_stats stats;
    do
        fw_net_snapshot(d->net, &stats);
    while (stats.callbacks_sent == 0);
    nng_peer_stop(&pair);
    desk_close(d);
}

int main(int argc, char **argv)
{
    nng_peer_become(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notices_arrive_once_and_in_order),
        cmocka_unit_test(a_large_notice_arrives_whole),
        cmocka_unit_test(addresses_without_a_listener_fail_after_three_tries_and_delay_nobody),
        cmocka_unit_test(a_notice_is_sent_again_when_the_listener_hangs_up),
        cmocka_unit_test(a_listener_that_always_hangs_up_costs_three_tries),
        cmocka_unit_test(what_is_over_a_limit_is_refused_at_once),
        cmocka_unit_test(stopping_sends_what_is_waiting),
        cmocka_unit_test(the_notice_is_what_python_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
