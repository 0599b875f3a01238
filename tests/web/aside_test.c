/* aside_test.c - answers that take long to make: others are served meanwhile, each gets its own,
 * and clients and servers may end before they are made. SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A gate that handlers stand at. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned came, may_go; /* under lock: so many in all */
} gate;

static gate the_gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void stand(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    gate *g = context;
    fw_span word = {NULL, 0};
    pthread_mutex_lock(&g->lock);
    unsigned number = ++g->came;
    pthread_cond_broadcast(&g->changed);
    while (g->may_go < number)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    fw_web_query(request, "word", &word);
    if (word.len == 0) {
        fw_web_problem(answer, 404, "no-word", NULL);
        return;
    }
    fw_span id = fw_web_param(request, "id");
    fw_buffer_format(&answer->body, "%.*s|%.*s|%.*s|%.*s|%s|%s", (int)id.len, id.ptr, (int)word.len,
                     word.ptr, (int)request->body.len, request->body.ptr,
                     (int)request->content_type.len, request->content_type.ptr, request->who,
                     request->peer[0] ? "peer" : "");
}

static void answer_now(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    fw_buffer_text(&answer->body, "ok");
}

static const fw_web_route routes[] = {
    {"POST", "/api/v1/stand/{id}?word,other", FW_WEB_ADMIN, stand, NULL, FW_WEB_ASIDE},
    {"GET", "/livez", FW_WEB_ANYBODY, answer_now, NULL, FW_WEB_AT_ONCE},
};

static fw_web *start(void)
{
    char error[256];
    fw_web *web = NULL;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &the_gate)};
    fw_web_config config = {.host = "127.0.0.1"};
    the_gate.came = the_gate.may_go = 0;
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
    return web;
}

static void wait_for(unsigned came)
{
    pthread_mutex_lock(&the_gate.lock);
    while (the_gate.came < came)
        pthread_cond_wait(&the_gate.changed, &the_gate.lock);
    assert_int_equal(the_gate.came, came);
    pthread_mutex_unlock(&the_gate.lock);
}

static void let_go(unsigned may_go)
{
    pthread_mutex_lock(&the_gate.lock);
    the_gate.may_go = may_go;
    pthread_cond_broadcast(&the_gate.changed);
    pthread_mutex_unlock(&the_gate.lock);
}

static int ask(const fw_web *web, const char *line, const char *body)
{
    char text[512];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int len = snprintf(text, sizeof text,
                       "%s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: "
                       "application/json\r\ncontent-length: %zu\r\n\r\n%s",
                       line, strlen(body), body);
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    return fd;
}

static void expect(int fd, const char *first, const char *second)
{
    char text[4096];
    size_t total = 0;
    ssize_t got;
    while (total + 1 < sizeof text &&
           (got = recv(fd, text + total, sizeof text - 1 - total, 0)) > 0)
        total += (size_t)got;
    text[total] = '\0';
    if (!strstr(text, first) || !strstr(text, second))
        print_error("lacks '%s' or '%s': %s\n", first, second, text);
    assert_non_null(strstr(text, first));
    assert_non_null(strstr(text, second));
    close(fd);
}

static void others_are_served_meanwhile(void **state)
{
    (void)state;
    fw_web *web = start();
    int first = ask(web, "POST /api/v1/stand/a%20b?word=one", "[1]");
    wait_for(1);
    int second = ask(web, "POST /api/v1/stand/c?word=two&other=", "[2, 2]");
    expect(ask(web, "GET /livez", ""), "200 OK", "\r\n\r\nok");
    let_go(1);
    expect(first, "200 OK", "\r\n\r\na b|one|[1]|application/json|anybody|peer");
    wait_for(2);
    int third = ask(web, "POST /api/v1/stand/d", "");
    let_go(3);
    expect(second, "200 OK", "\r\n\r\nc|two|[2, 2]|application/json|anybody|peer");
    expect(third, "404 Not Found", "urn:fastworker:no-word");
    fw_web_stop(web);
    fw_web_free(web);
}

static void a_client_may_leave(void **state)
{
    (void)state;
    fw_web *web = start();
    int first = ask(web, "POST /api/v1/stand/a?word=one", "[1]");
    wait_for(1);
    close(ask(web, "POST /api/v1/stand/b?word=two", "[2]"));
    close(first);
    for (int i = 0; i < 20; i++)
        expect(ask(web, "GET /livez", ""), "200 OK", "ok");
    let_go(3);
    expect(ask(web, "POST /api/v1/stand/c?word=three", "[3]"), "200 OK", "c|three|[3]");
    fw_web_stop(web);
    fw_web_free(web);
}

static void *stop(void *web)
{
    fw_web_stop(web);
    return NULL;
}

/* What is being made ends first; what was not begun is not. */
static void the_server_may_stop(void **state)
{
    (void)state;
    pthread_t stopper;
    fw_web *web = start();
    int first = ask(web, "POST /api/v1/stand/a?word=one", "[1]");
    wait_for(1);
    int second = ask(web, "POST /api/v1/stand/b?word=two", "[2]");
    assert_int_equal(pthread_create(&stopper, NULL, stop, web), 0);
    expect(first, "503 Service", "unavailable");
    expect(second, "", ""); /* the same, or nothing if it was not read yet */
    let_go(2);
    pthread_join(stopper, NULL);
    assert_true(the_gate.came <= 2);
    fw_web_free(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_served_meanwhile),
        cmocka_unit_test(a_client_may_leave),
        cmocka_unit_test(the_server_may_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
