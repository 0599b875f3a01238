/* tests/app/names_test.c - names are found once they are added, by all threads, and never change.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/names.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static fw_modules *modules;

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static int set_up(void **state)
{
    fw_names *names;
    assert_int_equal(fw_modules_create(&modules, 1), 0);
    assert_int_equal(fw_names_create(&names, modules), 0);
    *state = names;
    return 0;
}

static int tear_down(void **state)
{
    fw_names_destroy(*state);
    fw_modules_destroy(modules);
    return 0;
}

static void test_found_after_added(void **state)
{
    fw_names *names = *state;
    assert_null(fw_names_find(names, span("resize")));
    const fw_name *name = fw_names_add(names, span("resize"));
    assert_non_null(name);
    assert_null(name->entry);
    assert_ptr_equal(fw_names_find(names, span("resize")), name);
    assert_ptr_equal(fw_names_add(names, span("resize")), name);
    assert_ptr_equal(fw_names_at(names, name->index), name);
    assert_int_equal(fw_names_count(names), 1);
    assert_null(fw_names_find(names, span("resiz")));
}

static void test_what_is_no_name(void **state)
{
    char text[FW_NAME_MAX + 2];
    memset(text, 'a', sizeof text);
    assert_null(fw_names_add(*state, (fw_span){text, 0}));
    assert_null(fw_names_add(*state, (fw_span){text, FW_NAME_MAX + 1}));
    assert_non_null(fw_names_add(*state, (fw_span){text, FW_NAME_MAX}));
}

static void test_full(void **state)
{
    char text[32];
    for (int i = 0; i < FW_NAMES_KEPT_MAX; i++) {
        int len = snprintf(text, sizeof text, "task-%d", i);
        assert_non_null(fw_names_add(*state, (fw_span){text, (size_t)len}));
    }
    assert_null(fw_names_add(*state, span("one more")));
    assert_null(fw_names_find(*state, span("one more")));
    assert_int_equal(fw_names_find(*state, span("task-777"))->index, 777);
}

enum { ROUNDS = 2000 };

static void *add_all(void *names)
{
    char text[32];
    for (int i = 0; i < ROUNDS; i++) {
        int len = snprintf(text, sizeof text, "%d", i);
        const fw_name *name = fw_names_add(names, (fw_span){text, (size_t)len});
        if (!name || fw_names_find(names, (fw_span){text, (size_t)len}) != name ||
            fw_names_at(names, name->index) != name)
            return names;
    }
    return NULL;
}

static void test_threads_agree(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_all, *state), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(fw_names_count(*state), ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_after_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_agree, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
