/* The client against a control plane that speaks frames: net/client.c, net/client_core.c,
 * net/client_open.c, net/client_native.c, net/client_discovery.c, net/client_result.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "fastworker/client.h"
#include "peer.h"

static fw_client *open_at(const peer *p, int retries, int in_flight)
{
    fw_client *c = NULL;
    const fw_client_options options = {.size = sizeof(options),
                                       .control_plane = p->address,
                                       .timeout_ms = 20000,
                                       .retries = retries,
                                       .in_flight = in_flight};
    assert_int_equal(fw_client_open(&c, &options), 0);
    assert_true(fw_client_is_native(c));
    return c;
}

static void calls_and_reads_results(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    int64_t number;
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, -1, 0);
    assert_string_equal(fw_client_address(c), p.address);
    assert_int_equal(fw_callf(c, "echo", &r, "iIdbsj", -5, INT64_C(1) << 40, 0.5, 1, "q\"", "[1]"),
                     0);
    fw_span json = fw_result_json(r);
    assert_string_equal(fw_state_name(fw_result_state(r)), "success");
    const char *expected = "[-5, 1099511627776, 0.5, true, \"q\\\"\", [1]]";
    assert_int_equal(json.len, strlen(expected));
    assert_memory_equal(json.ptr, expected, json.len);
    assert_null(fw_result_error(r));
    assert_int_equal(fw_result_started_ns(r), 1);
    assert_int_equal(fw_result_finished_ns(r), 2);
    assert_int_equal(strlen(fw_result_id(r)), 36);
    assert_int_equal(fw_result_int(r, &number), -FW_EINVAL);
    fw_result_free(r);
    assert_int_equal(fw_callf(c, "echo", &r, "x", 1), -FW_EINVAL);
    assert_int_equal(fw_in_flight(c), 0);
    fw_client_close(c);
    peer_stop(&p);
}

static void sends_and_names_tasks(void **state)
{
    (void)state;
    peer p;
    fw_id id;
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, -1, 0);
    assert_int_equal(fw_send(c, FW_SUBMIT("t"), &id), 0);
    assert_int_equal(strlen(id.s), 36);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .id = "mine-1"), &id), 0);
    assert_string_equal(id.s, "mine-1");
    fw_submit many[100];
    fw_id ids[100];
    for (int i = 0; i < 100; i++)
        many[i] = *FW_SUBMIT("t", .prio = FW_HIGH, .has_prio = 1);
    assert_int_equal(fw_send_many(c, many, 100, ids), 0);
    for (int i = 1; i < 100; i++)
        assert_string_not_equal(ids[i].s, ids[0].s);
    fw_client_close(c);
    peer_stop(&p);
}

static void refuses_wrong_arguments(void **state)
{
    (void)state;
    peer p;
    fw_result *r;
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, -1, 0);
    char long_id[64];
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[63] = '\0';
    assert_int_equal(fw_send(c, FW_SUBMIT(""), NULL), -FW_EINVAL);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .args = {"{}", 2}), NULL), -FW_EINVAL);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .kwargs = {"[]", 2}), NULL), -FW_EINVAL);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .id = long_id), NULL), -FW_EINVAL);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .countdown_ms = 1, .eta_unix_ms = 1), NULL),
                     -FW_EINVAL);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .prio = (fw_prio)9, .has_prio = 1), NULL),
                     -FW_EINVAL);
    assert_int_equal(fw_send(c, &(fw_submit){.size = 1, .task = "t"}, NULL), -FW_EABI);
    assert_int_equal(fw_get(c, "", &r), -FW_EINVAL);
    char *big = calloc(1, 2 * 1024 * 1024);
    memset(big, ' ', 2 * 1024 * 1024);
    big[0] = '[';
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .args = {big, 2 * 1024 * 1024}), NULL), -FW_EBIG);
    free(big);
    fw_client_close(c);
    peer_stop(&p);
}

static void asks_waits_and_cancels(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, -1, 0);
    assert_int_equal(fw_get(c, "some id", &r), 0);
    assert_int_equal(fw_result_state(r), FW_RUNNING);
    assert_string_equal(fw_result_id(r), "some id");
    assert_memory_equal(fw_result_json(r).ptr, "null", 4);
    fw_result_free(r);
    assert_int_equal(fw_wait(c, "some id", 0, &r), -FW_ETIME);
    assert_int_equal(fw_result_state(r), FW_RUNNING);
    fw_result_free(r);
    assert_int_equal(fw_cancel(c, "some id"), 0);
    fw_client_close(c);
    peer_stop(&p);
}

/* --- refusals --- */

