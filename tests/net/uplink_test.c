/* uplink_test.c - net/uplink.c, net/uplink_say.c, net/uplink_seek.c: a subworker's way to its
 * control plane, with a real net at the other end, and with sockets that misbehave.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/uplink.h"

#include "link_case.h"
#include "net/discovery.h"

/* ---- The control plane ---- */

typedef enum manners { NATIVE, PLAIN, REFUSES, OPENS_NO_PIPES } manners;

typedef struct plane {
    fw_net *net;
    fw_atomic(bool) open; /* what is set up is complete */
    fw_atomic(int) manners;
    fw_atomic(bool) eager; /* sends a task to whoever has just come up */
    fw_atomic(uint64_t) registrations, beats, inactive, native, plain, links;
    fw_atomic(uint64_t) link_beats, drained, done; /* what beats over links have said */
    pthread_mutex_t lock;
    end *ends[64]; /* one per link, the newest last */
    char last_epoch[64], tasks[64], token[64];
    unsigned slots;
} plane;

static void copy(char out[64], fw_span text)
{
    snprintf(out, 64, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
}

/* A new link for each registration of a native one; the test closes them. */
static void open_link(plane *p, const fw_registration *r)
{
    uint64_t count = fw_load_seq_cst(&p->links);
    end *e = calloc(1, sizeof *e);
    assert_non_null(e);
    assert_true(count < 64);
    fw_link_config config = {
        .id = r->id, .epoch = r->offer.epoch, .address = r->offer.pull, .owner = e};
    e->link = fw_link_open(p->net, &config);
    assert_non_null(e->link);
    p->ends[count] = e;
    fw_add_seq_cst(&p->links, 1);
}

static void plane_registration(void *context, const fw_registration *r)
{
    plane *p = context;
    while (!fw_load_seq_cst(&p->open))
        sched_yield();
    int how = fw_load_seq_cst(&p->manners);
    pthread_mutex_lock(&p->lock);
    if (r->offer.present) {
        copy(p->last_epoch, r->offer.epoch);
        copy(p->tasks, r->offer.tasks);
        copy(p->token, r->offer.token);
        p->slots = r->offer.slots;
    }
    if (how == NATIVE && r->offer.present && !r->heartbeat)
        open_link(p, r);
    pthread_mutex_unlock(&p->lock);
    bool native = r->offer.present && (how == NATIVE || how == OPENS_NO_PIPES);
    fw_net_answer_registration(p->net, &r->reply, r->id, how == REFUSES ? "go away" : NULL, native);
    fw_add_seq_cst(r->heartbeat ? &p->beats : &p->registrations, 1);
    fw_add_seq_cst(r->offer.present ? &p->native : &p->plain, 1);
    if (r->status.len == 8 && memcmp(r->status.ptr, "inactive", 8) == 0)
        fw_add_seq_cst(&p->inactive, 1);
}

static void plane_up(void *context, void *owner)
{
    plane *p = context;
    on_up(NULL, owner);
    if (!fw_load_seq_cst(&p->eager))
        return;
    pthread_mutex_lock(&p->lock); /* until its link is in its place */
    pthread_mutex_unlock(&p->lock);
    assign(owner, 1, 1, "echo");
}

static void plane_beat(void *context, void *owner, const fw_beat *beat)
{
    plane *p = context;
    (void)owner;
    fw_store_seq_cst(&p->done, beat->done);
    fw_add_seq_cst(&p->drained, beat->draining);
    fw_add_seq_cst(&p->link_beats, 1);
}

static plane *plane_start(const fw_net_config *config, manners how)
{
    plane *p = calloc(1, sizeof *p);
    assert_non_null(p);
    pthread_mutex_init(&p->lock, NULL);
    fw_store_seq_cst(&p->manners, (int)how);
    fw_net_ops ops = {.context = p,
                      .submit = no_submit,
                      .submit_batch = no_batch,
                      .query = no_query,
                      .registration = plane_registration};
    p->net = case_start(config, &ops);
    fw_link_ops link_ops = case_link_ops;
    link_ops.context = p;
    link_ops.up = plane_up;
    link_ops.beat = plane_beat;
    fw_net_set_link_ops(p->net, &link_ops);
    fw_store_seq_cst(&p->open, true);
    return p;
}

static plane *plane_begin(manners how)
{
    fw_net_config config;
    plane_config(&config);
    return plane_start(&config, how);
}

static void plane_end(plane *p)
{
    for (uint64_t i = 0; i < fw_load_seq_cst(&p->links); i++)
        end_close(p->ends[i]);
    fw_net_stop(p->net, FW_NS_PER_S);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static end *newest(plane *p)
{
    pthread_mutex_lock(&p->lock);
    end *e = p->ends[fw_load_seq_cst(&p->links) - 1];
    pthread_mutex_unlock(&p->lock);
    return e;
}

static bool has_one_up(void *context)
{
    plane *p = context;
    if (fw_load_seq_cst(&p->links) == 0)
        return false;
    end *e = newest(p);
    return fw_load_seq_cst(&e->up) == 1 && fw_load_seq_cst(&e->down) == 0;
}

/* ---- The subworker ---- */

typedef struct sub {
    hand *hand;
    fw_uplink *uplink;
    fw_atomic(int) state;
    fw_atomic(uint64_t) changes;
    pthread_mutex_t lock;
    char what[256];
} sub;

static void on_changed(void *context, fw_uplink_state state, const char *what)
{
    sub *s = context;
    pthread_mutex_lock(&s->lock);
    snprintf(s->what, sizeof s->what, "%s", what);
    pthread_mutex_unlock(&s->lock);
    fw_store_seq_cst(&s->state, (int)state);
    fw_add_seq_cst(&s->changes, 1);
}

static void write_beat(void *context, fw_beat *out)
{
    (void)context;
    *out = (fw_beat){.slots = 3, .done = 77};
}

static void sub_register(sub *s, const char *control_plane, const char *discovery)
{
    char error[256] = "";
    fw_uplink_config config = {.worker_id = "sw1",
                               .control_plane = control_plane,
                               .discovery = discovery,
                               .advertise = fw_net_address(s->hand->net),
                               .slots = 3,
                               .tasks = text_of("[\"echo\", \"hold\"]"),
                               .token = "s\"ecret",
                               .beat_ns = 20 * FW_NS_PER_MS};
    fw_uplink_ops ops = {.context = s, .changed = on_changed, .beat = write_beat};
    if (fw_uplink_start(&s->uplink, error, sizeof error, s->hand->net, &config, &ops) != 0)
        fail_msg("cannot start: %s", error);
}

static sub *sub_start(const char *control_plane, const char *discovery)
{
    sub *s = calloc(1, sizeof *s);
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    s->hand = hand_open("sw1");
    sub_register(s, control_plane, discovery);
    return s;
}

static sub *sub_under(const plane *p)
{
    return sub_start(fw_net_address(p->net), NULL);
}

static void sub_stop(sub *s)
{
    fw_uplink_stop(s->uplink, FW_NS_PER_S);
    hand_close(s->hand);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

typedef struct state_wish {
    sub *sub;
    fw_uplink_state state;
} state_wish;

static bool is_there(void *context)
{
    state_wish *w = context;
    return fw_load_seq_cst(&w->sub->state) == (int)w->state &&
           fw_uplink_where(w->sub->uplink) == w->state;
}

static void expect_state(sub *s, fw_uplink_state state)
{
    state_wish w = {s, state};
    if (!peer_comes_true(is_there, &w))
        fail_msg("not in state %d but %d: %s", (int)state, fw_load_seq_cst(&s->state), s->what);
}

/* Says so while it goes on. */
static void expect_word(sub *s, const char *word)
{
    pthread_mutex_lock(&s->lock);
    if (!strstr(s->what, word))
        fail_msg("\"%s\" is not in \"%s\"", word, s->what);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Native ---- */

static void registers_beats_and_works(void **state)
{
    (void)state;
    plane *p = plane_begin(NATIVE);
    sub *s = sub_under(p);
    expect_state(s, FW_UPLINK_UP);
    assert_true(peer_comes_true(has_one_up, p));
    assert_int_equal(fw_load_seq_cst(&p->registrations), 1);
    assert_string_equal(p->last_epoch, fw_net_epoch(s->hand->net));
    assert_string_equal(p->tasks, "[\"echo\", \"hold\"]");
    assert_string_equal(p->token, "s\"ecret");
    assert_int_equal(p->slots, 3);
    end *e = newest(p);
    assign(e, 1, 100, "echo");
    expect_count(&e->results, 100);
    wish three = {&p->link_beats, 3};
    assert_true(peer_comes_true(has_reached, &three));
    assert_int_equal(fw_load_seq_cst(&p->done), 77);
    assert_int_equal(fw_load_seq_cst(&p->drained), 0);
    sub_stop(s);
    expect_some(&e->down);
    expect_count(&p->inactive, 1);
    plane_end(p);
}

static void says_at_once_that_it_drains(void **state)
{
    (void)state;
    plane *p = plane_begin(NATIVE);
    sub *s = sub_under(p);
    expect_state(s, FW_UPLINK_UP);
    assert_true(peer_comes_true(has_one_up, p));
    fw_uplink_drain(s->uplink);
    expect_count(&p->inactive, 1);
    wish twice = {&p->drained, 2};
    assert_true(peer_comes_true(has_reached, &twice));
    assert_true(is_there(&(state_wish){s, FW_UPLINK_UP})); /* and goes on with what it has */
    sub_stop(s);
    plane_end(p);
}

static void a_lost_pipe_is_opened_again(void **state)
{
    (void)state;
    plane *p = plane_begin(NATIVE);
    sub *s = sub_under(p);
    for (uint64_t round = 1; round <= 3; round++) {
        assert_true(peer_comes_true(has_one_up, p));
        expect_state(s, FW_UPLINK_UP);
        end *e = newest(p);
        assign(e, 1, 10, "echo");
        expect_count(&e->results, 10);
        fw_link_hang_up(e->link);
        expect_some(&e->down);
    }
    assert_true(peer_comes_true(has_one_up, p));
    sub_stop(s);
    plane_end(p);
}

/* Sent before our own end knows that it is up: there is a way back all the same. */
static void tasks_may_come_at_once(void **state)
{
    (void)state;
    plane *p = plane_begin(NATIVE);
    fw_store_seq_cst(&p->eager, true);
    sub *s = sub_under(p);
    for (uint64_t round = 1; round <= 40; round++) {
        assert_true(peer_comes_true(has_one_up, p));
        end *e = newest(p);
        expect_count(&e->results, 1);
        assert_int_equal(fw_load_seq_cst(&e->down), 0);
        fw_uplink_stop(s->uplink, FW_NS_PER_S);
        sub_register(s, fw_net_address(p->net), NULL);
        expect_some(&e->down);
    }
    sub_stop(s);
    plane_end(p);
}

static void a_control_plane_that_restarts_is_found_again(void **state)
{
    (void)state;
    fw_net_config config;
    plane *p = plane_begin(NATIVE);
    sub *s = sub_under(p);
    assert_true(peer_comes_true(has_one_up, p));
    expect_state(s, FW_UPLINK_UP);
    char address[64];
    snprintf(address, sizeof address, "%s", fw_net_address(p->net));
    plane_end(p);
    expect_state(s, FW_UPLINK_SEEKING);
    plane_config(&config);
    config.base_address = address;
    p = plane_start(&config, NATIVE);
    assert_true(peer_comes_true(has_one_up, p));
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

/* C-174: pipes that cannot be opened; tasks come as requests then. */
static void C_174_falls_back_to_requests(void **state)
{
    (void)state;
    plane *p = plane_begin(OPENS_NO_PIPES);
    sub *s = sub_under(p);
    expect_count(&p->native, 1);
    expect_state(s, FW_UPLINK_REGISTERED);
    wish plain = {&p->plain, 1};
    assert_true(peer_comes_true(has_reached, &plain));
    expect_state(s, FW_UPLINK_REGISTERED);
    expect_word(s, "without pipes");
    /* Another run of it may have pipes. */
    char address[64];
    fw_net_config config;
    snprintf(address, sizeof address, "%s", fw_net_address(p->net));
    plane_end(p);
    plane_config(&config);
    config.base_address = address;
    p = plane_start(&config, NATIVE);
    assert_true(peer_comes_true(has_one_up, p));
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

/* ---- Under a Python control plane, which does not know the native member ---- */

static void plain_registration(void **state)
{
    (void)state;
    plane *p = plane_begin(PLAIN);
    sub *s = sub_under(p);
    expect_state(s, FW_UPLINK_REGISTERED);
    expect_word(s, "Python");
    expect_count(&p->native, 1); /* it was offered */
    fw_uplink_drain(s->uplink);  /* it knows when this returns */
    assert_int_equal(fw_load_seq_cst(&p->inactive), 1);
    assert_int_equal(fw_load_seq_cst(&p->beats), 1);
    fw_net_stats stats;
    fw_net_snapshot(s->hand->net, &stats);
    assert_int_equal(stats.links, 0);
    sub_stop(s);
    expect_count(&p->inactive, 2);
    plane_end(p);
}

/* At once: the connection tells, not the next beat. */
static void a_plain_one_that_restarts_is_found_again(void **state)
{
    (void)state;
    fw_net_config config;
    plane *p = plane_begin(PLAIN);
    sub *s = sub_under(p);
    expect_state(s, FW_UPLINK_REGISTERED);
    char address[64];
    snprintf(address, sizeof address, "%s", fw_net_address(p->net));
    plane_end(p);
    expect_state(s, FW_UPLINK_SEEKING);
    plane_config(&config);
    config.base_address = address;
    p = plane_start(&config, PLAIN);
    expect_state(s, FW_UPLINK_REGISTERED);
    sub_stop(s);
    plane_end(p);
}

/* ---- Not there, not willing ---- */

static void refused_and_tried_again(void **state)
{
    (void)state;
    plane *p = plane_begin(REFUSES);
    sub *s = sub_under(p);
    wish twice = {&p->registrations, 2};
    assert_true(peer_comes_true(has_reached, &twice));
    expect_state(s, FW_UPLINK_SEEKING);
    expect_word(s, "refused: go away");
    fw_store_seq_cst(&p->manners, NATIVE);
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

static void what_is_no_address(void **state)
{
    (void)state;
    char error[256] = "";
    hand *h = hand_open("sw1");
    fw_uplink *uplink = NULL;
    fw_uplink_config config = {.worker_id = "sw1",
                               .control_plane = "ipc:///tmp/x",
                               .advertise = fw_net_address(h->net),
                               .beat_ns = FW_NS_PER_S};
    fw_uplink_ops ops = {.changed = on_changed, .beat = write_beat};
    assert_int_equal(fw_uplink_start(&uplink, error, sizeof error, h->net, &config, &ops),
                     -FW_EINVAL);
    assert_non_null(strstr(error, "ipc:///tmp/x"));
    assert_null(uplink);
    hand_close(h);
}

/* ---- Discovery ---- */

static void text_of_port(char out[64], unsigned port)
{
    snprintf(out, 64, "tcp://127.0.0.1:%u", port);
}

static unsigned unused_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void found_on_the_bus(void **state)
{
    (void)state;
    char discovery[64];
    fw_net_config config;
    plane_config(&config);
    config.native_pub_port = unused_port(); /* not one above the bus */
    plane *p = plane_start(&config, NATIVE);
    text_of_port(discovery, fw_discovery_port(p->net->discovery));
    sub *s = sub_start(NULL, discovery);
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

static void found_where_events_are_published(void **state)
{
    (void)state;
    char discovery[64];
    fw_net_config config;
    plane_config(&config);
    config.native_pub_port = unused_port();
    plane *p = plane_start(&config, NATIVE);
    text_of_port(discovery, fw_discovery_pub_port(p->net->discovery) - 1);
    sub *s = sub_start(NULL, discovery);
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

static void looked_for_until_it_is_there(void **state)
{
    (void)state;
    char discovery[64];
    fw_net_config config;
    text_of_port(discovery, unused_port());
    sub *s = sub_start(NULL, discovery);
    wish one = {&s->changes, 1};
    assert_true(peer_comes_true(has_reached, &one));
    expect_word(s, "no control plane found by discovery");
    plane_config(&config);
    config.discovery_address = discovery;
    plane *p = plane_start(&config, NATIVE);
    expect_state(s, FW_UPLINK_UP);
    sub_stop(s);
    plane_end(p);
}

/* ---- A management port that misbehaves ---- */

typedef struct actor {
    int listener;
    char base[64]; /* what a control plane with this management port would be called */
} actor;

static actor actor_open(void)
{
    actor a;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    a.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(a.listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(a.listener, 8), 0);
    assert_int_equal(getsockname(a.listener, (struct sockaddr *)&at, &len), 0);
    text_of_port(a.base, ntohs(at.sin_port) - 5u);
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
    return fd;
}

static uint32_t actor_hear(int fd)
{
    char text[4096];
    uint32_t request = peer_answer(fd, text, sizeof text - 1);
    assert_non_null(strstr(text, "\"subworker_id\": \"sw1\""));
    return request;
}

static void nonsense_is_survived(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{\"status\": 7}",
                                        "{\"status\": \"error\", \"error\": \"no\"}"};
    static const char good[] = "{\"status\": \"registered\", \"native\": {\"v\": 1, \"epoch\": 5}}";
    (void)state;
    actor a = actor_open();
    sub *s = sub_start(a.base, NULL);
    int fd = actor_accept(&a);
    peer_expect_end(fd); /* says nothing, and is closed for it, or by us */
    close(fd);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fd = actor_accept(&a);
        peer_handshake(fd, FW_SP_REP0, FW_SP_REQ0);
        peer_ask(fd, actor_hear(fd), texts[i], strlen(texts[i]));
        if (i + 1 < sizeof texts / sizeof texts[0])
            peer_expect_end(fd);
        close(fd);
    }
    fd = actor_accept(&a);
    peer_handshake(fd, FW_SP_REP0, FW_SP_REQ0);
    uint32_t request = actor_hear(fd);
    peer_ask(fd, request + 1, "{\"status\": \"error\", \"error\": \"another's\"}", 40);
    peer_ask(fd, request, good, sizeof good - 1);
    expect_state(s, FW_UPLINK_REGISTERED);
    expect_word(s, "Python"); /* what it offers is not well-formed */
    close(fd);
    expect_state(s, FW_UPLINK_SEEKING);
    close(a.listener);
    sub_stop(s);
}

/* Stopping does not wait for somebody who accepts and says nothing. */
static void stops_while_it_waits(void **state)
{
    (void)state;
    actor a = actor_open();
    sub *s = sub_start(a.base, NULL);
    int fd = actor_accept(&a);
    sub_stop(s);
    close(fd);
    s = sub_start(a.base, NULL);
    fd = actor_accept(&a);
    peer_handshake(fd, FW_SP_REP0, FW_SP_REQ0);
    actor_hear(fd);
    sub_stop(s);
    close(fd);
    close(a.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_beats_and_works),
        cmocka_unit_test(says_at_once_that_it_drains),
        cmocka_unit_test(a_lost_pipe_is_opened_again),
        cmocka_unit_test(tasks_may_come_at_once),
        cmocka_unit_test(a_control_plane_that_restarts_is_found_again),
        cmocka_unit_test(C_174_falls_back_to_requests),
        cmocka_unit_test(plain_registration),
        cmocka_unit_test(a_plain_one_that_restarts_is_found_again),
        cmocka_unit_test(refused_and_tried_again),
        cmocka_unit_test(what_is_no_address),
        cmocka_unit_test(found_on_the_bus),
        cmocka_unit_test(found_where_events_are_published),
        cmocka_unit_test(looked_for_until_it_is_there),
        cmocka_unit_test(nonsense_is_survived),
        cmocka_unit_test(stops_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
