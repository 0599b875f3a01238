/* routes_test.c - what each path answers, without a socket. SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char last_id[64];
static fw_web_task_filter last_filter;
static bool is_ready = true;

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void write_name(void *context, fw_buffer *out)
{
    (void)context;
    fw_buffer_text(out, "{\"from\": \"ops\"}");
}

static void write_tasks(void *context, const fw_web_task_filter *filter, fw_buffer *out)
{
    (void)context;
    last_filter = *filter;
    fw_buffer_text(out, "{\"tasks\": []}");
}

static bool ready(void *context)
{
    (void)context;
    return is_ready;
}

static int cancel(void *context, fw_span id)
{
    (void)context;
    assert_true(id.len < sizeof last_id);
    memcpy(last_id, id.ptr, id.len);
    last_id[id.len] = '\0';
    return strcmp(last_id, "known") == 0 ? 0 : 404;
}

static int64_t last_wait_ns;

static int task(void *context, fw_span id, int64_t wait_ns, const fw_web_ticket *ticket,
                fw_buffer *out)
{
    (void)context;
    assert_true(id.len < sizeof last_id);
    memcpy(last_id, id.ptr, id.len);
    last_id[id.len] = '\0';
    last_wait_ns = wait_ns;
    if (strcmp(last_id, "gone") == 0)
        return 410;
    if (strcmp(last_id, "waits") == 0)
        return ticket->later ? 0 : 404;
    if (strcmp(last_id, "known/too") != 0)
        return 404;
    fw_buffer_text(out, "{}");
    return 200;
}

static const fw_web_ops ops = {
    .context = &is_ready,
    .status = write_name,
    .workers = write_name,
    .tasks = write_tasks,
    .queues = write_name,
    .cache = write_name,
    .registered_tasks = write_name,
    .metrics = write_name,
    .ready = ready,
    .cancel = cancel,
    .task = task,
};

static fw_web_answer ask(const fw_web_config *config, const char *method, const char *path,
                         const char *query, const char *authorization)
{
    fw_web_answer answer;
    fw_web_request request = {.method = span(method),
                              .path = span(path),
                              .query = span(query),
                              .authorization = span(authorization)};
    fw_web_route(config, &ops, &request, &answer);
    return answer;
}

static void check(const fw_web_config *config, const char *method, const char *path, int status)
{
    fw_web_answer answer = ask(config, method, path, "", "");
    if (answer.status != status)
        print_error("%s %s: %d instead of %d\n", method, path, answer.status, status);
    assert_int_equal(answer.status, status);
    fw_buffer_fini(&answer.buffer);
}

static void known_paths_answer(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/api/status", "/api/workers", "/api/queues", "/api/cache", "/api/registered-tasks",
        "/api/tasks",  "/metrics",     "/livez",      "/readyz",    "/",
        "/index.html", "/style.css",   "/app.js"};
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        check(&config, "GET", paths[i], 200);
        check(&config, "HEAD", paths[i], 200);
    }
    is_ready = false;
    check(&config, "GET", "/readyz", 503);
    is_ready = true;
}

/* C-137: nothing but the known files, whatever is asked for. */
static void C_137_there_is_no_way_out(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "../../x",     "/../x", "/static/../index.html", "", "/index.html/", "//index.html",
        "/etc/passwd", "/api/", "/api/status/"};
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        check(&config, "GET", paths[i], 404);
    check(&config, "DELETE", "/api/status", 501);
}

/* C-136 and C-139: limit and offset. */
static void C_136_bad_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"limit=x", "limit=", "offset=-1", "limit=1.5",
                                      "offset=99999999999"};
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fw_web_answer answer = ask(&config, "GET", "/api/tasks", bad[i], "");
        assert_int_equal(answer.status, 400);
        assert_string_equal(answer.content_type, "application/json");
        fw_buffer_fini(&answer.buffer);
    }
    fw_web_answer answer = ask(&config, "GET", "/api/tasks", "status=failure&limit=7&offset=3", "");
    assert_int_equal(answer.status, 200);
    assert_int_equal(last_filter.limit, 7);
    assert_int_equal(last_filter.offset, 3);
    assert_int_equal(last_filter.status.len, 7);
    fw_buffer_fini(&answer.buffer);
    answer = ask(&config, "GET", "/api/tasks", "limit=1000000", "");
    assert_int_equal(last_filter.limit, 1000);
    assert_int_equal(last_filter.status.len, 0);
    fw_buffer_fini(&answer.buffer);
}

