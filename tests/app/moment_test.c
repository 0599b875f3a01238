/* moment_test.c - app/commands/moment.c: times and durations as people write them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"0", 0},       {"2", 2000},    {"2.5", 2500},   {"250ms", 250},
                 {"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000},
                 {"soon", -1},   {"", -1},       {"-1", -1},      {"0.0001", 1},
                 {"5 m", -1},    {"nan", -1},    {"1e10", -1},    {" 5", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(fw_duration_read(&ms, cases[i].text), cases[i].ms >= 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;                                               /* -1: refused */
    } cases[] = {{"2030-01-31T09:00:00", INT64_C(1896076800000)}, /* Berlin */
                 {"2030-01-31 09:00", INT64_C(1896076800000)},
                 {"2030-01-31T08:00:00Z", INT64_C(1896076800000)},
                 {"2030-01-31T08:00:00.250Z", INT64_C(1896076800250)},
                 {"2030-01-31T09:30:00+01:30", INT64_C(1896076800000)},
                 {"2030-01-31T05:00:00-0300", INT64_C(1896076800000)},
                 {"1896076800", INT64_C(1896076800000)},
                 {"1896076800.5", INT64_C(1896076800500)},
                 {"2030-01-31", INT64_C(1896044400000)},
                 {"tomorrow", -1},
                 {"2030-13-01T00:00:00", -1},
                 {"2030-02-30T00:00:00", -1},
                 {"2030-02-29", -1},
                 {"2028-02-29T00:00:00Z", INT64_C(1835395200000)},
                 {"2030-04-31T00:00:00Z", -1},
                 {"2030-01-31T23:59:60Z", -1},
                 {"2030-01-31T", -1},
                 {"2030-01-31T09:00:00 CET", -1},
                 {"", -1}};
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        bool good = fw_moment_read(&ms, cases[i].text);
        assert_int_equal(good, cases[i].ms >= 0);
        if (good)
            assert_int_equal(ms, cases[i].ms);
    }
}

static void written_as_python_does(void **state)
{
    (void)state;
    char text[40];
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    fw_moment_write(text, sizeof(text), INT64_C(1896076800) * 1000000000);
    assert_string_equal(text, "2030-01-31 09:00:00");
    fw_moment_write(text, sizeof(text), INT64_C(1896076800) * 1000000000 + 600999);
    assert_string_equal(text, "2030-01-31 09:00:00.000600");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(moments),
        cmocka_unit_test(written_as_python_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