static bool refuses_all(peer *p, unsigned port, uint32_t request, fw_span body)
{
    unsigned char room[1024];
    fw_frame frame;
    fw_frame_writer writer;
    (void)port;
    if (peer_greets(p, request, body))
        return true;
    FW_ASSERT(fw_frame_open(&frame, body, NULL) == 0);
    fw_frame_begin(&writer, room, sizeof(room), FW_FRAME_ANSWER, 0);
    bool submit = frame.type == FW_FRAME_SUBMIT;
    fw_frame_add_refused(&writer, request, 0, (uint16_t)frame.count,
                         submit ? FW_EFULL : FW_EEXPIRED, submit ? "queue full" : NULL);
    peer_reply(p, request, room, fw_frame_end(&writer));
    return true;
}

static void tells_refusals(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    fw_submit two[2] = {*FW_SUBMIT("t"), *FW_SUBMIT("t")};
    peer_start(&p, refuses_all, NULL);
    fw_client *c = open_at(&p, -1, 0);
    assert_int_equal(fw_send(c, FW_SUBMIT("t"), NULL), -FW_EFULL);
    assert_string_equal(fw_client_errmsg(), "queue full");
    assert_int_equal(fw_send_many(c, two, 2, NULL), -FW_EFULL);
    assert_int_equal(fw_get(c, "x", &r), -FW_EEXPIRED);
    assert_null(r);
    assert_int_equal(fw_cancel(c, "x"), -FW_EEXPIRED);
    fw_client_close(c);
    peer_stop(&p);
}

/* --- callbacks --- */

typedef struct tally {
    unsigned done, failed, closed, lost;
    unsigned char seen[20000];
} tally;

static tally counted;

static void count_echo(void *user, int err, const fw_result *r)
{
    size_t number = (size_t)user;
    counted.done += err == 0;
    counted.closed += err == -FW_ECLOSED;
    counted.lost += err == -FW_ENOCONN;
    counted.failed += err != 0;
    assert_true((r == NULL) == (err != 0));
    assert_int_equal(counted.seen[number], 0);
    counted.seen[number] = 1;
    if (err != 0)
        return;
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", number);
    fw_span json = fw_result_json(r);
    if (json.len != 4 || memcmp(json.ptr, "null", 4) != 0) {
        assert_int_equal(json.len, len);
        assert_memory_equal(json.ptr, text, json.len);
    }
}

static int send_number(fw_client *c, size_t number, int accept_only)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", number);
    return fw_send_async(c, FW_SUBMIT("echo", .args = {text, (size_t)len}), accept_only, count_echo,
                         (void *)number, NULL);
}

static void answers_each_callback_once(void **state)
{
    (void)state;
    peer p;
    peer_start(&p, peer_native, NULL);
    memset(&counted, 0, sizeof(counted));
    fw_client *c = open_at(&p, -1, 0);
    for (size_t i = 0; i < 20000; i++) {
        int rc;
        while ((rc = send_number(c, i, i % 7 == 0)) == -FW_EFULL)
            assert_true(fw_dispatch(c, -1) > 0);
        assert_int_equal(rc, 0);
    }
    while (fw_in_flight(c) > 0)
        assert_true(fw_dispatch(c, 20000) > 0);
    assert_int_equal(counted.done, 20000);
    assert_int_equal(fw_dispatch(c, -1), 0);
    fw_client_close(c);
    peer_stop(&p);
}

static bool keeps_silent(peer *p, unsigned port, uint32_t request, fw_span body)
{
    (void)port;
    peer_greets(p, request, body);
    return true;
}

