/* link_peers_test.c - net/links.c, net/pull.c, net/pipe.c, net/connection_pause.c, net/ports.c: bad
 * peers at the port of the pipes, slow ones, silent ones; and the ports of a subworker. Good ones:
 * link_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"
#include "link_case.h"
#include "net/connection_state.h"
#include "net/frame_pipe.h"

/* ---- Peers made of plain sockets ---- */

static unsigned pull_port(const fw_net *net)
{
    return net->ports[FW_PULL_PORT].bound;
}

static int dial_push(unsigned port)
{
    int fd = peer_dial(port);
    peer_handshake(fd, FW_SP_PUSH0, FW_SP_PULL0);
    return fd;
}

static void send_message(int fd, const void *bytes, size_t len)
{
    unsigned char word[FW_SP_LENGTH_BYTES];
    fw_sp_length_write(word, len);
    peer_send(fd, word, sizeof word);
    peer_send(fd, bytes, len);
}

static void send_hello(int fd, const char *worker, const char *epoch, const char *expects,
                       const char *token)
{
    unsigned char bytes[1024];
    fw_hello hello = {.worker = text_of(worker),
                      .epoch = text_of(epoch),
                      .expects = text_of(expects),
                      .token = text_of(token)};
    size_t len = fw_frame_write_hello(bytes, sizeof bytes, &hello);
    assert_true(len > 0);
    send_message(fd, bytes, len);
}

/* A subworker that is a listening socket: somebody to dial. */
typedef struct puppet {
    int listener, tasks, results;
    char address[64];
} puppet;

