/* datetime_test.c - local time there and back, against the C library and against recorded Python
 * (net/datetime.c). Offsets are remembered per thread, so that each zone has its own thread here.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/datetime.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void in_zone(const char *zone, void *(*body)(void *))
{
    pthread_t thread;
    void *complaint = NULL;
    setenv("TZ", zone, 1);
    tzset();
    assert_int_equal(pthread_create(&thread, NULL, body, (void *)(uintptr_t)zone), 0);
    assert_int_equal(pthread_join(thread, &complaint), 0);
    if (complaint != NULL)
        fail_msg("%s: %s", zone, (char *)complaint);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* ---- Against the C library ---- */

static bool looks_right(int64_t wall_ns, char separator)
{
    char ours[FW_DATETIME_TEXT + 1], theirs[64];
    size_t len = fw_datetime_format(ours, wall_ns, separator);
    ours[len] = '\0';
    int64_t second = wall_ns / 1000000000 - (wall_ns % 1000000000 < 0 ? 1 : 0);
    time_t moment = (time_t)second;
    struct tm local;
    localtime_r(&moment, &local);
    int64_t rest = wall_ns % 1000000000;
    size_t at = strftime(theirs, sizeof(theirs), "%Y-%m-%d %H:%M:%S", &local);
    theirs[10] = separator;
    int micro = (int)((rest < 0 ? rest + 1000000000 : rest) / 1000);
    if (micro != 0)
        snprintf(theirs + at, sizeof(theirs) - at, ".%06d", micro);
    return strcmp(ours, theirs) == 0;
}

/* Read back it is the same moment, unless the hour repeats: then it may be the other one. */
static bool reads_back(int64_t wall_ns)
{
    char text[FW_DATETIME_TEXT], again[FW_DATETIME_TEXT];
    size_t len = fw_datetime_format(text, wall_ns, 'T');
    int64_t back;
    if (!fw_datetime_parse(&back, (fw_span){text, len}))
        return false;
    return fw_datetime_format(again, back, 'T') == len && memcmp(text, again, len) == 0 &&
           back <= wall_ns && wall_ns - back < INT64_C(2) * 3600 * 1000000000;
}

static void *check_random_times(void *zone)
{
    (void)zone;
    for (int i = 0; i < 20000; i++) {
        /* 1970 to 2100, and now and then anything. */
        int64_t ns = (int64_t)(random64() % UINT64_C(4102444800000000000));
        if (i % 10 == 0)
            ns = (int64_t)random64();
        if (i % 3 == 0)
            ns -= ns % 1000000000;
        if (!looks_right(ns, i % 2 == 0 ? ' ' : 'T'))
            return (void *)(uintptr_t) "another text than strftime's";
        if (i % 10 != 0 && !reads_back(ns))
            return (void *)(uintptr_t) "it does not read back";
    }
    return NULL;
}

static void *check_limits(void *zone)
{
    (void)zone;
    return looks_right(INT64_MIN, ' ') && looks_right(INT64_MAX, ' ')
               ? NULL
               : (void *)(uintptr_t) "wrong at the limits";
}

static void *check_neighbouring_quarters(void *zone)
{
    (void)zone;
    int64_t change = INT64_C(1774746000) * 1000000000; /* Berlin sets its clocks forward */
    for (int64_t ns = change - 7200000000000; ns < change + 7200000000000; ns += 59999999000)
        if (!looks_right(ns, ' ') || !looks_right(ns + 3600000000000, ' '))
            return (void *)(uintptr_t) "wrong near a change of the clock";
    return NULL;
}

static void texts_are_the_librarys(void **state)
{
    (void)state;
    in_zone("UTC", check_random_times);
    in_zone("UTC", check_limits);
    in_zone("Europe/Berlin", check_random_times);
    in_zone("Asia/Kolkata", check_random_times);
    in_zone("America/St_Johns", check_random_times);
    in_zone("Australia/Lord_Howe", check_random_times);
    in_zone("Europe/Berlin", check_neighbouring_quarters);
}

/* ---- Against recorded datetime.timestamp() ---- */

static const struct {
    const char *zone, *text;
    int64_t seconds;
} recorded[] = {
    {"Europe/Berlin", "2026-03-29 01:59:59", 1774745999}, /* before the missing hour */
    {"Europe/Berlin", "2026-03-29 02:30:00", 1774747800}, /* in it */
    {"Europe/Berlin", "2026-03-29 03:00:00", 1774746000},
    {"Europe/Berlin", "2026-10-25 02:30:00", 1792888200}, /* the first of two */
    {"Europe/Berlin", "2026-10-25 03:00:00", 1792893600},
    {"Asia/Kolkata", "2026-01-02 03:04:05", 1767303245},
    {"Australia/Lord_Howe", "2026-04-05 01:45:00", 1775313900},
    {"Australia/Lord_Howe", "2026-10-04 02:15:00", 1791042300},
};

static void *check_recorded(void *zone)
{
    for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
        int64_t ns;
        if (strcmp(recorded[i].zone, zone) != 0)
            continue;
        if (!fw_datetime_parse(&ns, span(recorded[i].text)) ||
            ns != recorded[i].seconds * 1000000000)
            return (void *)(uintptr_t)recorded[i].text;
    }
    return NULL;
}

static void local_times_mean_what_python_means(void **state)
{
    (void)state;
    in_zone("Europe/Berlin", check_recorded);
    in_zone("Asia/Kolkata", check_recorded);
    in_zone("Australia/Lord_Howe", check_recorded);
}

/* ---- Forms; message_fields_test.c has what pydantic took and refused ---- */

static void offsets_and_numbers_are_absolute(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"2026-01-02T03:04:05Z", 1767323045000000000},
        {"2026-01-02 05:04:05.25+02:00", 1767323045250000000},
        {"2026-01-01 23:34:05.000600-03:30", 1767323045000600000},
        {"1767323045", 1767323045000000000},
        {"1767323045250", 1767323045250000000},
        {"1969-12-31T23:59:59.5Z", -500000000},
        {"9999-12-31T23:59:59Z", INT64_MAX},
        {"0001-01-01T00:00:00Z", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 0;
        assert_true(fw_datetime_parse(&ns, span(cases[i].text)));
        if (ns != cases[i].ns)
            fail_msg("%s is %lld", cases[i].text, (long long)ns);
    }
    int64_t ns;
    assert_true(fw_datetime_from_number(&ns, 1700000000.25) && ns == 1700000000250000000);
    assert_true(fw_datetime_from_number(&ns, 1700000000250.0) && ns == 1700000000250000000);
    assert_false(fw_datetime_from_number(&ns, NAN));
    assert_false(fw_datetime_from_number(&ns, INFINITY));
    assert_false(fw_datetime_from_number(&ns, 1e300));
    assert_false(fw_datetime_from_number(&ns, 253402300800.0 * 1e3));
}

static void every_truncation_is_something_else(void **state)
{
    (void)state;
    const char *text = "2026-01-02T03:04:05.123456+02:00";
    int64_t whole, ns;
    assert_true(fw_datetime_parse(&whole, span(text)));
    for (size_t cut = 0; cut < strlen(text); cut++) {
        char *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, text, cut);
        /* A year alone is a number; the rest is a shorter form or refused. */
        if (fw_datetime_parse(&ns, (fw_span){copy, cut}))
            assert_true(ns != whole);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_the_librarys),
        cmocka_unit_test(local_times_mean_what_python_means),
        cmocka_unit_test(offsets_and_numbers_are_absolute),
        cmocka_unit_test(every_truncation_is_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
