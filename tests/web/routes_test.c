/* routes_test.c - which handler a request reaches, and what the router answers itself, without a
 * socket. Covers web/answer.c, web/access.c, web/path.c and web/assets.c too.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "web/routes.h"

#include "web/assets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char last_id[64], last_value[64];
static fw_web_pair last_pairs[FW_WEB_QUERY_MAX];

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void keep(char out[64], fw_span text)
{
    assert_true(text.len < 64);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static void read_status(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_span value = {NULL, 0};
    assert_ptr_equal(context, &last_id);
    memcpy(last_pairs, request->queries, sizeof last_pairs);
    fw_web_query(request, "status", &value);
    keep(last_value, value);
    fw_buffer_text(&answer->body, "{\"from\": \"table\"}");
}

static void take_one(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    keep(last_id, fw_web_param(request, "id"));
    if (strcmp(last_id, "gone") == 0)
        fw_web_problem(answer, 410, "expired-task", "it is %s", "too old");
    else if (strcmp(last_id, "bad") == 0)
        fw_web_problem_field(answer, 422, "args", "an array is wanted");
    else
        fw_buffer_text(&answer->body, "{}");
}

static void make(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    keep(last_value, request->body);
    answer->status = 201;
    fw_web_location(answer, "/api/v1/things/", span("a/b \xc3\xa9"));
    fw_web_header(answer, "x-bad", span("a\r\nb: c"));
}

static void wait_long(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    answer->is_later = request->ticket.later != NULL;
}

static const fw_web_route first_routes[] = {
    {"GET", "/api/status", FW_WEB_READ, read_status, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/tasks/{id}/cancel", FW_WEB_ADMIN, take_one, "*", FW_WEB_AT_ONCE},
    {"GET", "/livez", FW_WEB_ANYBODY, read_status, NULL, FW_WEB_AT_ONCE},
};
static const fw_web_route second_routes[] = {
    {"GET", "/api/v1/things/{id}", FW_WEB_READ, take_one, NULL, FW_WEB_AT_ONCE},
    {"DELETE", "/api/v1/things/{id}", FW_WEB_ADMIN, take_one, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/things/{id}:retry", FW_WEB_ADMIN, take_one, NULL, FW_WEB_AT_ONCE},
    {"POST", "/api/v1/things", FW_WEB_SUBMIT, make, FW_WEB_JSON " " FW_WEB_NDJSON, FW_WEB_AT_ONCE},
    {"GET", "/api/v1/waits", FW_WEB_READ, wait_long, NULL, FW_WEB_TICKET},
    {"GET", "/api/v1/walks/{id}", FW_WEB_READ, take_one, NULL, FW_WEB_ASIDE},
    {"POST", "/api/v1/work", FW_WEB_WORKER, wait_long, NULL, FW_WEB_AT_ONCE},
};

static fw_web_router router_of(const fw_web_config *config)
{
    fw_web_router router = {
        .config = *config,
        .tables = {FW_WEB_TABLE(first_routes, &last_id), FW_WEB_TABLE(second_routes, NULL),
                   fw_web_assets_table()},
        .table_count = 3,
    };
    if (router.config.body_max == 0)
        router.config.body_max = 1000;
    fw_web_router_prepare(&router);
    return router;
}

static fw_web_answer ask_all(const fw_web_config *config, fw_web_request request)
{
    fw_web_answer answer;
    fw_web_router router = router_of(config);
    fw_web_route_request(&router, &request, &answer);
    return answer;
}

static fw_web_answer ask(const fw_web_config *config, const char *method, const char *path,
                         const char *query, const char *authorization)
{
    return ask_all(config, (fw_web_request){.method = span(method),
                                            .path = span(path),
                                            .query = span(query),
                                            .authorization = span(authorization)});
}

static bool has_header(const fw_web_answer *answer, const char *name, const char *value)
{
    for (size_t at = 0; at < answer->headers.len;) {
        const char *word = answer->headers.data + at, *text = word + strlen(word) + 1;
        if (strcmp(word, name) == 0 && (!value || strcmp(text, value) == 0))
            return true;
        at += strlen(word) + strlen(text) + 2;
    }
    return false;
}

static void check(const fw_web_config *config, const char *method, const char *path, int status)
{
    fw_web_answer answer = ask(config, method, path, "", "");
    if (answer.status != status)
        print_error("%s %s: %d instead of %d\n", method, path, answer.status, status);
    assert_int_equal(answer.status, status);
    fw_web_answer_fini(&answer);
}

static void known_paths_answer(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/status", "/api/v1/things/x", "/livez", "/",
                                        "/index.html", "/style.css",       "/app.js"};
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        check(&config, "GET", paths[i], 200);
        check(&config, "HEAD", paths[i], 200);
    }
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
    static char longest[FW_WEB_PATH_BYTES + 2];
    memset(longest, 'a', sizeof longest - 1);
    check(&config, "GET", longest, 414);
}

static void other_methods_are_told_what_there_is(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    fw_web_answer answer = ask(&config, "DELETE", "/api/status", "", "");
    assert_int_equal(answer.status, 405);
    assert_string_equal(answer.content_type, "application/json");
    assert_true(has_header(&answer, "allow", "GET, HEAD, OPTIONS"));
    fw_web_answer_fini(&answer);
    answer = ask(&config, "BREW", "/api/v1/things/x:retry", "", "");
    assert_int_equal(answer.status, 405);
    assert_string_equal(answer.content_type, "application/problem+json");
    assert_true(has_header(&answer, "allow", "POST, OPTIONS"));
    fw_web_answer_fini(&answer);
}

/* C-136 and C-139: what is not text is refused before a handler sees it. */
static void C_136_bad_escapes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"status=%",   "status=%4", "status=%zz",  "status=%00",
                                      "status=%ff", "%0a=1",     "a=%ed%a0%80", "a=%c0%af"};
    fw_web_config config = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fw_web_answer answer = ask(&config, "GET", "/api/status", bad[i], "");
        if (answer.status != 400)
            print_error("%s\n", bad[i]);
        assert_int_equal(answer.status, 400);
        assert_string_equal(answer.content_type, "application/json");
        fw_web_answer_fini(&answer);
    }
    fw_web_answer answer =
        ask(&config, "GET", "/api/status", "a&b=2&=3&status=x+%c3%a9%3d&status=y", "");
    assert_int_equal(answer.status, 200);
    assert_string_equal(last_value, "x \xc3\xa9=");
    fw_web_answer_fini(&answer);
    check(&config, "GET", "/api/v1/things/%00", 400);
    check(&config, "GET", "/api/v1/things/a%2fb%3Aretry", 200);
    assert_string_equal(last_id, "a/b:retry");
    check(&config, "POST", "/api/v1/things/a%3Aretry", 405);
    check(&config, "POST", "/api/v1/things/a:b:retry", 200);
    assert_string_equal(last_id, "a:b");
}

