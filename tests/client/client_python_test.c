/* The client against a control plane that speaks JSON only, as Python's does, with Python's faults
 * on demand: net/client_python.c, net/client_line.c, net/client_ports.c. The real one is met in
 * tests/interop. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fastworker/client.h"
#include "peer.h"

enum { REMEMBERED = 256 };

/* What the script does with the next tasks, and what it saw: written before peer_start, read after
 * peer_stop. */
typedef struct python {
    int silent;  /* so many tasks get no answer */
    int foreign; /* so many get somebody else's result */
    int drop;    /* after so many the connection is dropped */
    bool lost;   /* results are "Incorrect state" */
    int not_yet; /* so many queries find nothing */
    unsigned tasks, batches, queries, cancels;
    char last_id[64];
    char ids[REMEMBERED][40], etas[REMEMBERED][40];
} python;

static void copy_member(char *out, size_t capacity, fw_json object, const char *name)
{
    fw_span text;
    char room[1024];
    fw_json value = fw_json_get(object, name);
    out[0] = '\0';
    if (fw_json_string(value, room, sizeof(room), &text))
        snprintf(out, capacity, "%.*s", (int)text.len, text.ptr);
}

static void reply_result(peer *p, uint32_t request, const char *id, fw_span args, bool wrapped)
{
    const python *py = p->context;
    char text[2048];
    if (py->lost)
        snprintf(text, sizeof(text),
                 "%s{\"task_id\": \"%s\", \"status\": \"failure\", \"result\": null, \"error\": "
                 "\"Incorrect state\", \"started_at\": null, \"completed_at\": null, \"callback\": "
                 "null}%s",
                 wrapped ? "{\"found\": true, \"result\": " : "", id, wrapped ? "}" : "");
    else
        snprintf(
            text, sizeof(text),
            "%s{\"task_id\": \"%s\", \"status\": \"success\", \"result\": %.*s, \"error\": null, "
            "\"started_at\": \"2026-01-02 03:04:05\", \"completed_at\": \"2026-01-02 "
            "03:04:05.000600\", \"callback\": null}%s",
            wrapped ? "{\"found\": true, \"result\": " : "", id, (int)args.len, args.ptr,
            wrapped ? "}" : "");
    peer_reply_text(p, request, text);
}

static bool take_query(peer *p, uint32_t request, fw_json query)
{
    python *py = p->context;
    char id[256], action[32], text[512];
    copy_member(id, sizeof(id), query, "task_id");
    copy_member(action, sizeof(action), query, "action");
    if (strcmp(action, "cancel") == 0) {
        py->cancels++;
        snprintf(text, sizeof(text), "{\"cancelled\": %s, \"task_id\": \"%s\"}",
                 strcmp(id, "known") == 0 ? "true" : "false", id);
        peer_reply_text(p, request, text);
        return true;
    }
    py->queries++;
    if (strcmp(id, "known") == 0 || (strcmp(id, py->last_id) == 0 && py->not_yet-- <= 0))
        reply_result(p, request, id, (fw_span){"[\"asked\"]", 9}, true);
    else
        peer_reply_text(p, request,
                        "{\"found\": false, \"error\": \"Task x not found in cache or "
                        "expired\"}");
    return true;
}

static bool speaks_python(peer *p, unsigned port, uint32_t request, fw_span body)
{
    python *py = p->context;
    fw_json message = fw_json_parse(body);
    if (message.type != FW_JSON_OBJECT)
        return true;
    if (port == 4)
        return take_query(p, request, message);
    if (fw_json_get(message, "tasks").type == FW_JSON_ARRAY) {
        py->batches++;
        peer_reply_text(p, request, "{\"batch_accepted\": true, \"task_ids\": []}");
        return true;
    }
    copy_member(py->last_id, sizeof(py->last_id), message, "id");
    copy_member(py->ids[py->tasks % REMEMBERED], 40, message, "id");
    copy_member(py->etas[py->tasks % REMEMBERED], 40, message, "eta");
    py->tasks++;
    if (py->drop > 0) {
        py->drop--;
        return false;
    }
    if (py->silent > 0)
        py->silent--;
    else if (py->foreign > 0 && py->foreign--)
        reply_result(p, request, "someone-else", (fw_span){"1", 1}, false);
    else
        reply_result(p, request, py->last_id, fw_json_get(message, "args").text, false);
    return true;
}

