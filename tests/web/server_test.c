/* server_test.c - h2o on a real port: requests, many connections, silent ones, stopping; and with
 * AddressSanitizer web/recyclers.c. SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void write_body(void *context, fw_buffer *out)
{
    (void)context;
    fw_buffer_text(out, "{\"body\": true}");
}

static void write_large(void *context, fw_buffer *out)
{
    (void)context;
    for (int i = 0; i < 20000; i++)
        fw_buffer_text(out, "0123456789abcdef0123456789abcdef\n");
}

static bool ready(void *context)
{
    (void)context;
    return true;
}

static fw_web *start(void)
{
    static int context;
    char error[256];
    fw_web *web = NULL;
    fw_web_ops ops = {
        .context = &context, .status = write_body, .metrics = write_large, .ready = ready};
    fw_web_config config = {.host = "127.0.0.1", .port = 0};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, &ops), 0);
    assert_true(fw_web_port(web) > 0);
    return web;
}

static void stop(fw_web *web)
{
    fw_web_stop(web);
    fw_web_free(web);
}

static int dial(const fw_web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until the peer closes; the number of bytes, the first ones in out. */
static size_t read_all(int fd, char *out, size_t capacity)
{
    size_t total = 0;
    char chunk[65536];
    ssize_t got;
    while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0) {
        for (ssize_t i = 0; i < got && total + (size_t)i + 1 < capacity; i++)
            out[total + (size_t)i] = chunk[i];
        total += (size_t)got;
    }
    out[total < capacity ? total : capacity - 1] = '\0';
    return total;
}

static void requests_are_answered(void **state)
{
    (void)state;
    char text[2048];
    fw_web *web = start();
    int fd = dial(web);
    say(fd, "GET /api/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 200 OK"));
    assert_non_null(strstr(text, "content-security-policy: default-src 'none'"));
    assert_non_null(strstr(text, "\r\n\r\n{\"body\": true}"));
    close(fd);
    fd = dial(web);
    say(fd, "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 404 "));
    close(fd);
    stop(web);
}

static void large_answers_arrive_whole(void **state)
{
    (void)state;
    char text[2048];
    fw_web *web = start();
    int fd = dial(web);
    say(fd, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    size_t total = read_all(fd, text, sizeof text);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(total - (size_t)(body + 4 - text), 20000 * 33);
    close(fd);
    stop(web);
}

/* More connections than are served at once: the rest wait, and are served as others leave. */
static void more_connections_than_the_limit(void **state)
{
    (void)state;
    enum { SILENT = 256 };
    static int fds[SILENT];
    char text[512];
    fw_web *web = start();
    for (int i = 0; i < SILENT; i++)
        fds[i] = dial(web);
    int fd = dial(web);
    say(fd, "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for (int i = 0; i < SILENT / 2; i++)
        close(fds[i]);
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "200 OK"));
    close(fd);
    for (int i = SILENT / 2; i < SILENT; i++)
        close(fds[i]);
    stop(web);
}

static void stopping_ends_open_connections(void **state)
{
    (void)state;
    char text[512];
    fw_web *web = start();
    int idle = dial(web), half = dial(web);
    say(half, "GET /api/sta");
    stop(web);
    read_all(idle, text, sizeof text);
    read_all(half, text, sizeof text);
    close(idle);
    close(half);
}

static void a_taken_port_is_named(void **state)
{
    (void)state;
    char error[256] = "";
    fw_web *web = start(), *second = NULL;
    static int context;
    fw_web_ops ops = {.context = &context, .ready = ready};
    fw_web_config config = {.host = "127.0.0.1", .port = fw_web_port(web)};
    assert_true(fw_web_start(&second, error, sizeof error, &config, &ops) < 0);
    assert_non_null(strstr(error, "in use"));
    assert_null(second);
    stop(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(large_answers_arrive_whole),
        cmocka_unit_test(more_connections_than_the_limit),
        cmocka_unit_test(stopping_ends_open_connections),
        cmocka_unit_test(a_taken_port_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