static puppet puppet_open(void)
{
    puppet p = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int small = 4096; /* so that its buffers fill soon */
    assert_true(p.listener >= 0);
    setsockopt(p.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(bind(p.listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(p.listener, 8), 0);
    assert_int_equal(getsockname(p.listener, (struct sockaddr *)&at, &len), 0);
    snprintf(p.address, sizeof p.address, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    return p;
}

/* Its link at the control plane, both pipes greeted. */
static end *puppet_join(puppet *p, fw_net *plane, int64_t silence_ns)
{
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    end *e = calloc(1, sizeof *e);
    assert_non_null(e);
    fw_link_config config = {.id = text_of("doll"),
                             .epoch = text_of("run-1"),
                             .address = text_of(p->address),
                             .owner = e,
                             .silence_ns = silence_ns};
    e->link = fw_link_open(plane, &config);
    assert_non_null(e->link);
    p->tasks = accept(p->listener, NULL, NULL);
    assert_true(p->tasks >= 0);
    fw_sp_handshake_write(hello, FW_SP_PULL0);
    peer_send(p->tasks, hello, sizeof hello);
    peer_receive(p->tasks, hello, sizeof hello);
    assert_int_equal(fw_sp_handshake_read(hello), FW_SP_PUSH0);
    p->results = dial_push(pull_port(plane));
    send_hello(p->results, "doll", "run-1", fw_net_epoch(plane), "");
    expect_some(&e->up);
    return e;
}

static void puppet_close(puppet *p)
{
    close(p->tasks);
    close(p->results);
    close(p->listener);
}

static void send_result(int fd, uint64_t lease)
{
    unsigned char bytes[256];
    fw_frame_writer writer;
    fw_result_view view = {.status = FW_SUCCESS, .result = text_of("1")};
    fw_frame_begin(&writer, bytes, sizeof bytes, FW_FRAME_RESULTS, 0);
    assert_true(fw_frame_add_lease_result(&writer, lease, &view));
    send_message(fd, bytes, fw_frame_end(&writer));
}

static void send_beat(int fd)
{
    unsigned char bytes[64];
    fw_beat beat = {.slots = 1};
    send_message(fd, bytes, fw_frame_write_beat(bytes, sizeof bytes, &beat));
}

/* ---- Who is let in ---- */

static uint64_t refused_greetings(fw_net *net)
{
    fw_net_stats stats;
    fw_net_snapshot(net, &stats);
    return stats.greetings_refused;
}

static void a_greeting_has_to_be_right(void **state)
{
    (void)state;
    fw_net_config config, subworker;
    plane_config(&config);
    hand_config(&subworker, "sw1");
    config.token = subworker.token = "secret";
    pair p = pair_open_with(&config, &subworker);
    const char *theirs = fw_net_epoch(p.hand->net), *ours = fw_net_epoch(p.plane);
    const struct {
        const char *worker, *epoch, *expects, *token;
    } cases[] = {{"sw2", theirs, ours, "secret"},        /* nobody by that name */
                 {"sw1", "another-run", ours, "secret"}, /* */
                 {"sw1", theirs, "another-run", "secret"},
                 {"sw1", theirs, ours, "secreT"},
                 {"sw1", theirs, ours, "secre"},
                 {"sw1", theirs, ours, "secrets"},
                 {"sw1", theirs, ours, ""},
                 {"sw1", theirs, ours, "secret"}, /* it is linked already */
                 {"", "", "", "secret"}};
    size_t count = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < count; i++) {
        int fd = dial_push(pull_port(p.plane));
        send_hello(fd, cases[i].worker, cases[i].epoch, cases[i].expects, cases[i].token);
        peer_expect_end(fd);
        close(fd);
    }
    assert_int_equal(refused_greetings(p.plane), count);
    /* A subworker does not let everybody in either. */
    int fd = dial_push(pull_port(p.hand->net));
    send_hello(fd, "control-plane", ours, theirs, "guess");
    peer_expect_end(fd);
    close(fd);
    fd = dial_push(pull_port(p.hand->net));
    send_hello(fd, "control-plane", ours, "another-run", "secret");
    peer_expect_end(fd);
    close(fd);
    assert_int_equal(refused_greetings(p.hand->net), 2);
    /* The good one is not disturbed. */
    assign(p.ours, 0, 10, "echo");
    expect_count(&p.ours->results, 10);
    assert_int_equal(fw_load_relaxed(&p.ours->down), 0);
    pair_close(&p);
}

/* The wrong token of a control plane keeps its link from coming up. */
static void without_the_token_there_is_no_link(void **state)
{
    (void)state;
    fw_net_config config, subworker;
    plane_config(&config);
    hand_config(&subworker, "sw1");
    config.token = "guess";
    subworker.token = "secret";
    fw_net *plane = plane_open_with(&config);
    hand *h = hand_open_with(&subworker);
    end *ours = plane_link(plane, "sw1", h, 0);
    end *theirs = hand_link(h, plane);
    expect_some(&ours->down);
    expect_some(&theirs->down);
    assert_int_equal(fw_load_relaxed(&ours->up) + fw_load_relaxed(&theirs->up), 0);
    end_close(ours);
    end_close(theirs);
    hand_close(h);
    fw_net_stop(plane, FW_NS_PER_S);
}

static void garbage_is_disconnected(void **state)
{
    (void)state;
    pair p = pair_open();
    unsigned char drain[8], beat[64];
    fw_beat quiet = {.slots = 1};
    size_t drain_len = fw_frame_write_drain(drain, sizeof drain, true);
    size_t beat_len = fw_frame_write_beat(beat, sizeof beat, &quiet);
    unsigned ports[] = {pull_port(p.plane), pull_port(p.hand->net)};
    for (int i = 0; i < 2; i++) {
        int fd = peer_dial(ports[i]); /* another protocol */
        unsigned char hello[FW_SP_HANDSHAKE_BYTES];
        fw_sp_handshake_write(hello, FW_SP_REQ0);
        peer_send(fd, hello, sizeof hello);
        peer_expect_end(fd);
        close(fd);
        fd = peer_dial(ports[i]);
        peer_send(fd, "GET / HTTP/1.1\r\n\r\n", 18);
        peer_expect_end(fd);
        close(fd);
        fd = dial_push(ports[i]); /* no frame */
        send_message(fd, "{\"k\":\"hello\"}", 13);
        peer_expect_end(fd);
        close(fd);
        fd = dial_push(ports[i]); /* frames, but no greeting */
        send_message(fd, i ? drain : beat, i ? drain_len : beat_len);
        peer_expect_end(fd);
        close(fd);
        fd = dial_push(ports[i]); /* longer than a greeting may be */
        unsigned char word[FW_SP_LENGTH_BYTES];
        fw_sp_length_write(word, 1024 * 1024);
        peer_send(fd, word, sizeof word);
        peer_expect_end(fd);
        close(fd);
    }
    assign(p.ours, 0, 10, "echo");
    expect_count(&p.ours->results, 10);
    pair_close(&p);
}

/* After its greeting a peer may say only what is meant for us. */
static void the_wrong_frames_end_a_link(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    unsigned char drain[8];
    size_t drain_len = fw_frame_write_drain(drain, sizeof drain, true);
    for (int i = 0; i < 5; i++) {
        puppet doll = puppet_open();
        end *e = puppet_join(&doll, plane, 0);
        if (i == 0)
            send_message(doll.results, drain, drain_len);
        else if (i == 1)
            send_message(doll.results, "rubbish", 7);
        else if (i == 2)
            send_hello(doll.results, "doll", "run-1", "", "");
        else if (i == 3)
            close(doll.results);
        else
            peer_send(doll.tasks, "anything", 8); /* a PULL says nothing */
        expect_some(&e->down);
        assert_int_equal(fw_load_relaxed(&e->results), 0);
        end_close(e);
        if (i == 3)
            doll.results = dup(doll.tasks);
        puppet_close(&doll);
    }
    fw_net_stop(plane, FW_NS_PER_S);
}

static void half_a_greeting_is_not_waited_for(void **state)
{
    (void)state;
    fw_net_config config;
    plane_config(&config);
    config.handshake_ns = FW_NS_PER_S;
    fw_net *plane = plane_open_with(&config);
    int silent = dial_push(pull_port(plane));
    int half = dial_push(pull_port(plane));
    unsigned char word[FW_SP_LENGTH_BYTES];
    fw_sp_length_write(word, 100);
    peer_send(half, word, sizeof word);
    peer_send(half, "\xf7\x01\x04", 3);
    peer_expect_end(silent);
    peer_expect_end(half);
    close(silent);
    close(half);
    fw_net_stop(plane, FW_NS_PER_S);
}

/* At a subworker a greeting may wait for its link, but not for ever, and only some may. */
static void greetings_do_not_wait_for_ever(void **state)
{
    (void)state;
    fw_net_config config;
    hand_config(&config, "sw1");
    config.handshake_ns = FW_NS_PER_S;
    hand *h = hand_open_with(&config);
    int fds[2 * 16 + 1];
    for (int i = 0; i < 33; i++) {
        fds[i] = dial_push(pull_port(h->net));
        send_hello(fds[i], "control-plane", "some-run", fw_net_epoch(h->net), "");
    }
    for (int i = 0; i < 33; i++) {
        peer_expect_end(fds[i]);
        close(fds[i]);
    }
    assert_true(refused_greetings(h->net) > 0);
    hand_close(h);
}

/* ---- Silence and slowness ---- */

static void the_silent_are_given_up(void **state)
{
    (void)state;
    fw_net *plane = plane_open();
    puppet doll = puppet_open();
    end *e = puppet_join(&doll, plane, FW_NS_PER_S);
    expect_some(&e->down);
    assert_string_equal(e->reason, "silent for too long");
    peer_expect_end(doll.results);
    end_close(e);
    puppet_close(&doll);

    /* Reached, but it never greets. */
    doll = puppet_open();
    end other = {.link = NULL};
    fw_link_config config = {.id = text_of("doll"),
                             .epoch = text_of("run-1"),
                             .address = text_of(doll.address),
                             .owner = &other,
                             .silence_ns = 100 * FW_NS_PER_MS};
    other.link = fw_link_open(plane, &config);
    expect_some(&other.down);
    assert_string_equal(other.reason, "no greeting in time");
    fw_link_close(other.link);
    close(doll.listener);
    fw_net_stop(plane, FW_NS_PER_S);
}

typedef struct talker {
    int fd;
    fw_atomic(bool) stop;
} talker;

static void *talk(void *argument)
{
    talker *t = argument;
    for (uint64_t i = 0; !fw_load_relaxed(&t->stop); i++) {
        send_result(t->fd, i % LEASES);
        poll(NULL, 0, 1);
    }
    return NULL;
}

/* It beats, so it is alive, but it takes no tasks: what waits for it is bounded by the window, and
 * after stalled_ns it is given up. */
static void who_never_reads_is_given_up(void **state)
{
    (void)state;
    fw_net_config config;
    plane_config(&config);
    config.stalled_ns = 200 * FW_NS_PER_MS;
    fw_net *plane = plane_open_with(&config);
    puppet doll = puppet_open();
    end *e = puppet_join(&doll, plane, 0);
    send_beat(doll.results);
    expect_some(&e->beats);
    size_t window = 200000;
    fw_assignment *items = calloc(window, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < window; i++)
        items[i] = task_of(i, "echo", "[\"some more than a few bytes, so that buffers fill\"]");
    assert_int_equal(fw_link_assign(e->link, items, window), window);
    assert_true(fw_link_unsent(e->link) > 0);
    free(items);
    expect_some(&e->down);
    assert_int_equal(fw_link_unsent(e->link), 0);
    end_close(e);
    puppet_close(&doll);
    fw_net_stop(plane, FW_NS_PER_S);
}

/* The same, but results come from it: it is busy with these, and is waited for. */
static void who_still_works_is_waited_for(void **state)
{
    (void)state;
    fw_net_config config;
    plane_config(&config);
    config.stalled_ns = 50 * FW_NS_PER_MS;
    fw_net *plane = plane_open_with(&config);
    puppet doll = puppet_open();
    end *e = puppet_join(&doll, plane, 0);
    size_t window = 200000;
    fw_assignment *items = calloc(window, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < window; i++)
        items[i] = task_of(i, "echo", "[\"some more than a few bytes, so that buffers fill\"]");
    assert_int_equal(fw_link_assign(e->link, items, window), window);
    free(items);
    talker t = {.fd = doll.results};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, talk, &t), 0);
    wish some = {&e->results, 300};
    assert_true(peer_comes_true(has_reached, &some));
    assert_int_equal(fw_load_relaxed(&e->down), 0);
    fw_store_relaxed(&t.stop, true);
    pthread_join(thread, NULL);
    expect_some(&e->down);
    end_close(e);
    puppet_close(&doll);
    fw_net_stop(plane, FW_NS_PER_S);
}

