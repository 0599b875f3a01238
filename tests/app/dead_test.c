/* tests/app/dead_test.c - what is given up is kept, within its bounds, and can be taken out.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/dead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 4096 };

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static fw_dead *make(size_t tasks_max, size_t bytes_max)
{
    fw_dead_config config = {tasks_max, bytes_max, 1000};
    fw_dead *dead = fw_dead_create(&config);
    assert_non_null(dead);
    return dead;
}

static bool add(fw_dead *dead, unsigned number, const char *error, int64_t died_ns)
{
    char id[16];
    snprintf(id, sizeof id, "%u", number);
    fw_dead_task task = {.key = {number, number},
                         .id = span(id),
                         .name = span("resize"),
                         .args = span("[1]"),
                         .kwargs = span("{}"),
                         .error = span(error),
                         .attempts = number,
                         .died_wall_ns = died_ns};
    return fw_dead_add(dead, &task);
}

static bool write_down(void *context, const fw_dead_task *task)
{
    char *text = context;
    size_t used = strlen(text);
    assert_int_equal(task->name.len, 6);
    assert_memory_equal(task->args.ptr, "[1]", 3);
    snprintf(text + used, TEXT_MAX - used, "%.*s:%.*s ", (int)task->id.len, task->id.ptr,
             (int)task->error.len, task->error.ptr);
    return true;
}

static const char *all(fw_dead *dead)
{
    static char text[TEXT_MAX];
    text[0] = '\0';
    fw_dead_each(dead, write_down, text);
    return text;
}

static void show(void *context, const fw_dead_task *task)
{
    *(unsigned *)context = task->attempts;
}

static void the_latest_come_first(void **state)
{
    (void)state;
    unsigned attempts = 0;
    fw_dead *dead = make(10, 10000);
    assert_true(add(dead, 1, "a", 0));
    assert_true(add(dead, 2, "b", 0));
    assert_true(add(dead, 1, "c", 0));
    assert_string_equal(all(dead), "1:c 2:b ");
    assert_true(fw_dead_take(dead, (fw_key){2, 2}, show, &attempts));
    assert_int_equal(attempts, 2);
    assert_false(fw_dead_take(dead, (fw_key){2, 2}, show, &attempts));
    assert_string_equal(all(dead), "1:c ");
    fw_dead_stats stats;
    fw_dead_snapshot(dead, &stats);
    assert_int_equal(stats.tasks, 1);
    assert_int_equal(stats.total, 3);
    fw_dead_destroy(dead);
}

static void bounds(void **state)
{
    (void)state;
    char large[2000];
    fw_dead_stats stats;
    fw_dead *dead = make(3, 2600);
    for (unsigned i = 1; i <= 5; i++)
        assert_true(add(dead, i, "x", i));
    assert_string_equal(all(dead), "5:x 4:x 3:x ");
    memset(large, 'y', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_true(add(dead, 6, large, 6));
    fw_dead_snapshot(dead, &stats);
    assert_true(stats.bytes <= 2600);
    assert_int_equal(stats.tasks, 2);
    assert_int_equal(stats.dropped, 4);
    fw_dead_sweep(dead, 1006);
    fw_dead_snapshot(dead, &stats);
    assert_int_equal(stats.tasks, 1); /* 6, exactly as old as allowed */
    fw_dead_sweep(dead, 1007);
    assert_string_equal(all(dead), "");
    fw_dead_destroy(dead);
    dead = make(0, 2500);
    assert_false(add(dead, 1, "x", 0));
    fw_dead_destroy(dead);
    dead = make(10, 100);
    assert_false(add(dead, 1, "x", 0));
    fw_dead_destroy(dead);
}

static bool lengthen(void *context, fw_dead_task *task)
{
    const char *error = context;
    task->error = span(error);
    task->level = FW_LOW;
    return error[0] != '!';
}

static void a_change_keeps_the_place(void **state)
{
    (void)state;
    fw_dead_stats before, after;
    fw_dead *dead = make(10, 10000);
    for (unsigned i = 1; i <= 3; i++)
        assert_true(add(dead, i, "e", i));
    fw_dead_snapshot(dead, &before);
    char longer[] = "longer", refused[] = "!no", huge[9900];
    assert_int_equal(fw_dead_edit(dead, (fw_key){2, 2}, lengthen, longer), 0);
    assert_string_equal(all(dead), "3:e 2:longer 1:e ");
    fw_dead_snapshot(dead, &after);
    assert_int_equal(after.bytes, before.bytes + 5);
    assert_int_equal(after.tasks, 3);
    assert_int_equal(fw_dead_edit(dead, (fw_key){2, 2}, lengthen, refused), -FW_EINVAL);
    assert_int_equal(fw_dead_edit(dead, (fw_key){9, 9}, lengthen, longer), -FW_EUNKNOWN);
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(fw_dead_edit(dead, (fw_key){2, 2}, lengthen, huge), -FW_EFULL);
    assert_int_equal(fw_dead_edit(dead, (fw_key){3, 3}, lengthen, longer), 0);
    assert_int_equal(fw_dead_edit(dead, (fw_key){1, 1}, lengthen, longer), 0);
    assert_string_equal(all(dead), "3:longer 2:longer 1:longer ");
    /* By age still the oldest goes first. */
    fw_dead_sweep(dead, 1002);
    assert_string_equal(all(dead), "3:longer 2:longer ");
    fw_dead_destroy(dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_keeps_the_place),
        cmocka_unit_test(the_latest_come_first),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
