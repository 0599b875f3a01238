/* message_reply_test.c - answers are Python's byte for byte, and clients read them back
 * (net/message_reply.c, net/message_answer.c). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/message_json.h"
#include "python_messages.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void assert_text(fw_span got, const char *wanted)
{
    if (got.len != strlen(wanted) || memcmp(got.ptr, wanted, got.len) != 0)
        fail_msg("%.*s instead of %s", (int)got.len, got.ptr, wanted);
}

static void assert_out(fw_buffer *out, const char *wanted)
{
    assert_false(out->failed);
    assert_text((fw_span){out->data, out->len}, wanted);
    out->len = 0;
}

static const fw_result_view success = {
    .key = {0x0a1b2c3d4e5f4a6b, 0x8c7d9e0f1a2b3c4d},
    .status = FW_SUCCESS,
    .result = {"8", 1},
    .started_wall_ns = WINTER_NS,
    .finished_wall_ns = SUMMER_NS,
};

static fw_result_view failure(void)
{
    return (fw_result_view){.id = span("j\xc3\xb6"
                                       "b"),
                            .status = FW_FAILURE,
                            .error = span("boom \"\n\" \xc3\xa9"),
                            .finished_wall_ns = WINTER_NS};
}

static fw_result_view cancelled(void)
{
    return (fw_result_view){.id = span("c"),
                            .status = FW_CANCELLED,
                            .error = span(""),
                            .callback = span("{\"address\": \"tcp://h:1\", \"data\": null}")};
}

static void results_are_pythons(void **state)
{
    (void)state;
    fw_buffer out = {0};
    fw_result_view bad = failure(), gone = cancelled();
    fw_json_write_result(&out, FW_REPLY_JSON, &success);
    assert_out(&out, PYTHON_SUCCESS);
    fw_json_write_result(&out, FW_REPLY_JSON, &bad);
    assert_out(&out, PYTHON_FAILURE);
    fw_json_write_result(&out, FW_REPLY_JSON, &gone);
    assert_out(&out, PYTHON_CANCELLED);
    /* 0.1.x knows success and failure only. */
    gone.callback.len = 0;
    fw_json_write_result(&out, FW_REPLY_JSON_LEGACY, &gone);
    assert_out(&out,
               "{\"task_id\": \"c\", \"status\": \"failure\", \"result\": null, \"error\": \"\", "
               "\"started_at\": null, \"completed_at\": null, \"callback\": null}");
    fw_json_write_result(&out, FW_REPLY_JSON_LEGACY, &success);
    assert_out(&out, PYTHON_SUCCESS);
    fw_result_view queued = {.id = span("c"), .status = FW_QUEUED};
    fw_json_write_accepted(&out, FW_REPLY_JSON, &queued);
    assert_out(&out,
               "{\"task_id\": \"c\", \"status\": \"queued\", \"result\": null, \"error\": null, "
               "\"started_at\": null, \"completed_at\": null, \"callback\": null, "
               "\"native\": {\"accepted\": true}}");
    fw_buffer_fini(&out);
}

