/* events_test.c - event streams on a real port: hello, events, coming back, leaving, stopping.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"

static fw_atomic(unsigned) seconds;

static void count_second(void *context)
{
    (void)context;
    fw_add_relaxed(&seconds, 1);
}

static fw_web *start(void)
{
    char error[256];
    fw_web *web = NULL;
    fw_web_config config = {.host = "127.0.0.1", .second = count_second};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, NULL, 0), 0);
    return web;
}

static void stop(fw_web *web)
{
    fw_web_stop(web);
    fw_web_free(web);
}

static int dial(const fw_web *web, const char *head)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
    return fd;
}

/* Reads until the text is there (or, without one, until the end); what was read, in out. */
static void read_until(int fd, const char *text, char *out, size_t capacity)
{
    size_t len = 0;
    out[0] = '\0';
    while (!text || !strstr(out, text)) {
        assert_true(len + 1 < capacity);
        ssize_t got = recv(fd, out + len, capacity - 1 - len, 0);
        if (got <= 0 && !text)
            break;
        assert_true(got > 0);
        len += (size_t)got;
        out[len] = '\0';
    }
}

static unsigned clients(const fw_web *web)
{
    fw_web_event_stats stats;
    fw_web_events_snapshot(web, &stats);
    return stats.clients;
}

static void wait_for_clients(const fw_web *web, unsigned wanted)
{
    while (clients(web) != wanted)
        poll(NULL, 0, 1);
}

static void publish(fw_web *web, const char *name, const char *json)
{
    fw_web_publish(web, name, (fw_span){json, strlen(json)});
}

#define GET "GET /api/v1/events HTTP/1.1\r\nhost: x\r\n"

static void figures_alone_follow_nothing(void **state)
{
    (void)state;
    char text[8192];
    fw_web *web = start();
    int figures = dial(web, "GET /api/v1/events?only=stats HTTP/1.1\r\nhost: x\r\n\r\n");
    read_until(figures, "event: hello", text, sizeof text);
    assert_true(fw_web_is_watched(web));
    assert_false(fw_web_is_followed(web));
    publish(web, "stats", "{\"n\": 1}");
    read_until(figures, "event: stats\ndata: {\"n\": 1}\n\n", text, sizeof text);
    int all = dial(web, GET "\r\n");
    read_until(all, "event: hello", text, sizeof text);
    assert_true(fw_web_is_followed(web));
    close(figures);
    close(all);
    stop(web);
}

static void events_come_as_they_are_published(void **state)
{
    (void)state;
    char text[8192];
    fw_web *web = start();
    assert_false(fw_web_is_watched(web));
    publish(web, "task.queued", "{\"n\": 0}");
    int fd = dial(web, GET "\r\n"), upstream = dial(web, "GET /api/events HTTP/1.1\r\n\r\n");
    read_until(fd, "event: hello", text, sizeof text);
    assert_non_null(strstr(text, "content-type: text/event-stream"));
    assert_non_null(strstr(text, "retry: 2000"));
    read_until(upstream, "event: hello", text, sizeof text);
    assert_true(fw_web_is_watched(web));
    assert_true(fw_web_is_followed(web));
    publish(web, "stats", "{\"n\": 1}");
    publish(web, "task.queued", "{\"n\": 2}");
    read_until(fd, "event: task.queued\ndata: {\"n\": 2}\n\n", text, sizeof text);
    assert_non_null(strstr(text, "event: stats\ndata: {\"n\": 1}\n\n"));
    assert_null(strstr(text, "{\"n\": 0}"));
    read_until(upstream, "data: {\"n\": 2}\n\n", text, sizeof text);
    assert_null(strstr(text, "stats"));
    assert_int_equal(clients(web), 2);
    close(fd);
    close(upstream);
    wait_for_clients(web, 0);
    stop(web);
}