static fw_client *open_at(const peer *p)
{
    fw_client *c = NULL;
    const fw_client_options options = {
        .size = sizeof(options), .control_plane = p->address, .timeout_ms = 10000};
    assert_int_equal(fw_client_open(&c, &options), 0);
    assert_false(fw_client_is_native(c));
    return c;
}

static void assert_json(const fw_result *r, const char *expected)
{
    assert_int_equal(fw_result_json(r).len, strlen(expected));
    assert_memory_equal(fw_result_json(r).ptr, expected, strlen(expected));
}

static void calls_and_asks(void **state)
{
    (void)state;
    peer p;
    static python py;
    fw_result *r = NULL;
    char ids[20][40];
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    for (int i = 0; i < 20; i++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "[%d]", i);
        assert_int_equal(fw_callf(c, "echo", &r, "i", i), 0);
        assert_json(r, expected);
        snprintf(ids[i], sizeof(ids[i]), "%s", fw_result_id(r));
        assert_true(fw_result_started_ns(r) > 0);
        fw_result_free(r);
    }
    assert_int_equal(fw_get(c, "known", &r), 0);
    assert_json(r, "[\"asked\"]");
    fw_result_free(r);
    assert_int_equal(fw_get(c, "nobody", &r), -FW_EUNKNOWN);
    assert_int_equal(fw_cancel(c, "known"), 0);
    assert_int_equal(fw_cancel(c, "nobody"), -FW_EUNKNOWN);
    assert_int_equal(fw_callf(c, "echo", &r, "j", "{broken"), -FW_EINVAL);
    fw_client_close(c);
    peer_stop(&p);
    assert_int_equal(py.tasks, 20);
    for (int i = 0; i < 20; i++)
        assert_string_equal(ids[i], py.ids[i]);
    assert_int_equal(py.queries, 1 + 2); /* the first tells what kind of control plane it is */
    assert_int_equal(py.cancels, 2);
}

static void waits_by_asking_again(void **state)
{
    (void)state;
    peer p;
    static python py = {.not_yet = 3, .last_id = "late"};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_wait(c, "late", 10000, &r), 0);
    assert_json(r, "[\"asked\"]");
    fw_result_free(r);
    assert_int_equal(fw_wait(c, "nobody", 30, &r), -FW_ETIME);
    assert_int_equal(fw_result_state(r), FW_UNKNOWN);
    fw_result_free(r);
    fw_client_close(c);
    peer_stop(&p);
}

static void does_not_take_foreign_results(void **state)
{
    (void)state;
    peer p;
    static python py = {.foreign = 1, .not_yet = 2};
    fw_result *r = NULL;
    char id[40];
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_callf(c, "echo", &r, "i", 1), 0);
    assert_json(r, "[\"asked\"]");
    snprintf(id, sizeof(id), "%s", fw_result_id(r));
    fw_result_free(r);
    fw_client_close(c);
    peer_stop(&p);
    assert_string_equal(id, py.ids[0]);
    /* Asked for, not submitted again. */
    assert_int_equal(py.tasks, 1);
    assert_true(py.queries >= 3);
}

static void asks_after_a_broken_connection(void **state)
{
    (void)state;
    peer p;
    static python py = {.drop = 1};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_callf(c, "echo", &r, "i", 1), 0);
    assert_json(r, "[\"asked\"]");
    fw_result_free(r);
    fw_client_close(c);
    peer_stop(&p);
    assert_int_equal(py.tasks, 1);
}

static void tells_lost_results_from_failures(void **state)
{
    (void)state;
    peer p;
    static python py = {.lost = true};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_callf(c, "echo", &r, "i", 1), -FW_EEXPIRED);
    assert_non_null(strstr(fw_client_errmsg(), "lost"));
    assert_int_equal(fw_get(c, "known", &r), -FW_EEXPIRED);
    fw_client_close(c);
    peer_stop(&p);
}

