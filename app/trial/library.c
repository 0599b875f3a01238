/* app/trial/library.c - fastworker/test.h: a trial for programs that are not ours.
 *
 * Built as a library of its own, libfastworker-test, which has the functions that modules call as
 * well, so that a test links this and nothing else. Covered by tests/app/library_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fastworker/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/trial/trial.h"
#include "base/clock.h"
#include "base/json.h"

enum { FLAGS_MAX = 64 };
static const int64_t limit_usual_ms = 60000;

struct fw_test {
    fw_trial *trial;
    char error[FW_TRIAL_ERROR];
};

/* The words of a command line. Owned text: the second one, if there are modules. */
static int make_words(char *argv[FLAGS_MAX + 2], const fw_test_options *o, char **modules)
{
    int argc = 1;
    argv[0] = (char *)(uintptr_t) "test";
    *modules = NULL;
    if (o->task_modules && asprintf(modules, "--task-modules=%s", o->task_modules) < 0)
        return -FW_ENOMEM;
    if (*modules)
        argv[argc++] = *modules;
    for (const char *const *flag = o->flags; flag && *flag; flag++) {
        if (argc == FLAGS_MAX)
            return -FW_EBIG;
        argv[argc++] = (char *)(uintptr_t)*flag;
    }
    argv[argc] = NULL;
    return argc;
}

int fw_test_open(fw_test **out, const fw_test_options *options)
{
    fw_test_options all = {0};
    char *argv[FLAGS_MAX + 2], *modules;
    if (options && (options->size < sizeof options->size || options->size > sizeof all))
        return -FW_EABI;
    if (options)
        memcpy(&all, options, options->size);
    fw_test *t = calloc(1, sizeof *t);
    int argc = t ? make_words(argv, &all, &modules) : -FW_ENOMEM;
    if (argc < 0) {
        free(t);
        return argc;
    }
    fw_trial_config config = {
        .argc = argc,
        .argv = argv,
        .own_module = all.module,
        .real_time = all.real_time != 0,
        .schedules = all.schedules != 0,
        .is_library = true,
        .limit_ns = (all.limit_ms > 0 ? all.limit_ms : limit_usual_ms) * FW_NS_PER_MS,
    };
    int rc = fw_trial_create(&t->trial, &config);
    free(modules);
    if (rc != 0) {
        free(t);
        /* An exit code; 1 is for what the machine does not have. */
        return rc == 1 ? -FW_ENOMEM : -FW_EINVAL;
    }
    *out = t;
    return 0;
}

void fw_test_close(fw_test *t)
{
    if (!t)
        return;
    fw_trial_destroy(t->trial);
    free(t);
}

static int wrong(fw_test *t, const char *text)
{
    snprintf(t->error, sizeof t->error, "%s", text);
    return -FW_EINVAL;
}

/* The members of an object, behind others. */
static void add_members(fw_buffer *out, fw_json object)
{
    fw_span inside = {object.text.ptr + 1, object.text.len - 2};
    if (fw_json_count(object) == 0)
        return;
    fw_buffer_text(out, ", ");
    fw_buffer_add(out, inside.ptr, inside.len);
}

int fw_test_call(fw_test *t, const char *task, const char *args, const char *more,
                 const fw_test_outcome **out)
{
    fw_buffer json = {.data = NULL};
    fw_json array = {.type = FW_JSON_NULL}, object = array;
    t->error[0] = '\0';
    if (args)
        array = fw_json_parse((fw_span){args, strlen(args)});
    if (array.type != FW_JSON_NULL && array.type != FW_JSON_ARRAY)
        return wrong(t, "args is no JSON array");
    if (more)
        object = fw_json_parse((fw_span){more, strlen(more)});
    if (object.type != FW_JSON_NULL && object.type != FW_JSON_OBJECT)
        return wrong(t, "more is no JSON object");
    fw_buffer_text(&json, "{\"task\": ");
    fw_buffer_json_string(&json, (fw_span){task, strlen(task)});
    if (array.type == FW_JSON_ARRAY) {
        fw_buffer_text(&json, ", \"args\": ");
        fw_buffer_add(&json, array.text.ptr, array.text.len);
    }
    if (object.type == FW_JSON_OBJECT)
        add_members(&json, object);
    fw_buffer_text(&json, "}");
    int rc = json.failed ? -FW_ENOMEM
                         : fw_trial_call(t->trial, (fw_span){json.data, json.len}, out, t->error);
    fw_buffer_fini(&json);
    return rc;
}

int fw_test_advance(fw_test *t, int64_t ms)
{
    if (ms < 0 || ms > INT64_MAX / FW_NS_PER_MS / 4)
        return wrong(t, "time goes forward only, and not for ever");
    t->error[0] = '\0';
    int rc = fw_trial_advance(t->trial, ms * FW_NS_PER_MS);
    if (rc < 0)
        snprintf(t->error, sizeof t->error, "something is not over in time");
    return rc;
}

int64_t fw_test_now_ms(const fw_test *t)
{
    return fw_trial_now_ns(t->trial) / FW_NS_PER_MS;
}

uint64_t fw_test_runs(const fw_test *t, const char *task)
{
    return fw_trial_count(t->trial, task);
}

const char *fw_test_errmsg(const fw_test *t)
{
    return t->error;
}