/* C-132 and C-133: the key, asked for before anything else. */
static void C_132_post_asks_for_the_key(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",        "Bearer ",       "Bearer secret", "Bearer secret12", "bearer secret1",
        "secret1", "Bearer sekret1"};
    fw_web_config closed = {.host = "127.0.0.1", .api_key = "secret1"};
    fw_web_config open = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fw_web_answer answer = ask(&closed, "POST", "/nowhere", "", wrong[i]);
        assert_int_equal(answer.status, 401);
        fw_buffer_fini(&answer.buffer);
    }
    fw_web_answer answer = ask(&closed, "POST", "/api/tasks/known/cancel", "", "Bearer secret1");
    assert_int_equal(answer.status, 200);
    fw_buffer_fini(&answer.buffer);
    check(&closed, "GET", "/api/status", 200);
    check(&open, "POST", "/nowhere", 404);
}

static void C_134_cancel_reaches_the_task(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    check(&config, "POST", "/api/tasks/known/cancel", 200);
    check(&config, "POST", "/api/tasks/other/cancel", 404);
    assert_string_equal(last_id, "other");
    check(&config, "POST", "/api/tasks//cancel", 404);
    check(&config, "POST", "/api/tasks/cancel", 404);
}

static void one_task_is_found_unknown_or_gone(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    check(&config, "GET", "/api/v1/tasks/known/too", 200);
    assert_string_equal(last_id, "known/too");
    check(&config, "GET", "/api/v1/tasks/other", 404);
    check(&config, "GET", "/api/v1/tasks/gone", 410);
    check(&config, "GET", "/api/v1/tasks/", 404);
    fw_web_answer answer = ask(&config, "GET", "/api/v1/tasks/gone", "", "");
    assert_string_equal(answer.content_type, "application/problem+json");
    assert_non_null(strstr(answer.buffer.data, "\"type\": \"urn:fastworker:expired-task\""));
    fw_buffer_fini(&answer.buffer);
}

static void waits_are_understood_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int64_t wait_ms; /* -1: refused */
    } cases[] = {
        {"wait=2", 2000},   {"wait=2s", 2000}, {"wait=250ms", 250}, {"a=b&wait=1.5", 1500},
        {"wait=0", 0},      {"wait=.5s", 500}, {"wait=900", 60000}, {"wait=99999999999", 60000},
        {"wait=", -1},      {"wait=x", -1},    {"wait=-1", -1},     {"wait=1h", -1},
        {"wait=1.2.3", -1}, {"wait=s", -1},    {"wait=1 s", -1},    {"wait=.", -1},
    };
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_web_answer answer;
        fw_web_request request = {.method = span("GET"),
                                  .path = span("/api/v1/tasks/waits"),
                                  .query = span(cases[i].query),
                                  .ticket = {(void *)&config, 3}};
        fw_web_route(&config, &ops, &request, &answer);
        assert_int_equal(answer.is_later, cases[i].wait_ms >= 0);
        assert_int_equal(answer.status, cases[i].wait_ms >= 0 ? 200 : 400);
        if (cases[i].wait_ms >= 0)
            assert_int_equal(last_wait_ns / 1000000, cases[i].wait_ms);
        fw_buffer_fini(&answer.buffer);
    }
    /* Without a ticket nobody waits. */
    fw_web_answer answer = ask(&config, "GET", "/api/v1/tasks/waits", "wait=5", "");
    assert_false(answer.is_later);
    assert_int_equal(last_wait_ns, 0);
    fw_buffer_fini(&answer.buffer);
}

static void C_138_origins_are_matched(void **state)
{
    (void)state;
    const struct {
        const char *list, *origin, *allowed;
    } cases[] = {
        {NULL, "http://a", ""},
        {"*", "http://a", "*"},
        {"http://a, http://b", "http://b", "http://b"},
        {"http://a,http://b", "http://c", ""},
        {"http://abc", "http://a", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_web_answer answer;
        fw_web_config config = {.host = "127.0.0.1", .cors_origin = cases[i].list};
        fw_web_request request = {.method = span("OPTIONS"),
                                  .path = span("/api/status"),
                                  .origin = span(cases[i].origin)};
        fw_web_route(&config, &ops, &request, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.allow_origin, cases[i].allowed);
        fw_buffer_fini(&answer.buffer);
    }
}

static void unchanged_files_are_not_sent_again(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    fw_web_answer answer = ask(&config, "GET", "/app.js", "", "");
    assert_true(answer.body.len > 100);
    fw_web_request again = {
        .method = span("GET"), .path = span("/app.js"), .if_none_match = span(answer.etag)};
    fw_web_route(&config, &ops, &again, &answer);
    assert_int_equal(answer.status, 304);
    assert_int_equal(answer.body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_paths_answer),
        cmocka_unit_test(C_137_there_is_no_way_out),
        cmocka_unit_test(C_136_bad_numbers_are_refused),
        cmocka_unit_test(C_132_post_asks_for_the_key),
        cmocka_unit_test(C_134_cancel_reaches_the_task),
        cmocka_unit_test(one_task_is_found_unknown_or_gone),
        cmocka_unit_test(waits_are_understood_or_refused),
        cmocka_unit_test(C_138_origins_are_matched),
        cmocka_unit_test(unchanged_files_are_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