/* ---- Results that cannot leave ---- */

typedef struct dam {
    fw_atomic(bool) closed;
    fw_atomic(uint64_t) results;
} dam;

static void hold_back(void *context, void *owner, const fw_lease_result *items, size_t count)
{
    dam *d = context;
    (void)owner, (void)items;
    while (fw_load_relaxed(&d->closed))
        poll(NULL, 0, 1);
    fw_add_seq_cst(&d->results, count);
}

static void ignore_up(void *context, void *owner)
{
    (void)context;
    on_up(NULL, owner);
}

static void ignore_down(void *context, void *owner, const char *why)
{
    (void)context;
    on_down(NULL, owner, why);
}

static void look_for_pause(void *context, fw_connection *connection)
{
    if (fw_connection_port(connection)->role == FW_ROLE_PULL &&
        fw_load_seq_cst(&connection->reading) == FW_READING_PAUSED)
        *(bool *)context = true;
}

static bool is_paused(void *context)
{
    hand *h = context;
    bool found = false;
    fw_exchange_each(&h->net->exchange, look_for_pause, &found);
    return found;
}

static void tasks_wait_while_results_cannot_leave(void **state)
{
    (void)state;
    pair p;
    dam d = {.results = 0};
    fw_net_config config, subworker;
    plane_config(&config);
    hand_config(&subworker, "sw1");
    subworker.unsent_bytes_max = 256 * 1024;
    config.stalled_ns = subworker.stalled_ns = 60 * FW_NS_PER_S;
    p.plane = plane_open_with(&config);
    fw_link_ops ops = {.context = &d, .up = ignore_up, .down = ignore_down, .results = hold_back};
    fw_net_set_link_ops(p.plane, &ops);
    p.hand = hand_open_with(&subworker);
    p.ours = plane_link(p.plane, "sw1", p.hand, 0);
    p.theirs = hand_link_for(p.hand, p.plane, FW_NS_PER_S);
    expect_some(&p.ours->up);
    expect_some(&p.theirs->up);
    fw_store_relaxed(&d.closed, true);
    for (uint64_t i = 0; i < 2000; i++)
        assign(p.ours, i, 1, "big"); /* 200 MB of results */
    assert_true(peer_comes_true(is_paused, p.hand));
    assert_true(fw_load_seq_cst(&p.hand->tasks) < 2000);
    /* Whom we do not listen to is not silent: another one is, for longer than it may be. */
    puppet doll = puppet_open();
    end *silent = puppet_join(&doll, p.hand->net, FW_NS_PER_S + FW_NS_PER_S / 4);
    expect_some(&silent->down);
    assert_int_equal(fw_load_relaxed(&p.theirs->down), 0);
    end_close(silent);
    puppet_close(&doll);
    fw_store_relaxed(&d.closed, false);
    expect_count(&d.results, 2000);
    assert_int_equal(fw_load_relaxed(&p.ours->down), 0);

    /* Once more, and the pipe of the results breaks meanwhile: nothing hangs. */
    fw_store_relaxed(&d.closed, true);
    for (uint64_t i = 0; i < 2000; i++)
        assign(p.ours, i, 1, "big");
    assert_true(peer_comes_true(is_paused, p.hand));
    fw_link_hang_up(p.theirs->link);
    expect_some(&p.theirs->down);
    fw_store_relaxed(&d.closed, false);
    expect_some(&p.ours->down);
    pair_close(&p);
}

