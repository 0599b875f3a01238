/* mytasks_test.c - a test of mytasks.c: what its tasks do where they will run.
 *
 * From docs/MODULES.md. The module is loaded, called and timed by the code of a control plane;
 * nothing of it is imitated. SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <fastworker/test.h>

static void expect(fw_test *t, const char *task, const char *args, const char *more,
                   const char *result)
{
    const fw_test_outcome *o;
    if (fw_test_call(t, task, args, more, &o) < 0) {
        printf("%s%s: %s\n", task, args, fw_test_errmsg(t));
        assert(0);
    }
    assert(o->state == FW_SUCCESS);
    assert(o->result.len == strlen(result) && memcmp(o->result.ptr, result, o->result.len) == 0);
}

int main(void)
{
    fw_test *t;
    const fw_test_outcome *o;
    assert(fw_test_open(&t, FW_TEST(.task_modules = "./mytasks.so")) == 0);

    expect(t, "add", "[5, 3]", NULL, "8");
    expect(t, "add", NULL, "{\"kwargs\": {\"x\": 5, \"y\": 3}}", "8");
    expect(t, "greet", "[\"Ada\"]", "{\"kwargs\": {\"greeting\": \"Good morning\"}}",
           "\"Good morning, Ada!\"");

    /* Arguments are the callers': Python's words when they do not fit. */
    assert(fw_test_call(t, "add", "[\"a\", 1]", NULL, &o) == 0);
    assert(o->state == FW_FAILURE);
    assert(strcmp(o->error, "add() argument 'x' must be int, not str") == 0);

    /* Five retries, the last after half an hour, in no time. */
    assert(fw_test_call(t, "add", "[9223372036854775807, 1]", "{\"max_retries\": 5}", &o) == 0);
    assert(o->state == FW_FAILURE && o->attempt_count == 6);
    assert(o->ended_ns >= 31 * INT64_C(60000000000));

    fw_test_close(t);
    puts("all well");
    return 0;
}