/* C-132 and C-133: the key, asked for before anything else. */
static void C_132_post_asks_for_the_key(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",        "Bearer ",        "Bearer secret",        "Bearer secret12", "bearer secret1",
        "secret1", "Bearer sekret1", "Bearer secret1secret1"};
    fw_web_config closed = {.host = "127.0.0.1", .admin_key = "secret1"};
    fw_web_config open = {.host = "127.0.0.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fw_web_answer answer = ask(&closed, "POST", "/nowhere", "", wrong[i]);
        assert_int_equal(answer.status, 401);
        assert_true(has_header(&answer, "www-authenticate", "Bearer"));
        fw_web_answer_fini(&answer);
    }
    fw_web_answer answer = ask(&closed, "POST", "/api/tasks/known/cancel", "", "Bearer secret1");
    assert_int_equal(answer.status, 200);
    assert_string_equal(last_id, "known");
    fw_web_answer_fini(&answer);
    check(&closed, "GET", "/api/status", 200);
    check(&open, "POST", "/nowhere", 404);
    check(&open, "POST", "/api/tasks//cancel", 404);
    check(&open, "POST", "/api/tasks/cancel", 404);
}

static void every_key_has_its_role(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1",
                            .admin_key = "adm",
                            .submit_key = "sub",
                            .worker_key = "wor",
                            .read_key = "rea"};
    static const char *const keys[] = {"", "Bearer rea", "Bearer wor", "Bearer sub", "Bearer adm"};
    static const struct {
        const char *method, *path;
        int statuses[5];
    } cases[] = {
        {"GET", "/livez", {200, 200, 200, 200, 200}},
        {"GET", "/", {200, 200, 200, 200, 200}},
        {"GET", "/api/status", {401, 200, 403, 200, 200}},
        {"POST", "/api/v1/things", {401, 403, 403, 201, 201}},
        {"POST", "/api/v1/work", {401, 403, 200, 403, 200}},
        {"POST", "/api/v1/things/x:retry", {401, 403, 403, 403, 200}},
        {"DELETE", "/api/v1/nothing", {401, 404, 404, 404, 404}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < 5; k++) {
            fw_web_answer answer = ask(&config, cases[i].method, cases[i].path, "", keys[k]);
            assert_int_equal(answer.status, cases[i].statuses[k]);
            fw_web_answer_fini(&answer);
        }
    }
    /* Without a key for reading, anybody reads; nobody has the other roles. */
    config = (fw_web_config){.host = "127.0.0.1", .submit_key = "sub"};
    check(&config, "GET", "/api/status", 200);
    check(&config, "POST", "/api/v1/work", 401);
    fw_web_answer answer = ask(&config, "POST", "/api/v1/work", "", "Bearer sub");
    assert_int_equal(answer.status, 403);
    fw_web_answer_fini(&answer);
}

