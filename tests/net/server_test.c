/* server_test.c - net/server.c, net/ports.c, net/intake.c, net/answers.c: six ports with real
 * peers, JSON and errors. (Native frames: native_test.c.) SPDX-License-Identifier: Apache-2.0 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "desk.h"

static void ask(int fd, const char *json, char *answer, size_t capacity)
{
    static uint32_t ids;
    uint32_t id = ++ids;
    peer_ask(fd, id, json, strlen(json));
    assert_int_equal(peer_answer(fd, answer, capacity), id);
}

static void expect(int fd, const char *json, const char *part)
{
    char answer[65536];
    ask(fd, json, answer, sizeof answer);
    if (!strstr(answer, part))
        fail_msg("asked %s\n got %s\n without %s", json, answer, part);
}

static nng_socket req_to(unsigned port)
{
    nng_socket socket;
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    assert_int_equal(nng_req0_open(&socket), 0);
    nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PEER_WAIT_S * 1000);
    nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, PEER_WAIT_S * 1000);
    nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, -1);
    assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
    return socket;
}

static bool four_went_in_and_out(void *context)
{
    fw_net_stats stats;
    fw_net_snapshot(((desk *)context)->net, &stats);
    return stats.accepted == 4 && stats.messages_in == 4 && stats.messages_out == 4;
}

static void an_nng_client_gets_a_task_result_on_each_task_port(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    for (unsigned port = 0; port < 4; port++) {
        nng_socket socket = req_to(d->base + port);
        char task[256];
        nng_msg *message;
        snprintf(task, sizeof task,
                 "{\"id\": \"task-%u\", \"name\": \"echo\", \"args\": [%u, \"x\"], "
                 "\"retry_count\": 0}",
                 port, port);
        assert_int_equal(nng_msg_alloc(&message, 0), 0);
        nng_msg_append(message, task, strlen(task));
        assert_int_equal(nng_sendmsg(socket, message, 0), 0);
        assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
        char answer[512];
        snprintf(answer, sizeof answer, "%.*s", (int)nng_msg_len(message),
                 (char *)nng_msg_body(message));
        nng_msg_free(message);
        nng_close(socket);
        char begin[128];
        snprintf(begin, sizeof begin,
                 "{\"task_id\": \"task-%u\", \"status\": \"success\", \"result\": [%u, \"x\"], "
                 "\"error\": null",
                 port, port);
        assert_memory_equal(answer, begin, strlen(begin));
    }
    assert_true(peer_comes_true(four_went_in_and_out, d));
    desk_close(d);
}

/* What a Rep0 socket without contexts gets wrong: every answer goes to its own request. */
static void answers_out_of_order_find_their_own_requests(void **state)
{
    (void)state;
    enum { OPEN = 64 };
    desk *d = desk_open_usual();
    nng_socket socket = req_to(d->base + 2);
    nng_ctx contexts[OPEN];
    nng_aio *aios[OPEN];
    for (int i = 0; i < OPEN; i++) {
        nng_msg *message;
        char task[128];
        snprintf(task, sizeof task, "{\"id\": \"t%d\", \"name\": \"hold\", \"args\": [%d]}", i, i);
        assert_int_equal(nng_ctx_open(&contexts[i], socket), 0);
        assert_int_equal(nng_aio_alloc(&aios[i], NULL, NULL), 0);
        nng_aio_set_timeout(aios[i], PEER_WAIT_S * 1000);
        nng_msg_alloc(&message, 0);
        nng_msg_append(message, task, strlen(task));
        nng_aio_set_msg(aios[i], message);
        nng_ctx_send(contexts[i], aios[i]);
        nng_aio_wait(aios[i]);
        assert_int_equal(nng_aio_result(aios[i]), 0);
        nng_ctx_recv(contexts[i], aios[i]);
    }
    desk_expect_held(d, OPEN);
    assert_int_equal(desk_release(d), OPEN);
    for (int i = 0; i < OPEN; i++) {
        char part[64];
        nng_aio_wait(aios[i]);
        assert_int_equal(nng_aio_result(aios[i]), 0);
        nng_msg *message = nng_aio_get_msg(aios[i]);
        snprintf(part, sizeof part,
                 "{\"task_id\": \"t%d\", \"status\": \"success\", \"result\": [%d]", i, i);
        assert_memory_equal(nng_msg_body(message), part, strlen(part));
        nng_msg_free(message);
        nng_aio_free(aios[i]);
        nng_ctx_close(contexts[i]);
    }
    nng_close(socket);
    desk_close(d);
}

