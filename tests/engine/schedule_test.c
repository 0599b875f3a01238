/* tests/engine/schedule_test.c - expressions, intervals, and the days on which clocks are changed.
 * Thousands more are held against croniter by tests/interop/schedule_test.py. Covers
 * engine/schedule.c, engine/cron_text.c. SPDX-License-Identifier: Apache-2.0 */
#include "engine/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/civil.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static fw_zone *load(const char *name)
{
    char error[256];
    fw_zone *zone = NULL;
    assert_int_equal(fw_zone_load(&zone, error, sizeof error, span(name)), 0);
    return zone;
}

static fw_schedule parse(const char *text)
{
    char error[256] = "";
    fw_schedule s;
    if (fw_schedule_parse(&s, error, sizeof error, span(text), FW_CRON_POSIX) < 0)
        fail_msg("%s: %s", text, error);
    return s;
}

/* "12-31 23:59:00", by the zone's clocks. */
static const char *local_text(const fw_zone *zone, int64_t ns)
{
    static char text[64];
    int64_t local_s = ns / FW_NS_PER_S + fw_zone_offset(zone, ns / FW_NS_PER_S);
    int64_t days = fw_floor_div(local_s, FW_DAY_S);
    int second = (int)(local_s - days * FW_DAY_S);
    fw_date date = fw_date_of(days);
    snprintf(text, sizeof text, "%02d-%02d %02d:%02d:%02d", date.month, date.day, second / 3600,
             second / 60 % 60, second % 60);
    return text;
}

static void expect(const fw_zone *zone, const char *text, const char *after,
                   const char *const *expected)
{
    fw_schedule s = parse(text);
    int64_t at_ns;
    assert_true(fw_zone_read_time(zone, &at_ns, span(after)));
    for (; *expected; expected++) {
        at_ns = fw_schedule_next(&s, zone, at_ns, 0);
        assert_string_equal(local_text(zone, at_ns), *expected);
    }
}
#define EXPECT(zone, text, after, ...)                                                             \
    expect(zone, text, after, (const char *const[]){__VA_ARGS__, NULL})

static void test_expressions(void **state)
{
    (void)state;
    fw_zone *zone = load("UTC");
    EXPECT(zone, "0 9 * * 1-5", "2026-11-20T09:00", "11-23 09:00:00", "11-24 09:00:00");
    EXPECT(zone, "0 3 * * 0", "2026-11-24T00:00", "11-29 03:00:00");
    EXPECT(zone, "0 3 * * 7", "2026-11-24T00:00", "11-29 03:00:00");
    EXPECT(zone, "0 3 * * sat-sun", "2026-11-24T00:00", "11-28 03:00:00", "11-29 03:00:00");
    EXPECT(zone, "5/20 * * * *", "2026-11-24T00:00", "11-24 00:05:00", "11-24 00:25:00",
           "11-24 00:45:00", "11-24 01:05:00");
    EXPECT(zone, "0 0 13 * FRI", "2026-11-01T00:00", "11-06 00:00:00", "11-13 00:00:00");
    EXPECT(zone, "0 0 13 12 5", "2026-11-01T00:00", "12-04 00:00:00", "12-11 00:00:00",
           "12-13 00:00:00");
    EXPECT(zone, "0 0 29 Feb *", "2097-01-01T00:00", "02-29 00:00:00");
    EXPECT(zone, "*/20 59 23 31 12 *", "2026-11-24T00:00", "12-31 23:59:00", "12-31 23:59:20",
           "12-31 23:59:40", "12-31 23:59:00");
    EXPECT(zone, "@hourly", "2026-11-24T00:30", "11-24 01:00:00");
    EXPECT(zone, " @Weekly ", "2026-11-24T00:30", "11-29 00:00:00");
    EXPECT(zone, "@monthly", "2026-11-24T00:30", "12-01 00:00:00");
    EXPECT(zone, "@yearly", "2026-11-24T00:30", "01-01 00:00:00");
    fw_schedule never = parse("0 0 31 2 *"), reboot = parse("@reboot");
    assert_int_equal(fw_schedule_next(&never, zone, 0, 0), FW_SCHEDULE_NEVER);
    assert_int_equal(fw_schedule_next(&reboot, zone, 0, 0), FW_SCHEDULE_NEVER);
    fw_zone_free(zone);
}

