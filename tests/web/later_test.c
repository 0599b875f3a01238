/* later_test.c - requests that are answered later: by another thread, after their client has left,
 * when there are too many, and when the server stops. SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TICKETS_MAX = 1024 };

typedef struct desk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    fw_web_ticket tickets[TICKETS_MAX]; /* under lock */
    unsigned count, refused;
} desk;

static desk the_desk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void take_ticket(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    desk *d = context;
    answer->is_later = request->ticket.later != NULL;
    pthread_mutex_lock(&d->lock);
    if (answer->is_later)
        d->tickets[d->count++] = request->ticket;
    else
        d->refused++;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    if (!answer->is_later)
        fw_buffer_text(&answer->body, "{\"now\": true}");
}

static void answer_now(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    fw_buffer_text(&answer->body, "ok\n");
}

static const fw_web_route routes[] = {
    {"GET", "/api/v1/tasks/{id}?wait", FW_WEB_READ, take_ticket, NULL, FW_WEB_AT_ONCE},
    {"GET", "/livez", FW_WEB_ANYBODY, answer_now, NULL, FW_WEB_AT_ONCE},
};

static fw_web *start(void)
{
    char error[256];
    fw_web *web = NULL;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, &the_desk)};
    fw_web_config config = {.host = "127.0.0.1", .port = 0, .connections_max = 256};
    the_desk.count = the_desk.refused = 0;
    assert_int_equal(fw_web_start(&web, error, sizeof error, &config, tables, 1), 0);
    return web;
}

/* Waits until so many tickets were taken in all. */
static void wait_for_tickets(unsigned count, unsigned refused)
{
    pthread_mutex_lock(&the_desk.lock);
    while (the_desk.count < count || the_desk.refused < refused)
        pthread_cond_wait(&the_desk.changed, &the_desk.lock);
    pthread_mutex_unlock(&the_desk.lock);
}

static int ask(const fw_web *web, const char *end)
{
    char text[256];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int len = snprintf(text, sizeof text,
                       "GET /api/v1/tasks/x?wait=60 HTTP/1.1\r\nhost: x\r\n%s\r\n", end);
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    return fd;
}

static void answer(unsigned ticket, int status, const char *text)
{
    fw_web_answer late = fw_web_answer_begin();
    if (status >= 400)
        fw_web_problem(&late, status, "expired-task", NULL);
    else
        fw_buffer_text(&late.body, text);
    fw_web_answer_later(&the_desk.tickets[ticket], &late);
    assert_null(late.body.data);
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

static void each_gets_its_own_answer(void **state)
{
    (void)state;
    fw_web *web = start();
    int fds[3];
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = ask(web, "connection: close\r\n");
        wait_for_tickets(i + 1, 0);
    }
    answer(2, 200, "{\"number\": 2}");
    expect(fds[2], "HTTP/1.1 200 OK", "\r\n\r\n{\"number\": 2}");
    answer(0, 410, "");
    expect(fds[0], "HTTP/1.1 410 Gone", "urn:fastworker:expired-task");
    answer(1, 200, "{\"number\": 1}");
    expect(fds[1], "content-type: application/json", "\r\n\r\n{\"number\": 1}");
    fw_web_stop(web);
    fw_web_free(web);
}

/* The next request of the connection waits its turn, and is answered. */
static void requests_may_follow_each_other(void **state)
{
    (void)state;
    fw_web *web = start();
    int fd = ask(web, "");
    wait_for_tickets(1, 0);
    static const char second[] = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_int_equal(send(fd, second, sizeof second - 1, MSG_NOSIGNAL), sizeof second - 1);
    answer(0, 200, "{\"number\": 0}");
    expect(fd, "{\"number\": 0}", "\r\n\r\nok\n");
    fd = ask(web, "");
    wait_for_tickets(2, 0);
    answer(1, 200, "{\"number\": 1}");
    fw_web_stop(web);
    expect(fd, "{\"number\": 1}", "200 OK");
    fw_web_free(web);
}

/* Connections that are left at once free their place for others, but keep their ticket until it is
 * answered. */
static void who_leaves_is_forgotten(void **state)
{
    (void)state;
    enum { ROUNDS = 2, LEAVERS = 200 };
    fw_web *web = start();
    for (unsigned i = 0; i < ROUNDS * LEAVERS; i++) {
        int fd = ask(web, "");
        wait_for_tickets(i + 1, 0);
        close(fd);
    }
    int fd = ask(web, "connection: close\r\n");
    wait_for_tickets(ROUNDS * LEAVERS + 1, 0);
    for (unsigned i = 0; i <= ROUNDS * LEAVERS; i++)
        answer(i, 200, "{\"late\": true}");
    expect(fd, "200 OK", "{\"late\": true}");
    fw_web_stop(web);
    fw_web_free(web);
}

static void too_many_do_not_wait(void **state)
{
    (void)state;
    enum { PLACES = 512 };
    fw_web *web = start();
    for (unsigned i = 0; i < PLACES; i++) {
        int fd = ask(web, "");
        wait_for_tickets(i + 1, 0);
        close(fd);
    }
    int fd = ask(web, "connection: close\r\n");
    wait_for_tickets(PLACES, 1);
    expect(fd, "200 OK", "{\"now\": true}");
    for (unsigned i = 0; i < PLACES; i++)
        answer(i, 200, "{}");
    fd = ask(web, "connection: close\r\n");
    wait_for_tickets(PLACES, 1);
    fw_web_stop(web);
    fw_web_free(web);
    close(fd);
}

static void stopping_answers_those_who_wait(void **state)
{
    (void)state;
    fw_web *web = start();
    int fd = ask(web, ""), other = ask(web, "");
    wait_for_tickets(2, 0);
    close(other);
    fw_web_stop(web);
    expect(fd, "HTTP/1.1 503 ", "urn:fastworker:unavailable");
    /* Whoever has a ticket may still use it. */
    answer(0, 200, "{}");
    answer(1, 200, "{}");
    fw_web_free(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_own_answer),
        cmocka_unit_test(requests_may_follow_each_other),
        cmocka_unit_test(who_leaves_is_forgotten),
        cmocka_unit_test(too_many_do_not_wait),
        cmocka_unit_test(stopping_answers_those_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
