/* loop_test.c - net/loop.c: turns for sockets that have something, for kicks and for the clock, and
 * none after leave. SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include "peers.h"

typedef struct guest {
    fw_polled polled;
    int other; /* the end that the test holds */
    /* What the turns saw. */
    fw_atomic(uint32_t) seen;
    fw_atomic(int) turns, inside, overlaps;
    /* What they shall do. */
    fw_atomic(int) again; /* so many times more */
    fw_atomic(bool) await_room, reads;
    fw_atomic(int64_t) late_in_ns;
} guest;

static bool turn(fw_polled *polled, unsigned why)
{
    guest *g = (guest *)polled;
    if (fw_add_relaxed(&g->inside, 1) != 0)
        fw_add_relaxed(&g->overlaps, 1);
    char bytes[64];
    while (fw_load_relaxed(&g->reads) && recv(polled->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    if (fw_load_relaxed(&g->await_room)) {
        fw_store_relaxed(&g->await_room, false);
        assert_true(fw_loop_await_room(polled));
    }
    int64_t late_in_ns = fw_load_relaxed(&g->late_in_ns);
    if (late_in_ns > 0)
        polled->late_ns = fw_now_ns() + late_in_ns;
    fw_store_relaxed(&g->late_in_ns, 0);
    bool again = fw_load_relaxed(&g->again) > 0;
    if (again)
        fw_sub_relaxed(&g->again, 1);
    fw_sub_relaxed(&g->inside, 1);
    fw_or_relaxed(&g->seen, why);
    fw_add_relaxed(&g->turns, 1);
    return again;
}

static guest *come(fw_loop *loop)
{
    int ends[2];
    guest *g = calloc(1, sizeof *g);
    assert_non_null(g);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    g->polled.loop = loop;
    g->polled.fd = ends[0];
    g->polled.turn = turn;
    g->other = ends[1];
    fw_store_relaxed(&g->reads, true);
    fw_loop_join(&g->polled);
    return g;
}

static void go(guest *g)
{
    fw_loop_leave(&g->polled);
    fw_loop_await(&g->polled);
    assert_int_equal(fw_load_relaxed(&g->overlaps), 0);
    close(g->polled.fd);
    close(g->other);
    free(g);
}

typedef struct wish {
    guest *guest;
    uint32_t seen;
    int turns;
} wish;

static bool is_granted(void *context)
{
    const wish *w = context;
    return (fw_load_relaxed(&w->guest->seen) & w->seen) == w->seen &&
           fw_load_relaxed(&w->guest->turns) >= w->turns;
}

static void expect_turn(guest *g, uint32_t why, int turns)
{
    wish w = {g, why, turns};
    assert_true(peer_comes_true(is_granted, &w));
}

static void bytes_kicks_and_the_end_have_turns(void **state)
{
    (void)state;
    fw_loop *loop = fw_loop_create("loop-test");
    assert_non_null(loop);
    guest *g = come(loop), *idle = come(loop);
    assert_int_equal(send(g->other, "abc", 3, 0), 3);
    expect_turn(g, FW_TURN_READ, 1);
    fw_loop_kick(&g->polled);
    expect_turn(g, FW_TURN_KICK, 2);
    assert_int_equal(fw_load_relaxed(&g->seen), FW_TURN_READ | FW_TURN_KICK);
    shutdown(g->other, SHUT_WR);
    expect_turn(g, FW_TURN_HANGUP, 3);
    close(g->other);
    expect_turn(g, FW_TURN_FAILED, 4);
    g->other = -1;
    assert_int_equal(fw_load_relaxed(&idle->turns), 0);
    go(g);
    go(idle);
    fw_loop_destroy(loop);
    fw_loop_destroy(NULL);
}

static void who_wants_comes_again_and_the_others_too(void **state)
{
    (void)state;
    fw_loop *loop = fw_loop_create("loop-test");
    guest *greedy = come(loop), *modest = come(loop);
    fw_store_relaxed(&greedy->again, 1 << 30);
    fw_loop_kick(&greedy->polled);
    expect_turn(greedy, FW_TURN_KICK, 100);
    assert_int_equal(send(modest->other, "a", 1, 0), 1);
    expect_turn(modest, FW_TURN_READ, 1);
    go(greedy); /* in the midst of it */
    fw_loop_kick(&modest->polled);
    expect_turn(modest, FW_TURN_KICK, 2);
    go(modest);
    fw_loop_destroy(loop);
}

static void the_clock_and_room_have_turns(void **state)
{
    (void)state;
    fw_loop *loop = fw_loop_create("loop-test");
    guest *g = come(loop), *other = come(loop);
    fw_store_relaxed(&g->late_in_ns, FW_NS_PER_MS);
    fw_store_relaxed(&other->late_in_ns, FW_NS_PER_MS * 3600 * 1000);
    fw_loop_kick(&other->polled);
    fw_loop_kick(&g->polled);
    expect_turn(g, FW_TURN_LATE, 2);
    assert_int_equal(fw_load_relaxed(&other->seen) & FW_TURN_LATE, 0);

    /* Full, then read by the other end. */
    char bytes[4096] = {0};
    ssize_t n;
    do
        n = send(g->polled.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (n > 0);
    fw_store_relaxed(&g->await_room, true);
    fw_loop_kick(&g->polled);
    expect_turn(g, FW_TURN_KICK, 3);
    assert_int_equal(fw_load_relaxed(&g->seen) & FW_TURN_WRITE, 0);
    while (recv(g->other, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    expect_turn(g, FW_TURN_WRITE, 4);
    go(g);
    go(other); /* with an hour to go */
    fw_loop_destroy(loop);
}

enum { KICKERS = 4, KICKS = 2000 };

static void *kick_often(void *argument)
{
    for (int i = 0; i < KICKS; i++)
        fw_loop_kick(&((guest *)argument)->polled);
    return NULL;
}

static void late_kicks_find_nobody(void **state)
{
    (void)state;
    fw_loop *loop = fw_loop_create("loop-test");
    for (int round = 0; round < 20; round++) {
        guest *g = come(loop), *stays = come(loop);
        pthread_t threads[2 * KICKERS];
        for (int i = 0; i < 2 * KICKERS; i++)
            pthread_create(&threads[i], NULL, kick_often, i % 2 ? g : stays);
        expect_turn(g, FW_TURN_KICK, 1);
        fw_loop_leave(&g->polled);
        fw_loop_await(&g->polled);
        int turns = fw_load_relaxed(&g->turns);
        for (int i = 0; i < 2 * KICKERS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(fw_load_relaxed(&g->turns), turns);
        /* No kick is lost on who stays. */
        turns = fw_load_relaxed(&stays->turns);
        fw_loop_kick(&stays->polled);
        expect_turn(stays, FW_TURN_KICK, turns + 1);
        assert_int_equal(fw_load_relaxed(&g->overlaps), 0);
        close(g->polled.fd);
        close(g->other);
        free(g);
        go(stays);
    }
    fw_loop_destroy(loop);
}

static void who_cannot_be_watched_is_told(void **state)
{
    (void)state;
    fw_loop *loop = fw_loop_create("loop-test");
    guest g = {.polled = {.loop = loop, .turn = turn, .fd = -1}};
    fw_loop_join(&g.polled);
    expect_turn(&g, FW_TURN_FAILED, 1);
    fw_loop_leave(&g.polled);
    fw_loop_await(&g.polled);
    fw_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_kicks_and_the_end_have_turns),
        cmocka_unit_test(who_wants_comes_again_and_the_others_too),
        cmocka_unit_test(the_clock_and_room_have_turns),
        cmocka_unit_test(late_kicks_find_nobody),
        cmocka_unit_test(who_cannot_be_watched_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