static void who_comes_back_gets_what_was_missed(void **state)
{
    (void)state;
    char text[8192], head[256];
    fw_web *web = start();
    int fd = dial(web, GET "\r\n");
    read_until(fd, "event: hello", text, sizeof text);
    publish(web, "task.queued", "{\"n\": 1}");
    read_until(fd, "{\"n\": 1}\n\n", text, sizeof text);
    const char *id = strstr(text, "id: ");
    assert_non_null(id);
    while (strstr(id + 1, "id: "))
        id = strstr(id + 1, "id: ");
    unsigned long long number = strtoull(id + 4, NULL, 10);
    close(fd);
    wait_for_clients(web, 0);
    publish(web, "task.success", "{\"n\": 2}");
    snprintf(head, sizeof head, GET "last-event-id: %llu\r\n\r\n", number);
    fd = dial(web, head);
    read_until(fd, "event: task.success\ndata: {\"n\": 2}\n\n", text, sizeof text);
    assert_null(strstr(text, "{\"n\": 1}"));
    assert_null(strstr(text, "event: gap"));
    close(fd);
    fd = dial(web, GET "last-event-id: 1\r\n\r\n");
    read_until(fd, "{\"n\": 2}\n\n", text, sizeof text);
    assert_non_null(strstr(text, "event: gap"));
    assert_non_null(strstr(text, "{\"n\": 1}"));
    close(fd);
    stop(web);
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    (void)state;
    static char json[30000];
    char text[8192];
    fw_web *web = start();
    int slow = dial(web, GET "\r\n"), other = dial(web, GET "\r\n");
    read_until(slow, "event: hello", text, sizeof text);
    read_until(other, "event: hello", text, sizeof text);
    memset(json, 'x', sizeof json - 1);
    json[0] = json[sizeof json - 2] = '"';
    while (clients(web) == 2) {
        static char drain[1 << 16];
        publish(web, "stats", json);
        while (recv(other, drain, sizeof drain, MSG_DONTWAIT) > 0)
            ;
    }
    assert_int_equal(clients(web), 1);
    close(slow);
    close(other);
    stop(web);
}

static void stopping_says_bye(void **state)
{
    (void)state;
    char text[8192];
    fw_web *web = start();
    int fd = dial(web, GET "\r\n");
    read_until(fd, "event: hello", text, sizeof text);
    fw_web_stop(web);
    read_until(fd, NULL, text, sizeof text);
    assert_non_null(strstr(text, "event: bye"));
    assert_non_null(strstr(text, "\r\n0\r\n\r\n"));
    close(fd);
    publish(web, "task.queued", "{}");
    fw_web_free(web);
}

static void bad_wishes_are_refused(void **state)
{
    (void)state;
    char text[8192];
    fw_web *web = start();
    int fd = dial(web, "GET /api/v1/events?only=x HTTP/1.1\r\nconnection: close\r\n\r\n");
    read_until(fd, NULL, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 400"));
    close(fd);
    fd = dial(web, "HEAD /api/v1/events HTTP/1.1\r\nconnection: close\r\n\r\n");
    read_until(fd, NULL, text, sizeof text);
    assert_non_null(strstr(text, "text/event-stream"));
    assert_null(strstr(text, "hello"));
    close(fd);
    wait_for_clients(web, 0);
    fw_web_publish(NULL, "x", (fw_span){"{}", 2});
    assert_false(fw_web_is_watched(NULL));
    stop(web);
}

static void seconds_are_told(void **state)
{
    (void)state;
    fw_web *web = start();
    unsigned before = fw_load_relaxed(&seconds);
    while (fw_load_relaxed(&seconds) < before + 2)
        poll(NULL, 0, 10);
    stop(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_as_they_are_published),
        cmocka_unit_test(figures_alone_follow_nothing),
        cmocka_unit_test(who_comes_back_gets_what_was_missed),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(stopping_says_bye),
        cmocka_unit_test(bad_wishes_are_refused),
        cmocka_unit_test(seconds_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