static void the_other_answers_are_pythons(void **state)
{
    (void)state;
    fw_buffer out = {0};
    fw_span ids[2] = {span("a"), span("b")};
    fw_json_write_batch(&out, ids, 2, NULL);
    assert_out(&out, PYTHON_BATCH_ACCEPTED);
    fw_json_write_batch(&out, NULL, 0, NULL);
    assert_out(&out, "{\"batch_accepted\": true, \"task_ids\": []}");
    fw_json_write_batch(&out, NULL, 0, "field 'name'");
    assert_out(&out, "{\"batch_accepted\": false, \"task_ids\": [], \"error\": \"field 'name'\"}");

    fw_result_view found = success, waiting = {.id = span("q"), .status = FW_RUNNING};
    found.id = span("q");
    found.result = span("{\"a\": [1.5, null]}");
    found.finished_wall_ns = WINTER_NS;
    fw_json_write_query(&out, FW_FOUND, false, &found);
    assert_out(&out, PYTHON_FOUND);
    fw_json_write_query(&out, FW_NEVER_SEEN, false, &waiting);
    assert_out(&out, PYTHON_NOT_FOUND);
    fw_json_write_query(&out, FW_WAS_EXPIRED, true, &waiting);
    assert_out(&out, PYTHON_NOT_FOUND);
    fw_json_write_query(&out, FW_NOT_FINISHED, false, &waiting);
    assert_out(&out, "{\"found\": false, \"error\": \"Task q not found in cache or expired\", "
                     "\"state\": \"running\"}");
    fw_json_write_query(&out, FW_NOT_FINISHED, true, &waiting);
    assert_out(&out, "{\"found\": true, \"result\": {\"task_id\": \"q\", \"status\": \"running\", "
                     "\"result\": null, \"error\": null, \"started_at\": null, "
                     "\"completed_at\": null, \"callback\": null}}");
    fw_json_write_cancel(&out, span("q"), true);
    assert_out(&out, PYTHON_CANCEL_ANSWER);
    fw_json_write_cancel(&out, span("q"), false);
    assert_out(&out, "{\"cancelled\": false, \"task_id\": \"q\"}");
    fw_json_write_query_refusal(&out, FW_REPLY_JSON, "Missing task_id");
    assert_out(&out, "{\"error\": \"Missing task_id\"}");
    fw_json_write_query_refusal(&out, FW_REPLY_JSON, "why");
    assert_out(&out, "{\"found\": false, \"cancelled\": false, \"error\": \"why\"}");

    fw_json_write_registration(&out, FW_REPLY_JSON, span("sw1"), NULL, span(""));
    assert_out(&out, PYTHON_REGISTERED);
    fw_json_write_registration(&out, FW_REPLY_JSON, span("sw1"), NULL, span("{\"v\":1}"));
    assert_out(&out,
               "{\"status\": \"registered\", \"subworker_id\": \"sw1\", \"native\": {\"v\":1}}");
    fw_json_write_registration(&out, FW_REPLY_JSON, span(""), "why", span(""));
    assert_out(&out, "{\"status\": \"error\", \"error\": \"why\"}");

    fw_result_view notice = success;
    notice.callback = span("{\"address\": \"tcp://127.0.0.1:6000\", \"data\": {\"k\": \"v\"}}");
    fw_json_write_callback(&out, &notice);
    assert_out(&out, PYTHON_CALLBACK_NOTICE);
    fw_buffer_fini(&out);
}

/* Python's pickle module read these to the dictionaries that protocol 3.5 asks for. */
static void refusals_of_pickle_are_constant_pickles(void **state)
{
    (void)state;
    fw_buffer out = {0};
    static const char task[] =
        "\x80\x02}(X\x07\0\0\0task_idX\0\0\0\0X\x06\0\0\0statusX\x07\0\0\0failure"
        "X\x05\0\0\0errorX\x03\0\0\0whyu.";
    fw_json_write_refusal(&out, FW_REPLY_PICKLE, span("ignored"), "why");
    assert_int_equal(out.len, sizeof(task) - 1);
    assert_memory_equal(out.data, task, sizeof(task) - 1);
    out.len = 0;
    static const char query[] = "\x80\x02}(X\x05\0\0\0found\x89X\x09\0\0\0cancelled\x89"
                                "X\x05\0\0\0errorX\x03\0\0\0whyu.";
    fw_json_write_query_refusal(&out, FW_REPLY_PICKLE, "why");
    assert_int_equal(out.len, sizeof(query) - 1);
    assert_memory_equal(out.data, query, sizeof(query) - 1);
    out.len = 0;
    static const char entry[] =
        "\x80\x02}(X\x06\0\0\0statusX\x05\0\0\0errorX\x05\0\0\0errorX\x03\0\0\0whyu.";
    fw_json_write_registration(&out, FW_REPLY_PICKLE, span(""), "why", span(""));
    assert_int_equal(out.len, sizeof(entry) - 1);
    assert_memory_equal(out.data, entry, sizeof(entry) - 1);
    fw_buffer_fini(&out);
}