static void limits_what_is_in_flight(void **state)
{
    (void)state;
    peer p;
    peer_start(&p, keeps_silent, NULL);
    memset(&counted, 0, sizeof(counted));
    fw_client *c = open_at(&p, -1, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(send_number(c, i, 0), 0);
    assert_int_equal(send_number(c, 10, 0), -FW_EFULL);
    assert_int_equal(fw_in_flight(c), 10);
    assert_int_equal(fw_dispatch(c, 0), 0);
    assert_int_equal(counted.failed, 0);
    fw_client_close(c);
    assert_int_equal(counted.closed, 10);
    peer_stop(&p);
}

static void gives_up_waiting_in_time(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    peer_start(&p, keeps_silent, NULL);
    fw_client *c = open_at(&p, -1, 4);
    /* More often than there is room for: what is given up does not count. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(fw_call_task(c, FW_SUBMIT("t"), 1, &r), -FW_ETIME);
    assert_null(r);
    assert_int_equal(fw_in_flight(c), 0);
    fw_client_close(c);
    peer_stop(&p);
}

/* --- broken connections --- */

/* Answers the first half of every first frame, then drops the connection; the next connection is
 * served well, and must not see an id again that was answered. */
typedef struct flaky {
    bool dropped;
    unsigned seen_twice, again;
    size_t answered_count;
    fw_key answered[4096];
} flaky;

static bool was_answered(const flaky *f, fw_key key)
{
    for (size_t i = 0; i < f->answered_count; i++)
        if (fw_key_equal(f->answered[i], key))
            return true;
    return false;
}

static bool drops_once(peer *p, unsigned port, uint32_t request, fw_span body)
{
    static unsigned char room[1024 * 1024];
    flaky *f = p->context;
    fw_frame frame;
    fw_frame_writer writer;
    fw_scratch scratch = {.first = NULL};
    fw_submission task;
    const fw_reply_to reply = {.request = request};
    (void)port;
    if (peer_greets(p, request, body))
        return true;
    FW_ASSERT(fw_frame_open(&frame, body, &reply) == 0);
    fw_frame_begin(&writer, room, sizeof(room), FW_FRAME_ANSWER, 0);
    bool half = !f->dropped && frame.count > 10;
    for (uint32_t i = 0; fw_frame_next_submission(&frame, &task, &scratch) == 1; i++) {
        const fw_result_view result = {.status = FW_SUCCESS, .result = task.args};
        f->seen_twice += was_answered(f, task.key);
        f->again += f->dropped;
        if (half && i % 2 == 0)
            continue;
        f->answered[f->answered_count++] = task.key;
        fw_frame_add_result(&writer, request, task.reply.item, &result);
    }
    fw_scratch_fini(&scratch);
    peer_reply(p, request, room, fw_frame_end(&writer));
    f->dropped |= half;
    return !half;
}

static void sends_again_what_is_unanswered(void **state)
{
    (void)state;
    peer p;
    static flaky f;
    memset(&f, 0, sizeof(f));
    memset(&counted, 0, sizeof(counted));
    peer_start(&p, drops_once, &f);
    fw_client *c = open_at(&p, 5, 2000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(send_number(c, i, 0), 0);
    while (fw_in_flight(c) > 0)
        assert_true(fw_dispatch(c, 20000) >= 0);
    fw_client_close(c);
    peer_stop(&p);
    assert_int_equal(counted.done, 2000);
    assert_true(f.dropped);
    assert_true(f.again > 0);
    assert_int_equal(f.seen_twice, 0);
}

static void ends_what_nobody_can_answer(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    peer_start(&p, keeps_silent, NULL);
    memset(&counted, 0, sizeof(counted));
    fw_client *c = open_at(&p, -1, 0);
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(send_number(c, i, 0), 0);
    peer_stop(&p);
    while (fw_in_flight(c) > 0)
        assert_true(fw_dispatch(c, 20000) >= 0);
    assert_int_equal(counted.lost, 600);
    assert_non_null(strstr(fw_client_errmsg(), "refused"));
    /* The client is as good as before once somebody is there again. */
    assert_int_equal(fw_callf(c, "t", &r, ""), -FW_ENOCONN);
    p.script = peer_native;
    peer_restart(&p);
    assert_int_equal(fw_callf(c, "t", &r, "i", 7), 0);
    fw_result_free(r);
    fw_client_close(c);
    peer_stop(&p);
}

/* As an event loop does it: never sleeping in the client, only when its descriptor is readable. */
static void reconnects_from_an_event_loop(void **state)
{
    (void)state;
    peer p;
    peer_start(&p, keeps_silent, NULL);
    memset(&counted, 0, sizeof(counted));
    fw_client *c = open_at(&p, 8, 0);
    struct pollfd ready = {.fd = fw_fd(c), .events = POLLIN};
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(send_number(c, i, 0), 0);
    fw_flush(c);
    peer_stop(&p);
    p.script = peer_native;
    /* Long enough that the first try finds nobody. */
    for (int looks = 0; looks < 3; looks++) {
        assert_int_equal(poll(&ready, 1, 20000), 1);
        assert_int_equal(fw_dispatch(c, 0), 0);
    }
    peer_restart(&p);
    while (counted.done < 10) {
        assert_int_equal(poll(&ready, 1, 20000), 1);
        assert_true(fw_dispatch(c, 0) >= 0);
    }
    fw_client_close(c);
    peer_stop(&p);
}

static void survives_a_restart(void **state)
{
    (void)state;
    peer p;
    fw_result *r = NULL;
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, 8, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fw_callf(c, "t", &r, "i", i), 0);
        fw_result_free(r);
        peer_stop(&p);
        peer_restart(&p);
    }
    fw_client_close(c);
    peer_stop(&p);
}

/* --- inside callbacks --- */

typedef struct chain {
    fw_client *client;
    int left;
    int calls;
} chain;

static void submit_next(void *user, int err, const fw_result *r)
{
    chain *at = user;
    fw_result *inner = NULL;
    assert_int_equal(err, 0);
    assert_non_null(r);
    /* A blocking call inside a callback, and the borrowed result is still whole afterwards. */
    assert_int_equal(fw_callf(at->client, "inner", &inner, "i", at->left), 0);
    fw_result_free(inner);
    assert_memory_equal(fw_result_json(r).ptr, "[\"outer\"]", 9);
    at->calls++;
    if (at->left-- > 0)
        assert_int_equal(fw_send_async(at->client, FW_SUBMIT("t", .args = {"[\"outer\"]", 9}), 0,
                                       submit_next, at, NULL),
                         0);
    else
        fw_client_close(at->client);
}

static void may_submit_and_close_in_callbacks(void **state)
{
    (void)state;
    peer p;
    peer_start(&p, peer_native, NULL);
    chain at = {.client = open_at(&p, -1, 0), .left = 100};
    assert_int_equal(fw_send_async(at.client, FW_SUBMIT("t", .args = {"[\"outer\"]", 9}), 0,
                                   submit_next, &at, NULL),
                     0);
    while (at.calls <= 100)
        assert_true(fw_dispatch(at.client, 20000) != -FW_ECLOSED || at.calls == 101);
    assert_int_equal(at.calls, 101);
    peer_stop(&p);
}

/* --- threads --- */

static void *call_often(void *argument)
{
    fw_client *c = argument;
    for (int i = 0; i < 500; i++) {
        fw_result *r = NULL;
        char expected[32];
        int len = snprintf(expected, sizeof(expected), "[%d]", i);
        if (fw_callf(c, "echo", &r, "i", i) != 0 || (int)fw_result_json(r).len != len ||
            memcmp(fw_result_json(r).ptr, expected, (size_t)len) != 0)
            return argument;
        fw_result_free(r);
    }
    return NULL;
}

static void serves_many_threads(void **state)
{
    (void)state;
    peer p;
    pthread_t threads[4];
    peer_start(&p, peer_native, NULL);
    fw_client *c = open_at(&p, -1, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, c), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    fw_client_close(c);
    peer_stop(&p);
}

/* --- opening --- */

static void finds_by_discovery(void **state)
{
    (void)state;
    peer p;
    fw_client *c = NULL;
    char texts[512];
    peer_start(&p, peer_native, NULL);
    snprintf(texts, sizeof(texts),
             "hello\nWORKER_ANNOUNCE:x\nWORKER_ANNOUNCE:\xff:tcp://127.0.0.1:1\n"
             "FASTWORKER_CAPS:{\"v\":1,\"id\":\"cp\",\"base\":\"%s\"}\n"
             "WORKER_ANNOUNCE:cp:%s",
             p.address, p.address);
    p.announce = texts;
    const fw_client_options options = {
        .size = sizeof(options), .discovery = p.discovery_address, .timeout_ms = 20000};
    assert_int_equal(fw_client_open(&c, &options), 0);
    assert_true(fw_client_is_native(c));
    assert_string_equal(fw_client_address(c), p.address);
    fw_client_close(c);
    peer_stop(&p);
}

static void says_why_it_cannot_open(void **state)
{
    (void)state;
    peer p;
    fw_client *c = NULL;
    peer_start(&p, peer_native, NULL);
    peer_stop(&p);
    fw_client_options options = {
        .size = sizeof(options), .control_plane = p.address, .retries = -1, .timeout_ms = 5000};
    assert_int_equal(fw_client_open(&c, &options), -FW_ENOCONN);
    assert_non_null(strstr(fw_client_errmsg(), "connection refused"));
    options.control_plane = NULL;
    options.discovery = p.discovery_address;
    assert_int_equal(fw_client_open(&c, &options), -FW_ENOCONN);
    assert_non_null(strstr(fw_client_errmsg(), p.discovery_address));
    options.discovery = "udp://x:1";
    assert_int_equal(fw_client_open(&c, &options), -FW_EINVAL);
    options.size = sizeof(options) + 8;
    assert_int_equal(fw_client_open(&c, &options), -FW_EABI);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_reads_results),
        cmocka_unit_test(sends_and_names_tasks),
        cmocka_unit_test(refuses_wrong_arguments),
        cmocka_unit_test(asks_waits_and_cancels),
        cmocka_unit_test(tells_refusals),
        cmocka_unit_test(answers_each_callback_once),
        cmocka_unit_test(limits_what_is_in_flight),
        cmocka_unit_test(gives_up_waiting_in_time),
        cmocka_unit_test(sends_again_what_is_unanswered),
        cmocka_unit_test(ends_what_nobody_can_answer),
        cmocka_unit_test(reconnects_from_an_event_loop),
        cmocka_unit_test(survives_a_restart),
        cmocka_unit_test(may_submit_and_close_in_callbacks),
        cmocka_unit_test(serves_many_threads),
        cmocka_unit_test(finds_by_discovery),
        cmocka_unit_test(says_why_it_cannot_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