/* ---- Ports ---- */

static void a_subworker_takes_four_ports_in_a_row(void **state)
{
    (void)state;
    hand *first = hand_open("sw1"), *second = hand_open("sw2");
    unsigned a = first->net->ports[0].bound, b = second->net->ports[0].bound;
    assert_true(a >= 5561 && (b >= a + 4 || a >= b + 4));
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(first->net->ports[i].bound, a + i);
    assert_null(first->net->listeners[FW_QUERY_PORT]);
    assert_null(first->net->listeners[FW_REGISTRATION_PORT]);
    char expected[64];
    snprintf(expected, sizeof expected, "tcp://127.0.0.1:%u", a);
    assert_string_equal(fw_net_address(first->net), expected);
    snprintf(expected, sizeof expected, "tcp://127.0.0.1:%u", pull_port(first->net));
    assert_string_equal(fw_net_pull_address(first->net), expected);

    /* The task ports speak JSON, as those of Python's; what is not for them is refused. */
    char answer[512];
    int fd = peer_dial_req(a + 2);
    const char task[] = "{\"id\":\"job-1\",\"name\":\"echo\",\"args\":[7],\"kwargs\":{},"
                        "\"priority\":\"normal\",\"retry_count\":0}";
    peer_ask(fd, 1, task, sizeof task - 1);
    assert_int_equal(peer_answer(fd, answer, sizeof answer), 1);
    assert_non_null(strstr(answer, "\"status\": \"success\""));
    const char batch[] = "{\"action\":\"batch_submit\",\"tasks\":[]}";
    peer_ask(fd, 3, batch, sizeof batch - 1);
    assert_int_equal(peer_answer(fd, answer, sizeof answer), 3);
    assert_non_null(strstr(answer, "\"batch_accepted\": false"));
    unsigned char query[64];
    fw_frame_writer writer;
    fw_query get = {.kind = FW_QUERY_GET, .id = text_of("job-1")};
    fw_frame_begin(&writer, query, sizeof query, FW_FRAME_QUERY, 0);
    assert_true(fw_frame_add_query(&writer, &get));
    peer_ask(fd, 4, query, fw_frame_end(&writer));
    assert_int_equal(peer_answer(fd, answer, sizeof answer), 4);
    fw_net_publish(first->net, "nothing", text_of("{}"));
    close(fd);
    hand_close(first);
    hand_close(second);
}

