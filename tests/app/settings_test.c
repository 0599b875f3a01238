/* settings_test.c - what each place may say, and who wins. Covers app/settings/settings.c,
 * app/settings/setting_kinds.c, app/settings/setting_table.c and app/settings/setting_report.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/settings/setting_table.h"
#include "base/clock.h"

enum { WORDS_MAX = 16 };

/* Loads with the words of a command line, separated by spaces. */
static bool load(fw_settings *settings, fw_settings_error *error, const char *line)
{
    static char words[512];
    char *argv[WORDS_MAX];
    int argc = 0;
    snprintf(words, sizeof words, "control-plane %s", line);
    for (char *at = words; *at && argc < WORDS_MAX - 1;) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    return fw_settings_load(settings, error, argc, argv);
}

static void expect_refused(const char *line, int code, const char *a, const char *b)
{
    fw_settings settings;
    fw_settings_error error;
    if (load(&settings, &error, line))
        print_error("accepted: %s\n", line);
    assert_int_equal(error.exit_code, code);
    if (!strstr(error.text, a) || !strstr(error.text, b))
        print_error("'%s' lacks '%s' or '%s'\n", error.text, a, b);
    assert_non_null(strstr(error.text, a));
    assert_non_null(strstr(error.text, b));
}

static void defaults_are_upstreams(void **state)
{
    (void)state;
    fw_settings s;
    fw_settings_error error;
    assert_true(load(&s, &error, ""));
    assert_string_equal(s.worker_id, "control-plane");
    assert_string_equal(s.base_address, "tcp://127.0.0.1:5555");
    assert_string_equal(s.discovery_address, "tcp://127.0.0.1:5550");
    assert_int_equal(s.cache_size, 10000);
    assert_true(s.cache_ttl_ns == 3600 * FW_NS_PER_S);
    assert_int_equal(s.gui_port, 8080);
    assert_int_equal(s.gui_enabled, 1);
    assert_int_equal(s.ring_size, 4096);
    assert_true(s.task_timeout_ns == 300 * FW_NS_PER_S);
    assert_int_equal(s.policy, FW_POLICY_STRICT);
    assert_int_equal(s.weights[0], 16);
    assert_true(fw_settings_threads(&s) >= 1);
    fw_settings_fini(&s);
}

