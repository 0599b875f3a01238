/* net/client_address.c: what is an address, and how it looks written down. SPDX-License-Identifier:
 * Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/client_address.h"

static void reads_as_python_does(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written; /* NULL: refused */
    } cases[] = {{"tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"},
                 {"TCP://h:1", "tcp://h:1"},
                 {"h:1", "tcp://h:1"},
                 {"h", "tcp://h:5555"},
                 {"tcp://h:0", "tcp://h:5555"},
                 {"tcp://:7", "tcp://127.0.0.1:7"},
                 {"tcp://[::1]:9", "tcp://[::1]:9"},
                 {"tls+tcp://h:1", "tls+tcp://h:1"},
                 {"TLS+TCP://[::1]", "tls+tcp://[::1]:5555"},
                 {"tls+tcp://", NULL},
                 {"tls://h:1", NULL},
                 {"[::1]", "tcp://[::1]:5555"},
                 {"tcp://h:65535", "tcp://h:65535"},
                 {"tcp://h:65536", NULL},
                 {"tcp://h:123456", NULL},
                 {"tcp://h:1x", NULL},
                 {"tcp://h:-1", NULL},
                 {"tcp://h :1", NULL},
                 {"tcp://h:1\n", NULL},
                 {"tcp://[::1", NULL},
                 {"tcp://[::1]x", NULL},
                 {"tcp://a/b:1", NULL},
                 {"ipc:///tmp/x", NULL},
                 {"udp://h:1", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_address address = {.port = 0};
        char written[FW_ADDRESS_MAX];
        int rc = fw_address_parse(&address, (fw_span){cases[i].text, strlen(cases[i].text)});
        assert_int_equal(rc, cases[i].written == NULL ? -FW_EINVAL : 0);
        if (rc != 0)
            continue;
        fw_address_format(written, sizeof(written), &address);
        assert_string_equal(written, cases[i].written);
    }
}

static void resolves_numbers_and_names(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int family;
    } cases[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"localhost", AF_UNSPEC}};
    for (size_t i = 0; i < 3; i++) {
        fw_address address = {.port = 77};
        fw_endpoint endpoint;
        const char *reason;
        memcpy(address.host, cases[i].host, strlen(cases[i].host) + 1);
        assert_int_equal(fw_address_resolve(&endpoint, &reason, &address), 0);
        assert_true(endpoint.len > 0);
        if (cases[i].family != AF_UNSPEC)
            assert_int_equal(endpoint.socket.ss_family, cases[i].family);
    }
    fw_address nobody = {.host = "no-such-host.invalid", .port = 1};
    fw_endpoint endpoint;
    const char *reason = NULL;
    assert_int_equal(fw_address_resolve(&endpoint, &reason, &nobody), -FW_ENOCONN);
    assert_non_null(reason);
}

static void knows_wildcards(void **state)
{
    (void)state;
    assert_true(fw_address_is_wildcard(&(fw_address){.host = "0.0.0.0"}));
    assert_true(fw_address_is_wildcard(&(fw_address){.host = "::"}));
    assert_false(fw_address_is_wildcard(&(fw_address){.host = "127.0.0.1"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_python_does),
        cmocka_unit_test(resolves_numbers_and_names),
        cmocka_unit_test(knows_wildcards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
