/* discovery_test.c - net/discovery.c, net/audience.c: what peers on the bus and subscribers hear.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "desk.h"
#include "nng_peer.h"

static void check_capabilities(desk *d, const char *json)
{
    fw_json all = fw_json_parse(desk_text(json));
    char expected[128];
    assert_int_equal(all.type, FW_JSON_OBJECT);
    assert_true(desk_is(fw_json_get(all, "id").text, "\"control-plane\""));
    snprintf(expected, sizeof expected, "\"tcp://127.0.0.1:%u\"", d->base);
    assert_true(desk_is(fw_json_get(all, "base").text, expected));
    snprintf(expected, sizeof expected, "\"tcp://127.0.0.1:%u\"", d->pub);
    assert_true(desk_is(fw_json_get(all, "pub").text, expected));
    assert_int_equal(fw_json_get(all, "features").type, FW_JSON_ARRAY);
    assert_int_equal(fw_json_get(all, "epoch").text.len, FW_UUID_TEXT + 2);
}

static void a_bus_peer_hears_at_once_and_again(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    nng_peer bus = nng_peer_start("bus", d->discovery);
    char text[1024], announcement[256];
    snprintf(announcement, sizeof announcement, "WORKER_ANNOUNCE:control-plane:tcp://127.0.0.1:%u",
             d->base);
    for (int i = 0; i < 2; i++) {
        nng_peer_hear(&bus, text, sizeof text);
        assert_ptr_equal(strstr(text, "FASTWORKER_CAPS:"), text);
        assert_null(strchr(text, '\n'));
        check_capabilities(d, text + strlen("FASTWORKER_CAPS:"));
        nng_peer_hear(&bus, text, sizeof text);
        assert_string_equal(text, announcement);
    }
    nng_peer_stop(&bus);
    desk_close(d);
}

static void what_peers_say_on_the_bus_is_passed_over(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    nng_peer bus = nng_peer_start("talkative-bus", d->discovery);
    char text[1024];
    nng_peer_hear(&bus, text, sizeof text);
    nng_peer_hear(&bus, text, sizeof text);
    nng_peer_hear(&bus, text, sizeof text);
    nng_peer_hear(&bus, text, sizeof text);
    assert_ptr_equal(strstr(text, "WORKER_ANNOUNCE:"), text);
    nng_peer_stop(&bus);
    desk_close(d);
}

static void subscribers_hear_who_it_is_and_what_happens(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    nng_peer sub = nng_peer_start("sub", d->pub);
    char text[1024];
    nng_peer_hear(&sub, text, sizeof text);
    assert_ptr_equal(strstr(text, "fw1/announce\n"), text);
    check_capabilities(d, text + strlen("fw1/announce\n"));
    fw_net_publish(d->net, "task.queued", desk_text("{\"task_id\":\"t\"}"));
    do
        nng_peer_hear(&sub, text, sizeof text);
    while (strstr(text, "fw1/announce"));
    assert_string_equal(text, "fw1/event/task.queued\n{\"task_id\":\"t\"}");
    nng_peer_hear(&sub, text, sizeof text);
    assert_ptr_equal(strstr(text, "fw1/announce\n"), text);
    nng_peer_stop(&sub);
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_true(stats.announcements >= 1);
    desk_close(d);
}

static void a_draining_control_plane_announces_itself_no_more(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    char text[1024];
    int old = peer_dial(d->discovery);
    peer_handshake(old, FW_SP_BUS0, FW_SP_BUS0);
    peer_message(old, text, sizeof text);
    peer_message(old, text, sizeof text);
    fw_net_drain(d->net);
    int new = peer_dial(d->discovery);
    peer_handshake(new, FW_SP_BUS0, FW_SP_BUS0);
    assert_true(peer_is_silent(new, 1200));
    close(old);
    close(new);
    desk_close(d);
}

static void wrong_protocols_are_turned_away(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    unsigned ports[] = {d->discovery, d->pub, d->base};
    unsigned wrong[] = {FW_SP_SUB0, FW_SP_BUS0, FW_SP_BUS0};
    for (int i = 0; i < 3; i++) {
        int fd = peer_dial(ports[i]);
        unsigned char hello[8];
        fw_sp_handshake_write(hello, wrong[i]);
        peer_send(fd, hello, sizeof hello);
        peer_expect_end(fd);
        close(fd);
    }
    desk_close(d);
}

/* A subscriber that never reads misses events; the others do not, and nobody waits. */
static void a_slow_subscriber_misses_events_and_holds_up_nobody(void **state)
{
    (void)state;
    enum { EVENTS = 5000 };
    fw_net_config config;
    desk_config(&config);
    config.unsent_bytes_max = 64 * 1024;
    desk *d = desk_open(&config);
    int slow = peer_dial(d->pub), quick = peer_dial(d->pub);
    peer_handshake(slow, FW_SP_SUB0, FW_SP_PUB0);
    peer_handshake(quick, FW_SP_SUB0, FW_SP_PUB0);
    static char body[4001], message[8192];
    memset(body, 'x', sizeof body - 1);
    size_t len = peer_message(quick, message, sizeof message); /* the announcement */
    for (int i = 0; i < EVENTS; i++) {
        memcpy(body, &i, sizeof i);
        fw_net_publish(d->net, "e", (fw_span){body, sizeof body - 1});
        int seen = -1;
        while (seen != i) {
            len = peer_message(quick, message, sizeof message);
            if (memcmp(message, "fw1/event/e\n", 12) == 0) {
                memcpy(&seen, message + 12, sizeof seen);
                assert_int_equal(len, 12 + sizeof body - 1);
            }
        }
    }
    /* Far fewer bytes than were published wait for the slow one. */
    fw_net_stats stats;
    fw_net_snapshot(d->net, &stats);
    assert_true(stats.messages_out < 2 * EVENTS);
    close(slow);
    close(quick);
    desk_close(d);
}

