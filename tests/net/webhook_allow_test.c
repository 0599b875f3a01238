/* webhook_allow_test.c - where notices may go, and how they are signed. Covers net/webhook_allow.c
 * and net/webhook_sign.c. SPDX-License-Identifier: Apache-2.0 */
#include "net/webhook_allow.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/webhook_sign.h"

static fw_span text_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static fw_allowed judge(const char *patterns, const char *address)
{
    char error[512];
    fw_allow *allow;
    assert_int_equal(fw_allow_create(&allow, error, sizeof error, patterns), 0);
    fw_allowed verdict = fw_allow_judge(allow, text_of(address), NULL);
    fw_allow_destroy(allow);
    return verdict;
}

static void patterns_and_addresses(void **state)
{
    static const struct {
        const char *patterns, *address;
        fw_allowed verdict;
    } rows[] = {
        {"", "http://a.example/", FW_ALLOWED_NOT},
        {"none", "tcp://127.0.0.1:5000", FW_ALLOWED_NOT},
        {"tcp://127.0.0.1:*", "tcp://127.0.0.1:5000", FW_ALLOWED_BY_NAME},
        {"tcp://127.0.0.1:*", "tcp://127.0.0.2:5000", FW_ALLOWED_NOT},
        {"tcp://127.0.0.1:*", "http://127.0.0.1:5000", FW_ALLOWED_NOT},
        {"tcp://127.0.0.1:*", "tcp://127.0.0.1", FW_ALLOWED_NOT},
        {"tcp://[::1]:*", "tcp://[::1]:7", FW_ALLOWED_BY_NAME},
        {"https://a.example", "https://a.example/x?y#z", FW_ALLOWED_BY_NAME},
        {"https://a.example", "https://A.Example:443/x", FW_ALLOWED_BY_NAME},
        {"https://a.example", "https://a.example:444/x", FW_ALLOWED_NOT},
        {"https://a.example", "http://a.example/x", FW_ALLOWED_NOT},
        {"https://a.example:444", "https://a.example:444/", FW_ALLOWED_BY_NAME},
        {"https://*.example", "https://b.a.example/", FW_ALLOWED_BY_PATTERN},
        {"https://*.example", "https://example/", FW_ALLOWED_NOT},
        {"https://*.example", "https://evil.test/.example", FW_ALLOWED_NOT},
        {"https://*.example", "https://evil.test#.example", FW_ALLOWED_NOT},
        {"https://*.example", "https://evil.test?.example", FW_ALLOWED_NOT},
        {"https://*.example", "https://a.example.evil.test/", FW_ALLOWED_NOT},
        {"https://*.example", "https://a.example@evil.test/", FW_ALLOWED_NOT},
        {"https://*:*", "https://user:word@a.example/", FW_ALLOWED_NOT},
        {"https://*:*,http://a:8080", "http://a:8080/", FW_ALLOWED_BY_NAME},
        {"https://*:* https://a.example", "https://a.example/", FW_ALLOWED_BY_NAME},
        {"http://127.0.0.1:*", "http://2130706433:80/", FW_ALLOWED_BY_NAME},
        {"http://127.0.0.1:*", "http://0x7f.1/", FW_ALLOWED_BY_NAME},
        {"http://*:*", "file:///etc/passwd", FW_ALLOWED_NOT},
        {"http://*:*", "gopher://a.example/", FW_ALLOWED_NOT},
        {"http://*:*", "", FW_ALLOWED_NOT},
        {"http://*:*", "http://", FW_ALLOWED_NOT},
        {"http://*:*", "http://a b/", FW_ALLOWED_NOT},
        {"http://*:*", "a.example", FW_ALLOWED_NOT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fw_allowed verdict = judge(rows[i].patterns, rows[i].address);
        if (verdict != rows[i].verdict)
            fail_msg("'%s' for '%s': %d", rows[i].address, rows[i].patterns, (int)verdict);
    }
}

static void patterns_that_are_none(void **state)
{
    static const char *const wrong[] = {"a.example",       "ftp://a.example",   "https://",
                                        "tcp://a.example", "https://a:0",       "https://a:65536",
                                        "https://a:x",     "https://a/path",    "https://u@a",
                                        "https://[::1",    "tcp://a:1 https://"};
    char error[512];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fw_allow *allow = NULL;
        int rc = fw_allow_create(&allow, error, sizeof error, wrong[i]);
        if (rc != -FW_EINVAL || !strstr(error, "callback-allow"))
            fail_msg("'%s' was taken", wrong[i]);
    }
}

static void hosts_are_told_apart(void **state)
{
    char error[512];
    fw_allow *allow;
    uint64_t a, b, c, d;
    (void)state;
    assert_int_equal(fw_allow_create(&allow, error, sizeof error, "http://*:* https://*:*"), 0);
    assert_true(fw_allow_has_http(allow));
    fw_allow_judge(allow, text_of("http://a.example/one"), &a);
    fw_allow_judge(allow, text_of("http://A.example:80/two"), &b);
    fw_allow_judge(allow, text_of("http://a.example:81/one"), &c);
    fw_allow_judge(allow, text_of("https://a.example/one"), &d);
    assert_true(a == b && a != c && a != d);
    fw_allow_destroy(allow);
    assert_int_equal(fw_allow_create(&allow, error, sizeof error, "tcp://*:*"), 0);
    assert_false(fw_allow_has_http(allow));
    fw_allow_destroy(allow);
}

static bool is_private(const char *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
        return fw_socket_is_private((struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
    return fw_socket_is_private((struct sockaddr *)&six);
}

static void private_networks(void **state)
{
    static const char *const private[] = {
        "127.0.0.1",       "10.1.2.3",        "172.16.0.1",  "172.31.255.255",
        "192.168.1.1",     "169.254.169.254", "100.64.0.1",  "0.0.0.0",
        "224.0.0.1",       "255.255.255.255", "::1",         "::",
        "fe80::1",         "fd00::1",         "ff02::1",     "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:a00:1::",    "2001:db8::1", "2001::1"};
    static const char *const public[] = {"1.1.1.1",   "172.32.0.1",           "192.169.0.1",
                                         "11.0.0.1",  "2606:4700:4700::1111", "::ffff:1.1.1.1",
                                         "9.255.0.1", "2002:101:101::",       "223.255.255.255"};
    (void)state;
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++)
        if (!is_private(private[i]))
            fail_msg("%s is not private", private[i]);
    for (size_t i = 0; i < sizeof public / sizeof public[0]; i++)
        if (is_private(public[i]))
            fail_msg("%s is private", public[i]);
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_true(fw_socket_is_private(&other));
}

/* The digest was made with another program: printf '1700000000.{}' | openssl dgst -sha256 -hmac
 * secret. */
static void a_signature(void **state)
{
    char text[FW_SIGNATURE_TEXT];
    (void)state;
    assert_int_equal(fw_webhook_sign(text, text_of("secret"), 1700000000, text_of("{}")), 0);
    assert_string_equal(text, "t=1700000000,v1="
                              "b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_and_addresses),
        cmocka_unit_test(patterns_that_are_none),
        cmocka_unit_test(hosts_are_told_apart),
        cmocka_unit_test(private_networks),
        cmocka_unit_test(a_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
