/* pylink_test.c - a control plane's wires to a Python subworker: with a real net of four task ports
 * at the other end, and with peers that break the rules. SPDX-License-Identifier: Apache-2.0 */
#include "net/pylink.h"

#include "link_case.h"
#include "net/message_json.h"

enum { WORDS = 128 };

/* What was told for one port; the last of it. */
typedef struct told {
    fw_atomic(uint64_t) results, failures;
    uint64_t lease;
    fw_state status;
    bool sent, accounted;
    int64_t ran_ns;
    size_t result_len;
    char result[WORDS], error[WORDS], why[WORDS];
} told;

typedef struct desk {
    fw_net *net;
    fw_pylink *link;
    told ports[FW_LEVELS];
} desk;

static void copy(char out[WORDS], fw_span text)
{
    size_t len = text.len < WORDS - 1 ? text.len : WORDS - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = 0;
}

static void on_result(void *context, void *owner, fw_prio port, const fw_lease_result *result)
{
    told *t = &((desk *)owner)->ports[port];
    assert_null(context);
    assert_false(result->returned);
    t->lease = result->lease;
    t->status = result->view.status;
    t->accounted = result->accounted;
    t->ran_ns = result->ran_ns;
    t->result_len = result->view.result.len;
    copy(t->result, result->view.result);
    copy(t->error, result->view.error);
    fw_add_seq_cst(&t->results, 1);
}

static void on_failed(void *context, void *owner, fw_prio port, uint64_t lease, bool sent,
                      const char *why)
{
    told *t = &((desk *)owner)->ports[port];
    assert_null(context);
    t->lease = lease;
    t->sent = sent;
    copy(t->why, text_of(why));
    fw_add_seq_cst(&t->failures, 1);
}

static const fw_pylink_ops ops = {.result = on_result, .failed = on_failed};

static desk *desk_open(const char *address, size_t message_max)
{
    fw_net_config config;
    desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    plane_config(&config);
    config.message_max = message_max;
    d->net = plane_open_with(&config);
    fw_net_set_pylink_ops(d->net, &ops);
    d->link = fw_pylink_open(d->net, text_of(address), d);
    assert_non_null(d->link);
    return d;
}

static void desk_close(desk *d)
{
    if (d->link)
        fw_pylink_close(d->link);
    fw_net_stop(d->net, FW_NS_PER_S);
    free(d);
}

static bool give(desk *d, fw_prio port, uint64_t lease, const char *name, fw_span args)
{
    fw_assignment item = {
        .lease = lease,
        .attempt = 1,
        .task = {
            .key = fw_key_random(), .name = text_of(name), .args = args, .level = (uint8_t)port}};
    return fw_pylink_assign(d->link, port, &item);
}

static void expect_failure(told *t, uint64_t lease, bool sent)
{
    expect_count(&t->failures, 1);
    assert_int_equal(t->lease, lease);
    assert_int_equal(t->sent, sent);
    assert_int_equal(fw_load_seq_cst(&t->results), 0);
}

/* ---- The other end: four task ports, as those of a Python subworker ---- */

typedef struct worker {
    fw_net *net;
    fw_atomic(uint64_t) submitted;
    pthread_mutex_t lock;
    fw_reply_to held; /* of the last "hold" */
    char held_id[FW_UUID_TEXT];
    fw_atomic(int) level;
} worker;

static void finish(worker *w, const fw_reply_to *reply, fw_span id, fw_span result)
{
    fw_result_view view = {.id = id,
                           .status = FW_SUCCESS,
                           .result = result,
                           .started_wall_ns = 1700000000 * FW_NS_PER_S,
                           .finished_wall_ns = 1700000002 * FW_NS_PER_S};
    fw_net_answer_result(w->net, reply, &view);
}

static void worker_submit(void *context, const fw_submission *items, size_t count)
{
    worker *w = context;
    for (size_t i = 0; i < count; i++) {
        const fw_submission *s = &items[i];
        fw_store_seq_cst(&w->level, s->level);
        if (is_named(s, "hold")) {
            pthread_mutex_lock(&w->lock);
            w->held = s->reply;
            memcpy(w->held_id, s->id.ptr, FW_UUID_TEXT);
            pthread_mutex_unlock(&w->lock);
        } else {
            finish(w, &s->reply, s->id, s->args);
        }
        fw_add_seq_cst(&w->submitted, 1);
    }
}