static void what_cannot_be_understood_is_answered_in_the_shape_of_its_port(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "nonsense",
        "[]",
        "null",
        "\xff\xfe",
        "{\"name\": 7}",
        "{\"id\": \"an-id\", \"name\": \"x\", \"priority\": \"urgent\"}",
        "{\"name\": \"x\", \"kwargs\": null}",
        "{}"};
    desk *d = desk_open_usual();
    size_t count = sizeof bad / sizeof *bad;
    int task = peer_dial_req(d->base), query = peer_dial_req(d->base + 4),
        registration = peer_dial_req(d->base + 5);
    for (size_t i = 0; i < count; i++) {
        expect(task, bad[i], "\"status\": \"failure\"");
        expect(task, bad[i], "{\"task_id\": \"");
        expect(query, bad[i], "\"error\": \"");
        expect(registration, bad[i], "\"status\": \"error\"");
    }
    expect(task, bad[7], "\"task_id\": \"an-id\"");
    expect(task, bad[7], "priority");
    expect(query, "[]", "{\"found\": false, \"cancelled\": false, \"error\": ");
    expect(query, "{\"task_id\": \"\"}", "{\"error\": \"Missing task_id\"}");
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_int_equal(stats.refused[FW_REFUSED_MALFORMED], 4 * count + 4);
    assert_int_equal(d->log_len, 0);
    /* And the connections still serve. */
    expect(task, "{\"name\": \"echo\"}", "\"success\"");
    expect(query, "{\"task_id\": \"known\"}", "\"found\": true");
    close(task);
    close(query);
    close(registration);
    desk_close(d);
}

static void pickles_are_refused_readably(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    for (unsigned port = 0; port < 6; port++) {
        int fd = peer_dial_req(d->base + port);
        char answer[1024];
        peer_ask(fd, 1, "\x80\x04\x95\x10", 4);
        peer_answer(fd, answer, sizeof answer);
        assert_memory_equal(answer, "\x80\x02\x7d\x28", 4);
        close(fd);
    }
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_int_equal(stats.refused[FW_REFUSED_PICKLE], 6);
    desk_close(d);
}

static void batches_are_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base + 1);
    expect(fd,
           "{\"action\": \"batch_submit\", \"tasks\": [{\"id\": \"a\", \"name\": \"echo\"}, "
           "{\"id\": \"b\", \"name\": \"echo\"}]}",
           "{\"batch_accepted\": true, \"task_ids\": [\"a\", \"b\"]}");
    expect(fd, "{\"action\": \"batch_submit\", \"tasks\": []}",
           "{\"batch_accepted\": true, \"task_ids\": []}");
    assert_string_equal(d->log, "bb");
    expect(fd,
           "{\"action\": \"batch_submit\", \"tasks\": [{\"id\": \"a\", \"name\": \"echo\"}, "
           "{\"id\": \"b\", \"name\": 5}]}",
           "{\"batch_accepted\": false, \"task_ids\": [], \"error\": \"");
    assert_string_equal(d->refused, "2 a b");
    expect(fd, "{\"action\": \"batch_submit\"}", "\"batch_accepted\": false");
    assert_string_equal(d->log, "bb");
    expect(fd, "{\"action\": \"batch_submit\", \"tasks\": [{\"name\": \"nobody\"}]}",
           "\"error\": \"no room for nobody\"");
    close(fd);
    desk_close(d);
}

