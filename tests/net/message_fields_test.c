/* message_fields_test.c - members of a Task are taken and refused as pydantic does, and each
 * refusal names the member (net/message_fields.c, net/message_task.c). SPDX-License-Identifier:
 * Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/message_json.h"
#include "python_fields.h"

static const fw_reply_to from = {.connection = 1, .request = 2};

static int read_task(fw_json_tasks *tasks, fw_submission *out, fw_scratch *scratch, fw_span text)
{
    int err = fw_json_tasks_open(tasks, scratch, text, &from);
    return err < 0 ? err : fw_json_tasks_next(tasks, out);
}

/* The number that the member became. */
static double kept(const char *name, const fw_submission *task)
{
    if (strcmp(name, "eta") == 0)
        return (double)(task->eta_wall_ns / 1000);
    if (strcmp(name, "max_retries") == 0)
        return task->max_retries;
    if (strcmp(name, "retry_count") == 0)
        return task->retry_count;
    return task->retry_delay_s;
}

static void members_are_pydantics(void **state)
{
    (void)state;
    char text[512];
    fw_scratch scratch = {0};
    fw_json_tasks tasks;
    fw_submission task;
    for (size_t i = 0; i < sizeof(python_fields) / sizeof(python_fields[0]); i++) {
        const struct python_field *f = &python_fields[i];
        int len = snprintf(text, sizeof(text), "{\"name\":\"n\",\"%s\":%s}", f->name, f->json);
        int got = read_task(&tasks, &task, &scratch, (fw_span){text, (size_t)len});
        if (got != (f->verdict == REFUSED ? -FW_EINVAL : 1))
            fail_msg("%s: %d, %s", text, got, got < 0 ? tasks.complaint.sentence : "");
        double value = strcmp(f->name, "eta") == 0 && f->value < 0 ? 0 : f->value;
        if (f->verdict == VALUE && kept(f->name, &task) != value)
            fail_msg("%s: %.17g", text, kept(f->name, &task));
        char quoted[64];
        snprintf(quoted, sizeof(quoted), "field '%s", f->name);
        if (f->verdict == REFUSED && strstr(tasks.complaint.sentence, quoted) == NULL)
            fail_msg("%s: %s", text, tasks.complaint.sentence);
        fw_scratch_reset(&scratch);
    }
    fw_scratch_fini(&scratch);
}

static void sentences_are_for_people(void **state)
{
    (void)state;
    static const struct {
        const char *json, *sentence;
    } cases[] = {
        {"{}", "Invalid task: field 'name' is missing"},
        {"{\"name\":\"n\",\"kwargs\":null}",
         "Invalid task: field 'kwargs' must be an object, not null"},
        {"{\"name\":\"n\",\"args\":{}}", "Invalid task: field 'args' must be an array, not {}"},
        {"{\"name\":\"n\",\"priority\":\"HIGH\"}",
         "Invalid task: field 'priority' must be 'low', 'normal', 'high' or 'critical', not "
         "\"HIGH\""},
        {"{\"name\":\"n\",\"id\":7}", "Invalid task: field 'id' must be a string, not 7"},
        {"{\"name\":7}", "Invalid task: field 'name' must be a string, not 7"},
        {"{\"name\":\"n\",\"callback\":{}}", "Invalid task: field 'callback.address' is missing"},
        {"{\"name\":\"n\",\"error\":[\"0123456789012345678901234567890123456789\"]}",
         "Invalid task: field 'error' must be a string or null, not "
         "[\"01234567890123456789012345678901234567..."},
        {"[1]", "Invalid task: it must be a JSON object"},
        {"7", "Invalid task: it must be a JSON object"},
        {"nonsense", "Invalid task: the message is not valid JSON"},
        {"", "Invalid task: the message is not valid JSON"},
        {"\x80\x04}.", "pickle serialization is not supported; set "
                       "FASTWORKER_SERIALIZATION_FORMAT=JSON"},
        {"{\"action\":\"batch_submit\"}", "Invalid batch: field 'tasks' is missing"},
        {"{\"action\":\"batch_submit\",\"tasks\":{}}",
         "Invalid batch: field 'tasks' must be an array, not {}"},
        {"{\"action\":\"batch_submit\",\"tasks\":[{}]}",
         "Invalid task 1 of the batch: field 'name' is missing"},
        {"{\"action\":\"batch_submit\",\"tasks\":[5]}",
         "Invalid task 1 of the batch: it must be a JSON object"},
    };
    fw_scratch scratch = {0};
    fw_json_tasks tasks;
    fw_submission task;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_span text = {cases[i].json, strlen(cases[i].json)};
        assert_int_equal(read_task(&tasks, &task, &scratch, text), -FW_EINVAL);
        assert_string_equal(tasks.complaint.sentence, cases[i].sentence);
    }
    fw_scratch_fini(&scratch);
}

/* Whatever is sent, the sentence fits and is ended. */
static void sentences_have_a_limit(void **state)
{
    (void)state;
    static char text[5000];
    fw_scratch scratch = {0};
    fw_json_tasks tasks;
    fw_submission task;
    for (size_t fill = 0; fill < 100; fill++) {
        int len = snprintf(text, sizeof(text), "{\"name\":\"n\",\"status\":\"");
        for (size_t i = 0; i < 10 * fill; i++)
            len += snprintf(text + len, sizeof(text) - (size_t)len, i % 2 ? "x" : "\xe2\x82\xac");
        len += snprintf(text + len, sizeof(text) - (size_t)len, "\"}");
        fw_span message = {text, (size_t)len};
        assert_int_equal(read_task(&tasks, &task, &scratch, message), -FW_EINVAL);
        assert_true(strnlen(tasks.complaint.sentence, FW_SENTENCE_MAX) < FW_SENTENCE_MAX);
    }
    fw_scratch_fini(&scratch);
}

int main(void)
{
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_pydantics),
        cmocka_unit_test(sentences_are_for_people),
        cmocka_unit_test(sentences_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