static void accepts_without_an_answer(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 1};
    fw_id id;
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_send(c, FW_SUBMIT("slow", .prio = FW_LOW, .has_prio = 1), &id), 0);
    /* The port of that priority is taken until the answer comes; others are not. */
    assert_int_equal(fw_callf(c, "echo", &r, "i", 1), 0);
    fw_result_free(r);
    assert_int_equal(fw_call_task(c, FW_SUBMIT("t", .prio = FW_LOW, .has_prio = 1), 30, &r),
                     -FW_ETIME);
    fw_submit two[2] = {*FW_SUBMIT("a"), *FW_SUBMIT("b")};
    fw_id ids[2];
    assert_int_equal(fw_send_many(c, two, 2, ids), 0);
    fw_client_close(c);
    peer_stop(&p);
    assert_string_equal(id.s, py.ids[0]);
    assert_int_equal(py.tasks, 2);
    assert_int_equal(py.batches, 1);
}

static void does_not_wait_for_delayed_tasks(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 2};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    assert_int_equal(fw_send(c, FW_SUBMIT("t", .countdown_ms = 3600000), NULL), 0);
    assert_int_equal(fw_call_task(c, FW_SUBMIT("t", .countdown_ms = 3600000), 0, &r), 0);
    assert_int_equal(fw_result_state(r), FW_SCHEDULED);
    fw_result_free(r);
    /* The port is free again. */
    assert_int_equal(fw_callf(c, "t", &r, ""), 0);
    fw_result_free(r);
    fw_client_close(c);
    peer_stop(&p);
    assert_int_equal(py.tasks, 3);
    assert_true(strlen(py.etas[0]) >= 19);
    assert_null(strpbrk(py.etas[0], "TZ+"));
}

static void count(void *user, int err, const fw_result *r)
{
    unsigned *counts = user;
    counts[err == 0]++;
    assert_true(err != 0 || r != NULL);
}

static void answers_callbacks_one_by_one(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 0};
    unsigned counts[2] = {0, 0};
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(fw_send_async(c, FW_SUBMIT("t", .prio = (fw_prio)(i % 4), .has_prio = 1),
                                       i % 5 == 0, count, counts, NULL),
                         0);
    while (fw_in_flight(c) > 0)
        assert_true(fw_dispatch(c, 10000) > 0);
    assert_int_equal(counts[1], 100);
    fw_client_close(c);
    peer_stop(&p);
    assert_int_equal(py.tasks, 100);
}

static void ends_callbacks_when_closed(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 1000};
    unsigned counts[2] = {0, 0};
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(fw_send_async(c, FW_SUBMIT("t"), 0, count, counts, NULL), 0);
    assert_int_equal(fw_dispatch(c, 0), 0);
    fw_client_close(c);
    assert_int_equal(counts[0], 10);
    peer_stop(&p);
}

static void shares_ports_among_clients(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 1};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *one = open_at(&p), *two = open_at(&p);
    assert_int_equal(fw_send(one, FW_SUBMIT("slow"), NULL), 0);
    /* The first client's request is still open there. */
    assert_int_equal(fw_call_task(two, FW_SUBMIT("t"), 30, &r), -FW_ETIME);
    fw_client_close(one);
    assert_int_equal(fw_callf(two, "t", &r, ""), 0);
    fw_result_free(r);
    fw_client_close(two);
    peer_stop(&p);
    assert_int_equal(py.tasks, 2);
}

static void says_that_nobody_is_there(void **state)
{
    (void)state;
    peer p;
    static python py = {.silent = 0};
    fw_result *r = NULL;
    peer_start(&p, speaks_python, &py);
    fw_client *c = open_at(&p);
    peer_stop(&p);
    assert_int_equal(fw_callf(c, "t", &r, ""), -FW_ENOCONN);
    assert_non_null(strstr(fw_client_errmsg(), "refused"));
    fw_client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_asks),
        cmocka_unit_test(waits_by_asking_again),
        cmocka_unit_test(does_not_take_foreign_results),
        cmocka_unit_test(asks_after_a_broken_connection),
        cmocka_unit_test(tells_lost_results_from_failures),
        cmocka_unit_test(accepts_without_an_answer),
        cmocka_unit_test(does_not_wait_for_delayed_tasks),
        cmocka_unit_test(answers_callbacks_one_by_one),
        cmocka_unit_test(ends_callbacks_when_closed),
        cmocka_unit_test(shares_ports_among_clients),
        cmocka_unit_test(says_that_nobody_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
