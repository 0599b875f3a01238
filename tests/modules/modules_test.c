/* modules_test.c - modules of a process: found, loaded, refused, looked up, called from many
 * threads. Covers engine/module_path.c as well. SPDX-License-Identifier: Apache-2.0 */
#include "engine/modules.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "one_call.h"

static char error[1024];

static int load(fw_modules *modules, const char *fixture)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", FW_FIXTURES, fixture);
    return fw_modules_load(modules, error, sizeof error, path, NULL);
}

static fw_modules *create(void)
{
    fw_modules *modules;
    assert_int_equal(fw_modules_create(&modules, 4), 0);
    return modules;
}

static void names_are_found_and_others_are_not(void **state)
{
    (void)state;
    fw_modules *modules = create();
    assert_null(fw_modules_find(modules, span_of("add")));
    assert_int_equal(fw_modules_count(modules), 0);
    assert_int_equal(load(modules, "right"), 0);
    const fw_task_entry *answer = fw_modules_find(modules, span_of("answer"));
    assert_non_null(answer);
    assert_int_equal(fw_modules_load(modules, error, sizeof error, FW_SAMPLES, NULL), 0);
    assert_int_equal(load(modules, "exported"), 0);
    assert_ptr_equal(fw_modules_find(modules, span_of("answer")), answer);
    assert_int_equal(fw_modules_count(modules), 1 + 6 + 2);
    for (size_t i = 0; i < fw_modules_count(modules); i++) {
        const fw_task_entry *entry = fw_modules_at(modules, i);
        assert_ptr_equal(fw_modules_find(modules, span_of(entry->def->name)), entry);
    }
    assert_string_equal(fw_modules_find(modules, span_of("add"))->module->name, "samples");
    assert_non_null(fw_modules_find(modules, span_of("second.täsk")));
    assert_null(fw_modules_find(modules, span_of("")));
    assert_null(fw_modules_find(modules, span_of("ad")));
    assert_null(fw_modules_find(modules, span_of("adds")));
    assert_null(fw_modules_find(modules, (fw_span){"add\0", 4}));
    fw_modules_destroy(modules);
    fw_modules_destroy(NULL);
}

static void a_name_in_two_modules_names_both(void **state)
{
    (void)state;
    fw_modules *modules = create();
    assert_int_equal(fw_modules_load(modules, error, sizeof error, FW_SAMPLES, NULL), 0);
    assert_int_equal(load(modules, "also_add"), -FW_EDUP);
    assert_non_null(strstr(error, "task 'add' is in two modules"));
    assert_non_null(strstr(error, FW_SAMPLES));
    assert_non_null(strstr(error, FW_FIXTURES "/also_add.so"));
    /* The first keeps working, and the same file again is no second module. */
    assert_int_equal(fw_modules_load(modules, error, sizeof error, FW_SAMPLES, NULL), 0);
    assert_int_equal(fw_modules_count(modules), 6);
    fw_modules_destroy(modules);
}

static void wrong_files_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    fw_modules *modules = create();
    assert_int_equal(load(modules, "other_abi"), -FW_EABI);
    assert_int_equal(load(modules, "other"), -FW_EINVAL);
    assert_int_equal(load(modules, "unresolved"), -FW_EINVAL);
    assert_non_null(strstr(error, "nobody_has_this"));
    assert_int_equal(load(modules, "not_there"), -FW_EINVAL);
    assert_non_null(strstr(error, "there is no such file"));
    assert_int_equal(fw_modules_load(modules, error, sizeof error, "", NULL), -FW_EINVAL);
    assert_int_equal(fw_modules_count(modules), 0);
    fw_modules_destroy(modules);
}

static void names_are_looked_for_in_folders(void **state)
{
    (void)state;
    char path[512];
    const char *folders = "/nowhere::" FW_FIXTURES ":/elsewhere";
    assert_int_equal(fw_module_locate(path, sizeof path, error, sizeof error, "right", folders), 0);
    assert_string_equal(path, FW_FIXTURES "/right.so");
    int rc = fw_module_locate(path, sizeof path, error, sizeof error, "right.so", folders);
    assert_int_equal(rc, 0);
    assert_string_equal(path, FW_FIXTURES "/right.so");
    rc = fw_module_locate(path, sizeof path, error, sizeof error, "wrong", folders);
    assert_int_equal(rc, -FW_EINVAL);
    assert_non_null(
        strstr(error, "task module 'wrong' not found: looked for wrong.so in /nowhere"));
    assert_non_null(strstr(error, "FASTWORKER_MODULE_PATH"));
    assert_int_equal(fw_module_locate(path, 8, error, sizeof error, "right", folders), -FW_EINVAL);
    rc = fw_module_locate(path, sizeof path, error, sizeof error, "right", NULL);
    assert_int_equal(rc, -FW_EINVAL);
    assert_non_null(strstr(error, "no module folders are set"));
}