static worker *worker_open(void)
{
    fw_net_config config;
    worker *w = calloc(1, sizeof *w);
    assert_non_null(w);
    pthread_mutex_init(&w->lock, NULL);
    hand_config(&config, "python");
    fw_net_ops net_ops = {.context = w, .submit = worker_submit};
    w->net = case_start(&config, &net_ops);
    return w;
}

static void worker_release(worker *w)
{
    pthread_mutex_lock(&w->lock);
    finish(w, &w->held, (fw_span){w->held_id, FW_UUID_TEXT}, text_of("\"late\""));
    pthread_mutex_unlock(&w->lock);
    fw_net_flush(w->net);
}

static void worker_close(worker *w)
{
    fw_net_stop(w->net, FW_NS_PER_S);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void each_port_carries_its_level(void **state)
{
    (void)state;
    worker *w = worker_open();
    desk *d = desk_open(fw_net_address(w->net), 1 << 20);
    for (uint64_t round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < FW_LEVELS; i++) {
            told *t = &d->ports[i];
            assert_true(give(d, (fw_prio)i, round * 10 + i, "echo", text_of("[1, \"two\"]")));
            expect_count(&t->results, round);
            assert_int_equal(fw_load_seq_cst(&w->level), i);
            assert_int_equal(t->lease, round * 10 + i);
            assert_int_equal(t->status, FW_SUCCESS);
            assert_string_equal(t->result, "[1, \"two\"]");
            assert_true(t->accounted);
            assert_true(t->ran_ns == 2 * FW_NS_PER_S);
        }
    }
    fw_net_stats stats;
    fw_net_snapshot(w->net, &stats);
    assert_int_equal(stats.accepted, FW_LEVELS); /* dialed once, and kept */
    desk_close(d);
    worker_close(w);
}

/* A Python subworker mixes up two that are open at once. */
static void one_request_at_a_time_per_port(void **state)
{
    (void)state;
    worker *w = worker_open();
    desk *d = desk_open(fw_net_address(w->net), 1 << 20);
    assert_true(give(d, FW_LOW, 1, "hold", text_of("[]")));
    assert_false(give(d, FW_LOW, 2, "echo", text_of("[]")));
    expect_count(&w->submitted, 1);
    assert_false(give(d, FW_LOW, 2, "echo", text_of("[]")));
    assert_true(give(d, FW_HIGH, 3, "echo", text_of("[3]")));
    expect_count(&d->ports[FW_HIGH].results, 1);
    worker_release(w);
    expect_count(&d->ports[FW_LOW].results, 1);
    assert_string_equal(d->ports[FW_LOW].result, "\"late\"");
    assert_true(give(d, FW_LOW, 2, "echo", text_of("[]")));
    expect_count(&d->ports[FW_LOW].results, 2);
    desk_close(d);
    worker_close(w);
}

/* More than the bytes that may wait for a peer who does not read. */
static void large_ones_pass(void **state)
{
    enum { LARGE = 5 << 20 };
    (void)state;
    worker *w = worker_open();
    desk *d = desk_open(fw_net_address(w->net), 8 << 20);
    char *args = malloc(LARGE);
    assert_non_null(args);
    memset(args, ' ', LARGE);
    args[0] = '[';
    args[LARGE - 1] = ']';
    assert_true(give(d, FW_NORMAL, 1, "echo", (fw_span){args, LARGE}));
    expect_count(&d->ports[FW_NORMAL].results, 1);
    assert_int_equal(d->ports[FW_NORMAL].result_len, LARGE);
    free(args);
    desk_close(d);
    worker_close(w);
}

/* To run it again would not make its result smaller. */
static void a_result_over_the_limit_is_a_failure(void **state)
{
    (void)state;
    worker *w = worker_open();
    desk *d = desk_open(fw_net_address(w->net), 1024);
    told *t = &d->ports[FW_NORMAL];
    char args[1024];
    memset(args, ' ', sizeof args);
    args[0] = '[';
    args[sizeof args - 1] = ']';
    assert_true(give(d, FW_NORMAL, 5, "echo", (fw_span){args, sizeof args}));
    expect_count(&t->results, 1);
    assert_int_equal(t->lease, 5);
    assert_int_equal(t->status, FW_FAILURE);
    assert_non_null(strstr(t->error, "over the limit of 1024"));
    assert_true(give(d, FW_NORMAL, 6, "echo", text_of("[]")));
    expect_count(&t->results, 2);
    assert_int_equal(t->status, FW_SUCCESS);
    assert_int_equal(fw_load_seq_cst(&t->failures), 0);
    desk_close(d);
    worker_close(w);
}