static bool nobody_is_connected(void *context)
{
    fw_net_stats stats;
    fw_net_snapshot(((desk *)context)->net, &stats);
    return stats.connections == 0;
}

static void listeners_may_come_and_go(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    for (int round = 0; round < 5; round++) {
        int many[20];
        char text[1024];
        for (int i = 0; i < 20; i++) {
            many[i] = peer_dial(i % 2 ? d->discovery : d->pub);
            peer_handshake(many[i], i % 2 ? FW_SP_BUS0 : FW_SP_SUB0,
                           i % 2 ? FW_SP_BUS0 : FW_SP_PUB0);
        }
        for (int i = 0; i < 20; i++)
            peer_message(many[i], text, sizeof text);
        fw_net_publish(d->net, "round", desk_text("1"));
        for (int i = 0; i < 20; i++)
            i % 3 ? (void)close(many[i]) : peer_reset(many[i]);
        fw_net_publish(d->net, "gone", desk_text("2"));
        assert_true(peer_comes_true(nobody_is_connected, d));
    }
    desk_close(d);
}

static void the_pub_port_steps_aside(void **state)
{
    (void)state;
    desk *d = desk_open_usual();
    fw_net_config config;
    char discovery[64];
    desk_config(&config);
    /* Discovery one below a port that is taken. */
    snprintf(discovery, sizeof discovery, "tcp://127.0.0.1:%u", d->base - 1);
    config.discovery_address = discovery;
    fw_net *net = NULL;
    char error[256];
    fw_net_ops ops = {.submit = desk_submit,
                      .submit_batch = desk_batch,
                      .query = desk_query,
                      .registration = desk_registration};
    if (fw_net_start(&net, error, sizeof error, &config, &ops) == 0) {
        assert_int_not_equal(fw_discovery_pub_port(net->discovery), d->base);
        fw_net_stop(net, 0);
    }
    desk_close(d);
}

int main(int argc, char **argv)
{
    nng_peer_become(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bus_peer_hears_at_once_and_again),
        cmocka_unit_test(what_peers_say_on_the_bus_is_passed_over),
        cmocka_unit_test(subscribers_hear_who_it_is_and_what_happens),
        cmocka_unit_test(a_draining_control_plane_announces_itself_no_more),
        cmocka_unit_test(wrong_protocols_are_turned_away),
        cmocka_unit_test(a_slow_subscriber_misses_events_and_holds_up_nobody),
        cmocka_unit_test(listeners_may_come_and_go),
        cmocka_unit_test(the_pub_port_steps_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
