/* tests/app/config_sections_test.c - what a configuration file may say, and how it is told that it
 * may not. Covers app/settings/config_file.c, app/settings/config_sections.c,
 * app/settings/config_sections_report.c, app/settings/section_table.c and
 * app/settings/exec_words.c. SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/config_sections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/settings/exec_words.h"
#include "app/settings/settings.h"

static bool load(fw_settings *settings, fw_settings_error *error, const char *text)
{
    char path[256];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/sections_XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    char *argv[] = {(char *)(uintptr_t) "control-plane", (char *)(uintptr_t) "-c", path, NULL};
    bool good = fw_settings_load(settings, error, 3, argv);
    unlink(path);
    return good;
}

static void expect(const char *text, const char *a, const char *b)
{
    fw_settings settings;
    fw_settings_error error;
    if (load(&settings, &error, text))
        print_error("accepted: %s\n", text);
    assert_int_equal(error.exit_code, FW_EXIT_CONFIG);
    if (!strstr(error.text, a) || !strstr(error.text, b))
        print_error("'%s' lacks '%s' or '%s'\n", error.text, a, b);
    assert_non_null(strstr(error.text, a));
    assert_non_null(strstr(error.text, b));
}

static void sections_are_read(void **state)
{
    (void)state;
    fw_settings s;
    fw_settings_error error;
    bool good = load(&s, &error,
                     "\xef\xbb\xbfring-size = 64 ; four of a page\n"
                     "[task \"a \\\"quoted\\\" name\"]\n"
                     "    timeout = 2m\n"
                     "\trate: 2.5\n"
                     "# nothing\n"
                     "; nothing\n"
                     "[task \"thumb\"] ; a program\n"
                     "exec = /bin/sh -c \\\n"
                     "   'echo ; it'\\''s' {0}\n"
                     "max-retries = 3\r\n"
                     "[schedule \"nightly\"]\n"
                     "task = thumb\n"
                     "cron = 0 3 * * *\n"
                     "args = [\"a ; b\", 2]\n"
                     "overlap = cancel_old\n"
                     "[task \"thumb\"]\n"
                     "max-retries = 4\n");
    if (!good)
        print_error("%s\n", error.text);
    assert_true(good);
    assert_int_equal(s.ring_size, 64);
    assert_int_equal(s.sections.task_count, 2);
    const fw_task_section *first = fw_sections_task(&s.sections, "a \"quoted\" name");
    assert_non_null(first);
    assert_true(first->timeout_ns == INT64_C(120000000000));
    assert_true(first->rate == 2.5);
    assert_false(fw_task_section_has(first, "max-retries"));
    const fw_task_section *thumb = fw_sections_task(&s.sections, "thumb");
    assert_string_equal(thumb->exec, "/bin/sh -c     'echo ; it'\\''s' {0}");
    assert_int_equal(thumb->max_retries, 4);
    assert_int_equal(thumb->result_max, 1 << 20);
    assert_true(fw_task_section_has(thumb, "max-retries"));
    assert_int_equal(s.sections.schedule_count, 1);
    assert_string_equal(s.sections.schedules[0]->args, "[\"a ; b\", 2]");
    assert_int_equal(s.sections.schedules[0]->overlap, 4);
    assert_int_equal(s.sections.schedules[0]->count, -1);
    assert_null(fw_sections_task(&s.sections, "other"));
    fw_settings_fini(&s);
}

static void nothing_is_cut(void **state)
{
    (void)state;
    static char text[70000], name[200];
    fw_settings s;
    fw_settings_error error;
    memset(name, 'n', sizeof name - 1);
    snprintf(text, sizeof text, "[task \"%s\"]\nexec = /bin/echo %0*d\n", name, 60000, 7);
    assert_true(load(&s, &error, text));
    assert_string_equal(s.sections.tasks[0]->head.name, name);
    assert_int_equal(strlen(s.sections.tasks[0]->exec), 10 + 60000);
    fw_settings_fini(&s);
    snprintf(text, sizeof text, "[task \"x\"]\nexec = /bin/echo %0*d\n", 69000, 7);
    expect(text, ":2: ", "longer than 64 KiB");
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect("[tsak \"a\"]\n", ":1: no section 'tsak'", "did you mean 'task'?");
    expect("\n[task \"a\"]\ntimout = 3\n", ":3: no key of a [task] 'timout'", "'timeout'?");
    expect("[task \"a\"]\ntimeout = soon\n", ":2: timeout is 'soon'", "a time up to 365d");
    expect("[task]\n", ":1: a section [task \"thumbnail\"]", "has a name");
    expect("[task \"a]\n", ":1:", "double quotes");
    expect("[task a]\n", ":1:", "double quotes");
    expect("[task \"a\"\n", ":1:", "no ]");
    expect("[task \"a\"]\nwhat\n", ":2:", "key = value");
    expect("[task \"a\"]\nmode = pool\n", "[task \"a\"] mode", "exec = PROGRAM");
    expect("[task \"a\"]\nexec = echo\n", "[task \"a\"] exec", "whole path");
    expect("[task \"a\"]\nexec = /bin/echo 'x\n", "[task \"a\"] exec", "not closed");
    expect("[task \"a\"]\nexec = /bin/true\nprogress-fd = 2\n", "progress-fd", "3 to 9");
    expect("[schedule \"n\"]\ncron = * * * * *\n", ":1: [schedule \"n\"] task", "wanted");
    expect("[schedule \"n\"]\ntask = t\n", "[schedule \"n\"] cron", "one of");
    expect("[schedule \"n\"]\ntask = t\ncron = 61 * * * *\n", "[schedule \"n\"] cron", "minute");
    expect("[schedule \"n\"]\ntask = t\nevery = often\n", "[schedule \"n\"] every", "");
    expect("[schedule \"n\"]\ntask = t\nevery = 5s\ntz = Mars/Base\n", "tz", "Mars/Base");
    expect("[schedule \"n\"]\ntask = t\nargs = 5\n", ":3: args", "a JSON array");
    expect("rin-size = 3\n", ":1: rin-size", "did you mean 'ring-size'?");
}

static void words_are_split(void **state)
{
    (void)state;
    const char *why;
    char **words = fw_exec_words("  /bin/x 'a b' \"c \\\" d\"e \\  {0} '' ", &why);
    static const char *const expected[] = {"/bin/x", "a b", "c \" de", " ", "{0}", ""};
    assert_non_null(words);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(words[i], expected[i]);
    assert_null(words[6]);
    free(words);
    assert_null(fw_exec_words("a 'b", &why));
    words = fw_exec_words("", &why);
    assert_null(words[0]);
    free(words);
}

static void what_was_given_is_shown(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    fw_settings s;
    fw_settings_error error;
    assert_true(load(&s, &error,
                     "[task \"a\"]\ntimeout = 1500ms\n[schedule \"b\"]\ntask = a\n"
                     "every = 1h\n"));
    FILE *out = open_memstream(&text, &len);
    fw_sections_show(&s.sections, out, true);
    fclose(out);
    assert_string_equal(text, "{\"task\": {\"a\": {\"timeout\": \"1500ms\"}}, \"schedule\": "
                              "{\"b\": {\"task\": \"a\", \"every\": \"1h\"}}}");
    free(text);
    out = open_memstream(&text, &len);
    fw_sections_show(&s.sections, out, false);
    fclose(out);
    assert_non_null(strstr(text, "\n[task \"a\"]  ; "));
    assert_non_null(strstr(text, "timeout = 1500ms\n"));
    free(text);
    fw_settings_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_are_read),       cmocka_unit_test(nothing_is_cut),
        cmocka_unit_test(mistakes_are_named),      cmocka_unit_test(words_are_split),
        cmocka_unit_test(what_was_given_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
