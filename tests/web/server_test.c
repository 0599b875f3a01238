/* server_test.c - h2o on a real port: requests, many connections, silent ones, stopping; and with
 * AddressSanitizer web/recyclers.c. Covers web/listen.c, web/send.c and
 * web/refusals.c too.
 * SPDX-License-Identifier: Apache-2.0 */
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

static void write_body(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    assert_memory_equal(request->peer, "127.0.0.1:", 10);
    assert_memory_equal(request->host.ptr, "x", 1);
    fw_buffer_text(&answer->body, "{\"body\": true}");
    fw_web_header(answer, "x-more", (fw_span){"one", 3});
}

static void write_large(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    for (int i = 0; i < 20000; i++)
        fw_buffer_text(&answer->body, "0123456789abcdef0123456789abcdef\n");
}

static void echo(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    fw_buffer_format(&answer->body, "{\"len\": %zu, \"key\": ", request->body.len);
    fw_buffer_json_string(&answer->body, request->idempotency_key);
    fw_buffer_text(&answer->body, "}");
    answer->status = 202;
    answer->retry_after_s = 7;
}

static const fw_web_route routes[] = {
    {"GET", "/api/status", FW_WEB_READ, write_body, NULL, FW_WEB_AT_ONCE},
    {"GET", "/large", FW_WEB_READ, write_large, NULL, FW_WEB_AT_ONCE},
    {"GET", "/livez", FW_WEB_ANYBODY, write_body, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/echo", FW_WEB_READ, echo, NULL, FW_WEB_AT_ONCE},
};

enum { CONNECTIONS = 256 };

static fw_web *start(void)
{
    static int context;
    char error[256];
    fw_web *web = NULL;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &context)};
    fw_web_config config = {
        .host = "127.0.0.1", .port = 0, .body_max = 1000, .connections_max = CONNECTIONS};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
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
    assert_non_null(strstr(text, "\r\nx-more: one\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"body\": true}"));
    close(fd);
    fd = dial(web);
    say(fd, "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 404 "));
    close(fd);
    stop(web);
}

static void bodies_come_whole_or_are_refused(void **state)
{
    (void)state;
    char text[4096];
    fw_web *web = start();
    int fd = dial(web);
    say(fd, "POST /api/v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            "idempotency-key: k1\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnull");
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 202 Accepted"));
    assert_non_null(strstr(text, "\r\nretry-after: 7\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"len\": 4, \"key\": \"k1\"}"));
    close(fd);
    fd = dial(web);
    char body[1002];
    memset(body, ' ', sizeof body);
    body[sizeof body - 1] = '\0';
    say(fd, "POST /api/v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            "content-length: 1001\r\nconnection: close\r\n\r\n");
    say(fd, body);
    read_all(fd, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 413 "));
    assert_non_null(strstr(text, "urn:fastworker:too-large"));
    close(fd);
    stop(web);
}

/* So large that the library cuts it off. */
static void bodies_that_are_cut_off_are_refused_alike(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type, *body;
    } cases[] = {
        {"/api/v1/echo", "application/problem+json", "urn:fastworker:too-large"},
        {"/api/status", "application/json", "{\"error\": "},
    };
    fw_web *web = start();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[4096], request[256], type[64];
        int fd = dial(web);
        snprintf(request, sizeof request,
                 "POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                 "content-length: 100000000\r\n\r\n",
                 cases[i].path);
        say(fd, request);
        read_all(fd, text, sizeof text);
        snprintf(type, sizeof type, "\r\ncontent-type: %s\r\n", cases[i].type);
        assert_non_null(strstr(text, "HTTP/1.1 413 "));
        assert_non_null(strstr(text, type));
        assert_non_null(strstr(text, cases[i].body));
        assert_non_null(strstr(text, "a body has at most 1000 bytes"));
        assert_null(strstr(text, "entity is"));
        close(fd);
    }
    stop(web);
}

static void large_answers_arrive_whole(void **state)
{
    (void)state;
    char text[2048];
    fw_web *web = start();
    int fd = dial(web);
    say(fd, "GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
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
    enum { SILENT = CONNECTIONS };
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

/* Nothing, half a request, one without its body, and one that is followed by nothing. */
static void who_says_nothing_is_cut_off(void **state)
{
    (void)state;
    static const char *const words[] = {
        "", "GET /liv", "POST /api/v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",
        "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"};
    enum { COUNT = sizeof words / sizeof words[0] };
    int fds[COUNT];
    char text[2048], error[256];
    fw_web *web = NULL;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &web)};
    fw_web_config config = {.host = "127.0.0.1", .request_ms = 200};
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(web);
        say(fds[i], words[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        read_all(fds[i], text, sizeof text);
        close(fds[i]);
    }
    assert_non_null(strstr(text, "{\"body\": true}"));
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
    fw_web_config config = {.host = "127.0.0.1", .port = fw_web_port(web)};
    assert_true(fw_web_start(&second, error, sizeof error, &config, NULL, 0) < 0);
    assert_non_null(strstr(error, "in use"));
    assert_null(second);
    stop(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(bodies_come_whole_or_are_refused),
        cmocka_unit_test(bodies_that_are_cut_off_are_refused_alike),
        cmocka_unit_test(large_answers_arrive_whole),
        cmocka_unit_test(more_connections_than_the_limit),
        cmocka_unit_test(who_says_nothing_is_cut_off),
        cmocka_unit_test(stopping_ends_open_connections),
        cmocka_unit_test(a_taken_port_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