static void a_refusal_is_a_failed_result(void **state)
{
    (void)state;
    fw_buffer out = {0};
    fw_scratch scratch = {0};
    fw_result_view view;
    fw_json_write_refusal(&out, FW_REPLY_JSON, span("job"), "Invalid task: \"x\"");
    assert_int_equal(fw_json_result_read(&view, NULL, &scratch, (fw_span){out.data, out.len}), 0);
    assert_true(view.status == FW_FAILURE && view.started_wall_ns == 0 && view.result.len == 0);
    assert_text(view.id, "job");
    assert_text(view.error, "Invalid task: \"x\"");
    out.len = 0;
    fw_json_write_refusal(&out, FW_REPLY_JSON, span(""), "why");
    assert_int_equal(fw_json_result_read(&view, NULL, &scratch, (fw_span){out.data, out.len}), 0);
    assert_int_equal(view.id.len, 0);
    fw_scratch_fini(&scratch);
    fw_buffer_fini(&out);
}

static void pythons_results_are_read(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_result_view view;
    bool accepted = true;
    assert_int_equal(fw_json_result_read(&view, &accepted, &scratch, span(PYTHON_SUCCESS)), 0);
    assert_true(view.status == FW_SUCCESS && !accepted && view.error.ptr == NULL);
    assert_true(fw_key_equal(view.key, success.key));
    assert_text(view.result, "8");
    assert_true(view.started_wall_ns == WINTER_NS && view.finished_wall_ns == SUMMER_NS);
    assert_int_equal(fw_json_result_read(&view, &accepted, &scratch, span(PYTHON_FAILURE)), 0);
    assert_text(view.id, "j\xc3\xb6"
                         "b");
    assert_text(view.error, "boom \"\n\" \xc3\xa9");
    assert_true(view.started_wall_ns == 0 && view.result.len == 0);
    assert_int_equal(fw_json_result_read(&view, &accepted, &scratch, span(PYTHON_CANCELLED)), 0);
    assert_true(view.error.ptr != NULL && view.error.len == 0 && view.callback.len > 0);
    const char *early =
        "{\"task_id\": \"x\", \"status\": \"queued\", \"native\": {\"accepted\": true}}";
    assert_int_equal(fw_json_result_read(&view, &accepted, &scratch, span(early)), 0);
    assert_true(accepted && view.status == FW_QUEUED);

    static const char *const strange[] = {
        "",
        "7",
        "[]",
        "{}",
        "{\"task_id\": \"x\"}",
        "{\"status\": \"success\"}",
        "{\"task_id\": 5, \"status\": \"success\"}",
        "{\"task_id\": \"x\", \"status\": \"done\"}",
        "{\"task_id\": \"x\", \"status\": \"success\", \"error\": 5}",
        "{\"task_id\": \"x\", \"status\": \"success\", \"started_at\": \"soon\"}",
        "{\"task_id\": \"x\", \"status\": \"success\", \"callback\": 5}",
        "\x80\x04.",
    };
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        assert_int_equal(fw_json_result_read(&view, &accepted, &scratch, span(strange[i])),
                         -FW_EPROTO);
    for (size_t cut = 0; cut < strlen(PYTHON_FAILURE); cut++)
        assert_int_equal(fw_json_result_read(&view, NULL, &scratch, (fw_span){PYTHON_FAILURE, cut}),
                         -FW_EPROTO);
    fw_scratch_fini(&scratch);
}

