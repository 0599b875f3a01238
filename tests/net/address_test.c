/* address_test.c - net/address.c: what is an address, and what is told to others.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"
#include "peers.h"

static int parse(fw_tcp_address *out, const char *text)
{
    return fw_tcp_address_parse(out, (fw_span){text, strlen(text)});
}

static void addresses_come_back_as_they_went_in(void **state)
{
    (void)state;
    const char *good[] = {"tcp://127.0.0.1:5555",     "tcp://0.0.0.0:0",
                          "tcp://[::1]:65535",        "tcp://[::]:1",
                          "tcp://a-host.example:80",  "tcp://*:5555",
                          "tls+tcp://127.0.0.1:5555", "tls+tcp://[::1]:9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fw_tcp_address address;
        char text[FW_TCP_ADDRESS_MAX];
        assert_int_equal(parse(&address, good[i]), 0);
        fw_tcp_address_format(text, &address);
        assert_string_equal(text, good[i]);
    }
    fw_tcp_address six;
    parse(&six, "tcp://[fe80::1]:7");
    assert_string_equal(six.host, "fe80::1");
    assert_int_equal(six.port, 7);
    assert_false(six.tls);
    assert_int_equal(parse(&six, "tls+tcp://[fe80::1]:7"), 0);
    assert_true(six.tls);
    assert_string_equal(six.host, "fe80::1");
}

static void loopback_is_this_machine(void **state)
{
    (void)state;
    const char *near[] = {"tcp://127.0.0.1:1", "tcp://127.9.8.7:1", "tls+tcp://[::1]:1",
                          "tcp://localhost:1"};
    const char *far[] = {"tcp://0.0.0.0:1",  "tcp://*:1",         "tcp://[::]:1",
                         "tcp://10.0.0.1:1", "tcp://128.0.0.1:1", "tcp://localhost.example:1"};
    fw_tcp_address address;
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        assert_int_equal(parse(&address, near[i]), 0);
        assert_true(fw_tcp_address_is_loopback(&address));
    }
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        assert_int_equal(parse(&address, far[i]), 0);
        assert_false(fw_tcp_address_is_loopback(&address));
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "tcp://",
                         "tcp://:80",
                         "tcp://host",
                         "tcp://host:",
                         "tcp://host:65536",
                         "tcp://host:-1",
                         "tcp://host:+1",
                         "tcp://host:1x",
                         "tcp://host:000001",
                         "udp://host:1",
                         "tls://host:1",
                         "tls+tcp://",
                         "tls+udp://host:1",
                         "TCP://host:1",
                         "tcp://::1:80",
                         "tcp://[]:80",
                         "tcp://[::1:80",
                         "tcp://::1]:80",
                         "tcp://[x]:80",
                         "tcp://ho st:80",
                         "tcp://host/x:80",
                         "tcp://a@b:80",
                         "ipc:///tmp:80",
                         "tcp://host:1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fw_tcp_address address = {.host = "untouched", .port = 9};
        if (parse(&address, bad[i]) != -FW_EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_string_equal(address.host, "untouched");
    }
    char longest[400] = "tcp://";
    memset(longest + 6, 'a', FW_TCP_HOST_MAX);
    memcpy(longest + 6 + FW_TCP_HOST_MAX, ":1", 3);
    fw_tcp_address address;
    assert_int_equal(parse(&address, longest), 0);
    memcpy(longest + 6 + FW_TCP_HOST_MAX, "a:1", 4);
    assert_int_equal(parse(&address, longest), -FW_EINVAL);
    assert_int_equal(fw_tcp_address_parse(&address, (fw_span){"tcp://a\0b:1", 11}), -FW_EINVAL);
}

static void only_wildcards_are_replaced(void **state)
{
    (void)state;
    const char *wild[] = {"tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://*:5555"};
    for (size_t i = 0; i < 3; i++) {
        fw_tcp_address address;
        struct in_addr four;
        parse(&address, wild[i]);
        assert_true(fw_tcp_address_is_wildcard(&address));
        assert_true(fw_tcp_address_make_reachable(&address));
        assert_false(fw_tcp_address_is_wildcard(&address));
        assert_int_equal(inet_pton(AF_INET, address.host, &four), 1);
        assert_int_equal(address.port, 5555);
    }
    fw_tcp_address loop;
    parse(&loop, "tcp://127.0.0.1:1");
    assert_false(fw_tcp_address_make_reachable(&loop));
    assert_string_equal(loop.host, "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_back_as_they_went_in),
        cmocka_unit_test(loopback_is_this_machine),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(only_wildcards_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
