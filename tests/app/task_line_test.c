/* task_line_test.c - app/commands/task_line.c and app/commands/input.c: lines of `submit --stdin`.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/task_line.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/commands/input.h"

static const fw_submit base = {.size = sizeof(base), .timeout_ms = 7, .max_retries = 1};
static fw_line_room room;
static char error[256];

static bool read_line(fw_submit *out, const char *line)
{
    error[0] = '\0';
    return fw_task_line_read(out, error, sizeof(error), &room, (fw_span){line, strlen(line)},
                             &base);
}

static void reads_every_member(void **state)
{
    (void)state;
    fw_submit s;
    assert_true(read_line(&s,
                          "{\"task\": \"a\\u0062\", \"args\": [1, \"x\"], \"kwargs\": {\"k\": 2},"
                          " \"id\": \"i-1\", \"priority\": \"high\", \"countdown\": 1.5, "
                          "\"timeout\": \"2m\", \"result_ttl\": 60, \"max_retries\": 4, "
                          "\"callback\": {\"address\": \"tcp://h:1\", \"data\": {\"d\": 1}}}"));
    assert_string_equal(s.task, "ab");
    assert_memory_equal(s.args.ptr, "[1, \"x\"]", s.args.len);
    assert_memory_equal(s.kwargs.ptr, "{\"k\": 2}", s.kwargs.len);
    assert_string_equal(s.id, "i-1");
    assert_int_equal(s.prio, FW_HIGH);
    assert_int_equal(s.has_prio, 1);
    assert_int_equal(s.countdown_ms, 1500);
    assert_int_equal(s.timeout_ms, 120000);
    assert_int_equal(s.result_ttl_ms, 60000);
    assert_int_equal(s.max_retries, 4);
    assert_string_equal(s.callback, "tcp://h:1");
    assert_memory_equal(s.callback_data.ptr, "{\"d\": 1}", s.callback_data.len);
}

static void leaves_defaults(void **state)
{
    (void)state;
    fw_submit s;
    assert_true(
        read_line(&s, "{\"name\": \"t\", \"args\": null, \"id\": null, \"eta\": 1896076800}"));
    assert_string_equal(s.task, "t");
    assert_int_equal(s.args.len, 0);
    assert_null(s.id);
    assert_int_equal(s.timeout_ms, 7);
    assert_int_equal(s.max_retries, 1);
    assert_int_equal(s.eta_unix_ms, INT64_C(1896076800000));
    assert_int_equal(s.has_prio, 0);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *line, *error;
    } cases[] = {{"", "line: not valid JSON"},
                 {"[1]", "line: it must be a JSON object"},
                 {"{}", "task: it is needed"},
                 {"{\"task\": 5}", "task: it must be a string"},
                 {"{\"task\": \"a\\u0000b\"}", "task: it must be a string"},
                 {"{\"task\": \"t\", \"args\": {}}", "args: it must be an array"},
                 {"{\"task\": \"t\", \"kwargs\": []}", "kwargs: it must be an object"},
                 {"{\"task\": \"t\", \"priority\": \"urgent\"}", "priority: it must be low"},
                 {"{\"task\": \"t\", \"priority\": 1}", "priority: it must be low"},
                 {"{\"task\": \"t\", \"countdown\": -1}", "countdown: it must be seconds"},
                 {"{\"task\": \"t\", \"eta\": \"soon\"}", "eta: it must be a time"},
                 {"{\"task\": \"t\", \"max_retries\": 0.5}", "max_retries: it must be a count"},
                 {"{\"task\": \"t\", \"callback\": {}}", "callback: it needs an address"},
                 {"{\"task\": \"t\", \"agrs\": []}", "agrs: no such member; did you mean args?"},
                 {"{\"task\": \"t\", \"color\": 1}", "color: no such member"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_submit s;
        assert_false(read_line(&s, cases[i].line));
        assert_memory_equal(error, cases[i].error, strlen(cases[i].error));
    }
    free(room.data);
    room = (fw_line_room){.data = NULL};
}

static void cuts_lines(void **state)
{
    (void)state;
    int ends[2];
    fw_input input;
    fw_span line;
    assert_int_equal(pipe(ends), 0);
    fw_input_init(&input, ends[0]);
    assert_int_equal(write(ends[1], "a\r\n\nbc", 6), 6);
    assert_false(fw_input_next(&input, &line));
    assert_true(fw_input_fill(&input));
    assert_true(fw_input_next(&input, &line));
    assert_int_equal(line.len, 1);
    assert_true(fw_input_next(&input, &line));
    assert_int_equal(line.len, 0);
    assert_false(fw_input_next(&input, &line)); /* not whole yet */
    assert_int_equal(write(ends[1], "d", 1), 1);
    close(ends[1]);
    assert_true(fw_input_fill(&input));
    assert_false(fw_input_next(&input, &line));
    assert_true(fw_input_fill(&input));
    assert_true(input.over);
    assert_true(fw_input_next(&input, &line));
    assert_int_equal(line.len, 3);
    assert_memory_equal(line.ptr, "bcd", 3);
    assert_int_equal(input.number, 3);
    assert_int_equal(input.bytes, 7);
    assert_false(fw_input_next(&input, &line));
    fw_input_fini(&input);
    close(ends[0]);
}

static void refuses_endless_lines(void **state)
{
    (void)state;
    fw_input input;
    fw_span line;
    int zero = open("/dev/zero", O_RDONLY);
    assert_true(zero >= 0);
    fw_input_init(&input, zero);
    while (fw_input_fill(&input))
        assert_false(fw_input_next(&input, &line));
    assert_true(input.end >= FW_LINE_MAX);
    fw_input_fini(&input);
    close(zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),    cmocka_unit_test(leaves_defaults),
        cmocka_unit_test(says_what_is_wrong),    cmocka_unit_test(cuts_lines),
        cmocka_unit_test(refuses_endless_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