static void the_other_answers_are_read(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_result_view view;
    fw_found found;
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span(PYTHON_FOUND)), 0);
    assert_true(found == FW_FOUND && view.status == FW_SUCCESS);
    assert_text(view.result, "{\"a\": [1.5, null]}");
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span(PYTHON_NOT_FOUND)), 0);
    assert_int_equal(found, FW_NEVER_SEEN);
    const char *running = "{\"found\": false, \"error\": \"e\", \"state\": \"running\"}";
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span(running)), 0);
    assert_true(found == FW_NOT_FINISHED && view.status == FW_RUNNING);
    const char *early =
        "{\"found\": true, \"result\": {\"task_id\": \"q\", \"status\": \"queued\"}}";
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span(early)), 0);
    assert_true(found == FW_NOT_FINISHED && view.status == FW_QUEUED);
    const char *broken = "{\"found\": true, \"result\": null}";
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span(broken)), -FW_EPROTO);
    assert_int_equal(fw_json_query_answer_read(&view, &found, &scratch, span("{}")), -FW_EPROTO);

    bool stopped = false;
    assert_int_equal(fw_json_cancel_answer_read(&stopped, span(PYTHON_CANCEL_ANSWER)), 0);
    assert_true(stopped);
    assert_int_equal(fw_json_cancel_answer_read(&stopped, span("{\"error\": \"x\"}")), -FW_EPROTO);
    fw_span error;
    assert_int_equal(fw_json_batch_answer_read(&error, &scratch, span(PYTHON_BATCH_ACCEPTED)), 0);
    const char *refused = "{\"batch_accepted\": false, \"task_ids\": [], \"error\": \"w\\u0068y\"}";
    assert_int_equal(fw_json_batch_answer_read(&error, &scratch, span(refused)), -FW_EINVAL);
    assert_text(error, "why");
    assert_int_equal(fw_json_batch_answer_read(&error, &scratch, span(PYTHON_SUCCESS)), -FW_EPROTO);
    fw_scratch_fini(&scratch);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* Printable and not, ASCII and not; valid UTF-8. */
static fw_span random_text(char *room, size_t most)
{
    size_t len = 0, wanted = random64() % most;
    while (len < wanted) {
        unsigned c = (unsigned)(random64() % 0x180);
        if (c < 0x80) {
            room[len++] = (char)c;
        } else {
            room[len++] = (char)(0xc0 | c >> 6);
            room[len++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return (fw_span){room, len};
}

static void random_results_survive(void **state)
{
    (void)state;
    char id[FW_ID_MAX + 1], error[300];
    fw_buffer out = {0};
    fw_scratch scratch = {0};
    for (int i = 0; i < 5000; i++) {
        fw_result_view got, sent = {.status = random64() % FW_UNKNOWN};
        sent.id = random_text(id, FW_ID_MAX - 2);
        if (sent.id.len == 0)
            sent.key = fw_key_random();
        if (random64() & 1)
            sent.error = random_text(error, sizeof(error) - 2);
        if (random64() & 1)
            sent.result = span("[NaN, \"\\ud800\", 12345678901234567890123]");
        if (random64() & 1)
            sent.finished_wall_ns = (int64_t)(random64() % UINT64_C(2000000000000000)) * 1000;
        out.len = 0;
        fw_json_write_result(&out, FW_REPLY_JSON, &sent);
        assert_int_equal(fw_json_result_read(&got, NULL, &scratch, (fw_span){out.data, out.len}),
                         0);
        if (sent.id.len == 0)
            assert_true(fw_key_equal(got.key, sent.key));
        else
            assert_true(got.id.len == sent.id.len &&
                        memcmp(got.id.ptr, sent.id.ptr, got.id.len) == 0);
        assert_true(got.status == sent.status && got.result.len == sent.result.len);
        assert_true((got.error.ptr == NULL) == (sent.error.ptr == NULL));
        assert_int_equal(got.error.len, sent.error.len);
        if (got.error.len > 0)
            assert_memory_equal(got.error.ptr, sent.error.ptr, got.error.len);
        /* The hour that repeats in autumn is told as the first of the two. */
        int64_t behind = sent.finished_wall_ns - got.finished_wall_ns;
        assert_true(behind == 0 || behind == INT64_C(3600) * 1000000000);
        fw_scratch_reset(&scratch);
    }
    fw_scratch_fini(&scratch);
    fw_buffer_fini(&out);
}

int main(void)
{
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_pythons),
        cmocka_unit_test(the_other_answers_are_pythons),
        cmocka_unit_test(refusals_of_pickle_are_constant_pickles),
        cmocka_unit_test(a_refusal_is_a_failed_result),
        cmocka_unit_test(pythons_results_are_read),
        cmocka_unit_test(the_other_answers_are_read),
        cmocka_unit_test(random_results_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