static void problems_name_what_is_wrong(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    fw_web_answer answer = ask(&config, "GET", "/api/v1/things/gone", "", "");
    assert_int_equal(answer.status, 410);
    assert_string_equal(answer.content_type, "application/problem+json");
    fw_buffer_add(&answer.body, "", 1);
    assert_string_equal(answer.body.data,
                        "{\"type\": \"urn:fastworker:expired-task\", \"title\": \"It is no longer "
                        "kept\", \"status\": 410, \"detail\": \"it is too old\"}");
    fw_web_answer_fini(&answer);
    answer = ask(&config, "GET", "/api/v1/things/bad", "", "");
    fw_buffer_add(&answer.body, "", 1);
    assert_non_null(strstr(answer.body.data, "\"field\": \"args\"}"));
    fw_web_answer_fini(&answer);
}

static void bodies_are_bounded_and_of_a_kind(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        int status;
    } cases[] = {
        {"application/json", "[]", 201},
        {"Application/JSON ; charset=utf-8", "[]", 201},
        {"application/x-ndjson", "[]", 201},
        {"application/x-www-form-urlencoded", "[]", 201},
        {"text/plain", "[]", 415},
        {"application/jsonx", "[]", 415},
        {"", "[]", 415},
        {"", "", 201},
        {"application/json", "0123456789a", 413},
    };
    fw_web_config config = {.host = "127.0.0.1", .body_max = 10};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_web_answer answer = ask_all(&config, (fw_web_request){
                                                    .method = span("POST"),
                                                    .path = span("/api/v1/things"),
                                                    .content_type = span(cases[i].type),
                                                    .body = span(cases[i].body),
                                                });
        assert_int_equal(answer.status, cases[i].status);
        if (answer.status == 201) {
            assert_true(has_header(&answer, "location", "/api/v1/things/a%2Fb%20%C3%A9"));
            assert_false(has_header(&answer, "x-bad", NULL));
        }
        fw_web_answer_fini(&answer);
    }
}

static void waits_need_a_ticket(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    fw_web_answer answer = ask(&config, "GET", "/api/v1/waits", "", "");
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after_s, 1);
    fw_web_answer_fini(&answer);
    answer = ask_all(&config, (fw_web_request){.method = span("GET"),
                                               .path = span("/api/v1/waits"),
                                               .ticket = {(void *)&config, 3}});
    assert_true(answer.is_later);
}

static void what_takes_long_needs_none(void **state)
{
    (void)state;
    struct fw_web_aside *aside = (void *)&state; /* not looked at without a ticket */
    fw_web_answer answer;
    fw_web_config config = {.host = "127.0.0.1"};
    fw_web_router router = router_of(&config);
    router.aside = aside;
    fw_web_request request = {.method = span("GET"), .path = span("/api/v1/walks/x")};
    fw_web_route_request(&router, &request, &answer);
    assert_int_equal(answer.status, 200);
    assert_false(answer.is_later);
    fw_web_answer_fini(&answer);
}

static void times_are_understood_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t wait_ms; /* -1: refused */
    } cases[] = {
        {"2", 2000},  {"2s", 2000},   {"250ms", 250},         {"1.5", 1500}, {"0", 0},
        {".5s", 500}, {"900", 60000}, {"99999999999", 60000}, {"", -1},      {"x", -1},
        {"-1", -1},   {"1w", -1},     {"1.2.3", -1},          {"s", -1},     {"1 s", -1},
        {".", -1},    {"1m", 60000},  {"0.0001h", 360},       {"1e3", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 0;
        bool good = fw_web_read_duration(span(cases[i].text), INT64_C(60000000000), &ns);
        assert_int_equal(good, cases[i].wait_ms >= 0);
        if (good)
            assert_int_equal(ns / 1000000, cases[i].wait_ms);
    }
    size_t number = 0;
    assert_true(fw_web_read_number(span("17"), 10, &number));
    assert_int_equal(number, 10);
    assert_false(fw_web_read_number(span("-1"), 10, &number));
    assert_false(fw_web_read_number(span(""), 10, &number));
    assert_false(fw_web_read_number(span("9999999999999999999"), SIZE_MAX, &number));
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
        fw_web_config config = {.host = "127.0.0.1", .cors_origin = cases[i].list};
        fw_web_answer answer = ask_all(&config, (fw_web_request){.method = span("OPTIONS"),
                                                                 .path = span("/api/status"),
                                                                 .origin = span(cases[i].origin)});
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.allow_origin, cases[i].allowed);
        assert_string_equal(answer.allow_methods, "GET, HEAD, OPTIONS");
        fw_web_answer_fini(&answer);
    }
}

