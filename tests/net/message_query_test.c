/* message_query_test.c - queries, cancels, waits, registrations: what is taken, what is answered
 * with a sentence (net/message_query.c), and what a client sends (net/message_request.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/message_json.h"

static const fw_reply_to from = {.connection = 3, .request = 4, .flags = 9, .item = 9};

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void assert_text(fw_span got, const char *wanted)
{
    if (got.len != strlen(wanted) || memcmp(got.ptr, wanted, got.len) != 0)
        fail_msg("%.*s instead of %s", (int)got.len, got.ptr, wanted);
}

static void queries_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind;
        int64_t wait_ns;
        bool native;
    } cases[] = {
        {"{\"task_id\": \"q\"}", FW_QUERY_GET, 0, false},
        {"{\"task_id\": \"q\", \"action\": \"query\"}", FW_QUERY_GET, 0, false},
        {"{\"task_id\": \"q\", \"action\": \"dance\"}", FW_QUERY_GET, 0, false},
        {"{\"task_id\": \"q\", \"action\": 7}", FW_QUERY_GET, 0, false},
        {"{\"action\": \"cancel\", \"task_id\": \"q\"}", FW_QUERY_CANCEL, 0, false},
        {"{\"action\": \"wait\", \"task_id\": \"q\", \"timeout\": 2.5}", FW_QUERY_WAIT, 2500000000,
         false},
        {"{\"action\": \"wait\", \"task_id\": \"q\"}", FW_QUERY_WAIT, 25000000000, false},
        {"{\"action\": \"wait\", \"task_id\": \"q\", \"timeout\": null}", FW_QUERY_WAIT,
         25000000000, false},
        {"{\"action\": \"wait\", \"task_id\": \"q\", \"timeout\": -1}", FW_QUERY_WAIT, 0, false},
        {"{\"task_id\": \"q\", \"native\": {\"v\": 1}}", FW_QUERY_GET, 0, true},
        {"{\"task_id\": \"\\u0071\"}", FW_QUERY_GET, 0, false},
    };
    fw_scratch scratch = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_query query;
        fw_complaint complaint;
        assert_int_equal(
            fw_json_query_read(&query, &complaint, &scratch, span(cases[i].text), &from), 0);
        assert_int_equal(query.kind, cases[i].kind);
        assert_true(query.wait_ns == cases[i].wait_ns && query.native == cases[i].native);
        assert_text(query.id, "q");
        assert_true(fw_key_equal(query.key, fw_key_from_text(span("q"))));
        assert_true(query.reply.connection == 3 && query.reply.request == 4 &&
                    query.reply.item == 0);
        assert_int_equal(query.reply.form, FW_REPLY_JSON);
        assert_int_equal(query.reply.flags, cases[i].native ? FW_WANTS_STATE : 0);
    }
    fw_scratch_fini(&scratch);
}

static void bad_queries_get_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"{}", "Missing task_id"},
        {"{\"task_id\": null}", "Missing task_id"},
        {"{\"task_id\": \"\"}", "Missing task_id"},
        {"{\"task_id\": 0}", "Missing task_id"},
        {"{\"task_id\": []}", "Missing task_id"},
        {"{\"task_id\": false, \"action\": \"cancel\"}", "Missing task_id"},
        {"{\"task_id\": 7}", "Invalid query: field 'task_id' must be a string, not 7"},
        {"{\"task_id\": [1]}", "Invalid query: field 'task_id' must be a string, not [1]"},
        {"{\"task_id\": \"q\", \"action\": \"wait\", \"timeout\": \"x\"}",
         "Invalid query: field 'timeout' must be a number, not \"x\""},
        {"[]", "Invalid query: it must be a JSON object"},
        {"{", "Invalid query: the message is not valid JSON"},
        {"", "Invalid query: the message is not valid JSON"},
    };
    fw_scratch scratch = {0};
    fw_query query;
    fw_complaint complaint;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            fw_json_query_read(&query, &complaint, &scratch, span(cases[i].text), &from),
            -FW_EINVAL);
        assert_string_equal(complaint.sentence, cases[i].sentence);
        assert_int_equal(complaint.reason, FW_REFUSED_MALFORMED);
        assert_true(query.reply.form == FW_REPLY_JSON && query.reply.request == 4);
    }
    assert_int_equal(fw_json_query_read(&query, &complaint, &scratch, span("\x80\x04"), &from),
                     -FW_EINVAL);
    assert_int_equal(query.reply.form, FW_REPLY_PICKLE);
    assert_int_equal(complaint.reason, FW_REFUSED_PICKLE);
    fw_scratch_fini(&scratch);
}

static void registrations_are_read(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_registration entry;
    fw_complaint complaint;
    const char *full = "{\"subworker_id\": \"sw1\", \"address\": \"tcp://127.0.0.1:5561\", "
                       "\"status\": \"inactive\", \"heartbeat\": true, \"native\": {\"v\":1}}";
    assert_int_equal(fw_json_registration_read(&entry, &complaint, &scratch, span(full), &from), 0);
    assert_text(entry.id, "sw1");
    assert_text(entry.address, "tcp://127.0.0.1:5561");
    assert_text(entry.status, "inactive");
    assert_text(entry.native, "{\"v\":1}");
    assert_true(entry.heartbeat && entry.reply.request == 4);
    const char *bare = "{\"subworker_id\": \"sw1\", \"address\": \"a\"}";
    assert_int_equal(fw_json_registration_read(&entry, &complaint, &scratch, span(bare), &from), 0);
    assert_text(entry.status, "active");
    assert_true(!entry.heartbeat && entry.native.len == 0);

    static const char *const bad[] = {
        "{\"address\": \"a\"}",
        "{\"subworker_id\": \"\", \"address\": \"a\"}",
        "{\"subworker_id\": \"s\"}",
        "{\"subworker_id\": \"s\", \"address\": null}",
        "{\"subworker_id\": \"s:1\", \"address\": \"a\"}",
        "{\"subworker_id\": \"s\", \"address\": \"a\", \"status\": 5}",
        "[]",
        "x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            fw_json_registration_read(&entry, &complaint, &scratch, span(bad[i]), &from),
            -FW_EINVAL);
        assert_int_equal(strncmp(complaint.sentence, "Invalid registration: ", 22), 0);
    }
    for (size_t cut = 0; cut < strlen(full); cut++)
        assert_int_equal(
            fw_json_registration_read(&entry, &complaint, &scratch, (fw_span){full, cut}, &from),
            -FW_EINVAL);
    assert_int_equal(fw_json_registration_read(&entry, &complaint, &scratch, span("\x80"), &from),
                     -FW_EINVAL);
    assert_int_equal(entry.reply.form, FW_REPLY_PICKLE);
    fw_scratch_fini(&scratch);
}

static void what_a_client_asks_is_read_back(void **state)
{
    (void)state;
    fw_buffer out = {0};
    fw_scratch scratch = {0};
    fw_query got;
    fw_complaint complaint;
    static const char *const texts[] = {
        "{\"task_id\": \"q\"}",
        "{\"action\": \"cancel\", \"task_id\": \"q\"}",
        "{\"action\": \"wait\", \"task_id\": \"q\", \"timeout\": 1.5, \"native\": {\"v\": 1}}",
    };
    for (int kind = FW_QUERY_GET; kind <= FW_QUERY_WAIT; kind++) {
        fw_query sent = {.kind = (fw_query_kind)kind,
                         .id = span("q"),
                         .native = kind == FW_QUERY_WAIT,
                         .wait_ns = kind == FW_QUERY_WAIT ? 1500000000 : 0};
        out.len = 0;
        fw_json_write_ask(&out, &sent);
        assert_text((fw_span){out.data, out.len}, texts[kind]);
        assert_int_equal(
            fw_json_query_read(&got, &complaint, &scratch, (fw_span){out.data, out.len}, &from), 0);
        assert_true(got.kind == sent.kind && got.wait_ns == sent.wait_ns &&
                    got.native == sent.native);
    }
    fw_query by_key = {.kind = FW_QUERY_GET, .key = {0x0a1b2c3d4e5f4a6b, 0x8c7d9e0f1a2b3c4d}};
    out.len = 0;
    fw_json_write_ask(&out, &by_key);
    assert_text((fw_span){out.data, out.len},
                "{\"task_id\": \"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\"}");
    fw_buffer_fini(&out);
    fw_scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_read),
        cmocka_unit_test(bad_queries_get_a_sentence),
        cmocka_unit_test(registrations_are_read),
        cmocka_unit_test(what_a_client_asks_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
