/* message_task_test.c - Tasks and batches: what Python sends is read, what we send is what Python
 * would (net/message_task.c, net/message_request.c). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/message_json.h"
#include "python_messages.h"

static const fw_reply_to from = {
    .connection = 77, .request = 5, .detour = 2, .item = 9, .flags = 9};

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void assert_text(fw_span got, const char *wanted)
{
    if (got.len != strlen(wanted) || memcmp(got.ptr, wanted, got.len) != 0)
        fail_msg("%.*s instead of %s", (int)got.len, got.ptr, wanted);
}

static int read_one(fw_submission *out, fw_scratch *scratch, const char *text)
{
    fw_json_tasks tasks;
    int err = fw_json_tasks_open(&tasks, scratch, span(text), &from);
    return err < 0 ? err : fw_json_tasks_next(&tasks, out);
}

static void pythons_tasks_are_read(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_submission task;
    assert_int_equal(read_one(&task, &scratch, PYTHON_PLAIN_TASK), 1);
    assert_text(task.id, "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d");
    assert_true(task.key.high == 0x0a1b2c3d4e5f4a6b && task.key.low == 0x8c7d9e0f1a2b3c4d);
    assert_text(task.name, "add");
    assert_text(task.args, "[5, 3]");
    assert_text(task.kwargs, "{}");
    assert_true(task.callback.len == 0 && task.eta_wall_ns == 0 && task.timeout_ns == 0);
    assert_true(task.level == FW_NORMAL && !task.accept_only && task.max_retries == 0);
    assert_true(task.retry_delay_s == 60.0 && task.retry_backoff == 2.0);
    assert_true(task.retry_backoff_max_s == 3600.0 && task.result_ttl_ns == 0);
    assert_int_equal(task.reply.form, FW_REPLY_JSON);
    assert_true(task.reply.connection == 77 && task.reply.request == 5 && task.reply.detour == 2);
    assert_true(task.reply.item == 0 && task.reply.flags == 0);

    assert_int_equal(read_one(&task, &scratch, PYTHON_RICH_TASK), 1);
    assert_text(task.id, "job-7");
    assert_text(task.name, "gr\xc3\xbc\xc3\x9f"
                           "e \"x\"");
    assert_text(task.args, "[1208925819614629174706176, 1e+308, NaN, Infinity, \"\\ud800\", "
                           "\"\\ud83d\\ude00\", [null, true, {}]]");
    assert_text(task.kwargs, "{\"b\": {\"c\": [1]}}");
    assert_text(task.callback, "{\"address\": \"tcp://127.0.0.1:6000\", \"data\": {\"k\": \"v\"}}");
    assert_true(task.level == FW_CRITICAL && task.max_retries == 3 && task.retry_delay_s == 0.5);
    assert_true(task.timeout_ns == 2500000000 && task.eta_wall_ns == WINTER_NS);

    fw_span address, data;
    assert_true(fw_json_callback_read(&address, &data, &scratch, task.callback));
    assert_text(address, "tcp://127.0.0.1:6000");
    assert_text(data, "{\"k\": \"v\"}");
    assert_false(fw_json_callback_read(&address, &data, &scratch, span("{\"address\": \"\"}")));
    assert_false(fw_json_callback_read(&address, &data, &scratch, span("")));
    fw_scratch_fini(&scratch);
}

static void batches_are_read_in_order(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_json_tasks tasks;
    fw_submission task;
    assert_int_equal(fw_json_tasks_open(&tasks, &scratch, span(PYTHON_BATCH), &from), 0);
    assert_true(tasks.batch && tasks.count == 2);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 1);
    assert_text(task.id, "a");
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 1);
    assert_text(task.id, "b");
    assert_true(task.level == FW_LOW && task.reply.form == FW_REPLY_JSON);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 0);

    const char *empty = "{\"action\":\"batch_submit\",\"tasks\":[]}";
    assert_int_equal(fw_json_tasks_open(&tasks, &scratch, span(empty), &from), 0);
    assert_true(tasks.batch && tasks.count == 0);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 0);

    /* After a bad member the others' ids can still be learnt. */
    const char *mixed = "{\"tasks\":[{\"id\":\"a\",\"name\":\"x\"},{\"id\":\"b\",\"name\":1},"
                        "{\"name\":2},{\"id\":\"d\",\"name\":\"x\"}],\"action\":\"batch_submit\"}";
    assert_int_equal(fw_json_tasks_open(&tasks, &scratch, span(mixed), &from), 0);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 1);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), -FW_EINVAL);
    assert_text(tasks.complaint.id, "b");
    assert_int_equal(tasks.complaint.reason, FW_REFUSED_MALFORMED);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), -FW_EINVAL);
    assert_int_equal(tasks.complaint.id.len, 0);
    assert_int_equal(fw_json_tasks_next(&tasks, &task), 1);
    assert_int_equal(task.reply.form, FW_REPLY_JSON);
    fw_scratch_fini(&scratch);
}

