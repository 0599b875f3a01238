/* tests/engine/zone_test.c - zone files: what they say, and that any bytes are safe. All zones of
 * the system are held against Python's zoneinfo by tests/interop/schedule_test.py. Covers
 * engine/zone.c, engine/zone_rule.c, engine/civil.h. SPDX-License-Identifier: Apache-2.0 */
#include "engine/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/civil.h"
#include "engine/zone_rule.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static fw_zone *load(const char *name)
{
    char error[256] = "";
    fw_zone *zone = NULL;
    if (fw_zone_load(&zone, error, sizeof error, span(name)) < 0)
        fail_msg("%s: %s", name, error);
    return zone;
}

static int64_t at(int64_t year, int month, int day, int hour, int minute)
{
    return fw_days_of(year, month, day) * FW_DAY_S + hour * 3600 + minute * 60;
}

static void test_dates_go_to_days_and_back(void **state)
{
    (void)state;
    assert_int_equal(fw_days_of(1970, 1, 1), 0);
    assert_int_equal(fw_weekday_of(0), 4);
    fw_date before = {1599, 12, 31};
    for (int64_t days = fw_days_of(1600, 1, 1); days < fw_days_of(2401, 1, 1); days++) {
        fw_date date = fw_date_of(days);
        assert_int_equal(fw_days_of(date.year, date.month, date.day), days);
        if (date.day > 1) {
            assert_int_equal(date.day, before.day + 1);
        } else {
            assert_int_equal(before.day, fw_days_in_month(before.year, before.month));
            assert_int_equal(date.month, before.month % 12 + 1);
        }
        before = date;
    }
}

static void test_summer_in_berlin(void **state)
{
    (void)state;
    int64_t found[2];
    fw_zone *zone = load("Europe/Berlin");
    int64_t spring = at(2026, 3, 29, 1, 0), autumn = at(2026, 10, 25, 1, 0);
    assert_int_equal(fw_zone_offset(zone, spring - 1), 3600);
    assert_int_equal(fw_zone_offset(zone, spring), 7200);
    assert_int_equal(fw_zone_next_change(zone, spring - 1), spring);
    assert_int_equal(fw_zone_next_change(zone, spring), autumn);
    assert_int_equal(fw_zone_find(zone, found, at(2026, 3, 29, 2, 30)), 0);
    assert_int_equal(found[0], spring);
    assert_int_equal(fw_zone_find(zone, found, at(2026, 10, 25, 2, 30)), 2);
    assert_int_equal(found[0], at(2026, 10, 25, 0, 30));
    assert_int_equal(found[1], at(2026, 10, 25, 1, 30));
    assert_int_equal(fw_zone_find(zone, found, at(2026, 7, 1, 12, 0)), 1);
    assert_int_equal(found[0], at(2026, 7, 1, 10, 0));
    /* By the rule behind the table. */
    assert_int_equal(fw_zone_offset(zone, at(2500, 7, 1, 0, 0)), 7200);
    fw_zone_free(zone);
}

static void test_the_edges_of_time_are_safe(void **state)
{
    (void)state;
    static const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -1, INT64_MAX - 1, INT64_MAX};
    static const char *const names[] = {"UTC", "Europe/Berlin", "local"};
    int64_t found[2];
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        fw_zone *zone = load(names[n]);
        for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
            fw_zone_offset(zone, edges[i]);
            assert_true(fw_zone_next_change(zone, edges[i]) > edges[i] || edges[i] == INT64_MAX);
            assert_true(fw_zone_find(zone, found, edges[i]) <= 2);
        }
        fw_zone_free(zone);
    }
}

static void test_the_systems_zone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t offset_s;
    } cases[] = {{"Asia/Tokyo", 32400},
                 {":Asia/Tokyo", 32400},
                 {"JST-9", 32400},
                 {"<+0530>-5:30", 19800},
                 {"", 0},
                 {"no such thing", 0}};
    char before[128] = "";
    const char *own = getenv("TZ");
    if (own)
        snprintf(before, sizeof before, "%s", own);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("TZ", cases[i].text, 1);
        fw_zone *zone = load("local");
        assert_int_equal(fw_zone_offset(zone, 0), cases[i].offset_s);
        fw_zone_free(zone);
    }
    if (own)
        setenv("TZ", before, 1);
    else
        unsetenv("TZ");
}

static void test_names_stay_in_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"",       "../../../etc/passwd", "/etc/passwd", "Nowhere",
                                        "Europe", "Europe/Berlin\n",     "tzdata.zi",   "zone.tab"};
    char error[256];
    fw_zone *zone = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(fw_zone_load(&zone, error, sizeof error, span(names[i])) < 0);
        assert_null(zone);
        assert_non_null(strstr(error, "zone "));
    }
}