static void pages_of_others_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *site, *origin, *host;
        int status;
    } cases[] = {
        {"", "", "a:1", 201},
        {"same-origin", "http://a:1", "a:1", 201},
        {"none", "", "a:1", 201},
        {"same-site", "http://b:1", "a:1", 403},
        {"cross-site", "http://b:1", "a:1", 403},
        {"cross-site", "http://friend", "a:1", 201},
        {"", "http://a:1", "a:1", 201},
        {"", "https://A:1", "a:1", 201},
        {"", "http://b:1", "a:1", 403},
        {"", "null", "a:1", 403},
        {"", "http://friend", "a:1", 201},
    };
    fw_web_config config = {.host = "127.0.0.1", .cors_origin = "http://friend"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_web_request request = {.method = span("POST"),
                                  .path = span("/api/v1/things"),
                                  .sec_fetch_site = span(cases[i].site),
                                  .origin = span(cases[i].origin),
                                  .host = span(cases[i].host)};
        fw_web_answer answer = ask_all(&config, request);
        assert_int_equal(answer.status, cases[i].status);
        fw_web_answer_fini(&answer);
        request.method = span("GET");
        request.path = span("/api/status");
        answer = ask_all(&config, request);
        assert_int_equal(answer.status, 200);
        fw_web_answer_fini(&answer);
    }
}

static void other_names_are_not_ours(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"", 200},          {"127.0.0.1:8080", 200},     {"[::1]:8080", 200},
        {"localhost", 200}, {"LocalHost:1", 200},        {"tasks.lan:80", 200},
        {"evil.com", 421},  {"localhost.evil.com", 421}, {"1.2.3.4.com", 421},
        {"x", 421},
    };
    fw_web_config config = {.host = "127.0.0.1", .checks_host = true, .hosts = "a, tasks.lan"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_web_answer answer = ask_all(&config, (fw_web_request){.method = span("GET"),
                                                                 .path = span("/api/status"),
                                                                 .host = span(cases[i].host)});
        assert_int_equal(answer.status, cases[i].status);
        fw_web_answer_fini(&answer);
    }
}

static void unchanged_files_are_not_sent_again(void **state)
{
    (void)state;
    fw_web_config config = {.host = "127.0.0.1"};
    for (int gzip = 0; gzip < 2; gzip++) {
        fw_web_request request = {
            .method = span("GET"), .path = span("/app.js"), .takes_gzip = gzip != 0};
        fw_web_answer answer = ask_all(&config, request);
        assert_true(answer.fixed.len > 100);
        assert_int_equal(has_header(&answer, "content-encoding", "gzip"), gzip);
        request.if_none_match = span(answer.etag);
        fw_web_answer_fini(&answer);
        answer = ask_all(&config, request);
        assert_int_equal(answer.status, 304);
        assert_int_equal(answer.fixed.len, 0);
        fw_web_answer_fini(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_paths_answer),
        cmocka_unit_test(C_137_there_is_no_way_out),
        cmocka_unit_test(other_methods_are_told_what_there_is),
        cmocka_unit_test(C_136_bad_escapes_are_refused),
        cmocka_unit_test(C_132_post_asks_for_the_key),
        cmocka_unit_test(every_key_has_its_role),
        cmocka_unit_test(problems_name_what_is_wrong),
        cmocka_unit_test(bodies_are_bounded_and_of_a_kind),
        cmocka_unit_test(waits_need_a_ticket),
        cmocka_unit_test(what_takes_long_needs_none),
        cmocka_unit_test(times_are_understood_or_refused),
        cmocka_unit_test(C_138_origins_are_matched),
        cmocka_unit_test(pages_of_others_change_nothing),
        cmocka_unit_test(other_names_are_not_ours),
        cmocka_unit_test(unchanged_files_are_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