static void test_errors_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"61 * * * *", "minute \"61\": 61 is not in 0 to 59"},
        {"* 24 * * *", "hour \"24\": 24 is not in 0 to 23"},
        {"* * 0 * *", "day of month \"0\": 0 is not in 1 to 31"},
        {"* * * foo *", "month \"foo\": \"foo\" is no number or name"},
        {"* * * * 8", "day of week \"8\": 8 is not in 0 to 7"},
        {"60 * * * * *", "second \"60\": 60 is not in 0 to 59"},
        {"5-1 * * * *", "minute \"5-1\": the range ends before it begins"},
        {"*/0 * * * *", "minute \"*/0\": the step must be 1 or more"},
        {"*/90 * * * *", "minute \"*/90\": a step of 90 is longer than the whole range"},
        {"1,,2 * * * *", "minute \"1,,2\": a part is empty"},
        {"1/2/3 * * * *", "minute \"1/2/3\": a step is a number behind one \"/\""},
        {"1-2-3 * * * *", "minute \"1-2-3\": \"2-3\" is no number"},
        {"99999999999 * * * *", "minute \"99999999999\": \"99999999999\" is no number"},
        {"* * * *", "4 fields: an expression has five, or six with the seconds first"},
        {"", "0 fields"},
        {"* * * * * * *", "7 fields"},
        {"@dayly", "\"@dayly\": known are"},
        {"@daily x", "with nothing behind them"},
        {"@every", "@every takes one time"},
        {"@every 1ms", "@every takes one time"},
        {"@every 5 minutes", "@every takes one time"},
    };
    char error[256];
    fw_schedule s;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            fw_schedule_parse(&s, error, sizeof error, span(cases[i].text), FW_CRON_POSIX),
            -FW_EINVAL);
        if (!strstr(error, cases[i].said))
            fail_msg("%s: %s", cases[i].text, error);
    }
}

/* Berlin 2026: 02:00 to 03:00 is not there on 29 March and there twice on 25 October. */
static void test_a_time_that_clocks_jump_over(void **state)
{
    (void)state;
    fw_zone *zone = load("Europe/Berlin");
    EXPECT(zone, "30 2 * * *", "2026-03-28T02:30", "03-29 03:00:00", "03-30 02:30:00");
    EXPECT(zone, "*/15 2 * * *", "2026-03-28T02:45", "03-29 03:00:00", "03-30 02:00:00");
    EXPECT(zone, "0 2,3 * * *", "2026-03-28T03:00", "03-29 03:00:00", "03-30 02:00:00");
    EXPECT(zone, "30 * * * *", "2026-03-29T01:00", "03-29 01:30:00", "03-29 03:30:00");
    EXPECT(zone, "*/20 * * * *", "2026-03-29T01:30", "03-29 01:40:00", "03-29 03:00:00",
           "03-29 03:20:00");
    fw_zone_free(zone);
}

static void test_a_time_that_clocks_show_twice(void **state)
{
    (void)state;
    fw_zone *zone = load("Europe/Berlin");
    EXPECT(zone, "30 2 * * *", "2026-10-24T02:30", "10-25 02:30:00", "10-26 02:30:00");
    EXPECT(zone, "*/30 2 * * *", "2026-10-24T02:30", "10-25 02:00:00", "10-25 02:30:00",
           "10-26 02:00:00");
    EXPECT(zone, "30 * * * *", "2026-10-25T01:00", "10-25 01:30:00", "10-25 02:30:00",
           "10-25 02:30:00", "10-25 03:30:00");
    fw_schedule each = parse("* 2 * * *");
    int64_t at_ns, count = 0, end_ns;
    assert_true(fw_zone_read_time(zone, &at_ns, span("2026-10-25T01:30")));
    assert_true(fw_zone_read_time(zone, &end_ns, span("2026-10-25T12:00")));
    while ((at_ns = fw_schedule_next(&each, zone, at_ns, 0)) < end_ns)
        count++;
    assert_int_equal(count, 120);
    fw_zone_free(zone);
}

static void test_intervals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"90s", 90000}, {"1h30m", 5400000}, {"250ms", 250},       {"2d", 172800000},
                {"1.5", 1500},  {"0.05s", 50},      {"1d12h", 129600000}, {"10", 10000}};
    static const char *const bad[] = {"",
                                      "s",
                                      "-5",
                                      "5x",
                                      "1ms",
                                      "0",
                                      "99999d",
                                      "1h30",
                                      ".",
                                      "5 s",
                                      "1e9",
                                      "1..5s",
                                      "99999999999999999999s"};
    int64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(fw_interval_parse(&ns, span(good[i].text)));
        assert_int_equal(ns, good[i].ms * FW_NS_PER_MS);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (fw_interval_parse(&ns, span(bad[i])))
            fail_msg("\"%s\" was taken", bad[i]);
    }
    fw_schedule s = parse("@every 90s");
    int64_t anchor_ns = 1000 * FW_NS_PER_S;
    assert_int_equal(fw_schedule_next(&s, NULL, anchor_ns - 1, anchor_ns), anchor_ns);
    assert_int_equal(fw_schedule_next(&s, NULL, anchor_ns, anchor_ns), 1090 * FW_NS_PER_S);
    assert_int_equal(fw_schedule_next(&s, NULL, 1300 * FW_NS_PER_S, anchor_ns), 1360 * FW_NS_PER_S);
    assert_int_equal(fw_schedule_next(&s, NULL, INT64_MAX - 5, anchor_ns), FW_SCHEDULE_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_errors_name_the_field),
        cmocka_unit_test(test_a_time_that_clocks_jump_over),
        cmocka_unit_test(test_a_time_that_clocks_show_twice),
        cmocka_unit_test(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