static void queries_cancels_and_registrations_are_answered(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int query = peer_dial_req(d->base + 4), registration = peer_dial_req(d->base + 5);
    expect(query, "{\"task_id\": \"known\"}",
           "{\"found\": true, \"result\": {\"task_id\": \"known\"");
    expect(query, "{\"task_id\": \"other\"}",
           "{\"found\": false, \"error\": \"Task other not found in cache or expired\"");
    expect(query, "{\"task_id\": \"running\"}", "\"found\": false");
    expect(query, "{\"action\": \"cancel\", \"task_id\": \"running\"}",
           "{\"cancelled\": true, \"task_id\": \"running\"}");
    expect(query, "{\"action\": \"cancel\", \"task_id\": \"known\"}",
           "{\"cancelled\": false, \"task_id\": \"known\"}");
    expect(registration,
           "{\"subworker_id\": \"sw1\", \"address\": \"tcp://127.0.0.1:5561\", \"status\": "
           "\"active\"}",
           "{\"status\": \"registered\", \"subworker_id\": \"sw1\"}");
    expect(registration,
           "{\"subworker_id\": \"bad\", \"address\": \"tcp://127.0.0.1:5561\", \"status\": "
           "\"active\"}",
           "\"error\": \"not you\"");
    assert_string_equal(d->log, "qqqccrr");
    close(query);
    close(registration);
    desk_close(d);
}

static void one_read_goes_up_in_one_call(void **state)
{
    (void)state;
    enum { TASKS = 200 };
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    unsigned char *many = malloc(TASKS * 256);
    size_t len = 0;
    for (uint32_t id = 1; id <= TASKS; id++) {
        char task[128];
        int n = snprintf(task, sizeof task, "{\"id\": \"%u\", \"name\": \"echo\"}", id);
        len += peer_request(many + len, &id, 1, task, (size_t)n);
    }
    peer_send(fd, many, len);
    for (uint32_t id = 1; id <= TASKS; id++) {
        char answer[512];
        assert_int_equal(peer_answer(fd, answer, sizeof answer), id);
    }
    pthread_mutex_lock(&d->lock);
    assert_int_equal(d->log_len, TASKS);
    assert_true(d->calls < TASKS / 4);
    pthread_mutex_unlock(&d->lock);
    free(many);
    close(fd);
    desk_close(d);
}

static void devices_on_the_way_get_all_their_words_back(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    static const char task[] = "{\"id\": \"far\", \"name\": \"hold\", \"args\": [1]}";
    for (size_t words = 1; words <= FW_SP_WORDS_MAX; words++) {
        uint32_t ids[FW_SP_WORDS_MAX] = {11, 22, 33, 44, 55, 66, 77, 88};
        unsigned char message[256], answer[1024];
        peer_send(fd, message, peer_request(message, ids, words, task, sizeof task - 1));
        desk_expect_held(d, 1);
        assert_int_equal(desk_release(d), 1);
        size_t len = peer_message(fd, answer, sizeof answer);
        assert_true(len > words * 4);
        assert_memory_equal(answer, message + FW_SP_LENGTH_BYTES, words * 4);
        assert_memory_equal(answer + words * 4, "{\"task_id\": \"far\"", 17);
    }
    /* Malformed ones find their way back as well. */
    uint32_t two[2] = {5, 6};
    unsigned char message[64], answer[1024];
    peer_send(fd, message, peer_request(message, two, 2, "{", 1));
    peer_message(fd, answer, sizeof answer);
    assert_memory_equal(answer, message + FW_SP_LENGTH_BYTES, 8);
    close(fd);
    desk_close(d);
}

static bool dropped_two(void *context)
{
    fw_net_stats stats;
    fw_net_snapshot(((desk *)context)->net, &stats);
    return stats.answers_dropped >= 2 && stats.connections == 1;
}