static void files_here_need_their_suffix(void **state)
{
    (void)state;
    char here[512], path[512];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(FW_FIXTURES), 0);
    int rc = fw_module_locate(path, sizeof path, error, sizeof error, "right.so", NULL);
    assert_int_equal(rc, 0);
    assert_string_equal(path, "./right.so");
    rc = fw_module_locate(path, sizeof path, error, sizeof error, "right", NULL);
    assert_int_equal(rc, -FW_EINVAL);
    fw_modules *modules = create();
    assert_int_equal(fw_modules_load(modules, error, sizeof error, "right.so", NULL), 0);
    assert_int_equal(fw_modules_load(modules, error, sizeof error, "exported", FW_FIXTURES), 0);
    fw_modules_destroy(modules);
    assert_int_equal(chdir(here), 0);
}

static fw_call_output call(fw_modules *modules, const char *name, const char *args, unsigned thread)
{
    fw_call_output out;
    fw_call_input input = input_of(args, "{}");
    input.thread = thread;
    const fw_task_entry *entry = fw_modules_find(modules, span_of(name));
    assert_non_null(entry);
    fw_modules_call(modules, entry, &input, &out);
    return out;
}

static void hooks_run_in_their_order(void **state)
{
    (void)state;
    fw_modules *modules = create();
    setenv("FW_TEST_INIT_FAILS", "1", 1);
    assert_int_equal(load(modules, "hooks"), -FW_EPERM);
    assert_non_null(strstr(error, "init failed: not permitted"));
    unsetenv("FW_TEST_INIT_FAILS");
    assert_int_equal(load(modules, "right"), 0);
    assert_int_equal(load(modules, "hooks"), 0);
    assert_string_equal(getenv("FW_TEST_HOOKS"), "init");
    setenv("FW_TEST_THREAD_INIT_FAILS", "1", 1);
    assert_int_equal(fw_modules_thread_start(modules, 2), -FW_EFULL);
    assert_non_null(strstr(fw_errmsg(), "hooks.so: the module's thread_init failed"));
    unsetenv("FW_TEST_THREAD_INIT_FAILS");
    assert_int_equal(fw_modules_thread_start(modules, 2), 0);
    fw_call_output out = call(modules, "numbers", "[]", 2);
    assert_true(out.success && span_is(out.result, "711"));
    fw_modules_thread_stop(modules, 2);
    assert_string_equal(getenv("FW_TEST_HOOKS"), "thread_fini");
    fw_modules_destroy(modules);
    assert_string_equal(getenv("FW_TEST_HOOKS"), "fini");
}

static void a_module_finds_every_function(void **state)
{
    (void)state;
    fw_modules *modules = create();
    if (load(modules, "everything") < 0)
        fail_msg("%s", error);
    assert_int_equal(fw_modules_thread_start(modules, 0), 0);
    assert_true(span_is(call(modules, "count", "[]", 0).result, "30"));
    fw_modules_thread_stop(modules, 0);
    fw_modules_destroy(modules);
}

typedef struct caller {
    fw_modules *modules;
    unsigned index;
    bool right;
} caller;

static void *call_often(void *argument)
{
    caller *self = argument;
    self->right = fw_modules_thread_start(self->modules, self->index) == 0;
    for (int i = 0; i < 2000 && self->right; i++) {
        char args[64], expected[64];
        snprintf(args, sizeof args, "[%d,%u]", i, self->index);
        snprintf(expected, sizeof expected, "%u", (unsigned)i + self->index);
        fw_call_output out = call(self->modules, "add", args, self->index);
        self->right = out.success && span_is(out.result, expected);
        snprintf(args, sizeof args, "[\"thread %u says %d\"]", self->index, i);
        out = call(self->modules, "fail", args, self->index);
        snprintf(expected, sizeof expected, "thread %u says %d", self->index, i);
        self->right = self->right && !out.success && span_is(out.error, expected) &&
                      strcmp(fw_errmsg(), expected) == 0;
    }
    fw_modules_thread_stop(self->modules, self->index);
    return NULL;
}

static void threads_call_without_meeting(void **state)
{
    (void)state;
    fw_modules *modules = create();
    assert_int_equal(fw_modules_load(modules, error, sizeof error, FW_SAMPLES, NULL), 0);
    pthread_t threads[4];
    caller callers[4];
    for (unsigned i = 0; i < 4; i++) {
        callers[i] = (caller){modules, i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(callers[i].right);
    }
    fw_modules_destroy(modules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_others_are_not),
        cmocka_unit_test(a_name_in_two_modules_names_both),
        cmocka_unit_test(wrong_files_are_refused_and_leave_nothing),
        cmocka_unit_test(names_are_looked_for_in_folders),
        cmocka_unit_test(files_here_need_their_suffix),
        cmocka_unit_test(hooks_run_in_their_order),
        cmocka_unit_test(a_module_finds_every_function),
        cmocka_unit_test(threads_call_without_meeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
