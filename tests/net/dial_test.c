/* dial_test.c - net/dial.c: an outcome once, or none after a cancel, and nothing left behind.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/dial.h"

#include "base/atomic.h"
#include "peers.h"

typedef struct call {
    fw_dial *dial;
    nng_stream *stream;
    char why[128];
    fw_atomic(int) calls;
} call;

static void note(void *context, nng_stream *stream, const char *why)
{
    call *c = context;
    c->stream = stream;
    snprintf(c->why, sizeof c->why, "%s", why);
    /* [test-call] release: the outcome. */
    fw_store_release(&c->calls, 1);
}

static bool was_called(void *context)
{
    call *c = context;
    /* [test-call] acquire: the outcome. */
    return fw_load_acquire(&c->calls) > 0;
}

static int listen_raw(char url[64], int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(url, 64, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void hang_up(nng_stream *stream)
{
    nng_stream_close(stream);
    nng_stream_free(stream);
}

static void a_stream_comes(void **state)
{
    (void)state;
    char url[64], text[4];
    call c = {.stream = NULL};
    int fd = listen_raw(url, 16);
    c.dial = fw_dial_start(url, FW_NS_PER_S, note, &c);
    assert_non_null(c.dial);
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer_comes_true(was_called, &c));
    assert_non_null(c.stream);
    assert_false(fw_dial_cancel(c.dial));
    /* The dial may go first. */
    fw_dial_destroy(c.dial);
    fw_dial_settle();
    nng_aio *aio;
    nng_iov part = {(char[]){"hey"}, 3};
    assert_int_equal(nng_aio_alloc(&aio, NULL, NULL), 0);
    assert_int_equal(nng_aio_set_iov(aio, 1, &part), 0);
    nng_stream_send(c.stream, aio);
    nng_aio_wait(aio);
    assert_int_equal(nng_aio_result(aio), 0);
    peer_receive(peer, text, 3);
    assert_memory_equal(text, "hey", 3);
    nng_aio_free(aio);
    hang_up(c.stream);
    peer_expect_end(peer);
    close(peer);
    close(fd);
}

static void failures_have_a_reason(void **state)
{
    (void)state;
    char url[64];
    call c = {.stream = NULL};
    close(listen_raw(url, 16));
    c.dial = fw_dial_start(url, FW_NS_PER_S, note, &c);
    assert_non_null(c.dial);
    assert_true(peer_comes_true(was_called, &c));
    assert_null(c.stream);
    assert_string_equal(c.why, "Connection refused");
    fw_dial_destroy(c.dial);
    assert_null(fw_dial_start("nonsense", FW_NS_PER_S, note, &c));
    fw_dial_destroy(NULL);
}

enum { FILLING = 64 };

/* A backlog that is filled until the kernel does not answer. */
static int listen_deaf(char url[64], int filling[FILLING])
{
    int fd = listen_raw(url, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof to;
    bool deaf = false;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
    for (int i = 0; i < FILLING; i++) {
        struct pollfd one = {.events = POLLOUT};
        filling[i] = -1;
        if (deaf)
            continue;
        one.fd = filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        deaf =
            connect(filling[i], (struct sockaddr *)&to, sizeof to) != 0 && poll(&one, 1, 100) == 0;
    }
    assert_true(deaf);
    return fd;
}

/* Either outcome is right: see dial.h on streams that are not connected yet. */
static void silence_ends_at_the_limit_or_by_cancel(void **state)
{
    (void)state;
    char url[64];
    int filling[FILLING];
    call c = {.stream = NULL}, d = {.stream = NULL};
    int fd = listen_deaf(url, filling);
    c.dial = fw_dial_start(url, 50 * FW_NS_PER_MS, note, &c);
    assert_true(peer_comes_true(was_called, &c));
    if (c.stream)
        hang_up(c.stream);
    else
        assert_string_equal(c.why, "Timed out");
    fw_dial_destroy(c.dial);
    d.dial = fw_dial_start(url, 60 * FW_NS_PER_S, note, &d);
    bool cancelled = fw_dial_cancel(d.dial);
    assert_true(cancelled == fw_dial_cancel(d.dial));
    fw_dial_destroy(d.dial);
    fw_dial_settle();
    assert_true(cancelled != was_called(&d));
    if (d.stream)
        hang_up(d.stream);
    for (int i = 0; i < FILLING && filling[i] >= 0; i++)
        close(filling[i]);
    close(fd);
}

typedef struct crowd {
    fw_atomic(int) out;
} crowd;

typedef struct member {
    fw_atomic(fw_dial *) dial;
    crowd *crowd;
} member;

/* Stands for "done was here". */
static fw_dial *told(void)
{
    static max_align_t place;
    return (fw_dial *)&place;
}

/* The starter and done both come here; the second destroys. */
static void leave(member *m, fw_dial *dial)
{
    /* [test-member] release: the dial, to the other one.
     * [test-member] acquire: the dial, if the other one was here before. */
    fw_dial *other = fw_swap_acq_rel(&m->dial, dial);
    if (!other)
        return;
    fw_dial_destroy(dial == told() ? other : dial);
    /* Relaxed: a count. */
    (void)fw_sub_relaxed(&m->crowd->out, 1);
    free(m);
}

static void leave_on_their_thread(void *context, nng_stream *stream, const char *why)
{
    (void)why;
    if (stream)
        hang_up(stream);
    leave(context, told());
}

static bool all_left(void *context)
{
    /* Relaxed: a count. */
    return fw_load_relaxed(&((crowd *)context)->out) == 0;
}

static bool has_descriptors(void *most)
{
    return peer_descriptors() <= *(size_t *)most + 2;
}

static void a_crowd_leaves_nothing(void **state)
{
    (void)state;
    enum { CROWD = 300 };
    char url[64], nobody[64];
    int fd = listen_raw(url, CROWD);
    close(listen_raw(nobody, 1));
    size_t before = peer_descriptors();
    crowd all = {0};
    for (int i = 0; i < CROWD; i++) {
        member *m = calloc(1, sizeof *m);
        m->crowd = &all;
        (void)fw_add_relaxed(&all.out, 1); /* relaxed: a count */
        fw_dial *dial =
            fw_dial_start(i % 3 ? url : nobody, FW_NS_PER_S * 10, leave_on_their_thread, m);
        assert_non_null(dial);
        if (i % 5 == 0 && fw_dial_cancel(dial)) {
            fw_dial_destroy(dial);
            (void)fw_sub_relaxed(&all.out, 1); /* relaxed: a count */
            free(m);
        } else {
            leave(m, dial);
        }
    }
    assert_true(peer_comes_true(all_left, &all));
    fw_dial_settle();
    /* What is not accepted has none; NNG closes its own on another thread. */
    assert_true(peer_comes_true(has_descriptors, &before));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_comes),
        cmocka_unit_test(failures_have_a_reason),
        cmocka_unit_test(silence_ends_at_the_limit_or_by_cancel),
        cmocka_unit_test(a_crowd_leaves_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fw_dial_settle();
    return failed;
}