static void answers_to_peers_that_left_go_nowhere(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int gone = peer_dial_req(d->base);
    peer_ask(gone, 1, "{\"name\": \"hold\"}", 16);
    peer_ask(gone, 2, "{\"name\": \"hold\"}", 16);
    desk_expect_held(d, 2);
    close(gone);
    fw_net_stats stats;
    do
        fw_net_snapshot(d->net, &stats);
    while (stats.connections > 0);
    /* The next peer gets the same slot, and nothing that was meant for another. */
    int next = peer_dial_req(d->base);
    assert_int_equal(desk_release(d), 2);
    assert_true(peer_comes_true(dropped_two, d));
    expect(next, "{\"id\": \"own\", \"name\": \"echo\"}", "{\"task_id\": \"own\"");
    close(next);
    desk_close(d);
}

static void draining_refuses_tasks_and_answers_queries(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int task = peer_dial_req(d->base), query = peer_dial_req(d->base + 4);
    peer_ask(task, 99, "{\"id\": \"early\", \"name\": \"hold\"}", 31);
    desk_expect_held(d, 1);
    fw_net_drain(d->net);
    expect(task, "{\"id\": \"late\", \"name\": \"echo\"}",
           "{\"task_id\": \"late\", \"status\": \"failure\", \"result\": null, \"error\": "
           "\"control plane is shutting down\"");
    expect(task, "{\"action\": \"batch_submit\", \"tasks\": []}", "\"batch_accepted\": false");
    expect(query, "{\"task_id\": \"known\"}", "\"found\": true");
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_int_equal(stats.refused[FW_REFUSED_DRAINING], 2);
    assert_int_equal(desk_release(d), 1);
    char answer[512];
    assert_int_equal(peer_answer(task, answer, sizeof answer), 99);
    assert_non_null(strstr(answer, "\"success\""));
    close(task);
    close(query);
    desk_close(d);
}

static void stopping_sends_what_was_answered(void **state)
{
    (void)state;
    enum { OPEN = 1000 };
    desk *d = desk_open_usual();
    int fd = peer_dial_req(d->base);
    for (uint32_t id = 1; id <= OPEN; id++)
        peer_ask(fd, id, "{\"name\": \"hold\"}", 16);
    desk_expect_held(d, OPEN);
    desk_release(d);
    fw_net_stop(d->net, 5 * FW_NS_PER_S);
    for (int i = 0; i < OPEN; i++) {
        char answer[512];
        peer_answer(fd, answer, sizeof answer);
    }
    peer_expect_end(fd);
    close(fd);
    free(d);
}

static void the_app_refuses_in_the_right_shape(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    int task = peer_dial_req(d->base), query = peer_dial_req(d->base + 4);
    peer_ask(task, 1, "{\"name\": \"hold\"}", 16);
    peer_ask(query, 2, "{\"action\": \"wait\", \"task_id\": \"running\"}", 40);
    desk_expect_held(d, 2);
    for (int i = 0; i < 2; i++)
        fw_net_answer_refusal(d->net, &d->held[i].reply, desk_text("it"), FW_REFUSED_FULL, NULL);
    d->held_count = 0;
    fw_net_flush(d->net);
    char answer[512];
    peer_answer(task, answer, sizeof answer);
    assert_ptr_equal(strstr(answer, "{\"task_id\": \"it\", \"status\": \"failure\""), answer);
    assert_non_null(strstr(answer, "full"));
    peer_answer(query, answer, sizeof answer);
    assert_ptr_equal(strstr(answer, "{\"found\": false, \"cancelled\": false, \"error\": "),
                     answer);
    close(task);
    close(query);
    desk_close(d);
}

static int try_start(const fw_net_config *config, char *error, size_t capacity)
{
    fw_net *net = NULL;
    fw_net_ops ops = {.submit = desk_submit,
                      .submit_batch = desk_batch,
                      .query = desk_query,
                      .registration = desk_registration};
    int err = fw_net_start(&net, error, capacity, config, &ops);
    if (err == 0)
        fw_net_stop(net, 0);
    return err;
}