static void the_port_of_the_pipes_can_be_chosen(void **state)
{
    (void)state;
    fw_net_config config;
    char error[256] = "";
    fw_net *net = NULL;
    fw_net_ops ops = {.submit = no_submit};
    hand *h = hand_open("sw1");
    hand_config(&config, "sw2");
    config.pull_port = pull_port(h->net);
    assert_int_equal(fw_net_start(&net, error, sizeof error, &config, &ops), -FW_EPERM);
    assert_non_null(strstr(error, fw_net_pull_address(h->net)));
    hand_close(h);
    h = hand_open_with(&config);
    assert_int_equal(pull_port(h->net), config.pull_port);
    /* A control plane takes discovery + 2, and another one when that is taken. */
    fw_net *plane = plane_open();
    assert_int_not_equal(pull_port(plane), 0);
    plane_config(&config);
    char discovery[64];
    unsigned taken = pull_port(plane);
    snprintf(discovery, sizeof discovery, "tcp://127.0.0.1:%u", taken - 2);
    config.discovery_address = discovery;
    if (fw_net_start(&net, error, sizeof error, &config,
                     &(fw_net_ops){.submit = no_submit,
                                   .submit_batch = no_batch,
                                   .query = no_query,
                                   .registration = no_registration}) == 0) {
        assert_int_not_equal(pull_port(net), taken);
        fw_net_stop(net, 0);
    }
    fw_net_stop(plane, 0);
    hand_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_has_to_be_right),
        cmocka_unit_test(without_the_token_there_is_no_link),
        cmocka_unit_test(garbage_is_disconnected),
        cmocka_unit_test(the_wrong_frames_end_a_link),
        cmocka_unit_test(half_a_greeting_is_not_waited_for),
        cmocka_unit_test(greetings_do_not_wait_for_ever),
        cmocka_unit_test(the_silent_are_given_up),
        cmocka_unit_test(who_never_reads_is_given_up),
        cmocka_unit_test(who_still_works_is_waited_for),
        cmocka_unit_test(tasks_wait_while_results_cannot_leave),
        cmocka_unit_test(a_subworker_takes_four_ports_in_a_row),
        cmocka_unit_test(the_port_of_the_pipes_can_be_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