static void test_rules(void **state)
{
    (void)state;
    static const char *const good[] = {
        "UTC0",
        "<-03>3",
        "<+0330>-3:30:15",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "EET-2EEST,M3.4.4/50,M10.4.4/50",
        "AAA3BBB,J60/-1,300/25",
        "XXX3EDT4,0/0,J365/23",
    };
    static const char *const bad[] = {
        "",
        "U0",
        "UTC",
        "UTC25",
        "<UTC0",
        "UTC0 ",
        "CET-1CEST",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J365",
        "CET-1CEST,366,J365",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-9999999999",
    };
    fw_zone_rule rule;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(fw_zone_rule_parse(&rule, span(good[i])));
    /* The last one of them never leaves its summer. */
    assert_int_equal(fw_zone_rule_next(&rule, at(2026, 1, 1, 0, 0)), INT64_MAX);
    assert_int_equal(fw_zone_rule_offset(&rule, at(2026, 12, 31, 23, 59)), -4 * 3600);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (fw_zone_rule_parse(&rule, span(bad[i])))
            fail_msg("%s was taken", bad[i]);
    }
    assert_true(fw_zone_rule_parse(&rule, span("AAA3BBB,J60/-1,300/25")));
    /* 1 March, an hour before midnight of it, in a leap year as well. */
    assert_int_equal(fw_zone_rule_next(&rule, at(2028, 1, 15, 0, 0)), at(2028, 3, 1, 2, 0));
    assert_int_equal(fw_zone_rule_next(&rule, at(2027, 1, 15, 0, 0)), at(2027, 3, 1, 2, 0));
}

/* A file with one change, at 1000, from +1 to +2 hours. */
static size_t make_file(char out[256], char version, const char *rule)
{
    static const char kinds[] = "\0\0\016\020\0\0"
                                "\0\0\034\040\1\4";
    size_t len = 0;
    int blocks = version ? 2 : 1;
    for (int block = 0; block < blocks; block++) {
        size_t width = block == 1 ? 8 : 4;
        memset(out + len, 0, 44);
        memcpy(out + len, "TZif", 4);
        out[len + 4] = version;
        out[len + 35] = 1;
        out[len + 39] = 2;
        out[len + 43] = 8;
        len += 44;
        memset(out + len, 0, width);
        out[len + width - 2] = (char)(1000 >> 8);
        out[len + width - 1] = (char)(1000 & 255);
        len += width;
        out[len++] = 1;
        memcpy(out + len, kinds, 12);
        memcpy(out + len + 12, "ONE\0TWO", 8);
        len += 20;
    }
    if (version) {
        out[len++] = '\n';
        memcpy(out + len, rule, strlen(rule));
        len += strlen(rule);
        out[len++] = '\n';
    }
    return len;
}

static void test_a_file_of_each_version(void **state)
{
    (void)state;
    static const struct {
        char version;
        const char *rule;
        int32_t late_s;
    } cases[] = {{0, "", 7200}, {'2', "", 7200}, {'2', "TWO-2", 7200}, {'3', "ONE-1", 3600}};
    char bytes[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fw_zone *zone;
        size_t len = make_file(bytes, cases[i].version, cases[i].rule);
        assert_int_equal(fw_zone_parse(&zone, (fw_span){bytes, len}), 0);
        assert_int_equal(fw_zone_offset(zone, 999), 3600);
        assert_int_equal(fw_zone_offset(zone, 1000), cases[i].late_s);
        assert_int_equal(fw_zone_offset(zone, INT64_C(5000000000)), cases[i].late_s);
        fw_zone_free(zone);
    }
}

/* Cut at every length, and each byte set to others: never more than an error. Copies are exact, so
 * that the sanitizer sees a byte too far. */
static void test_any_bytes_are_safe(void **state)
{
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '\n', ','};
    char bytes[256];
    int64_t found[2];
    size_t len = make_file(bytes, '2', "CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t i = 0; i < len * (1 + sizeof values); i++) {
        size_t place = i % len, kind = i / len, used = kind == 0 ? place : len;
        char *copy = malloc(used + 1);
        assert_non_null(copy);
        char *exact = copy + 1;
        memcpy(exact, bytes, used);
        if (kind > 0)
            exact[place] = (char)values[kind - 1];
        fw_zone *zone;
        if (fw_zone_parse(&zone, (fw_span){exact, used}) == 0) {
            for (int64_t t = -3; t < 4; t++) {
                fw_zone_offset(zone, t * 500000000);
                fw_zone_next_change(zone, t * 500000000);
                fw_zone_find(zone, found, t * 500000000);
            }
            fw_zone_free(zone);
        }
        free(copy);
    }
}

static void test_times_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1970-01-01T01:00:00", 0},
        {"1970-01-01 01:00", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T02:30:00+02:30", 0},
        {"1969-12-31T20:00:00.5-0400", 500000000},
        {"1970-01-02", INT64_C(82800000000000)},
        {"2026-03-29T02:30:00.75", INT64_C(1774746000000000000)},
        {"2026-10-25T02:30:00", INT64_C(1792888200000000000)},
    };
    static const char *const bad[] = {"",
                                      "1970",
                                      "1970-13-01",
                                      "1970-02-29",
                                      "1970-01-01T24:00",
                                      "1970-01-01T1:00",
                                      "tomorrow",
                                      "1970-01-01T01:00:00+1",
                                      "1970-01-01T01:00:00.",
                                      "1677-01-01",
                                      "2262-01-01",
                                      "1970-01-01T01:00:00Zx"};
    fw_zone *zone = load("Europe/Berlin");
    int64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(fw_zone_read_time(zone, &ns, span(good[i].text)));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(fw_zone_read_time(zone, &ns, span(bad[i])));
    fw_zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_go_to_days_and_back),
        cmocka_unit_test(test_summer_in_berlin),
        cmocka_unit_test(test_the_edges_of_time_are_safe),
        cmocka_unit_test(test_the_systems_zone),
        cmocka_unit_test(test_names_stay_in_the_folder),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_a_file_of_each_version),
        cmocka_unit_test(test_any_bytes_are_safe),
        cmocka_unit_test(test_times_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