static void missing_ids_are_made_up_and_stay(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_submission tasks[300];
    char text[FW_UUID_TEXT];
    for (int i = 0; i < 300; i++)
        assert_int_equal(read_one(&tasks[i], &scratch,
                                  i % 2 ? "{\"name\":\"n\"}" : "{\"name\":\"n\",\"id\":\"\"}"),
                         1);
    for (int i = 0; i < 300; i++) {
        fw_key_format(text, tasks[i].key);
        assert_int_equal(tasks[i].id.len, FW_UUID_TEXT);
        assert_memory_equal(tasks[i].id.ptr, text, FW_UUID_TEXT);
        assert_true(i == 0 || !fw_key_equal(tasks[i].key, tasks[i - 1].key));
    }
    fw_scratch_fini(&scratch);
}

static void forms_of_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int form;
        bool accept_only;
    } cases[] = {
        {"{\"name\":\"n\"}", FW_REPLY_JSON_LEGACY, false},
        {"{\"name\":\"n\",\"callback\":null,\"status\":\"pending\"}", FW_REPLY_JSON_LEGACY, false},
        {"{\"name\":\"n\",\"retry_count\":0}", FW_REPLY_JSON, false},
        {"{\"name\":\"n\",\"eta\":null}", FW_REPLY_JSON, false},
        {"{\"name\":\"n\",\"native\":{\"v\":1,\"reply\":\"accepted\"}}", FW_REPLY_JSON, true},
        {"{\"name\":\"n\",\"native\":{\"v\":1,\"reply\":\"result\"}}", FW_REPLY_JSON, false},
        {"{\"name\":\"n\",\"native\":7}", FW_REPLY_JSON, false},
        {"{\"name\":\"n\",\"retry_count\":0,\"unknown\":{\"deep\":[]}}", FW_REPLY_JSON, false},
    };
    fw_scratch scratch = {0};
    fw_submission task;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_one(&task, &scratch, cases[i].text), 1);
        assert_int_equal(task.reply.form, cases[i].form);
        assert_int_equal(task.accept_only, cases[i].accept_only);
    }
    fw_json_tasks tasks;
    assert_int_equal(fw_json_tasks_open(&tasks, &scratch, span("\x80\x04\x95"), &from), -FW_EINVAL);
    assert_int_equal(tasks.reply.form, FW_REPLY_PICKLE);
    assert_int_equal(tasks.complaint.reason, FW_REFUSED_PICKLE);
    fw_scratch_fini(&scratch);
}

static void odd_spellings_are_understood(void **state)
{
    (void)state;
    char text[600];
    fw_scratch scratch = {0};
    fw_submission task;
    assert_int_equal(
        read_one(&task, &scratch,
                 " {\"id\":\"first\",\"n\\u0061me\" : \"a\\tb\", \"id\":\"l\\u0061st\"} "),
        1);
    assert_text(task.name, "a\tb");
    assert_text(task.id, "last");
    /* An id may have 255 bytes, not more; UUIDs in capitals are other texts. */
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"name\":\"n\",\"id\":\"", 18);
    memcpy(text + 18 + 255, "\"}", 3);
    assert_int_equal(read_one(&task, &scratch, text), 1);
    assert_int_equal(task.id.len, 255);
    text[18 + 255] = 'x';
    memcpy(text + 18 + 256, "\"}", 3);
    assert_int_equal(read_one(&task, &scratch, text), -FW_EINVAL);
    assert_int_equal(read_one(&task, &scratch,
                              "{\"name\":\"n\",\"id\":\"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D\"}"),
                     1);
    assert_false(fw_key_is_uuid(task.key));
    fw_scratch_fini(&scratch);
}