/* C-154: flag over environment over file over default. */
static void C_154_the_stronger_place_wins(void **state)
{
    (void)state;
    char path[] = "settings_test.XXXXXX", line[128];
    fw_settings s;
    fw_settings_error error;
    int fd = mkstemp(path);
    static const char text[] = "# a comment\nring-size = 64\nbatch = 8\ngui-port = 1234\n";
    assert_int_equal(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    setenv("FASTWORKER_BATCH", "16", 1);
    setenv("FASTWORKER_GUI_PORT", "2345", 1);
    snprintf(line, sizeof line, "--gui-port 3456 --config %s", path);
    assert_true(load(&s, &error, line));
    assert_int_equal(s.ring_size, 64);
    assert_int_equal(s.batch, 16);
    assert_int_equal(s.gui_port, 3456);
    assert_int_equal(s.cache_size, 10000);
    fw_settings_fini(&s);
    unsetenv("FASTWORKER_BATCH");
    unsetenv("FASTWORKER_GUI_PORT");
    unlink(path);
    expect_refused("-c /nowhere/fastworker.conf", FW_EXIT_CONFIG, "/nowhere/fastworker.conf",
                   "cannot read");
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *value;
    } cases[] = {
        {"--threads 0", "'0'"},
        {"--threads 257", "'257'"},
        {"--threads two", "'two'"},
        {"--ring-size 1000", "'1000'"},
        {"--ring-size 2", "'2'"},
        {"--spin maybe", "'maybe'"},
        {"--spin 0", "'0'"},
        {"--affinity 3-1", "'3-1'"},
        {"--affinity 0,,1", "'0,,1'"},
        {"--steal all", "'all'"},
        {"--batch 0", "'0'"},
        {"--batch 257", "'257'"},
        {"--priority-policy fair", "'fair'"},
        {"--priority-weights 1,2,3", "'1,2,3'"},
        {"--priority-weights 1,2,3,0", "'1,2,3,0'"},
        {"--priority-aging 1ms", "'1ms'"},
        {"--result-cache-size -1", "'-1'"},
        {"--result-cache-ttl 0", "'0'"},
        {"--base-address 127.0.0.1:5555", "'127.0.0.1:5555'"},
        {"--base-address tcp://host", "'tcp://host'"},
        {"--discovery-address tcp://host:0", "'tcp://host:0'"},
        {"--base-address tcp://host:65533", "'tcp://host:65533'"},
        {"--worker-id a:b", "'a:b'"},
        {"--payload-max 10X", "'10X'"},
        {"--task-timeout soon", "'soon'"},
        {"--gui-enabled=perhaps", "'perhaps'"},
        {"--gui-cors-origin foo", "'foo'"},
        {"--gui-cors-origin https://a/", "'https://a/'"},
        {"--gui-cors-origin *,https://a", "'*,https://a'"},
        {"--queue-max 99999999999999999999", "'99999999999999999999'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(cases[i].line, FW_EXIT_CONFIG, cases[i].value, "allowed is");
    setenv("FASTWORKER_THREADS", "many", 1);
    expect_refused("", FW_EXIT_CONFIG, "FASTWORKER_THREADS is 'many'", "allowed is auto");
    unsetenv("FASTWORKER_THREADS");
}

static void unknown_flags_get_a_suggestion(void **state)
{
    (void)state;
    expect_refused("--thread 2", FW_EXIT_USAGE, "--thread", "did you mean '--threads'");
    expect_refused("--frobnicate", FW_EXIT_USAGE, "unknown option", "frobnicate");
    expect_refused("--threads", FW_EXIT_USAGE, "--threads", "needs a value");
    expect_refused("stray", FW_EXIT_USAGE, "unexpected argument", "stray");
    expect_refused("--gui-api-key hush", FW_EXIT_USAGE, "--gui-api-key", "secret");
}

/* C-017: pickle ends the program with a usage error that says why. */
static void C_017_pickle_is_refused(void **state)
{
    (void)state;
    setenv("FASTWORKER_SERIALIZATION_FORMAT", "PICKLE", 1);
    expect_refused("", 2, "FASTWORKER_SERIALIZATION_FORMAT", "pickle is not supported");
    setenv("FASTWORKER_SERIALIZATION_FORMAT", "json", 1);
    fw_settings s;
    fw_settings_error error;
    assert_true(load(&s, &error, ""));
    fw_settings_fini(&s);
    unsetenv("FASTWORKER_SERIALIZATION_FORMAT");
}

static void values_are_read_and_shown_alike(void **state)
{
    (void)state;
    fw_settings s, again;
    fw_settings_error error;
    assert_true(load(&s, &error,
                     "--spin 500 --affinity 0-2,5 --steal one --priority-policy aging "
                     "--priority-aging 250ms --payload-max 8M --no-gui"));
    assert_int_equal(s.spin.kind, FW_SPIN_ROUNDS);
    assert_int_equal(s.spin.rounds, 500);
    assert_int_equal(s.affinity.count, 4);
    assert_int_equal(s.affinity.cpus[3], 5);
    assert_int_equal(s.steal, FW_STEAL_ONE);
    assert_int_equal(s.payload_max, 8 << 20);
    assert_int_equal(s.gui_enabled, 0);
    memset(&again, 0, sizeof again);
    for (size_t i = 0; i < fw_setting_count; i++) {
        char text[4096];
        const fw_setting *setting = &fw_setting_table[i];
        setting->kind->print(setting, (char *)&s + setting->offset, text, sizeof text);
        if (text[0] && !setting->kind->parse(setting, text, (char *)&again + setting->offset))
            print_error("%s does not read back '%s'\n", setting->name, text);
    }
    assert_int_equal(again.aging_ns, s.aging_ns);
    assert_int_equal(again.affinity.count, 4);
    assert_int_equal(again.queue_max_bytes, s.queue_max_bytes);
    fw_settings_fini(&again);
    fw_settings_fini(&s);
}

/* C-155: both forms of --task-modules; and the number of threads that concurrency leaves. */
static void a_switch_can_be_negated(void **state)
{
    (void)state;
    fw_settings s;
    fw_settings_error error;
    assert_true(load(&s, &error, ""));
    assert_int_equal(s.local, 1);
    assert_false(fw_settings_is_set(&s, "local"));
    assert_int_equal(s.prefetch, 0);
    fw_settings_fini(&s);
    assert_true(load(&s, &error, "--no-local --prefetch off --base-address tcp://127.0.0.1:0"));
    assert_int_equal(s.local, 0);
    assert_true(fw_settings_is_set(&s, "local"));
    assert_int_equal(s.prefetch, -1);
    fw_settings_fini(&s);
    expect_refused("--no-batch", FW_EXIT_USAGE, "--no-batch", "unknown");
    expect_refused("--prefetch none", FW_EXIT_CONFIG, "'none'", "off");
}

static void C_155_lists_and_concurrency(void **state)
{
    (void)state;
    fw_settings s;
    fw_settings_error error;
    assert_true(load(&s, &error, "--task-modules a b,c --concurrency 2 --threads 8"));
    assert_string_equal(s.task_modules, "a b,c");
    assert_int_equal(fw_settings_threads(&s), 2);
    fw_settings_fini(&s);
    assert_true(load(&s, &error, "--concurrency 7"));
    assert_int_equal(fw_settings_threads(&s), 7);
    fw_settings_fini(&s);
    assert_true(load(&s, &error, "--threads 3"));
    assert_int_equal(fw_settings_threads(&s), 3);
    fw_settings_fini(&s);
}

static void secrets_come_from_files_and_stay_hidden(void **state)
{
    (void)state;
    char path[] = "settings_test.XXXXXX", shown[8192] = "";
    fw_settings s;
    fw_settings_error error;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "hush\n", 5), 5);
    close(fd);
    setenv("FASTWORKER_GUI_API_KEY_FILE", path, 1);
    assert_true(load(&s, &error, ""));
    assert_string_equal(s.gui_api_key, "hush");
    FILE *out = fmemopen(shown, sizeof shown - 1, "w");
    fw_settings_show(&s, out, true);
    fclose(out);
    assert_non_null(
        strstr(shown, "\"gui-api-key\": {\"value\": \"(set)\", \"origin\": \"environment\"}"));
    assert_null(strstr(shown, "hush"));
    fw_settings_fini(&s);
    unsetenv("FASTWORKER_GUI_API_KEY_FILE");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_upstreams),
        cmocka_unit_test(C_154_the_stronger_place_wins),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(unknown_flags_get_a_suggestion),
        cmocka_unit_test(C_017_pickle_is_refused),
        cmocka_unit_test(values_are_read_and_shown_alike),
        cmocka_unit_test(a_switch_can_be_negated),
        cmocka_unit_test(C_155_lists_and_concurrency),
        cmocka_unit_test(secrets_come_from_files_and_stay_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