static void closing_is_silent(void **state)
{
    (void)state;
    worker *w = worker_open();
    desk *d = desk_open(fw_net_address(w->net), 1 << 20);
    assert_true(give(d, FW_LOW, 1, "hold", text_of("[]")));
    assert_true(give(d, FW_HIGH, 2, "hold", text_of("[]")));
    expect_count(&w->submitted, 2);
    fw_pylink_close(d->link);
    d->link = NULL;
    for (unsigned i = 0; i < FW_LEVELS; i++) {
        assert_int_equal(fw_load_seq_cst(&d->ports[i].results), 0);
        assert_int_equal(fw_load_seq_cst(&d->ports[i].failures), 0);
    }
    desk_close(d);
    worker_close(w);
}

static void what_is_no_address(void **state)
{
    static const char *const texts[] = {"", "tcp://", "tcp://h:0", "tcp://127.0.0.1:65533",
                                        "ipc:///x"};
    (void)state;
    fw_net *plane = plane_open();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_null(fw_pylink_open(plane, text_of(texts[i]), NULL));
    fw_net_stop(plane, FW_NS_PER_S);
}

/* ---- The other end: a plain socket at the port for critical tasks ---- */

typedef struct actor {
    int listener;
    char address[64];
} actor;

static actor actor_open(void)
{
    actor a;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    a.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(a.listener >= 0);
    assert_int_equal(bind(a.listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(a.listener, 8), 0);
    assert_int_equal(getsockname(a.listener, (struct sockaddr *)&at, &len), 0);
    snprintf(a.address, sizeof a.address, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    return a;
}

static int actor_accept(const actor *a)
{
    struct timeval wait = {.tv_sec = PEER_WAIT_S};
    struct pollfd one = {.fd = a->listener, .events = POLLIN};
    assert_int_equal(poll(&one, 1, PEER_WAIT_S * 1000), 1);
    int fd = accept(a->listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    peer_handshake(fd, FW_SP_REP0, FW_SP_REQ0);
    return fd;
}

/* A request's id word, and the task's id. */
static uint32_t actor_hear(int fd, char id[FW_UUID_TEXT + 1])
{
    char text[4096];
    uint32_t request = peer_answer(fd, text, sizeof text - 1);
    fw_json task = fw_json_parse(text_of(text));
    fw_span span;
    assert_int_equal(task.type, FW_JSON_OBJECT);
    assert_true(fw_json_string(fw_json_get(task, "id"), NULL, 0, &span));
    assert_int_equal(span.len, FW_UUID_TEXT);
    memcpy(id, span.ptr, span.len);
    id[span.len] = 0;
    return request;
}

/* With the id in the place of "@". */
static void actor_say(int fd, uint32_t request, const char *pattern, const char *id)
{
    char text[512];
    const char *at = strchr(pattern, '@');
    int before = at ? (int)(at - pattern) : (int)strlen(pattern);
    int len =
        snprintf(text, sizeof text, "%.*s%s%s", before, pattern, at ? id : "", at ? at + 1 : "");
    peer_ask(fd, request, text, (size_t)len);
}

static void nobody_there(void **state)
{
    (void)state;
    actor a = actor_open();
    close(a.listener);
    desk *d = desk_open(a.address, 1 << 20);
    assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
    expect_failure(&d->ports[0], 7, false);
    assert_true(give(d, FW_CRITICAL, 8, "echo", text_of("[]"))); /* may be tried again */
    expect_count(&d->ports[0].failures, 2);
    desk_close(d);
}

static void it_leaves_without_an_answer(void **state)
{
    (void)state;
    char id[FW_UUID_TEXT + 1];
    actor a = actor_open();
    desk *d = desk_open(a.address, 1 << 20);
    assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
    int fd = actor_accept(&a);
    actor_hear(fd, id);
    close(fd);
    expect_failure(&d->ports[0], 7, true);
    desk_close(d);
    close(a.listener);
}

static void it_is_no_python_subworker(void **state)
{
    (void)state;
    actor a = actor_open();
    desk *d = desk_open(a.address, 1 << 20);
    assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
    struct pollfd one = {.fd = a.listener, .events = POLLIN};
    assert_int_equal(poll(&one, 1, PEER_WAIT_S * 1000), 1);
    int fd = accept(a.listener, NULL, NULL);
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    fw_sp_handshake_write(hello, FW_SP_PULL0);
    peer_send(fd, hello, sizeof hello);
    expect_failure(&d->ports[0], 7, false);
    close(fd);
    desk_close(d);
    close(a.listener);
}

/* Each of them may have run. */
static void answers_that_are_none(void **state)
{
    static const char *const patterns[] = {
        "",
        "[]",
        "{\"found\": false, \"id\": \"@\"}",
        "{\"task_id\": \"@\"}",
        "{\"task_id\": \"@\", \"status\": \"running\"}",
        "{\"task_id\": \"@x\", \"status\": \"success\"}",
        "{\"task_id\": 5, \"status\": \"success\", \"error\": \"@\"}",
        "\x80\x04@",
    };
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char id[FW_UUID_TEXT + 1];
        actor a = actor_open();
        desk *d = desk_open(a.address, 1 << 20);
        assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
        int fd = actor_accept(&a);
        uint32_t request = actor_hear(fd, id);
        actor_say(fd, request, patterns[i], id);
        peer_expect_end(fd);
        expect_failure(&d->ports[0], 7, true);
        close(fd);
        desk_close(d);
        close(a.listener);
    }
}

static void the_answer_to_another_request(void **state)
{
    (void)state;
    char id[FW_UUID_TEXT + 1];
    actor a = actor_open();
    desk *d = desk_open(a.address, 1 << 20);
    assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
    int fd = actor_accept(&a);
    uint32_t request = actor_hear(fd, id);
    actor_say(fd, request + 1, "{\"task_id\": \"@\", \"status\": \"success\"}", id);
    expect_failure(&d->ports[0], 7, true);
    close(fd);
    desk_close(d);
    close(a.listener);
}

static void words_of_old_releases(void **state)
{
    (void)state;
    char id[FW_UUID_TEXT + 1];
    actor a = actor_open();
    desk *d = desk_open(a.address, 1 << 20);
    told *t = &d->ports[0];
    assert_true(give(d, FW_CRITICAL, 7, "echo", text_of("[]")));
    int fd = actor_accept(&a);
    uint32_t request = actor_hear(fd, id);
    actor_say(fd, request, "{\"task_id\": \"@\", \"status\": \"failure\", \"error\": \"no\"}", id);
    expect_count(&t->results, 1);
    assert_int_equal(t->status, FW_FAILURE);
    assert_string_equal(t->error, "no");
    assert_false(t->accounted); /* it does not say when it ran */
    close(fd);
    desk_close(d);
    close(a.listener);
}

/* It hangs up after each answer, so that some requests meet a connection that is just closing: each
 * is told once, and one that has not left goes over another connection. */
static void each_is_told_once(void **state)
{
    enum { ROUNDS = 300 };
    (void)state;
    actor a = actor_open();
    desk *d = desk_open(a.address, 1 << 20);
    told *t = &d->ports[0];
    uint64_t answered = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        assert_true(give(d, FW_CRITICAL, round, "echo", text_of("[]")));
        /* Either it comes to us, or it was lost with the connection before. */
        struct pollfd one = {.fd = a.listener, .events = POLLIN};
        while (poll(&one, 1, 1) == 0 && fw_load_seq_cst(&t->failures) + answered < round)
            ;
        if (fw_load_seq_cst(&t->failures) + answered == round)
            continue;
        char id[FW_UUID_TEXT + 1];
        int fd = actor_accept(&a);
        uint32_t request = actor_hear(fd, id);
        actor_say(fd, request, "{\"task_id\": \"@\", \"status\": \"success\"}", id);
        expect_count(&t->results, ++answered);
        close(fd);
    }
    assert_int_equal(fw_load_seq_cst(&t->results), answered);
    assert_int_equal(fw_load_seq_cst(&t->failures) + answered, ROUNDS);
    assert_true(answered > 0);
    desk_close(d);
    close(a.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_port_carries_its_level),
        cmocka_unit_test(one_request_at_a_time_per_port),
        cmocka_unit_test(large_ones_pass),
        cmocka_unit_test(a_result_over_the_limit_is_a_failure),
        cmocka_unit_test(closing_is_silent),
        cmocka_unit_test(what_is_no_address),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(it_leaves_without_an_answer),
        cmocka_unit_test(it_is_no_python_subworker),
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(the_answer_to_another_request),
        cmocka_unit_test(words_of_old_releases),
        cmocka_unit_test(each_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