static void truncations_are_errors(void **state)
{
    (void)state;
    static const char *const messages[] = {PYTHON_PLAIN_TASK, PYTHON_RICH_TASK, PYTHON_BATCH};
    fw_scratch scratch = {0};
    for (size_t i = 0; i < 3; i++) {
        for (size_t cut = 0; cut < strlen(messages[i]); cut++) {
            char *copy = malloc(cut > 0 ? cut : 1);
            assert_non_null(copy);
            memcpy(copy, messages[i], cut);
            fw_json_tasks tasks;
            assert_int_equal(fw_json_tasks_open(&tasks, &scratch, (fw_span){copy, cut}, &from),
                             -FW_EINVAL);
            free(copy);
        }
    }
    fw_scratch_fini(&scratch);
}

/* ---- Writing ---- */

/* The text with the time of its creation, which is now, replaced by the recorded one. */
static void assert_written(const fw_buffer *out, const char *wanted, const char *recorded_stamp)
{
    static const char key[] = "\"created_at\": \"";
    fw_buffer text = {0};
    const char *at = out->data, *end = out->data + out->len;
    for (;;) {
        const char *stamp = memmem(at, (size_t)(end - at), key, sizeof(key) - 1);
        if (stamp == NULL)
            break;
        stamp += sizeof(key) - 1;
        fw_buffer_add(&text, at, (size_t)(stamp - at));
        fw_buffer_text(&text, recorded_stamp);
        at = memchr(stamp, '"', (size_t)(end - stamp));
        assert_non_null(at);
    }
    fw_buffer_add(&text, at, (size_t)(end - at));
    assert_text((fw_span){text.data, text.len}, wanted);
    fw_buffer_fini(&text);
}

static void tasks_are_written_as_python_does(void **state)
{
    (void)state;
    fw_buffer out = {0};
    fw_scratch scratch = {0};
    fw_submission task, two[2];
    fw_json_tasks tasks;
    assert_int_equal(read_one(&task, &scratch, PYTHON_PLAIN_TASK), 1);
    task.id.len = 0; /* the key is enough */
    assert_true(fw_json_write_task(&out, &task));
    assert_written(&out, PYTHON_PLAIN_TASK, "2026-01-02 03:04:05.000600");
    out.len = 0;
    assert_int_equal(read_one(&task, &scratch, PYTHON_RICH_TASK), 1);
    assert_true(fw_json_write_task(&out, &task));
    assert_written(&out, PYTHON_RICH_TASK, "2026-07-02 03:04:05");
    out.len = 0;
    assert_int_equal(fw_json_tasks_open(&tasks, &scratch, span(PYTHON_BATCH), &from), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fw_json_tasks_next(&tasks, &two[i]), 1);
    assert_true(fw_json_write_tasks(&out, two, 2));
    assert_written(&out, PYTHON_BATCH, "2026-01-02 03:04:05.000600");
    out.len = 0;
    task.accept_only = true;
    assert_true(fw_json_write_task(&out, &task));
    static const char native[] = ", \"native\": {\"v\": 1, \"reply\": \"accepted\"}}";
    assert_non_null(memmem(out.data, out.len, native, sizeof(native) - 1));

    /* Bytes of a frame that are no JSON do not get into the text. */
    task.args = span("[1}");
    assert_false(fw_json_write_task(&out, &task));
    task.args = span("[]");
    task.kwargs = span("[]");
    assert_false(fw_json_write_task(&out, &task));
    fw_buffer_fini(&out);
    fw_scratch_fini(&scratch);
}

int main(void)
{
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pythons_tasks_are_read),
        cmocka_unit_test(batches_are_read_in_order),
        cmocka_unit_test(missing_ids_are_made_up_and_stay),
        cmocka_unit_test(forms_of_the_answer),
        cmocka_unit_test(odd_spellings_are_understood),
        cmocka_unit_test(truncations_are_errors),
        cmocka_unit_test(tasks_are_written_as_python_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