static void everything_is_bound_or_nothing(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    fw_net_config config;
    char error[256], base[64], busy[64];
    /* A base three below: its fourth port is our first. */
    desk_config(&config);
    snprintf(base, sizeof base, "tcp://127.0.0.1:%u", d->base - 3);
    snprintf(busy, sizeof busy, "tcp://127.0.0.1:%u: ", d->base);
    config.base_address = base;
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EPERM);
    if (strncmp(error, busy, strlen(busy)) != 0)
        print_message("another port was busy before ours: %s\n", error);
    assert_non_null(strstr(error, "in use"));
    desk_config(&config);
    snprintf(base, sizeof base, "tcp://127.0.0.1:%u", d->discovery);
    config.discovery_address = base;
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EPERM);
    assert_non_null(strstr(error, "in use"));
    desk_config(&config);
    config.native_pub_port = d->pub;
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EPERM);
    desk_config(&config);
    assert_int_equal(try_start(&config, error, sizeof error), 0);
    desk_close(d);
}

static void wrong_settings_are_named(void **state)
{
    (void)state;
    fw_net_config config;
    char error[256];
    desk_config(&config);
    config.worker_id = "a:b";
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EINVAL);
    assert_non_null(strstr(error, "worker id"));
    desk_config(&config);
    config.base_address = "127.0.0.1:5555";
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EINVAL);
    assert_non_null(strstr(error, "127.0.0.1:5555"));
    desk_config(&config);
    config.discovery_address = "tcp://x";
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EINVAL);
    desk_config(&config);
    config.base_address = "tcp://127.0.0.1:65534";
    assert_true(try_start(&config, error, sizeof error) < 0);
    desk_config(&config);
    config.connections_max = 0;
    assert_int_equal(try_start(&config, error, sizeof error), -FW_EINVAL);
}

static void another_management_port_is_served_beside(void **state)
{
    (void)state;
    desk *probe = desk_open_usual();
    unsigned management = probe->base;
    desk_close(probe);
    fw_net_config config;
    desk_config(&config);
    config.management_port = management;
    desk *d = desk_open(&config);
    unsigned ports[] = {d->base + 5, management};
    for (int i = 0; i < 2; i++) {
        int fd = peer_dial_req(ports[i]);
        expect(fd, "{\"subworker_id\": \"s\", \"address\": \"tcp://h:1\", \"status\": \"active\"}",
               "\"registered\"");
        close(fd);
    }
    desk_close(d);
}

static void wildcards_are_announced_as_something_to_dial(void **state)
{
    (void)state;
    fw_net_config config;
    desk_config(&config);
    config.base_address = "tcp://0.0.0.0:0";
    desk *d = desk_open(&config);
    fw_tcp_address address;
    assert_int_equal(fw_tcp_address_parse(&address, desk_text(fw_net_address(d->net))), 0);
    assert_false(fw_tcp_address_is_wildcard(&address));
    assert_int_equal(address.port, d->base);
    desk_close(d);
    config.advertise_address = "tcp://elsewhere.example:1234";
    d = desk_open(&config);
    assert_string_equal(fw_net_address(d->net), "tcp://elsewhere.example:1234");
    desk_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_nng_client_gets_a_task_result_on_each_task_port),
        cmocka_unit_test(answers_out_of_order_find_their_own_requests),
        cmocka_unit_test(what_cannot_be_understood_is_answered_in_the_shape_of_its_port),
        cmocka_unit_test(pickles_are_refused_readably),
        cmocka_unit_test(batches_are_taken_whole_or_not_at_all),
        cmocka_unit_test(queries_cancels_and_registrations_are_answered),
        cmocka_unit_test(one_read_goes_up_in_one_call),
        cmocka_unit_test(devices_on_the_way_get_all_their_words_back),
        cmocka_unit_test(answers_to_peers_that_left_go_nowhere),
        cmocka_unit_test(draining_refuses_tasks_and_answers_queries),
        cmocka_unit_test(stopping_sends_what_was_answered),
        cmocka_unit_test(the_app_refuses_in_the_right_shape),
        cmocka_unit_test(everything_is_bound_or_nothing),
        cmocka_unit_test(wrong_settings_are_named),
        cmocka_unit_test(another_management_port_is_served_beside),
        cmocka_unit_test(wildcards_are_announced_as_something_to_dial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
