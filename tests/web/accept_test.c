/* accept_test.c - who comes when there is no descriptor left: waits, costs nothing, is served then.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { CLIENTS = 40, SERVED = 8, PAUSE_MS = 100 };

static void write_body(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    fw_buffer_text(&answer->body, "ok\n");
}

static const fw_web_route routes[] = {
    {"GET", "/livez", FW_WEB_ANYBODY, write_body, NULL, FW_WEB_AT_ONCE}};

static void say(int fd)
{
    static const char text[] = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_int_equal(send(fd, text, sizeof text - 1, MSG_NOSIGNAL), sizeof text - 1);
}

static void hear(int fd)
{
    char text[2048];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        assert_true(got > 0);
        len += (size_t)got;
        text[len] = '\0';
    } while (!strstr(text, "\r\n\r\nok\n"));
}

/* The descriptors that there are stay; so many more may be opened. */
static void leave_descriptors(rlim_t count)
{
    struct rlimit limit;
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)next + count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static uint64_t starved(const fw_web *web)
{
    fw_web_stats stats;
    fw_web_snapshot(web, &stats);
    return stats.starved;
}

/* So often it may have looked in that time, if every close made it look too. */
static void expect_few_looks(const fw_web *web, int64_t since_ns, unsigned closes)
{
    uint64_t looks = starved(web), pauses = (uint64_t)(fw_now_ns() - since_ns) / 1000000 / PAUSE_MS;
    if (looks > pauses + closes + 2)
        print_error("looked %u times\n", (unsigned)looks);
    assert_true(looks <= pauses + closes + 2);
}

static void who_finds_no_descriptor_waits(void **state)
{
    (void)state;
    int fds[CLIENTS];
    char error[256];
    fw_web *web = NULL;
    struct rlimit before;
    fw_web_stats stats;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &web)};
    fw_web_config config = {.host = "127.0.0.1", .request_ms = 600000};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    leave_descriptors(SERVED);
    int64_t since_ns = fw_now_ns();
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        say(fds[i]);
    }
    for (int i = 0; i < SERVED; i++)
        hear(fds[i]);
    /* Those who are in are served while others wait. */
    while (starved(web) < 3) {
        say(fds[0]);
        hear(fds[0]);
    }
    expect_few_looks(web, since_ns, 0);
    fw_web_snapshot(web, &stats);
    assert_int_equal(stats.accepted, SERVED);
    /* Each who leaves makes room for one. */
    for (int i = 0; i < CLIENTS; i++) {
        if (i >= SERVED)
            hear(fds[i]);
        shutdown(fds[i], SHUT_RDWR);
    }
    expect_few_looks(web, since_ns, CLIENTS);
    fw_web_snapshot(web, &stats);
    assert_int_equal(stats.accepted, CLIENTS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    fw_web_stop(web);
    fw_web_free(web);
}

/* With descriptors or without. */
static void stopping_while_some_wait(void **state)
{
    (void)state;
    int fds[CLIENTS];
    char error[256];
    fw_web *web = NULL;
    struct rlimit before;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &web)};
    fw_web_config config = {.host = "127.0.0.1"};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    leave_descriptors(1);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    say(fds[0]);
    hear(fds[0]);
    fw_web_stop(web);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    fw_web_free(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_finds_no_descriptor_waits),
        cmocka_unit_test(stopping_while_some_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
